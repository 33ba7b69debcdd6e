//! Proves an output from its bytes: every part is read again and held against `_manifest.json`, which has the recipe. Nothing of
//! the input or the run is looked at, and nothing is written. Only what the bytes cannot know, how many rows were dropped and why,
//! is taken from the state, where there is one. Memory is bounded whatever the size of the output.
//!
//! A check that the bytes cannot answer, as the strata of a column that was scaled, says so: it is neither passed nor
//! failed.

mod edges;
mod files;
mod groups;
mod hashes;
mod keys;
mod places;
mod read;
mod rules;
mod state;
mod strata;
mod targets;
mod times;
mod unique;
mod values;

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::schema;
use crate::sink::SealedPart;
use crate::sink::manifest::Manifest;
use crate::spec::files::Files;
use crate::spec::{Recipe, SplitKind, check};

use read::PartFormat;
use rules::Rules;

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The output directory.
    pub output: PathBuf,
    /// Fingerprint of the plan that made it.
    pub fingerprint: String,
    /// Whether no check failed.
    pub ok: bool,
    /// Rows that the manifest promises.
    pub rows: u64,
    /// Bytes of all parts that the manifest promises.
    pub bytes: u64,
    /// Every check, in the order they were made.
    pub checks: Vec<Check>,
}

/// One check of a [`Verdict`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, in a word or two.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// The figures, or what is wrong and where.
    pub detail: String,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Proved.
    Ok,
    /// Disproved.
    Failed,
    /// The bytes alone cannot tell.
    NotProvable,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into() }
    }

    fn failed(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Failed, detail: detail.into() }
    }

    fn not_provable(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::NotProvable, detail: detail.into() }
    }

    /// Not provable, for parts are missing or damaged.
    fn incomplete(name: &'static str) -> Self {
        Self::not_provable(name, INCOMPLETE)
    }

    /// Passed with these figures when nothing is wrong, else failed with what is.
    fn unless(name: &'static str, wrong: &[String], figures: impl Into<String>) -> Self {
        if wrong.is_empty() { Self::ok(name, figures) } else { Self::failed(name, few(wrong)) }
    }
}

const INCOMPLETE: &str = "not all rows could be read";

/// What is wrong, cut after a few: a person reads it.
fn few(wrong: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = wrong.len().saturating_sub(SHOWN);
    let shown = wrong[..wrong.len().min(SHOWN)].join("; ");
    if more > 0 { format!("{shown}; and {more} more") } else { shown }
}

/// Verifies the output in the directory `path` from its bytes alone. What is wrong with the output is in the verdict, not an error.
///
/// # Errors
/// [`Error::Recipe`] when `path` is no output of twopass; [`Error::Damaged`] when its manifest cannot be read;
/// [`Error::Io`] when the system refuses to read the directory.
pub fn output(path: &Path) -> Result<Verdict> {
    verify(path, &|_| Ok(None))
}

/// As [`output`], and how many rows were dropped from the state in the directory `state`, or beside the output by default.
///
/// # Errors
/// As [`output`], and when the state that is given cannot be opened.
pub fn output_and_state(path: &Path, state: Option<&Path>) -> Result<Verdict> {
    verify(path, &|job| state::check(job, state).map(Some))
}

fn verify(path: &Path, further: &dyn Fn(&Subject<'_>) -> Result<Option<Check>>) -> Result<Verdict> {
    let manifest_path = path.join("_manifest.json");
    if !manifest_path.is_file() {
        let message = format!("{} is not an output of twopass: it has no _manifest.json", path.display());
        return Err(Error::Recipe(message));
    }
    let bytes = std::fs::read(&manifest_path).map_err(|e| Error::io("read", &manifest_path, e))?;
    let manifest = Manifest::from_json(&bytes)?;
    let recipe: Recipe = serde_json::from_value(manifest.recipe.clone()).map_err(|e| Error::Damaged {
        what: "_manifest.json has a recipe that cannot be read".into(),
        source: Some(e.into()),
    })?;
    check::recipe(&recipe).map_err(|e| Error::Damaged {
        what: "_manifest.json has a recipe that no run accepts".into(),
        source: Some(e.into()),
    })?;
    let files = Files::of(&recipe)?.at(path);
    let job = Subject { root: path, files, types: types(&manifest)?, manifest: &manifest, recipe: &recipe };
    let mut checks = files::checks(&job)?;
    job.contents(&mut checks)?;
    checks.extend(further(&job)?);
    Ok(Verdict {
        output: path.to_path_buf(),
        fingerprint: manifest.fingerprint.clone(),
        ok: checks.iter().all(|check| check.status != Status::Failed),
        rows: manifest.splits.iter().map(|split| split.rows).sum(),
        bytes: parts(&manifest).map(|(.., part)| part.bytes).sum(),
        checks,
    })
}

/// All parts with the position of their split and their number in it.
fn parts(manifest: &Manifest) -> impl Iterator<Item = (usize, u64, &SealedPart)> {
    let splits = manifest.splits.iter().enumerate();
    splits.flat_map(|(at, split)| split.parts.iter().zip(0..).map(move |(part, number)| (at, number, part)))
}

fn types(manifest: &Manifest) -> Result<Vec<DataType>> {
    let parse = |(name, data_type): &(String, String)| {
        schema::of_name(data_type).ok_or_else(|| Error::Damaged {
            what: format!("_manifest.json: column `{name}` has the type {data_type}, which is unknown"),
            source: None,
        })
    };
    manifest.schema.iter().map(parse).collect()
}

/// What is verified.
struct Subject<'a> {
    root: &'a Path,
    /// Where the recipe wants its files.
    files: Files,
    manifest: &'a Manifest,
    recipe: &'a Recipe,
    /// Types of the output's columns.
    types: Vec<DataType>,
}

