//! The output directory appears whole or not at all: it is built beside its place under another name and put there by
//! one rename, after everything in it is durable.
//!
//! ```text
//! .OUT.twopass-lock      held while the output is built
//! .OUT.twopass-staging/  ── parts sealed, manifest, _SUCCESS, directories synced ──▶ rename ──▶ OUT/
//! ```

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::SealedPart;
use crate::disk::{AppendFile, Disk};
use crate::error::{Error, Result};
use crate::spec::files::{Files, MANIFEST};
use crate::store::PartRecord;
use crate::store::lock::Lock;

/// Bytes of a part that are checked at once.
const READ_BYTES: usize = 1 << 20;

/// A directory that will become the output. At most one process builds the output of a path.
pub struct Staging {
    disk: Disk,
    files: Files,
    path: PathBuf,
    overwrite: bool,
    _lock: Lock,
}

/// Where an output is to be.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The file system.
    pub disk: &'a Disk,
    /// Its files.
    pub files: &'a Files,
    /// Whether it may replace an output of ours.
    pub overwrite: bool,
}

impl Target<'_> {
    /// Checks that an output may be put there.
    ///
    /// # Errors
    /// [`Error::Conflict`] when something is there, and it is not an output of ours that may be overwritten.
    pub fn check(&self) -> Result<()> {
        check_target(self.disk, self.files.root(), self.overwrite)
    }

    /// The right to build the output: a file beside it is locked for as long.
    ///
    /// # Errors
    /// [`Error::Conflict`] that names the process which has it; [`Error::Io`].
    pub fn lock(&self) -> Result<Lock> {
        let lock = sibling(self.files.root(), "twopass-lock");
        if let Some(directory) = lock.parent() {
            self.disk.create_dir_all(directory)?;
        }
        Ok(Lock::take(self.disk, &lock, self.files.root())?.removed_after(self.disk, &lock))
    }
}

impl Staging {
    /// Begins the output that will be at `target`, or goes on with it. Of what an interrupted run left, exactly the files
    /// of `parts` stay that are what was recorded of them, to the last byte; the result says which. All else is removed.
    /// `go_on` is asked while bytes are checked.
    ///
    /// # Errors
    /// [`Error::Conflict`] when `target` has something in it that may not be replaced; [`Error::Io`]; what `go_on` says.
    pub fn begin(
        target: Target<'_>,
        lock: Lock,
        parts: &[PartRecord],
        go_on: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<(Self, Vec<PartRecord>)> {
        target.check()?;
        let Target { disk, files, overwrite } = target;
        let path = sibling(files.root(), "twopass-staging");
        let staging = Self { disk: disk.clone(), files: files.clone(), path, overwrite, _lock: lock };
        let check =
            |part: &PartRecord| Ok(is_intact(disk, &staging.staged(&part.path), part, go_on)?.then(|| part.clone()));
        let intact: Vec<Result<Option<PartRecord>>> = parts.par_iter().map(check).collect();
        let kept: Vec<PartRecord> = intact.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
        if kept.is_empty() {
            disk.remove_dir_all(&staging.path)?;
        }
        let directories = staging.directories();
        directories.iter().try_for_each(|directory| disk.create_dir_all(directory))?;
        let kept_files = kept.iter().map(|part| staging.staged(&part.path)).collect();
        directories.iter().try_for_each(|directory| clear(disk, directory, &directories, &kept_files))?;
        Ok((staging, kept))
    }

    /// Where a file of the output is until it is published.
    pub fn staged(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// The directories with files that are not published, each after the one that it is in.
    fn directories(&self) -> BTreeSet<PathBuf> {
        let below = |directory: String| {
            let full = self.path.join(directory);
            full.ancestors().take_while(|above| above.starts_with(&self.path)).map(PathBuf::from).collect::<Vec<_>>()
        };
        self.files.directories().into_iter().flat_map(below).collect()
    }

    /// The directory that the output is built in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a small file of the output, durably.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.disk.write_durably(&self.staged(path), bytes)
    }

    /// Begins a file of the output that may be long.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&self, path: &str) -> Result<AppendFile> {
        AppendFile::create(&self.disk, &self.staged(path))
    }

