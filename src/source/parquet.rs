//! Parquet shards: one footer read a shard, then single columns of single row groups, decoded straight from the column
//! chunk's bytes. A column's reader knows nothing of the other columns, so that the work per column does not grow with
//! the width of the table, and any column of any row group can be decoded on any thread.

mod bytes;
pub mod copy;
mod flat;
mod footer;
mod header;
mod inflated;
mod levels;
mod library;
mod pages;
mod physical;
mod stored;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use hashbrown::HashMap;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as Physicals;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetStatisticsPolicy};
use parquet::schema::types::Type;

use self::flat::{Flat, Types};
use self::library::Library;
use self::physical::Unfit;
use self::stored::TooLarge;
use super::{BATCH_ROWS, Limits, Shard};
use crate::error::{Error, RAISE_MEMORY, Result, Site};
use crate::panics;
use crate::schema::{self, ShardFields};

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
    most_page_bytes: u64,
}

/// How one column of the shard is decoded.
struct Column {
    name: String,
    /// Its plain type.
    data_type: DataType,
    /// By the decoder here, where it can.
    flat: Option<Flat>,
    library: Library,
}

impl ParquetShard {
    /// Reads the footer of `shard`. One that is compressed as a whole is inflated into a file without a name in the directory `scratch`.
    ///
    /// # Errors
    /// [`Error::Data`] that names the shard when it is no Parquet file, is cut, or has a nested column.
    pub fn open(shard: &Shard, limits: Limits, scratch: &Path) -> Result<Self> {
        let inflated = inflated::file(&shard.path, scratch).map_err(|e| e.in_shard(&shard.name))?;
        let (file, plain) = match inflated {
            None => (File::open(&shard.path).map_err(|e| Error::io("open", &shard.path, e))?, None),
            Some((file, bytes)) => (file, Some(Shard { bytes, ..shard.clone() })),
        };
        let shard = plain.as_ref().unwrap_or(shard);
        let footer_hash = footer::check(&file, shard, limits)?;
        let loaded = load(&file, reader_options()).map_err(|e| footer::unreadable(shard, e))?;
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
            let target = if is_int96(node) { int96_type(&metadata) } else { target };
            let library = Library::new(field, node, &target)
                .map_err(|e| Error::unreadable(site(), "its type cannot be read", e))?;
            let flat = Flat::new(node, field.data_type(), &target);
            by_name.insert(field.name().clone(), at);
            columns.push(Column { name: field.name().clone(), data_type: target, flat, library });
        }
        let first_rows = footer::first_rows(&metadata, shard)?;
        let most_page_bytes = limits.page_bytes;
        let name = shard.name.as_str().into();
        Ok(Self { name, file, metadata, columns, by_name, first_rows, footer_hash, most_page_bytes })
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

