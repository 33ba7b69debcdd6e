//! The inner loops of the exact moments: slices in, exact partial sums out. Never allocates, never rounds.
//!
//! A finite double is ±m·2^e with m < 2^53. The sums Σm and Σm² of the values of one sign and one exponent fit in 128 bits
//! for up to 2^21 values, so a table indexed by the top 12 bits of a double takes values with two integer additions each,
//! and is folded into the long accumulators once a batch.
//! Whole numbers below 2^20 do not even need the table: their sums of squares over a block are exact in doubles.

use super::exact_sum::ExactSum;

/// Values per block: small enough to stay in the first cache between the loops over it.
const BLOCK: usize = 2048;

/// Values between two folds, below the 2^21 at which a table entry could overflow.
const FOLD: usize = 1 << 20;

/// Largest whole number for which a block's sum of squares stays below 2^53: 2^20 squared, times 2^11.
const SMALL_WHOLE: f64 = (1 << 20) as f64;

/// Doubles from here on are all whole numbers, and `(x + c) − c` below rounds exactly up to here.
const ROUNDABLE: f64 = (1u64 << 51) as f64;

/// Adding and subtracting it rounds to whole numbers: 1.5 · 2^52.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Values handled side by side: as many as the accumulators of the survey find registers for.
const LANES: usize = 4;

/// Sums over the doubles of one sign and one exponent field, in units of their last place.
#[derive(Clone, Copy, Default)]
struct Entry {
    sum: u128,
    squares: u128,
}

type Table = [Entry; 4096];

/// Scratch tables of the kernel: all zero between calls. Worth keeping for many calls.
pub(super) struct Tables {
    /// Two, taken alternately: consecutive values of one exponent would wait for each other's store.
    pair: Box<[Table; 2]>,
}

/// What one call of the kernel found besides the sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub nan: u64,
    pub pos_inf: u64,
    pub neg_inf: u64,
    /// Over the finite values; infinite the wrong way round when there are none.
    pub min: f64,
    pub max: f64,
    /// Smallest finite magnitude above zero, or infinity.
    pub smallest: f64,
    /// Whether all finite values are whole numbers.
    pub whole: bool,
}

impl Found {
    const NOTHING: Self = Self {
        nan: 0,
        pos_inf: 0,
        neg_inf: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        smallest: f64::INFINITY,
        whole: true,
    };

    fn special(&self) -> u64 {
        self.nan + self.pos_inf + self.neg_inf
    }

    fn largest(&self) -> f64 {
        self.max.max(-self.min)
    }

    /// What was found in `block` once, found as often as its counts say.
    fn weighted(mut self, block: &[f64], counts: &[u32]) -> Self {
        if self.special() > 0 {
            let rows = |is: fn(f64) -> bool| {
                let special = block.iter().zip(counts).filter(|(value, _)| is(**value));
                special.map(|(_, count)| u64::from(*count)).sum()
            };
            self.nan = rows(f64::is_nan);
            self.pos_inf = rows(|value| value == f64::INFINITY);
            self.neg_inf = rows(|value| value == f64::NEG_INFINITY);
        }
        self
    }

    fn join(&mut self, other: &Self) {
        self.nan += other.nan;
        self.pos_inf += other.pos_inf;
        self.neg_inf += other.neg_inf;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.smallest = self.smallest.min(other.smallest);
        self.whole &= other.whole;
    }
}

impl Tables {
    pub(super) fn new() -> Self {
        let pair = vec![[Entry::default(); 4096]; 2].into_boxed_slice();
        // The slice has two elements by construction.
        let pair = pair.try_into().unwrap_or_else(|_| unreachable!());
        Self { pair }
    }

    /// Adds the finite values to the two sums, and reports the rest.
    pub(super) fn floats(&mut self, values: &[f64], sum: &mut ExactSum, squares: &mut ExactSum) -> Found {
        let mut found = Found::NOTHING;
        for part in values.chunks(FOLD) {
            let mut tabled = Found::NOTHING;
            let (mut whole_sum, mut whole_squares) = (0i64, 0i128);
            for block in part.chunks(BLOCK) {
                let survey = survey(block);
                found.join(&survey);
                if survey.whole && survey.special() == 0 && survey.largest() <= SMALL_WHOLE {
                    let (block_sum, block_squares) = small_whole_sums(block);
                    whole_sum += block_sum as i64;
                    whole_squares += block_squares as i128;
                } else {
                    tabled.join(&survey);
                    self.take(block);
                }
            }
            sum.add_i128(i128::from(whole_sum), 0);
            squares.add_i128(whole_squares, 0);
            self.fold(&tabled, sum, squares);
        }
        found
    }

