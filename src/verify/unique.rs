//! The check of `[dedupe]`: no key twice in the whole output.

use arrow::array::RecordBatch;

use super::hashes::Hashes;
use super::values::{self, Column, Empty, Untold, Wide};
use super::{Check, Subject};
use crate::error::Result;
use crate::hash::NO_GROUP;
use crate::spec::Keep;

/// The keys that are to be unique.
pub(super) struct Unique<'a> {
    job: &'a Subject<'a>,
    columns: Option<Untold<Vec<Column<'a>>>>,
    hashes: Hashes,
    keys: u64,
    twice: u64,
    unclear: u64,
}

impl<'a> Unique<'a> {
    pub(super) fn new(job: &'a Subject<'a>) -> Self {
        let dedupe = job.recipe.dedupe.as_ref();
        let columns = dedupe.map(|dedupe| values::columns(job, &dedupe.key, Column::distinct));
        Self { job, columns, hashes: Hashes::new(), keys: 0, twice: 0, unclear: 0 }
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.columns.iter().flatten().flatten().map(|column| column.at)
    }

    /// The hashes that it keeps, if any.
    pub(super) fn hashes(&mut self) -> Option<&mut Hashes> {
        matches!(self.columns, Some(Ok(_))).then_some(&mut self.hashes)
    }

    /// Adds the keys of a batch. A row that lacks any of the key's values has none.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(Ok(columns)) = &self.columns else { return Ok(()) };
        let Wide { hashes, unclear } = values::wide(self.job, columns, batch, Empty::Unclear)?;
        self.unclear += if self.hashes.is_first() { unclear } else { 0 };
        hashes.into_iter().filter(|hash| *hash != NO_GROUP).for_each(|hash| self.hashes.add(hash, 0));
        Ok(())
    }

    /// Counts the keys of a partition once it was read.
    pub(super) fn finish_partition(&mut self) {
        let Self { hashes, keys, twice, .. } = self;
        hashes.finish(|rows| {
            *keys += 1;
            *twice += u64::from(rows.map(|(_, rows)| rows).sum::<u64>() > 1);
        });
    }

    /// The check, when there is a key that is to be unique.
    pub(super) fn check(&self, complete: bool) -> Option<Check> {
        const NAME: &str = "duplicates";
        let dedupe = self.job.recipe.dedupe.as_ref()?;
        let Self { keys, twice, unclear, .. } = self;
        Some(match self.columns.as_ref()? {
            Err(why) => Check::not_provable(NAME, why),
            Ok(_) if !complete => Check::incomplete(NAME),
            Ok(_) if *twice > 0 => {
                Check::failed(NAME, format!("{twice} of {keys} keys come twice, and one row of each is to be kept"))
            }
            // One empty text is no duplicate, whatever it is.
            Ok(_) if *unclear > 1 => Check::not_provable(
                NAME,
                format!(
                    "{keys} keys, none twice; of {unclear} rows the parts do not tell an empty key from a missing one"
                ),
            ),
            Ok(_) => {
                let kept = match dedupe.keep {
                    Keep::First => "first",
                    Keep::Last => "last",
                };
                Check::ok(
                    NAME,
                    format!("{keys} keys, none twice (that each row is the {kept} of its key, parts cannot say)"),
                )
            }
        })
    }
}
