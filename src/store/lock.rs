//! A file that only one process holds at a time. The lock is the kernel's: a process that dies, in whatever way, gives it
//! back.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::disk::Disk;
use crate::error::{Error, Result};

/// The right to use something; given back on drop, or when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    /// The file, when nothing else removes it.
    remove: Option<(Disk, PathBuf)>,
}

impl Lock {
    /// Takes the lock file `lock`, in a directory that exists, for the use of `of`. The process id is written to it.
    ///
    /// # Errors
    /// [`Error::Conflict`] that names the process which has it; [`Error::Io`].
    pub fn take(disk: &Disk, lock: &Path, of: &Path) -> Result<Self> {
        let io = |action| move |e| Error::io(action, lock, e);
        loop {
            disk.about_to_lock(lock)?;
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(lock)
                .map_err(io("open"))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(in_use(of, &mut file)),
                Err(e) => return Err(Error::io("lock", lock, e.into())),
            }
            // The holder before may have removed the file: then this is the lock of a file without a name.
            let locked = file.metadata().map_err(io("look at"))?;
            if !fs::metadata(lock).is_ok_and(|named| (named.dev(), named.ino()) == (locked.dev(), locked.ino())) {
                if let Some(directory) = lock.parent() {
                    disk.create_dir_all(directory)?;
                }
                continue;
            }
            file.set_len(0).map_err(io("write"))?;
            writeln!(file, "{}", std::process::id()).map_err(io("write"))?;
            return Ok(Self { _file: file, remove: None });
        }
    }

    /// The same lock, whose file goes with it.
    #[must_use]
    pub fn removed_after(mut self, disk: &Disk, lock: &Path) -> Self {
        self.remove = Some((disk.clone(), lock.to_path_buf()));
        self
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((disk, path)) = &self.remove {
            // Still locked: whoever opened the file meanwhile finds it nameless and makes a new one. Left over, it is
            // an unlocked file that the next job takes, so a failure here is no error.
            let _ = disk.remove_file(path);
        }
    }
}

fn in_use(of: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    // The number is a courtesy: without it the message is still true.
    let _ = file.read_to_string(&mut holder);
    Error::Conflict(format!("{} is in use by process {}; wait for it to end", of.display(), holder.trim()))
}
