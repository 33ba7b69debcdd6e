//! What the rows of each group have in all, exactly and in bounded memory, however many groups there are.
//!
//! Groups are kept by hash in buckets of the rank space. Where all of them do not fit the budget, the upper buckets are given up,
//! and another reading gets them: so they come in slices, in the order of their ranks, and every slice is complete. What is added up
//! must not depend on the order of rows, for they come from all threads.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::memory::{Budget, Reservation};
use crate::roles::Keys;

/// Buckets of the rank space, by the highest bits of a rank.
const BUCKETS: usize = 256;
/// Buckets that are put in order at a time.
const ORDERED_AT_ONCE: usize = 16;

/// Some consecutive rows that are to be split.
#[derive(Debug)]
pub struct Block<'a> {
    /// Position of the first row over the whole input.
    pub first: u64,
    /// What the ledger says of them.
    pub keys: Keys<'a>,
    /// Their strata.
    pub strata: &'a [u32],
    /// Wide hashes of their groups.
    pub groups: &'a [u128],
    /// What has been decided of them.
    pub fates: &'a [u8],
}

/// Hands all rows to a closure, block by block, from any thread and in any order.
pub type Read<'a> = dyn Fn(&(dyn Fn(&Block<'_>) + Sync)) -> Result<()> + Sync + 'a;

/// A hash that is one already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

type Map<V> = HashMap<u128, V, BuildHasherDefault<Identity>>;

#[derive(Default)]
struct Bucket<V> {
    map: Map<V>,
    /// Bytes that the values hold elsewhere.
    heap: usize,
}

impl<V> Bucket<V> {
    fn bytes(&self) -> u64 {
        (self.map.allocation_size() + self.heap) as u64
    }
}

/// Groups with neighbouring ranks, all of them.
pub struct Slice<V> {
    /// The first bucket.
    first: usize,
    buckets: Vec<Bucket<V>>,
    _held: Reservation,
}

fn bucket_of(rank: u64) -> usize {
    (rank >> 56) as usize
}

impl<V: Send> Slice<V> {
    /// What a group of this rank has; nothing when it is in another slice, or has no rows.
    pub fn get(&self, rank: u64, group: u128) -> Option<&V> {
        self.buckets.get(bucket_of(rank).wrapping_sub(self.first))?.map.get(&group)
    }

    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.map.len()).sum()
    }

    /// What each group has, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.buckets.iter().flat_map(|bucket| bucket.map.values())
    }

    /// All groups, ordered by rank, then hash.
    pub fn in_order(&mut self, rank: impl Fn(u128) -> u64 + Sync, mut visit: impl FnMut(u64, &mut V)) {
        for buckets in self.buckets.chunks_mut(ORDERED_AT_ONCE) {
            let order = |bucket: &mut Bucket<V>| {
                let mut groups: Vec<(u64, u128)> = bucket.map.keys().map(|group| (rank(*group), *group)).collect();
                groups.sort_unstable();
                groups
            };
            let ordered: Vec<Vec<(u64, u128)>> = buckets.par_iter_mut().map(order).collect();
            for (bucket, groups) in buckets.iter_mut().zip(ordered) {
                for (rank, group) in groups {
                    if let Some(value) = bucket.map.get_mut(&group) {
                        visit(rank, value);
                    }
                }
            }
        }
    }
}

/// The groups of some rows, slice by slice.
pub struct Groups<'a, V, S, R, A> {
    budget: &'a Arc<Budget>,
    read: &'a Read<'a>,
    /// The group of a row, if it counts.
    select: S,
    rank: R,
    /// Adds a row; says by how many bytes the value's heap grew.
    add: A,
    whole: Option<Slice<V>>,
}

