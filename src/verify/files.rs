//! The checks that need no rows: which files there are, their names, lengths and checksums.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path};

use xxhash_rust::xxh3::Xxh3;

use super::{Check, Subject, parts};
use crate::error::{Error, Result};
use crate::spec::Layout;

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
    let name = "_SUCCESS";
    if job.root.join(name).is_file() {
        return Check::ok(name, "present");
    }
    Check::failed(name, "missing: it is written last, so the output may not be whole")
}

/// Every part is there, and nothing else is.
fn listing(job: &Subject<'_>) -> Result<Check> {
    let expected: BTreeSet<String> = parts(job.manifest).map(|(_, part)| part.path.clone()).collect();
    let own = ["_SUCCESS", "_manifest.json", "_skipped.jsonl", "signature", "metadata"];
    let mut found = BTreeSet::new();
    for entry in walkdir::WalkDir::new(job.root).sort_by_file_name() {
        let entry = entry.map_err(|e| Error::io("list", job.root, e.into()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let relative = entry.path().strip_prefix(job.root).unwrap_or(entry.path());
        let names: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        found.insert(names.join("/"));
    }
    let missing = expected.difference(&found).map(|path| format!("{path} is missing"));
    let extra = found.iter().filter(|path| !expected.contains(*path) && !own.contains(&path.as_str()));
    let wrong: Vec<String> = missing.chain(extra.map(|path| format!("{path} is not in the manifest"))).collect();
    Ok(Check::unless("files", &wrong, format!("{} parts, no other file", expected.len())))
}

/// Parts are numbered from 00000 without a gap.
fn numbering(job: &Subject<'_>) -> Check {
    let mut wrong = Vec::new();
    for split in &job.manifest.splits {
        for (number, part) in split.parts.iter().enumerate() {
            let stem = match job.recipe.output.layout {
                Layout::Shards => format!("{0}/part-{number:05}.", split.name),
                Layout::Single => format!("{0}/{0}_processed_data.", split.name),
            };
            if !part.path.starts_with(&stem) {
                wrong.push(format!("{} stands where {stem}… belongs", part.path));
            }
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

/// Length and XXH3-128 of every part.
fn checksums(job: &Subject<'_>) -> Check {
    let mut wrong = Vec::new();
    let mut read = 0;
    for (_, part) in parts(job.manifest) {
        if !is_inside(&part.path) {
            wrong.push(format!("{} leads out of the output", part.path));
            continue;
        }
        match digest(&job.root.join(&part.path)) {
            Err(error) => wrong.push(format!("{}: {error}", part.path)),
            Ok((bytes, _)) if bytes != part.bytes => {
                wrong.push(format!("{} has {bytes} bytes, the manifest says {}", part.path, part.bytes));
            }
            Ok((_, xxh3)) if xxh3 != part.xxh3 => wrong.push(format!(
                "{} has other bytes than were written: XXH3-128 {xxh3}, the manifest says {}",
                part.path, part.xxh3
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
    match fs::read_to_string(job.root.join("signature")) {
        Err(error) => Check::failed("signature", error.to_string()),
        Ok(text) if text == names.join(",") => Check::ok("signature", format!("names the {} columns", names.len())),
        Ok(_) => Check::failed("signature", "does not name the columns of the manifest"),
    }
}
