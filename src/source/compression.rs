//! A file as its plain bytes: gzip (of any number of members) and Zstandard (of any number of frames) are seen through.
//! Which it is, the first bytes tell; a name that promises compression must keep the promise. Never reads ahead.

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use flate2::bufread::MultiGzDecoder;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result, Site};

/// Bytes asked of the file system at once.
const READ_BYTES: usize = 256 << 10;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The first frame may be a skippable one, of 16 kinds.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];

/// XXH3-128 of a file as it is on disk, once it was read to its end.
#[derive(Debug, Clone, Default)]
pub struct ContentHash(Arc<OnceLock<u128>>);

impl ContentHash {
    /// The hash; nothing before the end was read.
    pub fn get(&self) -> Option<u128> {
        self.0.get().copied()
    }
}

/// A file whose bytes are hashed as they are read.
struct Hashed {
    file: File,
    digest: Box<Xxh3>,
    content: ContentHash,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() {
            self.content.0.get_or_init(|| self.digest.digest128());
        }
        Ok(read)
    }
}

/// The plain bytes of an opened file.
pub struct Plain {
    path: PathBuf,
    codec: Option<Codec>,
    content: ContentHash,
    reader: Box<dyn Read + Send>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Gzip,
    Zstd,
}

impl Codec {
    fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn of_content(magic: &[u8]) -> Option<Self> {
        let skippable = magic.len() == 4 && magic[0] & 0xf0 == 0x50 && magic.ends_with(ZSTD_SKIPPABLE);
        match () {
            () if magic.starts_with(GZIP) => Some(Self::Gzip),
            () if magic.starts_with(ZSTD) || skippable => Some(Self::Zstd),
            () => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "Zstandard",
        }
    }
}

/// Whether the name of a file says that it is compressed.
pub fn is_named_so(path: &Path) -> bool {
    Codec::of_name(path).is_some()
}

/// Whether a file is compressed, or has a name that says so.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub fn is_compressed(path: &Path) -> Result<bool> {
    let mut magic = Vec::with_capacity(4);
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    file.take(4).read_to_end(&mut magic).map_err(|e| Error::io("read", path, e))?;
    Ok(is_named_so(path) || Codec::of_content(&magic).is_some())
}

/// Opens the file at `path` for its plain bytes.
///
/// # Errors
/// [`Error::Io`] when the system refuses, [`Error::Data`] when the name ends in `.gz` or `.zst` and the content is
/// something else; an empty file is empty whatever its name.
pub fn open(path: &Path) -> Result<Plain> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let content = ContentHash::default();
    let mut file = Hashed { file, digest: Box::default(), content: content.clone() };
    let mut magic = Vec::with_capacity(4);
    file.by_ref().take(4).read_to_end(&mut magic).map_err(|e| Error::io("read", path, e))?;
    let codec = Codec::of_content(&magic);
    if let Some(promised) = Codec::of_name(path)
        && codec != Some(promised)
        && !magic.is_empty()
    {
        let message = format!("named as a {} file, but its content is not; correct the name", promised.name());
        return Err(Error::data(Site::default(), message));
    }
    let whole: Chain<Cursor<Vec<u8>>, Hashed> = Cursor::new(magic).chain(file);
    let reader: Box<dyn Read + Send> = match codec {
        None => Box::new(whole),
        Some(Codec::Gzip) => Box::new(MultiGzDecoder::new(BufReader::with_capacity(READ_BYTES, whole))),
        Some(Codec::Zstd) => {
            let frames = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(READ_BYTES, whole));
            Box::new(frames.map_err(|e| Error::failed("starting the Zstandard decoder", e))?)
        }
    };
    Ok(Plain { path: path.to_path_buf(), codec, content, reader })
}

impl Plain {
    /// The hash of the file, to be asked once all of it was read.
    pub fn content(&self) -> ContentHash {
        self.content.clone()
    }

    /// Appends bytes to `buffer` until it holds `target` bytes; false once the file has no more.
    ///
    /// # Errors
    /// [`Error::Data`] when the compressed stream is cut or damaged, [`Error::Io`] when the system refuses to read.
    pub fn fill(&mut self, buffer: &mut Vec<u8>, target: usize) -> Result<bool> {
        let missing = target.saturating_sub(buffer.len());
        buffer.reserve_exact(missing);
        let outcome = self.reader.by_ref().take(missing as u64).read_to_end(buffer);
        outcome.map(|read| read == missing).map_err(|e| self.failure(e))
    }

    /// What a failed read means for this file.
    pub fn failure(&self, error: io::Error) -> Error {
        match self.codec {
            None => Error::io("read", &self.path, error),
            Some(codec) => {
                let message = format!(
                    "the {} stream is cut or damaged; restore the file, or take it out of the input",
                    codec.name()
                );
                Error::unreadable(Site::default(), message, error)
            }
        }
    }
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

#[cfg(test)]
#[path = "compression_tests.rs"]
mod tests;
