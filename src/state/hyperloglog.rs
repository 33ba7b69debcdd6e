//! The number of distinct values from their hashes, in 4 KiB: HyperLogLog (Flajolet et al., 2007), estimated with
//! O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (arXiv:1702.01284), algorithm 6.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bits of a hash that choose a register: a standard error of 1.04 / √4096 = 1.6 %.
const PRECISION: u32 = 12;

/// Number of registers.
const REGISTERS: usize = 1 << PRECISION;

/// Bits of a hash that are left for the rank.
const RANK_BITS: u32 = 64 - PRECISION;

/// A sketch of a set of 64-bit hashes. It depends on the set only; `default()` is the empty set.
#[derive(Clone, PartialEq, Eq)]
pub struct HyperLogLog {
    registers: Box<[u8; REGISTERS]>,
}

impl Default for HyperLogLog {
    fn default() -> Self {
        Self { registers: Box::new([0; REGISTERS]) }
    }
}

impl std::fmt::Debug for HyperLogLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HyperLogLog(~{})", self.estimate())
    }
}

impl HyperLogLog {
    /// Adds a well-mixed 64-bit hash.
    #[inline(always)]
    pub fn insert(&mut self, hash: u64) {
        let register = &mut self.registers[(hash >> RANK_BITS) as usize];
        // Trailing zeros of the other bits: on x86-64 cheaper than leading ones. The bit above them bounds the rank.
        let rank = (hash | 1 << RANK_BITS).trailing_zeros() as u8 + 1;
        // Without a branch: while a sketch is young, nobody can predict which values raise a register.
        *register = rank.max(*register);
    }

    /// Adds the set of another sketch.
    pub fn merge(&mut self, other: &Self) {
        for (register, more) in self.registers.iter_mut().zip(other.registers.iter()) {
            *register = (*register).max(*more);
        }
    }

    /// The estimated size of the set. Improved raw estimator: α∞ m² / (m·σ(C₀/m) + Σ C_k 2^−k + m·τ(1 − C_{q+1}/m) 2^−q),
    /// with C_k the number of registers of value k, q = 52 and α∞ = 1 / (2 ln 2); no bias table, no range switch.
    pub fn estimate(&self) -> u64 {
        let mut histogram = [0u32; RANK_BITS as usize + 2];
        for register in self.registers.iter() {
            histogram[usize::from(*register)] += 1;
        }
        let m = REGISTERS as f64;
        let q = RANK_BITS as usize;
        let mut z = m * tau(1.0 - f64::from(histogram[q + 1]) / m);
        for k in (1..=q).rev() {
            z = 0.5 * (z + f64::from(histogram[k]));
        }
        z += m * sigma(f64::from(histogram[0]) / m);
        (m * m / (2.0 * std::f64::consts::LN_2) / z).round() as u64
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        REGISTERS
    }
}

/// σ(x) = x + Σ x^(2^k) 2^(k−1), of the share of empty registers.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// τ(x) = (1 − x − Σ (1 − x^(2^−k))² 2^−k) / 3, of the share of registers that are not full.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// The stored form: registers lie within a few of the smallest, so four bits each above it hold nearly all.
#[derive(Serialize, Deserialize)]
struct Packed {
    lowest: u8,
    /// Two registers a byte, the earlier in the low half; 15 means 15 or more.
    nibbles: Vec<u8>,
    /// The registers 15 or more above the lowest, in order of their position.
    high: Vec<(u16, u8)>,
}

impl Serialize for HyperLogLog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lowest = self.registers.iter().copied().min().unwrap_or(0);
        let nibble = |register: u8| (register - lowest).min(15);
        let (pairs, _) = self.registers.as_chunks::<2>();
        let nibbles = pairs.iter().map(|[even, odd]| nibble(*even) | nibble(*odd) << 4).collect();
        let positions = self.registers.iter().enumerate();
        let high = positions.filter(|(_, r)| **r - lowest >= 15).map(|(at, r)| (at as u16, *r)).collect();
        Packed { lowest, nibbles, high }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HyperLogLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let packed = Packed::deserialize(deserializer)?;
        let top = RANK_BITS as u8 + 1;
        if packed.nibbles.len() != REGISTERS / 2 || packed.lowest > top {
            return Err(de::Error::custom("a HyperLogLog sketch of another shape"));
        }
        let mut sketch = Self::default();
        for (at, register) in sketch.registers.iter_mut().enumerate() {
            *register = (packed.lowest + (packed.nibbles[at / 2] >> (4 * (at % 2)) & 15)).min(top);
        }
        for (at, register) in packed.high {
            let place = sketch.registers.get_mut(usize::from(at));
            *place.ok_or_else(|| de::Error::custom("a HyperLogLog register out of range"))? = register.min(top);
        }
        Ok(sketch)
    }
}
