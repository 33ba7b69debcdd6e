//! Parquet shards: one footer read a shard, then single columns of single row groups, decoded straight from the column
//! chunk's bytes. A column's reader knows nothing of the other columns, so that the work per column does not grow with
//! the width of the table, and any column of any row group can be decoded on any thread.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use bytes::Bytes;
use hashbrown::HashMap;
use parquet::arrow::array_reader::RowGroups;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelection, RowSelector,
};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Encoding;
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::metadata::{PageIndexPolicy, ParquetStatisticsPolicy};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{SchemaDescriptor, Type};
use rustix::io::Errno;
use xxhash_rust::xxh3::xxh3_128;

use super::{BATCH_ROWS, Shard};
use crate::error::{Error, Result, Site};
use crate::schema::{self, ShardFields};

/// Column chunks up to this size are read in one go; larger ones page by page.
const READ_WHOLE: u64 = 4 << 20;
/// Decoded bytes that one array of a column should not exceed by much.
const BATCH_BYTES: u64 = 8 << 20;

/// An opened Parquet shard.
pub struct ParquetShard {
    name: Arc<str>,
    file: File,
    metadata: Arc<ParquetMetaData>,
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    first_rows: Vec<u64>,
    footer_hash: u128,
}

/// How one column of the shard is decoded.
struct Column {
    name: String,
    data_type: DataType,
    /// To arrays of the column's own type.
    plain: FieldLevels,
    /// To dictionaries, for text.
    dictionary: Option<FieldLevels>,
}

impl ParquetShard {
    /// Reads the footer of `shard`.
    ///
    /// # Errors
    /// [`Error::Data`] that names the shard when it is no Parquet file, is cut, or has a nested column.
    pub fn open(shard: &Shard) -> Result<Self> {
        let file = File::open(&shard.path).map_err(|e| Error::io("open", &shard.path, e))?;
        let attempt = std::panic::AssertUnwindSafe(|| ArrowReaderMetadata::load(&file, reader_options()));
        let loaded = std::panic::catch_unwind(attempt)
            .unwrap_or_else(|panic| Err(ParquetError::General(super::panic_text(&*panic))))
            .map_err(|e| {
                let message = "not a readable Parquet file; it may be cut or of another format: restore it, or take it out of the input";
                Error::unreadable(Site::shard(&shard.name), message, e)
            })?;
        let metadata = Arc::clone(loaded.metadata());
        let root = metadata.file_metadata().schema_descr().root_schema();
        let mut columns = Vec::with_capacity(loaded.schema().fields().len());
        let mut by_name = HashMap::with_capacity(columns.capacity());
        for (at, (field, node)) in loaded.schema().fields().iter().zip(root.get_fields()).enumerate() {
            let site = || Site::shard(&shard.name).in_column(field.name());
            let Some(target) = schema::plain(field.data_type()).filter(|_| node.is_primitive()) else {
                let message = format!(
                    "type {} is not supported: flatten it into plain columns, or leave it out",
                    field.data_type()
                );
                return Err(Error::data(site(), message));
            };
            let column = Column::new(field, node, target)
                .map_err(|e| Error::unreadable(site(), "its type cannot be read", e))?;
            by_name.insert(field.name().clone(), at);
            columns.push(column);
        }
        let mut first_rows = Vec::with_capacity(metadata.num_row_groups() + 1);
        first_rows.push(0);
        for group in metadata.row_groups() {
            first_rows.push(first_rows[first_rows.len() - 1] + group.num_rows().max(0) as u64);
        }
        let footer_hash = footer_hash(&file, shard)?;
        Ok(Self { name: shard.name.as_str().into(), file, metadata, columns, by_name, first_rows, footer_hash })
    }

    /// The columns' names and plain types, in the file's order.
    pub fn fields(&self) -> ShardFields {
        self.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect()
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.first_rows[self.first_rows.len() - 1]
    }

    /// XXH3-128 of the footer's bytes: another footer is another file.
    pub fn footer_hash(&self) -> u128 {
        self.footer_hash
    }

