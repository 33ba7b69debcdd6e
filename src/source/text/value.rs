//! What one field of text says: numbers, words for truth and absence, dates, instants. Every reader is exact: it gives
//! the value that was written, correctly rounded where it is a decimal fraction, or nothing.

use std::num::IntErrorKind;
use std::sync::Arc;

use hashbrown::HashSet;

use super::number::{Number, number, trimmed};

pub(super) use crate::instant::{Stamp, date, stamp};

/// The words that the recipe has for a missing value, instead of those of pandas. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NullWords(Arc<HashSet<Vec<u8>>>);

impl NullWords {
    /// These words, and the empty field.
    pub fn new(words: &[String]) -> Self {
        Self(Arc::new(words.iter().map(|word| word.as_bytes().to_vec()).collect()))
    }

    pub(super) fn has(&self, field: &[u8]) -> bool {
        field.is_empty() || self.0.contains(field)
    }
}

/// Longest of the words for a missing value.
const LONGEST_MISSING: usize = 8;

/// Whether the field is empty or one of the words that pandas' `read_csv` takes for a missing value by default.
pub(crate) fn is_missing(field: &[u8]) -> bool {
    if field.len() > LONGEST_MISSING {
        return false;
    }
    // Their first bytes: most texts begin with another.
    if !matches!(field.first(), None | Some(b'#' | b'-' | b'1' | b'<' | b'N' | b'n')) {
        return false;
    }
    matches!(
        field,
        b"" | b"#N/A"
            | b"#N/A N/A"
            | b"#NA"
            | b"-1.#IND"
            | b"-1.#QNAN"
            | b"-NaN"
            | b"-nan"
            | b"1.#IND"
            | b"1.#QNAN"
            | b"<NA>"
            | b"N/A"
            | b"NA"
            | b"NULL"
            | b"NaN"
            | b"None"
            | b"n/a"
            | b"nan"
            | b"null"
    )
}

/// `true` or `false`, in the three spellings pandas knows.
pub(super) fn boolean(field: &[u8]) -> Option<bool> {
    match field {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// As [`number`], for a column that the recipe says is a float: integers may round, and leading zeros are zeros.
pub(super) fn any_float(field: &[u8]) -> Option<f64> {
    match number(field) {
        Some(Number::Integer(value)) => Some(value as f64),
        Some(Number::Float(value)) => Some(value),
        None => numeral(field)?.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// As [`any_float`], but nothing for an integer that would be rounded.
pub(crate) fn unrounded_float(field: &[u8]) -> Option<f64> {
    match number(field) {
        Some(number) => number.exact_float(),
        None => {
            let text = numeral(field)?;
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return any_float(field);
            }
            let integer: i128 = text.parse().ok()?;
            (integer as f64 as i128 == integer).then_some(integer as f64)
        }
    }
}

/// As [`any_float`], rounded once, to 32 bits.
pub(crate) fn any_float32(field: &[u8]) -> Option<f32> {
    match number(field) {
        Some(Number::Float(value)) if value.is_infinite() => Some(value as f32),
        _ => numeral(field)?.parse().ok().filter(|value: &f32| value.is_finite()),
    }
}

/// An integer for a column that the recipe says is one: leading zeros are zeros, and `3.0`, as pandas writes integers
/// of a column with gaps, is 3.
pub(crate) fn any_integer(field: &[u8]) -> Option<i64> {
    let text = numeral(field)?;
    text.parse().ok().or_else(|| whole(text))
}

/// The number of this text with a point or an exponent, if it is whole and within 64 bits. The digits alone tell: a float
/// has not all of them.
fn whole(text: &str) -> Option<i64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        None => (text, 0),
    };
    let digits = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = || before.bytes().chain(after.bytes());
    if before.len() + after.len() == 0 || !digits().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Where the point is, once the exponent has moved it: all digits behind it are to be zeros.
    let point = before.len() as i64 + exponent;
    let sign = if mantissa.starts_with('-') { -1 } else { 1 };
    let mut value = 0_i64;
    for (at, byte) in (0..).zip(digits()) {
        let digit = i64::from(byte - b'0');
        if at < point {
            value = value.checked_mul(10)?.checked_add(sign * digit)?;
        } else if digit != 0 {
            return None;
        }
    }
    let mut zeros = point - (before.len() + after.len()) as i64;
    // No more than 19 times: zero stays zero, and anything else has not room for more.
    while zeros > 0 && value != 0 {
        value = value.checked_mul(10)?;
        zeros -= 1;
    }
    Some(value)
}

/// An exponent; one beyond all numbers of digits is as good as another.
fn power(text: &str) -> Option<i64> {
    const MOST: i64 = 1 << 62;
    match text.parse::<i64>() {
        Ok(exponent) => Some(exponent.clamp(-MOST, MOST)),
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => Some(MOST),
            IntErrorKind::NegOverflow => Some(-MOST),
            _ => None,
        },
    }
}

/// A truth value for a column that the recipe says is one: also `1` and `0`.
pub(crate) fn any_boolean(field: &[u8]) -> Option<bool> {
    match trimmed(field) {
        b"1" => Some(true),
        b"0" => Some(false),
        word => boolean(word),
    }
}

/// The field without the spaces around it, if it is made of a decimal number's characters.
fn numeral(field: &[u8]) -> Option<&str> {
    let field = trimmed(field);
    let plain = field.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if plain { std::str::from_utf8(field).ok() } else { None }
}

#[cfg(test)]
#[path = "tests/value.rs"]
mod tests;