    /// Writes the copies of a sealed part, durably. `go_on` is asked on the way.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Failed`] when what is read back is not what was written; what `go_on` says.
    pub fn copy(&self, part: &SealedPart, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        if part.copies.is_empty() {
            return Ok(());
        }
        let from = self.staged(&part.path);
        let mut buffer = vec![0; READ_BYTES];
        for path in &part.copies {
            let (mut original, mut copy) = (self.disk.open(&from)?, self.append(path)?);
            loop {
                go_on()?;
                match original.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => copy.append(&buffer[..read])?,
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(Error::io("read", &from, e)),
                }
            }
            let copy = copy.finish()?;
            let found = copy.sealed();
            if (found.bytes, format!("{:032x}", found.xxh3)) != (part.bytes, part.xxh3.clone()) {
                let message = "it has other bytes than were written; run again to go on";
                return Err(Error::failed(format!("copying {}", from.display()), message));
            }
            let copy = copy.publish()?;
            self.disk.sync_dir(copy.path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    /// Puts the output in its place.
    ///
    /// # Errors
    /// As [`Staging::begin`].
    pub fn publish(self) -> Result<()> {
        // A directory's own name is durable by the one that it is in.
        self.directories().iter().rev().try_for_each(|directory| self.disk.sync_dir(directory))?;
        let target = self.files.root();
        check_target(&self.disk, target, self.overwrite)?;
        match self.disk.list_if_any(target)? {
            Some(names) if !names.is_empty() => {
                // One exchange: at no instant is there neither the old output nor the new one.
                self.disk.exchange_dirs(&self.path, target)?;
                self.disk.remove_dir_all(&self.path)
            }
            Some(_) => {
                self.disk.remove_dir(target)?;
                self.disk.publish_dir(&self.path, target)
            }
            None => self.disk.publish_dir(&self.path, target),
        }
    }
}

fn check_target(disk: &Disk, target: &Path, overwrite: bool) -> Result<()> {
    if disk.is_dir_if_any(target)? == Some(false) {
        return Err(Error::Conflict(format!("output {} is a file; choose another --output", target.display())));
    }
    let names = disk.list_if_any(target)?.unwrap_or_default();
    if names.is_empty() {
        return Ok(());
    }
    if !overwrite {
        let message = format!(
            "output {} exists and is not empty; choose another --output, or give --overwrite",
            target.display()
        );
        return Err(Error::Conflict(message));
    }
    if !names.iter().any(|name| name == MANIFEST) {
        let message = format!(
            "output {} was not written by twopass (it has no {MANIFEST}), so --overwrite leaves it alone",
            target.display()
        );
        return Err(Error::Conflict(message));
    }
    Ok(())
}

/// Whether a part is there, as it was recorded. One that cannot be read is not: it is written again.
fn is_intact(disk: &Disk, path: &Path, part: &PartRecord, go_on: &(dyn Fn() -> Result<()> + Sync)) -> Result<bool> {
    let Ok(Some(bytes)) = disk.length_if_any(path) else { return Ok(false) };
    let Ok(mut file) = disk.open(path) else { return Ok(false) };
    if bytes != part.bytes {
        return Ok(false);
    }
    let mut digest = Xxh3::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        go_on()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.digest128() == part.xxh3),
            Ok(read) => digest.update(&buffer[..read]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Ok(false),
        }
    }
}

/// Removes everything from a staging directory but these directories and files.
fn clear(disk: &Disk, directory: &Path, directories: &BTreeSet<PathBuf>, files: &BTreeSet<PathBuf>) -> Result<()> {
    for name in disk.list_if_any(directory)?.unwrap_or_default() {
        let entry = directory.join(name);
        if directories.contains(&entry) || files.contains(&entry) {
            continue;
        }
        if disk.is_dir_if_any(&entry)? == Some(true) {
            disk.remove_dir_all(&entry)?;
        } else {
            disk.remove_file(&entry)?;
        }
    }
    Ok(())
}

fn sibling(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy());
    target.with_file_name(format!(".{name}.{suffix}"))
}
