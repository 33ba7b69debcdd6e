//! Sums of doubles without rounding, in any order. Never rounds: that is [`super::ratio`]'s job, once, at the end.
//!
//! A superaccumulator in the sense of Kulisch: one long fixed-point number wide enough for every double, for the square
//! of every double, and for 2^64 terms of either. Adding is integer addition, hence associative and commutative: a sum
//! depends on the multiset of its terms only, not on shards, batches, threads or order.

use num_bigint::BigInt;
use serde::{Deserialize, Serialize};

/// Exponent of bit 0 of limb 0: the multiple of 64 at or below 2^-2148, the square of the smallest double.
const BASE: i32 = -2176;

/// Smallest exponent that can be added: that of the square of the smallest double.
const LOWEST: i32 = -2148;

/// An exact sum of multiples of powers of two, from 2^-2148 up, that keeps only the limbs that are in use.
///
/// Two's complement, least significant limb first, limb `i` of the vector weighing 2^(64·(offset+i) − 2176).
/// The form is canonical (no redundant limb at either end), so that equal sums are equal bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ExactSum {
    offset: u16,
    limbs: Vec<u64>,
}

/// Limbs that no sum reaches: 2^64 squares of the largest double take 4288 bits and a sign.
const MOST_LIMBS: usize = 128;

/// A sum as it is stored, before it is known to be one.
#[derive(Deserialize)]
struct Stored {
    offset: u16,
    limbs: Vec<u64>,
}

impl TryFrom<Stored> for ExactSum {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { offset, limbs } = stored;
        if usize::from(offset) + limbs.len() > MOST_LIMBS {
            return Err("a sum that is too long");
        }
        let sum = Self { offset, limbs };
        let mut canonical = sum.clone();
        canonical.trim();
        if canonical == sum { Ok(sum) } else { Err("a sum that is not in its shortest form") }
    }
}

impl ExactSum {
    /// Whether the sum is zero.
    pub fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// Whether the sum is below zero.
    pub fn is_negative(&self) -> bool {
        self.extension() != 0
    }

    /// Adds `multiple` · 2^`exponent`, for exponents from −2148.
    pub fn add_i128(&mut self, multiple: i128, exponent: i32) {
        let sign = (multiple >> 127) as u64;
        self.add_wide([multiple as u64, (multiple >> 64) as u64, sign, sign], exponent);
    }

    /// Adds `multiple` · 2^`exponent`, for exponents from −2148.
    pub fn add_u128(&mut self, multiple: u128, exponent: i32) {
        self.add_wide([multiple as u64, (multiple >> 64) as u64, 0, 0], exponent);
    }

    /// Adds `times` copies of a finite `value`; infinities and NaN are the caller's to count, and add nothing here.
    pub fn add_times(&mut self, value: f64, times: u64) {
        if !value.is_finite() {
            return;
        }
        let (mantissa, exponent) = decode(value);
        let product = i128::from(mantissa) * i128::from(times);
        self.add_i128(if value.is_sign_negative() { -product } else { product }, exponent);
    }

    /// Adds `times` copies of the square of a finite `value`; infinities and NaN add nothing.
    pub fn add_square_times(&mut self, value: f64, times: u64) {
        if !value.is_finite() {
            return;
        }
        let (mantissa, exponent) = decode(value);
        let square = u128::from(mantissa) * u128::from(mantissa);
        self.add_u128(u128::from(square as u64) * u128::from(times), 2 * exponent);
        self.add_u128((square >> 64) * u128::from(times), 2 * exponent + 64);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        if other.is_zero() {
            return;
        }
        let from = usize::from(other.offset);
        self.cover(from, from + other.limbs.len());
        self.add_at(&other.limbs, other.extension(), from);
        self.trim();
    }

    /// The sum as `integer` · 2^`exponent`.
    pub fn to_big(&self) -> (BigInt, i32) {
        let bytes: Vec<u8> = self.limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        (BigInt::from_signed_bytes_le(&bytes), i32::from(self.offset) * 64 + BASE)
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.limbs.capacity() * size_of::<u64>()
    }

    /// Adds a 256-bit two's complement number whose top 64 bits are sign only.
    fn add_wide(&mut self, wide: [u64; 4], exponent: i32) {
        if wide == [0; 4] {
            return;
        }
        debug_assert!(exponent >= LOWEST, "exponent {exponent} is below the accumulator");
        let position = (exponent - BASE) as usize;
        let (limb, shift) = (position / 64, position % 64);
        let mut shifted = wide;
        if shift != 0 {
            shifted = [
                wide[0] << shift,
                wide[1] << shift | wide[0] >> (64 - shift),
                wide[2] << shift | wide[1] >> (64 - shift),
                wide[3] << shift | wide[2] >> (64 - shift),
            ];
        }
        self.cover(limb, limb + 4);
        self.add_at(&shifted, ((shifted[3] as i64) >> 63) as u64, limb);
        self.trim();
    }

    /// All ones when the number is negative, else zero: the limb that repeats forever above the top.
    fn extension(&self) -> u64 {
        self.limbs.last().map_or(0, |top| ((*top as i64) >> 63) as u64)
    }

    /// Grows to hold the limbs `from..to` and one more for the carry.
    fn cover(&mut self, from: usize, to: usize) {
        let extension = self.extension();
        if self.limbs.is_empty() {
            self.offset = from as u16;
        }
        let offset = usize::from(self.offset);
        if from < offset {
            self.limbs.splice(0..0, std::iter::repeat_n(0, offset - from));
            self.offset = from as u16;
        }
        let end = (usize::from(self.offset) + self.limbs.len()).max(to) + 1;
        self.limbs.resize(end - usize::from(self.offset), extension);
    }

    /// Adds limbs at absolute limb `from`, sign-extended to the top; the range is covered.
    fn add_at(&mut self, addend: &[u64], extension: u64, from: usize) {
        let start = from - usize::from(self.offset);
        let mut carry = false;
        let addend = addend.iter().copied().chain(std::iter::repeat(extension));
        for (limb, more) in self.limbs[start..].iter_mut().zip(addend) {
            let (partial, first) = limb.overflowing_add(more);
            let (total, second) = partial.overflowing_add(u64::from(carry));
            *limb = total;
            carry = first | second;
        }
    }

    /// Restores the canonical form: no zero limb at the bottom, no pure sign extension at the top.
    fn trim(&mut self) {
        while let [.., below, top] = self.limbs[..]
            && top == ((below as i64) >> 63) as u64
        {
            self.limbs.pop();
        }
        let zeros = self.limbs.iter().take_while(|limb| **limb == 0).count();
        if zeros == self.limbs.len() {
            self.limbs.clear();
            self.offset = 0;
        } else if zeros > 0 {
            self.limbs.drain(..zeros);
            self.offset += zeros as u16;
        }
    }
}

/// |value| of a finite double as `mantissa` · 2^`exponent`.
fn decode(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let field = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    if field == 0 { (fraction, -1074) } else { (fraction | 1 << 52, field - 1075) }
}
