//! What a footer says, checked before anything relies on it: that it is one, that it is not too large to be read, that no
//! row group has rows or bytes that the file cannot have.

use std::fs::File;
use std::os::unix::fs::FileExt;

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use xxhash_rust::xxh3::xxh3_128;

use super::header;
use crate::error::{Cause, Error, RAISE_MEMORY, Result, Site};
use crate::source::{Limits, Shard};

/// Bytes at the end of a file: the length of its footer, and the magic.
const TAIL_BYTES: u64 = 8;
/// What a byte of a footer becomes in memory, at the most.
const GROWTH: u64 = 8;
/// Rows that a row group may have: the indices of its pages are of 32 bits.
const MOST_ROWS: i64 = u32::MAX as i64;

/// Checks that `file` ends in a footer that there is room for; returns XXH3-128 of the footer.
pub(super) fn check(file: &File, shard: &Shard, limits: Limits) -> Result<u128> {
    let io = |e| Error::io("read", &shard.path, e);
    let refused = |message: &str| Err(Error::data(Site::shard(&shard.name), message));
    let not_parquet =
        "not a readable Parquet file; it may be cut or of another format: restore it, or take it out of the input";
    if shard.bytes < TAIL_BYTES + 4 {
        return refused(&format!("{not_parquet} ({} bytes are fewer than any has)", shard.bytes));
    }
    let mut tail = [0; TAIL_BYTES as usize];
    file.read_exact_at(&mut tail, shard.bytes - TAIL_BYTES).map_err(io)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic == *b"PARE" {
        return refused(
            "its footer is encrypted, and encrypted Parquet files are not read: write the shard without encryption",
        );
    }
    if magic != *b"PAR1" {
        return refused(&format!("{not_parquet} (it does not end in PAR1)"));
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > shard.bytes - TAIL_BYTES - 4 {
        return refused(&format!("{not_parquet} (a footer of {length} bytes in {} bytes)", shard.bytes));
    }
    if length.saturating_mul(GROWTH) > limits.header_bytes {
        return refused(&format!("a footer of {length} bytes is more than there is room for: {RAISE_MEMORY}"));
    }
    let mut footer = vec![0; (length + TAIL_BYTES) as usize];
    file.read_exact_at(&mut footer, shard.bytes - TAIL_BYTES - length).map_err(io)?;
    let columns = header::schema_elements(&footer).unwrap_or(0);
    limits.check_columns(columns).map_err(|e| e.in_shard(&shard.name))?;
    Ok(xxh3_128(&footer))
}

/// The error of a footer that the library cannot read.
pub(super) fn unreadable(shard: &Shard, cause: impl Into<Cause>) -> Error {
    let message = "its footer cannot be read; it may be damaged, or of a version that is not known here: restore it, or take it out of the input";
    Error::unreadable(Site::shard(&shard.name), message, cause)
}

/// The first row of every row group, and behind the last; checks that each can be as it is described.
pub(super) fn first_rows(metadata: &ParquetMetaData, shard: &Shard) -> Result<Vec<u64>> {
    let mut first_rows = Vec::with_capacity(metadata.num_row_groups() + 1);
    let mut rows = 0;
    first_rows.push(rows);
    for (at, group) in metadata.row_groups().iter().enumerate() {
        if !(0..=MOST_ROWS).contains(&group.num_rows()) {
            let message = format!("row group {at} claims {} rows; the shard is damaged", group.num_rows());
            return Err(Error::data(Site::shard(&shard.name), message));
        }
        if let Some((column, why)) =
            group.columns().iter().find_map(|c| Some((c, impossible(c, group.num_rows(), shard.bytes)?)))
        {
            let site = Site::shard(&shard.name).in_column(column.column_path().string());
            return Err(Error::data(site, format!("{why} in row group {at}; the shard is damaged")));
        }
        rows += group.num_rows() as u64;
        first_rows.push(rows);
    }
    let claimed = metadata.file_metadata().num_rows();
    if u64::try_from(claimed) != Ok(rows) {
        let message = format!("the footer claims {claimed} rows, and its row groups have {rows}; the shard is damaged");
        return Err(Error::data(Site::shard(&shard.name), message));
    }
    Ok(first_rows)
}

/// Why a column without nesting cannot be as it is described in a row group of so many rows.
fn impossible(column: &ColumnChunkMetaData, rows: i64, file_bytes: u64) -> Option<String> {
    if column.num_values() != rows {
        return Some(format!("holds {} of the {rows} rows that the footer claims", column.num_values()));
    }
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let end = start.checked_add(column.compressed_size()).filter(|_| start >= 0 && column.compressed_size() >= 0);
    let lies_within = rows == 0 || end.is_some_and(|end| end as u64 <= file_bytes);
    let negative = start < 0 || column.compressed_size() < 0 || column.uncompressed_size() < 0;
    (!lies_within || negative)
        .then(|| format!("lies at bytes {start} and {} further ones of {file_bytes}", column.compressed_size()))
}
