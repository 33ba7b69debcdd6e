//! Which texts a column holds, and how often: exactly up to a limit of distinct values, then their number by sketch.
//! Never allocates per value.

use std::borrow::Cow;

use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::xxh3_64;

use super::hyperloglog::HyperLogLog;
use super::number::sum_is_at_most;

/// Text values with their counts, in one arena. `with_limit(n)` says how many distinct values are too many; what happens
/// then is [`TextValues`]' concern.
#[derive(Clone)]
pub struct Vocabulary {
    limit: usize,
    /// The values one after the other, in order of arrival.
    arena: Vec<u8>,
    /// Where each value ends in the arena.
    ends: Vec<usize>,
    counts: Vec<u64>,
    /// Kept so that neither growing nor merging hashes a value again.
    hashes: Vec<u64>,
    index: HashTable<u32>,
}

/// No vocabulary was asked to hold more values than a `u32` can number.
const MOST: usize = u32::MAX as usize;

impl Vocabulary {
    /// An empty vocabulary that takes up to `limit` distinct values.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit: limit.min(MOST),
            arena: Vec::new(),
            ends: Vec::new(),
            counts: Vec::new(),
            hashes: Vec::new(),
            index: HashTable::new(),
        }
    }

    /// Most distinct values it takes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Distinct values.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How often `value` was seen; zero if never.
    pub fn count_of(&self, value: &str) -> u64 {
        let found = self.index.find(xxh3_64(value.as_bytes()), |&id| self.bytes(id as usize) == value.as_bytes());
        found.map_or(0, |&id| self.counts[id as usize])
    }

    /// Values and counts, by the bytes of the value.
    pub fn sorted(&self) -> Vec<(&str, u64)> {
        self.order().into_iter().map(|id| (self.text(id as usize), self.counts[id as usize])).collect()
    }

    /// The `most` most frequent values and their counts, the most frequent first; equal counts by the bytes of the value.
    pub fn by_frequency(&self, most: usize) -> Vec<(&str, u64)> {
        let mut values: Vec<(&str, u64)> = (0..self.len()).map(|id| (self.text(id), self.counts[id])).collect();
        let order = |a: &(&str, u64), b: &(&str, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0));
        if most < values.len() {
            values.select_nth_unstable_by(most, order);
            values.truncate(most);
        }
        values.sort_unstable_by(order);
        values
    }

    /// The most frequent value and its count; of several, the first by its bytes.
    pub fn most_frequent(&self) -> Option<(&str, u64)> {
        (0..self.len())
            .map(|id| (self.text(id), self.counts[id]))
            .min_by_key(|(text, count)| (std::cmp::Reverse(*count), *text))
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.arena.capacity()
            + self.ends.capacity() * size_of::<usize>()
            + (self.counts.capacity() + self.hashes.capacity()) * size_of::<u64>()
            + self.index.allocation_size()
    }

    /// Counts `value` `times` more; false, and nothing changes, when it is new and the limit is reached.
    #[must_use]
    fn insert(&mut self, value: &[u8], hash: u64, times: u64) -> bool {
        let (arena, ends) = (&self.arena, &self.ends);
        let found = self.index.find(hash, |&id| slice(arena, ends, id as usize) == value);
        if let Some(&id) = found {
            self.counts[id as usize] += times;
            return true;
        }
        if self.ends.len() == self.limit {
            return false;
        }
        let (id, hashes) = (self.ends.len() as u32, &self.hashes);
        self.index.insert_unique(hash, id, |&id| hashes[id as usize]);
        self.arena.extend_from_slice(value);
        self.ends.push(self.arena.len());
        self.counts.push(times);
        self.hashes.push(hash);
        true
    }

    fn bytes(&self, id: usize) -> &[u8] {
        slice(&self.arena, &self.ends, id)
    }

    fn text(&self, id: usize) -> &str {
        // Only whole `&str` enter the arena.
        std::str::from_utf8(self.bytes(id)).unwrap_or_else(|_| unreachable!("the arena holds text"))
    }

    /// The ids by the bytes of their values.
    //
    // Comparing numbers that stand side by side is several times faster than comparing texts all over the arena: the bytes
    // after those that all values begin with mostly tell two values apart.
    fn order(&self) -> Vec<u32> {
        let shared = self.shared_bytes();
        let head = |id: u32| {
            let mut head = [0; 8];
            let bytes = &self.bytes(id as usize)[shared..];
            let known = bytes.len().min(8);
            head[..known].copy_from_slice(&bytes[..known]);
            u64::from_be_bytes(head)
        };
        let mut order: Vec<(u64, u32)> = (0..self.len() as u32).map(|id| (head(id), id)).collect();
        // A head's zeros may be the value's own or missing: equal heads say nothing, others everything.
        order.sort_unstable_by(|(a, left), (b, right)| {
            a.cmp(b).then_with(|| self.bytes(*left as usize).cmp(self.bytes(*right as usize)))
        });
        order.into_iter().map(|(_, id)| id).collect()
    }

    /// How many bytes all values begin with.
    fn shared_bytes(&self) -> usize {
        let first = if self.is_empty() { &[] } else { self.bytes(0) };
        let shared = |most: usize, id| first[..most].iter().zip(self.bytes(id)).take_while(|(a, b)| a == b).count();
        (1..self.len()).fold(first.len(), shared)
    }
}

#[inline]
fn slice<'a>(arena: &'a [u8], ends: &[usize], id: usize) -> &'a [u8] {
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &arena[start..ends[id]]
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.sorted()).finish()
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.limit == other.limit && self.len() == other.len() && self.sorted() == other.sorted()
    }
}

impl Eq for Vocabulary {}

