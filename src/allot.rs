//! Which split each row goes to: found from the ledgers in bounded memory when the plan is frozen, and followed in pass two.
//!
//! [`allot`] settles first which rows there are to be split (`unique`), then, by the split's kind, the [`Rule`]: bounds on ranks, group
//! ranks or times, wherever those decide. What they cannot decide (duplicates, groups that were balanced, customers out of `oot`) is
//! marked row by row.

mod balanced;
mod grouped;
mod ranked;
mod router;
mod temporal;
mod unique;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::memory::Budget;
use crate::roles::Keys;
use crate::spec::{GroupSizes, MissingGroups, Recipe, Rest, Size, Split, SplitKind};
use crate::split::{Boundaries, Marks, Quotas, Shares};
use crate::strata::Stratum;

use router::Rows;
pub use router::{Router, first_rows};

/// Fills in what becomes of the next so many rows of a shard.
pub type NextRoutes<'a> = dyn FnMut(usize, &mut VecDeque<u8>) -> Result<()> + 'a;

/// Gets runs of a shard's ledger rows, in order.
pub type VisitRows<'a> = dyn FnMut(Keys<'_>) -> Result<()> + 'a;

/// The ledgers of all shards, to be read as often as needed, several at once.
pub trait Ledgers: Sync {
    /// The positions among all strata of a shard's strata by its own codes.
    ///
    /// # Errors
    /// When the state is damaged.
    fn codes(&self, shard: usize) -> Result<Cow<'_, [u32]>>;

    /// Hands over the rows of a shard in order.
    ///
    /// # Errors
    /// When the state is damaged, and what `visit` returns.
    fn rows(&self, shard: usize, visit: &mut VisitRows<'_>) -> Result<()>;
}

/// Which rows are dropped before the split, but for those without a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Rows without a time.
    pub time: bool,
    /// What becomes of rows without a group; nothing when groups do not matter.
    pub groups: Option<MissingGroups>,
    /// Seed of all ranks.
    pub random_state: u64,
}

impl Filter {
    fn new(recipe: &Recipe) -> Self {
        let Split { time, groups, missing_groups, random_state, kind, .. } = &recipe.split;
        // Without groups, every row before the cutoff is a customer of its own.
        let of_kind = (*kind == SplitKind::Temporal && groups.is_none()).then_some(MissingGroups::Own);
        Self {
            time: time.is_some(),
            groups: groups.as_ref().map(|_| *missing_groups).or(of_kind),
            random_state: *random_state,
        }
    }

    /// Whether it looks at anything.
    fn is_empty(self) -> bool {
        !self.time && self.groups.is_none()
    }
}

/// How a row that is to be split finds its split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// By its rank within its stratum.
    Ranked(Boundaries),
    /// By the rank of its group: for each split but the last the first rank beyond it.
    Grouped(Vec<Option<u64>>),
    /// By its time, likewise.
    Timed(Vec<Option<u64>>),
    /// By the rank of its group, when it is before the gap.
    Temporal {
        /// The first tick in the gap.
        gap: u64,
        /// The first tick out of time.
        cutoff: u64,
        /// For each split but the last the first rank beyond it.
        ends: Vec<Option<u64>>,
    },
    /// It is marked.
    Marked,
}

/// Frozen: which split each row goes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allotment {
    /// Which rows are dropped before.
    pub filter: Filter,
    /// How the others find their split.
    pub rule: Rule,
    /// Splits that have a size. What the rule finds beyond them is the rest, and the split beyond them is `oot`.
    pub sized: usize,
}

impl Allotment {
    /// Whether its parts are of one number of splits.
    pub fn is_consistent(&self) -> bool {
        let bounds = match &self.rule {
            Rule::Ranked(boundaries) => boundaries.splits() - 1,
            Rule::Grouped(ends) | Rule::Timed(ends) | Rule::Temporal { ends, .. } => ends.len(),
            Rule::Marked => self.sized,
        };
        bounds == self.sized || bounds + 1 == self.sized
    }
}

/// The class and split whose share is off by most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorstShare {
    /// The class: a stratum's name.
    pub class: String,
    /// The split.
    pub split: String,
    /// Its share of the class less its size.
    pub deviation: f64,
}

