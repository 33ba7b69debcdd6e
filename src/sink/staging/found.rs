//! What an earlier run left where an output in place is to be: the files that its manifests list, and which of those that
//! are there are really its own. A name alone proves nothing, for another output may have come to the same directory since:
//!
//! | file | is the manifest's, if |
//! |---|---|
//! | part, copy, signature | length and XXH3-128 are those that the manifest says, or that its schema makes |
//! | metadata, `_skipped.jsonl` | one of its parts is in place or staged; in a publication that was cut short, a file that is still staged has the same bytes |
//!
//! So the latter are put in place after the parts, and taken away before them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::{keep, whole};
use crate::disk::{Disk, directory_of};
use crate::error::{Error, Result};
use crate::sink::manifest::Manifest;
use crate::spec::files::{Files, MANIFEST, SKIPPED, STAGING, SUCCESS};

/// Where a file is until it is published.
pub(super) fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    path.with_file_name(STAGING).join(name)
}

/// Length and XXH3-128.
type Seal = (u64, u128);

/// What proves that a file is the one that is listed.
enum Listed {
    Part(Seal),
    Signature(Seal),
    /// Nothing of its own.
    Other,
}

/// The files that a manifest lists, but for itself, and `_skipped.jsonl`, which may not be there.
pub(super) struct Listing {
    manifest: PathBuf,
    skipped: PathBuf,
    files: BTreeMap<PathBuf, Listed>,
}

impl Listing {
    /// What the manifest lists below `root`; nothing when there is none.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it cannot be read, or lists what its recipe does not: then nothing may be removed for its sake.
    pub(super) fn read(disk: &Disk, root: &Path, manifest: &Path) -> Result<Option<Self>> {
        // A directory of its name is in the way, and no manifest.
        if disk.is_dir_if_any(manifest)? == Some(true) {
            return Ok(None);
        }
        let Some(bytes) = disk.read_if_any(manifest)? else { return Ok(None) };
        let refuse = |why: &str| {
            let message =
                format!("{} {why}, so it is not known what it lists; move that output away", manifest.display());
            Err(Error::Conflict(message))
        };
        let Ok(found) = Manifest::from_json(&bytes) else { return refuse("cannot be read") };
        let of = serde_json::from_value(found.recipe.clone()).ok().and_then(|recipe| Files::of(&recipe).ok());
        let Some(of) = of.map(|files| files.at(root)) else { return refuse("has a recipe that no run accepts") };
        let names: Vec<&str> = found.schema.iter().map(|(name, _)| name.as_str()).collect();
        let signature = names.join(",");
        let seal = (signature.len() as u64, xxh3_128(signature.as_bytes()));
        let mut files = BTreeMap::from([(of.resolve(of.signature()), Listed::Signature(seal))]);
        files.extend(of.metadata().into_iter().chain([SKIPPED]).map(|path| (of.resolve(path), Listed::Other)));
        for split in &found.splits {
            let Some(at) = of.split(&split.name) else { return refuse("has a split that its recipe has not") };
            for (part, number) in split.parts.iter().zip(0..) {
                if (part.path.clone(), &part.copies) != (of.part(at, number), &of.copies(at, number)) {
                    return refuse("has parts where its recipe has none");
                }
                let Ok(xxh3) = u128::from_str_radix(&part.xxh3, 16) else { return refuse("has no checksums") };
                let all = std::iter::once(&part.path).chain(&part.copies);
                files.extend(all.map(|path| (of.resolve(path), Listed::Part((part.bytes, xxh3)))));
            }
        }
        Ok(Some(Self { manifest: manifest.to_path_buf(), skipped: of.resolve(SKIPPED), files }))
    }

