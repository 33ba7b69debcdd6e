//! Controlled rounding: how many whole rows of every stratum each split takes.
//!
//! With strata of `n_c` rows, `N` rows in all and shares `r_s` that sum to 1, the quotas `n_cs` obey three laws:
//!
//! 1. `Σ_s n_cs = n_c`, and `Σ_c n_cs = n_s` with `Σ_s n_s = N`: no row is lost or taken twice;
//! 2. `n_cs` is the floor or the ceiling of `r_s·n_c`, so a cell that is whole stays as it is;
//! 3. `n_s` is the floor or the ceiling of `r_s·N`.
//!
//! A table of this kind always exists: it is an integral flow through a network that the unrounded table already
//! flows through (L. H. Cox, "A constructive procedure for unbiased controlled rounding", JASA 82, 1987; B. D.
//! Causey, L. H. Cox and L. R. Ernst, "Applications of transportation theory to statistical problems", JASA 80,
//! 1985).
//!
//! Which totals take their ceiling is a choice that the strata can restrict: with shares 0.4, 0.4 and four of 0.05
//! over strata of 1 and 5 rows, the largest remainders of `N = 6` are those of the first two splits, yet the stratum
//! of 5 gives both exactly 2 rows, and the stratum of 1 has a row for only one of them. The sets of splits that can
//! be rounded up together are the bases of a matroid, for the totals of a transport network form an integral
//! polymatroid and a box of unit width cuts a matroid out of it. So the choice is greedy: splits in the order of
//! their remainders, the largest first and the earlier of equals first, each rounded up where some table that keeps
//! the choices so far allows it. That is the largest remainder method wherever the strata allow it, and otherwise the
//! rounding nearest to it: no allowed one has a smaller `Σ_s |n_s − r_s·N|`. With three splits or fewer it is always
//! the largest remainder method.
//!
//! All arithmetic is in integers. Nothing here depends on more than the list of strata in its given order.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Shares are read to this many decimals: those that a float of their size is sure to keep.
const DECIMALS: usize = 15;

/// `10^DECIMALS`, the number that stands for a share of 1.
const ONE: u64 = 1_000_000_000_000_000;

/// How far from 1 the sizes may sum, in units of `10^-DECIMALS`: a billionth.
const TOLERANCE: u64 = 1_000_000;

/// The most splits: an index fits a byte, and the values above are left for what else becomes of a row.
pub const MAX_SPLITS: usize = super::fate::OPEN as usize;

/// The shares of the splits as exact fractions that sum to exactly 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    parts: Vec<u64>,
    whole: u64,
}

impl Shares {
    /// The shares that a recipe writes as decimals.
    ///
    /// A size is taken as the decimal of 15 places that is nearest to its float, so 0.7 is 7/10, and so is 1 − 0.3;
    /// the sizes are then divided by their sum, so three of 0.3333333333 are exact thirds. A size of 0 is a split
    /// without rows.
    ///
    /// # Errors
    /// [`Error::Recipe`] when there is no size or more than 255, a size is not a number from 0 to 1, or the sum is a
    /// billionth or more away from 1.
    pub fn new(sizes: &[f64]) -> Result<Self> {
        check_count(sizes.len())?;
        let parts = sizes.iter().map(|&size| scaled(size)).collect::<Result<Vec<u64>>>()?;
        if parts.iter().sum::<u64>().abs_diff(ONE) >= TOLERANCE {
            let sum: f64 = sizes.iter().sum();
            return Err(Error::Recipe(format!("the sizes of the splits must sum to 1, and they sum to {sum}")));
        }
        Ok(Self::reduced(parts))
    }

    /// `splits` equal shares, as folds have.
    ///
    /// # Errors
    /// [`Error::Recipe`] when `splits` is 0 or more than 255.
    pub fn equal(splits: usize) -> Result<Self> {
        check_count(splits)?;
        Ok(Self::reduced(vec![1; splits]))
    }

    /// As [`Shares::new`], and one more split at the end for what is left.
    ///
    /// # Errors
    /// As [`Shares::new`], for a sum above 1.
    pub fn with_rest(sizes: &[f64]) -> Result<Self> {
        check_count(sizes.len() + 1)?;
        let mut parts = sizes.iter().map(|&size| scaled(size)).collect::<Result<Vec<u64>>>()?;
        let sum: u64 = parts.iter().sum();
        if sum >= ONE + TOLERANCE {
            let sum: f64 = sizes.iter().sum();
            return Err(Error::Recipe(format!("the sizes of the splits sum to {sum}, which is more than 1")));
        }
        // What is off by rounding is no rest.
        parts.push(if sum + TOLERANCE > ONE { 0 } else { ONE - sum });
        Ok(Self::reduced(parts))
    }