    fn take(&mut self, block: &[f64]) {
        let [even, odd] = &mut *self.pair;
        let (pairs, last) = block.as_chunks::<2>();
        for &[first, second] in pairs {
            take_one(even, first);
            take_one(odd, second);
        }
        for &value in last {
            take_one(even, value);
        }
    }

    /// As [`Tables::floats`], each value as often as its count says: in all fewer than 2^32 times.
    pub(super) fn counted_floats(
        &mut self,
        values: &[f64],
        counts: &[u32],
        sum: &mut ExactSum,
        squares: &mut ExactSum,
    ) -> Found {
        let mut found = Found::NOTHING;
        let mut tabled = Found::NOTHING;
        let (mut whole_sum, mut whole_squares) = (0i64, 0u128);
        let mut since_fold = 0;
        for (block, counts) in values.chunks(BLOCK).zip(counts.chunks(BLOCK)) {
            let survey = survey(block).weighted(block, counts);
            found.join(&survey);
            let rows: u64 = counts.iter().map(|count| u64::from(*count)).sum();
            if rows > FOLD as u64 {
                // So many rows pay for sums the slow way.
                block.iter().zip(counts).for_each(|(value, count)| {
                    sum.add_times(*value, u64::from(*count));
                    squares.add_square_times(*value, u64::from(*count));
                });
            } else if survey.whole && survey.special() == 0 && survey.largest() <= SMALL_WHOLE {
                let (block_sum, block_squares) = counted_small_whole_sums(block, counts);
                whole_sum += block_sum;
                whole_squares += u128::from(block_squares);
            } else {
                if since_fold + rows > FOLD as u64 {
                    self.fold(&tabled, sum, squares);
                    (tabled, since_fold) = (Found::NOTHING, 0);
                }
                since_fold += rows;
                tabled.join(&survey);
                self.take_counted(block, counts);
            }
        }
        sum.add_i128(i128::from(whole_sum), 0);
        squares.add_u128(whole_squares, 0);
        self.fold(&tabled, sum, squares);
        found
    }

    fn take_counted(&mut self, block: &[f64], counts: &[u32]) {
        let [even, odd] = &mut *self.pair;
        let (pairs, last) = block.as_chunks::<2>();
        let (count_pairs, last_counts) = counts.as_chunks::<2>();
        for (&[first, second], &[first_count, second_count]) in pairs.iter().zip(count_pairs) {
            take_times(even, first, first_count);
            take_times(odd, second, second_count);
        }
        for (&value, &count) in last.iter().zip(last_counts) {
            take_times(even, value, count);
        }
    }

    /// Moves the entries of the exponents in `tabled` to the sums, and clears what infinities and NaN left.
    fn fold(&mut self, tabled: &Found, sum: &mut ExactSum, squares: &mut ExactSum) {
        let [even, odd] = &mut *self.pair;
        if tabled.smallest <= tabled.largest() {
            let field = |magnitude: f64| (magnitude.to_bits() >> 52) as usize;
            for exponent in field(tabled.smallest)..=field(tabled.largest()) {
                let (plus, minus) = (exponent, exponent | 0x800);
                let square = even[plus].squares + even[minus].squares + odd[plus].squares + odd[minus].squares;
                if square == 0 {
                    continue;
                }
                let signed = (even[plus].sum + odd[plus].sum) as i128 - (even[minus].sum + odd[minus].sum) as i128;
                // Subnormals share the scale of the smallest normals.
                let scale = exponent.max(1) as i32 - 1075;
                sum.add_i128(signed, scale);
                squares.add_u128(square, 2 * scale);
                for index in [plus, minus] {
                    even[index] = Entry::default();
                    odd[index] = Entry::default();
                }
            }
        }
        if tabled.special() > 0 {
            for index in [0x7ff, 0xfff] {
                even[index] = Entry::default();
                odd[index] = Entry::default();
            }
        }
    }
}

#[inline(always)]
fn take_one(table: &mut Table, value: f64) {
    let bits = value.to_bits();
    let index = (bits >> 52) as usize;
    let mantissa = bits & ((1 << 52) - 1) | u64::from(index & 0x7ff != 0) << 52;
    let entry = &mut table[index];
    entry.sum = entry.sum.wrapping_add(u128::from(mantissa));
    entry.squares = entry.squares.wrapping_add(u128::from(mantissa) * u128::from(mantissa));
}

