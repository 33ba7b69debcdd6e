//! Numbers of a column as 64-bit keys that keep their order, and the distinct-count key that all numeric types share.

use serde::{Deserialize, Serialize};

/// Whole numbers up to here, of either sign, are doubles exactly: 2^53.
pub const EXACT_INTEGER: u64 = 1 << 53;

const SIGN: u64 = 1 << 63;

/// How a numeric column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberKind {
    /// Signed integers of up to 64 bits.
    Int,
    /// Unsigned integers of up to 64 bits.
    UInt,
    /// Floats of 16, 32 or 64 bits, and decimals.
    Float,
}

/// A number of a column, without loss.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Number {
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A double; never NaN, never −0.0.
    Float(f64),
}

impl Number {
    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::UInt(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The 64-bit key: keys of one kind are ordered as the numbers are. −0.0 has the key of 0.0.
    pub fn key(self) -> u64 {
        match self {
            Self::Int(value) => int_key(value),
            Self::UInt(value) => value,
            Self::Float(value) => float_key(value),
        }
    }

    /// The number of a key of this kind.
    pub fn of_key(kind: NumberKind, key: u64) -> Self {
        match kind {
            NumberKind::Int => Self::Int((key ^ SIGN) as i64),
            NumberKind::UInt => Self::UInt(key),
            NumberKind::Float => Self::Float(f64::from_bits(if key & SIGN != 0 { key ^ SIGN } else { !key })),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::UInt(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
        }
    }
}

/// Whether these counts are together at most so many; those of damaged records may be anything.
pub(super) fn sum_is_at_most(most: u64, counts: impl IntoIterator<Item = u64>) -> bool {
    counts.into_iter().try_fold(0_u64, u64::checked_add).is_some_and(|sum| sum <= most)
}

/// Values between two looks at whether one did not fit.
const BLOCK: usize = 1024;

/// Whether a float of 32 bits is this number exactly; NaN is one in 32 bits too.
#[inline(always)]
pub(crate) fn fits_f32(value: f64) -> bool {
    f64::from(value as f32) == value || value.is_nan()
}

/// As [`fits_f32`], of all values.
pub(crate) fn all_fit_f32(values: &[f64]) -> bool {
    values.chunks(BLOCK).all(|block| block.iter().fold(true, |all, value| all & fits_f32(*value)))
}

#[inline(always)]
pub(super) fn int_key(value: i64) -> u64 {
    value as u64 ^ SIGN
}

#[inline(always)]
pub(super) fn float_key(value: f64) -> u64 {
    // Adding zero turns −0.0 into 0.0.
    let bits = (value + 0.0).to_bits();
    if bits & SIGN != 0 { !bits } else { bits | SIGN }
}

/// The distinct-count key of a double: its bits, with one zero.
#[inline(always)]
pub(super) fn float_identity(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

/// The distinct-count key of a signed integer: up to 2^53 that of the equal double, so that integer and float shards of one
/// column can be counted together. Beyond, its own bits; where these are the bits of such a double, the two swap places,
/// which keeps the mapping one to one.
#[inline(always)]
pub(super) fn int_identity(value: i64) -> u64 {
    if value.unsigned_abs() <= EXACT_INTEGER {
        return (value as f64).to_bits();
    }
    let double = f64::from_bits(value as u64);
    // The first test fails for nearly all bits, the second for half of them: in this order there is little to mispredict.
    if (double as i64) as f64 == double && double.abs() <= EXACT_INTEGER as f64 && value as u64 != SIGN {
        return double as i64 as u64;
    }
    value as u64
}

/// As [`int_identity`], for unsigned integers.
#[inline(always)]
pub(super) fn uint_identity(value: u64) -> u64 {
    if value <= EXACT_INTEGER {
        return (value as f64).to_bits();
    }
    let double = f64::from_bits(value);
    if (double as u64) as f64 == double && (0.0..=EXACT_INTEGER as f64).contains(&double) && value != SIGN {
        return double as u64;
    }
    value
}