    /// The shard's rows in chunks: row groups, those whose decoded columns are larger than `chunk_bytes`, or that have more
    /// than `chunk_rows` rows, in pieces.
    pub fn chunks(self: &Arc<Self>, chunk_bytes: u64, chunk_rows: usize) -> Vec<RowGroupRange> {
        let mut chunks = Vec::new();
        for (group, meta) in self.metadata.row_groups().iter().enumerate() {
            let rows = meta.num_rows().max(0) as usize;
            let pieces = (decoded_bytes(meta) / chunk_bytes.max(1)) as usize;
            let pieces = pieces.saturating_add(1).max(rows.div_ceil(chunk_rows.max(1)));
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
    group.columns().iter().map(column).fold(0, u64::saturating_add)
}

fn reader_options() -> ArrowReaderOptions {
    ArrowReaderOptions::new()
        .with_page_index_policy(PageIndexPolicy::Skip)
        .with_encoding_stats_as_mask(true)
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
}

fn is_int96(node: &Type) -> bool {
    node.is_primitive() && node.get_physical_type() == Physicals::INT96
}

/// What timestamps of 96 bits are read as: nanoseconds, as they are stored; but Spark's have whole microseconds, over all
/// the years that a date can have.
fn int96_type(metadata: &ParquetMetaData) -> DataType {
    let named = |key_value: &KeyValue| key_value.key.starts_with("org.apache.spark.");
    let spark = metadata.file_metadata().key_value_metadata().is_some_and(|all| all.iter().any(named));
    DataType::Timestamp(if spark { TimeUnit::Microsecond } else { TimeUnit::Nanosecond }, None)
}

/// Reads a footer; a panic of the library is an error.
fn load(file: &File, options: ArrowReaderOptions) -> Result<ArrowReaderMetadata, ParquetError> {
    let loaded = panics::caught(|| ArrowReaderMetadata::load(file, options));
    loaded.unwrap_or_else(|panic| Err(ParquetError::General(panic)))
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
        self.batch_lengths().collect()
    }

    fn batch_lengths(&self) -> impl Iterator<Item = usize> + use<> {
        let (rows, step) = (self.rows, self.batch_rows());
        (0..rows).step_by(step).map(move |start| step.min(rows - start))
    }

    /// The compressed size of the range's row group, in bytes.
    pub fn compressed_bytes(&self) -> u64 {
        let whole = |sum: u64, column: &ColumnChunkMetaData| sum.saturating_add(column.compressed_size().max(0) as u64);
        self.share(self.meta().columns().iter().fold(0, whole))
    }

    /// The decoded size of the range's columns, in bytes; an estimate.
    pub fn decoded_bytes(&self) -> u64 {
        self.share(decoded_bytes(self.meta()))
    }

    /// Of something of the whole row group, the range's part.
    fn share(&self, whole: u64) -> u64 {
        let share = u128::from(whole) * self.rows as u128 / self.meta().num_rows().max(1) as u128;
        u64::try_from(share).unwrap_or(u64::MAX)
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
        let wanted = schema.field(at).data_type();
        let Some(&column) = self.shard.by_name.get(schema.field(at).name()) else {
            let mut first = 0;
            return super::nulls(wanted, &self.batches()).into_iter().try_for_each(|array| {
                let start = first;
                first += array.len();
                visit(start, array)
            });
        };
        let how = &self.shard.columns[column];
        let types = Types { plain: &how.data_type, wanted };
        let done = how.flat.map_or(Ok(0), |flat| flat.for_each_array(self, column, types, visit))?;
        if done == self.rows {
            return Ok(());
        }
        if how.flat.is_some_and(Flat::is_alone) {
            let message =
                "has timestamps of 96 bits in an encoding that is not read; write it as a timestamp of 64 bits";
            return Err(Error::data(Site::default(), message));
        }
        self.by_library(column, wanted, done, visit)
    }

    /// The rows from `skip` on, as the library's reader decodes them.
    fn by_library(
        &self,
        column: usize,
        wanted: &DataType,
        skip: usize,
        visit: &mut dyn FnMut(usize, ArrayRef) -> Result<()>,
    ) -> Result<()> {
        let reader = self.shard.columns[column].library.reader(self, column, skip).map_err(unreadable)?;
        let mut first = skip;
        for batch in reader {
            let batch = batch.map_err(|e| unreadable(e.into()))?;
            let array = super::conform(Arc::clone(batch.column(0)), wanted, self.first_row() + first as u64)?;
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
}

fn unreadable(cause: ParquetError) -> Error {
    if let ParquetError::External(cause) = cause {
        let advice = match () {
            () if cause.is::<TooLarge>() => {
                format!("{RAISE_MEMORY}, lower --threads, or write the shard with smaller pages")
            }
            () if cause.is::<Unfit>() => "set the column's type in `input.schema`".to_string(),
            () => return Error::unreadable(Site::default(), "cannot be decoded; the shard is probably damaged", cause),
        };
        return Error::data(Site::default(), format!("{cause}: {advice}"));
    }
    Error::unreadable(Site::default(), "cannot be decoded; the shard is probably damaged", cause)
}

#[cfg(test)]
mod tests;
