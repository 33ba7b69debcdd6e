//! The first reading of a search: hashes are nearly even, so the share of a stratum's rows before a boundary says about
//! where its key is. Rows near there are collected, the others only counted; where the counts say that a guess was right,
//! the boundary is found. What is found never depends on a guess: where one was wrong, the search goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::rounding::Quotas;
use super::search::{Interval, Search, other_rows};
use super::select::{Key, NO_STRATUM, Visit};
use crate::error::Result;
use crate::memory::Budget;

/// Half the width of a guess, in standard deviations of how many of a stratum's rows fall below its middle: evenly
/// distributed hashes leave it once in a million boundaries.
const DEVIATIONS: u64 = 5;

/// Rows that are collected at the most.
const MOST_COLLECTED: u64 = 1 << 23;

/// Bytes of the counters of one thread, at the most: beyond that, narrowing step by step is as good.
const MOST_COUNTER_BYTES: usize = 8 << 20;

/// Bytes a collected row takes: as it is met, in a vector that grows, and as a key.
const ROW_BYTES: u64 = (2 * size_of::<Hit>() + size_of::<u128>()) as u64;

/// Where the boundaries probably are.
struct Guess {
    strata: usize,
    /// By stratum, then by boundary: the first hash of its interval, and the first beyond it, in rising order. They part a
    /// stratum into regions; the odd ones are the intervals.
    bounds: Vec<u64>,
    /// Bounds of a stratum.
    width: usize,
    /// Rows that are probably collected.
    expected: u64,
}

impl Guess {
    fn new(quotas: &Quotas) -> Self {
        let width = 2 * (quotas.splits() - 1);
        let mut bounds = Vec::with_capacity(quotas.strata() * width);
        let mut expected = 0;
        for quota in quotas.iter() {
            let rows: u64 = quota.iter().sum();
            let (mut rank, mut last) = (0, 0);
            for taken in &quota[..quota.len() - 1] {
                rank += taken;
                let (low, high) = around(rank, rows);
                let low = low.max(last);
                last = high.max(low);
                bounds.extend([low, last]);
                expected += (u128::from(last - low) * u128::from(rows)) >> 64;
            }
        }
        Self { strata: quotas.strata(), bounds, width, expected: expected as u64 }
    }

    fn regions(&self) -> usize {
        self.width + 1
    }

    /// Counts a run of rows, and collects those in odd regions; false for a stratum that is none.
    fn visit(&self, strata: &[u32], hashes: &[u64], first: u64, met: &mut Met) -> bool {
        match self.width {
            2 => self.visit_parted::<2>(strata, hashes, first, met),
            4 => self.visit_parted::<4>(strata, hashes, first, met),
            6 => self.visit_parted::<6>(strata, hashes, first, met),
            width => self.visit_by(strata, hashes, first, met, |stratum| &self.bounds[stratum * width..][..width]),
        }
    }

    /// A known number of bounds becomes straight code.
    fn visit_parted<const N: usize>(&self, strata: &[u32], hashes: &[u64], first: u64, met: &mut Met) -> bool {
        let (bounds, _) = self.bounds.as_chunks::<N>();
        self.visit_by(strata, hashes, first, met, |stratum| bounds[stratum].as_slice())
    }

    #[inline(always)]
    fn visit_by<'a>(
        &'a self,
        strata: &[u32],
        hashes: &[u64],
        first: u64,
        met: &mut Met,
        bounds: impl Fn(usize) -> &'a [u64],
    ) -> bool {
        let mut known = true;
        for ((&stratum, &hash), position) in strata.iter().zip(hashes).zip(first..) {
            if stratum as usize >= self.strata {
                known &= stratum == NO_STRATUM;
                continue;
            }
            let region: usize = bounds(stratum as usize).iter().map(|bound| usize::from(hash >= *bound)).sum();
            let at = stratum as usize * self.regions() + region;
            met.counts[at] += 1;
            if region % 2 == 1 {
                met.hits.push(Hit { at, hash, position });
            }
        }
        known
    }
}

/// The hashes between which the row of this rank probably is, of so many rows.
fn around(rank: u64, rows: u64) -> (u64, u64) {
    if rank == 0 || rank == rows {
        let end = if rank == 0 { 0 } else { u64::MAX };
        return (end, end);
    }
    // The rows below a hash of this share are binomially distributed; their variance is rank·(rows − rank) / rows.
    let variance = u128::from(rank) * u128::from(rows - rank) / u128::from(rows);
    let margin = DEVIATIONS * (variance.isqrt() as u64 + 1);
    let hash = |rank: u64| ((u128::from(rank) << 64) / u128::from(rows)).min(u128::from(u64::MAX)) as u64;
    (hash(rank.saturating_sub(margin)), hash(rank.saturating_add(margin)))
}

/// A row in an odd region.
struct Hit {
    /// Its region among those of all strata.
    at: usize,
    hash: u64,
    position: u64,
}

/// What one thread met.
struct Met {
    /// Rows by stratum, then by region.
    counts: Vec<u64>,
    hits: Vec<Hit>,
}

/// What all threads met.
struct Collected {
    counts: Vec<u64>,
    hits: Vec<Vec<Hit>>,
}

