//! Times of rows as ticks: unsigned integers in the order of time, whatever a column's type. One tick is a column's own
//! unit: a day, a second or a part of one, an integer; text is read as microseconds.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit};

use crate::error::{Error, Result, Site};
use crate::instant::{Stamp, date, stamp};
use crate::spec::Scalar;

/// The tick of a row without a time; no time has it.
pub const NO_TIME: u64 = 0;

const NANOS: i128 = 1_000_000_000;

fn tick(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

/// What one tick of a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// An integer that is no date.
    Integer,
    /// So many nanoseconds.
    Nanos(i128),
}

impl Unit {
    /// The unit of a column of this type.
    ///
    /// # Errors
    /// [`Error::Recipe`] for a type that is no time.
    pub fn of(column: &str, data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Date32 => Self::Nanos(86_400 * NANOS),
            DataType::Timestamp(TimeUnit::Second, _) => Self::Nanos(NANOS),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Nanos(1_000_000),
            // A column without any value is text.
            DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Utf8 | DataType::Null => Self::Nanos(1_000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Self::Nanos(1),
            integer if integer.is_integer() => Self::Integer,
            other => {
                return Err(Error::Recipe(format!(
                    "split.time: column `{column}` is {other}; a time is a date, a timestamp, an integer, or text in ISO 8601"
                )));
            }
        })
    }
}

/// Appends the tick of every row, [`NO_TIME`] for a missing one.
///
/// # Errors
/// [`Error::Data`] with the row for a text that is no time, and for an integer beyond 64 bits with a sign.
pub fn ticks(array: &ArrayRef, out: &mut Vec<u64>) -> Result<()> {
    if *array.data_type() == DataType::Null {
        out.resize(out.len() + array.len(), NO_TIME);
        return Ok(());
    }
    if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
        let mut of_values = Vec::with_capacity(dictionary.values().len());
        if ticks(dictionary.values(), &mut of_values).is_ok() {
            out.extend(dictionary.keys().iter().map(|key| key.map_or(NO_TIME, |key| of_values[key as usize])));
            return Ok(());
        }
        // A value that is no time may be one that no row has; if one has, its row is wanted.
        let plain = cast(array, dictionary.values().data_type()).map_err(|e| Error::failed("reading times", e))?;
        return ticks(&plain, out);
    }
    let refuse =
        |row: usize, message: String| Err(Error::data(Site { row: Some(row as u64), ..Site::default() }, message));
    if *array.data_type() == DataType::Utf8 {
        let texts = array.as_string::<i32>();
        for (row, text) in texts.iter().enumerate() {
            out.push(match text.map(of_text) {
                None => NO_TIME,
                Some(Some(value)) => tick(value),
                Some(None) => {
                    let text = texts.value(row);
                    return refuse(
                        row,
                        format!("`{text}` is no time: write dates as 2024-11-30, timestamps as 2024-11-30T12:00:00Z, with at most six decimals"),
                    );
                }
            });
        }
        return Ok(());
    }
    let failed = |e| Error::failed("reading times", e);
    let narrow = match array.data_type() {
        DataType::Date32 => cast(array, &DataType::Int32).map_err(failed)?,
        _ => array.slice(0, array.len()),
    };
    let whole = cast(&narrow, &DataType::Int64).map_err(failed)?;
    let values = whole.as_primitive::<Int64Type>();
    for row in 0..values.len() {
        let is_missing = array.is_null(row);
        if !is_missing && (values.is_null(row) || values.value(row) == i64::MIN) {
            return refuse(row, "the time is an integer beyond 64 bits with a sign".into());
        }
        out.push(if is_missing { NO_TIME } else { tick(values.value(row)) });
    }
    Ok(())
}

/// Microseconds since 1970 UTC; without a zone, UTC is meant.
fn of_text(text: &str) -> Option<i64> {
    let text = text.trim().as_bytes();
    let at = date(text).map(Stamp::midnight).or_else(|| stamp(text))?;
    at.count(1_000_000)
}

/// `split.cutoff` with `split.gap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cutoff {
    /// Of an integer column.
    Integer {
        /// The first integer out of time.
        at: i64,
        /// How many before it are left out.
        gap: i64,
    },
    /// Of dates and instants, in nanoseconds since 1970 UTC.
    Instant {
        /// The first instant out of time.
        at: i128,
        /// How long before it rows are left out.
        gap: i128,
    },
}

