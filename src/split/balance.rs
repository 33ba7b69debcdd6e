//! Whole groups to splits, so that every class has in every split as nearly its share as whole groups allow.
//!
//! The deviation of class `c` in split `s` is `n_cs / n_c − r_s`. Groups with the same number of rows of every class are of one *kind*
//! and interchangeable: of `m` of them every split first takes `⌊r_s·m⌋`, which deviates by less than a group a kind. What is left
//! is placed one by one, largest first, where `Σ (n_cs / n_c − r_s)²` grows least; then single groups are moved and pairs exchanged as
//! long as the largest deviation gets smaller, or at the same largest deviation the sum of squares does.
//!
//! Where groups are so few that every way to place them can be tried, the best of all is taken.
//!
//! The search is bounded: it ends after 20 million moves and exchanges that were tried, or where none helps. All in one thread and in a fixed
//! order, so floating point gives the same everywhere.

use std::collections::BTreeSet;

/// Moves and exchanges that are tried at the most.
const MOST_TRIALS: u64 = 20_000_000;
/// Ways to place groups up to which all are tried.
const MOST_WAYS: u64 = 1 << 16;
/// Kinds up to which every pair is tried in an exchange.
const MOST_PAIRED: usize = 1 << 10;
/// Differences below this are rounding.
const ROUNDING: f64 = 1e-12;

/// Groups with the same rows of every class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Rows by class, classes rising.
    pub rows: Box<[(u32, u64)]>,
    /// How many groups there are of it.
    pub groups: u64,
}

/// The largest deviation: class, split, and by how much its share is off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worst {
    /// Position of the class.
    pub class: usize,
    /// Position of the split.
    pub split: usize,
    /// `n_cs / n_c − r_s`.
    pub deviation: f64,
}

/// Groups of each kind in each split: of kind `k` in split `s` at `k · splits + s`. `shares` sum to 1; kinds come in the order in which they are to be
/// placed where nothing else decides.
pub fn balanced(kinds: &[Kind], classes: usize, shares: &[(u64, u64)]) -> (Vec<u64>, Option<Worst>) {
    let mut search = Search::new(kinds, classes, shares);
    match search.ways() {
        Some(ways) => search.take_best(ways),
        None => {
            search.place();
            search.improve();
        }
    }
    // A class whose rows were all dropped before is in no split, and off by nothing.
    let has_rows = |(_, cell): &&(Size, usize)| search.totals[cell / shares.len()] > 0;
    let worst = search.order.iter().rev().find(has_rows).map(|(_, cell)| Worst {
        class: *cell / shares.len(),
        split: *cell % shares.len(),
        deviation: search.deviation[*cell],
    });
    (search.placed, worst)
}

/// A deviation that comes before another when it is smaller; both are no NaN and not negative.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Size(f64);

impl Eq for Size {}

impl PartialOrd for Size {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Size {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

struct Search<'a> {
    kinds: &'a [Kind],
    /// Numerator and denominator.
    shares: &'a [(u64, u64)],
    /// Rows by class.
    totals: Vec<u64>,
    placed: Vec<u64>,
    /// Rows by class, then split.
    rows: Vec<u64>,
    /// As `rows`.
    deviation: Vec<f64>,
    /// The cells of `deviation`, the largest last.
    order: BTreeSet<(Size, usize)>,
    trials: u64,
}

/// What a change makes of one cell: the cell, and its deviation after it.
type Changed = Vec<(usize, f64)>;

impl<'a> Search<'a> {
    fn new(kinds: &'a [Kind], classes: usize, shares: &'a [(u64, u64)]) -> Self {
        let splits = shares.len();
        let mut totals = vec![0; classes];
        for kind in kinds {
            kind.rows.iter().for_each(|(class, rows)| totals[*class as usize] += rows * kind.groups);
        }
        let mut search = Self {
            kinds,
            shares,
            totals,
            placed: vec![0; kinds.len() * splits],
            rows: vec![0; classes * splits],
            deviation: Vec::new(),
            order: BTreeSet::new(),
            trials: 0,
        };
        search.deviation = (0..classes * splits).map(|cell| search.deviation_of(cell, 0)).collect();
        search
    }

    /// The deviation of a cell with so many rows.
    fn deviation_of(&self, cell: usize, rows: u64) -> f64 {
        let (class, split) = (cell / self.shares.len(), cell % self.shares.len());
        let (part, whole) = self.shares[split];
        match self.totals[class] {
            0 => 0.0,
            // One rounding each, from exact integers.
            total => {
                let wanted = i128::from(part) * i128::from(total);
                let off = i128::from(rows) * i128::from(whole) - wanted;
                off as f64 / (whole as f64 * total as f64)
            }
        }
    }

    fn add(&mut self, kind: usize, split: usize, groups: u64) {
        let splits = self.shares.len();
        self.placed[kind * splits + split] += groups;
        for (class, rows) in &self.kinds[kind].rows {
            let cell = *class as usize * splits + split;
            self.rows[cell] += rows * groups;
            self.deviation[cell] = self.deviation_of(cell, self.rows[cell]);
        }
    }