    /// The shard's rows in chunks: row groups, those whose decoded columns are larger than `chunk_bytes` in pieces.
    pub fn chunks(self: &Arc<Self>, chunk_bytes: u64) -> Vec<RowGroupRange> {
        let mut chunks = Vec::new();
        for (group, meta) in self.metadata.row_groups().iter().enumerate() {
            let rows = meta.num_rows().max(0) as usize;
            let pieces = (decoded_bytes(meta) / chunk_bytes.max(1)) as usize + 1;
            let step = rows.div_ceil(pieces).next_multiple_of(BATCH_ROWS);
            chunks.extend((0..rows).step_by(step.max(1)).map(|start| RowGroupRange {
                shard: Arc::clone(self),
                group,
                start,
                rows: step.min(rows - start),
            }));
        }
        chunks
    }
}

/// An estimate of what a row group's columns take when decoded, in bytes.
fn decoded_bytes(group: &RowGroupMetaData) -> u64 {
    let rows = group.num_rows().max(0) as u64;
    let column = |c: &ColumnChunkMetaData| (c.uncompressed_size().max(0) as u64).max(rows * 8);
    group.columns().iter().map(column).sum()
}

fn reader_options() -> ArrowReaderOptions {
    ArrowReaderOptions::new()
        .with_page_index_policy(PageIndexPolicy::Skip)
        .with_encoding_stats_as_mask(true)
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
}

fn footer_hash(file: &File, shard: &Shard) -> Result<u128> {
    let io = |e| Error::io("read", &shard.path, e);
    let mut tail = [0u8; 8];
    file.read_exact_at(&mut tail, shard.bytes.saturating_sub(8)).map_err(io)?;
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]])) + 8;
    let mut footer = vec![0; length.min(shard.bytes) as usize];
    file.read_exact_at(&mut footer, shard.bytes.saturating_sub(length)).map_err(io)?;
    Ok(xxh3_128(&footer))
}

impl Column {
    fn new(field: &Field, node: &Arc<Type>, target: DataType) -> ParquetResult<Self> {
        let root = Type::group_type_builder("schema").with_fields(vec![Arc::clone(node)]).build()?;
        let alone = SchemaDescriptor::new(Arc::new(root));
        let levels = |data_type: DataType| {
            let hint = Fields::from(vec![field.clone().with_data_type(data_type)]);
            parquet_to_arrow_field_levels(&alone, ProjectionMask::all(), Some(&hint))
        };
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let dictionary = (target == DataType::Utf8).then(|| levels(dictionary)).transpose()?;
        // Dates of 64 bits are decoded as such, and become dates of 32 bits like every other narrower type.
        let decoded = if *field.data_type() == DataType::Date64 { DataType::Date64 } else { target.clone() };
        Ok(Self { name: field.name().clone(), plain: levels(decoded)?, data_type: target, dictionary })
    }
}

/// Consecutive rows of one row group.
#[derive(Clone)]
pub struct RowGroupRange {
    shard: Arc<ParquetShard>,
    group: usize,
    start: usize,
    rows: usize,
}

impl RowGroupRange {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Row of the shard that the range starts at.
    pub fn first_row(&self) -> u64 {
        self.shard.first_rows[self.group] + self.start as u64
    }

    /// Name of the shard.
    pub fn shard(&self) -> &str {
        &self.shard.name
    }

    fn meta(&self) -> &RowGroupMetaData {
        self.shard.metadata.row_group(self.group)
    }

    /// Rows an array: fewer than [`BATCH_ROWS`] where a column's values are large.
    fn batch_rows(&self) -> usize {
        let rows = self.meta().num_rows().max(1) as u64;
        let widest = self.meta().columns().iter().map(|c| c.uncompressed_size().max(0) as u64).max().unwrap_or(0);
        let fitting = (BATCH_BYTES * rows / widest.max(1)).max(64) as usize;
        fitting.min(BATCH_ROWS)
    }

