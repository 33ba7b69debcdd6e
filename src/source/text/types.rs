//! What a cell's bytes are: missing, true, a number, a date, a time, or text. One grammar serves guessing and parsing, so
//! a column parses as the type it was observed to have.
//!
//! - Missing, in CSV: empty, and the words that pandas takes for missing. In JSON: null.
//! - Integers fit 64 bits and have no leading zeros: `007` is text. Numbers may have spaces around them.
//! - An integer that a 64-bit float would round does not fit a column of floats, which becomes text.
//! - Dates are `YYYY-MM-DD`; times add `T` or a space, `HH:MM`, seconds, up to six decimals, and a zone (`Z`, `+01:00`).
//!   With and without a zone do not mix.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array, NullArray,
    PrimitiveArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, TimeUnit};

use super::widest;
use crate::error::{Error, Result, Site};
use crate::schema;

/// What kind of value a cell is, before its bytes are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A CSV cell: anything.
    Any,
    /// JSON null, or no such key.
    Missing,
    /// A JSON string: text, or a date or time.
    Text,
    /// A JSON number.
    Number,
    /// JSON true or false.
    Bool,
}

/// The words that pandas reads as missing.
const MISSING: [&[u8]; 18] = [
    b"#N/A",
    b"#N/A N/A",
    b"#NA",
    b"-1.#IND",
    b"-1.#QNAN",
    b"-NaN",
    b"-nan",
    b"1.#IND",
    b"1.#QNAN",
    b"<NA>",
    b"N/A",
    b"NA",
    b"NULL",
    b"NaN",
    b"None",
    b"n/a",
    b"nan",
    b"null",
];

#[inline]
fn is_missing(bytes: &[u8], kind: Kind) -> bool {
    match kind {
        Kind::Missing => true,
        Kind::Any => {
            let Some(first) = bytes.first() else { return true };
            bytes.len() <= 8 && matches!(first, b'#' | b'-' | b'1' | b'<' | b'N' | b'n') && MISSING.contains(&bytes)
        }
        Kind::Text | Kind::Number | Kind::Bool => false,
    }
}

fn boolean(bytes: &[u8]) -> Option<bool> {
    match bytes {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

#[inline]
fn has_leading_zero(digits: &[u8]) -> bool {
    matches!(digits, [b'0', next, ..] if next.is_ascii_digit())
}

#[inline]
fn integer(bytes: &[u8]) -> Option<i64> {
    let bytes = bytes.trim_ascii();
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 || has_leading_zero(digits) || (negative && digits == b"0") {
        return None;
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

#[inline]
fn float(bytes: &[u8]) -> Option<f64> {
    let bytes = bytes.trim_ascii();
    let digits = bytes.strip_prefix(b"-").or_else(|| bytes.strip_prefix(b"+")).unwrap_or(bytes);
    if has_leading_zero(digits) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let value = Float64Type::parse(text)?;
    // Sixteen digits and more may be an integer that no double holds.
    let whole = digits.len() > 15 && digits.iter().all(u8::is_ascii_digit);
    if whole && text.parse::<i128>().map_or(true, |exact| value as i128 != exact) {
        return None;
    }
    Some(value)
}

/// Days since 1970-01-01 of a proleptic Gregorian date, after Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn date(bytes: &[u8]) -> Option<i32> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = bytes else { return None };
    let year = number(&[*y0, *y1, *y2, *y3])?;
    let (month, day) = (number(&[*m0, *m1])?, number(&[*d0, *d1])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(leap),
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i32::from(digit - b'0')))
}

/// Microseconds since the epoch, and whether there was a zone.
fn timestamp(bytes: &[u8]) -> Option<(i64, bool)> {
    let (day, rest) = bytes.split_at_checked(10)?;
    let days = i64::from(date(day)?);
    let rest = rest.strip_prefix(b"T").or_else(|| rest.strip_prefix(b" "))?;
    let [h0, h1, b':', m0, m1, rest @ ..] = rest else { return None };
    let (hour, minute) = (number(&[*h0, *h1])?, number(&[*m0, *m1])?);
    let (second, rest) = match rest {
        [b':', s0, s1, rest @ ..] => (number(&[*s0, *s1])?, rest),
        _ => (0, rest),
    };
    let (micros, rest) = match rest {
        [b'.', rest @ ..] => fraction(rest)?,
        _ => (0, rest),
    };
    let (offset, zoned) = zone(rest)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second) - offset;
    Some((seconds * 1_000_000 + micros, zoned))
}

/// Decimals as microseconds, and what follows them; more than six are fine if they are zeros.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (decimals, rest) = bytes.split_at(digits);
    if digits == 0 || digits > 9 || decimals.iter().skip(6).any(|digit| *digit != b'0') {
        return None;
    }
    let kept = &decimals[..digits.min(6)];
    Some((i64::from(number(kept)?) * 10i64.pow(6 - kept.len() as u32), rest))
}

