//! The output goes into directories that are there beforehand, or are made, and stay: each may be a mount point, so none is
//! renamed, and no file leaves its directory's file system. For a moment there is no output.
//!
//! ```text
//! OUT/.twopass-lock                   held while the output is built, and one in each directory out of OUT
//! DIR/.twopass-staging/FILE           complete and durable, in each directory that has files of the output
//! OUT/.twopass-staging/_manifest.json the last of them: it lists them all, and from here on a run may be publishing
//!   ─▶ an output that is replaced: its _SUCCESS removed, then what it lists, then its manifest
//!   ─▶ DIR/FILE, renamed one by one ─▶ directories synced
//!   ─▶ OUT/_manifest.json, durable ─▶ staging directories removed ─▶ OUT/_SUCCESS, durable
//! ```
//!
//! Without `_SUCCESS` nothing is published: whatever one of the two manifests lists was being put there or being removed
//! when a run was cut short. The next run takes it back into staging, where all is checked by length and checksum before
//! it is kept. So nothing depends on which of the renames happened.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Target, whole};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::sink::manifest::Manifest;
use crate::spec::files::{Files, MANIFEST, SKIPPED, STAGING, SUCCESS};

const LOCK: &str = ".twopass-lock";
/// What file systems put into their top directory.
const LOST_AND_FOUND: &str = "lost+found";

/// What is locked, and for the use of what: the output's directory, and those out of it, which other outputs may share.
pub(super) fn lock_files(files: &Files) -> Vec<(PathBuf, PathBuf)> {
    let out_of_it = files.directories().into_iter().filter(|directory| !directory.starts_with(files.root()));
    let all = std::iter::once(files.root().to_path_buf()).chain(out_of_it);
    all.map(|directory| (directory.join(LOCK), directory)).collect()
}

/// Where a file is until it is published.
pub(super) fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    path.with_file_name(STAGING).join(name)
}

/// All staging directories.
pub(super) fn directories(files: &Files) -> BTreeSet<PathBuf> {
    files.directories().into_iter().map(|directory| directory.join(STAGING)).collect()
}

pub(super) fn check(target: &Target<'_>) -> Result<()> {
    let Target { disk, files, overwrite } = *target;
    let ours = Found::look(disk, files)?;
    for directory in files.directories() {
        if disk.is_dir_if_any(&directory)? == Some(false) {
            let message = format!("output {} is a file; choose another --output", directory.display());
            return Err(Error::Conflict(message));
        }
        for name in disk.list_if_any(&directory)?.unwrap_or_default() {
            let path = directory.join(&name);
            let may_stay = name.starts_with('.') || name == LOST_AND_FOUND;
            if may_stay || ours.may_go(&path, overwrite) || disk.is_dir_if_any(&path)? == Some(true) {
                continue;
            }
            return Err(ours.conflict(&directory, &name, overwrite));
        }
    }
    Ok(())
}

/// What stands where the output is to be, of an earlier one.
struct Found {
    root: PathBuf,
    is_whole: bool,
    has_manifest: bool,
    /// What is listed in the manifest, and in that of a publication that was cut short; empty without either.
    listed: BTreeSet<PathBuf>,
}

impl Found {
    fn look(disk: &Disk, files: &Files) -> Result<Self> {
        let root = files.root().to_path_buf();
        let is_whole = disk.length_if_any(&root.join(SUCCESS))?.is_some();
        let published = listed(disk, &root, &root.join(MANIFEST))?;
        // Beside a whole output, what is staged was not being published yet.
        let staged = if is_whole { None } else { listed(disk, &root, &staged(&root.join(MANIFEST)))? };
        let has_manifest = published.is_some();
        let mut listed: BTreeSet<PathBuf> = published.into_iter().chain(staged).flatten().collect();
        if !listed.is_empty() {
            listed.insert(root.join(SKIPPED));
        }
        Ok(Self { root, is_whole, has_manifest, listed })
    }

    /// Whether a run may take this file away.
    fn may_go(&self, path: &Path, overwrite: bool) -> bool {
        let is_mark = || self.has_manifest && [SUCCESS, MANIFEST].iter().any(|name| self.root.join(name) == path);
        (overwrite || !self.is_whole) && (self.listed.contains(path) || is_mark())
    }

    fn conflict(&self, directory: &Path, name: &str, overwrite: bool) -> Error {
        if overwrite && !self.has_manifest && directory == self.root {
            return whole::not_ours(&self.root);
        }
        let directory = directory.display();
        Error::Conflict(match overwrite {
            true => format!(
                "output {directory} has a file {name} that is not of the output to be replaced, so --overwrite leaves it alone; move it away"
            ),
            false => format!(
                "output {directory} exists and is not empty: it has {name}; choose another --output, or give --overwrite"
            ),
        })
    }
}

