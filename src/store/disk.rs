//! The file operations of the engine that must survive a crash, all in one place. Never interprets a byte, never retries.
//!
//! What the disk may do: an unsynced write may be lost, torn or reordered; a rename is atomic for every reader, but
//! durable only after its directory is synced. So everything here follows one order: write under a temporary name,
//! sync the file, rename, sync the directory. A file under its final name is complete; a temporary one means nothing.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};

/// How the temporary names end; the rest is `.` and the final name.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// The temporary name of `path`, in the same directory: a rename never crosses a file system.
pub fn temporary_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(TEMPORARY_SUFFIX);
    path.with_file_name(name)
}

/// The directory that holds the entry `path`.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the bytes and the length of an open file durable; `path` is for the error.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_file(file: &File, path: &Path) -> Result<()> {
    file.sync_all().map_err(|e| Error::io("sync", path, e))
}

/// Makes the entries of a directory durable: what was created, renamed or removed in it.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_dir(path: &Path) -> Result<()> {
    let dir = File::open(path).map_err(|e| Error::io("open", path, e))?;
    sync_file(&dir, path)
}

/// Creates a directory and its missing parents, each durably. One that exists already is left as it is.
///
/// # Errors
/// [`Error::Io`].
pub fn create_dir_all(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    create_dir_all(directory_of(path))?;
    match fs::create_dir(path) {
        // Another thread may have been faster; a file in the way fails here.
        Err(e) if e.kind() != ErrorKind::AlreadyExists || !path.is_dir() => Err(Error::io("create", path, e)),
        _ => sync_dir(directory_of(path)),
    }
}

/// Renames a file or a directory, without syncing: for several renames in a directory before one [`sync_dir`].
///
/// # Errors
/// [`Error::Io`] that names `to`.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| Error::io("rename to", to, e))
}

/// Renames a file or a directory, durably. An existing file at `to` is replaced; a directory only if it is empty.
///
/// # Errors
/// [`Error::Io`] that names `to`.
pub fn rename_durably(from: &Path, to: &Path) -> Result<()> {
    rename(from, to)?;
    sync_dir(directory_of(to))?;
    if directory_of(from) == directory_of(to) { Ok(()) } else { sync_dir(directory_of(from)) }
}

/// Publishes a staged directory as `target`, whole or not at all: its own entries are synced, then it is renamed.
/// The files in it, and the directories below it, are durable already (see [`AppendFile::seal`]).
///
/// # Errors
/// [`Error::Io`]; also when `target` exists and is not empty.
pub fn publish_dir(staged: &Path, target: &Path) -> Result<()> {
    sync_dir(staged)?;
    rename_durably(staged, target)
}

/// Lets two directories change places, durably: in one step where the file system can, so that at no instant either name
/// is without its directory; elsewhere in three.
///
/// # Errors
/// [`Error::Io`].
pub fn exchange_dirs(staged: &Path, target: &Path) -> Result<()> {
    let here = rustix::fs::CWD;
    match rustix::fs::renameat_with(here, staged, here, target, rustix::fs::RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let aside = temporary_name(target);
            rename(target, &aside)?;
            rename(staged, target)?;
            rename(&aside, staged)?;
        }
        Err(refused) => return Err(Error::io("replace", target, refused.into())),
    }
    sync_dir(directory_of(target))
}

/// Writes a whole file under a temporary name and renames it, durably: readers see the old bytes or the new ones.
///
/// # Errors
/// [`Error::Io`].
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AppendFile::create(path)?;
    file.append(bytes)?;
    file.seal().map(drop)
}

/// Reads a whole file.
///
/// # Errors
/// [`Error::Io`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Error::io("read", path, e))
}

/// Reads a whole file, or nothing when there is none.
///
/// # Errors
/// [`Error::Io`], except for a file that is not there.
pub fn read_if_any(path: &Path) -> Result<Option<Vec<u8>>> {
    absent_is_none(fs::read(path), "read", path)
}

/// Opens a file for reading.
///
/// # Errors
/// [`Error::Io`].
pub fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::io("open", path, e))
}

