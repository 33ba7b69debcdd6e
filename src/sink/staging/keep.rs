//! What an interrupted run left of an output: parts that are whole stay, all else goes. And copies of parts.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::disk::{AppendFile, Disk};
use crate::error::{Error, Result};
use crate::sink::SealedPart;
use crate::store::PartRecord;

/// Bytes of a file that are read at once, by each thread: too few to be counted.
const READ_BYTES: usize = 1 << 17;

/// Whether a part is there, as it was recorded. One that cannot be read is not: it is written again.
pub(super) fn is_intact(
    disk: &Disk,
    path: &Path,
    part: &PartRecord,
    go_on: &(dyn Fn() -> Result<()> + Sync),
) -> Result<bool> {
    match has_bytes(disk, path, (part.bytes, part.xxh3), go_on) {
        Err(Error::Io { .. }) => Ok(false),
        known => known,
    }
}

/// Whether there is a file with this length and XXH3-128.
pub(super) fn has_bytes(
    disk: &Disk,
    path: &Path,
    (bytes, xxh3): (u64, u128),
    go_on: &(dyn Fn() -> Result<()> + Sync),
) -> Result<bool> {
    if disk.length_if_any(path)? != Some(bytes) {
        return Ok(false);
    }
    let mut file = disk.open(path)?;
    let mut digest = Xxh3::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        go_on()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.digest128() == xxh3),
            Ok(read) => digest.update(&buffer[..read]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read", path, e)),
        }
    }
}

/// Removes everything from a staging directory but these directories and files.
pub(super) fn clear(
    disk: &Disk,
    directory: &Path,
    directories: &BTreeSet<PathBuf>,
    files: &BTreeSet<PathBuf>,
) -> Result<()> {
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

/// Copies the part at `from`, durably.
pub(super) fn copy(
    disk: &Disk,
    from: &Path,
    mut to: AppendFile,
    part: &SealedPart,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut original = disk.open(from)?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        go_on()?;
        match original.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => to.append(&buffer[..read])?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read", from, e)),
        }
    }
    let copy = to.seal()?;
    if (copy.bytes, format!("{:032x}", copy.xxh3)) != (part.bytes, part.xxh3.clone()) {
        let message = "it has other bytes than were written; run again to go on";
        return Err(Error::failed(format!("copying {}", from.display()), message));
    }
    Ok(())
}
