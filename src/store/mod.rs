//! What survives a crash: which shards pass one is done with, what it learned of them, the plan, the sealed parts.
//! Never knows what a summary or a plan means, and never reads the input.
//!
//! Everything of a shard's size lives in side files; sled holds a log of small records that name them. The order of a
//! commit is what makes it safe, and each step has its sync:
//!
//! ```text
//! ledger, summary written and synced ─▶ renamed ─▶ directory synced ─▶ log entry, flushed and synced: committed
//! ```
//!
//! So a record never names bytes that a crash can take back. Should the disk lose them all the same, length and
//! XXH3-128 in the record tell, and the shard counts as not scanned. The log is only ever appended: forgetting a shard
//! and scanning it again are entries of their own, under new file names. The summary files say themselves what they
//! are of, so a log that cannot be read is rebuilt from them (`recover.rs`).

mod index;
mod layout;
mod log;
mod recover;

pub mod frame;
pub mod ledger;
pub mod lock;
pub mod record;

#[cfg(test)]
mod frame_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod sled_tests;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_128;

use self::layout::{Found, LEDGER, LOCK, PLAN, SHARDS, SUMMARY};
use crate::disk::{AppendFile, Disk};
use crate::error::{Error, Result, Site};
use frame::Kind;
use lock::Lock;
use log::Log;
use record::{Event, ShardHeader};

pub use ledger::{Layout, LedgerBlock, LedgerReader, LedgerWriter, SealedLedger};
pub use record::{Identity, PartRecord, ShardRecord, ShardStamp, SideFile};
pub use recover::Recovery;

/// Longest name of a shard, in bytes: twice what a path may have, and its record still a small value.
const MAX_NAME_BYTES: usize = 8192;

/// An open state, locked for this process until it is dropped. Threads may share it.
pub struct StateStore {
    disk: Disk,
    path: PathBuf,
    log: Mutex<Log>,
    next_serial: AtomicU64,
    recovery: Recovery,
    /// After `log`: fields are dropped in order, and the database closes before the lock is given back.
    _lock: Lock,
}

/// What [`StateStore::open_or_create`] found.
pub enum Opened {
    /// There was no state: this one is new and empty.
    Fresh(StateStore),
    /// There was one, with this identity; whether it is of the same job is for the caller to say.
    Existing(StateStore, Identity),
}

impl StateStore {
    /// Opens the state at `path`, or makes one of this identity where there is nothing, an empty directory, or what is
    /// left of a state that was being made or removed.
    ///
    /// # Errors
    /// [`Error::Conflict`] when something else is there or another process has it, [`Error::Damaged`] when its identity
    /// is not readable (then [`StateStore::discard`] still works), [`Error::Io`].
    pub fn open_or_create(disk: &Disk, path: &Path, identity: &Identity) -> Result<Opened> {
        layout::look(disk, path)?;
        disk.create_dir_all(path)?;
        let lock = Lock::take(disk, &path.join(LOCK), path)?;
        // Only what is seen under the lock counts; the look before was to touch nothing that is not ours.
        match layout::look(disk, path)? {
            Found::State(found) => Ok(Opened::Existing(Self::open_locked(disk, path, lock)?, found)),
            Found::Nothing => {
                layout::initialise(disk, path, identity)?;
                Ok(Opened::Fresh(Self::open_locked(disk, path, lock)?))
            }
        }
    }

    /// Opens the state at `path`, which must exist.
    ///
    /// # Errors
    /// As [`StateStore::open_or_create`], and [`Error::Conflict`] when there is no state.
    pub fn open_existing(disk: &Disk, path: &Path) -> Result<(Self, Identity)> {
        let absent = || Error::Conflict(format!("there is no state at {}; `twopass scan` makes it", path.display()));
        let Found::State(_) = layout::look(disk, path)? else { return Err(absent()) };
        let lock = Lock::take(disk, &path.join(LOCK), path)?;
        let Found::State(identity) = layout::look(disk, path)? else { return Err(absent()) };
        Ok((Self::open_locked(disk, path, lock)?, identity))
    }

