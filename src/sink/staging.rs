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

use crate::disk::{AppendFile, Disk};
use crate::error::{Error, Result};
use crate::store::PartRecord;
use crate::store::lock::Lock;

/// Bytes of a part that are checked at once.
const READ_BYTES: usize = 1 << 20;

/// What an output of ours has at its top.
const MARK: &str = "_manifest.json";

/// A directory that will become the output. At most one process builds the output of a path.
pub struct Staging {
    disk: Disk,
    path: PathBuf,
    target: PathBuf,
    overwrite: bool,
    _lock: Lock,
}

/// Where an output is to be.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The file system.
    pub disk: &'a Disk,
    /// Its directory.
    pub path: &'a Path,
    /// Whether it may replace an output of ours.
    pub overwrite: bool,
}

/// The right to build the output of a path: a file beside it is locked for as long.
///
/// # Errors
/// [`Error::Conflict`] that names the process which has it; [`Error::Io`].
pub fn lock(disk: &Disk, target: &Path) -> Result<Lock> {
    let lock = sibling(target, "twopass-lock");
    if let Some(directory) = lock.parent() {
        disk.create_dir_all(directory)?;
    }
    Ok(Lock::take(disk, &lock, target)?.removed_after(disk, &lock))
}

impl Staging {
    /// Begins the output that will be `target`, or goes on with it. Of what an interrupted run left, exactly the files
    /// of `parts` stay that are what was recorded of them, to the last byte; the result says which. All else is removed.
    /// `go_on` is asked while bytes are checked.
    ///
    /// # Errors
    /// [`Error::Conflict`] when `target` has something in it that may not be replaced; [`Error::Io`]; what `go_on` says.
    pub fn begin(
        target: Target<'_>,
        lock: Lock,
        directories: &[String],
        parts: &[PartRecord],
        go_on: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<(Self, Vec<PartRecord>)> {
        let disk = target.disk;
        check_target(disk, target.path, target.overwrite)?;
        let path = sibling(target.path, "twopass-staging");
        let check = |part: &PartRecord| Ok(is_intact(disk, &path, part, go_on)?.then(|| part.clone()));
        let intact: Vec<Result<Option<PartRecord>>> = parts.par_iter().map(check).collect();
        let kept: Vec<PartRecord> = intact.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
        if kept.is_empty() {
            disk.remove_dir_all(&path)?;
        }
        disk.create_dir_all(&path)?;
        for directory in directories {
            disk.create_dir_all(&path.join(directory))?;
        }
        remove_all_but(disk, &path, directories, &kept)?;
        let (disk, overwrite) = (disk.clone(), target.overwrite);
        Ok((Self { disk, path, target: target.path.to_path_buf(), overwrite, _lock: lock }, kept))
    }

    /// Where the output is being built.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a small file of the output, durably.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.disk.write_durably(&self.path.join(name), bytes)
    }

    /// Begins a file of the output that may be long.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&self, name: &str) -> Result<AppendFile> {
        AppendFile::create(&self.disk, &self.path.join(name))
    }

    /// Puts the output in its place.
    ///
    /// # Errors
    /// As [`Staging::begin`].
    pub fn publish(self, directories: &[String]) -> Result<()> {
        for directory in directories {
            self.disk.sync_dir(&self.path.join(directory))?;
        }
        self.disk.sync_dir(&self.path)?;
        check_target(&self.disk, &self.target, self.overwrite)?;
        match self.disk.list_if_any(&self.target)? {
            Some(names) if !names.is_empty() => {
                // One exchange: at no instant is there neither the old output nor the new one.
                self.disk.exchange_dirs(&self.path, &self.target)?;
                self.disk.remove_dir_all(&self.path)
            }
            Some(_) => {
                self.disk.remove_dir(&self.target)?;
                self.disk.publish_dir(&self.path, &self.target)
            }
            None => self.disk.publish_dir(&self.path, &self.target),
        }
    }
}

/// Checks that an output may be put at `target`.
///
/// # Errors
/// [`Error::Conflict`] when something is there, and it is not an output of ours that may be overwritten.
pub fn check_target(disk: &Disk, target: &Path, overwrite: bool) -> Result<()> {
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
    if !names.iter().any(|name| name == MARK) {
        let message = format!(
            "output {} was not written by twopass (it has no {MARK}), so --overwrite leaves it alone",
            target.display()
        );
        return Err(Error::Conflict(message));
    }
    Ok(())
}

/// Whether a part is there, as it was recorded. One that cannot be read is not: it is written again.
fn is_intact(disk: &Disk, staging: &Path, part: &PartRecord, go_on: &(dyn Fn() -> Result<()> + Sync)) -> Result<bool> {
    let path = staging.join(&part.path);
    let Ok(Some(bytes)) = disk.length_if_any(&path) else { return Ok(false) };
    let Ok(mut file) = disk.open(&path) else { return Ok(false) };
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

/// Removes everything from a staging directory but `directories` and the files of `kept` in them.
fn remove_all_but(disk: &Disk, staging: &Path, directories: &[String], kept: &[PartRecord]) -> Result<()> {
    let kept: BTreeSet<&str> = kept.iter().map(|part| part.path.as_str()).collect();
    for name in disk.list_if_any(staging)?.unwrap_or_default() {
        let entry = staging.join(&name);
        if !directories.contains(&name) {
            if disk.is_dir_if_any(&entry)? == Some(true) {
                disk.remove_dir_all(&entry)?;
            } else {
                disk.remove_file(&entry)?;
            }
            continue;
        }
        for file in disk.list_if_any(&entry)?.unwrap_or_default() {
            if !kept.contains(format!("{name}/{file}").as_str()) {
                disk.remove_file(&entry.join(file))?;
            }
        }
    }
    Ok(())
}

fn sibling(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy());
    target.with_file_name(format!(".{name}.{suffix}"))
}
