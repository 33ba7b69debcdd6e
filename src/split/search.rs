//! The hunt for keys of given ranks, reading by reading; the ledger's rows pass by and only counts stay.
//!
//! One reading counts the rows in each of many equal slices of every stratum's interval of keys. The ranks say in
//! which slices the boundaries lie, and those slices are the intervals of the next reading. When the rows left in all
//! intervals are few, one more reading collects them and a quickselect ends the search.
//!
//! Keys are distinct, for positions are, so it ends however many hashes are equal and however little memory there is:
//! with each reading an interval gets narrower by half at the least, down to a single key.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::rounding::Quotas;
use super::select::{Key, NO_STRATUM, Visit};
use crate::error::{Error, Result};
use crate::memory::{Budget, Reservation};

/// Rows that are collected without narrowing further, if the budget has room for them.
const COLLECT_ROWS: u64 = 1 << 22;

/// Slices in a reading: their counters fit the second level of a cache, where adding is cheap.
const SLICES: u64 = 1 << 18;

/// Slices of an interval that are worth exceeding [`SLICES`] for, when there are many intervals.
const SLICES_EACH: u64 = 32;

/// What names the search in an error about memory.
pub const WHAT: &str = "the search for the splits' boundaries";

/// Bytes of a search but for counters and collected rows.
pub fn fixed_bytes(quotas: &Quotas) -> u64 {
    // The key and the rank of each boundary; its interval now and in the next reading; where collected rows go.
    let boundary = size_of::<Key>() + size_of::<u64>() + 2 * size_of::<Interval>() + size_of::<usize>();
    let strata = quotas.strata() as u64;
    strata * (quotas.splits() as u64 - 1) * boundary as u64 + strata * size_of::<(u32, u32)>() as u64
}

/// A part of one stratum's key space that is known to hold boundaries.
//
// Of many strata each row meets another one's interval: in one cache line, not across two, that is a third faster.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Interval {
    pub(super) stratum: u32,
    /// The least key.
    low: u128,
    /// How far the greatest key is above the least.
    span: u128,
    /// Rows of the stratum in it.
    pub(super) rows: u64,
    /// The first of its boundaries.
    first: usize,
    /// How many boundaries it has; they follow each other.
    wanted: u8,
    /// A slice has `2^shift` keys.
    shift: u8,
    /// Where its slices' counters, or its collected rows, begin.
    base: usize,
}

impl Interval {
    /// Its boundaries.
    pub(super) fn boundaries(&self) -> std::ops::Range<usize> {
        self.first..self.first + usize::from(self.wanted)
    }

    /// One more boundary is in it.
    pub(super) fn share(&mut self) {
        self.wanted += 1;
    }

    /// The keys from `low` to `high` of its stratum, with one boundary.
    pub(super) fn part(&self, low: u128, high: u128, rows: u64, boundary: usize) -> Self {
        Self { low, span: high.saturating_sub(low), rows, first: boundary, wanted: 1, shift: 0, base: 0, ..*self }
    }

    /// How many slices it is cut into.
    fn slices(&self) -> usize {
        (self.span >> self.shift) as usize + 1
    }

    /// One of its slices, of so many rows, as an interval with one boundary, where no position is above `last`.
    fn slice(&self, index: usize, rows: u64, boundary: usize, last: u64) -> Self {
        let offset = (index as u128) << self.shift;
        let low = self.low + offset;
        let high = low + (self.span - offset).min((1_u128 << self.shift) - 1);
        let (least, greatest) = (Key::from_number(low), Key::from_number(high));
        // Within one hash only positions differ, and far fewer of them are in use than there are.
        let position = if least.hash == greatest.hash { greatest.position.min(last) } else { greatest.position };
        self.part(low, Key { position, ..greatest }.number(), rows, boundary)
    }
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    /// The boundaries, by stratum, then by split but the last; right where they are in no interval.
    found: Vec<Key>,
    /// Rank of each boundary among the rows of its interval.
    ranks: Vec<u64>,
    /// By stratum, then by key.
    intervals: Vec<Interval>,
    /// The intervals of every stratum: the first, and the one after the last.
    by_stratum: Vec<(u32, u32)>,
}

impl Search {
    /// A search that has read nothing: one interval of all keys for every stratum with a boundary amid its rows.
    pub fn new(quotas: &Quotas) -> Self {
        let boundaries = quotas.strata() * (quotas.splits() - 1);
        let mut search = Self {
            found: Vec::with_capacity(boundaries),
            ranks: Vec::with_capacity(boundaries),
            intervals: Vec::with_capacity(boundaries.min(quotas.strata())),
            by_stratum: vec![(0, 0); quotas.strata()],
        };
        for (stratum, quota) in (0..).zip(quotas.iter()) {
            search.open(stratum, quota);
        }
        search.index();
        search
    }

