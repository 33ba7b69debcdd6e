//! The output goes into directories that are there beforehand, or are made, and stay: each may be a mount point, so none is
//! renamed, and no file leaves its directory's file system. For a moment there is no output.
//!
//! ```text
//! DIR/.twopass-lock                   held while the output is built, in each directory that has files of it
//! DIR/.twopass-staging/FILE           complete and durable, in each directory that has files of the output
//! OUT/.twopass-staging/_manifest.json the last of them: it lists them all, and from here on a run may be publishing
//!   ─▶ an output that is replaced: its _SUCCESS removed, then what it lists, then its manifest
//!   ─▶ DIR/FILE, renamed one by one, each that it lists and no other ─▶ directories synced, and those that they are in
//!   ─▶ OUT/_manifest.json, durable ─▶ staging directories removed ─▶ OUT/_SUCCESS, durable
//! ```
//!
//! Without `_SUCCESS` nothing is published: whatever one of the two manifests lists was being put there or being removed
//! when a run was cut short. The next run takes it back into staging, where all is checked by length and checksum before
//! it is kept. So nothing depends on which of the renames happened. A file that has no more than a listed name is nobody's
//! to take (`found.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::found::{Found, Listing, staged};
use super::{Claim, Target};
use crate::disk::{Disk, directory_of};
use crate::error::{Error, Result};
use crate::spec::files::{Files, MANIFEST, STAGING, SUCCESS};

pub(super) const LOCK: &str = ".twopass-lock";
/// What file systems put into their top directory.
const LOST_AND_FOUND: &str = "lost+found";

/// All staging directories.
pub(super) fn directories(files: &Files) -> BTreeSet<PathBuf> {
    files.directories().into_iter().map(|directory| directory.join(STAGING)).collect()
}

pub(super) fn check(target: &Target<'_>) -> Result<()> {
    check_beside(target, &Found::look(target.disk, target.files)?)
}

/// Checks that nothing is in the way of the output but what is `found` of an earlier one.
fn check_beside(target: &Target<'_>, found: &Found) -> Result<()> {
    let Target { disk, files, overwrite } = *target;
    check_distinct(disk, files)?;
    for directory in files.directories() {
        if disk.is_dir_if_any(&directory)? == Some(false) {
            let message = format!("output {} is a file; choose another --output", directory.display());
            return Err(Error::Conflict(message));
        }
        for name in disk.list_if_any(&directory)?.unwrap_or_default() {
            let path = directory.join(&name);
            if disk.is_dir_if_any(&path)? == Some(true) {
                if files.may_give(&path) {
                    let message =
                        format!("{} is a directory, and the output needs a file there; move it away", path.display());
                    return Err(Error::Conflict(message));
                }
                continue;
            }
            let may_stay = name.starts_with('.') || name == LOST_AND_FOUND;
            if !may_stay && !found.may_go(&path, overwrite) {
                return Err(found.conflict(&directory, &name, overwrite));
            }
        }
    }
    Ok(())
}

/// Checks that no two directories of the output are one by a link or a mount: each is thought to have its own files alone.
pub(super) fn check_distinct(disk: &Disk, files: &Files) -> Result<()> {
    let mut known = BTreeMap::new();
    for directory in files.directories() {
        let Some(identity) = disk.directory_identity(&directory)? else { continue };
        if let Some(other) = known.insert(identity, directory.clone()) {
            let message = format!(
                "{} and {} are one directory, by a link or a mount; give the files of the output directories of their own, or one path to it",
                other.display(),
                directory.display()
            );
            return Err(Error::Conflict(message));
        }
    }
    Ok(())
}

