//! Parquet parts, encoded column by column: every output column has its own encoder, which cuts row groups and pages at
//! the same rows however the rows arrive, so that the bytes depend on the rows alone.

mod bounds;
mod cells;
mod chunk;
mod codes;
mod column;
mod dictionary;
mod levels;
mod library;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{TakeOptions, take};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression as Codec, CompressionCodec, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::spec::Compression;

pub use chunk::EncodedChunk;
use column::{Recode, Rows, Scratch};
use library::RUN_ROWS;

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
    compression: Codec,
    descriptor: SchemaDescriptor,
    dictionary: Vec<bool>,
    page_rows: usize,
}

impl Format {
    /// A format with one compression, and a dictionary for the columns that `dictionary` says, for so many splits.
    ///
    /// # Errors
    /// [`Error::Failed`] for a type that Parquet has not.
    pub fn new(schema: SchemaRef, compression: Compression, dictionary: &[bool], splits: usize) -> Result<Self> {
        let codec = match compression {
            Compression::Snappy => Codec::SNAPPY,
            Compression::Zstd => Codec::ZSTD(ZstdLevel::default()),
            Compression::Lz4 => Codec::LZ4_RAW,
            Compression::None | Compression::Gzip => Codec::UNCOMPRESSED,
        };
        let page_rows = page_rows(dictionary.len() * splits);
        let mut builder = WriterProperties::builder()
            .set_created_by(concat!("twopass ", env!("CARGO_PKG_VERSION")).into())
            .set_compression(codec)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_write_batch_size(RUN_ROWS)
            .set_data_page_row_count_limit(page_rows);
        for (field, dictionary) in schema.fields().iter().zip(dictionary) {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(vec![field.name().clone()]), *dictionary);
        }
        let mut properties = builder.build();
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let descriptor = descriptor(&schema)?;
        let dictionary = dictionary.to_vec();
        Ok(Self { schema, properties: Arc::new(properties), compression: codec, descriptor, dictionary, page_rows })
    }

    /// The Parquet schema of the parts.
    pub fn descriptor(&self) -> &SchemaDescriptor {
        &self.descriptor
    }

    /// The compression of all column chunks, as a footer names it.
    pub fn codec(&self) -> CompressionCodec {
        self.compression.into()
    }

    /// What one thread needs to encode.
    ///
    /// # Errors
    /// [`Error::Failed`] when the library lacks the compression.
    pub fn encoding(&self) -> Result<Encoding> {
        let scratch = Scratch::new(self.compression).map_err(|e| Error::failed("opening the compressor", e))?;
        Ok(Encoding { scratch, recode: Vec::new(), position: usize::MAX })
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

/// What encoding one column after the other needs for a moment.
pub struct Encoding {
    scratch: Scratch,
    /// By split, of the column at the position.
    recode: Vec<Recode>,
    position: usize,
}

/// Encodes one output column of all splits.
pub struct ColumnEncoder {
    name: String,
    position: usize,
    column: ColumnDescPtr,
    splits: Splits,
}

enum Splits {
    Cells(Vec<column::SplitColumn>),
    Library(library::Library, Vec<library::SplitColumn>),
}

impl ColumnEncoder {
    /// An encoder of the output column at `position`, whose splits are cut as `cuts` says.
    ///
    /// # Errors
    /// [`Error::Failed`] for a type that Parquet has not.
    pub fn new(format: &Format, position: usize, cuts: &[Cut]) -> Result<Self> {
        let field = format.schema.field(position);
        let name = field.name().clone();
        let column = format.descriptor.column(position);
        let splits = if cells::holds(field.data_type()) {
            let dictionary = format.dictionary[position];
            let split = |cut: &Cut| column::SplitColumn::new(field.data_type(), dictionary, *cut, format.page_rows);
            Splits::Cells(cuts.iter().map(split).collect())
        } else {
            let alone = descriptor(&Schema::new(vec![field.clone()]))?;
            let library = library::Library::new(field, &alone, &format.properties).map_err(|e| opening(&name, e))?;
            Splits::Library(library, cuts.iter().map(|cut| library::SplitColumn::new(*cut)).collect())
        };
        Ok(Self { name, position, column, splits })
    }

    /// Adds rows of an array to the splits they go to: for each split those that it gets, or all. `finished` gets the
    /// column chunks of the row groups that they complete, by split.
    ///
    /// # Errors
    /// [`Error::Failed`] when the encoder fails.
    pub fn push(
        &mut self,
        array: &ArrayRef,
        routes: &[Option<UInt32Array>],
        encoding: &mut Encoding,
        finished: &mut [Vec<EncodedChunk>],
    ) -> Result<()> {
        if encoding.position != self.position {
            // Columns may share a dictionary, but not its codes.
            encoding.position = self.position;
            encoding.recode.clear();
        }
        let outcome = match &mut self.splits {
            Splits::Cells(splits) => push_cells(splits, &self.column, array, routes, encoding, finished),
            Splits::Library(library, splits) => push_library(library, splits, array, routes, finished),
        };
        outcome.map_err(|e| Error::failed(format!("encoding column `{}`", self.name), e))
    }

    /// Adds several arrays as [`ColumnEncoder::push`] does, with the splits side by side.
    ///
    /// # Errors
    /// [`Error::Failed`] when the encoder fails.
    pub fn push_all(
        &mut self,
        format: &Format,
        batches: &[Batch<'_>],
        finished: &mut [Vec<EncodedChunk>],
    ) -> Result<()> {
        let outcome = match &mut self.splits {
            Splits::Cells(splits) => push_cells_all(splits, &self.column, format, batches, finished),
            Splits::Library(library, splits) => {
                batches.iter().try_for_each(|(array, routes)| push_library(library, splits, array, routes, finished))
            }
        };
        outcome.map_err(|e| Error::failed(format!("encoding column `{}`", self.name), e))
    }
}

/// An array, and for each split the rows that it gets, or all.
pub type Batch<'a> = (&'a ArrayRef, &'a [Option<UInt32Array>]);

fn opening(name: &str, error: ParquetError) -> Error {
    Error::failed(format!("opening column `{name}`"), error)
}

fn push_cells(
    splits: &mut [column::SplitColumn],
    column: &ColumnDescPtr,
    array: &ArrayRef,
    routes: &[Option<UInt32Array>],
    encoding: &mut Encoding,
    finished: &mut [Vec<EncodedChunk>],
) -> parquet::errors::Result<()> {
    let source = cells::Source::new(array)?;
    encoding.recode.resize_with(splits.len(), Recode::default);
    for (at, split) in splits.iter_mut().enumerate() {
        let (recode, rows) = (&mut encoding.recode[at], rows_of(&routes[at], &source));
        split.push(column, &source, rows, recode, &mut encoding.scratch, &mut finished[at])?;
    }
    Ok(())
}

fn push_cells_all(
    splits: &mut [column::SplitColumn],
    column: &ColumnDescPtr,
    format: &Format,
    batches: &[Batch<'_>],
    finished: &mut [Vec<EncodedChunk>],
) -> parquet::errors::Result<()> {
    let sources: Vec<_> =
        batches.par_iter().map(|(array, _)| cells::Source::new(array)).collect::<Result<_, ArrowError>>()?;
    splits.par_iter_mut().zip(finished).enumerate().try_for_each(|(at, (split, finished))| {
        let (mut scratch, mut recode) = (Scratch::new(format.compression)?, Recode::default());
        sources.iter().zip(batches).try_for_each(|(source, (_, routes))| {
            split.push(column, source, rows_of(&routes[at], source), &mut recode, &mut scratch, finished)
        })
    })
}

fn rows_of<'a>(route: &'a Option<UInt32Array>, source: &cells::Source) -> Rows<'a> {
    route.as_ref().map_or(Rows::Range(0, source.rows()), |picked| Rows::Picked(picked.values()))
}

fn push_library(
    library: &library::Library,
    splits: &mut [library::SplitColumn],
    array: &ArrayRef,
    routes: &[Option<UInt32Array>],
    finished: &mut [Vec<EncodedChunk>],
) -> parquet::errors::Result<()> {
    for ((split, rows), finished) in splits.iter_mut().zip(routes).zip(finished) {
        match rows {
            None => split.push(library, array, finished)?,
            Some(rows) if rows.is_empty() => {}
            Some(rows) => {
                let taken = take(array, rows, Some(TakeOptions { check_bounds: false }))?;
                split.push(library, &taken, finished)?;
            }
        }
    }
    Ok(())
}