    /// Adds the boundaries of one stratum; those before its first row or after its last are known.
    fn open(&mut self, stratum: u32, quota: &[u64]) {
        let rows = quota.iter().sum();
        let mut first = self.found.len();
        let mut wanted = 0;
        let mut rank = 0;
        for taken in &quota[..quota.len() - 1] {
            rank += taken;
            first += usize::from(rank == 0);
            wanted += u8::from(0 < rank && rank < rows);
            self.found.push(if rank == 0 { Key::FIRST } else { Key::END });
            self.ranks.push(rank);
        }
        if wanted > 0 {
            let (low, span) = (Key::FIRST.number(), Key::END.number());
            self.intervals.push(Interval { stratum, low, span, rows, first, wanted, shift: 0, base: 0 });
        }
    }

    /// Whether all boundaries are found.
    pub fn is_over(&self) -> bool {
        self.intervals.is_empty()
    }

    /// The boundaries of a search that is over, by stratum, then by split but the last.
    pub fn into_keys(self) -> Vec<Key> {
        self.found
    }

    /// The intervals; there are none until [`Search::go_on_with`] says where to look.
    pub(super) fn take_intervals(&mut self) -> Vec<Interval> {
        std::mem::take(&mut self.intervals)
    }

    /// Looks on in `intervals`, by stratum, then by key.
    pub(super) fn go_on_with(&mut self, intervals: Vec<Interval>) {
        self.intervals = intervals;
        self.index();
    }

    /// Rank of a boundary among the rows of its interval.
    pub(super) fn rank(&self, boundary: usize) -> u64 {
        self.ranks[boundary]
    }

    /// So many rows of a boundary's interval are before those that it is looked for among from now on.
    pub(super) fn pass(&mut self, boundary: usize, rows: u64) {
        self.ranks[boundary] -= rows;
    }

