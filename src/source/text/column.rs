//! One column under construction: fields in, an arrow array out. A field that does not fit stops it; it never guesses.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Date64Array, Float32Array, Float64Array, Int32Array, Int64Array,
    PrimitiveArray, StringArray, new_null_array,
};
use arrow::array::{BooleanBufferBuilder, types};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, TimeUnit};

use super::cells::{Cells, Kind};
use super::number::{Number, Short, number};
use super::validity::Validity;
use super::value::{self, Stamp};
use crate::error::{Error, Result};

const MILLIS_A_DAY: i64 = 86_400_000;

/// A column of one type that grows by fields of text.
pub(super) struct Column {
    data_type: DataType,
    forced: bool,
    values: Values,
    valid: Validity,
}

enum Values {
    Boolean(BooleanBufferBuilder),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Date32(Vec<i32>),
    Date64(Vec<i64>),
    Timestamp {
        counts: Vec<i64>,
        unit: TimeUnit,
        zoned: bool,
    },
    Text {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
    },
    /// A type no field of text has: only missing values fit.
    Missing {
        rows: usize,
    },
}

impl Column {
    /// An empty column of `data_type`. A forced one takes what can be read as the type at all; another one takes only
    /// what is of the type by itself, so that the type of all the values never depends on the order they came in.
    /// `rows` are expected.
    pub(super) fn new(data_type: &DataType, forced: bool, rows: usize) -> Self {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(rows)),
            DataType::Int32 if forced => Values::Int32(Vec::with_capacity(rows)),
            DataType::Int64 => Values::Int64(Vec::with_capacity(rows)),
            DataType::Float32 if forced => Values::Float32(Vec::with_capacity(rows)),
            DataType::Float64 => Values::Float64(Vec::with_capacity(rows)),
            DataType::Date32 => Values::Date32(Vec::with_capacity(rows)),
            DataType::Date64 => Values::Date64(Vec::with_capacity(rows)),
            DataType::Timestamp(unit, None) => {
                Values::Timestamp { counts: Vec::with_capacity(rows), unit: *unit, zoned: false }
            }
            DataType::Timestamp(unit, Some(zone)) if matches!(zone.as_ref(), "UTC" | "+00:00") => {
                Values::Timestamp { counts: Vec::with_capacity(rows), unit: *unit, zoned: true }
            }
            DataType::Utf8 => Values::Text { offsets: vec![0], bytes: Vec::new() },
            _ => Values::Missing { rows: 0 },
        };
        Self { data_type: data_type.clone(), forced, values, valid: Validity::new(rows) }
    }

    /// Appends column `at` of `cells`.
    ///
    /// # Errors
    /// The row, counted from the first of `cells`, of the first field that does not fit; the column is of no use then.
    pub(super) fn append(&mut self, cells: &Cells<'_>, at: usize) -> Result<(), usize> {
        let forced = self.forced;
        let valid = &mut self.valid;
        let fields = cells.column(at);
        // The readers of a column that is not forced see no quoted field but where time may be read from one.
        let bare = |kind: Kind| forced || kind.is_bare();
        match &mut self.values {
            Values::Boolean(values) => {
                let read = if forced { value::any_boolean } else { value::boolean };
                fill(
                    fields,
                    valid,
                    |v| values.append(v.unwrap_or_default()),
                    |kind, field| bare(kind).then(|| read(field))?,
                )
            }
            Values::Int32(values) => {
                let read = |_, field: &[u8]| value::any_integer(field).and_then(|value| value.try_into().ok());
                fill(fields, valid, |v| values.push(v.unwrap_or_default()), read)
            }
            Values::Int64(values) if forced => {
                fill(fields, valid, |v| values.push(v.unwrap_or_default()), |_, field| value::any_integer(field))
            }
            Values::Int64(values) => fill_numbers(cells, at, valid, values, Short::integer, Number::integer),
            Values::Float32(values) => {
                fill(fields, valid, |v| values.push(v.unwrap_or_default()), |_, field| value::any_float32(field))
            }
            Values::Float64(values) if forced => {
                fill(fields, valid, |v| values.push(v.unwrap_or_default()), |_, field| value::any_float(field))
            }
            Values::Float64(values) => {
                fill_numbers(cells, at, valid, values, |short| Some(short.float()), Number::exact_float)
            }
            Values::Date32(values) => {
                fill(fields, valid, |v| values.push(v.unwrap_or_default()), |_, field| value::date(field))
            }
            Values::Date64(values) => {
                let read = |_, field: &[u8]| value::date(field).map(|days| i64::from(days) * MILLIS_A_DAY);
                fill(fields, valid, |v| values.push(v.unwrap_or_default()), read)
            }
            Values::Timestamp { counts, unit, zoned } => {
                let (unit, zoned) = (*unit, *zoned);
                fill(
                    fields,
                    valid,
                    |v| counts.push(v.unwrap_or_default()),
                    |_, field| instant(field, unit, zoned, forced),
                )
            }
            Values::Text { offsets, bytes } => fill_text(fields, valid, offsets, bytes),
            Values::Missing { rows } => {
                *rows += cells.rows();
                let is_value = |(kind, field): (Kind, &[u8])| match kind {
                    Kind::Missing => false,
                    Kind::Bare => !value::is_missing(field),
                    Kind::Quoted | Kind::Stated => true,
                };
                cells.column(at).position(is_value).map_or(Ok(()), Err)
            }
        }
    }

    /// The finished array, of the column's type.
    ///
    /// # Errors
    /// [`Error::Failed`] when its texts are more than one array can hold.
    pub(super) fn finish(self) -> Result<ArrayRef> {
        let nulls = self.valid.finish();
        Ok(match self.values {
            Values::Boolean(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int32(values) => Arc::new(Int32Array::new(values.into(), nulls)),
            Values::Int64(values) => Arc::new(Int64Array::new(values.into(), nulls)),
            Values::Float32(values) => Arc::new(Float32Array::new(values.into(), nulls)),
            Values::Float64(values) => Arc::new(Float64Array::new(values.into(), nulls)),
            Values::Date32(values) => Arc::new(Date32Array::new(values.into(), nulls)),
            Values::Date64(values) => Arc::new(Date64Array::new(values.into(), nulls)),
            Values::Timestamp { counts, unit, .. } => {
                let counts: ScalarBuffer<i64> = counts.into();
                let typed = self.data_type;
                match unit {
                    TimeUnit::Second => {
                        Arc::new(PrimitiveArray::<types::TimestampSecondType>::new(counts, nulls).with_data_type(typed))
                    }
                    TimeUnit::Millisecond => Arc::new(
                        PrimitiveArray::<types::TimestampMillisecondType>::new(counts, nulls).with_data_type(typed),
                    ),
                    TimeUnit::Microsecond => Arc::new(
                        PrimitiveArray::<types::TimestampMicrosecondType>::new(counts, nulls).with_data_type(typed),
                    ),
                    TimeUnit::Nanosecond => Arc::new(
                        PrimitiveArray::<types::TimestampNanosecondType>::new(counts, nulls).with_data_type(typed),
                    ),
                }
            }
            Values::Text { offsets, bytes } => {
                let offsets = OffsetBuffer::new(offsets.into());
                let texts = StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls);
                Arc::new(texts.map_err(|e| Error::failed("putting a column's texts together", e))?)
            }
            Values::Missing { rows } => new_null_array(&self.data_type, rows),
        })
    }
}

