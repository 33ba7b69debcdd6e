//! The file operations of the engine that must survive a crash, all in one place. Never interprets a byte, never retries.
//!
//! What the disk may do: an unsynced write may be lost, torn or reordered; a rename is atomic for every reader, but
//! durable only after its directory is synced. So everything here follows one order: write under a temporary name,
//! sync the file, rename, sync the directory. A file under its final name is complete; a temporary one means nothing.
//!
//! A [`Disk`] is the file system itself. A test may watch it: then every operation is shown to the test before it is
//! done, which can refuse it, cut it short, or end the process.

mod append;
mod mounts;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use crate::error::{Error, Result};

pub use append::{AppendFile, FinishedFile, SealedFile};

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
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// What an operation does.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Creates a file, or empties the one that is there.
    Create,
    /// Appends bytes to a file.
    Write,
    /// Makes a file's bytes durable.
    SyncFile,
    /// Makes a directory's entries durable.
    SyncDir,
    /// Creates a directory.
    CreateDir,
    /// Renames a file or a directory.
    Rename,
    /// Lets two directories change places.
    Exchange,
    /// Removes a file.
    RemoveFile,
    /// Removes an empty directory.
    RemoveDir,
    /// Opens a file for reading.
    Open,
    /// Reads a file, or the next piece of it.
    Read,
    /// Asks what is there under a name.
    Look,
    /// Lists a directory.
    List,
    /// Opens and locks a lock file.
    Lock,
    /// A step of a library that does its own input and output; the path is that of its directory.
    Step(&'static str),
}

/// An operation that is about to be done.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// What it does.
    pub action: Action,
    /// To which file or directory.
    pub path: &'a Path,
    /// The other path of a rename or an exchange.
    pub to: Option<&'a Path>,
    /// The bytes to be written.
    pub bytes: &'a [u8],
}

/// Sees an operation before it is done; says how many of its bytes may be written.
type Watch = dyn Fn(&Operation<'_>) -> io::Result<usize> + Send + Sync;

/// The file system, as the engine uses it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Disk {
    watch: Option<Arc<Watch>>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.watch.is_some() { "Disk(watched)" } else { "Disk" })
    }
}

impl Disk {
    /// For tests: a disk whose every operation is shown to `watch` first. An error is taken for the system's answer;
    /// else it is the number of bytes that may be written, [`usize::MAX`] for all.
    #[doc(hidden)]
    pub fn watched(watch: impl Fn(&Operation<'_>) -> io::Result<usize> + Send + Sync + 'static) -> Self {
        Self { watch: Some(Arc::new(watch)) }
    }

    /// Shows an operation to the watch, if there is one.
    #[inline]
    fn ask(&self, action: Action, path: &Path, to: Option<&Path>, bytes: &[u8]) -> io::Result<usize> {
        match &self.watch {
            None => Ok(usize::MAX),
            Some(watch) => watch(&Operation { action, path, to, bytes }),
        }
    }

    #[inline]
    fn may(&self, action: Action, path: &Path) -> io::Result<()> {
        self.ask(action, path, None, &[]).map(drop)
    }

    /// Marks a step that is done elsewhere: around calls of a library that does its own input and output.
    ///
    /// # Errors
    /// [`Error::Io`] when a watch refuses it.
    pub fn step(&self, step: &'static str, path: &Path) -> Result<()> {
        self.may(Action::Step(step), path).map_err(|e| Error::io(step, path, e))
    }

    /// Makes the bytes and the length of an open file durable; `path` is for the error.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync_file(&self, file: &File, path: &Path) -> Result<()> {
        self.may(Action::SyncFile, path).and_then(|()| file.sync_all()).map_err(|e| Error::io("sync", path, e))
    }

