//! Files of the output under names that mean nothing yet, until all of them are complete and durable; then they are
//! published, in one of two ways. No reader ever finds half a file under its name, nor `_SUCCESS` beside half an output.
//!
//! ```text
//! rename     .OUT.twopass-staging/FILE     ── all durable ──▶ one rename ──▶ OUT/FILE       (staging/whole.rs)
//! in_place   DIR/.twopass-staging/FILE     ── all durable ──▶ a rename each ──▶ DIR/FILE    (staging/in_place.rs)
//! ```

mod found;
mod in_place;
mod keep;
mod whole;

use std::collections::BTreeSet;
use std::path::PathBuf;

use rayon::prelude::*;

use super::SealedPart;
use crate::disk::{AppendFile, Disk, directory_of};
use crate::error::Result;
use crate::spec::Publish;
use crate::spec::files::Files;
use crate::store::PartRecord;
use crate::store::lock::Lock;

/// Where an output is to be.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The file system.
    pub disk: &'a Disk,
    /// Its files.
    pub files: &'a Files,
    /// Whether it may replace an output of ours.
    pub overwrite: bool,
}

/// The right to build an output: lock files are held for as long.
#[derive(Default)]
pub struct Claim {
    locks: Vec<Lock>,
    /// The directories that have one of them in it.
    directories: BTreeSet<(u64, u64)>,
}

impl Claim {
    /// Locks directories, those of them that are there and not locked yet.
    fn take(&mut self, disk: &Disk, directories: &BTreeSet<PathBuf>) -> Result<()> {
        for directory in directories {
            let Some(identity) = disk.directory_identity(directory)? else { continue };
            if self.directories.insert(identity) {
                let file = directory.join(in_place::LOCK);
                self.locks.push(Lock::take(disk, &file, directory)?.removed_after(disk, &file));
            }
        }
        Ok(())
    }
}

impl Target<'_> {
    /// Checks that an output may be put there.
    ///
    /// # Errors
    /// [`crate::error::Error::Conflict`] when something is there, and it is not an output of ours that may be overwritten;
    /// [`crate::error::Error::Recipe`] when it cannot be published in the way that the recipe says.
    pub fn check(&self) -> Result<()> {
        match self.files.publish() {
            Publish::Rename => whole::check(self),
            Publish::InPlace => in_place::check(self),
        }
    }

    /// Claims the place; at most one process builds the output of a path.
    ///
    /// # Errors
    /// [`crate::error::Error::Conflict`] that names the process which has it; [`crate::error::Error::Io`].
    pub fn claim(&self) -> Result<Claim> {
        let Self { disk, files, .. } = *self;
        let mut claim = Claim::default();
        match files.publish() {
            Publish::Rename => {
                let file = whole::lock_file(files);
                disk.create_dir_all(directory_of(&file))?;
                claim.locks.push(Lock::take(disk, &file, files.root())?.removed_after(disk, &file));
            }
            Publish::InPlace => {
                let directories = files.directories();
                directories.iter().try_for_each(|directory| disk.create_dir_all(directory))?;
                in_place::check_distinct(disk, files)?;
                claim.take(disk, &directories)?;
            }
        }
        Ok(claim)
    }
}

/// The files of an output that is being built.
pub struct Staging {
    disk: Disk,
    files: Files,
    overwrite: bool,
    claim: Claim,
}

impl Staging {
    /// Begins the output that will be at `target`, or goes on with it. Of what an interrupted run left, exactly the files
    /// of `parts` stay that are what was recorded of them, to the last byte; the result says which. All else is removed.
    /// `go_on` is asked while bytes are checked.
    ///
    /// # Errors
    /// [`crate::error::Error::Conflict`] when `target` has something in it that may not be replaced; [`crate::error::Error::Io`]; what `go_on` says.
    pub fn begin(
        target: Target<'_>,
        mut claim: Claim,
        parts: &[PartRecord],
        go_on: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<(Self, Vec<PartRecord>)> {
        target.check()?;
        let Target { disk, files, overwrite } = target;
        if files.publish() == Publish::InPlace {
            in_place::take_back(disk, files, &mut claim, go_on)?;
        }
        let staging = Self { disk: disk.clone(), files: files.clone(), overwrite, claim };
        let check = |part: &PartRecord| {
            Ok(keep::is_intact(disk, &staging.staged(&part.path), part, go_on)?.then(|| part.clone()))
        };
        let intact: Vec<Result<Option<PartRecord>>> = parts.par_iter().map(check).collect();
        let kept: Vec<PartRecord> = intact.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
        let directories = staging.directories();
        let kept_files = kept.iter().map(|part| staging.staged(&part.path)).collect();
        for directory in &directories {
            disk.create_dir_all(directory)?;
            keep::clear(disk, directory, &directories, &kept_files)?;
        }
        Ok((staging, kept))
    }

    /// Where a file of the output is until it is published.
    pub fn staged(&self, path: &str) -> PathBuf {
        match self.files.publish() {
            Publish::Rename => whole::directory(&self.files).join(path),
            Publish::InPlace => found::staged(&self.files.resolve(path)),
        }
    }

    /// The directories with files that are not published, each after the one that it is in.
    fn directories(&self) -> BTreeSet<PathBuf> {
        match self.files.publish() {
            Publish::Rename => whole::directories(&self.files),
            Publish::InPlace => in_place::directories(&self.files),
        }
    }

    /// Writes a small file of the output, durably.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`].
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.disk.write_durably(&self.staged(path), bytes)
    }

    /// Begins a file of the output that may be long.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`].
    pub fn append(&self, path: &str) -> Result<AppendFile> {
        AppendFile::create(&self.disk, &self.staged(path))
    }

    /// Writes the copies of a sealed part, durably. `go_on` is asked on the way.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`]; [`crate::error::Error::Failed`] when what is read back is not what was written; what `go_on` says.
    pub fn copy(&self, part: &SealedPart, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        let from = self.staged(&part.path);
        part.copies.iter().try_for_each(|path| keep::copy(&self.disk, &from, self.append(path)?, part, go_on))
    }

    /// Puts the output in its place. All its files are written, the manifest last; `_SUCCESS` is written here.
    ///
    /// # Errors
    /// As [`Staging::begin`].
    pub fn publish(mut self) -> Result<()> {
        let target = Target { disk: &self.disk, files: &self.files, overwrite: self.overwrite };
        match self.files.publish() {
            Publish::Rename => whole::publish(&target),
            Publish::InPlace => in_place::publish(&target, &mut self.claim),
        }
    }
}
