//! Whether the output's file system has room for it, asked before anything is written. Only an estimate: what surely does
//! not fit is refused, what may not fit is said.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::facts::ColumnFacts;
use crate::plan::Plan;
use crate::spec::{OutputFormat, Recipe};

/// How many times smaller than the estimate an output may turn out: codecs do no better on what is left after
/// dictionaries and run lengths are taken off.
const COMPRESSIBLE: u64 = 8;
/// Bytes that a number takes as text, with its delimiter.
const TEXT_NUMBER_BYTES: u64 = 9;

/// What `rows` rows of the output take about, in bytes: before compression, but with dictionaries.
pub fn estimate(plan: &Plan, recipe: &Recipe, rows: u64) -> u64 {
    let columns = plan.pipeline.output.iter().zip(&plan.dictionary);
    let bits: u64 = columns
        .map(|(column, dictionary)| {
            let facts = &plan.facts[plan.pipeline.lanes[column.lane].input];
            let width =
                column.data_type.primitive_width().map_or_else(|| facts.mean_value_bytes(), |bytes| bytes as u64);
            match recipe.output.format {
                OutputFormat::Parquet if *dictionary => code_bits(facts),
                OutputFormat::Parquet if column.data_type == DataType::Boolean => 1,
                OutputFormat::Parquet => 8 * width,
                _ if column.data_type.is_primitive() => 8 * TEXT_NUMBER_BYTES,
                _ => 8 * (width + 1),
            }
        })
        .sum();
    (bits as f64 / 8.0 * rows as f64) as u64
}

/// Bits of a code that tells the column's values apart.
fn code_bits(facts: &ColumnFacts) -> u64 {
    u64::from(64 - facts.distinct.saturating_sub(1).leading_zeros())
}

/// The rows of all these files by file system, which is named by a directory of the files in it.
///
/// # Errors
/// [`Error::Io`].
pub fn by_file_system(disk: &Disk, files: impl Iterator<Item = (PathBuf, u64)>) -> Result<Vec<(PathBuf, u64)>> {
    let mut directories: BTreeMap<PathBuf, u64> = BTreeMap::new();
    for (file, rows) in files {
        let directory = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        *directories.entry(directory).or_default() += rows;
    }
    let mut found: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    for (directory, rows) in directories {
        found.entry(disk.device(&directory)?).or_insert((directory, 0)).1 += rows;
    }
    Ok(found.into_values().collect())
}

/// Looks at the free space of the file system that `directory` is in; returns what a person should know.
///
/// # Errors
/// [`Error::Io`] when an output of about `needed` bytes surely does not fit.
pub fn check(directory: &Path, needed: u64) -> Result<Option<String>> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    // A file system that does not say is no reason to stop.
    let Ok(found) = rustix::fs::statvfs(directory) else { return Ok(None) };
    judge(directory, needed, found.f_bavail.saturating_mul(found.f_frsize))
}

fn judge(directory: &Path, needed: u64, free: u64) -> Result<Option<String>> {
    if needed <= free {
        return Ok(None);
    }
    let what = format!("the output needs about {} and {} has {} free", mib(needed), directory.display(), mib(free));
    if needed / COMPRESSIBLE <= free {
        return Ok(Some(format!("{what}; it may fit once it is compressed")));
    }
    let source = io::Error::new(ErrorKind::StorageFull, format!("{what}; make room, then run again to go on"));
    Err(Error::io("write to", directory, source))
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_surely_does_not_fit_is_refused_with_both_figures_and_what_may_not_is_said() {
        let at = |needed: u64, free: u64| judge(Path::new("/out"), needed << 20, free << 20);
        assert_eq!(at(100, 100).unwrap(), None);
        let note = at(100, 99).unwrap().unwrap();
        assert!(note.contains("100 MiB") && note.contains("99 MiB"), "{note}");
        assert!(at(800, 100).unwrap().is_some());
        let error = at(900, 100).unwrap_err();
        let Error::Io { source, .. } = &error else { panic!("{error}") };
        let message = source.to_string();
        assert!(message.contains("900 MiB") && message.contains("100 MiB"), "{message}");
    }

    #[test]
    fn a_file_system_is_asked() {
        assert_eq!(check(Path::new(""), 1).unwrap(), None);
        assert!(check(Path::new("."), u64::MAX).is_err());
        assert_eq!(check(Path::new("/nowhere/at/all"), u64::MAX).unwrap(), None);
    }
}
