//! What is left of pass two when some parts of the plan are there already: the parts to be written, the shards whose rows
//! go to them, and which rows of these are passed over. Follows from the plan and the parts alone; touches no file.

use crate::plan::{Plan, PlannedPart};
use crate::split::DROPPED;
use crate::split::fate::is_split;

/// The parts of a plan that are still to be written.
///
/// All parts of a split but its last have the same number of rows. So the parts that are left, in order, are cut at the
/// same rows as a split of their rows together: whoever encodes them need not know which ones are missing in between.
pub struct Remaining {
    parts: Vec<PlannedPart>,
    /// For each split and each of its parts, whether it is to be written.
    wanted: Vec<Vec<bool>>,
    /// For each shard and split, the row of the split that the shard's first one is.
    first: Vec<Vec<u64>>,
    /// For each shard, whether a row of it goes to a part that is to be written.
    needed: Vec<bool>,
    shard_rows: u64,
    /// Whether routes are folds, which are all written to one split.
    folded: bool,
}

impl Remaining {
    /// What is left of `plan`, whose parts are `parts`, when those are kept that `kept` says.
    pub fn new(plan: &Plan, parts: &[PlannedPart], kept: &[bool]) -> Self {
        let mut wanted = vec![Vec::new(); plan.splits.len()];
        for (part, kept) in parts.iter().zip(kept) {
            wanted[part.split].push(!kept);
        }
        let parts = parts.iter().zip(kept).filter(|(_, kept)| !**kept).map(|(part, _)| part.clone()).collect();
        let mut at = vec![0; plan.splits.len()];
        let mut remaining = Self {
            parts,
            wanted,
            first: Vec::new(),
            needed: Vec::new(),
            shard_rows: plan.shard_rows,
            folded: plan.fold_column.is_some(),
        };
        for shard in &plan.shards {
            let is_needed = |split: usize| remaining.any_wanted(split, at[split], at[split] + shard.splits[split]);
            let needed = (0..at.len()).any(is_needed);
            remaining.needed.push(needed);
            remaining.first.push(at.clone());
            at.iter_mut().zip(&shard.splits).for_each(|(at, rows)| *at += rows);
        }
        remaining
    }

    /// The parts to be written, in the plan's order.
    pub fn parts(&self) -> &[PlannedPart] {
        &self.parts
    }

    /// Rows of a split that are to be written.
    pub fn rows(&self, split: usize) -> u64 {
        self.parts.iter().filter(|part| part.split == split).map(|part| part.rows).sum()
    }

    /// Whether any row of the shard at this position of the plan is to be written.
    pub fn needs(&self, shard: usize) -> bool {
        self.needed[shard]
    }

    /// The row of a split that the first one of the shard is.
    pub fn first_row(&self, shard: usize, split: usize) -> u64 {
        self.first[shard][split]
    }

    /// Whether this row of a split is to be written.
    pub fn wants(&self, split: usize, row: u64) -> bool {
        self.wanted[split][(row / self.shard_rows) as usize]
    }

    /// Passes over the rows of a shard that are in a part already.
    pub fn skip(&self, shard: usize) -> Skip<'_> {
        Skip { remaining: self, at: self.first[shard].clone(), all: self.wanted.iter().flatten().all(|wanted| *wanted) }
    }

    fn any_wanted(&self, split: usize, first: u64, end: u64) -> bool {
        let parts = &self.wanted[split];
        first < end && (first / self.shard_rows..=(end - 1) / self.shard_rows).any(|part| parts[part as usize])
    }
}

/// Takes rows that are in a part already out of the routes of one shard.
pub struct Skip<'a> {
    remaining: &'a Remaining,
    /// The row of each split that comes next.
    at: Vec<u64>,
    /// Whether all parts are to be written.
    all: bool,
}

impl Skip<'_> {
    /// Marks those of the next rows as [`DROPPED`] that are not to be written.
    pub fn apply(&mut self, routes: &mut [u8]) {
        if self.all {
            return;
        }
        for route in routes.iter_mut().filter(|route| is_split(**route)) {
            let split = if self.remaining.folded { 0 } else { *route as usize };
            let part = self.at[split] / self.remaining.shard_rows;
            self.at[split] += 1;
            if !self.remaining.wanted[split][part as usize] {
                *route = DROPPED;
            }
        }
    }
}
