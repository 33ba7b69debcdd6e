//! Files as streams of plain bytes: gzip with any number of members and zstd with any number of frames are seen through,
//! by their first bytes, whatever the file is called.

use std::fs::File;
use std::io::{BufReader, Chain, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BUFFER_BYTES: usize = 256 << 10;

/// Opens `path` for reading its plain bytes from the start.
///
/// # Errors
/// [`Error::Io`].
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    let io = |e| Error::io("open", path, e);
    let mut file = File::open(path).map_err(io)?;
    let mut first = Vec::with_capacity(4);
    file.by_ref().take(4).read_to_end(&mut first).map_err(io)?;
    let is_gzip = first.starts_with(&GZIP);
    let is_zstd = first.starts_with(&ZSTD);
    let whole: Chain<Cursor<Vec<u8>>, File> = Cursor::new(first).chain(file);
    let buffered = BufReader::with_capacity(BUFFER_BYTES, whole);
    if is_gzip {
        return Ok(Box::new(MultiGzDecoder::new(buffered)));
    }
    if is_zstd {
        return Ok(Box::new(zstd::Decoder::with_buffer(buffered).map_err(io)?));
    }
    Ok(Box::new(buffered))
}
