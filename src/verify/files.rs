//! The checks that need no rows: which files there are, their names, lengths and checksums.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::{Check, Subject, parts};
use crate::error::{Error, Result};
use crate::sink::SealedPart;
use crate::spec::files::{MANIFEST, SKIPPED, SUCCESS};
use crate::spec::{Layout, Publish};

const BUFFER_BYTES: usize = 1 << 20;

/// Makes them.
pub(super) fn checks(job: &Subject<'_>) -> Result<Vec<Check>> {
    Ok(vec![success(job), listing(job)?, numbering(job), sizes(job), checksums(job), signature(job)])
}

/// Whether a path of the manifest stays within the output.
pub(super) fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn success(job: &Subject<'_>) -> Check {
    let name = SUCCESS;
    if job.root.join(name).is_file() {
        return Check::ok(name, "present");
    }
    Check::failed(name, "missing: it is written last, so the output may not be whole")
}

/// Every part and every copy is there, and nothing else is within the output.
fn listing(job: &Subject<'_>) -> Result<Check> {
    let mut found = BTreeSet::new();
    let walk = walkdir::WalkDir::new(job.files.root()).sort_by_file_name().into_iter();
    for entry in
        walk.filter_entry(|entry| entry.depth() == 0 || !may_be_there(job, &entry.file_name().to_string_lossy()))
    {
        let entry = entry.map_err(|e| Error::io("list", job.root, e.into()))?;
        if entry.depth() > 0 && !entry.file_type().is_dir() {
            found.insert(entry.into_path());
        }
    }
    let mut wrong = Vec::new();
    let mut expected = BTreeSet::new();
    for (path, place, _) in all_files(job) {
        match place {
            Some(place) if place.is_file() => drop(expected.insert(place)),
            _ => wrong.push(format!("{path} is missing")),
        }
    }
    let (parts, copies) = (parts(job.manifest).count(), all_files(job).count());
    let figures = match copies - parts {
        0 => format!("{parts} parts, no other file"),
        copies => format!("{parts} parts and {copies} copies, no other file"),
    };
    let own = [SUCCESS, MANIFEST, SKIPPED, job.files.signature()];
    expected.extend(own.into_iter().chain(job.files.metadata()).map(|path| job.files.resolve(path)));
    let extra = found.iter().filter(|path| !expected.contains(*path));
    wrong.extend(extra.map(|path| {
        let names: Vec<_> =
            path.strip_prefix(job.files.root()).unwrap_or(path).iter().map(|name| name.to_string_lossy()).collect();
        format!("{} is not in the manifest", names.join("/"))
    }));
    Ok(Check::unless("files", &wrong, figures))
}

/// Whether something of this name may have been in the output's directory before.
fn may_be_there(job: &Subject<'_>, name: &str) -> bool {
    job.recipe.output.publish == Publish::InPlace
        && (name == "lost+found" || (name.starts_with('.') && !name.starts_with(".twopass-")))
}

/// Every part and every copy: its path, where it is, unless that is out of bounds, and the part.
fn all_files<'a>(job: &'a Subject<'_>) -> impl Iterator<Item = (&'a str, Option<PathBuf>, &'a SealedPart)> {
    parts(job.manifest).flat_map(move |(split, number, part)| {
        let paths = std::iter::once(&part.path).chain(&part.copies);
        paths.map(move |path| (path.as_str(), job.place(path, split, number), part))
    })
}

/// Parts are numbered from 00000 without a gap, and have all their copies.
fn numbering(job: &Subject<'_>) -> Check {
    let mut wrong = Vec::new();
    for (split, number, part) in parts(job.manifest) {
        let Some((belongs, copies)) = job.wanted(split, number) else { continue };
        if part.path != belongs {
            wrong.push(format!("{} stands where {belongs} belongs", part.path));
        }
        if part.copies != copies {
            let (found, belong) = (part.copies.join(", "), copies.join(", "));
            wrong.push(format!("{} has the copies [{found}] where [{belong}] belong", part.path));
        }
    }
    Check::unless("numbering", &wrong, "from 00000 without a gap in every split")
}

/// Every part but a split's last has `shard_rows` rows.
fn sizes(job: &Subject<'_>) -> Check {
    let shard_rows = match job.recipe.output.layout {
        Layout::Shards => job.recipe.output.shard_rows,
        Layout::Single => u64::MAX,
    };
    let mut wrong = Vec::new();
    for split in &job.manifest.splits {
        let expected = split.rows.div_ceil(shard_rows).max(1);
        if split.parts.len() as u64 != expected {
            wrong.push(format!(
                "{} has {} parts where {} rows make {expected}",
                split.name,
                split.parts.len(),
                split.rows
            ));
        }
        let last = split.parts.len().saturating_sub(1);
        for (at, part) in split.parts.iter().enumerate() {
            if part.rows > shard_rows || (at < last && part.rows != shard_rows) {
                wrong.push(format!("{} has {} rows, not {shard_rows}", part.path, part.rows));
            }
        }
    }
    let figures = match job.recipe.output.layout {
        Layout::Shards => format!("{shard_rows} rows in every part but a split's last"),
        Layout::Single => "one part a split".into(),
    };
    Check::unless("part sizes", &wrong, figures)
}

/// Length and XXH3-128 of every part and copy.
fn checksums(job: &Subject<'_>) -> Check {
    let mut wrong = Vec::new();
    let mut read = 0;
    for (path, place, part) in all_files(job) {
        let Some(place) = place else {
            wrong.push(format!("{path} leads out of the output"));
            continue;
        };
        match digest(&place) {
            Err(error) => wrong.push(format!("{path}: {error}")),
            Ok((bytes, _)) if bytes != part.bytes => {
                wrong.push(format!("{path} has {bytes} bytes, the manifest says {}", part.bytes));
            }
            Ok((_, xxh3)) if xxh3 != part.xxh3 => wrong.push(format!(
                "{path} has other bytes than were written: XXH3-128 {xxh3}, the manifest says {}",
                part.xxh3
            )),
            Ok((bytes, _)) => read += bytes,
        }
    }
    Check::unless("checksums", &wrong, format!("length and XXH3-128 of every part, {read} bytes"))
}

fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, format!("{:032x}", hasher.digest128())));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// The signature names the manifest's columns.
fn signature(job: &Subject<'_>) -> Check {
    let names: Vec<&str> = job.manifest.schema.iter().map(|(name, _)| name.as_str()).collect();
    match fs::read_to_string(job.files.resolve(job.files.signature())) {
        Err(error) => Check::failed("signature", error.to_string()),
        Ok(text) if text == names.join(",") => Check::ok("signature", format!("names the {} columns", names.len())),
        Ok(_) => Check::failed("signature", "does not name the columns of the manifest"),
    }
}