    /// Shares that take so many of `whole`, and one more split at the end for the rest, if there may be one.
    ///
    /// # Errors
    /// [`Error::Data`] when the counts do not sum to `whole`, or are more; `what` is what they count.
    pub fn of_counts(counts: &[u64], whole: u64, rest: bool, what: &str) -> Result<Self> {
        check_count(counts.len() + 1)?;
        let sum = counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        if sum > whole || (sum < whole && !rest) {
            let advice =
                if sum > whole { "ask for fewer" } else { "set split.rest = \"drop\" to leave the others out" };
            let message = format!("split.sizes ask for {sum} {what}, and there are {whole} to be split; {advice}");
            return Err(Error::data(crate::error::Site::default(), message));
        }
        let mut parts = counts.to_vec();
        parts.extend(rest.then_some(whole - sum));
        Ok(Self::reduced(parts))
    }

    /// How many splits there are.
    pub fn splits(&self) -> usize {
        self.parts.len()
    }

    /// Numerator and denominator of each share.
    pub fn fractions(&self) -> Vec<(u64, u64)> {
        self.parts.iter().map(|part| (*part, self.whole.max(1))).collect()
    }

    /// For each split but the last, the whole part of what it and those before it are to have of `count`.
    pub fn floors(&self, count: u64) -> Vec<u64> {
        let whole = u128::from(self.whole.max(1));
        let cumulated = self.parts.iter().scan(0_u128, |sum, part| {
            *sum += u128::from(*part);
            Some((u128::from(count) * *sum / whole) as u64)
        });
        cumulated.take(self.parts.len() - 1).collect()
    }

    /// `parts` over their sum, in lowest terms.
    fn reduced(mut parts: Vec<u64>) -> Self {
        let divisor = parts.iter().fold(0, |divisor, &part| gcd(divisor, part)).max(1);
        parts.iter_mut().for_each(|part| *part /= divisor);
        let whole = parts.iter().sum();
        Self { parts, whole }
    }

    /// `r_s·rows` as its floor and the rest in units of `1 / whole`.
    fn of(&self, split: usize, rows: u64) -> (u64, u64) {
        let product = u128::from(rows) * u128::from(self.parts[split]);
        let whole = u128::from(self.whole.max(1));
        // Both fit: the floor is at most `rows`, and a remainder is below `whole`.
        ((product / whole) as u64, (product % whole) as u64)
    }
}

fn check_count(splits: usize) -> Result<()> {
    if (1..=MAX_SPLITS).contains(&splits) {
        return Ok(());
    }
    Err(Error::Recipe(format!("there can be 1 to {MAX_SPLITS} splits, not {splits}")))
}

/// A size in units of `10^-DECIMALS`.
fn scaled(size: f64) -> Result<u64> {
    let text = format!("{:.DECIMALS$}", size.abs());
    match text.replace('.', "").parse() {
        Ok(units) if (0.0..1.5).contains(&size) => Ok(units),
        _ => Err(Error::Recipe(format!("the size of a split must be a number from 0 to 1, not {size}"))),
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// How many rows of every stratum each split takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Quotas {
    splits: usize,
    rows: Vec<u64>,
}

/// Quotas as they are stored, before they are known to be some.
#[derive(Deserialize)]
struct Stored {
    splits: usize,
    rows: Vec<u64>,
}

impl TryFrom<Stored> for Quotas {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { splits, rows } = stored;
        if !(1..=MAX_SPLITS).contains(&splits) || !rows.len().is_multiple_of(splits) {
            return Err("quotas that are not of whole strata");
        }
        Ok(Self { splits, rows })
    }
}

impl Quotas {
    /// Quotas from a table of rows, stratum by stratum and within one split by split.
    ///
    /// # Panics
    /// When `splits` is 0 or more than 255, or does not divide the length of `rows`.
    pub fn new(splits: usize, rows: Vec<u64>) -> Self {
        assert!((1..=MAX_SPLITS).contains(&splits), "quotas of {splits} splits");
        assert!(rows.len().is_multiple_of(splits), "{} quotas for {splits} splits", rows.len());
        Self { splits, rows }
    }