    /// Removes the state at `path`; nothing at all is fine too.
    ///
    /// # Errors
    /// [`Error::Conflict`], and nothing is touched, when `path` is not recognisably a state, holds anything that a
    /// state does not, or is in use; [`Error::Io`].
    pub fn discard(disk: &Disk, path: &Path) -> Result<()> {
        layout::check_ours(disk, path)?;
        if disk.list_if_any(path)?.is_none_or(|names| names.is_empty()) {
            return Ok(());
        }
        let lock = Lock::take(disk, &path.join(LOCK), path)?;
        layout::check_ours(disk, path)?;
        layout::remove(disk, path)?;
        drop(lock);
        Ok(())
    }

    fn open_locked(disk: &Disk, path: &Path, lock: Lock) -> Result<Self> {
        disk.create_dir_all(&path.join(SHARDS))?;
        let (log, recovery) = recover::open_log(disk, path)?;
        let last = log.mentioned.iter().filter_map(|file| layout::serial_of(file)).max();
        let next_serial = AtomicU64::new(last.map_or(0, |serial| serial + 1));
        Ok(Self {
            disk: disk.clone(),
            path: path.to_path_buf(),
            log: Mutex::new(log),
            next_serial,
            recovery,
            _lock: lock,
        })
    }

    /// The state's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What had to be repaired when the state was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The committed shards, by name.
    pub fn shard_records(&self) -> Vec<ShardRecord> {
        self.log().shards.values().cloned().collect()
    }