/// The stored form: sorted by value, hence the same bytes for the same content.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    limit: u64,
    /// Borrowed when it is read: a text's length is checked against the bytes that are there before anything is copied.
    #[serde(borrow)]
    text: Cow<'a, str>,
    lengths: Vec<u32>,
    counts: Vec<u64>,
}

impl Serialize for Vocabulary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.arena.len());
        let mut lengths = Vec::with_capacity(self.len());
        let mut counts = Vec::with_capacity(self.len());
        for (value, count) in self.sorted() {
            text.push_str(value);
            lengths.push(u32::try_from(value.len()).map_err(serde::ser::Error::custom)?);
            counts.push(count);
        }
        Stored { limit: self.limit as u64, text: text.into(), lengths, counts }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let damaged = || de::Error::custom("a vocabulary whose parts do not fit together");
        if stored.lengths.len() != stored.counts.len() {
            return Err(damaged());
        }
        let mut vocabulary = Self::with_limit(usize::try_from(stored.limit).map_err(de::Error::custom)?);
        vocabulary.index.reserve(stored.counts.len(), |_| 0);
        let (mut rest, mut last) = (&*stored.text, None);
        for (length, count) in stored.lengths.iter().zip(&stored.counts) {
            let (value, after) = rest.split_at_checked(*length as usize).ok_or_else(damaged)?;
            let is_next = last.is_none_or(|last| last < value);
            if !is_next || !vocabulary.insert(value.as_bytes(), xxh3_64(value.as_bytes()), *count) {
                return Err(damaged());
            }
            (rest, last) = (after, Some(value));
        }
        if !rest.is_empty() {
            return Err(damaged());
        }
        Ok(vocabulary)
    }
}

/// The text values of a column. Exact if and only if the column has at most `limit` distinct values: which of the two it is,
/// and every bit of it, depends on the multiset of values and the limit, not on order or sharding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextValues {
    /// All values with their counts.
    Exact(Vocabulary),
    /// Too many distinct values: only about how many.
    Sketch {
        /// The limit that was exceeded.
        limit: u64,
        /// The hashes of all values.
        hashes: HyperLogLog,
    },
}

impl TextValues {
    /// No values yet, and a limit of distinct values: the identity of merging under that limit.
    pub fn with_limit(limit: usize) -> Self {
        Self::Exact(Vocabulary::with_limit(limit))
    }

    /// The most distinct values that are kept.
    pub fn limit(&self) -> usize {
        match self {
            Self::Exact(vocabulary) => vocabulary.limit,
            Self::Sketch { limit, .. } => *limit as usize,
        }
    }

    /// The vocabulary, unless there were too many values.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        match self {
            Self::Exact(vocabulary) => Some(vocabulary),
            Self::Sketch { .. } => None,
        }
    }

    /// Whether the counts are those of at most so many values: what is read back and is not is damaged.
    pub(super) fn fits(&self, values: u64) -> bool {
        match self {
            Self::Exact(vocabulary) => sum_is_at_most(values, vocabulary.counts.iter().copied()),
            Self::Sketch { limit, .. } => *limit <= MOST as u64,
        }
    }

    /// The number of distinct values, and whether it is an estimate.
    pub fn distinct(&self) -> (u64, bool) {
        match self {
            Self::Exact(vocabulary) => (vocabulary.len() as u64, false),
            Self::Sketch { limit, hashes } => (hashes.estimate().max(limit + 1), true),
        }
    }

    /// The same values under a limit that is not above their own.
    #[must_use]
    pub(super) fn limited(mut self, limit: usize) -> Self {
        if let Self::Exact(vocabulary) = &mut self {
            vocabulary.limit = limit.min(vocabulary.limit);
            if vocabulary.len() > vocabulary.limit {
                self.sketch();
            }
        }
        self
    }

    /// Counts `value` `times` more.
    #[inline]
    pub fn add(&mut self, value: &str, times: u64) {
        self.add_hashed(value.as_bytes(), xxh3_64(value.as_bytes()), times);
    }

    /// Adds the values of another column of the same limit.
    pub fn merge(&mut self, other: Self) {
        debug_assert_eq!(self.limit(), other.limit(), "vocabularies of two limits");
        match other {
            Self::Exact(more) if self.is_new() => *self = Self::Exact(more),
            Self::Exact(more) => {
                for id in 0..more.len() {
                    self.add_hashed(more.bytes(id), more.hashes[id], more.counts[id]);
                }
            }
            Self::Sketch { hashes: more, .. } => self.sketch().merge(&more),
        }
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Exact(vocabulary) => vocabulary.heap_bytes(),
            Self::Sketch { hashes, .. } => hashes.heap_bytes(),
        }
    }

    fn is_new(&self) -> bool {
        self.vocabulary().is_some_and(Vocabulary::is_empty)
    }

    #[inline]
    fn add_hashed(&mut self, value: &[u8], hash: u64, times: u64) {
        if times == 0 {
            return;
        }
        if let Self::Exact(vocabulary) = self
            && vocabulary.insert(value, hash, times)
        {
            return;
        }
        self.sketch().insert(hash);
    }

    /// The sketch; from now on there is one.
    fn sketch(&mut self) -> &mut HyperLogLog {
        if let Self::Exact(vocabulary) = self {
            let mut hashes = HyperLogLog::default();
            vocabulary.hashes.iter().for_each(|hash| hashes.insert(*hash));
            *self = Self::Sketch { limit: vocabulary.limit as u64, hashes };
        }
        match self {
            Self::Sketch { hashes, .. } => hashes,
            Self::Exact(_) => unreachable!("turned into a sketch above"),
        }
    }
}
