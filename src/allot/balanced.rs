//! Whole groups, and every class's share in every split: kinds of groups are balanced, then each group is given its place.

use hashbrown::HashMap;

use super::grouped::group_of;
use super::router::Rows;
use super::{Allotment, Allotted, Rule, WorstShare, shares, sized_names};
use crate::error::Result;
use crate::hash;
use crate::spec::GroupSizes;
use crate::split::balance::{Kind, balanced};
use crate::split::fate::{OPEN, Reason};
use crate::split::groups::{Block, Groups, Slice};
use crate::split::{Marks, Quotas};
use crate::strata::Stratum;

/// What a group has of every class.
#[derive(Default)]
struct Tally {
    /// The class met first, with its rows.
    first: (u32, u64),
    /// Others, in no order.
    #[expect(clippy::box_collection, reason = "most groups have one class, and a pointer is a third of a vector")]
    others: Option<Box<Vec<(u32, u64)>>>,
    /// Its split, once it has one.
    split: u8,
}

impl Tally {
    /// Adds a row; returns the bytes that took.
    fn add(&mut self, class: u32) -> usize {
        if self.first.1 == 0 || self.first.0 == class {
            self.first = (class, self.first.1 + 1);
            return 0;
        }
        let fresh = self.others.is_none();
        let others = self.others.get_or_insert_default();
        if let Some((_, rows)) = others.iter_mut().find(|(known, _)| *known == class) {
            *rows += 1;
            return 0;
        }
        let before = others.capacity();
        others.push((class, 1));
        (others.capacity() - before) * size_of::<(u32, u64)>() + if fresh { size_of::<Vec<(u32, u64)>>() } else { 0 }
    }

    /// Rows by class, classes rising.
    fn rows(&self, rows: &mut Vec<(u32, u64)>) {
        rows.clear();
        rows.push(self.first);
        rows.extend(self.others.iter().flat_map(|others| others.iter()));
        rows.sort_unstable();
    }
}

/// Bytes that a kind takes besides its rows: here, sorted, and with its groups by split.
const KIND_BYTES: u64 = 160;

pub(super) fn allot(mut rows: Rows<'_>, strata: Vec<Stratum>) -> Result<Allotted> {
    let split = &rows.inputs.recipe.split;
    let budget = rows.inputs.budget;
    let state = rows.filter.random_state;
    let shares = shares(split, strata.iter().map(|stratum| stratum.rows).sum(), GroupSizes::Rows)?;
    let (splits, sized) = (shares.splits(), sized_names(split).len());
    if rows.marks.is_none() {
        rows.marks = Some(Marks::new(rows.count(), budget)?);
    }
    let what = "the balance of classes over splits";
    let _cells = budget.reserve(what, (strata.len() * splits * 64) as u64)?;

    let rank = |group: u128| hash::group_rank(group, state);
    let read = |visit: &(dyn Fn(&Block<'_>) + Sync)| rows.read(visit);
    let add = |tally: &mut Tally, block: &Block<'_>, row: usize| tally.add(block.strata[row]);
    let mut groups = Groups::new(budget, &read, group_of, rank, add);

    let mut counts: HashMap<Box<[(u32, u64)]>, u64> = HashMap::new();
    let mut held = budget.reserve(what, 0)?;
    let mut scratch = Vec::new();
    groups.for_each_slice(|slice| {
        let mut bytes = held.bytes();
        for tally in slice.values() {
            tally.rows(&mut scratch);
            match counts.get_mut(scratch.as_slice()) {
                Some(groups) => *groups += 1,
                None => {
                    bytes += KIND_BYTES + (scratch.len() * 32 + splits * 8) as u64;
                    counts.insert(scratch.as_slice().into(), 1);
                    if bytes > held.bytes() {
                        // In steps, for counting takes a lock.
                        held.resize(what, bytes + (1 << 16))?;
                    }
                }
            }
        }
        Ok(())
    })?;
    let kinds = kinds(counts);
    let (placed, worst) = balanced(&kinds, strata.len(), &shares.fractions());

    let index: HashMap<&[(u32, u64)], usize> = kinds.iter().enumerate().map(|(at, kind)| (&*kind.rows, at)).collect();
    let mut left = placed.clone();
    groups.for_each_slice(|slice| {
        slice.in_order(rank, |_, tally| {
            tally.rows(&mut scratch);
            let of_kind = index.get(scratch.as_slice()).map_or(0, |kind| kind * splits);
            let split = (0..splits).find(|split| left[of_kind + split] > 0).unwrap_or(0);
            left[of_kind + split] = left[of_kind + split].saturating_sub(1);
            tally.split = if split < sized { split as u8 } else { Reason::Rest.code() };
        });
        let slice: &Slice<Tally> = slice;
        rows.read(&|block| {
            let Some(marks) = &rows.marks else { return };
            for row in (0..block.fates.len()).filter(|row| block.fates[*row] == OPEN) {
                let group = block.groups[row];
                if let Some(tally) = slice.get(rank(group), group) {
                    marks.set(block.first + row as u64, tally.split);
                }
            }
        })
    })?;
    drop(groups);
    let names = sized_names(split);
    let worst = worst.map(|worst| WorstShare {
        class: strata[worst.class].name(),
        split: names.get(worst.split).map_or("rest", String::as_str).to_string(),
        deviation: worst.deviation,
    });
    let (table, mut of_splits) = tables(&kinds, &placed, strata.len(), splits);
    of_splits.truncate(sized);
    Ok(Allotted {
        allotment: Allotment { filter: rows.filter, rule: Rule::Marked, sized },
        marks: rows.marks,
        strata,
        quotas: Some(table),
        groups: Some(of_splits),
        worst,
    })
}

/// The kinds in their order: the largest first, ties by their rows.
fn kinds(counts: HashMap<Box<[(u32, u64)]>, u64>) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = counts.into_iter().map(|(rows, groups)| Kind { rows, groups }).collect();
    let size = |kind: &Kind| kind.rows.iter().map(|(_, rows)| rows).sum::<u64>();
    kinds.sort_unstable_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.rows.cmp(&b.rows)));
    kinds
}

/// Rows by class and split, and groups by split.
fn tables(kinds: &[Kind], placed: &[u64], classes: usize, splits: usize) -> (Quotas, Vec<u64>) {
    let mut rows = vec![0; classes * splits];
    let mut groups = vec![0; splits];
    for (kind, placed) in kinds.iter().zip(placed.chunks(splits)) {
        for (split, placed) in placed.iter().enumerate() {
            groups[split] += placed;
            for (class, of_class) in &kind.rows {
                rows[*class as usize * splits + split] += of_class * placed;
            }
        }
    }
    (Quotas::new(splits, rows), groups)
}
