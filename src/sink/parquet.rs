//! Parquet parts, encoded column by column: every output column has its own encoder, which cuts row groups and pages at
//! the same rows however the rows arrive, so that the bytes depend on the rows alone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, MutableArrayData, make_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

use crate::error::{Error, Result};
use crate::spec::Compression;

/// Rows that the encoder is fed in one call. Where it cuts pages depends on how many rows a call has, and on whether
/// they are all valid; calls of always the same rows, counted from the row group's first, give the same pages.
const RUN_ROWS: usize = 2048;
/// Rows of a page, at the most.
const PAGE_ROWS: usize = 10 * RUN_ROWS;
/// What the open pages of all columns and splits hold unencoded, in bytes; a value takes about 16.
const OPEN_PAGES_BYTES: usize = 160 << 20;

/// How Parquet parts are written: schema and properties, shared by all parts.
pub struct Format {
    /// Columns of the output.
    pub schema: SchemaRef,
    /// Writer properties.
    pub properties: WriterPropertiesPtr,
}

impl Format {
    /// A format with one compression, and a dictionary for the columns that `dictionary` says, for so many splits.
    pub fn new(schema: SchemaRef, compression: Compression, dictionary: &[bool], splits: usize) -> Self {
        let codec = match compression {
            Compression::Snappy => Codec::SNAPPY,
            Compression::Zstd => Codec::ZSTD(ZstdLevel::default()),
            Compression::Lz4 => Codec::LZ4_RAW,
            Compression::None | Compression::Gzip => Codec::UNCOMPRESSED,
        };
        let mut builder = WriterProperties::builder()
            .set_created_by(concat!("twopass ", env!("CARGO_PKG_VERSION")).into())
            .set_compression(codec)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_write_batch_size(RUN_ROWS)
            .set_data_page_row_count_limit(page_rows(dictionary.len() * splits));
        for (field, dictionary) in schema.fields().iter().zip(dictionary) {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(vec![field.name().clone()]), *dictionary);
        }
        let mut properties = builder.build();
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        Self { schema, properties: Arc::new(properties) }
    }

    /// The Parquet schema of the parts.
    ///
    /// # Errors
    /// [`Error::Failed`] for a type that Parquet has not.
    pub fn descriptor(&self) -> Result<SchemaDescriptor> {
        descriptor(&self.schema)
    }
}

fn descriptor(schema: &Schema) -> Result<SchemaDescriptor> {
    ArrowSchemaConverter::new().convert(schema).map_err(|e| Error::failed("describing the output's columns", e))
}

/// Rows of a page: as many as the open pages of all columns leave room for, in whole runs.
fn page_rows(open_columns: usize) -> usize {
    let fitting = OPEN_PAGES_BYTES / (16 * open_columns.max(1));
    (fitting / RUN_ROWS * RUN_ROWS).clamp(RUN_ROWS, PAGE_ROWS)
}

/// How many rows go into which row groups, for one split.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Rows of the split.
    pub rows: u64,
    /// Rows of a part.
    pub shard_rows: u64,
    /// Rows of a row group.
    pub row_group_rows: u64,
}

impl Cut {
    /// Rows from row `at` of the split to the end of its row group.
    pub(super) fn left(&self, at: u64) -> u64 {
        let in_part = at % self.shard_rows;
        let part_end = self.shard_rows.min(self.rows - (at - in_part));
        (self.row_group_rows - in_part % self.row_group_rows).min(part_end - in_part)
    }
}

/// Encodes one output column of all splits.
pub struct ColumnEncoder {
    field: FieldRef,
    factory: ArrowRowGroupWriterFactory,
    splits: Vec<SplitColumn>,
}

struct SplitColumn {
    cut: Cut,
    at: u64,
    writer: Option<ArrowColumnWriter>,
    pending: Vec<ArrayRef>,
    pending_rows: usize,
}

