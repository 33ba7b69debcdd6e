//! Decimal numbers of text, exactly: two readers of one language. [`number`] says what a number is; [`short`] reads what
//! numbers mostly look like, all digits at once, and leaves the rest to it.

use super::words::{self, ZEROS, eight_digits, first_bytes, repeat, word_at, zero_bytes};

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// Digits only, within 64 bits.
    Integer(i64),
    /// With a point or an exponent, or infinite.
    Float(f64),
}

impl Number {
    /// The number, if it was written as an integer.
    pub(super) fn integer(self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(value),
            Self::Float(_) => None,
        }
    }

    /// The number as a float, or nothing where that would round an integer.
    pub(super) fn exact_float(self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(value),
            Self::Integer(value) if value.unsigned_abs() <= 1 << 53 => Some(value as f64),
            // Through 128 bits: a cast back to 64 saturates, and would call 2^63 - 1 exact.
            Self::Integer(value) => (i128::from(value) == (value as f64) as i128).then_some(value as f64),
        }
    }
}

/// Powers of ten that a float64 holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A decimal number: sign, digits, point, exponent, or a word for infinity; spaces around it are passed over.
/// Leading zeros, digits beyond 64 bits without a point, and a magnitude beyond float64's are no numbers: text keeps
/// them as they are.
pub(super) fn number(field: &[u8]) -> Option<Number> {
    let (negative, digits) = signed(field);
    let mut mantissa = 0_u64;
    let whole = take_digits(digits, &mut mantissa);
    if whole > 1 && digits[0] == b'0' {
        return None;
    }
    if whole == digits.len() {
        return integer(negative, mantissa, whole).map(Number::Integer);
    }
    let mut at = whole;
    let mut places = 0;
    if digits[at] == b'.' {
        places = take_digits(&digits[at + 1..], &mut mantissa);
        at += 1 + places;
    }
    if whole + places == 0 {
        return infinity(negative, digits).map(Number::Float);
    }
    let mut exponent = 0_i32;
    if let Some(b'e' | b'E') = digits.get(at) {
        let (down, power) = match digits.get(at + 1) {
            Some(b'-') => (true, &digits[at + 2..]),
            Some(b'+') => (false, &digits[at + 2..]),
            _ => (false, &digits[at + 1..]),
        };
        let mut size = 0;
        let length = take_digits(power, &mut size);
        if length == 0 {
            return None;
        }
        let size = if length > 9 { i32::MAX / 2 } else { size as i32 };
        exponent = if down { -size } else { size };
        at = digits.len() - power.len() + length;
    }
    if at != digits.len() {
        return None;
    }
    let magnitude = decimal(mantissa, whole + places, exponent.saturating_sub(places as i32), digits)?;
    Some(Number::Float(if negative { -magnitude } else { magnitude }))
}

/// What a field of at most eight bytes says, if it is digits with at most one point among them and a minus before them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Short {
    mantissa: u64,
    places: u32,
    negative: bool,
    pointed: bool,
    /// Whether the field has any bytes: without, it is missing.
    pub(super) present: bool,
}

/// Reads a field of `length` bytes, at most eight, at the start of `word`; the bytes behind them are of no account.
/// Nothing when it is none of this form: [`number`] may know it. What comes is the same in every step, whatever the
/// digits, so that a column of short and empty fields is read without a mispredicted branch.
#[inline]
pub(super) fn short(word: u64, length: u32) -> Option<Short> {
    let field = word & first_bytes(length);
    let negative = field as u8 == b'-';
    let (field, length) = (field >> (8 * u32::from(negative)), length - u32::from(negative));
    // A field without a point has one behind it, so to speak.
    let points = zero_bytes(field ^ repeat(b'.'));
    let whole = (points | 0x80_u64.unbounded_shl(8 * length)).trailing_zeros() / 8;
    let pointed = whole < length;
    let before = first_bytes(whole);
    let digits = (field & before) | ((field >> 8) & !before);
    let count = length - u32::from(pointed);
    let aligned = digits.unbounded_shl(64 - 8 * count) | ZEROS.unbounded_shr(8 * count);
    let mantissa = eight_digits(aligned);
    let leading_zero = whole > 1 && field as u8 == b'0';
    let no_digits = count == 0 && (negative || pointed);
    // Negative zero has a sign as a float only.
    let refused = !words::is_digits(aligned) | leading_zero | no_digits | (negative & (mantissa == 0));
    let places = count - whole;
    (!refused).then_some(Short { mantissa, places, negative, pointed, present: length > 0 })
}

impl Short {
    /// What a field without bytes says.
    pub(super) const MISSING: Self = Self { mantissa: 0, places: 0, negative: false, pointed: false, present: false };