/// `times` up to [`FOLD`], since the last fold in all.
#[inline(always)]
fn take_times(table: &mut Table, value: f64, times: u32) {
    let bits = value.to_bits();
    let index = (bits >> 52) as usize;
    let mantissa = u128::from(bits & ((1 << 52) - 1) | u64::from(index & 0x7ff != 0) << 52);
    let entry = &mut table[index];
    entry.sum = entry.sum.wrapping_add(mantissa * u128::from(times));
    entry.squares = entry.squares.wrapping_add((mantissa * mantissa).wrapping_mul(u128::from(times)));
}

/// Range, specials and wholeness of a block. Written by lanes, because the compiler may not reorder float comparisons.
fn survey(block: &[f64]) -> Found {
    let whole = |value: &f64| (value + ROUNDER) - ROUNDER == *value || value.is_nan() || value.abs() >= ROUNDABLE;
    // One value with a fraction, and nobody need look at the others.
    if block.iter().take(LANES).all(whole) { survey_by_lanes::<true>(block) } else { survey_by_lanes::<false>(block) }
}

/// The block is known not to be all whole numbers unless `MAYBE_WHOLE`.
fn survey_by_lanes<const MAYBE_WHOLE: bool>(block: &[f64]) -> Found {
    let (mut min, mut max) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    let mut smallest = [f64::INFINITY; LANES];
    let (mut nan, mut broken) = ([0u64; LANES], [0u64; LANES]);
    let (chunks, rest) = block.as_chunks::<LANES>();
    // Padding with the first value of the rest changes no minimum or maximum; its counts are taken back below.
    let mut tail = [rest.first().copied().unwrap_or(0.0); LANES];
    tail[..rest.len()].copy_from_slice(rest);
    let tail = if rest.is_empty() { &[][..] } else { std::slice::from_ref(&tail) };
    for chunk in chunks.iter().chain(tail) {
        for lane in 0..LANES {
            let value = chunk[lane];
            let magnitude = if value != 0.0 { value.abs() } else { f64::INFINITY };
            min[lane] = if value < min[lane] { value } else { min[lane] };
            max[lane] = if value > max[lane] { value } else { max[lane] };
            smallest[lane] = if magnitude < smallest[lane] { magnitude } else { smallest[lane] };
            nan[lane] += u64::from(value.is_nan());
            if MAYBE_WHOLE {
                broken[lane] += u64::from((value + ROUNDER) - ROUNDER != value);
            }
        }
    }
    let least = |lanes: [f64; LANES]| lanes.into_iter().fold(f64::INFINITY, f64::min);
    // Adding zero turns −0.0 into 0.0, so that the order of the two cannot show.
    let (min, max) = (least(min) + 0.0, -least(max.map(|value| -value)) + 0.0);
    let mut nan: u64 = nan.iter().sum();
    let mut broken: u64 = broken.iter().sum();
    if let [first, ..] = rest {
        let padding = (LANES - rest.len()) as u64;
        nan -= if first.is_nan() { padding } else { 0 };
        broken -= if !MAYBE_WHOLE || (first + ROUNDER) - ROUNDER == *first { 0 } else { padding };
    }
    if min == f64::NEG_INFINITY || max == f64::INFINITY || max >= ROUNDABLE || min <= -ROUNDABLE {
        return survey_slowly(block);
    }
    Found { nan, pos_inf: 0, neg_inf: 0, min, max, smallest: least(smallest), whole: MAYBE_WHOLE && broken == nan }
}

/// As [`survey`], for blocks with infinities or large values: the definition, value by value.
fn survey_slowly(block: &[f64]) -> Found {
    let mut found = Found::NOTHING;
    for &value in block {
        if value.is_nan() {
            found.nan += 1;
        } else if value == f64::INFINITY {
            found.pos_inf += 1;
        } else if value == f64::NEG_INFINITY {
            found.neg_inf += 1;
        } else {
            found.min = found.min.min(value + 0.0);
            found.max = found.max.max(value + 0.0);
            found.smallest = if value != 0.0 { found.smallest.min(value.abs()) } else { found.smallest };
            found.whole &= value.trunc() == value;
        }
    }
    found
}