    /// Lengths of the arrays every column is decoded in.
    pub fn batches(&self) -> Vec<usize> {
        let step = self.batch_rows();
        (0..self.rows).step_by(step).map(|start| step.min(self.rows - start)).collect()
    }

    /// The compressed size of the range's row group, in bytes.
    pub fn compressed_bytes(&self) -> u64 {
        let whole = self.meta().compressed_size().max(0) as u64;
        whole * self.rows as u64 / (self.meta().num_rows().max(1) as u64)
    }

    /// The decoded size of the range's columns, in bytes; an estimate.
    pub fn decoded_bytes(&self) -> u64 {
        decoded_bytes(self.meta()) * self.rows as u64 / (self.meta().num_rows().max(1) as u64)
    }

    /// Asks the system to read the range's bytes ahead. A hint: a refusal changes nothing.
    pub fn will_need(&self) {
        let ranges = self.meta().columns().iter().map(ColumnChunkMetaData::byte_range);
        let start = ranges.clone().map(|(start, _)| start).min().unwrap_or(0);
        let end = ranges.map(|(start, length)| start + length).max().unwrap_or(0);
        let length = std::num::NonZeroU64::new(end.saturating_sub(start));
        let _ = rustix::fs::fadvise(&self.shard.file, start, length, rustix::fs::Advice::WillNeed);
    }

    /// Decodes column `at` of `schema`; see [`super::Chunk::for_each_array`].
    pub(super) fn for_each_array(
        &self,
        schema: &SchemaRef,
        at: usize,
        visit: &mut dyn FnMut(usize, ArrayRef) -> Result<()>,
    ) -> Result<()> {
        let target = schema.field(at).data_type();
        let Some(&column) = self.shard.by_name.get(schema.field(at).name()) else {
            let mut first = 0;
            return super::nulls(target, &self.batches()).into_iter().try_for_each(|array| {
                let start = first;
                first += array.len();
                visit(start, array)
            });
        };
        let unreadable = |e| Error::unreadable(Site::default(), "cannot be decoded; the shard is probably damaged", e);
        let reader = self.reader(column).map_err(unreadable)?;
        let mut first = 0;
        for batch in reader {
            let batch = batch.map_err(|e| unreadable(e.into()))?;
            let array = super::conform(Arc::clone(batch.column(0)), target, self.first_row() + first as u64)?;
            let start = first;
            first += array.len();
            visit(start, array)?;
        }
        if first != self.rows {
            let message =
                format!("holds {first} of the {} rows that the footer claims; the shard is damaged", self.rows);
            return Err(Error::data(Site::default(), message));
        }
        Ok(())
    }

    fn reader(&self, column: usize) -> ParquetResult<ParquetRecordBatchReader> {
        let meta = self.meta().column(column);
        let how = &self.shard.columns[column];
        let levels = how.dictionary.as_ref().filter(|_| is_dictionary_encoded(meta)).unwrap_or(&how.plain);
        let whole = self.rows as i64 == self.meta().num_rows();
        let selection = (!whole).then(|| {
            let rest = self.meta().num_rows() as usize - self.start - self.rows;
            RowSelection::from(vec![
                RowSelector::skip(self.start),
                RowSelector::select(self.rows),
                RowSelector::skip(rest),
            ])
        });
        let alone = OneColumn { range: self, column };
        ParquetRecordBatchReader::try_new_with_row_groups(levels, &alone, self.batch_rows(), selection)
    }
}

/// Whether every data page of the chunk refers to its dictionary, as far as the footer says.
fn is_dictionary_encoded(meta: &ColumnChunkMetaData) -> bool {
    let has_dictionary = meta.dictionary_page_offset().is_some();
    let only = |encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY | Encoding::RLE);
    match meta.page_encoding_stats_mask() {
        Some(mask) => has_dictionary && mask.encodings().all(only),
        None => {
            has_dictionary
                && meta.encodings().filter(|e| *e != Encoding::PLAIN).all(only)
                && meta.uncompressed_size() < meta.num_values() * 5
        }
    }
}