/// The length of a file in bytes, or nothing when there is none.
///
/// # Errors
/// [`Error::Io`], except for a file that is not there.
pub fn length_if_any(path: &Path) -> Result<Option<u64>> {
    absent_is_none(fs::metadata(path).map(|m| m.len()), "look at", path)
}

/// The names in a directory, sorted, or nothing when there is no directory. Names that are not UTF-8 come lossy.
///
/// # Errors
/// [`Error::Io`], except for a directory that is not there.
pub fn list_if_any(path: &Path) -> Result<Option<Vec<String>>> {
    let names = |entries: fs::ReadDir| -> io::Result<Vec<String>> {
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut found = absent_is_none(fs::read_dir(path).and_then(names), "list", path)?;
    if let Some(names) = &mut found {
        names.sort_unstable();
    }
    Ok(found)
}

/// Removes a file; one that is not there is removed already.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_file(path: &Path) -> Result<()> {
    absent_is_none(fs::remove_file(path), "remove", path).map(drop)
}

/// Removes a directory and all that is in it; one that is not there is removed already.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_dir_all(path: &Path) -> Result<()> {
    absent_is_none(fs::remove_dir_all(path), "remove", path).map(drop)
}

/// Removes a directory that is empty by now.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_dir(path: &Path) -> Result<()> {
    fs::remove_dir(path).map_err(|e| Error::io("remove", path, e))
}

fn absent_is_none<T>(result: io::Result<T>, action: &'static str, path: &Path) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(action, path, e)),
    }
}

/// A new file that only grows, under its temporary name until it is sealed:
///
/// ```text
/// AppendFile ──finish──▶ FinishedFile ──publish──▶ SealedFile
///  temporary              temporary,                final name
///                         bytes durable
/// ```
///
/// Dropped before [`FinishedFile::publish`], it removes what it wrote. Length and XXH3-128 are kept as it grows.
pub struct AppendFile {
    file: File,
    temporary: Temporary,
    path: PathBuf,
    bytes: u64,
    digest: Box<Xxh3>,
}

impl AppendFile {
    /// Creates the file that will be `path`, under its temporary name; a leftover there from a crash is replaced.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(path: &Path) -> Result<Self> {
        let temporary = temporary_name(path);
        let file = File::create(&temporary).map_err(|e| Error::io("create", &temporary, e))?;
        let temporary = Temporary { path: Some(temporary) };
        Ok(Self { file, temporary, path: path.to_path_buf(), bytes: 0, digest: Box::default() })
    }

    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Bytes appended so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The final name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the bytes durable; the name is still the temporary one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<FinishedFile> {
        sync_file(&self.file, &self.path)?;
        let sealed = SealedFile { path: self.path, bytes: self.bytes, xxh3: self.digest.digest128() };
        Ok(FinishedFile { temporary: self.temporary, sealed })
    }

    /// [`AppendFile::finish`], [`FinishedFile::publish`] and [`sync_dir`] in one: the file is there, durably.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn seal(self) -> Result<SealedFile> {
        let sealed = self.finish()?.publish()?;
        sync_dir(directory_of(&sealed.path))?;
        Ok(sealed)
    }
}

/// For encoders that want a writer. An error lacks the path here: the caller adds it.
impl Write for AppendFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A complete file whose bytes are durable, still under its temporary name.
pub struct FinishedFile {
    temporary: Temporary,
    sealed: SealedFile,
}

impl FinishedFile {
    /// What the file is once it is published.
    pub fn sealed(&self) -> &SealedFile {
        &self.sealed
    }

    /// Gives the file its final name. The name is durable after a [`sync_dir`] of its directory, and not before.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn publish(mut self) -> Result<SealedFile> {
        if let Some(temporary) = &self.temporary.path {
            rename(temporary, &self.sealed.path)?;
        }
        self.temporary.path = None;
        Ok(self.sealed)
    }
}

/// A complete file under its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFile {
    /// The final name.
    pub path: PathBuf,
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3-128 of all its bytes.
    pub xxh3: u128,
}

/// Removes the file on drop, unless it was renamed by then.
struct Temporary {
    path: Option<PathBuf>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nobody reads temporary names: a leftover costs space only, so a failure here is no error.
            let _ = fs::remove_file(path);
        }
    }
}
