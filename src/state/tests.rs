//! The laws of the summaries: what they know depends on the multiset of values only, and is exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Int8Type, Int32Type};
use num_bigint::{BigInt, BigUint};
use proptest::prelude::*;

use super::number::{float_identity, int_identity, uint_identity};
use super::*;

mod columns;
mod moments;
mod vocabularies;

const COUNT: VocabularyNeed = VocabularyNeed::Count;

/// A small generator with a fixed seed (splitmix64), so that failures repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}

fn bytes(state: &impl serde::Serialize) -> Vec<u8> {
    bincode::serde::encode_to_vec(state, bincode::config::standard()).unwrap()
}

fn reread<T: serde::Serialize + serde::de::DeserializeOwned>(state: &T) -> T {
    bincode::serde::decode_from_slice(&bytes(state), bincode::config::standard()).unwrap().0
}

fn scanned(array: &dyn Array, need: VocabularyNeed) -> ColumnState {
    let mut state = ColumnState::new(array.data_type(), need);
    state.update(array).unwrap();
    state
}

/// Whole, cut into batches, cut into shards that merge from the right, and read back: all the same bytes.
fn assert_laws(array: &ArrayRef, need: VocabularyNeed, seed: u64) {
    let mut random = Random(seed);
    let whole = scanned(array, need);
    let mut cuts: Vec<usize> = (0..3).map(|_| random.next() as usize % (array.len() + 1)).collect();
    cuts.extend([0, array.len()]);
    cuts.sort_unstable();
    let parts: Vec<ArrayRef> = cuts.windows(2).map(|cut| array.slice(cut[0], cut[1] - cut[0])).collect();

    let mut batched = ColumnState::new(array.data_type(), need);
    parts.iter().for_each(|part| batched.update(part).unwrap());
    assert_eq!(bytes(&batched), bytes(&whole), "batches");

    let mut merged = ColumnState::new(array.data_type(), need);
    for part in parts.iter().rev() {
        let mut shard = reread(&scanned(part, need));
        Summary::merge(&mut shard, merged).unwrap();
        merged = shard;
    }
    assert_eq!(bytes(&merged), bytes(&whole), "shards");
    assert_eq!(merged, whole);

    let mut order: Vec<u32> = (0..array.len() as u32).collect();
    random.shuffle(&mut order);
    let shuffled = arrow::compute::take(array, &UInt32Array::from(order), None).unwrap();
    assert_eq!(bytes(&scanned(&shuffled, need)), bytes(&whole), "order");

    let mut identity = whole.clone();
    identity.merge(ColumnState::new(array.data_type(), need)).unwrap();
    assert_eq!(identity, whole, "identity");
    assert_eq!(reread(&whole), whole, "reading back");
}
