//! Counts the rows of every stratum again, from the values of the stratify columns in the parts.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use hashbrown::HashMap;

use super::places::{NOWHERE, Places};
use super::values::{self, Column};
use super::{Check, Subject};
use crate::allot;
use crate::error::Result;
use crate::spec::{GroupSizes, OneOrMany, OutputFormat, Rest, SplitKind};
use crate::strata::{MOST_STRATA, push_value};

/// What a row is counted as whose values make no stratum of the manifest.
const NO_STRATUM: u32 = u32::MAX;

/// The strata of the output.
pub(super) struct Strata<'a> {
    job: &'a Subject<'a>,
    /// The stratify columns, or why they say nothing.
    columns: std::result::Result<Vec<Column<'a>>, String>,
    index: HashMap<String, u32>,
    /// Whether the manifest names the strata; of folds in a column it does not.
    named: bool,
    places: usize,
    /// Rows by stratum, then place.
    counts: Vec<u64>,
    /// Rows without a stratum, and the values of one.
    strange: Option<(u64, String)>,
    rows: Vec<u32>,
}

impl<'a> Strata<'a> {
    pub(super) fn new(job: &'a Subject<'a>, places: &Places<'_>) -> Self {
        let named = !places.are_folds();
        let names: Vec<&str> = job
            .manifest
            .splits
            .first()
            .map_or_else(Vec::new, |split| split.strata.iter().map(|(name, _)| name.as_str()).collect());
        let stratify = OneOrMany::Many(job.manifest.stratify.clone());
        let columns = values::columns(job, &stratify, |job, name| column(job, name, &names));
        let index: HashMap<String, u32> =
            names.iter().enumerate().map(|(at, name)| (name.to_string(), at as u32)).collect();
        let places = places.names.len();
        let counts = vec![0; index.len() * places];
        Self { job, columns, index, named, places, counts, strange: None, rows: Vec::new() }
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.columns.iter().flatten().map(|column| column.at)
    }

    /// Whether there are strata at all.
    fn are_any(&self) -> bool {
        !self.job.manifest.stratify.is_empty()
    }

    /// Whether every row's stratum can be told.
    pub(super) fn is_provable(&self) -> bool {
        self.columns.is_ok()
    }

    /// Counts the rows of a batch and says their strata; with no stratify columns, all are in the first.
    pub(super) fn add(&mut self, places: &[u8], batch: &RecordBatch) -> Result<&[u32]> {
        self.rows.clear();
        let Ok(columns) = &self.columns else { return Ok(&self.rows) };
        if columns.is_empty() {
            self.rows.resize(batch.num_rows(), 0);
            return Ok(&self.rows);
        }
        let arrays = columns.iter().map(|column| column.text(self.job, batch)).collect::<Result<Vec<_>>>()?;
        let mut name = String::new();
        for (row, place) in places.iter().enumerate() {
            name.clear();
            for (at, array) in arrays.iter().enumerate() {
                push_value(&mut name, at, array.is_valid(row).then(|| array.value(row)));
            }
            let known = self.index.get(name.as_str()).copied();
            let stratum = match known {
                Some(stratum) => stratum,
                None if self.named || self.index.len() == MOST_STRATA => NO_STRATUM,
                None => {
                    let next = self.index.len() as u32;
                    self.index.insert(name.clone(), next);
                    self.counts.resize(self.counts.len() + self.places, 0);
                    next
                }
            };
            if stratum == NO_STRATUM {
                self.strange.get_or_insert_with(|| (0, name.clone())).0 += 1;
            } else if *place != NOWHERE {
                self.counts[stratum as usize * self.places + usize::from(*place)] += 1;
            }
            self.rows.push(stratum);
        }
        Ok(&self.rows)
    }

    /// The check of the counts, when there are strata that the manifest counts; `complete` says whether all rows were seen.
    pub(super) fn check(&self, complete: bool) -> Option<Check> {
        let split = &self.job.recipe.split;
        let name = if is_balanced(self.job) { "classes" } else { "strata" };
        if !matches!(split.kind, SplitKind::Stratified | SplitKind::StratifiedGrouped | SplitKind::Kfold)
            || !self.are_any()
        {
            return None;
        }
        if let Err(why) = &self.columns {
            return Some(Check::not_provable(name, why));
        }
        if !complete {
            return Some(Check::incomplete(name));
        }
        let mut wrong = Vec::new();
        for (at, split) in self.job.manifest.splits.iter().enumerate().filter(|_| self.named) {
            let promised: u64 = split.strata.iter().map(|(_, rows)| rows).sum();
            if promised != split.rows {
                wrong.push(format!("the strata of {} have {promised} rows, the split {}", split.name, split.rows));
            }
            for (name, rows) in &split.strata {
                let stratum = self.index.get(name.as_str()).copied().unwrap_or(NO_STRATUM);
                let counted = self.counts.get(stratum as usize * self.places + at).copied().unwrap_or(0);
                if counted != *rows {
                    wrong.push(format!("{} has {counted} rows of `{name}`, the manifest says {rows}", split.name));
                }
            }
        }
        if let Some((rows, example)) = &self.strange {
            wrong.push(format!("{rows} rows are of no stratum of the manifest, as one of `{example}`"));
        }
        let rounded = !is_balanced(self.job) && split.rest == Rest::Raise;
        if rounded && wrong.is_empty() {
            wrong.extend(self.not_rounded());
        }
        let by = self.job.manifest.stratify.join(", ");
        let (strata, places) = (self.index.len(), self.places);
        let law = if rounded { "each the floor or the ceiling of its share" } else { "counted row by row" };
        Some(Check::unless(name, &wrong, format!("{strata} strata of {by} in {places} splits, {law}")))
    }

