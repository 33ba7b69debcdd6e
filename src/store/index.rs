//! The state's log in sled: small entries under consecutive numbers, only ever appended. The one place that names sled.
//! Never deletes or overwrites: what holds now is what replaying the log says.
//!
//! Consecutive numbers as keys make a lost entry visible as a gap; lost at the end, it is as if it had not been
//! committed. sled recovers by dropping what it cannot read, so every value is a framed record with its own checksum.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::frame::{self, Kind};
use super::record::Event;
use crate::disk::{Disk, OpenFile};
use crate::error::{Cause, Error, Result};
use crate::panics;

const CACHE_BYTES: u64 = 16 << 20;

/// sled is good with small values; over 128 KiB they would become files of their own that are never synced.
const MAX_VALUE_BYTES: usize = 32 << 10;

/// How often, 10 ms apart, a database is tried that another handle of this process is still letting go of.
const LOCK_ATTEMPTS: usize = 200;

/// The open log.
pub(super) struct Index {
    disk: Disk,
    db: sled::Db,
    /// sled's `flush` leaves out the file's length on Linux: this handle is for the real sync.
    file: OpenFile,
    dir: PathBuf,
    next: u64,
}

impl Index {
    /// Opens or creates the log in `dir` and gives its entries in order.
    ///
    /// # Errors
    /// [`Error::Damaged`] when sled or an entry is not readable; [`Error::Io`].
    pub(super) fn open(disk: &Disk, dir: &Path) -> Result<(Self, Vec<Event>)> {
        if disk.is_dir_if_any(dir)? == Some(false) {
            return Err(damaged(dir, "is not a directory", None));
        }
        disk.create_dir_all(dir)?;
        remove_unfinished_snapshots(disk, dir)?;
        disk.step("open", dir)?;
        let db = open_sled(dir)?;
        disk.step("replay", dir)?;
        let events = replay(dir, &db)?;
        let path = dir.join("db");
        let (file, next) = (disk.open(&path)?, events.len() as u64);
        let index = Self { disk: disk.clone(), db, file, dir: dir.to_path_buf(), next };
        // sled creates its files without syncing their names, and one of them without syncing its bytes.
        index.sync()?;
        disk.open(&dir.join("conf"))?.sync()?;
        disk.sync_dir(dir)?;
        Ok((index, events))
    }

    /// Appends an entry; it is durable when this returns.
    ///
    /// # Errors
    /// [`Error::Failed`] from sled or for an entry that is too large, [`Error::Io`].
    pub(super) fn append(&mut self, event: &Event) -> Result<()> {
        let value = frame::encode(Kind::Event, event)?;
        if value.len() > MAX_VALUE_BYTES {
            let what = format!("write an entry of {} bytes to the state's index", value.len());
            return Err(Error::failed(what, format!("an entry has at most {MAX_VALUE_BYTES}")));
        }
        let failed = |e| match e {
            sled::Error::Io(e) => Error::io("write", &self.dir, e),
            e => Error::failed(format!("write the state's index {}", self.dir.display()), e),
        };
        self.disk.step("append to", &self.dir)?;
        self.db.insert(self.next.to_be_bytes(), value).map_err(failed)?;
        self.disk.step("flush", &self.dir)?;
        self.db.flush().map_err(failed)?;
        self.sync()?;
        self.next += 1;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.file.sync()
    }
}

/// Killed while it opens, sled leaves a snapshot under a temporary name that every later open takes for the newest one
/// and refuses as corrupt (spacejam/sled issues 1527 and 1533). Such a file is never needed: the log has it all.
pub(super) fn remove_unfinished_snapshots(disk: &Disk, dir: &Path) -> Result<()> {
    for name in disk.list_if_any(dir)?.unwrap_or_default() {
        if name.starts_with("snap.") && name.ends_with(".generating") {
            disk.remove_file(&dir.join(name))?;
        }
    }
    Ok(())
}

/// sled checks some of what it reads by asserting: a panic here means what an error means.
fn open_sled(dir: &Path) -> Result<sled::Db> {
    let config =
        sled::Config::new().path(dir).mode(sled::Mode::HighThroughput).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let mut attempt = 0;
    loop {
        attempt += 1;
        match guarded(dir, || config.open())? {
            Ok(db) => return Ok(db),
            // The state's own lock is ours, so this is sled's background work of an earlier handle coming to its end.
            Err(e) if attempt < LOCK_ATTEMPTS && e.to_string().contains("could not acquire lock") => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(e) => return Err(refused(dir, "cannot be opened", e)),
        }
    }
}

fn replay(dir: &Path, db: &sled::Db) -> Result<Vec<Event>> {
    guarded(dir, || {
        let mut events = Vec::new();
        for entry in db.iter() {
            let (key, value) = entry.map_err(|e| refused(dir, "cannot be read", e))?;
            if key.as_ref() != (events.len() as u64).to_be_bytes() {
                return Err(damaged(dir, "has lost an entry", None));
            }
            events.push(frame::decode(Kind::Event, &value)?);
        }
        Ok(events)
    })?
}

fn guarded<T>(dir: &Path, action: impl FnOnce() -> T) -> Result<T> {
    panics::caught(action).map_err(|_| damaged(dir, "made the database panic", None))
}

/// A full disk is not damage: then the log is as good as it was, and nothing is set aside.
fn refused(dir: &Path, what: &str, error: sled::Error) -> Error {
    match error {
        sled::Error::Io(e) if is_no_room(&e) => Error::io("open", dir, e),
        other => damaged(dir, what, Some(other.into())),
    }
}

/// Whether an error is of the disk or the process as a whole, and says nothing of the bytes that were read.
fn is_no_room(error: &std::io::Error) -> bool {
    use ErrorKind::{FileTooLarge, OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kinds = [StorageFull, QuotaExceeded, FileTooLarge, ReadOnlyFilesystem, PermissionDenied, OutOfMemory];
    kinds.contains(&error.kind())
        || [Errno::MFILE, Errno::NFILE].iter().any(|e| Errno::from_io_error(error) == Some(*e))
}

fn damaged(dir: &Path, what: &str, source: Option<Cause>) -> Error {
    Error::Damaged { what: format!("the state's index {} {what}", dir.display()), source }
}