/// A row group reduced to one column, which the decoder knows as column 0.
struct OneColumn<'a> {
    range: &'a RowGroupRange,
    column: usize,
}

impl RowGroups for OneColumn<'_> {
    fn num_rows(&self) -> usize {
        self.range.meta().num_rows().max(0) as usize
    }

    fn column_chunks(&self, _: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let meta = self.range.meta().column(self.column);
        let bytes = ChunkBytes::new(&self.range.shard, meta)?;
        let pages = SerializedPageReader::new(Arc::new(bytes), meta, self.num_rows(), None)?;
        Ok(Box::new(OneChunk(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.range.meta()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.range.shard.metadata
    }
}

/// The pages of the one column chunk.
struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

/// The bytes of a column chunk, addressed as in the file: in memory when small, else read as pages are asked for.
enum ChunkBytes {
    Whole { start: u64, bytes: Bytes },
    Paged { shard: Arc<ParquetShard>, end: u64 },
}

impl ChunkBytes {
    fn new(shard: &Arc<ParquetShard>, meta: &ColumnChunkMetaData) -> ParquetResult<Self> {
        let (start, length) = meta.byte_range();
        let file_end = shard.file.metadata()?.len();
        let end = start.checked_add(length).filter(|end| *end <= file_end);
        let end = end.ok_or_else(|| ParquetError::EOF("a column chunk reaches beyond the end of the file".into()))?;
        if length > READ_WHOLE {
            return Ok(Self::Paged { shard: Arc::clone(shard), end });
        }
        Ok(Self::Whole { start, bytes: read_range(&shard.file, start, length as usize)? })
    }

    fn beyond() -> ParquetError {
        ParquetError::EOF("a page reaches beyond its column chunk".into())
    }
}

fn read_range(file: &File, start: u64, length: usize) -> ParquetResult<Bytes> {
    // Into spare capacity: zeroing what is overwritten at once would cost as much as the read.
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = start + bytes.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(ParquetError::EOF("the file ends within a column chunk".into())),
            Ok(_) | Err(Errno::INTR) => {}
            Err(refused) => return Err(std::io::Error::from(refused).into()),
        }
    }
    bytes.truncate(length);
    Ok(bytes.into())
}

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        match self {
            Self::Whole { start, bytes } => start + bytes.len() as u64,
            Self::Paged { end, .. } => *end,
        }
    }
}

impl ChunkReader for ChunkBytes {
    type T = Box<dyn Read>;

    fn get_read(&self, at: u64) -> ParquetResult<Self::T> {
        match self {
            Self::Whole { start, bytes } => {
                let offset = at.checked_sub(*start).filter(|o| *o <= bytes.len() as u64).ok_or_else(Self::beyond)?;
                Ok(Box::new(bytes::Buf::reader(bytes.slice(offset as usize..))))
            }
            Self::Paged { shard, end } => {
                let from = FileFrom { shard: Arc::clone(shard), at, end: *end };
                Ok(Box::new(BufReader::with_capacity(512, from)))
            }
        }
    }

    fn get_bytes(&self, at: u64, length: usize) -> ParquetResult<Bytes> {
        let end = at.checked_add(length as u64).filter(|end| *end <= self.len()).ok_or_else(Self::beyond)?;
        match self {
            Self::Whole { start, bytes } => {
                let offset = at.checked_sub(*start).ok_or_else(Self::beyond)?;
                Ok(bytes.slice(offset as usize..(end - start) as usize))
            }
            Self::Paged { shard, .. } => read_range(&shard.file, at, length),
        }
    }
}

/// Reads a shard's file from a place on, without moving a cursor that others share.
struct FileFrom {
    shard: Arc<ParquetShard>,
    at: u64,
    end: u64,
}

impl Read for FileFrom {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.end.saturating_sub(self.at) as usize);
        let read = self.shard.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
