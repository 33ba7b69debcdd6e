//! Exact selection by rank: the keys at which one split ends and the next begins, in every stratum, in bounded memory.
//!
//! The rows of a stratum are ranked by their key: the hash of the row's identity, then its position. The first rows
//! go to the first split, as many as its quota says, the next to the second, and so on. What is found are the keys of
//! the rows that open a split; with them any row is routed on its own.
//!
//! The rows are never sorted and never held all at once: `guess` collects the few that are near where even hashes have the
//! boundaries, and `search` narrows the key space down to those that it missed.
//!
//! Nothing here reads a file: the ledger is the caller's, and it is read as often as needed, once as a rule.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::guess;
use super::rounding::Quotas;
use super::search::{self, Search};
use crate::error::Result;
use crate::memory::Budget;

/// The code of a row that is in no stratum, and so in no split.
pub const NO_STRATUM: u32 = u32::MAX;

/// What [`Boundaries::route`] says of a row without a stratum.
pub const DROPPED: u8 = u8::MAX;

/// A row's place in the order of its stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Hash of the row's identity.
    pub hash: u64,
    /// The row's number over the whole input, from 0; below `u64::MAX`.
    pub position: u64,
}

impl Key {
    /// No key is below it.
    pub(super) const FIRST: Self = Self { hash: 0, position: 0 };
    /// Every row's key is below it.
    pub const END: Self = Self { hash: u64::MAX, position: u64::MAX };

    /// The key as one number of the same order.
    pub(super) fn number(self) -> u128 {
        u128::from(self.hash) << 64 | u128::from(self.position)
    }

    /// The key that [`Key::number`] made a number of.
    pub(super) fn from_number(number: u128) -> Self {
        Self { hash: (number >> 64) as u64, position: number as u64 }
    }
}

/// What a ledger calls with every run of rows, from any thread and in any order: codes of their strata, their hashes, the
/// position of the first.
pub type Visit<'a> = dyn Fn(&[u32], &[u64], u64) + Sync + 'a;

/// The keys that part the splits, for every stratum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundaries {
    splits: usize,
    /// By stratum, then by split but the last: the first key that is beyond the split.
    upper: Vec<Key>,
}

impl Boundaries {
    /// How many splits there are.
    pub fn splits(&self) -> usize {
        self.splits
    }

    /// The keys of the rows that open the splits but the first, of a single stratum; [`Key::END`] where none does.
    pub fn keys(&self) -> &[Key] {
        &self.upper
    }

    /// Bytes that the boundaries take.
    pub fn bytes(&self) -> u64 {
        (self.upper.len() * size_of::<Key>()) as u64
    }

    /// The split of one row of a stratum.
    ///
    /// # Panics
    /// May panic when the stratum is not one of the quotas'.
    pub fn split_of(&self, stratum: u32, key: Key) -> usize {
        let inner = self.splits - 1;
        let upper = &self.upper[stratum as usize * inner..][..inner];
        upper.iter().filter(|bound| bound.number() <= key.number()).count()
    }

    /// The splits of a run of rows, [`DROPPED`] for those in no stratum; `first_position` is that of the first row.
    ///
    /// # Panics
    /// When the lengths differ; may panic when a stratum is not one of the quotas'.
    pub fn route(&self, strata: &[u32], hashes: &[u64], first_position: u64, out: &mut [u8]) {
        assert!(strata.len() == hashes.len() && strata.len() == out.len(), "a run of rows of different lengths");
        // A known number of bounds becomes straight code.
        match self.splits {
            2 => self.route_parted::<1>(strata, hashes, first_position, out),
            3 => self.route_parted::<2>(strata, hashes, first_position, out),
            4 => self.route_parted::<3>(strata, hashes, first_position, out),
            _ => self.route_any(strata, hashes, first_position, out),
        }
    }

    fn route_parted<const INNER: usize>(&self, strata: &[u32], hashes: &[u64], first: u64, out: &mut [u8]) {
        let (upper, _) = self.upper.as_chunks::<INNER>();
        for (((&stratum, &hash), position), out) in strata.iter().zip(hashes).zip(first..).zip(out) {
            *out = if stratum == NO_STRATUM {
                DROPPED
            } else {
                let key = Key { hash, position }.number();
                upper[stratum as usize].iter().map(|bound| u8::from(bound.number() <= key)).sum()
            };
        }
    }

    fn route_any(&self, strata: &[u32], hashes: &[u64], first: u64, out: &mut [u8]) {
        for (((&stratum, &hash), position), out) in strata.iter().zip(hashes).zip(first..).zip(out) {
            *out = if stratum == NO_STRATUM { DROPPED } else { self.split_of(stratum, Key { hash, position }) as u8 };
        }
    }
}

/// The boundaries that give every split its quota of every stratum.
///
/// `scan` reads the whole ledger, and can be called again and again; its strata are coded by their index in the quotas, or
/// [`NO_STRATUM`].
///
/// # Errors
/// What `scan` fails with; [`Error::Memory`](crate::error::Error::Memory) when not even a few counters for each boundary fit the budget;
/// [`Error::Damaged`](crate::error::Error::Damaged) when the ledger does not hold the rows that the quotas are about.
pub fn boundaries(
    quotas: &Quotas,
    budget: &Arc<Budget>,
    scan: impl Fn(&Visit<'_>) -> Result<()>,
) -> Result<Boundaries> {
    let _fixed = budget.reserve(search::WHAT, search::fixed_bytes(quotas))?;
    let mut search = guess::read(Search::new(quotas), quotas, budget, &scan)?;
    while !search.is_over() {
        search = search.read_on(budget, &scan)?;
    }
    Ok(Boundaries { splits: quotas.splits(), upper: search.into_keys() })
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
