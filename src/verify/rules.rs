//! The rules of the split, each held against the rows. Where the manifest's splits are not the recipe's, none is.

use arrow::array::RecordBatch;

use super::groups::Groups;
use super::keys::{Keys, Ranks};
use super::places::Places;
use super::strata::Strata;
use super::times::Times;
use super::unique::Unique;
use super::{Check, Subject, hashes, parts, targets};
use crate::error::Result;

/// All rules, while the rows go by.
pub(super) struct Rules<'a> {
    job: &'a Subject<'a>,
    places: Places<'a>,
    strata: Strata<'a>,
    ranks: Ranks<'a>,
    groups: Groups<'a>,
    times: Times<'a>,
    keys: Keys<'a>,
    unique: Unique<'a>,
    partitions: u64,
}

impl<'a> Rules<'a> {
    pub(super) fn new(job: &'a Subject<'a>) -> Self {
        let places = Places::new(job);
        let strata = Strata::new(job, &places);
        let ranks = Ranks::new(job, &strata, &places);
        let groups = Groups::new(job, &places);
        let times = Times::new(job, &places);
        let (keys, unique) = (Keys::new(job), Unique::new(job));
        let mut rules = Self { job, places, strata, ranks, groups, times, keys, unique, partitions: 1 };
        // Of the parts: theirs are counted before a second partition is read, so that no figure alone asks for more of them.
        let rows: u64 = parts(job.manifest).map(|(.., part)| part.rows).sum();
        let Self { keys, groups, unique, .. } = &mut rules;
        let mut tables: Vec<_> = [keys.hashes(), groups.hashes(), unique.hashes()].into_iter().flatten().collect();
        let count = tables.len();
        let partitions = hashes::partitions(rows, count);
        tables.iter_mut().for_each(|table| table.part(partitions, count));
        rules.partitions = if tables.is_empty() { 1 } else { partitions };
        rules
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> Vec<usize> {
        if !self.job.has_splits_of_recipe() {
            return Vec::new();
        }
        let columns = self.strata.columns().chain(self.times.columns());
        sorted(columns.chain(self.hashed_columns()).collect())
    }

    /// Those of which hashes are compared.
    pub(super) fn hashed_columns(&self) -> Vec<usize> {
        let columns = self.places.columns().chain(self.keys.columns());
        sorted(columns.chain(self.groups.columns()).chain(self.unique.columns()).collect())
    }

    pub(super) fn add(&mut self, split: usize, batch: &RecordBatch) -> Result<()> {
        if !self.job.has_splits_of_recipe() {
            return Ok(());
        }
        let places = self.places.of(split, batch, true)?;
        let strata = self.strata.add(places, batch)?;
        self.ranks.add(places, batch, strata)?;
        self.times.add(places, batch)?;
        self.keys.add(places, batch)?;
        self.groups.add(places, batch)?;
        self.unique.add(batch)
    }

    /// As [`Rules::add`], for the rows of another partition.
    pub(super) fn add_hashes(&mut self, split: usize, batch: &RecordBatch) -> Result<()> {
        let places = self.places.of(split, batch, false)?;
        self.keys.add(places, batch)?;
        self.groups.add(places, batch)?;
        self.unique.add(batch)
    }

    /// Counts what the partition that was read has; says whether there is another.
    pub(super) fn finish_partition(&mut self) -> bool {
        self.keys.finish_partition();
        self.groups.finish_partition();
        self.unique.finish_partition();
        self.partitions -= 1;
        self.partitions > 0 && self.job.has_splits_of_recipe()
    }

    pub(super) fn checks(&self, complete: bool, checks: &mut Vec<Check>) {
        if !self.job.has_splits_of_recipe() {
            return;
        }
        let Self { job, places, groups, times, .. } = self;
        checks.extend(targets::check(job, places, groups, times, complete));
        checks.extend(self.strata.check(complete));
        checks.extend(self.strata.worst_share(places, complete));
        checks.extend(groups.checks(places, complete));
        checks.extend(times.check(places, complete));
        checks.extend(places.check(complete));
        checks.extend(self.unique.check(complete));
        let order = self.ranks.check(complete);
        checks.extend(self.keys.check(complete, order.as_ref().map(|check| check.status)));
        checks.extend(order);
    }
}

fn sorted(mut columns: Vec<usize>) -> Vec<usize> {
    columns.sort_unstable();
    columns.dedup();
    columns
}
