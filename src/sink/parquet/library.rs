//! Types that are rare in tables for learning (decimals, byte strings of one length, half floats) are encoded by the
//! library's own writer, fed so that it cuts pages at the same rows however the rows arrive.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, MutableArrayData, make_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::Result;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use super::Cut;
use super::chunk::EncodedChunk;

/// Rows that the encoder is fed in one call. Where it cuts pages depends on how many rows a call has, and on whether
/// they are all valid; calls of always the same rows, counted from the row group's first, give the same pages.
pub const RUN_ROWS: usize = 2048;

/// Opens writers of one column.
pub struct Library {
    field: FieldRef,
    factory: ArrowRowGroupWriterFactory,
}

impl Library {
    /// Writers of `field` alone, which `root` describes.
    ///
    /// # Errors
    /// When the library cannot write the type.
    pub fn new(field: &Field, alone: &SchemaDescriptor, properties: &WriterPropertiesPtr) -> Result<Self> {
        // The factory takes its schema from a file; this one is never written.
        let file = SerializedFileWriter::new(std::io::sink(), alone.root_schema_ptr(), Arc::clone(properties))?;
        let schema = Arc::new(Schema::new(vec![field.clone()]));
        Ok(Self { field: Arc::new(field.clone()), factory: ArrowRowGroupWriterFactory::new(&file, schema) })
    }
}

/// The open row group of one split.
pub struct SplitColumn {
    cut: Cut,
    at: u64,
    writer: Option<ArrowColumnWriter>,
    pending: Vec<ArrayRef>,
    pending_rows: usize,
}

impl SplitColumn {
    /// Nothing written yet.
    pub fn new(cut: Cut) -> Self {
        Self { cut, at: 0, writer: None, pending: Vec::new(), pending_rows: 0 }
    }

    /// Adds all rows of `array`; the chunks of row groups that they complete go to `finished`.
    ///
    /// # Errors
    /// When the library refuses a value.
    pub fn push(&mut self, library: &Library, array: &ArrayRef, finished: &mut Vec<EncodedChunk>) -> Result<()> {
        let mut done = 0;
        while done < array.len() {
            if self.writer.is_none() {
                self.writer = library.factory.create_column_writers(0)?.pop();
            }
            let left = self.cut.left(self.at);
            let rows = (array.len() - done).min(left as usize);
            self.feed(&library.field, &array.slice(done, rows))?;
            self.at += rows as u64;
            done += rows;
            if rows as u64 == left {
                self.flush(&library.field)?;
                if let Some(writer) = self.writer.take() {
                    finished.push(EncodedChunk::Library(Box::new(writer.close()?)));
                }
            }
        }
        Ok(())
    }

    /// Hands rows to the writer in runs of [`RUN_ROWS`], counted from the row group's first; the rest waits.
    fn feed(&mut self, field: &FieldRef, array: &ArrayRef) -> Result<()> {
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
    fn wait(&mut self, few: &ArrayRef) -> Result<()> {
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

    fn flush(&mut self, field: &FieldRef) -> Result<()> {
        if self.pending_rows == 0 {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.pending_rows = 0;
        let run = concat(&pending.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?;
        self.write(field, &run)
    }

    fn write(&mut self, field: &FieldRef, array: &ArrayRef) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        compute_leaves(field, array)?.iter().try_for_each(|leaf| writer.write(leaf))
    }
}
