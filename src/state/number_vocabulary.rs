//! Which numbers a column holds, and how often, for the steps that treat numbers as categories. Never rounds them.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::distinct::mix;
use super::number::{Number, NumberKind, sum_is_at_most};

/// Numbers, as order-keeping keys, with their counts; nothing but the fact once there are more than `limit` of them.
/// What it is depends on the multiset of numbers and the limit, not on order or sharding.
#[derive(Clone)]
pub struct NumberVocabulary {
    kind: NumberKind,
    limit: usize,
    exceeded: bool,
    counts: HashTable<(u64, u64)>,
}

impl NumberVocabulary {
    /// No numbers yet, and a limit of distinct ones.
    pub fn with_limit(kind: NumberKind, limit: usize) -> Self {
        Self { kind, limit, exceeded: false, counts: HashTable::new() }
    }

    /// Most distinct numbers it keeps.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether there were more distinct numbers than the limit; it is empty then.
    pub fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// Distinct numbers kept.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether no numbers are kept.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Numbers and counts in ascending order; nothing when there were too many.
    pub fn sorted(&self) -> Option<Vec<(Number, u64)>> {
        let numbers = |(key, count): (u64, u64)| (Number::of_key(self.kind, key), count);
        (!self.exceeded).then(|| self.sorted_keys().into_iter().map(numbers).collect())
    }

    /// Numbers and counts, the most frequent first, equal counts in ascending order; nothing when there were too many.
    pub fn by_frequency(&self) -> Option<Vec<(Number, u64)>> {
        let mut numbers = self.sorted()?;
        numbers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Some(numbers)
    }

    /// The most frequent number and its count; of several, the smallest. Nothing when there were none or too many.
    pub fn most_frequent(&self) -> Option<(Number, u64)> {
        let best = self.counts.iter().min_by_key(|(key, count)| (std::cmp::Reverse(*count), *key))?;
        Some((Number::of_key(self.kind, best.0), best.1))
    }

    /// Whether it is of this kind and its counts are those of at most so many values.
    pub(super) fn fits(&self, kind: NumberKind, values: u64) -> bool {
        self.kind == kind && sum_is_at_most(values, self.counts.iter().map(|(_, count)| *count))
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.counts.allocation_size()
    }

    /// Counts the numbers of a batch by their keys.
    pub(super) fn update<T: Copy>(&mut self, values: &[T], key: impl Fn(T) -> u64) {
        for &value in values {
            if !self.add(key(value), 1) {
                return;
            }
        }
    }

    /// Counts each of the numbers as often as its count says, which is never zero.
    pub(super) fn update_counted<T: Copy>(&mut self, values: &[T], counts: &[u32], key: impl Fn(T) -> u64) {
        for (&value, &count) in values.iter().zip(counts) {
            if !self.add(key(value), u64::from(count)) {
                return;
            }
        }
    }

    /// Adds the numbers of another column of the same kind and limit.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!((self.kind, self.limit), (other.kind, other.limit), "vocabularies of two kinds");
        if other.exceeded {
            self.exceed();
        }
        for &(key, count) in &other.counts {
            if !self.add(key, count) {
                return;
            }
        }
    }

    /// The same numbers as doubles; the caller knows that they are doubles exactly.
    pub(super) fn into_floats(self) -> Self {
        let mut floats = Self { exceeded: self.exceeded, ..Self::with_limit(NumberKind::Float, self.limit) };
        for &(key, count) in &self.counts {
            floats.add(Number::Float(Number::of_key(self.kind, key).to_f64()).key(), count);
        }
        floats
    }

    /// False when the numbers are too many.
    #[inline]
    fn add(&mut self, key: u64, times: u64) -> bool {
        if self.exceeded {
            return false;
        }
        let full = self.counts.len() == self.limit;
        match self.counts.entry(mix(key), |(known, _)| *known == key, |(known, _)| mix(*known)) {
            Entry::Occupied(mut entry) => entry.get_mut().1 += times,
            Entry::Vacant(_) if full => {
                self.exceed();
                return false;
            }
            Entry::Vacant(entry) => {
                entry.insert((key, times));
            }
        }
        true
    }

    fn exceed(&mut self) {
        self.exceeded = true;
        self.counts = HashTable::new();
    }

    fn sorted_keys(&self) -> Vec<(u64, u64)> {
        let mut keys: Vec<(u64, u64)> = self.counts.iter().copied().collect();
        keys.sort_unstable();
        keys
    }
}

impl std::fmt::Debug for NumberVocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.sorted() {
            Some(numbers) => f.debug_map().entries(numbers).finish(),
            None => write!(f, "more than {} numbers", self.limit),
        }
    }
}

impl PartialEq for NumberVocabulary {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.limit, self.exceeded) == (other.kind, other.limit, other.exceeded)
            && self.len() == other.len()
            && self.sorted_keys() == other.sorted_keys()
    }
}

impl Eq for NumberVocabulary {}

/// The stored form: sorted by key, hence the same bytes for the same content.
#[derive(Serialize, Deserialize)]
struct Stored {
    kind: NumberKind,
    limit: u64,
    exceeded: bool,
    counts: Vec<(u64, u64)>,
}

impl Serialize for NumberVocabulary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, limit, exceeded) = (self.kind, self.limit as u64, self.exceeded);
        Stored { kind, limit, exceeded, counts: self.sorted_keys() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NumberVocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let limit = usize::try_from(stored.limit).map_err(de::Error::custom)?;
        let damaged = || de::Error::custom("a vocabulary of numbers whose parts do not fit together");
        if !stored.counts.is_sorted_by(|(key, _), (next, _)| key < next) {
            return Err(damaged());
        }
        let mut vocabulary = Self::with_limit(stored.kind, limit);
        vocabulary.counts.reserve(stored.counts.len(), |(key, _)| mix(*key));
        for (key, count) in &stored.counts {
            vocabulary.add(*key, *count);
        }
        if vocabulary.len() != stored.counts.len() || stored.exceeded && !stored.counts.is_empty() {
            return Err(damaged());
        }
        vocabulary.exceeded = stored.exceeded;
        Ok(vocabulary)
    }
}
