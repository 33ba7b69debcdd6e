//! Count, range, mean and variance of a numeric column, exact until the last rounding. Never looks at nulls: the caller
//! hands over the values that are there.

use num_bigint::{BigInt, BigUint};
use serde::{Deserialize, Serialize};

use super::exact_sum::ExactSum;
use super::kernel::{self, Found, Integer, Tables};
use super::ratio::ratio_to_f64;

/// The first two moments and the range of a multiset of numbers. `default()` is the empty multiset, the identity of
/// [`Moments::merge`]; equal multisets have equal moments, whatever the order they came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Finite values.
    pub count: u64,
    /// Values that are not a number; part of nothing else.
    pub nan: u64,
    /// Values +∞.
    pub pos_inf: u64,
    /// Values −∞.
    pub neg_inf: u64,
    /// Smallest finite value, +∞ when there is none; never −0.0. Of integers: the nearest double.
    pub min: f64,
    /// Largest finite value, −∞ when there is none; never −0.0. Of integers: the nearest double.
    pub max: f64,
    /// Σx over the finite values.
    pub sum: ExactSum,
    /// Σx² over the finite values.
    pub squares: ExactSum,
    /// Whether all finite values are whole numbers.
    pub all_integers: bool,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            count: 0,
            nan: 0,
            pos_inf: 0,
            neg_inf: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: ExactSum::default(),
            squares: ExactSum::default(),
            all_integers: true,
        }
    }
}

