//! Files that grow under a temporary name and get their own when they are complete. Never reads what it wrote.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::{Action, Disk, directory_of, temporary_name};
use crate::error::{Error, Result};

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
    pub fn create(disk: &Disk, path: &Path) -> Result<Self> {
        let temporary = temporary_name(path);
        let created = disk.may(Action::Create, &temporary).and_then(|()| File::create(&temporary));
        let file = created.map_err(|e| Error::io("create", &temporary, e))?;
        let temporary = Temporary { disk: disk.clone(), path: Some(temporary) };
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
        self.temporary.disk.sync_file(&self.file, self.temporary.name())?;
        let sealed = SealedFile { path: self.path, bytes: self.bytes, xxh3: self.digest.digest128() };
        Ok(FinishedFile { temporary: self.temporary, sealed })
    }

    /// [`AppendFile::finish`], [`FinishedFile::publish`] and [`Disk::sync_dir`] in one: the file is there, durably.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn seal(self) -> Result<SealedFile> {
        let disk = self.temporary.disk.clone();
        let sealed = self.finish()?.publish()?;
        disk.sync_dir(directory_of(&sealed.path))?;
        Ok(sealed)
    }
}

/// For encoders that want a writer. An error lacks the path here: the caller adds it.
impl Write for AppendFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = self.temporary.disk.ask(Action::Write, self.temporary.name(), None, bytes)?;
        let written = self.file.write(&bytes[..bytes.len().min(most)])?;
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

    /// Gives the file its final name. The name is durable after a [`Disk::sync_dir`] of its directory, and not before.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn publish(mut self) -> Result<SealedFile> {
        if let Some(temporary) = &self.temporary.path {
            self.temporary.disk.rename(temporary, &self.sealed.path)?;
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
    disk: Disk,
    path: Option<PathBuf>,
}

impl Temporary {
    fn name(&self) -> &Path {
        self.path.as_deref().unwrap_or_else(|| Path::new(""))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nobody reads temporary names: a leftover costs space only, so a failure here is no error.
            let _ = self.disk.remove_file(path);
        }
    }
}