impl<'a, V, S, R, A> Groups<'a, V, S, R, A>
where
    V: Default + Send + Sync,
    S: Fn(&Block<'_>, usize) -> Option<u128> + Sync,
    R: Fn(u128) -> u64 + Sync,
    A: Fn(&mut V, &Block<'_>, usize) -> usize + Sync,
{
    /// Groups of the rows that `select` names one of, ordered by `rank`; `add` adds up their rows.
    pub fn new(budget: &'a Arc<Budget>, read: &'a Read<'a>, select: S, rank: R, add: A) -> Self {
        Self { budget, read, select, rank, add, whole: None }
    }

    /// The order of a group.
    pub fn rank(&self, group: u128) -> u64 {
        (self.rank)(group)
    }

    /// Visits all slices, in the order of ranks. Rows are read once for each, but only once where one slice holds all groups.
    ///
    /// # Errors
    /// What reading fails with, and `visit`; [`Error::Memory`] when not even a small part of the groups fits the budget.
    pub fn for_each_slice(&mut self, mut visit: impl FnMut(&mut Slice<V>) -> Result<()>) -> Result<()> {
        if let Some(whole) = &mut self.whole {
            return visit(whole);
        }
        let mut first = 0;
        while first < BUCKETS {
            let mut slice = self.load(first)?;
            first += slice.buckets.len();
            visit(&mut slice)?;
            if slice.buckets.len() == BUCKETS {
                self.whole = Some(slice);
            }
        }
        Ok(())
    }

    fn load(&self, first: usize) -> Result<Slice<V>> {
        let buckets: Vec<Mutex<Bucket<V>>> =
            (first..BUCKETS).map(|_| Mutex::new(Bucket { map: Map::default(), heap: 0 })).collect();
        let loading = Loading {
            first,
            buckets,
            end: AtomicUsize::new(BUCKETS),
            bytes: AtomicU64::new(0),
            held: Mutex::new(self.budget.reserve(WHAT, 0)?),
            refused: AtomicBool::new(false),
        };
        (self.read)(&|block| {
            if !loading.refused.load(Ordering::Relaxed) {
                self.add_block(block, &loading);
                loading.hold();
            }
        })?;
        if loading.refused.into_inner() {
            let needed = loading.bytes.into_inner();
            let (limit, advice) = (self.budget.limit(), String::new());
            return Err(Error::Memory { what: WHAT.into(), needed, limit, advice });
        }
        let kept = loading.end.into_inner() - first;
        let unlocked = |bucket: Mutex<Bucket<V>>| bucket.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Slice {
            first,
            buckets: loading.buckets.into_iter().take(kept).map(unlocked).collect(),
            _held: loading.held.into_inner().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// Adds the rows of a block, bucket by bucket, so that each is locked once.
    fn add_block(&self, block: &Block<'_>, loading: &Loading<V>) {
        let end = loading.end.load(Ordering::Relaxed);
        let selected = |row: usize| {
            let group = (self.select)(block, row)?;
            let bucket = bucket_of((self.rank)(group));
            (loading.first..end).contains(&bucket).then(|| (bucket - loading.first, row as u32, group))
        };
        let rows: Vec<(usize, u32, u128)> = (0..block.fates.len()).filter_map(selected).collect();
        let mut starts = [0; BUCKETS + 1];
        rows.iter().for_each(|(bucket, ..)| starts[bucket + 1] += 1);
        (0..BUCKETS).for_each(|bucket| starts[bucket + 1] += starts[bucket]);
        let mut next = starts;
        let mut sorted = vec![(0, 0); rows.len()];
        for (bucket, row, group) in rows {
            sorted[next[bucket]] = (row, group);
            next[bucket] += 1;
        }
        for (at, bucket) in loading.buckets.iter().enumerate() {
            let rows = &sorted[starts[at]..starts[at + 1]];
            if rows.is_empty() {
                continue;
            }
            let mut bucket = locked(bucket);
            // Given up while this block was sorted.
            if loading.first + at >= loading.end.load(Ordering::Relaxed) {
                continue;
            }
            let before = bucket.bytes();
            for &(row, group) in rows {
                let Bucket { map, heap } = &mut *bucket;
                *heap += (self.add)(map.entry(group).or_default(), block, row as usize);
            }
            loading.bytes.fetch_add(bucket.bytes() - before, Ordering::Relaxed);
        }
    }
}

const WHAT: &str = "the groups of the rows";

/// A slice while it is filled.
struct Loading<V> {
    first: usize,
    buckets: Vec<Mutex<Bucket<V>>>,
    /// The first bucket that was given up.
    end: AtomicUsize,
    bytes: AtomicU64,
    held: Mutex<Reservation>,
    refused: AtomicBool,
}

impl<V> Loading<V> {
    /// Counts what is held against the budget, and gives up the upper half of the buckets while it does not fit.
    fn hold(&self) {
        let mut held = locked(&self.held);
        // Twice: a table that grows leaves as much behind, which the allocator gives back later.
        while !held.try_resize(2 * self.bytes.load(Ordering::Relaxed)) {
            let end = self.end.load(Ordering::Relaxed);
            let kept = (end - self.first) / 2;
            if kept == 0 {
                self.refused.store(true, Ordering::Relaxed);
                return;
            }
            self.end.store(self.first + kept, Ordering::Relaxed);
            for bucket in &self.buckets[kept..end - self.first] {
                let mut bucket = locked(bucket);
                self.bytes.fetch_sub(bucket.bytes(), Ordering::Relaxed);
                *bucket = Bucket { map: Map::default(), heap: 0 };
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
