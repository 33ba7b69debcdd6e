//! The output directory appears whole or not at all: it is built beside its place under another name and put there by
//! one rename, after everything in it is durable.
//!
//! ```text
//! .OUT.twopass-lock      held while the output is built
//! .OUT.twopass-staging/  ── parts sealed, manifest, _SUCCESS, directories synced ──▶ rename ──▶ OUT/
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Target;
use crate::error::{Error, Result};
use crate::spec::files::{Files, MANIFEST, SUCCESS};

/// What is locked.
pub(super) fn lock_file(files: &Files) -> PathBuf {
    sibling(files.root(), "twopass-lock")
}

/// Where it is built.
pub(super) fn directory(files: &Files) -> PathBuf {
    sibling(files.root(), "twopass-staging")
}

/// The directories in there, each after the one that it is in.
pub(super) fn directories(files: &Files) -> BTreeSet<PathBuf> {
    let top = directory(files);
    let staged = |directory: &PathBuf| match directory.strip_prefix(files.root()) {
        Ok(below) if below != Path::new("") => top.join(below),
        _ => top.clone(),
    };
    let below = |directory: PathBuf| {
        let above = directory.ancestors().take_while(|above| above.starts_with(&top));
        above.map(PathBuf::from).collect::<Vec<_>>()
    };
    files.directories().iter().map(staged).flat_map(below).collect()
}

pub(super) fn check(target: &Target<'_>) -> Result<()> {
    let Target { disk, files, overwrite } = target;
    let path = files.root();
    match disk.is_dir_if_any(path)? {
        None => return Ok(()),
        Some(false) => {
            return Err(Error::Conflict(format!("output {} is a file; choose another --output", path.display())));
        }
        Some(true) => {}
    }
    if disk.is_mount_point(path)? {
        let message = format!(
            "a file system is mounted at the output {}, which can be neither renamed nor replaced; set output.publish = \"in_place\"",
            path.display()
        );
        return Err(Error::Recipe(message));
    }
    let names = disk.list_if_any(path)?.unwrap_or_default();
    if names.is_empty() {
        return Ok(());
    }
    if !overwrite {
        let message =
            format!("output {} exists and is not empty; choose another --output, or give --overwrite", path.display());
        return Err(Error::Conflict(message));
    }
    if !names.iter().any(|name| name == MANIFEST) {
        return Err(not_ours(path));
    }
    Ok(())
}

pub(super) fn not_ours(path: &Path) -> Error {
    Error::Conflict(format!(
        "output {} was not written by twopass (it has no {MANIFEST}), so --overwrite leaves it alone",
        path.display()
    ))
}

pub(super) fn publish(target: &Target<'_>) -> Result<()> {
    let Target { disk, files, .. } = target;
    let (staged, path) = (directory(files), files.root());
    disk.write_durably(&staged.join(SUCCESS), b"")?;
    // A directory's own name is durable by the one that it is in.
    directories(files).iter().rev().try_for_each(|directory| disk.sync_dir(directory))?;
    check(target)?;
    match disk.list_if_any(path)? {
        Some(names) if !names.is_empty() => {
            // One exchange: at no instant is there neither the old output nor the new one.
            disk.exchange_dirs(&staged, path)?;
            disk.remove_dir_all(&staged)
        }
        Some(_) => {
            disk.remove_dir(path)?;
            disk.publish_dir(&staged, path)
        }
        None => disk.publish_dir(&staged, path),
    }
}

fn sibling(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy());
    target.with_file_name(format!(".{name}.{suffix}"))
}
