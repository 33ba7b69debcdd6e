//! What a state directory looks like, who may touch it, and how one is made and removed.
//! Never touches a directory that is not recognisably a state.
//!
//! ```text
//! STATE/README                        says what the directory is
//! STATE/identity                      which job it belongs to; written last, removed first: with it, the state exists
//! STATE/lock                          held while in use; the process id is in it
//! STATE/index/                        the log
//! STATE/index.damaged-0/ …            logs that could not be read, set aside
//! STATE/plan                          the frozen plan
//! STATE/shards/00007-HASH.summary     what was learned of a shard; begins with the shard's header
//! STATE/shards/00007-HASH.ledger      its rows
//! ```

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::frame::{self, Kind};
use super::record::Identity;
use crate::disk::{self, Disk};
use crate::error::{Error, Result};

pub(super) const SHARDS: &str = "shards";
pub(super) const PLAN: &str = "plan";
pub(super) const SUMMARY: &str = "summary";
pub(super) const LEDGER: &str = "ledger";
const INDEX: &str = "index";
const DAMAGED_INDEX: &str = "index.damaged-";
const IDENTITY: &str = "identity";
pub(super) const LOCK: &str = "lock";
const README: &str = "README";
const README_TEXT: &str =
    "State of a twopass job: what pass one learned. Safe to delete; `twopass run` then starts again.\n";

/// What a path holds, as far as a state is concerned.
pub(super) enum Found {
    /// Nothing, or what is left of a state that was being made or removed.
    Nothing,
    /// A state.
    State(Identity),
}

/// Checks that `path` is nothing, an empty directory, or a state (whole, begun or half removed), without changing it.
///
/// # Errors
/// [`Error::Conflict`] for anything else; [`Error::Io`].
pub(super) fn check_ours(disk: &Disk, path: &Path) -> Result<()> {
    if disk.is_dir_if_any(path)? == Some(false) {
        return Err(not_ours(path));
    }
    let names = disk.list_if_any(path)?.unwrap_or_default();
    let only_begun = names.iter().all(|name| name == LOCK || *name == temporary(README));
    if only_begun || (is_recognisable(disk, path)? && names.iter().all(|name| is_known(name))) {
        return Ok(());
    }
    Err(not_ours(path))
}

/// Looks at `path` without changing it.
///
/// # Errors
/// As [`check_ours`], and [`Error::Damaged`] for a state whose identity is not readable.
pub(super) fn look(disk: &Disk, path: &Path) -> Result<Found> {
    check_ours(disk, path)?;
    match disk.read_if_any(&path.join(IDENTITY))? {
        None => Ok(Found::Nothing),
        Some(bytes) => frame::decode(Kind::Identity, &bytes).map(Found::State).map_err(|e| Error::Damaged {
            what: format!("the state {} cannot be used; delete it, or run with --resume never", path.display()),
            source: Some(e.into()),
        }),
    }
}

/// Makes the directory a state of its own, empty but for its identity. Leftovers of an earlier one go first: they could
/// belong to another job.
pub(super) fn initialise(disk: &Disk, path: &Path, identity: &Identity) -> Result<()> {
    disk.write_durably(&path.join(README), README_TEXT.as_bytes())?;
    remove_content(disk, path)?;
    disk.create_dir_all(&path.join(SHARDS))?;
    disk.write_durably(&path.join(IDENTITY), &frame::encode(Kind::Identity, identity)?)
}

/// Removes a state that is locked by the caller. Killed at any instant, it leaves something recognisable.
pub(super) fn remove(disk: &Disk, path: &Path) -> Result<()> {
    disk.remove_file(&path.join(IDENTITY))?;
    disk.sync_dir(path)?;
    remove_content(disk, path)?;
    disk.remove_file(&path.join(README))?;
    disk.remove_file(&path.join(temporary(README)))?;
    disk.remove_file(&path.join(LOCK))?;
    // Whoever made a link to the directory keeps both.
    if path.is_symlink() { Ok(()) } else { disk.remove_dir(path) }
}

fn remove_content(disk: &Disk, path: &Path) -> Result<()> {
    for name in disk.list_if_any(path)?.unwrap_or_default() {
        let entry = path.join(&name);
        match name.as_str() {
            INDEX | SHARDS => disk.remove_dir_all(&entry)?,
            _ if name.starts_with(DAMAGED_INDEX) => disk.remove_dir_all(&entry)?,
            _ if name == PLAN || [PLAN, IDENTITY].map(temporary).contains(&name) => disk.remove_file(&entry)?,
            _ => {}
        }
    }
    disk.sync_dir(path)
}

/// The log's directory.
pub(super) fn index_dir(path: &Path) -> PathBuf {
    path.join(INDEX)
}

/// Sets a log that could not be read aside, under the first free name.
pub(super) fn set_index_aside(disk: &Disk, path: &Path) -> Result<()> {
    let free = (0_u32..).map(|n| path.join(format!("{DAMAGED_INDEX}{n}"))).find(|candidate| !candidate.exists());
    match free {
        Some(aside) => disk.rename_durably(&index_dir(path), &aside),
        None => Ok(()),
    }
}

/// The name that a shard's two files share, without their ending. `serial` is unique in the state: no file of a record
/// is ever overwritten.
pub(super) fn shard_file_stem(serial: u64, name: &str) -> String {
    format!("{SHARDS}/{serial:05}-{:016x}", xxh3_64(name.as_bytes()))
}

/// The serial in the name of a shard's file, which may come with its directory.
pub(super) fn serial_of(file: &str) -> Option<u64> {
    let name = file.rsplit('/').next()?.trim_start_matches('.');
    name.split_once('-')?.0.parse().ok()
}

fn temporary(name: &str) -> String {
    disk::temporary_name(Path::new(name)).to_string_lossy().into_owned()
}

fn is_recognisable(disk: &Disk, path: &Path) -> Result<bool> {
    let readme = disk.read_if_any(&path.join(README))?;
    if readme.is_some_and(|text| text == README_TEXT.as_bytes()) {
        return Ok(true);
    }
    Ok(disk.read_if_any(&path.join(IDENTITY))?.is_some_and(|bytes| frame::is_framed(&bytes)))
}

fn is_known(name: &str) -> bool {
    [README, IDENTITY, LOCK, INDEX, PLAN, SHARDS].contains(&name)
        || [README, IDENTITY, PLAN].map(temporary).iter().any(|known| known == name)
        || name.starts_with(DAMAGED_INDEX)
}

fn not_ours(path: &Path) -> Error {
    Error::Conflict(format!("{} is not the state of a twopass job; choose another with --state", path.display()))
}