/// The search after a first reading that collected what was near the guesses; as it was, when that is too much, or when
/// the ledger is small enough to be collected as a whole.
///
/// # Errors
/// As [`super::select::boundaries`].
pub fn read(
    search: Search,
    quotas: &Quotas,
    budget: &Arc<Budget>,
    scan: &impl Fn(&Visit<'_>) -> Result<()>,
) -> Result<Search> {
    let counter_bytes = quotas.strata() * (2 * quotas.splits() - 1) * size_of::<u64>();
    if counter_bytes > MOST_COUNTER_BYTES || search.is_over() {
        return Ok(search);
    }
    // The bounds, what all threads met, and where each region's collected rows go.
    let Some(_fixed) = budget.try_reserve(3 * counter_bytes as u64) else { return Ok(search) };
    let guess = Guess::new(quotas);
    let room = guess.expected + guess.expected / 8 + 1024;
    if room > MOST_COLLECTED || 2 * room > search.rows() {
        return Ok(search);
    }
    let Some(_room) = budget.try_reserve(room * ROW_BYTES) else { return Ok(search) };
    match collect(&guess, room, counter_bytes, budget, scan)? {
        Some(collected) => search.after(quotas, &guess, collected),
        None => Ok(search),
    }
}

/// Reads the ledger once; nothing when there is no room for what it holds near the guesses.
fn collect(
    guess: &Guess,
    room: u64,
    counter_bytes: usize,
    budget: &Arc<Budget>,
    scan: &impl Fn(&Visit<'_>) -> Result<()>,
) -> Result<Option<Collected>> {
    let idle: Mutex<Vec<Met>> = Mutex::default();
    let held = Mutex::new(Vec::new());
    let (taken, full, strange) = (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let locked = |idle: &Mutex<Vec<Met>>| idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    scan(&|strata, hashes, first| {
        if full.load(Ordering::Relaxed) {
            return;
        }
        let met = locked(&idle).or_else(|| {
            let room = budget.try_reserve(counter_bytes as u64)?;
            held.lock().unwrap_or_else(PoisonError::into_inner).push(room);
            Some(Met { counts: vec![0; guess.strata * guess.regions()], hits: Vec::new() })
        });
        let Some(mut met) = met else { return full.store(true, Ordering::Relaxed) };
        let before = met.hits.len();
        let known = strata.len() == hashes.len() && guess.visit(strata, hashes, first, &mut met);
        strange.fetch_or(!known, Ordering::Relaxed);
        let more = (met.hits.len() - before) as u64;
        if taken.fetch_add(more, Ordering::Relaxed) + more > room {
            full.store(true, Ordering::Relaxed);
        }
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(met);
    })?;
    if strange.into_inner() {
        return Err(other_rows());
    }
    if full.into_inner() {
        return Ok(None);
    }
    let mut all = Collected { counts: vec![0; guess.strata * guess.regions()], hits: Vec::new() };
    for met in idle.into_inner().unwrap_or_else(PoisonError::into_inner) {
        all.counts.iter_mut().zip(&met.counts).for_each(|(all, met)| *all += met);
        all.hits.push(met.hits);
    }
    Ok(Some(all))
}

impl Search {
    /// Takes what was collected: boundaries in odd regions are found, those in even ones are looked for there.
    fn after(mut self, quotas: &Quotas, guess: &Guess, collected: Collected) -> Result<Self> {
        let regions = guess.regions();
        let mut next = Vec::with_capacity(collected.counts.len());
        let mut base = 0;
        for (at, count) in collected.counts.iter().enumerate() {
            next.push(base);
            base += if at % regions % 2 == 1 { *count as usize } else { 0 };
        }
        let mut keys = vec![0_u128; base];
        for hit in collected.hits.into_iter().flatten() {
            keys[next[hit.at]] = Key { hash: hit.hash, position: hit.position }.number();
            next[hit.at] += 1;
        }
        let mut left = Vec::new();
        for interval in self.take_intervals() {
            let stratum = interval.stratum as usize;
            let counts = &collected.counts[stratum * regions..][..regions];
            if counts.iter().sum::<u64>() != quotas.of(stratum).iter().sum::<u64>() {
                return Err(other_rows());
            }
            let bounds = &guess.bounds[stratum * guess.width..][..guess.width];
            for (region, part) in self.parts(&interval, counts, bounds) {
                let end = next[stratum * regions + region];
                match region % 2 {
                    1 => self.pick(&part, &mut keys[end - part.rows as usize..end]),
                    _ => left.push(part),
                }
            }
        }
        self.go_on_with(left);
        Ok(self)
    }

    /// The regions of a stratum that hold its boundaries, as intervals; ranks are then counted from their first row.
    fn parts(&mut self, interval: &Interval, counts: &[u64], bounds: &[u64]) -> Vec<(usize, Interval)> {
        let mut parts: Vec<(usize, Interval)> = Vec::new();
        let (mut region, mut passed) = (0, 0);
        for boundary in interval.boundaries() {
            while passed + counts[region] <= self.rank(boundary) {
                passed += counts[region];
                region += 1;
            }
            self.pass(boundary, passed);
            match parts.last_mut() {
                Some((same, part)) if *same == region => part.share(),
                _ => {
                    let low = if region == 0 { 0 } else { u128::from(bounds[region - 1]) << 64 };
                    let beyond = bounds.get(region).map(|bound| (u128::from(*bound) << 64).saturating_sub(1));
                    let high = beyond.unwrap_or(Key::END.number());
                    parts.push((region, interval.part(low, high, counts[region], boundary)));
                }
            }
        }
        parts
    }
}