    /// Strata whose rows in a split are neither floor nor ceiling of their share.
    fn not_rounded(&self) -> Vec<String> {
        let total = self.counts.iter().sum();
        let shares = match allot::shares(&self.job.recipe.split, total, GroupSizes::Rows) {
            Ok(shares) => shares.fractions(),
            Err(error) => return vec![error.to_string()],
        };
        let cells = self.counts.chunks(self.places).filter(|rows| {
            let all: u64 = rows.iter().sum();
            !rows.iter().zip(&shares).all(|(rows, share)| is_rounded(*rows, all, *share))
        });
        let wrong = cells.count();
        let message = || format!("{wrong} strata have in a split neither the floor nor the ceiling of their share");
        (wrong > 0).then(message).into_iter().collect()
    }

    /// The check of the share that is off by most, where groups are balanced.
    pub(super) fn worst_share(&self, places: &Places<'_>, complete: bool) -> Option<Check> {
        const NAME: &str = "worst share";
        if !is_balanced(self.job) {
            return None;
        }
        if let Err(why) = &self.columns {
            return Some(Check::not_provable(NAME, why));
        }
        if !complete {
            return Some(Check::incomplete(NAME));
        }
        let split = &self.job.recipe.split;
        if split.rest == Rest::Drop {
            let why = "the rows that the sizes leave out are not in the parts, so no class can be counted in full";
            return Some(Check::not_provable(NAME, why));
        }
        let shares = match allot::shares(split, self.counts.iter().sum(), GroupSizes::Rows) {
            Ok(shares) => shares.fractions(),
            Err(error) => return Some(Check::failed(NAME, error.to_string())),
        };
        let deviation = |stratum: usize, place: usize| {
            let rows = &self.counts[stratum * self.places..][..self.places];
            let all: u64 = rows.iter().sum();
            let (part, whole) = shares[place];
            let off = i128::from(rows[place]) * i128::from(whole) - i128::from(part) * i128::from(all);
            if all == 0 { 0.0 } else { off as f64 / (whole as f64 * all as f64) }
        };
        let cells = (0..self.counts.len()).map(|cell| deviation(cell / self.places, cell % self.places).abs());
        let largest = cells.fold(0.0, f64::max);
        let Some(worst) = &self.job.manifest.worst_share else {
            return Some(match self.counts.iter().all(|rows| *rows == 0) {
                true => Check::ok(NAME, "there are no rows"),
                false => Check::failed(NAME, "the manifest does not say it"),
            });
        };
        let told = self.index.get(worst.class.as_str()).zip(places.names.iter().position(|name| *name == worst.split));
        let found = told.map(|(stratum, place)| deviation(*stratum as usize, place));
        let is_same = |a: f64, b: f64| (a - b).abs() <= 1e-9;
        let said = format!("`{}` in {} is off by {:.6}", worst.class, worst.split, worst.deviation);
        Some(match found {
            Some(found) if is_same(found, worst.deviation) && is_same(found.abs(), largest) => {
                Check::ok(NAME, format!("{said}, no class by more"))
            }
            Some(found) => Check::failed(
                NAME,
                format!("the manifest says {said}; it is off by {found:.6}, and the largest is {largest:.6}"),
            ),
            None => Check::failed(NAME, format!("the manifest says {said}, and there is none of that name")),
        })
    }
}

/// Whether groups are placed so that classes are balanced.
pub(super) fn is_balanced(job: &Subject<'_>) -> bool {
    let split = &job.recipe.split;
    split.kind == SplitKind::StratifiedGrouped
        || (split.kind == SplitKind::Kfold && split.groups.is_some() && split.stratify.is_some())
}

/// Whether so many rows are the floor or the ceiling of a share of all.
pub(super) fn is_rounded(rows: u64, all: u64, (part, whole): (u64, u64)) -> bool {
    let exact = u128::from(all) * u128::from(part);
    let floor = exact / u128::from(whole);
    let rows = u128::from(rows);
    rows == floor || (rows == floor + 1 && !exact.is_multiple_of(u128::from(whole)))
}

/// A stratify column, or why its values are not those that the strata were made of.
fn column<'a>(job: &'a Subject<'a>, name: &str, strata: &[&str]) -> values::Untold<Column<'a>> {
    let column = Column::exact(job, name)?;
    if job.manifest.label.as_ref().is_some_and(|(label, _)| label == name) {
        return Ok(column);
    }
    let data_type = &job.types[column.at];
    // Where the manifest does not name the strata, any may be such a one.
    let may_be = |is: &dyn Fn(&str) -> bool| strata.is_empty() || strata.iter().any(|stratum| is(stratum));
    match job.recipe.output.format {
        OutputFormat::Csv | OutputFormat::Tsv
            if *data_type == DataType::Utf8 && may_be(&|stratum| stratum.split('|').any(str::is_empty)) =>
        {
            Err(format!("`{name}` may have empty texts, which CSV does not tell from missing values"))
        }
        OutputFormat::Jsonl if data_type.is_floating() && may_be(&|stratum| stratum.contains("inf")) => {
            Err(format!("`{name}` may have infinities, which JSON cannot hold"))
        }
        _ => Ok(column),
    }
}