/// The files that a manifest lists, but for itself, below `root`; nothing when there is none.
///
/// # Errors
/// [`Error::Conflict`] when it cannot be read, or lists what its recipe does not: then nothing may be removed for its sake.
fn listed(disk: &Disk, root: &Path, manifest: &Path) -> Result<Option<BTreeSet<PathBuf>>> {
    let Some(bytes) = disk.read_if_any(manifest)? else { return Ok(None) };
    let refuse = |why: &str| {
        let message = format!("{} {why}, so it is not known what it lists; move that output away", manifest.display());
        Err(Error::Conflict(message))
    };
    let Ok(found) = Manifest::from_json(&bytes) else { return refuse("cannot be read") };
    let files = serde_json::from_value(found.recipe.clone()).ok().and_then(|recipe| Files::of(&recipe).ok());
    let Some(files) = files.map(|files| files.at(root)) else { return refuse("has a recipe that no run accepts") };
    let mut all: BTreeSet<PathBuf> =
        [files.signature()].into_iter().chain(files.metadata()).map(|path| files.resolve(path)).collect();
    for split in &found.splits {
        let Some(at) = files.split(&split.name) else { return refuse("has a split that its recipe has not") };
        for (part, number) in split.parts.iter().zip(0..) {
            if (part.path.clone(), &part.copies) != (files.part(at, number), &files.copies(at, number)) {
                return refuse("has parts where its recipe has none");
            }
            all.extend(std::iter::once(&part.path).chain(&part.copies).map(|path| files.resolve(path)));
        }
    }
    Ok(Some(all))
}

/// Takes what a publication that was cut short has put into its place, or has not yet removed, back into staging.
pub(super) fn take_back(disk: &Disk, files: &Files) -> Result<()> {
    let found = Found::look(disk, files)?;
    if found.is_whole {
        let staged = listed(disk, &found.root, &staged(&found.root.join(MANIFEST)))?;
        return remove_elsewhere(disk, files, &staged.unwrap_or_default());
    }
    let mut changed = BTreeSet::new();
    for path in &found.listed {
        if disk.is_dir_if_any(path)? != Some(false) {
            continue;
        }
        let back = staged(path);
        if disk.length_if_any(&back)?.is_some() {
            // What is staged was not renamed: this is of the output to be replaced.
            disk.remove_file(path)?;
        } else {
            disk.create_dir_all(parent(&back))?;
            disk.rename(path, &back)?;
            changed.insert(parent(&back).to_path_buf());
        }
        changed.insert(parent(path).to_path_buf());
    }
    changed.iter().try_for_each(|directory| disk.sync_dir(directory))?;
    remove_elsewhere(disk, files, &found.listed)?;
    // Only now: until here it says what to take back.
    if found.has_manifest {
        disk.remove_file(&found.root.join(MANIFEST))?;
        disk.sync_dir(&found.root)?;
    }
    Ok(())
}

/// Removes what is staged where another recipe had its files: nothing is built there now.
fn remove_elsewhere(disk: &Disk, files: &Files, listed: &BTreeSet<PathBuf>) -> Result<()> {
    let all: BTreeSet<PathBuf> = listed.iter().map(|path| parent(path).join(STAGING)).collect();
    all.difference(&directories(files)).try_for_each(|directory| disk.remove_dir_all(directory))
}

pub(super) fn publish(target: &Target<'_>) -> Result<()> {
    let Target { disk, files, .. } = *target;
    let (root, staging) = (files.root(), directories(files));
    staging.iter().try_for_each(|directory| disk.sync_dir(directory))?;
    check(target)?;
    remove_old(disk, files)?;
    for directory in &staging {
        for name in disk.list_if_any(directory)?.unwrap_or_default() {
            if name != MANIFEST && !name.starts_with('.') {
                disk.rename(&directory.join(&name), &parent(directory).join(&name))?;
            }
        }
    }
    files.directories().iter().try_for_each(|directory| disk.sync_dir(directory))?;
    // Written anew rather than renamed: at no instant is there neither this list nor that.
    let manifest = disk.read(&staged(&root.join(MANIFEST)))?;
    disk.write_durably(&root.join(MANIFEST), &manifest)?;
    for directory in &staging {
        disk.remove_dir_all(directory)?;
        disk.sync_dir(parent(directory))?;
    }
    disk.write_durably(&root.join(SUCCESS), b"")
}

/// Removes the output that is to be replaced, its mark first and its manifest last.
fn remove_old(disk: &Disk, files: &Files) -> Result<()> {
    let root = files.root();
    let Some(mut old) = listed(disk, root, &root.join(MANIFEST))? else { return Ok(()) };
    old.insert(root.join(SKIPPED));
    disk.remove_file(&root.join(SUCCESS))?;
    disk.sync_dir(root)?;
    let mut changed = BTreeSet::new();
    for path in &old {
        if disk.is_dir_if_any(path)? == Some(false) {
            disk.remove_file(path)?;
            changed.insert(parent(path).to_path_buf());
        }
    }
    changed.iter().try_for_each(|directory| disk.sync_dir(directory))?;
    disk.remove_file(&root.join(MANIFEST))?;
    disk.sync_dir(root)
}

/// The directory of a path that has one.
fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