    /// Begins the ledger of the shard `name`. Ledgers of several shards may be written at once.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Data`] for a name of more than 8192 bytes.
    pub fn create_ledger(&self, name: &str, layout: Layout) -> Result<LedgerWriter> {
        if name.len() > MAX_NAME_BYTES {
            let start: String = name.chars().take(80).collect();
            return Err(Error::data(
                Site::shard(start + "…"),
                format!("the name has {} bytes; shorten it", name.len()),
            ));
        }
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("{}.{LEDGER}", layout::shard_file_stem(serial, name)));
        LedgerWriter::create(&self.disk, &path, layout)
    }

    /// Commits a shard: when this returns it is scanned, whatever happens next. A record of the same name is superseded,
    /// and a plan frozen before is no plan any more. `summary` is a record of [`Kind::Summary`].
    ///
    /// # Errors
    /// [`Error::Damaged`] when `summary` is not such a record, [`Error::Io`], [`Error::Failed`]: then the shard may be
    /// committed or not, as after a crash.
    ///
    /// # Panics
    /// When `ledger` was not created for the shard of this name.
    pub fn commit_shard(&self, stamp: ShardStamp, summary: &[u8], ledger: SealedLedger) -> Result<ShardRecord> {
        frame::check(Kind::Summary, summary)?;
        let sealed = ledger.file().sealed();
        let serial = sealed.path.file_name().and_then(|name| layout::serial_of(&name.to_string_lossy()));
        let stem = layout::shard_file_stem(serial.unwrap_or_default(), &stamp.name);
        let ledger_file = SideFile::of(format!("{stem}.{LEDGER}"), sealed);
        assert_eq!(sealed.path, self.path.join(&ledger_file.path), "the ledger of another shard");

        let header = ShardHeader { stamp, rows: ledger.rows(), ledger: ledger_file };
        let path = format!("{stem}.{SUMMARY}");
        let mut file = AppendFile::create(&self.disk, &self.path.join(&path))?;
        file.append(&frame::encode(Kind::ShardHeader, &header)?)?;
        file.append(summary)?;
        let summary_file = file.finish()?;

        ledger.into_file().publish()?;
        let summary = SideFile::of(path, &summary_file.publish()?);
        self.disk.sync_dir(&self.path.join(SHARDS))?;

        let record = ShardRecord { stamp: header.stamp, rows: header.rows, summary, ledger: header.ledger };
        let superseded = self.log().append(Event::Shard(record.clone()))?;
        self.remove_files(superseded.as_ref())?;
        Ok(record)
    }

    /// What was learned of a shard.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the file is not what was committed: [`StateStore::forget_shard`] and scan it again.
    /// [`Error::Io`].
    pub fn read_summary<T: DeserializeOwned>(&self, record: &ShardRecord) -> Result<T> {
        let path = self.path.join(&record.summary.path);
        let in_file = |e: Error| Error::Damaged {
            what: format!("the state's file {} cannot be used", path.display()),
            source: Some(e.into()),
        };
        let bytes = record.summary.read(&self.disk, &path)?;
        let (_, rest) = frame::decode_first::<ShardHeader>(Kind::ShardHeader, &bytes).map_err(in_file)?;
        frame::decode(Kind::Summary, rest).map_err(in_file)
    }

    /// The rows of a shard, to be read block by block.
    ///
    /// # Errors
    /// As [`StateStore::read_summary`], here and from the reader.
    pub fn open_ledger(&self, record: &ShardRecord) -> Result<LedgerReader> {
        LedgerReader::open(&self.disk, &self.path.join(&record.ledger.path), &record.ledger, record.rows)
    }

    /// Takes a shard back: it changed, is gone, or its files are damaged. An unknown name is forgotten already.
    /// A plan frozen before is no plan any more.
    ///
    /// The log gets an entry that says so, and only then the files go: a crash in between leaves files that no record
    /// names, which the next opening removes.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Failed`].
    pub fn forget_shard(&self, name: &str) -> Result<()> {
        let mut log = self.log();
        if !log.shards.contains_key(name) {
            return Ok(());
        }
        let forgotten = log.append(Event::Forgotten(name.to_string()))?;
        drop(log);
        self.remove_files(forgotten.as_ref())
    }

    /// Reads every byte of the shards' files, and forgets the shards whose files are damaged; returns their names.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Failed`].
    pub fn forget_damaged(&self) -> Result<Vec<String>> {
        let mut damaged = Vec::new();
        for record in self.shard_records() {
            match recover::check_pair(&self.disk, &self.path, &record) {
                Err(Error::Damaged { .. }) => damaged.push(record.stamp.name),
                checked => checked?,
            }
        }
        damaged.iter().try_for_each(|name| self.forget_shard(name))?;
        Ok(damaged)
    }

    /// Saves the plan for exactly the shards committed now. The plan that is saved already keeps its parts.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Failed`].
    pub fn save_plan<T: Serialize + ?Sized>(&self, plan: &T) -> Result<()> {
        let bytes = frame::encode(Kind::Plan, plan)?;
        let file = SideFile { path: PLAN.to_string(), bytes: bytes.len() as u64, xxh3: xxh3_128(&bytes) };
        let mut log = self.log();
        if log.plan.as_ref() == Some(&file) && file.read(&self.disk, &self.path.join(PLAN)).is_ok() {
            return Ok(());
        }
        self.disk.write_durably(&self.path.join(PLAN), &bytes)?;
        log.append(Event::Plan(file)).map(drop)
    }

    /// The plan for the shards committed now, or nothing when it was not saved since they changed, or is damaged or of
    /// another version: freezing it again gives the same plan.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn load_plan<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let Some(file) = self.log().plan.clone() else { return Ok(None) };
        match file.read(&self.disk, &self.path.join(PLAN)).and_then(|bytes| frame::decode(Kind::Plan, &bytes)) {
            Err(Error::Damaged { .. }) => Ok(None),
            plan => plan.map(Some),
        }
    }

    /// Notes that a part of the saved plan is sealed.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Failed`].
    pub fn commit_part(&self, part: PartRecord) -> Result<()> {
        self.log().append(Event::Part(part)).map(drop)
    }

    /// The sealed parts of the saved plan, in the order they were committed.
    pub fn part_records(&self) -> Vec<PartRecord> {
        let log = self.log();
        if log.plan.is_some() { log.parts.clone() } else { Vec::new() }
    }

    fn remove_files(&self, record: Option<&ShardRecord>) -> Result<()> {
        for file in record.into_iter().flat_map(|record| [&record.summary, &record.ledger]) {
            self.disk.remove_file(&self.path.join(&file.path))?;
        }
        Ok(())
    }

    /// A thread that panicked while it held the lock left the log as it was before or after its entry: both are right.
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