    /// Makes the entries of a directory durable: what was created, renamed or removed in it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync_dir(&self, path: &Path) -> Result<()> {
        let sync = || self.may(Action::SyncDir, path).and_then(|()| File::open(path)?.sync_all());
        sync().map_err(|e| Error::io("sync", path, e))
    }

    /// Creates a directory and its missing parents, each durably. One that exists already is left as it is.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create_dir_all(&self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || self.is_dir_if_any(path)? == Some(true) {
            return Ok(());
        }
        self.create_dir_all(directory_of(path))?;
        match self.may(Action::CreateDir, path).and_then(|()| fs::create_dir(path)) {
            // Another thread may have been faster; a file in the way fails here.
            Err(e) if e.kind() != ErrorKind::AlreadyExists || !path.is_dir() => Err(Error::io("create", path, e)),
            _ => self.sync_dir(directory_of(path)),
        }
    }

    /// Renames a file or a directory, without syncing: for several renames in a directory before one
    /// [`Disk::sync_dir`].
    ///
    /// # Errors
    /// [`Error::Io`] that names `to`.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let asked = self.ask(Action::Rename, from, Some(to), &[]);
        asked.and_then(|_| fs::rename(from, to)).map_err(|e| Error::io("rename to", to, e))
    }

    /// Renames a file or a directory, durably. An existing file at `to` is replaced; a directory only if it is empty.
    ///
    /// # Errors
    /// [`Error::Io`] that names `to`.
    pub fn rename_durably(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename(from, to)?;
        self.sync_dir(directory_of(to))?;
        if directory_of(from) == directory_of(to) { Ok(()) } else { self.sync_dir(directory_of(from)) }
    }

    /// Publishes a staged directory as `target`, whole or not at all: its own entries are synced, then it is renamed.
    /// The files in it, and the directories below it, are durable already (see [`AppendFile::seal`]).
    ///
    /// # Errors
    /// [`Error::Io`]; also when `target` exists and is not empty.
    pub fn publish_dir(&self, staged: &Path, target: &Path) -> Result<()> {
        self.sync_dir(staged)?;
        self.rename_durably(staged, target)
    }

    /// Lets two directories change places, durably: in one step where the file system can, so that at no instant either
    /// name is without its directory; elsewhere in three.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn exchange_dirs(&self, staged: &Path, target: &Path) -> Result<()> {
        let asked = self.ask(Action::Exchange, staged, Some(target), &[]);
        asked.map_err(|e| Error::io("replace", target, e))?;
        let here = rustix::fs::CWD;
        match rustix::fs::renameat_with(here, staged, here, target, rustix::fs::RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let aside = temporary_name(target);
                self.rename(target, &aside)?;
                self.rename(staged, target)?;
                self.rename(&aside, staged)?;
            }
            Err(refused) => return Err(Error::io("replace", target, refused.into())),
        }
        self.sync_dir(directory_of(target))
    }

    /// Writes a whole file under a temporary name and renames it, durably: readers see the old bytes or the new ones.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_durably(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = AppendFile::create(self, path)?;
        file.append(bytes)?;
        file.seal().map(drop)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.read_whole(path).map_err(|e| Error::io("read", path, e))
    }

    /// Reads a whole file, or nothing when there is none.
    ///
    /// # Errors
    /// [`Error::Io`], except for a file that is not there.
    pub fn read_if_any(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        absent_is_none(self.read_whole(path), "read", path)
    }

    fn read_whole(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.may(Action::Read, path)?;
        fs::read(path)
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(&self, path: &Path) -> Result<OpenFile> {
        let opened = self.may(Action::Open, path).and_then(|()| File::open(path));
        let file = opened.map_err(|e| Error::io("open", path, e))?;
        Ok(OpenFile { disk: self.clone(), file, path: path.to_path_buf() })
    }

    /// The length of a file in bytes, or nothing when there is none.
    ///
    /// # Errors
    /// [`Error::Io`], except for a file that is not there.
    pub fn length_if_any(&self, path: &Path) -> Result<Option<u64>> {
        Ok(self.look_if_any(path)?.map(|found| found.len()))
    }

    /// Whether it is a directory that is there under a name, or nothing when nothing is.
    ///
    /// # Errors
    /// [`Error::Io`], except for a file that is not there.
    pub fn is_dir_if_any(&self, path: &Path) -> Result<Option<bool>> {
        Ok(self.look_if_any(path)?.map(|found| found.is_dir()))
    }

    fn look_if_any(&self, path: &Path) -> Result<Option<fs::Metadata>> {
        absent_is_none(self.may(Action::Look, path).and_then(|()| fs::metadata(path)), "look at", path)
    }

    /// The names in a directory, sorted, or nothing when there is no directory. Names that are not UTF-8 come lossy.
    ///
    /// # Errors
    /// [`Error::Io`], except for a directory that is not there.
    pub fn list_if_any(&self, path: &Path) -> Result<Option<Vec<String>>> {
        let names = |entries: fs::ReadDir| -> io::Result<Vec<String>> {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        let entries = self.may(Action::List, path).and_then(|()| fs::read_dir(path));
        let mut found = absent_is_none(entries.and_then(names), "list", path)?;
        if let Some(names) = &mut found {
            names.sort_unstable();
        }
        Ok(found)
    }

    /// Removes a file; one that is not there is removed already.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        let removed = self.may(Action::RemoveFile, path).and_then(|()| fs::remove_file(path));
        absent_is_none(removed, "remove", path).map(drop)
    }

    /// Removes a directory and all that is in it, one by one; one that is not there is removed already. A link or a
    /// file is removed itself.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_dir_all(&self, path: &Path) -> Result<()> {
        if fs::symlink_metadata(path).is_ok_and(|found| !found.is_dir()) {
            return self.remove_file(path);
        }
        let list = || -> io::Result<Vec<(PathBuf, bool)>> {
            self.may(Action::List, path)?;
            fs::read_dir(path)?.map(|entry| entry.and_then(|e| Ok((e.path(), e.file_type()?.is_dir())))).collect()
        };
        let Some(mut entries) = absent_is_none(list(), "list", path)? else { return Ok(()) };
        entries.sort_unstable();
        for (entry, is_dir) in entries {
            if is_dir { self.remove_dir_all(&entry)? } else { self.remove_file(&entry)? }
        }
        self.remove_dir(path)
    }

    /// Removes a directory that is empty by now.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_dir(&self, path: &Path) -> Result<()> {
        let removed = self.may(Action::RemoveDir, path).and_then(|()| fs::remove_dir(path));
        removed.map_err(|e| Error::io("remove", path, e))
    }

    /// Says that the lock file `path` is about to be opened and locked.
    pub(crate) fn about_to_lock(&self, path: &Path) -> Result<()> {
        self.may(Action::Lock, path).map_err(|e| Error::io("lock", path, e))
    }
}

fn absent_is_none<T>(result: io::Result<T>, action: &'static str, path: &Path) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(action, path, e)),
    }
}

/// A file that is open for reading.
pub struct OpenFile {
    disk: Disk,
    file: File,
    path: PathBuf,
}

impl OpenFile {
    /// Makes the file's bytes and its length durable, whoever wrote them.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<()> {
        self.disk.sync_file(&self.file, &self.path)
    }
}

/// An error lacks the path here: the caller adds it.
impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.may(Action::Read, &self.path)?;
        self.file.read(buffer)
    }
}
