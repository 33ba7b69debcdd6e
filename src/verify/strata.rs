//! Counts the rows of every stratum again, from the values of the stratify columns in the parts.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use hashbrown::HashMap;

use super::read::PartFormat;
use super::touched::untouched;
use super::{Check, Subject};
use crate::error::{Error, Result};
use crate::hash::canonical_text;
use crate::spec::{OutputFormat, SplitKind};
use crate::strata::push_value;

/// What a row is counted as whose values make no stratum of the manifest.
const NO_STRATUM: u32 = u32::MAX;

/// The strata of the output.
pub(super) struct Strata<'a> {
    job: &'a Subject<'a>,
    /// The stratify columns, or why they say nothing.
    columns: std::result::Result<Vec<Column<'a>>, String>,
    names: Vec<&'a str>,
    index: HashMap<&'a str, u32>,
    /// Rows by stratum, then split.
    counts: Vec<u64>,
    /// Rows without a stratum, and the values of one.
    strange: Option<(u64, String)>,
    rows: Vec<u32>,
}

struct Column<'a> {
    at: usize,
    /// For a mapped label, the class of each code.
    classes: Option<&'a [String]>,
}

impl<'a> Strata<'a> {
    pub(super) fn new(job: &'a Subject<'a>) -> Self {
        let names: Vec<&str> = job
            .manifest
            .splits
            .first()
            .map_or_else(Vec::new, |split| split.strata.iter().map(|(name, _)| name.as_str()).collect());
        let columns = job.manifest.stratify.iter().map(|name| column(job, name, &names)).collect();
        let index = names.iter().enumerate().map(|(at, name)| (*name, at as u32)).collect();
        let counts = vec![0; names.len() * job.manifest.splits.len()];
        Self { job, columns, index, counts, names, strange: None, rows: Vec::new() }
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.columns.iter().flatten().map(|column| column.at)
    }

    /// How many strata there are.
    pub(super) fn len(&self) -> usize {
        self.names.len().max(1)
    }

    /// Whether every row's stratum can be told.
    pub(super) fn is_provable(&self) -> bool {
        self.columns.is_ok()
    }

    /// Counts the rows of a batch and says their strata; with no stratify columns, all are in the first.
    pub(super) fn add(&mut self, split: usize, batch: &RecordBatch) -> Result<&[u32]> {
        self.rows.clear();
        let Ok(columns) = &self.columns else { return Ok(&self.rows) };
        if columns.is_empty() {
            self.rows.resize(batch.num_rows(), 0);
            return Ok(&self.rows);
        }
        let arrays = columns.iter().map(|column| column.text(self.job, batch)).collect::<Result<Vec<_>>>()?;
        let splits = self.job.manifest.splits.len();
        let mut name = String::new();
        for row in 0..batch.num_rows() {
            name.clear();
            for (at, array) in arrays.iter().enumerate() {
                push_value(&mut name, at, array.is_valid(row).then(|| array.value(row)));
            }
            let stratum = self.index.get(name.as_str()).copied().unwrap_or(NO_STRATUM);
            match self.counts.get_mut(stratum as usize * splits + split) {
                Some(count) if stratum != NO_STRATUM => *count += 1,
                _ => self.strange.get_or_insert_with(|| (0, name.clone())).0 += 1,
            }
            self.rows.push(stratum);
        }
        Ok(&self.rows)
    }

    /// The check, when there are strata; `complete` says whether all rows were seen.
    pub(super) fn check(&self, complete: bool) -> Option<Check> {
        const NAME: &str = "strata";
        if self.job.recipe.split.kind != SplitKind::Stratified {
            return None;
        }
        if let Err(why) = &self.columns {
            return Some(Check::not_provable(NAME, why));
        }
        if !complete {
            return Some(Check::not_provable(NAME, "not all rows could be read"));
        }
        let mut wrong = Vec::new();
        let splits = self.job.manifest.splits.len();
        for (at, split) in self.job.manifest.splits.iter().enumerate() {
            let promised: u64 = split.strata.iter().map(|(_, rows)| rows).sum();
            if promised != split.rows {
                wrong.push(format!("the strata of {} have {promised} rows, the split {}", split.name, split.rows));
            }
            for (name, rows) in &split.strata {
                let stratum = self.index.get(name.as_str()).copied().unwrap_or(NO_STRATUM);
                let counted = self.counts.get(stratum as usize * splits + at).copied().unwrap_or(0);
                if counted != *rows {
                    wrong.push(format!("{} has {counted} rows of `{name}`, the manifest says {rows}", split.name));
                }
            }
        }
        if let Some((rows, example)) = &self.strange {
            wrong.push(format!("{rows} rows are of no stratum of the manifest, as one of `{example}`"));
        }
        let by = self.job.manifest.stratify.join(", ");
        Some(Check::unless(
            NAME,
            &wrong,
            format!("{} strata of {by} in {splits} splits, counted row by row", self.names.len()),
        ))
    }
}

/// A stratify column, or why its values are not those that the strata were made of.
fn column<'a>(job: &'a Subject<'a>, name: &str, strata: &[&str]) -> std::result::Result<Column<'a>, String> {
    if let Some((label, classes)) = &job.manifest.label
        && label == name
        && let Some(at) = job.column(name)
    {
        return Ok(Column { at, classes: Some(classes) });
    }
    let at = untouched(job, name)?;
    let data_type = &job.types[at];
    if !PartFormat::reads_back(job.recipe, data_type) {
        return Err(format!("`{name}` is {data_type}, which text parts do not give back exactly"));
    }
    match job.recipe.output.format {
        OutputFormat::Csv | OutputFormat::Tsv
            if *data_type == DataType::Utf8 && strata.iter().any(|stratum| stratum.split('|').any(str::is_empty)) =>
        {
            Err(format!("`{name}` has empty texts, which CSV does not tell from missing values"))
        }
        OutputFormat::Jsonl if data_type.is_floating() && strata.iter().any(|stratum| stratum.contains("inf")) => {
            Err(format!("`{name}` has infinities, which JSON cannot hold"))
        }
        _ => Ok(Column { at, classes: None }),
    }
}

impl Column<'_> {
    /// The values as strata name them.
    fn text(&self, job: &Subject<'_>, batch: &RecordBatch) -> Result<StringArray> {
        let array = by_name(job, batch, self.at)?;
        let Some(classes) = &self.classes else { return Ok(canonical_text(array)?.into_owned()) };
        let codes = cast(array, &DataType::Int64).map_err(|e| Error::failed("reading label codes", e))?;
        let class =
            |code: Option<i64>| code.and_then(|code| classes.get(usize::try_from(code).ok()?)).map(String::as_str);
        Ok(codes.as_primitive::<Int64Type>().iter().map(class).collect::<StringArray>())
    }
}

/// The array of the output column at this position.
pub(super) fn by_name<'b>(job: &Subject<'_>, batch: &'b RecordBatch, at: usize) -> Result<&'b ArrayRef> {
    let name = &job.manifest.schema[at].0;
    batch.column_by_name(name).ok_or_else(|| Error::failed("reading a part", format!("column `{name}` is not there")))
}
