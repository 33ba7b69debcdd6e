//! Column chunks as they are: for jobs that change nothing, row groups go from shard to part undecoded.

use std::io::{BufReader, Read};
use std::sync::Arc;

use parquet::basic::CompressionCodec;
use parquet::column::page::PageReader;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::SchemaDescriptor;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::bytes::{ChunkBytes, FileFrom};
use super::stored::StoredPages;
use super::{ParquetShard, reader_options};
use crate::error::{Error, Result, Site};
use crate::panics;
use crate::source::Shard;

/// Bytes that are read at once.
const READ_BYTES: usize = 32 << 10;

/// What decides whether a shard's row groups can be parts of a file of twopass as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Rows of the row groups that have any.
    pub groups: Vec<u64>,
    /// The one compression of all column chunks; nothing when there are several.
    pub compression: Option<CompressionCodec>,
    /// What the columns are called and how they are stored; see [`columns_hash`].
    pub columns: u128,
}

/// XXH3-128 of all that Parquet says of the columns of a file: names, order, types, and whether values may be missing.
pub fn columns_hash(columns: &SchemaDescriptor) -> u128 {
    let described: Vec<String> = columns.columns().iter().map(|column| format!("{column:?}")).collect();
    xxh3_128(described.join("\n").as_bytes())
}

/// One column of a row group, on disk.
pub struct StoredChunk {
    shard: Arc<ParquetShard>,
    metadata: Arc<ParquetMetaData>,
    group: usize,
    column: usize,
}

impl ParquetShard {
    /// How its row groups lie.
    pub fn layout(&self) -> Layout {
        let groups = self.metadata.row_groups();
        let mut compressions =
            groups.iter().flat_map(RowGroupMetaData::columns).map(ColumnChunkMetaData::compression_codec);
        let first = compressions.next();
        Layout {
            groups: groups.iter().map(|group| group.num_rows().max(0) as u64).filter(|rows| *rows > 0).collect(),
            compression: first.filter(|first| compressions.all(|other| other == *first)),
            columns: columns_hash(self.metadata.file_metadata().schema_descr()),
        }
    }

    /// Checks that every column chunk has the rows that the footer claims, by the headers of its pages.
    ///
    /// # Errors
    /// [`Error::Data`] that names shard and column.
    pub fn check_pages(self: &Arc<Self>) -> Result<()> {
        let groups = self.metadata.row_groups();
        let chunks: Vec<(usize, usize)> =
            (0..groups.len()).flat_map(|group| (0..groups[group].num_columns()).map(move |at| (group, at))).collect();
        chunks.par_iter().try_for_each(|&(group, at)| {
            let (rows, meta) = (groups[group].num_rows(), groups[group].column(at));
            let site = || Site::shard(&*self.name).in_column(meta.column_path().string());
            let values = panics::caught(|| self.values_of(rows, meta))
                .unwrap_or_else(|panic| Err(ParquetError::General(panic)))
                .map_err(|e| Error::unreadable(site(), "its pages cannot be read; the shard is probably damaged", e))?;
            if values != rows {
                let message = format!("holds {values} of the {rows} rows that the footer claims; the shard is damaged");
                return Err(Error::data(site(), message));
            }
            Ok(())
        })
    }

    fn values_of(self: &Arc<Self>, rows: i64, meta: &ColumnChunkMetaData) -> ParquetResult<i64> {
        let mut pages = StoredPages::over(ChunkBytes::paged(self, meta)?, self.most_page_bytes, meta, rows)?;
        let mut values = 0;
        while let Some(page) = pages.peek_next_page()? {
            if !page.is_dict {
                values += page.num_levels.or(page.num_rows).unwrap_or(0) as i64;
            }
            pages.skip_next_page()?;
        }
        Ok(values)
    }

    /// The column chunks of its row groups that have rows, with their statistics.
    ///
    /// # Errors
    /// [`Error::Data`] when the footer cannot be read again.
    pub fn stored_chunks(self: &Arc<Self>, shard: &Shard) -> Result<Vec<(u64, Vec<StoredChunk>)>> {
        let whole = reader_options()
            .with_encoding_stats_as_mask(false)
            .with_column_stats_policy(parquet::file::metadata::ParquetStatisticsPolicy::KeepAll)
            .with_size_stats_policy(parquet::file::metadata::ParquetStatisticsPolicy::KeepAll);
        let loaded = super::load(&self.file, whole)
            .map_err(|e| Error::unreadable(Site::shard(&shard.name), "its footer cannot be read again", e))?;
        let metadata = loaded.metadata();
        let chunks = |group: usize| {
            let stored =
                |column| StoredChunk { shard: Arc::clone(self), metadata: Arc::clone(metadata), group, column };
            let row_group = metadata.row_group(group);
            (row_group.num_rows().max(0) as u64, (0..row_group.num_columns()).map(stored).collect())
        };
        Ok((0..metadata.num_row_groups()).map(chunks).filter(|(rows, _): &(u64, Vec<_>)| *rows > 0).collect())
    }
}

impl StoredChunk {
    fn meta(&self) -> &ColumnChunkMetaData {
        self.metadata.row_group(self.group).column(self.column)
    }

    /// Bytes in it.
    pub fn bytes(&self) -> u64 {
        self.meta().byte_range().1
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.metadata.row_group(self.group).num_rows().max(0) as u64
    }

    /// What the footer of another file says of it.
    pub fn close(&self) -> ColumnCloseResult {
        ColumnCloseResult {
            bytes_written: self.meta().compressed_size().max(0) as u64,
            rows_written: self.rows(),
            metadata: self.meta().clone(),
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        }
    }
}

impl Length for StoredChunk {
    fn len(&self) -> u64 {
        let (start, length) = self.meta().byte_range();
        start + length
    }
}

impl ChunkReader for StoredChunk {
    type T = BufReader<Box<dyn Read>>;

    fn get_read(&self, at: u64) -> ParquetResult<Self::T> {
        let from = FileFrom { shard: Arc::clone(&self.shard), at, end: self.len() };
        Ok(BufReader::with_capacity(READ_BYTES.min(self.meta().byte_range().1 as usize), Box::new(from)))
    }

    fn get_bytes(&self, _: u64, _: usize) -> ParquetResult<bytes::Bytes> {
        Err(ParquetError::General("a stored chunk is read from its start".into()))
    }
}
