//! Before a cutoff by customer, after it out of time.

use super::grouped::group_of;
use super::router::Rows;
use super::{Allotment, Allotted, Rule, shares, sized_names, targets};
use crate::error::{Error, Result};
use crate::hash;
use crate::spec::{GroupSizes, Recipe};
use crate::split::Marks;
use crate::split::cut::{Cuts, split_of};
use crate::split::fate::{OPEN, Reason};
use crate::split::groups::{Block, Groups, Slice};
use crate::split::time::{Cutoff, Unit};
use crate::strata::Stratum;

/// What the rows of a customer have in all.
#[derive(Default)]
struct Customer {
    /// Rows before the gap.
    before: u64,
    /// Whether a row is out of time.
    after: bool,
}

pub(super) fn allot(mut rows: Rows<'_>, strata: Vec<Stratum>) -> Result<Allotted> {
    let recipe = rows.inputs.recipe;
    let split = &recipe.split;
    let state = rows.filter.random_state;
    let (gap, cutoff) = ticks(recipe, rows.inputs.schema)?;
    let names = sized_names(split);
    let excluded: Vec<usize> =
        split.oot_exclude().iter().filter_map(|name| names.iter().position(|known| known == name)).collect();
    let marks = match rows.marks.take() {
        None if !excluded.is_empty() => Some(Marks::new(rows.count(), rows.inputs.budget)?),
        marks => marks,
    };
    rows.marks = marks;

    let rank = |group: u128| hash::group_rank(group, state);
    let read = |visit: &(dyn Fn(&Block<'_>) + Sync)| rows.read(visit);
    let add = |customer: &mut Customer, block: &Block<'_>, row: usize| {
        let time = block.keys.time(row);
        customer.before += u64::from(time < gap);
        customer.after |= time >= cutoff;
        0
    };
    let mut customers = Groups::new(rows.inputs.budget, &read, group_of, rank, add);
    let measure = split.group_sizes();
    let weight = |customer: &Customer| match measure {
        GroupSizes::Rows => customer.before,
        GroupSizes::Groups => u64::from(customer.before > 0),
    };
    let mut count = 0;
    customers.for_each_slice(|slice| {
        count += slice.values().map(weight).sum::<u64>();
        Ok(())
    })?;
    let shares = shares(split, count, measure)?;
    let mut cuts = Cuts::new(match measure {
        GroupSizes::Rows => targets(&shares, count),
        GroupSizes::Groups => shares.floors(count),
    });
    customers.for_each_slice(|slice| {
        slice.in_order(rank, |rank, customer| {
            if customer.before > 0 {
                cuts.push(rank, weight(customer));
            }
        });
        Ok(())
    })?;
    let ends = cuts.finish();
    let is_excluded =
        |rank: u64, customer: &Customer| customer.before > 0 && excluded.contains(&split_of(&ends.ranks, rank));
    let mut out_of_time = 0;
    customers.for_each_slice(|slice| {
        slice.in_order(rank, |rank, customer| {
            out_of_time += u64::from(customer.after && !is_excluded(rank, customer));
        });
        let Some(marks) = rows.marks.as_ref().filter(|_| !excluded.is_empty()) else { return Ok(()) };
        let slice: &Slice<Customer> = slice;
        rows.read(&|block| {
            for row in (0..block.fates.len()).filter(|row| block.fates[*row] == OPEN && block.keys.time(*row) >= cutoff)
            {
                let (group, rank) = (block.groups[row], rank(block.groups[row]));
                if slice.get(rank, group).is_some_and(|customer| is_excluded(rank, customer)) {
                    marks.set(block.first + row as u64, Reason::OotExcluded.code());
                }
            }
        })
    })?;
    drop(customers);
    let mut groups = ends.groups;
    groups.truncate(names.len());
    groups.push(out_of_time);
    let rule = Rule::Temporal { gap, cutoff, ends: ends.ranks };
    let allotment = Allotment { filter: rows.filter, rule, sized: names.len() };
    let groups = split.groups.is_some().then_some(groups);
    Ok(Allotted { allotment, marks: rows.marks, strata, quotas: None, groups, worst: None })
}

/// The ticks at which the gap and `oot` begin.
fn ticks(recipe: &Recipe, schema: &arrow::datatypes::Schema) -> Result<(u64, u64)> {
    let split = &recipe.split;
    let (Some(time), Some(cutoff)) = (&split.time, &split.cutoff) else {
        return Err(Error::Recipe("split.kind = \"temporal\" needs split.time and split.cutoff".into()));
    };
    let field = schema.field(crate::schema::position(schema, time, "split.time column")?);
    let unit = Unit::of(time, field.data_type())?;
    Cutoff::read(cutoff, split.gap.as_ref())?.ticks(time, unit)
}