fn rows(counts: &[u32]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

impl Moments {
    pub(super) fn update_floats(&mut self, values: &[f64], tables: &mut Tables) {
        let found = tables.floats(values, &mut self.sum, &mut self.squares);
        self.take(values.len() as u64, &found);
    }

    /// Adds each of `values` as often as its count says, in all fewer than 2^32 times.
    pub(super) fn update_counted_floats(&mut self, values: &[f64], counts: &[u32], tables: &mut Tables) {
        let found = tables.counted_floats(values, counts, &mut self.sum, &mut self.squares);
        self.take(rows(counts), &found);
    }

    fn take(&mut self, rows: u64, found: &Found) {
        self.count += rows - found.nan - found.pos_inf - found.neg_inf;
        self.nan += found.nan;
        self.pos_inf += found.pos_inf;
        self.neg_inf += found.neg_inf;
        self.min = self.min.min(found.min);
        self.max = self.max.max(found.max);
        self.all_integers &= found.whole;
    }

    /// The smallest and the largest of `values` come back exactly.
    pub(super) fn update_integers<T: Integer>(&mut self, values: &[T]) -> Option<(T, T)> {
        let (min, max) = kernel::integers(values, &mut self.sum, &mut self.squares)?;
        self.count += values.len() as u64;
        self.min = self.min.min(min.to_f64());
        self.max = self.max.max(max.to_f64());
        Some((min, max))
    }

    /// As [`Moments::update_integers`], each of `values` as often as its count says.
    pub(super) fn update_counted_integers<T: Integer>(&mut self, values: &[T], counts: &[u32]) -> Option<(T, T)> {
        let (min, max) = kernel::counted_integers(values, counts, &mut self.sum, &mut self.squares)?;
        self.count += rows(counts);
        self.min = self.min.min(min.to_f64());
        self.max = self.max.max(max.to_f64());
        Some((min, max))
    }

    /// Adds the values of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.nan += other.nan;
        self.pos_inf += other.pos_inf;
        self.neg_inf += other.neg_inf;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.all_integers &= other.all_integers;
    }

    /// The moments of these values and `times` copies of `value`: of a column whose missing values were filled.
    #[must_use]
    pub fn with_repeated(&self, value: f64, times: u64) -> Self {
        let mut filled = self.clone();
        if times == 0 {
            return filled;
        }
        if value.is_nan() {
            filled.nan += times;
        } else if value == f64::INFINITY {
            filled.pos_inf += times;
        } else if value == f64::NEG_INFINITY {
            filled.neg_inf += times;
        } else {
            filled.count += times;
            filled.min = filled.min.min(value + 0.0);
            filled.max = filled.max.max(value + 0.0);
            filled.sum.add_times(value, times);
            filled.squares.add_square_times(value, times);
            filled.all_integers &= value.trunc() == value;
        }
        filled
    }

    /// Values that are numbers, infinities included.
    pub fn numbers(&self) -> u64 {
        self.count + self.pos_inf + self.neg_inf
    }

    /// Smallest number, infinities included.
    pub fn min(&self) -> Option<f64> {
        let lowest = if self.neg_inf > 0 { f64::NEG_INFINITY } else { self.min };
        (self.numbers() > 0).then_some(lowest)
    }

    /// Largest number, infinities included.
    pub fn max(&self) -> Option<f64> {
        let highest = if self.pos_inf > 0 { f64::INFINITY } else { self.max };
        (self.numbers() > 0).then_some(highest)
    }

    /// Σx, rounded once; infinite or NaN as IEEE 754 has it when infinities are among the values.
    pub fn total(&self) -> f64 {
        self.infinite().unwrap_or_else(|| {
            let (sum, exponent) = self.sum.to_big();
            ratio_to_f64(&sum, exponent, &BigUint::from(1u8))
        })
    }

    /// Σx / n, rounded once; nothing without numbers.
    pub fn mean(&self) -> Option<f64> {
        if self.numbers() == 0 {
            return None;
        }
        Some(self.infinite().unwrap_or_else(|| {
            let (sum, exponent) = self.sum.to_big();
            ratio_to_f64(&sum, exponent, &BigUint::from(self.count))
        }))
    }

    /// (n·Σx² − (Σx)²) / (n·(n − ddof)), exact and rounded once: the textbook formula, safe here because nothing cancels in
    /// integers. Nothing when n ≤ ddof; NaN when infinities are among the values.
    pub fn variance(&self, ddof: u64) -> Option<f64> {
        self.exact_variance(ddof).map(|exact| match exact {
            Some((numerator, exponent, denominator)) => ratio_to_f64(&numerator, exponent, &denominator),
            None => f64::NAN,
        })
    }

    /// The variance as numerator, power of two and denominator; inside, nothing when infinities are among the values.
    fn exact_variance(&self, ddof: u64) -> Option<Option<(BigInt, i32, BigUint)>> {
        let count = self.numbers();
        if count <= ddof {
            return None;
        }
        if self.infinite().is_some() {
            return Some(None);
        }
        let (sum, sum_exponent) = self.sum.to_big();
        let (squares, squares_exponent) = self.squares.to_big();
        let exponent = squares_exponent.min(2 * sum_exponent);
        let first = (squares * BigInt::from(count)) << (squares_exponent - exponent) as u32;
        let second = (&sum * &sum) << (2 * sum_exponent - exponent) as u32;
        let denominator = BigUint::from(count) * BigUint::from(count - ddof);
        Some(Some((first - second, exponent, denominator)))
    }

    /// Square root of the variance, also where the variance itself is beyond the range of a double.
    pub fn std(&self, ddof: u64) -> Option<f64> {
        let Some((numerator, exponent, denominator)) = self.exact_variance(ddof)? else { return Some(f64::NAN) };
        // The root is taken of a ratio near 1 and scaled back in two steps, of which neither leaves the range alone.
        let half = ((numerator.bits() as i64 - denominator.bits() as i64 + i64::from(exponent)) / 2) as i32;
        let root = ratio_to_f64(&numerator, exponent - 2 * half, &denominator).sqrt();
        Some(root * 2f64.powi(half / 2) * 2f64.powi(half - half / 2))
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.sum.heap_bytes() + self.squares.heap_bytes()
    }

    /// The sum, when infinities decide it.
    fn infinite(&self) -> Option<f64> {
        match (self.pos_inf > 0, self.neg_inf > 0) {
            (false, false) => None,
            (true, false) => Some(f64::INFINITY),
            (false, true) => Some(f64::NEG_INFINITY),
            (true, true) => Some(f64::NAN),
        }
    }
}
