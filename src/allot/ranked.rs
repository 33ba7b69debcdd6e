//! Row by row: by rank within a stratum, or by time.

use std::sync::atomic::{AtomicU64, Ordering};

use super::router::Rows;
use super::{Allotment, Allotted, Rule, shares, sized_names, targets};
use crate::error::Result;
use crate::hash;
use crate::spec::GroupSizes;
use crate::split::fate::OPEN;
use crate::split::groups::Block;
use crate::split::{self, Key, NO_STRATUM};
use crate::strata::Stratum;

/// Exact quotas of every stratum, rows by rank.
pub(super) fn allot(rows: Rows<'_>, strata: Vec<Stratum>) -> Result<Allotted> {
    let split = &rows.inputs.recipe.split;
    let stratum_rows: Vec<u64> = strata.iter().map(|stratum| stratum.rows).collect();
    let shares = shares(split, stratum_rows.iter().sum(), GroupSizes::Rows)?;
    let quotas = split::quotas(&stratum_rows, &shares);
    let state = rows.filter.random_state;
    let boundaries = split::boundaries(&quotas, rows.inputs.budget, |visit| {
        rows.read(&|block: &Block<'_>| {
            let ranks: Vec<u64> = block.keys.hashes.iter().map(|&key| hash::rank(key, state)).collect();
            visit(&open_strata(block, |stratum| stratum), &ranks, block.first);
        })
    })?;
    let allotment = Allotment { filter: rows.filter, rule: Rule::Ranked(boundaries), sized: sized_names(split).len() };
    Ok(Allotted { allotment, marks: rows.marks, strata, quotas: Some(quotas), groups: None, worst: None })
}

/// The strata of a block's rows, as `of` has them; none for rows that are not to be split.
fn open_strata(block: &Block<'_>, of: impl Fn(u32) -> u32) -> Vec<u32> {
    let strata = block.strata.iter().zip(block.fates);
    strata.map(|(stratum, fate)| if *fate == OPEN { of(*stratum) } else { NO_STRATUM }).collect()
}

/// Oldest to newest, whole times.
pub(super) fn allot_by_time(rows: Rows<'_>, strata: Vec<Stratum>) -> Result<Allotted> {
    let split = &rows.inputs.recipe.split;
    let count = strata.iter().map(|stratum| stratum.rows).sum();
    let shares = shares(split, count, GroupSizes::Rows)?;
    let quotas = split::quotas(&[count], &shares);
    let boundaries = split::boundaries(&quotas, rows.inputs.budget, |visit| {
        rows.read(&|block: &Block<'_>| {
            let ticks: Vec<u64> = (0..block.fates.len()).map(|row| block.keys.time(row)).collect();
            visit(&open_strata(block, |_| 0), &ticks, block.first);
        })
    })?;
    let ends = whole_times(&rows, boundaries.keys(), &targets(&shares, count))?;
    let allotment = Allotment { filter: rows.filter, rule: Rule::Timed(ends), sized: sized_names(split).len() };
    Ok(Allotted { allotment, marks: rows.marks, strata, quotas: None, groups: None, worst: None })
}

/// For the times of the rows that open a split, whether the split begins before or after all rows of that time: whichever is nearer to its
/// target.
fn whole_times(rows: &Rows<'_>, openers: &[Key], targets: &[u64]) -> Result<Vec<Option<u64>>> {
    let counts: Vec<[AtomicU64; 2]> = openers.iter().map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect();
    rows.read(&|block: &Block<'_>| {
        let mut of_block = vec![[0_u64; 2]; openers.len()];
        for row in (0..block.fates.len()).filter(|row| block.fates[*row] == OPEN) {
            let tick = block.keys.time(row);
            for (opener, [older, same]) in openers.iter().zip(&mut of_block) {
                *older += u64::from(tick < opener.hash);
                *same += u64::from(tick == opener.hash);
            }
        }
        for (sums, of_block) in counts.iter().zip(of_block) {
            sums.iter().zip(of_block).for_each(|(sum, more)| {
                sum.fetch_add(more, Ordering::Relaxed);
            });
        }
    })?;
    let end = |((opener, [older, same]), target): ((&Key, &[AtomicU64; 2]), &u64)| {
        let (older, same) = (older.load(Ordering::Relaxed), same.load(Ordering::Relaxed));
        let before = target.saturating_sub(older) <= (older + same).saturating_sub(*target);
        match *opener {
            Key::END => None,
            Key { hash, .. } if before => Some(hash),
            Key { hash, .. } => hash.checked_add(1),
        }
    };
    Ok(openers.iter().zip(&counts).zip(targets).map(end).collect())
}