    /// How many ways there are to place all groups, if they are few.
    fn ways(&self) -> Option<u64> {
        let groups = self.kinds.iter().try_fold(0_u64, |sum, kind| sum.checked_add(kind.groups))?;
        (self.shares.len() as u64).checked_pow(u32::try_from(groups).ok()?).filter(|ways| *ways <= MOST_WAYS)
    }

    /// Places the groups in the way with the smallest largest deviation, then sum of squares; the first of several.
    fn take_best(&mut self, ways: u64) {
        let mut best: Option<(f64, f64, u64)> = None;
        for way in 0..ways {
            let mut trial = Search::new(self.kinds, self.totals.len(), self.shares);
            trial.place_way(way);
            let largest = trial.deviation.iter().map(|deviation| deviation.abs()).fold(0.0, f64::max);
            let squares: f64 = trial.deviation.iter().map(|deviation| deviation * deviation).sum();
            let is_better = best.is_none_or(|(best, of_best, _)| {
                largest < best - ROUNDING || (largest <= best + ROUNDING && squares < of_best - ROUNDING)
            });
            if is_better {
                best = Some((largest, squares, way));
            }
        }
        self.place_way(best.map_or(0, |(_, _, way)| way));
        self.put_in_order();
    }

    /// The groups' splits are the digits of `way`.
    fn place_way(&mut self, mut way: u64) {
        let splits = self.shares.len() as u64;
        for kind in 0..self.kinds.len() {
            for _ in 0..self.kinds[kind].groups {
                self.add(kind, (way % splits) as usize, 1);
                way /= splits;
            }
        }
    }

    fn put_in_order(&mut self) {
        self.order = self.deviation.iter().enumerate().map(|(cell, d)| (Size(d.abs()), cell)).collect();
    }

    /// Every split its whole part of each kind, and what is left where it is missed most.
    fn place(&mut self) {
        let splits = self.shares.len();
        for (at, kind) in self.kinds.iter().enumerate() {
            for split in 0..splits {
                let (part, whole) = self.shares[split];
                let floor = u128::from(kind.groups) * u128::from(part) / u128::from(whole);
                self.add(at, split, floor as u64);
            }
        }
        for at in 0..self.kinds.len() {
            let placed: u64 = self.placed[at * splits..][..splits].iter().sum();
            for _ in placed..self.kinds[at].groups {
                let growth = |split: usize| -> f64 {
                    let of_class = |(class, rows): &(u32, u64)| {
                        let share = *rows as f64 / self.totals[*class as usize] as f64;
                        share * (2.0 * self.deviation[*class as usize * splits + split] + share)
                    };
                    self.kinds[at].rows.iter().map(of_class).sum()
                };
                let best = (0..splits).map(|split| (Size(growth(split)), split)).min().map_or(0, |(_, split)| split);
                self.add(at, best, 1);
            }
        }
        self.put_in_order();
    }

    /// Moves and exchanges until none helps.
    fn improve(&mut self) {
        let splits = self.shares.len();
        if splits < 2 {
            return;
        }
        while self.trials < MOST_TRIALS && (self.moves() || self.exchanges()) {}
    }

    /// Tries to move one group of every kind from each split to each other; says whether any helped.
    fn moves(&mut self) -> bool {
        let splits = self.shares.len();
        let mut helped = false;
        for kind in 0..self.kinds.len() {
            for from in 0..splits {
                for to in (0..splits).filter(|to| *to != from) {
                    if self.placed[kind * splits + from] > 0 && self.trials < MOST_TRIALS {
                        helped |= self.attempt(&[(kind, from, to)]);
                    }
                }
            }
        }
        helped
    }

    /// Tries to exchange one group of every kind with one of each other, between all splits.
    fn exchanges(&mut self) -> bool {
        let splits = self.shares.len();
        let mut helped = false;
        // Of many kinds, those that were placed first are the largest, and the first to matter.
        let paired = self.kinds.len().min(MOST_PAIRED);
        for one in 0..paired {
            for other in one + 1..paired {
                for from in 0..splits {
                    for to in (0..splits).filter(|to| *to != from) {
                        let there = |kind: usize, split: usize| self.placed[kind * splits + split] > 0;
                        if there(one, from) && there(other, to) && self.trials < MOST_TRIALS {
                            helped |= self.attempt(&[(one, from, to), (other, to, from)]);
                        }
                    }
                }
            }
        }
        helped
    }