/// Seconds east of UTC, and whether a zone is named at all.
fn zone(bytes: &[u8]) -> Option<(i64, bool)> {
    let (sign, h0, h1, m0, m1) = match bytes {
        [] => return Some((0, false)),
        b"Z" | b"z" => return Some((0, true)),
        [sign, h0, h1, b':', m0, m1] | [sign, h0, h1, m0, m1] => (*sign, *h0, *h1, *m0, *m1),
        _ => return None,
    };
    let (hours, minutes) = (number(&[h0, h1])?, number(&[m0, m1])?);
    let seconds = i64::from(hours * 3600 + minutes * 60);
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some((seconds, true)),
        b'-' => Some((-seconds, true)),
        _ => None,
    }
}

/// The type of one value that is not missing.
fn type_of(bytes: &[u8], kind: Kind) -> DataType {
    let number = || match integer(bytes) {
        Some(_) => Some(DataType::Int64),
        None => float(bytes).map(|_| DataType::Float64),
    };
    let time = || match date(bytes) {
        Some(_) => Some(DataType::Date32),
        None => timestamp(bytes).map(|(_, zoned)| timestamps(zoned)),
    };
    let found = match kind {
        Kind::Any => number().or_else(time).or_else(|| boolean(bytes).map(|_| DataType::Boolean)),
        Kind::Number => number(),
        Kind::Text => time(),
        Kind::Bool => Some(DataType::Boolean),
        Kind::Missing => Some(DataType::Null),
    };
    found.unwrap_or(DataType::Utf8)
}

fn timestamps(zoned: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()))
}

/// The narrowest type that holds all cells; null when all are missing.
pub fn observe<'a>(cells: impl ExactSizeIterator<Item = (&'a [u8], Kind)>) -> DataType {
    let mut found = DataType::Null;
    for (bytes, kind) in cells {
        if found == DataType::Utf8 {
            break;
        }
        if !is_missing(bytes, kind) {
            found = widest(&found, &type_of(bytes, kind));
        }
    }
    found
}

/// The cells as `data_type`, or the first row that does not fit it.
///
/// # Errors
/// [`Error::Data`] with the row when text is no UTF-8.
pub fn parse<'a>(
    cells: impl ExactSizeIterator<Item = (&'a [u8], Kind)>,
    data_type: &DataType,
) -> Result<std::result::Result<ArrayRef, usize>> {
    let is_number = |kind| matches!(kind, Kind::Any | Kind::Number);
    let is_time = |kind| matches!(kind, Kind::Any | Kind::Text);
    let parsed = match data_type {
        DataType::Utf8 => return text(cells),
        DataType::Null => {
            let rows = cells.len();
            match first(cells, |bytes, kind| !is_missing(bytes, kind)) {
                Some(row) => Err(row),
                None => Ok(Arc::new(NullArray::new(rows)) as ArrayRef),
            }
        }
        DataType::Boolean => booleans(cells),
        DataType::Int64 => primitives(cells, |bytes, kind| integer(bytes).filter(|_| is_number(kind)))
            .map(|a: Int64Array| Arc::new(a) as _),
        DataType::Int32 => {
            let narrow = |bytes: &[u8], kind| {
                integer(bytes).filter(|_| is_number(kind)).and_then(|value| i32::try_from(value).ok())
            };
            primitives(cells, narrow).map(|a: Int32Array| Arc::new(a) as _)
        }
        DataType::Float64 => primitives(cells, |bytes, kind| float(bytes).filter(|_| is_number(kind)))
            .map(|a: Float64Array| Arc::new(a) as _),
        DataType::Float32 => {
            let narrow = |bytes: &[u8], kind| float(bytes).filter(|_| is_number(kind)).map(|value| value as f32);
            primitives(cells, narrow).map(|a: Float32Array| Arc::new(a) as _)
        }
        DataType::Date32 => primitives(cells, |bytes, kind| date(bytes).filter(|_| is_time(kind)))
            .map(|a: Date32Array| Arc::new(a) as _),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let midnight = |bytes: &[u8]| date(bytes).map(|days| i64::from(days) * 86_400_000_000);
            let at = |bytes: &[u8], kind| {
                let time = timestamp(bytes).filter(|(_, zoned)| *zoned == zone.is_some()).map(|(micros, _)| micros);
                time.or_else(|| midnight(bytes)).filter(|_| is_time(kind))
            };
            primitives(cells, at).map(|a: TimestampMicrosecondArray| Arc::new(a.with_timezone_opt(zone.clone())) as _)
        }
        // A shard of another format gave the column a type that text is read into by way of its own.
        other => return foreign(cells, other),
    };
    Ok(parsed)
}