    /// The directories that its files are in.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        self.files.keys().map(|path| directory_of(path).to_path_buf()).collect()
    }

    /// Its files, all of which are staged, in two steps: those that nothing but the others proves are in the second.
    ///
    /// # Errors
    /// [`Error::Failed`] when one is missing or has another length.
    pub(super) fn all_staged(&self, disk: &Disk) -> Result<[Vec<&Path>; 2]> {
        let mut steps = [Vec::new(), Vec::new()];
        for (path, listed) in &self.files {
            let at = staged(path);
            let found = disk.length_if_any(&at)?;
            match (listed, found) {
                (Listed::Part((bytes, _)) | Listed::Signature((bytes, _)), Some(found)) if *bytes == found => {
                    steps[0].push(path.as_path());
                }
                (Listed::Other, Some(_)) => steps[1].push(path.as_path()),
                (Listed::Other, None) if *path == self.skipped => {}
                _ => {
                    let message = "it is missing or has another length; nothing was published, run again";
                    return Err(Error::failed(format!("publishing {}", at.display()), message));
                }
            }
        }
        Ok(steps)
    }

    /// Whether a part of it is there, in its place or staged.
    fn has_a_part(&self, disk: &Disk, go_on: &GoOn<'_>) -> Result<bool> {
        for (path, listed) in &self.files {
            let Listed::Part(seal) = listed else { continue };
            if keep::has_bytes(disk, path, *seal, go_on)? || keep::has_bytes(disk, &staged(path), *seal, go_on)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

type GoOn<'a> = dyn Fn() -> Result<()> + Sync + 'a;

/// What stands where the output is to be, of an earlier one.
pub(super) struct Found {
    root: PathBuf,
    pub(super) is_whole: bool,
    pub(super) published: Option<Listing>,
    /// Of a publication that was cut short, or was about to begin.
    staged: Option<Listing>,
}

impl Found {
    /// All of it.
    pub(super) fn look(disk: &Disk, files: &Files) -> Result<Self> {
        let staged = Listing::read(disk, files.root(), &staged(&files.root().join(MANIFEST)))?;
        Ok(Self { staged, ..Self::published(disk, files)? })
    }

    /// The output that is in place, when nothing of what is staged can be.
    pub(super) fn published(disk: &Disk, files: &Files) -> Result<Self> {
        let root = files.root().to_path_buf();
        let is_whole = disk.length_if_any(&root.join(SUCCESS))?.is_some();
        let published = Listing::read(disk, &root, &root.join(MANIFEST))?;
        Ok(Self { root, is_whole, published, staged: None })
    }

    /// What is listed and may be in its place. Beside a whole output, what is staged was not being published yet.
    fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.published.iter().chain(self.staged.iter().filter(|_| !self.is_whole))
    }

    /// The directories of all files that are listed, staged or published.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        self.published.iter().chain(&self.staged).flat_map(Listing::directories).collect()
    }

    /// Whether a run may take this file away, if it is what its name says.
    pub(super) fn may_go(&self, path: &Path, overwrite: bool) -> bool {
        let is_listed = || self.listings().any(|listing| listing.files.contains_key(path));
        let is_mark =
            || self.published.is_some() && [SUCCESS, MANIFEST].iter().any(|name| self.root.join(name) == path);
        (overwrite || !self.is_whole) && (is_listed() || is_mark())
    }

    /// The listed files that are in their places, in the two steps in which they may be taken away.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a file that only has a listed name.
    pub(super) fn in_place(&self, disk: &Disk, go_on: &GoOn<'_>) -> Result<[BTreeSet<PathBuf>; 2]> {
        let mut steps = [BTreeSet::new(), BTreeSet::new()];
        for listing in self.listings() {
            for (path, listed) in &listing.files {
                if steps.iter().any(|step| step.contains(path)) || disk.is_dir_if_any(path)? != Some(false) {
                    continue;
                }
                if !self.is_ours(disk, path, go_on)? {
                    let (path, manifest) = (path.display(), listing.manifest.display());
                    let message = format!(
                        "{path} is not the file that {manifest} lists under its name, so it is left alone; move it away and run again"
                    );
                    return Err(Error::Conflict(message));
                }
                let step = usize::from(!matches!(listed, Listed::Other));
                steps[step].insert(path.clone());
            }
        }
        Ok(steps)
    }

    fn is_ours(&self, disk: &Disk, path: &Path, go_on: &GoOn<'_>) -> Result<bool> {
        for listing in self.listings() {
            let is_staged = self.staged.as_ref().is_some_and(|staged| std::ptr::eq(staged, listing));
            let is_its_own = match listing.files.get(path) {
                None => false,
                Some(Listed::Part(seal) | Listed::Signature(seal)) => keep::has_bytes(disk, path, *seal, go_on)?,
                Some(Listed::Other) => match disk.read_if_any(&staged(path))?.filter(|_| is_staged) {
                    Some(bytes) => keep::has_bytes(disk, path, (bytes.len() as u64, xxh3_128(&bytes)), go_on)?,
                    None => listing.has_a_part(disk, go_on)?,
                },
            };
            if is_its_own {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn conflict(&self, directory: &Path, name: &str, overwrite: bool) -> Error {
        if overwrite && self.published.is_none() && directory == self.root {
            return whole::not_ours(&self.root);
        }
        let may_go = self.may_go(&directory.join(name), true);
        let directory = directory.display();
        Error::Conflict(match (overwrite, may_go) {
            (true, _) => format!(
                "output {directory} has a file {name} that is not of the output to be replaced, so --overwrite leaves it alone; move it away"
            ),
            (false, true) => format!(
                "output {directory} exists and is not empty: it has {name}; choose another --output, or give --overwrite"
            ),
            (false, false) => format!(
                "output {directory} exists and is not empty: it has {name}, which is of no output of twopass; move it away, or choose another --output"
            ),
        })
    }
}
