//! What the store remembers, as plain data. Sizes in bytes; paths relative to the state directory, with `/`.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::disk::{Disk, SealedFile};
use crate::error::{Error, Result};

/// Which job a state belongs to; written once, when the state is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Format of what the caller puts into summaries and plans.
    pub format: u32,
    /// Version of twopass that created the state.
    pub version: String,
    /// Hex fingerprint of all that pass one depends on.
    pub scan_fingerprint: String,
    /// The input, as it was given.
    pub input: String,
    /// The part of the recipe that pass one depends on, as JSON.
    pub description: String,
}

/// Which bytes a shard had when it was scanned. Another stamp under the same name is another shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStamp {
    /// Name relative to the input's root.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Time of the last change: whole seconds since 1970.
    pub modified_seconds: i64,
    /// Time of the last change: nanoseconds within the second.
    pub modified_nanos: u32,
    /// Hash of the content's telling part, such as a footer.
    pub fingerprint: u128,
}

/// A file of the state, beside the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideFile {
    /// Path relative to the state directory.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3-128 of all its bytes.
    pub xxh3: u128,
}

impl SideFile {
    /// What is recorded of a file that will be `path` within the state.
    pub(super) fn of(path: String, sealed: &SealedFile) -> Self {
        Self { path, bytes: sealed.bytes, xxh3: sealed.xxh3 }
    }

    /// Checks that `absolute` is there, within the state, and as long as recorded.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not; [`Error::Io`].
    pub(super) fn check_length(&self, disk: &Disk, absolute: &Path) -> Result<()> {
        // A record that leads out of the state is not ours: what it names would be removed with it.
        if !Path::new(&self.path).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(damaged(absolute, "is not within it"));
        }
        match disk.length_if_any(absolute)? {
            Some(bytes) if bytes == self.bytes => Ok(()),
            Some(bytes) => Err(damaged(absolute, &format!("has {bytes} bytes where {} were recorded", self.bytes))),
            None => Err(damaged(absolute, "is missing")),
        }
    }

    /// The bytes of `absolute`, when they are those recorded.
    ///
    /// # Errors
    /// As [`SideFile::check_length`].
    pub(super) fn read(&self, disk: &Disk, absolute: &Path) -> Result<Vec<u8>> {
        self.check_length(disk, absolute)?;
        let bytes = disk.read(absolute)?;
        if bytes.len() as u64 == self.bytes && xxh3_128(&bytes) == self.xxh3 {
            return Ok(bytes);
        }
        Err(damaged(absolute, "is damaged: its checksum does not match"))
    }
}

/// A shard that pass one is done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Which bytes were scanned.
    pub stamp: ShardStamp,
    /// Rows in its ledger.
    pub rows: u64,
    /// What was learned of it.
    pub summary: SideFile,
    /// Its rows, as the splits need them.
    pub ledger: SideFile,
}

/// An output part that pass two is done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Path relative to the output directory.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3-128 of all its bytes.
    pub xxh3: u128,
}

/// What a summary file begins with: all of a [`ShardRecord`] but what the file cannot say of itself.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardHeader {
    pub stamp: ShardStamp,
    pub rows: u64,
    pub ledger: SideFile,
}

/// An entry of the log. The order of the variants is on disk: new ones go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Event {
    /// The shard is scanned; an earlier record of its name is superseded.
    Shard(ShardRecord),
    /// The shard of this name is to be scanned again, or gone.
    Forgotten(String),
    /// The plan for exactly the shards so far.
    Plan(SideFile),
    /// A part of the plan so far is sealed.
    Part(PartRecord),
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::Damaged { what: format!("the state's file {} {what}", path.display()), source: None }
}