impl Subject<'_> {
    /// Position of an output column.
    fn column(&self, name: &str) -> Option<usize> {
        self.manifest.schema.iter().position(|(column, _)| column == name)
    }

    /// Reads every part, and makes the checks that need rows.
    fn contents(&self, checks: &mut Vec<Check>) -> Result<()> {
        let mut rules = Rules::new(self);
        let read = self.read(&rules.columns(), &mut |split, batch| rules.add(split, batch))?;
        checks.push(Check::unless("rows", &read.wrong, format!("{} rows, counted in every part", read.rows)));
        checks.push(Check::unless(
            "schema",
            &read.schema,
            format!("{} columns, alike in every part", self.manifest.schema.len()),
        ));
        checks.push(self.sums());
        let complete = read.wrong.is_empty() && read.schema.is_empty();
        let hashed = rules.hashed_columns();
        while rules.finish_partition() && complete {
            self.read(&hashed, &mut |split, batch| rules.add_hashes(split, batch))?;
        }
        rules.checks(complete, checks);
        Ok(())
    }

    /// Reads these columns of every part.
    ///
    /// # Errors
    /// What `visit` returns of a part that could be read is in what was found, as that the part could not be read.
    fn read(&self, columns: &[usize], visit: &mut dyn FnMut(usize, &RecordBatch) -> Result<()>) -> Result<Read> {
        let format = PartFormat::new(self.recipe);
        let mut read = Read::default();
        for (split, number, part) in parts(self.manifest) {
            let Some(path) = self.place(&part.path, split, number).filter(|path| path.is_file()) else {
                // The check of the files has said so already.
                read.wrong.push(format!("{} is missing", part.path));
                continue;
            };
            match format.read(self, &path, columns, &mut |batch| visit(split, batch)) {
                Ok(found) => {
                    read.rows += found.rows;
                    if found.rows != part.rows {
                        let (path, rows) = (&part.path, found.rows);
                        read.wrong.push(format!("{path} has {rows} rows, the manifest says {}", part.rows));
                    }
                    read.schema.extend(found.schema_error.map(|wrong| format!("{}: {wrong}", part.path)));
                }
                Err(error) => read.wrong.push(format!("{} cannot be read: {}", part.path, chain(&error))),
            }
        }
        Ok(read)
    }

    /// Where a file of the manifest is, unless it is out of the output and the recipe does not want it there.
    fn place(&self, path: &str, split: usize, number: u64) -> Option<PathBuf> {
        let is_wanted = || {
            self.wanted(split, number).is_some_and(|(part, copies)| part == path || copies.iter().any(|c| c == path))
        };
        (files::is_inside(path) || is_wanted()).then(|| self.files.resolve(path))
    }

    /// Where the recipe wants a part and its copies.
    fn wanted(&self, split: usize, number: u64) -> Option<(String, Vec<String>)> {
        let split = self.files.split(&self.manifest.splits[split].name)?;
        Some((self.files.part(split, number), self.files.copies(split, number)))
    }

    /// Promise 2: every row read is in one split or one reason.
    fn sums(&self) -> Check {
        let manifest = self.manifest;
        let (read, kept) = (manifest.input.1, manifest.splits.iter().map(|split| split.rows).sum::<u64>());
        let dropped: u64 = manifest.dropped.iter().map(|(_, rows)| rows).sum();
        let mut wrong = Vec::new();
        if !self.has_splits_of_recipe() {
            wrong.push(format!("the splits are not those of the recipe: {}", self.recipe.split.names().join(", ")));
        }
        if kept + dropped != read {
            wrong.push(format!("{kept} rows in splits and {dropped} dropped are not the {read} rows read"));
        }
        for split in &manifest.splits {
            let parts: u64 = split.parts.iter().map(|part| part.rows).sum();
            if parts != split.rows {
                wrong.push(format!("the parts of {} have {parts} rows, the split {}", split.name, split.rows));
            }
        }
        Check::unless(
            "sums",
            &wrong,
            format!("{kept} rows in {} splits + {dropped} dropped = {read} rows read", manifest.splits.len()),
        )
    }

    /// Whether the manifest's splits are those that the recipe names.
    fn has_splits_of_recipe(&self) -> bool {
        self.manifest.splits.iter().map(|split| &split.name).eq(&self.recipe.split.names())
    }

    fn is_split(&self) -> bool {
        self.recipe.split.kind != SplitKind::None
    }
}

/// What reading all parts found.
#[derive(Default)]
struct Read {
    rows: u64,
    /// How parts are not what the manifest says.
    wrong: Vec<String>,
    /// How their columns are not.
    schema: Vec<String>,
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