/// Σx and Σx² of a block of whole numbers up to 2^20: every partial sum is below 2^53, hence exact.
fn small_whole_sums(block: &[f64]) -> (f64, f64) {
    let (mut sum, mut squares) = ([0.0; LANES], [0.0; LANES]);
    let (chunks, rest) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            sum[lane] += chunk[lane];
            squares[lane] += chunk[lane] * chunk[lane];
        }
    }
    let rest_sum: f64 = rest.iter().sum();
    let rest_squares: f64 = rest.iter().map(|value| value * value).sum();
    (sum.iter().sum::<f64>() + rest_sum, squares.iter().sum::<f64>() + rest_squares)
}

/// As [`small_whole_sums`], with up to 2^20 rows in all: the sums stay below 2^60.
fn counted_small_whole_sums(block: &[f64], counts: &[u32]) -> (i64, u64) {
    block.iter().zip(counts).fold((0, 0), |(sum, squares), (value, count)| {
        // At most 2^20, as the survey found: one instruction where 64 bits take several.
        let (value, count) = (i64::from(*value as i32), i64::from(*count));
        (sum + value * count, squares + (value * value * count) as u64)
    })
}

/// A 64-bit integer type of a column.
pub(super) trait Integer: Copy + Ord + Into<i128> {
    /// The magnitude, which fits in 64 bits for both signed and unsigned integers.
    fn magnitude(self) -> u64;
    /// The nearest double.
    fn to_f64(self) -> f64;
    /// The low 64 bits as a signed integer; equal to the number when its magnitude is below 2^63.
    fn to_i64(self) -> i64;
}

impl Integer for i64 {
    fn magnitude(self) -> u64 {
        self.unsigned_abs()
    }
    fn to_f64(self) -> f64 {
        self as f64
    }
    fn to_i64(self) -> i64 {
        self
    }
}

impl Integer for u64 {
    fn magnitude(self) -> u64 {
        self
    }
    fn to_f64(self) -> f64 {
        self as f64
    }
    fn to_i64(self) -> i64 {
        self as i64
    }
}

/// Adds integers to the two sums; the smallest and the largest, or nothing for an empty slice.
pub(super) fn integers<T: Integer>(values: &[T], sum: &mut ExactSum, squares: &mut ExactSum) -> Option<(T, T)> {
    let first = *values.first()?;
    let (mut min, mut max) = (first, first);
    let mut total = 0i128;
    // Σx² of 2^64 values below 2^64 takes 192 bits: 128 and a count of the carries.
    let (mut square_total, mut carries) = (0u128, 0u64);
    let mut add_squares = |more: u128| {
        let (wrapped, carry) = square_total.overflowing_add(more);
        square_total = wrapped;
        carries += u64::from(carry);
    };
    for block in values.chunks(BLOCK) {
        let (mut low, mut high) = (block[0], block[0]);
        for &value in block {
            low = low.min(value);
            high = high.max(value);
        }
        min = min.min(low);
        max = max.max(high);
        if low.magnitude().max(high.magnitude()) < 1 << 24 {
            let (mut block_sum, mut block_squares) = (0i64, 0u64);
            for &value in block {
                let magnitude = u64::from(value.magnitude() as u32);
                block_sum += value.to_i64();
                block_squares += magnitude * magnitude;
            }
            total += i128::from(block_sum);
            add_squares(u128::from(block_squares));
        } else {
            for &value in block {
                let magnitude = u128::from(value.magnitude());
                total += value.into();
                add_squares(magnitude * magnitude);
            }
        }
    }
    sum.add_i128(total, 0);
    squares.add_u128(square_total, 0);
    squares.add_u128(u128::from(carries), 128);
    Some((min, max))
}

/// As [`integers`], each value as often as its count says: in all fewer than 2^32 times.
pub(super) fn counted_integers<T: Integer>(
    values: &[T],
    counts: &[u32],
    sum: &mut ExactSum,
    squares: &mut ExactSum,
) -> Option<(T, T)> {
    let first = *values.first()?;
    let (mut min, mut max) = (first, first);
    // The halves of the squares apart, so that 2^32 of them need no carries.
    let (mut total, mut low, mut high) = (0i128, 0u128, 0u128);
    for (&value, &count) in values.iter().zip(counts) {
        (min, max) = (min.min(value), max.max(value));
        let magnitude = u128::from(value.magnitude());
        let square = magnitude * magnitude;
        total += value.into() * i128::from(count);
        low += u128::from(square as u64) * u128::from(count);
        high += (square >> 64) * u128::from(count);
    }
    sum.add_i128(total, 0);
    squares.add_u128(low, 0);
    squares.add_u128(high, 64);
    Some((min, max))
}
