//! Whole groups in the order of their ranks.

use super::router::Rows;
use super::{Allotment, Allotted, Rule, shares, sized_names, targets};
use crate::error::Result;
use crate::hash;
use crate::spec::GroupSizes;
use crate::split::cut::Cuts;
use crate::split::fate::OPEN;
use crate::split::groups::{Block, Groups};
use crate::strata::Stratum;

/// The group of a row that is to be split.
pub(super) fn group_of(block: &Block<'_>, row: usize) -> Option<u128> {
    (block.fates[row] == OPEN).then(|| block.groups[row])
}

pub(super) fn allot(rows: Rows<'_>, strata: Vec<Stratum>) -> Result<Allotted> {
    let split = &rows.inputs.recipe.split;
    let state = rows.filter.random_state;
    let rank = |group: u128| hash::group_rank(group, state);
    let read = |visit: &(dyn Fn(&Block<'_>) + Sync)| rows.read(visit);
    let add = |rows: &mut u64, _: &Block<'_>, _: usize| {
        *rows += 1;
        0
    };
    let mut groups = Groups::new(rows.inputs.budget, &read, group_of, rank, add);
    let measure = split.group_sizes();
    let count = match measure {
        GroupSizes::Rows => strata.iter().map(|stratum| stratum.rows).sum(),
        GroupSizes::Groups => {
            let mut count = 0;
            groups.for_each_slice(|slice| {
                count += slice.count() as u64;
                Ok(())
            })?;
            count
        }
    };
    let shares = shares(split, count, measure)?;
    let mut cuts = Cuts::new(targets(&shares, count));
    groups.for_each_slice(|slice| {
        slice.in_order(rank, |rank, rows| cuts.push(rank, if measure == GroupSizes::Rows { *rows } else { 1 }));
        Ok(())
    })?;
    drop(groups);
    let ends = cuts.finish();
    let allotment = Allotment { filter: rows.filter, rule: Rule::Grouped(ends.ranks), sized: sized_names(split).len() };
    Ok(Allotted { allotment, marks: rows.marks, strata, quotas: None, groups: Some(ends.groups), worst: None })
}
