//! What the values of a column were: a set of kinds that merges by union, so that neither the order of the values nor
//! how they are cut into blocks shows in the type that holds them all.

use std::ops::{BitOr, BitOrAssign};

use arrow::datatypes::{DataType, TimeUnit};

use super::cells::Kind;
use super::number::{Number, number};
use super::value::{self, Stamp};
use crate::schema;

/// The kinds of values a column was seen to hold; missing values are of no kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen(u16);

impl Seen {
    const BOOLEAN: Self = Self(1);
    const INTEGER: Self = Self(1 << 1);
    /// An integer that float64 does not hold exactly.
    const LONG_INTEGER: Self = Self(1 << 2);
    const FLOAT: Self = Self(1 << 3);
    const DATE: Self = Self(1 << 4);
    const STAMP: Self = Self(1 << 5);
    /// With nonzero digits beyond the microsecond.
    const FINE: Self = Self(1 << 6);
    const ZONED: Self = Self(1 << 7);
    /// A date or timestamp that 64 bits of nanoseconds do not reach.
    const FAR: Self = Self(1 << 8);
    const TEXT: Self = Self(1 << 9);

    /// Whether every kind of `self` is in `other`.
    fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    fn has(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }

    /// Whether more values could change nothing.
    pub(super) fn is_text(self) -> bool {
        self.has(Self::TEXT)
    }

    /// The narrowest type that holds all the values: Null < Boolean; Null < Int64 < Float64; Null < Date32 <
    /// Timestamp, zoned or not, of microseconds or, where digits need it, nanoseconds; Utf8 above all. Integers that
    /// float64 would round are never floats: with floats among them the column is text.
    pub fn data_type(self) -> DataType {
        let numbers = Self::INTEGER | Self::LONG_INTEGER | Self::FLOAT;
        match self {
            Self(0) => DataType::Null,
            Self::BOOLEAN => DataType::Boolean,
            seen if seen.within(Self::INTEGER | Self::LONG_INTEGER) => DataType::Int64,
            seen if seen.within(numbers) && !seen.has(Self::LONG_INTEGER) => DataType::Float64,
            seen if seen.within(Self::DATE | Self::FAR) => DataType::Date32,
            seen if seen.within(Self::DATE | Self::STAMP | Self::FINE | Self::FAR) => seen.timestamp(None),
            seen if seen.within(Self::DATE | Self::ZONED | Self::FINE | Self::FAR) => seen.timestamp(Some("UTC")),
            _ => DataType::Utf8,
        }
    }

    fn timestamp(self, zone: Option<&str>) -> DataType {
        match (self.has(Self::FINE), self.has(Self::FAR)) {
            (false, _) => DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into)),
            (true, false) => DataType::Timestamp(TimeUnit::Nanosecond, zone.map(Into::into)),
            (true, true) => DataType::Utf8,
        }
    }

    /// The narrowest type that holds `wanted` and all the values, `wanted` itself when they fit it.
    pub fn widen(self, wanted: &DataType) -> DataType {
        let found = self.data_type();
        let text = match (wanted, &found) {
            (DataType::Null, _) | (_, DataType::Null) => false,
            // The word "true" is no number, though a Parquet shard's Boolean may be one.
            (number, DataType::Boolean) => number.is_numeric(),
            (number, DataType::Int64) => number.is_floating() && self.has(Self::LONG_INTEGER),
            (DataType::Timestamp(TimeUnit::Nanosecond, _), _) => self.has(Self::FAR),
            _ => false,
        };
        if text { DataType::Utf8 } else { schema::wider(wanted, &found).unwrap_or(DataType::Utf8) }
    }

    /// What one field is.
    pub(super) fn of(kind: Kind, field: &[u8]) -> Self {
        match kind {
            Kind::Missing => Self::default(),
            Kind::Quoted => Self::of_time(field).unwrap_or(Self::TEXT),
            Kind::Bare if value::is_missing(field) => Self::default(),
            Kind::Bare | Kind::Stated => Self::of_bare(field),
        }
    }

    /// What a run of fields is; the rest is not looked at once it is text.
    pub(super) fn of_fields<'a>(fields: impl Iterator<Item = (Kind, &'a [u8])>) -> Self {
        let mut seen = Self::default();
        for (kind, field) in fields {
            seen |= Self::of(kind, field);
            if seen.is_text() {
                break;
            }
        }
        seen
    }

    fn of_bare(field: &[u8]) -> Self {
        match number(field) {
            Some(Number::Float(_)) => return Self::FLOAT,
            Some(number) if number.exact_float().is_some() => return Self::INTEGER,
            Some(_) => return Self::LONG_INTEGER,
            None => {}
        }
        if value::boolean(field).is_some() { Self::BOOLEAN } else { Self::of_time(field).unwrap_or(Self::TEXT) }
    }

    fn of_time(field: &[u8]) -> Option<Self> {
        let (kind, stamp) = match value::date(field) {
            Some(days) => (Self::DATE, Stamp::midnight(days)),
            None => {
                let stamp = value::stamp(field)?;
                (if stamp.zoned { Self::ZONED } else { Self::STAMP }, stamp)
            }
        };
        let fine = if stamp.nanos % 1000 == 0 { Self::default() } else { Self::FINE };
        let far = if stamp.count(1_000_000_000).is_some() { Self::default() } else { Self::FAR };
        Some(kind | fine | far)
    }
}

impl BitOr for Seen {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Seen {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

#[cfg(test)]
#[path = "tests/seen.rs"]
mod tests;