    /// The search after one more reading of the ledger.
    ///
    /// # Errors
    /// As [`super::select::boundaries`].
    pub fn read_on(self, budget: &Arc<Budget>, scan: &impl Fn(&Visit<'_>) -> Result<()>) -> Result<Self> {
        let rows = self.rows();
        let room = if rows <= COLLECT_ROWS { budget.try_reserve(rows * size_of::<u128>() as u64) } else { None };
        match room {
            Some(_room) => self.collect(rows, scan),
            None => self.narrow(budget, scan),
        }
    }

    /// Rows in all intervals.
    pub(super) fn rows(&self) -> u64 {
        self.intervals.iter().map(|interval| interval.rows).sum()
    }

    /// Holds the rows of all intervals and picks the boundaries among them.
    fn collect(mut self, rows: u64, scan: &impl Fn(&Visit<'_>) -> Result<()>) -> Result<Self> {
        let mut keys = vec![0_u128; rows as usize];
        let mut next = Vec::with_capacity(self.intervals.len());
        let mut base = 0;
        for interval in &mut self.intervals {
            interval.base = base;
            next.push(base);
            base += interval.rows as usize;
        }
        let places = Mutex::new((&mut keys, &mut next));
        let hit =
            |met: &mut Vec<(usize, u128)>, index, interval: &Interval, above| met.push((index, interval.low + above));
        self.read(scan, hit, |met| {
            let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
            let (keys, next) = &mut *places;
            for (index, key) in met {
                let (at, interval) = (next[index], &self.intervals[index]);
                next[index] += 1;
                if at - interval.base < interval.rows as usize {
                    keys[at] = key;
                }
            }
        })?;
        for (interval, next) in std::mem::take(&mut self.intervals).into_iter().zip(next) {
            let rows = interval.rows as usize;
            if next != interval.base + rows {
                return Err(other_rows());
            }
            self.pick(&interval, &mut keys[interval.base..next]);
        }
        Ok(self)
    }

    /// Finds the boundaries of an interval among all its keys.
    pub(super) fn pick(&mut self, interval: &Interval, mut keys: &mut [u128]) {
        let mut passed = 0;
        for boundary in interval.boundaries() {
            let rank = self.ranks[boundary];
            if rank < passed {
                // A split without rows ends where it begins.
                self.found[boundary] = self.found[boundary - 1];
                continue;
            }
            let (_, key, beyond) = keys.select_nth_unstable((rank - passed) as usize);
            self.found[boundary] = Key::from_number(*key);
            keys = beyond;
            passed = rank + 1;
        }
    }

    /// Counts the rows in slices of all intervals, and goes on with the slices that hold boundaries.
    ///
    /// # Errors
    /// As [`super::select::boundaries`].
    pub fn narrow(mut self, budget: &Arc<Budget>, scan: &impl Fn(&Visit<'_>) -> Result<()>) -> Result<Self> {
        let (slices, _room) = self.slice(budget)?;
        // Shared by all threads: slices are many, so two rarely count in one place at once.
        let counts: Vec<AtomicU64> = (0..slices).map(|_| AtomicU64::new(0)).collect();
        let hit = |(): &mut (), _, interval: &Interval, above: u128| {
            counts[interval.base + (above >> interval.shift) as usize].fetch_add(1, Ordering::Relaxed);
        };
        let last = self.read(scan, hit, |()| {})?;
        let counts: Vec<u64> = counts.into_iter().map(AtomicU64::into_inner).collect();
        let mut parts = Vec::with_capacity(self.found.len());
        for interval in std::mem::take(&mut self.intervals) {
            let counts = &counts[interval.base..][..interval.slices()];
            if counts.iter().sum::<u64>() != interval.rows {
                return Err(other_rows());
            }
            self.descend(&interval, counts, last, &mut parts);
        }
        self.intervals = parts;
        self.index();
        Ok(self)
    }

    /// Cuts the intervals into as many slices as pay and as the budget has room for, by their rows, at least in two;
    /// returns the slices in all, and the room for a counter of each.
    fn slice(&mut self, budget: &Arc<Budget>) -> Result<(usize, Reservation)> {
        let rows = self.rows();
        let intervals = self.intervals.len() as u64;
        let mut target = SLICES.max(SLICES_EACH * intervals);
        loop {
            let mut slices = 0;
            for interval in &mut self.intervals {
                let share = u128::from(target) * u128::from(interval.rows) / u128::from(rows);
                let bits = u128::BITS - interval.span.leading_zeros();
                interval.shift = bits.saturating_sub(share.max(2).ilog2()) as u8;
                interval.base = slices;
                slices += interval.slices();
            }
            let bytes = (slices * size_of::<u64>()) as u64;
            if let Some(room) = budget.try_reserve(bytes) {
                return Ok((slices, room));
            }
            if target <= intervals {
                budget.reserve(WHAT, bytes)?;
            }
            target /= 2;
        }
    }

    /// Adds to `parts` the slices of an interval that hold its boundaries, but for those that are a single key.
    fn descend(&mut self, interval: &Interval, counts: &[u64], last: u64, parts: &mut Vec<Interval>) {
        let mut index = 0;
        let mut passed = 0;
        for boundary in interval.boundaries() {
            while passed + counts[index] <= self.ranks[boundary] {
                passed += counts[index];
                index += 1;
            }
            self.ranks[boundary] -= passed;
            let part = interval.slice(index, counts[index], boundary, last);
            if part.span == 0 {
                self.found[boundary] = Key::from_number(part.low);
                continue;
            }
            match parts.last_mut() {
                Some(same) if same.stratum == part.stratum && same.low == part.low => same.wanted += 1,
                _ => parts.push(part),
            }
        }
    }

    /// Brings `by_stratum` up to date with the intervals.
    fn index(&mut self) {
        self.by_stratum.fill((0, 0));
        for (index, interval) in (0..).zip(&self.intervals) {
            let range = &mut self.by_stratum[interval.stratum as usize];
            if range.1 == 0 {
                range.0 = index;
            }
            range.1 = index + 1;
        }
    }

    /// Reads the ledger and calls `hit` for every row in an interval: with what the run of rows met so far, the interval's
    /// index, the interval, and how far the row's key is above its least; then `end` with what the run met. Returns the
    /// greatest position.
    fn read<T: Default>(
        &self,
        scan: &impl Fn(&Visit<'_>) -> Result<()>,
        hit: impl Fn(&mut T, usize, &Interval, u128) + Sync,
        end: impl Fn(T) + Sync,
    ) -> Result<u64> {
        let last = AtomicU64::new(0);
        let strange = AtomicBool::new(false);
        scan(&|strata, hashes, first| {
            let mut other = strata.len() != hashes.len();
            let mut met = T::default();
            for ((&stratum, &hash), position) in strata.iter().zip(hashes).zip(first..) {
                let Some(&(start, end)) = self.by_stratum.get(stratum as usize) else {
                    other |= stratum != NO_STRATUM;
                    continue;
                };
                let key = Key { hash, position }.number();
                for index in start as usize..end as usize {
                    let interval = &self.intervals[index];
                    // Keys below the interval wrap around to far above it.
                    let above = key.wrapping_sub(interval.low);
                    if above <= interval.span {
                        hit(&mut met, index, interval, above);
                        break;
                    }
                }
            }
            end(met);
            last.fetch_max(first + strata.len() as u64, Ordering::Relaxed);
            strange.fetch_or(other, Ordering::Relaxed);
        })?;
        if strange.into_inner() { Err(other_rows()) } else { Ok(last.into_inner().saturating_sub(1)) }
    }
}

pub(super) fn other_rows() -> Error {
    let what = "the ledger of rows does not hold the rows that were counted; run again with a fresh state";
    Error::Damaged { what: what.to_string(), source: None }
}
