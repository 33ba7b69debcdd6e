//! Where each row is: in a split, or with `split.fold_column` in a fold that a column names. What is proved of splits is then proved
//! of folds.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type};

use super::values::by_name;
use super::{Check, Subject};
use crate::error::Result;
use crate::spec::SplitKind;

/// The place of a row whose fold is none.
pub(super) const NOWHERE: u8 = u8::MAX;

/// The places of rows.
pub(super) struct Places<'a> {
    job: &'a Subject<'a>,
    /// Names of the places.
    pub(super) names: Vec<String>,
    /// The column of folds, or why there is none.
    folds: Option<std::result::Result<usize, String>>,
    /// Rows of each place, counted.
    pub(super) rows: Vec<u64>,
    nowhere: u64,
    of_batch: Vec<u8>,
}

impl<'a> Places<'a> {
    pub(super) fn new(job: &'a Subject<'a>) -> Self {
        let split = &job.recipe.split;
        let column = split.fold_column.as_ref().filter(|_| split.kind == SplitKind::Kfold);
        let names: Vec<String> = match column {
            Some(_) => crate::allot::sized_names(split),
            None => job.manifest.splits.iter().map(|split| split.name.clone()).collect(),
        };
        let find = |name: &String| match job.column(name) {
            Some(at) if job.types[at] == DataType::Int32 => Ok(at),
            Some(at) => Err(format!("`{name}` is {}, and folds are Int32", job.types[at])),
            None => Err(format!("there is no column `{name}`")),
        };
        let rows = vec![0; names.len()];
        Self { job, names, folds: column.map(find), rows, nowhere: 0, of_batch: Vec::new() }
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.folds.iter().flatten().copied()
    }

    /// Whether rows are in folds that a column names.
    pub(super) fn are_folds(&self) -> bool {
        self.folds.is_some()
    }

    /// The places of a batch's rows; `count` says whether they are counted.
    pub(super) fn of(&mut self, split: usize, batch: &RecordBatch, count: bool) -> Result<&[u8]> {
        self.of_batch.clear();
        match &self.folds {
            None => self.of_batch.resize(batch.num_rows(), split as u8),
            Some(Err(_)) => self.of_batch.resize(batch.num_rows(), NOWHERE),
            Some(Ok(at)) => {
                let folds = by_name(self.job, batch, *at)?.as_primitive::<Int32Type>();
                let fold = |row: usize| {
                    let fold = u8::try_from(folds.value(row)).ok().filter(|fold| usize::from(*fold) < self.names.len());
                    fold.filter(|_| folds.is_valid(row)).unwrap_or(NOWHERE)
                };
                self.of_batch.extend((0..folds.len()).map(fold));
            }
        }
        for place in self.of_batch.iter().filter(|_| count) {
            match self.rows.get_mut(usize::from(*place)) {
                Some(rows) => *rows += 1,
                None => self.nowhere += 1,
            }
        }
        Ok(&self.of_batch)
    }

    /// The check, when folds are a column.
    pub(super) fn check(&self, complete: bool) -> Option<Check> {
        const NAME: &str = "folds";
        let folds = match self.folds.as_ref()? {
            Err(why) => return Some(Check::failed(NAME, why)),
            Ok(_) if !complete => return Some(Check::incomplete(NAME)),
            Ok(_) => self.names.len(),
        };
        let mut wrong = Vec::new();
        if self.nowhere > 0 {
            wrong.push(format!("{} rows have no fold from 0 to {}", self.nowhere, folds - 1));
        }
        match &self.job.manifest.folds {
            Some((column, rows)) if Some(column) == self.job.recipe.split.fold_column.as_ref() => {
                if rows.len() != folds {
                    wrong.push(format!("the manifest has {} folds, the recipe {folds}", rows.len()));
                }
                for (fold, (counted, promised)) in self.rows.iter().zip(rows).enumerate() {
                    if counted != promised {
                        wrong.push(format!("fold {fold} has {counted} rows, the manifest says {promised}"));
                    }
                }
            }
            _ => wrong.push("the manifest does not name the column of folds".into()),
        }
        let rows: u64 = self.rows.iter().sum();
        Some(Check::unless(NAME, &wrong, format!("{rows} rows in folds 0 to {}, counted row by row", folds - 1)))
    }
}
