//! The rows of the ledgers on their way to their splits.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::{Allotment, Filter, Inputs, Rule};
use crate::error::{Error, Result};
use crate::hash::{self, NO_GROUP};
use crate::roles::Keys;
use crate::spec::MissingGroups;
use crate::split::cut::split_of;
use crate::split::fate::{OPEN, Reason};
use crate::split::groups::Block;
use crate::split::time::NO_TIME;
use crate::split::{Marks, NO_STRATUM};
use crate::strata::Stratum;

/// Routes the rows of one shard, in order.
pub struct Router {
    codes: Vec<u32>,
    position: u64,
    strata: Vec<u32>,
    groups: Vec<u128>,
    fates: Vec<u8>,
    ranks: Vec<u64>,
}

impl Router {
    /// For the rows of a shard whose own codes stand for the strata at these positions; `first_row` is its first row over the whole input.
    pub fn new(codes: Vec<u32>, first_row: u64) -> Self {
        let (strata, groups, fates, ranks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { codes, position: first_row, strata, groups, fates, ranks }
    }

    /// What becomes of the next rows: a split each, or a [`Reason`].
    ///
    /// # Errors
    /// [`Error::Damaged`] for a code that the shard has no stratum of.
    pub fn route(
        &mut self,
        allotment: &Allotment,
        marks: Option<&Marks>,
        keys: Keys<'_>,
        routes: &mut Vec<u8>,
    ) -> Result<()> {
        let first = self.decide(allotment.filter, marks, keys)?;
        let state = allotment.filter.random_state;
        let sized = allotment.sized;
        let or_rest = |split: usize| if split < sized { split as u8 } else { Reason::Rest.code() };
        routes.clear();
        match &allotment.rule {
            Rule::Ranked(boundaries) => {
                self.rank(keys.hashes, state);
                routes.resize(keys.codes.len(), OPEN);
                boundaries.route(&self.strata, &self.ranks, first, routes);
                if boundaries.splits() > sized {
                    let rest = routes.iter_mut().filter(|route| usize::from(**route) == sized);
                    rest.for_each(|route| *route = Reason::Rest.code());
                }
                let decided = routes.iter_mut().zip(&self.fates).filter(|(_, fate)| **fate != OPEN);
                decided.for_each(|(route, fate)| *route = *fate);
            }
            Rule::Grouped(ends) => {
                let groups = self.fates.iter().zip(&self.groups);
                routes.extend(groups.map(|(fate, group)| match *fate {
                    OPEN => or_rest(split_of(ends, hash::group_rank(*group, state))),
                    fate => fate,
                }));
            }
            Rule::Timed(ends) => {
                routes.extend(self.fates.iter().enumerate().map(|(row, fate)| match *fate {
                    OPEN => or_rest(split_of(ends, keys.time(row))),
                    fate => fate,
                }));
            }
            Rule::Temporal { gap, cutoff, ends } => {
                routes.extend(self.fates.iter().zip(&self.groups).enumerate().map(
                    |(row, (fate, group))| match *fate {
                        OPEN if keys.time(row) >= *cutoff => sized as u8,
                        OPEN if keys.time(row) >= *gap => Reason::Gap.code(),
                        OPEN => or_rest(split_of(ends, hash::group_rank(*group, state))),
                        fate => fate,
                    },
                ));
            }
            Rule::Marked => routes.extend_from_slice(&self.fates),
        }
        Ok(())
    }

    /// Finds strata and groups of the next rows, and what has been decided of them; returns the position of the first.
    fn decide(&mut self, filter: Filter, marks: Option<&Marks>, keys: Keys<'_>) -> Result<u64> {
        let first = self.position;
        self.position += keys.codes.len() as u64;
        let mut known = true;
        self.strata.clear();
        self.strata.extend(keys.codes.iter().map(|&code| {
            let stratum = self.codes.get(code as usize).copied().unwrap_or(NO_STRATUM);
            known &= stratum != NO_STRATUM || code == NO_STRATUM;
            stratum
        }));
        if !known {
            let what = "a ledger names a stratum that its shard has not; run again with --resume never".into();
            return Err(Error::Damaged { what, source: None });
        }
        let of_stratum = |stratum: &u32| if *stratum == NO_STRATUM { Reason::MissingLabel.code() } else { OPEN };
        self.fates.clear();
        self.fates.extend(self.strata.iter().map(of_stratum));
        if !filter.is_empty() {
            self.drop_incomplete(filter, keys);
        }
        if let Some(marks) = marks {
            for (fate, position) in self.fates.iter_mut().zip(first..).filter(|(fate, _)| **fate == OPEN) {
                *fate = marks.get(position);
            }
        }
        Ok(first)
    }

    fn drop_incomplete(&mut self, filter: Filter, keys: Keys<'_>) {
        let open = |fates: &[u8], row: usize| fates[row] == OPEN;
        if filter.time {
            for row in 0..self.fates.len() {
                if open(&self.fates, row) && keys.time(row) == NO_TIME {
                    self.fates[row] = Reason::MissingTime.code();
                }
            }
        }
        self.groups.clear();
        if let Some(missing) = filter.groups {
            for row in 0..self.fates.len() {
                let mut group = keys.group(row);
                if group == NO_GROUP && missing == MissingGroups::Own {
                    group = hash::own_group(keys.hashes[row]);
                }
                if group == NO_GROUP && open(&self.fates, row) {
                    self.fates[row] = Reason::MissingGroup.code();
                }
                self.groups.push(group);
            }
        }
    }

    fn rank(&mut self, hashes: &[u64], random_state: u64) {
        self.ranks.clear();
        self.ranks.extend(hashes.iter().map(|&key| hash::rank(key, random_state)));
    }
}

/// All rows of the input, to be read as often as needed.
pub(super) struct Rows<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) filter: Filter,
    pub(super) marks: Option<Marks>,
    first_rows: Vec<u64>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(inputs: &'a Inputs<'a>, filter: Filter) -> Self {
        Self { inputs, filter, marks: None, first_rows: first_rows(inputs.shard_rows) }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.inputs.shard_rows.iter().sum()
    }

    /// Hands over all rows, shards on all threads.
    pub(super) fn read(&self, visit: &(dyn Fn(&Block<'_>) + Sync)) -> Result<()> {
        let ledgers = self.inputs.ledgers;
        let one = |at: usize| {
            let mut router = Router::new(ledgers.codes(at)?.into_owned(), self.first_rows[at]);
            ledgers.rows(at, &mut |keys| {
                let first = router.decide(self.filter, self.marks.as_ref(), keys)?;
                let Router { strata, groups, fates, .. } = &router;
                visit(&Block { first, keys, strata, groups, fates });
                Ok(())
            })
        };
        let outcomes: Vec<Result<()>> = (0..self.first_rows.len()).into_par_iter().map(one).collect();
        outcomes.into_iter().collect()
    }

    /// All strata, with the rows that are still to be split.
    pub(super) fn strata(&self) -> Result<Vec<Stratum>> {
        let mut strata = self.inputs.strata.to_vec();
        if self.filter.is_empty() && self.marks.is_none() {
            return Ok(strata);
        }
        let counts: Vec<AtomicU64> = strata.iter().map(|_| AtomicU64::new(0)).collect();
        self.read(&|block| {
            for (stratum, _) in block.strata.iter().zip(block.fates).filter(|(_, fate)| **fate == OPEN) {
                counts[*stratum as usize].fetch_add(1, Ordering::Relaxed);
            }
        })?;
        strata.iter_mut().zip(counts).for_each(|(stratum, count)| stratum.rows = count.into_inner());
        Ok(strata)
    }
}

/// The number of each shard's first row over the whole input.
pub fn first_rows(shard_rows: &[u64]) -> Vec<u64> {
    shard_rows.iter().scan(0, |next, rows| Some(std::mem::replace(next, *next + rows))).collect()
}