/// Appends every field as `read` reads it, null where it is missing; the row of the first that is neither.
#[inline]
fn fill<'a, T>(
    fields: impl Iterator<Item = (Kind, &'a [u8])>,
    valid: &mut Validity,
    mut push: impl FnMut(Option<T>),
    read: impl Fn(Kind, &[u8]) -> Option<T>,
) -> Result<(), usize> {
    for (row, (kind, field)) in fields.enumerate() {
        let value = if kind == Kind::Missing { None } else { read(kind, field) };
        if value.is_none() && !is_null(kind, field) {
            return Err(row);
        }
        valid.push(value.is_some());
        push(value);
    }
    Ok(())
}

/// As [`fill`], of numbers that are of the type by themselves: most are short.
#[inline]
fn fill_numbers<T: Copy + Default>(
    cells: &Cells<'_>,
    at: usize,
    valid: &mut Validity,
    values: &mut Vec<T>,
    of_short: impl Fn(Short) -> Option<T>,
    of_number: impl Fn(Number) -> Option<T>,
) -> Result<(), usize> {
    let start = values.len();
    values.resize(start + cells.rows(), T::default());
    for (row, (value, cell)) in values[start..].iter_mut().zip(cells.places(at)).enumerate() {
        if let Some(short) = cells.short(cell)
            && let Some(read) = of_short(short)
        {
            *value = read;
            valid.push(short.present);
            continue;
        }
        let (kind, field) = (cell.kind(), cells.field(cell));
        let read = if kind.is_bare() { number(field).and_then(&of_number) } else { None };
        if read.is_none() && !is_null(kind, field) {
            return Err(row);
        }
        *value = read.unwrap_or_default();
        valid.push(read.is_some());
    }
    Ok(())
}

