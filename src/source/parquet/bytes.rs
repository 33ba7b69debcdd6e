//! The bytes of one column chunk: small ones are read in one go, large ones page by page.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ColumnChunkMetaData;
use rustix::io::Errno;

use super::ParquetShard;

/// Column chunks up to this size are read in one go; larger ones page by page.
const READ_WHOLE: u64 = 4 << 20;

/// The bytes of a column chunk, addressed as in the file: in memory when small, else read as pages are asked for.
pub(super) enum ChunkBytes {
    Whole { start: u64, bytes: Bytes },
    Paged { shard: Arc<ParquetShard>, end: u64 },
}

impl ChunkBytes {
    pub(super) fn new(shard: &Arc<ParquetShard>, meta: &ColumnChunkMetaData) -> ParquetResult<Self> {
        let (start, length) = meta.byte_range();
        let end = Self::end(shard, meta)?;
        if length > READ_WHOLE {
            return Ok(Self::Paged { shard: Arc::clone(shard), end });
        }
        Ok(Self::Whole { start, bytes: read_range(&shard.file, start, length as usize)? })
    }

    /// The same, read only where it is asked for.
    pub(super) fn paged(shard: &Arc<ParquetShard>, meta: &ColumnChunkMetaData) -> ParquetResult<Self> {
        let end = Self::end(shard, meta)?;
        Ok(Self::Paged { shard: Arc::clone(shard), end })
    }

    fn end(shard: &ParquetShard, meta: &ColumnChunkMetaData) -> ParquetResult<u64> {
        let (start, length) = meta.byte_range();
        let file_end = shard.file.metadata()?.len();
        let end = start.checked_add(length).filter(|end| *end <= file_end);
        end.ok_or_else(|| ParquetError::EOF("a column chunk reaches beyond the end of the file".into()))
    }

    /// So many bytes from a place of the file on.
    pub(super) fn get(&self, at: u64, length: usize) -> ParquetResult<Bytes> {
        let beyond = || ParquetError::EOF("a page reaches beyond its column chunk".into());
        match self {
            Self::Whole { start, bytes } => {
                let offset = at.checked_sub(*start).and_then(|offset| usize::try_from(offset).ok());
                let range = offset.and_then(|offset| Some(offset..offset.checked_add(length)?));
                Ok(bytes.slice(range.filter(|range| range.end <= bytes.len()).ok_or_else(beyond)?))
            }
            Self::Paged { shard, end } => {
                at.checked_add(length as u64).filter(|last| last <= end).ok_or_else(beyond)?;
                read_range(&shard.file, at, length)
            }
        }
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

/// Reads a shard's file from a place on, without moving a cursor that others share.
pub(super) struct FileFrom {
    pub(super) shard: Arc<ParquetShard>,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Read for FileFrom {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.end.saturating_sub(self.at) as usize);
        let read = self.shard.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
