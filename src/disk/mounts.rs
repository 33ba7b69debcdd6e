//! Which directories are file systems of their own: these can be neither renamed nor replaced.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Action, Disk};
use crate::error::{Error, Result};

impl Disk {
    /// Whether a file system is mounted at a directory, which has to be there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_mount_point(&self, path: &Path) -> Result<bool> {
        let looked = self.may(Action::Look, path).and_then(|()| is_mount_point(path));
        looked.map_err(|e| Error::io("look at", path, e))
    }

    /// What tells the file system of a directory from others.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn device(&self, path: &Path) -> Result<u64> {
        let looked = self.may(Action::Look, path).and_then(|()| fs::metadata(path));
        looked.map(|found| found.dev()).map_err(|e| Error::io("look at", path, e))
    }

    /// What tells a directory from others, whatever path leads to it, or nothing when there is none.
    ///
    /// # Errors
    /// [`Error::Io`], except for a directory that is not there.
    pub fn directory_identity(&self, path: &Path) -> Result<Option<(u64, u64)>> {
        let found = self.look_if_any(path)?.filter(fs::Metadata::is_dir);
        Ok(found.map(|found| (found.dev(), found.ino())))
    }
}

fn is_mount_point(path: &Path) -> io::Result<bool> {
    // A directory that is mounted a second time, as containers do, is on the same device as the one above it.
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        if let Ok(found) = statx(CWD, path, AtFlags::empty(), StatxFlags::empty())
            && found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        {
            return Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
        }
    }
    Ok(fs::metadata(path)?.dev() != fs::metadata(path.join(".."))?.dev())
}