    /// How many splits there are.
    pub fn splits(&self) -> usize {
        self.splits
    }

    /// How many strata there are.
    pub fn strata(&self) -> usize {
        self.rows.len() / self.splits
    }

    /// Rows that each split takes of a stratum.
    pub fn of(&self, stratum: usize) -> &[u64] {
        &self.rows[stratum * self.splits..][..self.splits]
    }

    /// [`Quotas::of`] of every stratum, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.rows.chunks_exact(self.splits)
    }

    /// Rows of every split over all strata.
    pub fn totals(&self) -> Vec<u64> {
        let mut totals = vec![0; self.splits];
        for stratum in self.iter() {
            totals.iter_mut().zip(stratum).for_each(|(total, rows)| *total += rows);
        }
        totals
    }
}

/// The controlled rounding of strata of so many rows, in their order, as the head of this module defines it.
///
/// Takes nine bytes for every stratum and split, and time linear in both but for a few passes that repair totals.
pub fn quotas(strata: &[u64], shares: &Shares) -> Quotas {
    let mut rows = Vec::with_capacity(strata.len() * shares.splits());
    let mut units = Units::hand_out(strata, shares, &mut rows);
    units.settle_totals();
    units.favour_largest_remainders();
    for (rows, cell) in rows.iter_mut().zip(&units.cells) {
        *rows += u64::from(*cell == Cell::Held);
    }
    Quotas::new(shares.splits(), rows)
}

/// What a quota may have beyond its floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// Nothing: the floor is exact.
    Whole,
    /// One row, and it has none.
    Free,
    /// One row, and it has it.
    Held,
}

/// The rows that are left once every quota is at its floor, at most one for each.
#[derive(Debug)]
struct Units {
    splits: usize,
    /// By stratum, then by split.
    cells: Vec<Cell>,
    /// How many each split holds.
    held: Vec<u64>,
    /// The fewest each split may hold: the floor of what it is owed.
    floor: Vec<u64>,
    /// What each split is owed above its floor, in units of `1 / whole`.
    remainder: Vec<u64>,
}

impl Units {
    /// Puts the floors into `rows` and hands out the rest stratum by stratum, to the splits that were owed most so
    /// far; that leaves the totals near where they belong.
    fn hand_out(strata: &[u64], shares: &Shares, rows: &mut Vec<u64>) -> Self {
        let splits = shares.splits();
        let whole = i128::from(shares.whole);
        let mut cells = vec![Cell::Whole; strata.len() * splits];
        let mut held = vec![0; splits];
        let mut owed = vec![0_i128; splits];
        let mut claims = Vec::with_capacity(splits);
        for (&stratum, cells) in strata.iter().zip(cells.chunks_exact_mut(splits)) {
            let mut left = stratum;
            claims.clear();
            for split in 0..splits {
                let (floor, rest) = shares.of(split, stratum);
                rows.push(floor);
                left -= floor;
                if rest > 0 {
                    cells[split] = Cell::Free;
                    owed[split] += i128::from(rest);
                    claims.push(split);
                }
            }
            claims.sort_unstable_by_key(|&split| (-owed[split], split));
            for &split in claims.iter().take(left as usize) {
                cells[split] = Cell::Held;
                held[split] += 1;
                owed[split] -= whole;
            }
        }
        let due: Vec<i128> = owed.iter().zip(&held).map(|(owed, held)| owed + i128::from(*held) * whole).collect();
        let floor = due.iter().map(|due| (due / whole) as u64).collect();
        let remainder = due.iter().map(|due| (due % whole) as u64).collect();
        Self { splits, cells, held, floor, remainder }
    }

    fn ceiling(&self, split: usize) -> u64 {
        self.floor[split] + u64::from(self.remainder[split] > 0)
    }

    /// Moves units until every split holds the floor or the ceiling of what it is owed. It ends there, since a table
    /// that does exists, and the difference to it is made of paths like those that [`Units::shift`] looks for.
    fn settle_totals(&mut self) {
        loop {
            let spare = self.per_split(|units, split| units.held[split].saturating_sub(units.ceiling(split)));
            let room = self.per_split(|units, split| units.ceiling(split).saturating_sub(units.held[split]));
            if !self.shift(&spare, &room) {
                break;
            }
        }
        loop {
            let spare = self.per_split(|units, split| units.held[split].saturating_sub(units.floor[split]));
            let room = self.per_split(|units, split| units.floor[split].saturating_sub(units.held[split]));
            if !self.shift(&spare, &room) {
                break;
            }
        }
    }