fn fill_text<'a>(
    fields: impl Iterator<Item = (Kind, &'a [u8])>,
    valid: &mut Validity,
    offsets: &mut Vec<i32>,
    bytes: &mut Vec<u8>,
) -> Result<(), usize> {
    for (kind, field) in fields {
        let null = is_null(kind, field);
        if !null {
            bytes.extend_from_slice(field);
        }
        valid.push(!null);
        // A block is far smaller than what 31 bits address.
        offsets.push(bytes.len() as i32);
    }
    Ok(())
}

#[inline]
fn is_null(kind: Kind, field: &[u8]) -> bool {
    kind == Kind::Missing || (kind == Kind::Bare && value::is_missing(field))
}

/// Whether a field can be read as `data_type`, which the recipe sets: what [`Column::append`] takes of a forced column.
pub(super) fn fits(data_type: &DataType, kind: Kind, field: &[u8]) -> bool {
    let read = match data_type {
        DataType::Boolean => value::any_boolean(field).is_some(),
        DataType::Int32 => value::any_integer(field).is_some_and(|value| i32::try_from(value).is_ok()),
        DataType::Int64 => value::any_integer(field).is_some(),
        DataType::Float32 => value::any_float32(field).is_some(),
        DataType::Float64 => value::any_float(field).is_some(),
        DataType::Date32 | DataType::Date64 => value::date(field).is_some(),
        DataType::Timestamp(unit, zone) => instant(field, *unit, zone.is_some(), true).is_some(),
        DataType::Utf8 => true,
        _ => false,
    };
    read || is_null(kind, field)
}

/// Characters of a value that a message shows.
const SHOWN_CHARS: usize = 60;

/// What is said of a field that does not fit a type that the recipe sets.
pub(super) fn misfit(field: &[u8], data_type: &DataType) -> String {
    let text = String::from_utf8_lossy(field);
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("`{shown}{more}` is no {data_type}; correct it, or change the column's type in input.schema")
}

/// A date or timestamp as a count of `unit`. Timestamps of text are at least of microseconds: coarser columns take
/// dates only, unless they are forced.
fn instant(field: &[u8], unit: TimeUnit, zoned: bool, forced: bool) -> Option<i64> {
    let (per_second, coarse) = match unit {
        TimeUnit::Second => (1, true),
        TimeUnit::Millisecond => (1_000, true),
        TimeUnit::Microsecond => (1_000_000, false),
        TimeUnit::Nanosecond => (1_000_000_000, false),
    };
    let stamp = match value::date(field) {
        Some(days) => Stamp { zoned, ..Stamp::midnight(days) },
        None if coarse && !forced => return None,
        None => value::stamp(field)?,
    };
    if stamp.zoned == zoned { stamp.count(per_second) } else { None }
}