    /// One digit.
    #[inline]
    pub(super) fn digit(byte: u8) -> Option<Self> {
        let mantissa = u64::from(byte.wrapping_sub(b'0'));
        (mantissa < 10).then_some(Self { mantissa, present: true, ..Self::MISSING })
    }

    /// Its value.
    #[inline]
    pub(super) fn float(self) -> f64 {
        // Below 10^8 over a power of ten below 10^8: both exact, so that the division rounds once.
        let value = self.mantissa as f64 / EXACT_POWERS[self.places as usize];
        if self.negative { -value } else { value }
    }

    /// Its value, unless it was written with a point.
    #[inline]
    pub(super) fn integer(self) -> Option<i64> {
        let value = self.mantissa as i64;
        (!self.pointed).then_some(if self.negative { -value } else { value })
    }
}

fn signed(field: &[u8]) -> (bool, &[u8]) {
    match trimmed(field) {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// Appends the digits at the start of `text` to `value`, which wraps beyond 19 of them, and says how many there are.
#[inline]
fn take_digits(text: &[u8], value: &mut u64) -> usize {
    let mut count = 0;
    while let Some(word) = word_at(text, count)
        && words::is_digits(word)
    {
        *value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(word));
        count += 8;
    }
    for byte in &text[count..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    count
}

fn integer(negative: bool, magnitude: u64, digits: usize) -> Option<i64> {
    if digits == 0 || digits > 19 {
        return None;
    }
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

fn infinity(negative: bool, word: &[u8]) -> Option<f64> {
    let infinite = word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity");
    infinite.then_some(if negative { f64::NEG_INFINITY } else { f64::INFINITY })
}

/// `mantissa` × 10^`power`, correctly rounded. Where both factors are exact one operation rounds once (Clinger, PLDI
/// 1990); next a product tells the rounding nearly always; the rest is left to the standard library, which reads `text`
/// again.
#[inline]
fn decimal(mantissa: u64, digits: usize, power: i32, text: &[u8]) -> Option<f64> {
    if digits <= 19 {
        if mantissa <= 1 << 53 && power.unsigned_abs() <= 22 {
            let scale = EXACT_POWERS[power.unsigned_abs() as usize];
            let mantissa = mantissa as f64;
            return Some(if power < 0 { mantissa / scale } else { mantissa * scale });
        }
        if mantissa > 0
            && (-(MOST_PLACES as i32)..0).contains(&power)
            && let Some(value) = quotient(mantissa, power.unsigned_abs() as usize)
        {
            return Some(value);
        }
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// The largest power of five that 64 bits hold.
const MOST_PLACES: usize = 27;

/// For each number of places k, 1 / 5^k as `RECIPROCALS[k]`.0 / 2^`.1`, cut to 64 significant bits.
const RECIPROCALS: [(u64, i32); MOST_PLACES + 1] = {
    let mut table = [(1 << 63, 63); MOST_PLACES + 1];
    let mut five: u128 = 1;
    let mut k = 1;
    while k <= MOST_PLACES {
        five *= 5;
        let shift = 63 + (128 - five.leading_zeros());
        table[k] = (((1 << shift) / five) as u64, shift as i32);
        k += 1;
    }
    table
};

/// `mantissa` / 10^`places`, correctly rounded, for 1 to 27 places; nothing, about once in a thousand, where 64 bits of
/// the reciprocal do not tell which way it rounds. The interval that the quotient lies in is known, so nothing is taken
/// on trust: after Lemire, Number Parsing at a Gigabyte per Second (2021), in its simplest form.
#[inline]
fn quotient(mantissa: u64, places: usize) -> Option<f64> {
    let (reciprocal, shift) = RECIPROCALS[places];
    let zeros = mantissa.leading_zeros();
    let product = u128::from(mantissa << zeros) * u128::from(reciprocal);
    // The reciprocal was cut by less than one of its last place: in units of 2^64, the quotient lies in high..high + 2.
    let high = (product >> 64) as u64;
    let dropped = 10 + (high >> 63) as u32;
    let (kept, rest) = (high >> dropped, high & ((1 << dropped) - 1));
    let half = 1 << (dropped - 1);
    if rest == half || rest == half - 1 {
        return None;
    }
    let rounded = kept + u64::from(rest > half);
    // Far from the smallest and the largest exponent: at least 2^-90.
    let exponent = 64 + dropped as i32 - zeros as i32 - shift - places as i32;
    Some(rounded as f64 * f64::from_bits(((exponent + 1023) as u64) << 52))
}

/// The field without the spaces around it.
pub(super) fn trimmed(field: &[u8]) -> &[u8] {
    let mut field = field;
    while let [b' ' | b'\t', rest @ ..] = field {
        field = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = field {
        field = rest;
    }
    field
}
