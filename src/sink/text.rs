//! CSV, TSV and JSON-lines parts: blocks of rows, cut at the same rows of a part however the rows arrive, are formatted
//! and compressed each for itself, so that they can be made in parallel and their bytes depend on the rows alone.

use std::io::Write;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use arrow::util::display::FormatOptions;

use crate::error::{Error, Result};
use crate::spec::{Compression, OutputFormat};

use super::parquet::Cut;

/// Rows of a block, which is a gzip member or zstd frame of its own.
pub const BLOCK_ROWS: u64 = 4096;

/// How values are written: the CSV writer's own way, which casts to text share.
pub(crate) const FORMAT: FormatOptions<'static> = FormatOptions::new();

/// How text parts are written.
pub struct Format {
    /// Columns of the output.
    pub schema: SchemaRef,
    /// CSV, TSV or JSON lines.
    pub format: OutputFormat,
    /// gzip, zstd or none.
    pub compression: Compression,
}

/// Rows of one block, not yet formatted.
pub struct Block {
    /// Position of the split.
    pub split: usize,
    /// Number of rows.
    pub rows: u64,
    batches: Vec<RecordBatch>,
}

/// Cuts the rows of one split into blocks.
pub struct SplitRows {
    split: usize,
    cut: Cut,
    at: u64,
    pending: Vec<RecordBatch>,
    pending_rows: u64,
}

impl SplitRows {
    /// The rows of the split at this position.
    pub fn new(split: usize, cut: Cut) -> Self {
        Self { split, cut, at: 0, pending: Vec::new(), pending_rows: 0 }
    }

    /// Adds the next rows; blocks that they complete go to `blocks`.
    pub fn push(&mut self, batch: &RecordBatch, blocks: &mut Vec<Block>) {
        let mut done = 0;
        while done < batch.num_rows() {
            let left = self.cut.left(self.at);
            let rows = left.min((batch.num_rows() - done) as u64);
            self.pending.push(batch.slice(done, rows as usize));
            self.pending_rows += rows;
            self.at += rows;
            done += rows as usize;
            if rows == left {
                let batches = std::mem::take(&mut self.pending);
                blocks.push(Block { split: self.split, rows: std::mem::take(&mut self.pending_rows), batches });
            }
        }
    }
}

impl Format {
    /// The arrays of one run of rows as a batch; text leaves its dictionary.
    ///
    /// # Errors
    /// [`Error::Failed`] when the arrays do not belong together.
    pub fn batch(&self, arrays: Vec<ArrayRef>) -> Result<RecordBatch> {
        let plain = |array: ArrayRef| match array.data_type() {
            DataType::Dictionary(_, values) => cast(&array, values),
            _ => Ok(array),
        };
        let arrays = arrays.into_iter().map(plain).collect::<std::result::Result<Vec<_>, _>>();
        arrays
            .and_then(|arrays| RecordBatch::try_new(self.schema.clone(), arrays))
            .map_err(|e| Error::failed("collecting rows", e))
    }

    /// What a part begins with.
    ///
    /// # Errors
    /// As [`Format::bytes`].
    pub fn header(&self) -> Result<Vec<u8>> {
        let names: Vec<_> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        match self.format {
            OutputFormat::Csv | OutputFormat::Tsv => {
                let empty = RecordBatch::new_empty(self.schema.clone());
                let mut text = Vec::new();
                let mut writer =
                    WriterBuilder::new().with_header(true).with_delimiter(self.delimiter()).build(&mut text);
                writer
                    .write(&empty)
                    .map_err(|e| Error::failed(format!("writing the header of {} columns", names.len()), e))?;
                drop(writer);
                self.compress(text)
            }
            OutputFormat::Jsonl | OutputFormat::Parquet => Ok(Vec::new()),
        }
    }

    /// The bytes of a block.
    ///
    /// # Errors
    /// [`Error::Failed`] when a value cannot be formatted.
    pub fn bytes(&self, block: &Block) -> Result<Vec<u8>> {
        let failed = |e| Error::failed("formatting rows", e);
        let rows = concat_batches(&self.schema, &block.batches).map_err(failed)?;
        let mut text = Vec::with_capacity(rows.num_rows() * rows.num_columns() * 8);
        match self.format {
            OutputFormat::Csv | OutputFormat::Tsv => {
                let mut writer =
                    WriterBuilder::new().with_header(false).with_delimiter(self.delimiter()).build(&mut text);
                writer.write(&rows).map_err(failed)?;
            }
            OutputFormat::Jsonl | OutputFormat::Parquet => {
                let mut writer = JsonBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut text);
                writer.write(&rows).map_err(failed)?;
                writer.finish().map_err(failed)?;
            }
        }
        self.compress(text)
    }

    fn delimiter(&self) -> u8 {
        if self.format == OutputFormat::Tsv { b'\t' } else { b',' }
    }

    fn compress(&self, text: Vec<u8>) -> Result<Vec<u8>> {
        let failed = |e| Error::failed("compressing rows", e);
        match self.compression {
            Compression::Gzip => {
                let mut encoder = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::default());
                encoder.write_all(&text).map_err(failed)?;
                encoder.finish().map_err(failed)
            }
            Compression::Zstd => zstd::encode_all(text.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL).map_err(failed),
            _ => Ok(text),
        }
    }
}