impl ColumnEncoder {
    /// An encoder of column `field` with the properties of `format`.
    ///
    /// # Errors
    /// [`Error::Failed`] for a type that Parquet has not.
    pub fn new(format: &Format, field: &Field, cuts: &[Cut]) -> Result<Self> {
        let failed = |e| Error::failed(format!("opening column `{}`", field.name()), e);
        let schema = Arc::new(Schema::new(vec![field.clone()]));
        let root = descriptor(&schema)?.root_schema_ptr();
        // The factory takes its schema from a file; this one is never written.
        let file = SerializedFileWriter::new(std::io::sink(), root, Arc::clone(&format.properties)).map_err(failed)?;
        let factory = ArrowRowGroupWriterFactory::new(&file, schema);
        let split = |cut: &Cut| SplitColumn { cut: *cut, at: 0, writer: None, pending: Vec::new(), pending_rows: 0 };
        Ok(Self { field: Arc::new(field.clone()), factory, splits: cuts.iter().map(split).collect() })
    }

    /// Adds the next rows of a split; the column chunks of row groups that they complete go to `finished`.
    ///
    /// # Errors
    /// [`Error::Failed`] when the encoder fails.
    pub fn push(&mut self, split: usize, array: &ArrayRef, finished: &mut Vec<ArrowColumnChunk>) -> Result<()> {
        let (field, factory) = (&self.field, &self.factory);
        self.splits[split]
            .push(field, factory, array, finished)
            .map_err(|e| Error::failed(format!("encoding column `{}`", field.name()), e))
    }
}

type ParquetResult<T> = std::result::Result<T, parquet::errors::ParquetError>;

impl SplitColumn {
    fn push(
        &mut self,
        field: &FieldRef,
        factory: &ArrowRowGroupWriterFactory,
        array: &ArrayRef,
        finished: &mut Vec<ArrowColumnChunk>,
    ) -> ParquetResult<()> {
        let plain = match array.data_type() {
            DataType::Dictionary(_, values) if **values != DataType::Utf8 => Some(cast(array, values)?),
            _ => None,
        };
        let array = plain.as_ref().unwrap_or(array);
        let mut done = 0;
        while done < array.len() {
            if self.writer.is_none() {
                self.writer = factory.create_column_writers(0)?.pop();
            }
            let left = self.cut.left(self.at);
            let rows = (array.len() - done).min(left as usize);
            self.feed(field, &array.slice(done, rows))?;
            self.at += rows as u64;
            done += rows;
            if rows as u64 == left {
                self.flush(field)?;
                if let Some(writer) = self.writer.take() {
                    finished.push(writer.close()?);
                }
            }
        }
        Ok(())
    }

    /// Hands rows to the writer in runs of [`RUN_ROWS`], counted from the row group's first; the rest waits.
    fn feed(&mut self, field: &FieldRef, array: &ArrayRef) -> ParquetResult<()> {
        let mut start = 0;
        if self.pending_rows > 0 {
            start = array.len().min(RUN_ROWS - self.pending_rows);
            self.wait(&array.slice(0, start))?;
            if self.pending_rows < RUN_ROWS {
                return Ok(());
            }
            self.flush(field)?;
        }
        while start + RUN_ROWS <= array.len() {
            self.write(field, &array.slice(start, RUN_ROWS))?;
            start += RUN_ROWS;
        }
        if start < array.len() {
            self.wait(&array.slice(start, array.len() - start))?;
        }
        Ok(())
    }

    /// Keeps a copy of a few rows: a slice would keep the whole array it is of.
    fn wait(&mut self, few: &ArrayRef) -> ParquetResult<()> {
        self.pending_rows += few.len();
        self.pending.push(match few.data_type() {
            DataType::Dictionary(_, values) => cast(few, values)?,
            _ => {
                let data = few.to_data();
                let mut copy = MutableArrayData::new(vec![&data], false, few.len());
                copy.try_extend(0, 0, few.len())?;
                make_array(copy.freeze())
            }
        });
        Ok(())
    }

    fn flush(&mut self, field: &FieldRef) -> ParquetResult<()> {
        if self.pending_rows == 0 {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending_rows = 0;
        let run = concat(&pending.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?;
        self.write(field, &run)
    }

    fn write(&mut self, field: &FieldRef, array: &ArrayRef) -> ParquetResult<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        compute_leaves(field, array)?.iter().try_for_each(|leaf| writer.write(leaf))
    }
}
