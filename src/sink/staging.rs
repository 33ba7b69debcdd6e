//! The output directory appears whole or not at all: it is built beside its place under another name and put there by
//! one rename, after everything in it is durable.
//!
//! ```text
//! .OUT.twopass-staging/  ── parts sealed, manifest, _SUCCESS, directories synced ──▶ rename ──▶ OUT/
//! ```

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::{Error, Result};

/// What an output of ours has at its top.
const MARK: &str = "_manifest.json";

/// A directory that will become the output.
pub struct Staging {
    disk: Disk,
    path: PathBuf,
    target: PathBuf,
    overwrite: bool,
}

impl Staging {
    /// Begins the output that will be `target`: what an interrupted run left is removed.
    ///
    /// # Errors
    /// [`Error::Conflict`] when `target` has something in it that may not be replaced; [`Error::Io`].
    pub fn begin(disk: &Disk, target: &Path, overwrite: bool, directories: &[String]) -> Result<Self> {
        check_target(disk, target, overwrite)?;
        let path = sibling(target, "twopass-staging");
        disk.remove_dir_all(&path)?;
        disk.create_dir_all(&path)?;
        for directory in directories {
            disk.create_dir_all(&path.join(directory))?;
        }
        Ok(Self { disk: disk.clone(), path, target: target.to_path_buf(), overwrite })
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

fn sibling(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy());
    target.with_file_name(format!(".{name}.{suffix}"))
}