/// Parses as what the cells are, then casts.
fn foreign<'a>(
    cells: impl ExactSizeIterator<Item = (&'a [u8], Kind)>,
    data_type: &DataType,
) -> Result<std::result::Result<ArrayRef, usize>> {
    let cells: Vec<_> = cells.collect();
    let own = observe(cells.iter().copied());
    match parse(cells.iter().copied(), &own)? {
        Ok(array) => Ok(schema::conform(&array, data_type, 0).map_err(|_| 0)),
        refused => Ok(refused),
    }
}

fn first<'a>(cells: impl Iterator<Item = (&'a [u8], Kind)>, is: impl Fn(&[u8], Kind) -> bool) -> Option<usize> {
    cells.enumerate().find(|(_, (bytes, kind))| is(bytes, *kind)).map(|(row, _)| row)
}

fn primitives<'a, T: ArrowPrimitiveType>(
    cells: impl ExactSizeIterator<Item = (&'a [u8], Kind)>,
    value: impl Fn(&[u8], Kind) -> Option<T::Native>,
) -> std::result::Result<PrimitiveArray<T>, usize> {
    let mut values = Vec::with_capacity(cells.len());
    let mut valid: Vec<bool> = Vec::with_capacity(cells.len());
    let mut nulls = false;
    for (bytes, kind) in cells {
        let missing = is_missing(bytes, kind);
        let parsed = if missing { Some(T::Native::default()) } else { value(bytes, kind) };
        let Some(parsed) = parsed else { return Err(values.len()) };
        values.push(parsed);
        valid.push(!missing);
        nulls |= missing;
    }
    Ok(PrimitiveArray::new(values.into(), nulls.then(|| NullBuffer::from(valid))))
}

fn booleans<'a>(cells: impl ExactSizeIterator<Item = (&'a [u8], Kind)>) -> std::result::Result<ArrayRef, usize> {
    let mut values = BooleanBuilder::with_capacity(cells.len());
    for (row, (bytes, kind)) in cells.enumerate() {
        let fits = matches!(kind, Kind::Any | Kind::Bool);
        match boolean(bytes).filter(|_| fits) {
            _ if is_missing(bytes, kind) => values.append_null(),
            Some(value) => values.append_value(value),
            None => return Err(row),
        }
    }
    Ok(Arc::new(values.finish()))
}

fn text<'a>(cells: impl ExactSizeIterator<Item = (&'a [u8], Kind)>) -> Result<std::result::Result<ArrayRef, usize>> {
    let mut values = StringBuilder::with_capacity(cells.len(), cells.len() * 8);
    for (row, (bytes, kind)) in cells.enumerate() {
        if is_missing(bytes, kind) {
            values.append_null();
            continue;
        }
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let message = "the text is not valid UTF-8; convert the shard to UTF-8";
            Error::unreadable(Site::default().at_row(row as u64), message, e)
        })?;
        values.append_value(text);
    }
    Ok(Ok(Arc::new(values.finish())))
}