    /// Makes a change, a group of each kind from one split to another, if it helps.
    fn attempt(&mut self, change: &[(usize, usize, usize)]) -> bool {
        self.trials += 1;
        let changed = self.changed(change);
        let squares: f64 = changed.iter().map(|(cell, after)| after * after - self.deviation[*cell].powi(2)).sum();
        let largest = self.order.last().map_or(0.0, |(size, _)| size.0);
        let of_changed = changed.iter().map(|(_, after)| after.abs()).fold(0.0, f64::max);
        let mut others = self.order.iter().rev().filter(|(_, cell)| !changed.iter().any(|(c, _)| c == cell));
        let after = others.next().map_or(0.0, |(size, _)| size.0).max(of_changed);
        let helps = after < largest - ROUNDING || (after <= largest + ROUNDING && squares < -ROUNDING);
        if helps {
            self.make(change, &changed);
        }
        helps
    }

    /// The cells that a change concerns, with their deviations after it.
    fn changed(&self, change: &[(usize, usize, usize)]) -> Changed {
        let splits = self.shares.len();
        let mut rows: Vec<(usize, i128)> = Vec::new();
        let mut add = |cell: usize, more: i128| match rows.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, sum)) => *sum += more,
            None => rows.push((cell, more)),
        };
        for &(kind, from, to) in change {
            for &(class, of_class) in &self.kinds[kind].rows {
                add(class as usize * splits + from, -i128::from(of_class));
                add(class as usize * splits + to, i128::from(of_class));
            }
        }
        let after = |(cell, more): (usize, i128)| {
            let rows = (i128::from(self.rows[cell]) + more) as u64;
            (cell, self.deviation_of(cell, rows))
        };
        rows.into_iter().map(after).collect()
    }

    fn make(&mut self, change: &[(usize, usize, usize)], changed: &Changed) {
        let splits = self.shares.len();
        for &(kind, from, to) in change {
            self.placed[kind * splits + from] -= 1;
            self.placed[kind * splits + to] += 1;
            for &(class, rows) in &self.kinds[kind].rows {
                self.rows[class as usize * splits + from] -= rows;
                self.rows[class as usize * splits + to] += rows;
            }
        }
        for &(cell, after) in changed {
            self.order.remove(&(Size(self.deviation[cell].abs()), cell));
            self.deviation[cell] = after;
            self.order.insert((Size(after.abs()), cell));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The largest deviation of a placing, and whether it places all groups.
    fn largest(kinds: &[Kind], classes: usize, shares: &[(u64, u64)], placed: &[u64]) -> f64 {
        let splits = shares.len();
        let mut rows = vec![0; classes * splits];
        let mut totals = vec![0; classes];
        for (kind, placed) in kinds.iter().zip(placed.chunks(splits)) {
            assert_eq!(placed.iter().sum::<u64>(), kind.groups);
            for &(class, count) in &kind.rows {
                totals[class as usize] += count * kind.groups;
                (0..splits).for_each(|split| rows[class as usize * splits + split] += count * placed[split]);
            }
        }
        let off = |cell: usize| {
            let (class, (part, whole)) = (cell / splits, shares[cell % splits]);
            (rows[cell] as f64 / (totals[class] as f64).max(1.0)
                - part as f64 / whole as f64 * f64::from(totals[class] > 0))
            .abs()
        };
        (0..rows.len()).map(off).fold(0.0, f64::max)
    }

    fn kinds() -> impl Strategy<Value = Vec<Kind>> {
        let rows = prop::collection::btree_map(0_u32..3, 1_u64..9, 1..3);
        let kind = (rows, 1_u64..4).prop_map(|(rows, groups)| Kind { rows: rows.into_iter().collect(), groups });
        prop::collection::vec(kind, 1..5)
    }

    fn best(kinds: &[Kind], shares: &[(u64, u64)]) -> f64 {
        let groups: Vec<usize> =
            kinds.iter().enumerate().flat_map(|(at, kind)| std::iter::repeat_n(at, kind.groups as usize)).collect();
        let ways = shares.len().pow(groups.len() as u32);
        let of_way = |mut way: usize| {
            let mut placed = vec![0; kinds.len() * shares.len()];
            for kind in &groups {
                placed[kind * shares.len() + way % shares.len()] += 1;
                way /= shares.len();
            }
            largest(kinds, 3, shares, &placed)
        };
        (0..ways).map(of_way).fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #[test]
        fn all_groups_are_placed_and_the_worst_is_told(kinds in kinds(), splits in 1_u64..5) {
            let shares: Vec<_> = (0..splits).map(|_| (1, splits)).collect();
            let (placed, worst) = balanced(&kinds, 3, &shares);
            let found = largest(&kinds, 3, &shares, &placed);
            prop_assert!((worst.expect("a class").deviation.abs() - found).abs() < 1e-9);
        }

        #[test]
        fn few_groups_are_placed_as_well_as_can_be(kinds in kinds()) {
            prop_assume!(kinds.iter().map(|kind| kind.groups).sum::<u64>() <= 8);
            let shares = [(7, 10), (3, 10)];
            let (placed, _) = balanced(&kinds, 3, &shares);
            let (found, best) = (largest(&kinds, 3, &shares, &placed), best(&kinds, &shares));
            prop_assert!(found <= best + 1e-9, "{found} against {best}");
        }
    }
}