/// Takes what a publication that was cut short has put into its place, or has not yet removed, back into staging.
pub(super) fn take_back(
    disk: &Disk,
    files: &Files,
    claim: &mut Claim,
    go_on: &(dyn Fn() -> Result<()> + Sync),
) -> Result<()> {
    let found = Found::look(disk, files)?;
    claim.take(disk, &found.directories())?;
    if found.is_whole {
        return remove_elsewhere(disk, files, &found);
    }
    for paths in found.in_place(disk, go_on)? {
        let mut changed = BTreeSet::new();
        for path in &paths {
            let back = staged(path);
            if disk.length_if_any(&back)?.is_some() {
                // What is staged was not renamed: this is of the output to be replaced.
                disk.remove_file(path)?;
            } else {
                disk.create_dir_all(directory_of(&back))?;
                disk.rename(path, &back)?;
                changed.insert(directory_of(&back).to_path_buf());
            }
            changed.insert(directory_of(path).to_path_buf());
        }
        changed.iter().try_for_each(|directory| disk.sync_dir(directory))?;
    }
    remove_elsewhere(disk, files, &found)?;
    // Only now: until here it says what to take back.
    if found.published.is_some() {
        disk.remove_file(&files.root().join(MANIFEST))?;
        disk.sync_dir(files.root())?;
    }
    Ok(())
}

/// Removes what is staged where another recipe had its files: nothing is built there now. Where another output has its
/// manifest staged, it stays: that one removes all when it goes on.
fn remove_elsewhere(disk: &Disk, files: &Files, found: &Found) -> Result<()> {
    for directory in found.directories().difference(&files.directories()) {
        let staging = directory.join(STAGING);
        if disk.length_if_any(&staging.join(MANIFEST))?.is_none() {
            disk.remove_dir_all(&staging)?;
        }
    }
    Ok(())
}

pub(super) fn publish(target: &Target<'_>, claim: &mut Claim) -> Result<()> {
    let Target { disk, files, .. } = *target;
    let (root, staging) = (files.root(), directories(files));
    staging.iter().try_for_each(|directory| disk.sync_dir(directory))?;
    // Nothing of what is staged is in place: what has its name there came meanwhile.
    let old = Found::published(disk, files)?;
    check_beside(target, &old)?;
    let journal = staged(&root.join(MANIFEST));
    let Some(new) = Listing::read(disk, root, &journal)? else {
        let what = format!("publishing {}", journal.display());
        return Err(Error::failed(what, "it is missing; nothing was published, run again"));
    };
    let steps = new.all_staged(disk)?;
    remove_old(disk, files, &old, claim)?;
    for paths in &steps {
        paths.iter().try_for_each(|path| disk.rename(&staged(path), path))?;
        files.directories().iter().try_for_each(|directory| disk.sync_dir(directory))?;
    }
    sync_above(disk, files)?;
    // Written anew rather than renamed: at no instant is there neither this list nor that.
    let manifest = disk.read(&journal)?;
    disk.write_durably(&root.join(MANIFEST), &manifest)?;
    for directory in &staging {
        disk.remove_dir_all(directory)?;
        disk.sync_dir(directory_of(directory))?;
    }
    disk.write_durably(&root.join(SUCCESS), b"")
}

/// Removes the output that is to be replaced, its mark first and its manifest last.
fn remove_old(disk: &Disk, files: &Files, old: &Found, claim: &mut Claim) -> Result<()> {
    if old.published.is_none() {
        return Ok(());
    }
    let root = files.root();
    claim.take(disk, &old.directories())?;
    let steps = old.in_place(disk, &|| Ok(()))?;
    disk.remove_file(&root.join(SUCCESS))?;
    disk.sync_dir(root)?;
    for paths in &steps {
        paths.iter().try_for_each(|path| disk.remove_file(path))?;
        let changed: BTreeSet<&Path> = paths.iter().map(|path| directory_of(path)).collect();
        changed.iter().try_for_each(|directory| disk.sync_dir(directory))?;
    }
    disk.remove_file(&root.join(MANIFEST))?;
    disk.sync_dir(root)
}

/// Makes the names of the directories durable, up to the first that the output's own is in: a run that was killed may have
/// made them and not come to that.
fn sync_above(disk: &Disk, files: &Files) -> Result<()> {
    let root = files.root();
    let mut above = BTreeSet::new();
    for directory in files.directories() {
        for one in directory.ancestors().skip(1) {
            above.insert(one.to_path_buf());
            if one != root && root.starts_with(one) {
                break;
            }
        }
    }
    above.iter().try_for_each(|directory| match disk.sync_dir(directory) {
        // No run made a directory in it: that takes such a sync.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => Ok(()),
        done => done,
    })
}