impl Cutoff {
    /// Reads the recipe's keys.
    ///
    /// # Errors
    /// [`Error::Recipe`] for what is no date, timestamp or integer, and for a gap that does not go with it.
    pub fn read(cutoff: &Scalar, gap: Option<&Scalar>) -> Result<Self> {
        let refuse = |message: String| Err(Error::Recipe(message));
        match cutoff {
            Scalar::Int(at) => match gap {
                None => Ok(Self::Integer { at: *at, gap: 0 }),
                Some(Scalar::Int(gap)) if *gap >= 0 => Ok(Self::Integer { at: *at, gap: *gap }),
                Some(_) => refuse("split.gap has to be an integer from 0, as split.cutoff is an integer".into()),
            },
            Scalar::Text(text) => {
                let bytes = text.trim().as_bytes();
                let Some(at) = date(bytes).map(Stamp::midnight).or_else(|| stamp(bytes)) else {
                    return refuse(format!(
                        "split.cutoff = \"{text}\" is no time: write 2024-11-01, 2024-11-01T12:00:00 or 2024-11-01T12:00:00+01:00"
                    ));
                };
                let at = i128::from(at.seconds) * NANOS + i128::from(at.nanos);
                Ok(Self::Instant { at, gap: gap.map_or(Ok(0), duration)? })
            }
            Scalar::Bool(_) | Scalar::Float(_) => {
                refuse("split.cutoff has to be a date, a timestamp or an integer".into())
            }
        }
    }

    /// The ticks of the first row in the gap and of the first that is out of time.
    ///
    /// # Errors
    /// [`Error::Recipe`] when the cutoff is an integer and the column is not, or the other way round.
    pub fn ticks(self, column: &str, unit: Unit) -> Result<(u64, u64)> {
        let clamped = |value: i128| tick(value.clamp(i128::from(i64::MIN) + 1, i128::from(i64::MAX)) as i64);
        match (self, unit) {
            (Self::Integer { at, gap }, Unit::Integer) => {
                Ok((clamped(i128::from(at) - i128::from(gap)), clamped(i128::from(at))))
            }
            // A row is at or after an instant when its tick is not below the instant's, rounded up.
            (Self::Instant { at, gap }, Unit::Nanos(unit)) => {
                let rounded_up = |nanos: i128| clamped(-(-nanos).div_euclid(unit));
                Ok((rounded_up(at - gap), rounded_up(at)))
            }
            (Self::Integer { .. }, Unit::Nanos(_)) => Err(Error::Recipe(format!(
                "split.cutoff is an integer, and column `{column}` holds dates; write the cutoff as one"
            ))),
            (Self::Instant { .. }, Unit::Integer) => Err(Error::Recipe(format!(
                "split.cutoff is a date, and column `{column}` holds integers; write the cutoff as one"
            ))),
        }
    }
}

/// `36h` in nanoseconds.
fn duration(gap: &Scalar) -> Result<i128> {
    let refuse = || {
        Err(Error::Recipe(
            "split.gap has to be a number with a unit, s, m, h, d or w, as in \"36h\" or \"7d\"".to_string(),
        ))
    };
    let Scalar::Text(text) = gap else { return refuse() };
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return refuse(),
    };
    match digits.trim().parse::<u32>() {
        Ok(number) => Ok(i128::from(number) * seconds * NANOS),
        Err(_) => refuse(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Int8Array, StringArray, TimestampMillisecondArray, UInt64Array};

    use super::*;

    fn of(array: impl Array + 'static) -> Result<Vec<u64>> {
        let array: ArrayRef = Arc::new(array);
        let mut out = Vec::new();
        ticks(&array, &mut out).map(|()| out)
    }

    #[test]
    fn ticks_are_in_the_order_of_time() {
        let texts =
            ["0001-01-01", "1969-12-31T23:59:59.999999", "1970-01-01", "1970-01-01T01:00:00+00:30", "9999-12-31"];
        let found = of(StringArray::from(texts.to_vec())).expect("times");
        assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
        let found = of(Int8Array::from(vec![Some(-128), None, Some(0), Some(127)])).expect("times");
        assert_eq!(found[1], NO_TIME);
        assert!(found[1] < found[0] && found[0] < found[2] && found[2] < found[3]);
        assert!(of(StringArray::from(vec!["2024-13-01"])).is_err());
        assert!(of(UInt64Array::from(vec![u64::MAX])).is_err());
    }

    #[test]
    fn a_cutoff_parts_the_rows_at_or_after_it_from_those_before() {
        let cutoff = |at: &str, gap: &str| {
            Cutoff::read(&Scalar::Text(at.into()), Some(&Scalar::Text(gap.into()))).expect("a cutoff")
        };
        let days = of(Date32Array::from(vec![-1, 0, 1])).expect("times");
        let unit = Unit::of("d", &DataType::Date32).expect("a unit");
        assert_eq!(cutoff("1970-01-01", "24h").ticks("d", unit).expect("ticks"), (days[0], days[1]));
        // A day is at or after noon only if it is the next.
        assert_eq!(cutoff("1970-01-01T12:00:00", "0d").ticks("d", unit).expect("ticks").1, days[2]);
        let millis = of(TimestampMillisecondArray::from(vec![-3_600_000, -3_599_999])).expect("times");
        let unit = Unit::of("t", &DataType::Timestamp(TimeUnit::Millisecond, None)).expect("a unit");
        assert_eq!(cutoff("1970-01-01T00:00:00+01:00", "0s").ticks("t", unit).expect("ticks").1, millis[0]);
        assert_eq!(cutoff("1969-12-31T23:00:00.0005", "0s").ticks("t", unit).expect("ticks").1, millis[1]);
    }
}
