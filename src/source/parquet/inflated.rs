//! Parquet files that were compressed as a whole, `x.parquet.gz`: a footer is read last and first, so all of such a file
//! has to be there to read any of it. It is inflated to a file without a name, which is gone when it is closed.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result, Site};
use crate::source::compression;

/// Bytes that are inflated at once.
const BLOCK_BYTES: usize = 256 << 10;

/// What a Parquet file begins with.
const MAGIC: &[u8] = b"PAR1";

/// The plain bytes of the file at `path`, if it is compressed, and how many they are.
///
/// # Errors
/// [`Error::Data`] when the stream is cut, or holds something else; [`Error::Io`] when there is no room for it.
pub(super) fn file(path: &Path, scratch: &Path) -> Result<Option<(File, u64)>> {
    if !compression::is_compressed(path)? {
        return Ok(None);
    }
    let mut plain = compression::open(path)?;
    let mut inflated = tempfile::tempfile_in(scratch).map_err(|e| Error::io("create a file in", scratch, e))?;
    let mut block = Vec::new();
    let mut bytes = 0;
    loop {
        block.clear();
        let more = plain.fill(&mut block, BLOCK_BYTES)?;
        // Before room is given to what is none: a few bytes may inflate to a full disk.
        if bytes == 0 && !block.starts_with(MAGIC) {
            let message = "what is compressed in it is no Parquet file (it does not begin with PAR1); correct the name";
            return Err(Error::data(Site::default(), message));
        }
        inflated.write_all(&block).map_err(|e| Error::io("inflate a shard to a file in", scratch, e))?;
        bytes += block.len() as u64;
        if !more {
            return Ok(Some((inflated, bytes)));
        }
    }
}
