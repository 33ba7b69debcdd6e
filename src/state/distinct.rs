//! How many different values a column has: exactly up to a limit, then by sketch. Never says which values: that is a
//! vocabulary's job.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::hyperloglog::HyperLogLog;

/// Up to this many distinct values are counted exactly. The table of a column then takes 32 KiB at most, so that it stays
/// in the first cache, and a thousand columns take 32 MiB.
pub const EXACT_LIMIT: usize = 1024;

/// Slots of the two sizes of table. Both stay three quarters empty, because a probe that has to go on is a branch
/// that cannot be predicted.
const SLOTS: [usize; 2] = [256, 4 * EXACT_LIMIT];

/// Spreads a key over 64 bits: the finaliser of MurmurHash3 (A. Appleby), a bijection in which every input bit flips every
/// output bit with probability near one half. Persisted sketches depend on it.
#[inline(always)]
pub(super) fn mix(key: u64) -> u64 {
    let key = (key ^ key >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let key = (key ^ key >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    key ^ key >> 33
}

/// A place for a key in a table, cheaper than [`mix`] and good enough for it: both halves of one wide product.
/// Nothing persisted depends on it.
#[inline(always)]
fn scatter(key: u64) -> usize {
    let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (product ^ product >> 64) as usize
}

/// The number of distinct 64-bit keys seen. It depends on the set of keys only: exact if and only if the set has at most
/// [`EXACT_LIMIT`] keys. `default()` is the empty set, the identity of [`Distinct::merge`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct(Repr);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Repr {
    Exact(KeySet),
    Sketch(HyperLogLog),
}

impl Default for Distinct {
    fn default() -> Self {
        Self(Repr::Exact(KeySet::default()))
    }
}

impl Distinct {
    /// Adds the keys of a batch: `key` must map equal values, and only those, to one key.
    pub fn update<T: Copy>(&mut self, values: &[T], key: impl Fn(T) -> u64) {
        let mut values = values;
        if let Repr::Exact(set) = &mut self.0 {
            let taken = set.extend(values, &key);
            values = &values[taken..];
            if values.is_empty() {
                return;
            }
        }
        let sketch = self.sketch();
        for &value in values {
            sketch.insert(mix(key(value)));
        }
    }

    /// Adds the set of `other`.
    pub fn merge(&mut self, other: &Self) {
        match &other.0 {
            Repr::Exact(set) => self.update(&set.sorted(), |key| key),
            Repr::Sketch(more) => self.sketch().merge(more),
        }
    }

    /// The number of distinct keys, and whether it is an estimate.
    pub fn count(&self) -> (u64, bool) {
        match &self.0 {
            Repr::Exact(set) => (set.len() as u64, false),
            // More than the limit is known for certain.
            Repr::Sketch(sketch) => (sketch.estimate().max(EXACT_LIMIT as u64 + 1), true),
        }
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Exact(set) => set.slots.capacity() * size_of::<u64>(),
            Repr::Sketch(sketch) => sketch.heap_bytes(),
        }
    }

    /// The sketch; from now on there is one.
    fn sketch(&mut self) -> &mut HyperLogLog {
        if let Repr::Exact(set) = &self.0 {
            let mut sketch = HyperLogLog::default();
            set.keys().for_each(|key| sketch.insert(mix(key)));
            self.0 = Repr::Sketch(sketch);
        }
        match &mut self.0 {
            Repr::Sketch(sketch) => sketch,
            Repr::Exact(_) => unreachable!("turned into a sketch above"),
        }
    }
}

/// A set of keys by linear probing; zero marks an empty slot, the key zero is a flag.
#[derive(Debug, Clone, Default)]
struct KeySet {
    /// A power of two of slots, at most a quarter of them in use; or none.
    slots: Vec<u64>,
    used: usize,
    zero: bool,
}

impl KeySet {
    fn len(&self) -> usize {
        self.used + usize::from(self.zero)
    }

    fn keys(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().copied().filter(|key| *key != 0).chain(self.zero.then_some(0))
    }

    fn sorted(&self) -> Vec<u64> {
        let mut keys: Vec<u64> = self.keys().collect();
        keys.sort_unstable();
        keys
    }

    /// Adds values until the set would exceed the limit; how many were added.
    #[inline]
    fn extend<T: Copy>(&mut self, values: &[T], key: &impl Fn(T) -> u64) -> usize {
        for (at, &value) in values.iter().enumerate() {
            let key = key(value);
            if !self.contains(key) {
                if self.len() == EXACT_LIMIT {
                    return at;
                }
                self.insert(key);
            }
        }
        values.len()
    }

    #[inline(always)]
    fn contains(&self, key: u64) -> bool {
        if key == 0 || self.slots.is_empty() {
            return key == 0 && self.zero;
        }
        self.slots[self.slot(key)] == key
    }

    /// The slot that holds the key, or the empty one where it belongs. There are slots, and some are empty.
    #[inline(always)]
    fn slot(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = scatter(key) & mask;
        while self.slots[slot] != key && self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// Inserts a key that is not in the set.
    #[inline(always)]
    fn insert(&mut self, key: u64) {
        if key == 0 {
            self.zero = true;
            return;
        }
        if self.slots.is_empty() || self.used == SLOTS[0] / 4 {
            self.grow();
        }
        let slot = self.slot(key);
        self.slots[slot] = key;
        self.used += 1;
    }

    #[cold]
    fn grow(&mut self) {
        let slots = if self.slots.is_empty() { SLOTS[0] } else { SLOTS[1] };
        for key in std::mem::replace(&mut self.slots, vec![0; slots]) {
            if key != 0 {
                let slot = self.slot(key);
                self.slots[slot] = key;
            }
        }
    }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.sorted() == other.sorted()
    }
}

impl Eq for KeySet {}

impl Serialize for KeySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.sorted().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = Vec::<u64>::deserialize(deserializer)?;
        let mut set = Self::default();
        if keys.len() > EXACT_LIMIT || set.extend(&keys, &|key| key) != set.len() {
            return Err(de::Error::custom("a set of keys that is too large or not a set"));
        }
        Ok(set)
    }
}
