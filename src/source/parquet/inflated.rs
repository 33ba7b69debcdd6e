//! Parquet files that were compressed as a whole, `x.parquet.gz`: a footer is read last and first, so all of such a file
//! has to be there to read any of it. It is inflated to a file without a name, which is gone when it is closed.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
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
/// [`Error::Data`] when the stream is cut, or holds something else; [`Error::Io`] when it cannot be read; [`Error::Scratch`] when there is
/// no room for it in `scratch`, or no right to write there.
pub(super) fn file(path: &Path, scratch: &Path) -> Result<Option<(File, u64)>> {
    if !compression::is_compressed(path)? {
        return Ok(None);
    }
    let mut plain = compression::open(path)?;
    let mut inflated = tempfile::tempfile_in(scratch).map_err(|e| Error::scratch(scratch, e))?;
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
        let write = |file: &mut File| has_room(file).and_then(|()| file.write_all(&block));
        write(&mut inflated).map_err(|e| Error::scratch(scratch, e))?;
        bytes += block.len() as u64;
        if !more {
            return Ok(Some((inflated, bytes)));
        }
    }
}

/// Bytes of a disk that inflating leaves free at the most: the state and the output want to be written too.
const MOST_RESERVED: u64 = 256 << 20;
/// Which part of a small disk is left free.
const RESERVED: u64 = 20;

/// Whether the disk that `file` is on has room for another block, and then some: a small file may inflate to more than any disk holds.
fn has_room(file: &File) -> io::Result<()> {
    // A file system that does not say is no reason to stop.
    let Ok(found) = rustix::fs::fstatvfs(file) else { return Ok(()) };
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    judge(bytes(found.f_bavail), bytes(found.f_blocks))
}

fn judge(free: u64, size: u64) -> io::Result<()> {
    let reserved = (size / RESERVED).min(MOST_RESERVED);
    if size == 0 || free >= reserved + BLOCK_BYTES as u64 {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let message = format!("{} MiB are free, of which {} MiB are left free", mib(free), mib(reserved));
    Err(io::Error::new(ErrorKind::StorageFull, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflating_ends_before_the_disk_is_full() {
        const MIB: u64 = 1 << 20;
        let fits = |free: u64, size: u64| judge(free, size).is_ok();
        assert!(fits(300 * MIB, 1 << 40) && !fits(256 * MIB, 1 << 40));
        assert!(fits(6 * MIB, 100 * MIB) && !fits(5 * MIB, 100 * MIB));
        assert!(fits(0, 0), "a file system that does not say");
        let error = judge(5 * MIB, 100 * MIB).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(error.to_string(), "5 MiB are free, of which 5 MiB are left free");
    }
}