    /// Gives the ceilings to the largest remainders: the greedy basis of a matroid, reached by exchanges.
    fn favour_largest_remainders(&mut self) {
        let mut order: Vec<usize> = (0..self.splits).collect();
        order.sort_by_key(|&split| std::cmp::Reverse(self.remainder[split]));
        for (rank, &split) in order.iter().enumerate() {
            if self.held[split] == self.ceiling(split) {
                continue;
            }
            let mut spare = vec![0; self.splits];
            for &lower in &order[rank + 1..] {
                spare[lower] = self.held[lower] - self.floor[lower];
            }
            let room = self.per_split(|_, other| u64::from(other == split));
            self.shift(&spare, &room);
        }
    }

    fn per_split(&self, value: impl Fn(&Self, usize) -> u64) -> Vec<u64> {
        (0..self.splits).map(|split| value(self, split)).collect()
    }

    /// Moves units along the shortest path of exchanges from a split with `spare` to one with `room`, as many as both
    /// and the path take; false when no path is left.
    ///
    /// Shortest paths in bulk are the method of Edmonds and Karp: the passes over the strata are bounded by the cube
    /// of the splits, whatever the number of units, and are a handful in practice.
    fn shift(&mut self, spare: &[u64], room: &[u64]) -> bool {
        if spare.iter().all(|&units| units == 0) || room.iter().all(|&units| units == 0) {
            return false;
        }
        let exchanges = self.exchanges();
        let Some(path) = shortest_path(&exchanges, spare, room) else { return false };
        let (from, to) = (path[0], path[path.len() - 1]);
        let steps = || path.windows(2).map(|step| (step[0], step[1]));
        let narrowest = steps().map(|(a, b)| exchanges[a * self.splits + b]).min().unwrap_or(0);
        let units = narrowest.min(spare[from]).min(room[to]);
        // Steps do not get in each other's way: a stratum that serves one has no unit, or no place, for its neighbour.
        for (a, b) in steps() {
            self.exchange(a, b, units);
        }
        true
    }

    /// For every ordered pair of splits, in how many strata the first could hand a unit to the second.
    fn exchanges(&self) -> Vec<u64> {
        let mut exchanges = vec![0; self.splits * self.splits];
        for cells in self.cells.chunks_exact(self.splits) {
            for (a, _) in cells.iter().enumerate().filter(|(_, cell)| **cell == Cell::Held) {
                let to = &mut exchanges[a * self.splits..][..self.splits];
                to.iter_mut().zip(cells).for_each(|(strata, cell)| *strata += u64::from(*cell == Cell::Free));
            }
        }
        exchanges
    }

    /// Hands a unit from split `a` to split `b` in the first `units` strata where that can be done.
    fn exchange(&mut self, a: usize, b: usize, units: u64) {
        let mut left = units;
        for cells in self.cells.chunks_exact_mut(self.splits) {
            if left > 0 && cells[a] == Cell::Held && cells[b] == Cell::Free {
                cells.swap(a, b);
                left -= 1;
            }
        }
        self.held[a] -= units - left;
        self.held[b] += units - left;
    }
}

/// The shortest path over pairs with an exchange, from any split with `spare` to any with `room`, both ends included;
/// of equally short ones that through the earlier splits.
fn shortest_path(exchanges: &[u64], spare: &[u64], room: &[u64]) -> Option<Vec<usize>> {
    let splits = spare.len();
    let mut queue: Vec<usize> = (0..splits).filter(|&split| spare[split] > 0).collect();
    let mut seen: Vec<bool> = spare.iter().map(|&units| units > 0).collect();
    let mut came_from = vec![None; splits];
    let mut next = 0;
    while let Some(&split) = queue.get(next) {
        if room[split] > 0 {
            let mut path: Vec<usize> = std::iter::successors(Some(split), |&split| came_from[split]).collect();
            path.reverse();
            return Some(path);
        }
        for other in 0..splits {
            if !seen[other] && exchanges[split * splits + other] > 0 {
                seen[other] = true;
                came_from[other] = Some(split);
                queue.push(other);
            }
        }
        next += 1;
    }
    None
}

#[cfg(test)]
#[path = "rounding_tests.rs"]
mod tests;