/// What was found.
pub struct Allotted {
    /// How each row finds its split.
    pub allotment: Allotment,
    /// What was decided row by row.
    pub marks: Option<Marks>,
    /// All strata, with the rows that are to be split.
    pub strata: Vec<Stratum>,
    /// Rows of each stratum in each split, where strata decide.
    pub quotas: Option<Quotas>,
    /// Groups of each split, where groups decide.
    pub groups: Option<Vec<u64>>,
    /// How far the balance of classes is off, where groups are balanced.
    pub worst: Option<WorstShare>,
}

/// Everything that allotting looks at.
pub struct Inputs<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The columns.
    pub schema: &'a Schema,
    /// All strata, in order, with all rows that have a label.
    pub strata: &'a [Stratum],
    /// Rows of each shard.
    pub shard_rows: &'a [u64],
    /// The rows.
    pub ledgers: &'a dyn Ledgers,
    /// What memory there is.
    pub budget: &'a Arc<Budget>,
}

/// Finds which split each row goes to. Ledgers are read on all threads of the pool that it is called in.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) when the rows cannot be split as asked; [`Error::Memory`](crate::error::Error::Memory); what reading
/// the ledgers finds.
pub fn allot(inputs: &Inputs<'_>) -> Result<Allotted> {
    let split = &inputs.recipe.split;
    let filter = Filter::new(inputs.recipe);
    let mut rows = Rows::new(inputs, filter);
    unique::mark(&mut rows)?;
    let strata = rows.strata()?;
    let ranked = |rows: Rows<'_>, strata: Vec<Stratum>| ranked::allot(rows, strata);
    match (split.kind, split.groups.is_some(), split.stratify.is_some()) {
        (SplitKind::None | SplitKind::Random | SplitKind::Stratified, ..) | (SplitKind::Kfold, false, _) => {
            ranked(rows, strata)
        }
        (SplitKind::Grouped, ..) | (SplitKind::Kfold, true, false) => grouped::allot(rows, strata),
        (SplitKind::StratifiedGrouped, ..) | (SplitKind::Kfold, true, true) => balanced::allot(rows, strata),
        (SplitKind::Temporal, ..) => temporal::allot(rows, strata),
        (SplitKind::TemporalQuantile, ..) => ranked::allot_by_time(rows, strata),
    }
}

/// The shares of the splits that have a size, of so many rows or groups; one more for the rest, if it is left out.
fn shares(split: &Split, count: u64, what: GroupSizes) -> Result<Shares> {
    let rest = split.rest == Rest::Drop;
    match split.kind {
        SplitKind::None => return Shares::new(&[1.0]),
        SplitKind::Kfold => return Shares::equal(split.folds as usize),
        _ => {}
    }
    let sizes = || split.sizes.0.iter().map(|(_, size)| *size);
    let counts: Vec<u64> =
        sizes().filter_map(|size| if let Size::Count(count) = size { Some(count) } else { None }).collect();
    if !counts.is_empty() {
        let what = match what {
            GroupSizes::Rows => "rows",
            GroupSizes::Groups => "groups",
        };
        return Shares::of_counts(&counts, count, rest, what);
    }
    let shares: Vec<f64> =
        sizes().filter_map(|size| if let Size::Share(share) = size { Some(share) } else { None }).collect();
    if rest { Shares::with_rest(&shares) } else { Shares::new(&shares) }
}

/// Names of the splits that have a size, and of the rest.
fn sized_names(split: &Split) -> Vec<String> {
    match split.kind {
        SplitKind::Kfold => (0..split.folds).map(|fold| format!("fold-{fold}")).collect(),
        SplitKind::None => vec![split.name.clone()],
        _ => split.sizes.0.iter().map(|(name, _)| name.clone()).collect(),
    }
}

/// The largest-remainder totals of `count`, summed up to each split but the last.
fn targets(shares: &Shares, count: u64) -> Vec<u64> {
    let totals = crate::split::quotas(&[count], shares).totals();
    let summed = totals.iter().scan(0, |sum, total| {
        *sum += total;
        Some(*sum)
    });
    summed.take(totals.len() - 1).collect()
}
