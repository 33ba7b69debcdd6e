//! Values as another type, exactly: what the type does not have is refused, never rounded to it. Only a float that is
//! stored as another float, and text that is read as one, take the nearest.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, DictionaryArray, PrimitiveArray,
    StringArray, StringBuilder, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Decimal128Type, Decimal256Type, DecimalType, Float32Type, Float64Type,
    Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use arrow::util::display::ArrayFormatter;

use super::combine::without_nan;
use crate::error::{Error, Result, Site};
use crate::instant::{self, Stamp};
use crate::schema::{is_number, is_time};
use crate::sink::text::FORMAT;
use crate::source::text::value;
use crate::spec::CastErrors;
use crate::state::is_same;

/// Longest piece of a refused value that a message shows, in characters.
const SHOWN: usize = 60;
const MICROS: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Whether some value of type `from` can be one of type `to`.
pub(super) fn is_possible(from: &DataType, to: &DataType) -> bool {
    let is_quantity = |t: &DataType| is_number(t) || *t == DataType::Boolean;
    match from {
        DataType::Null | DataType::Utf8 => true,
        _ if *to == DataType::Utf8 => true,
        quantity if is_quantity(quantity) => is_quantity(to),
        time if is_time(time) => is_time(to),
        _ => false,
    }
}

/// The type of a label that is to be of whole numbers, if it is one of numbers.
pub(super) fn label_type(from: &DataType) -> DataType {
    if is_number(from) { DataType::Int64 } else { from.clone() }
}

/// What becomes of a value that the type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is an error.
    Raise,
    /// It becomes missing.
    Null,
    /// It is an error of the label's.
    Label,
}

impl From<CastErrors> for Misfit {
    fn from(errors: CastErrors) -> Self {
        match errors {
            CastErrors::Raise => Self::Raise,
            CastErrors::Null => Self::Null,
        }
    }
}

/// A cast on its way through the arrays of one column.
pub(super) struct Caster<'a> {
    to: &'a DataType,
    misfit: Misfit,
    /// The last dictionary, held so that another cannot take its address, and what becomes of its values.
    dictionary: Option<(ArrayRef, Made)>,
}

/// What becomes of an array.
struct Made {
    array: ArrayRef,
    /// The first value that was refused.
    refused: Option<usize>,
}

impl<'a> Caster<'a> {
    pub(super) fn new(to: &'a DataType, misfit: Misfit) -> Self {
        Self { to, misfit, dictionary: None }
    }

    /// The values of `array`, which starts at this row of the shard, as the wanted type or under codes of it.
    ///
    /// # Errors
    /// [`Error::Data`] with the row of the first value that is refused, where the recipe raises on it.
    pub(super) fn apply(&mut self, array: ArrayRef, first_row: u64) -> Result<ArrayRef> {
        let DataType::Dictionary(_, plain) = array.data_type() else { return self.plain(&array, first_row) };
        if is_unchanged(plain, self.to) {
            return Ok(array);
        }
        let Some(codes) = array.as_dictionary_opt::<Int32Type>() else {
            let expanded = cast(&array, plain).map_err(|e| Error::failed("reading a dictionary", e))?;
            return self.plain(&expanded, first_row);
        };
        let values = codes.values();
        if self.dictionary.as_ref().is_none_or(|(held, _)| !is_same(held, values)) {
            self.dictionary = Some((Arc::clone(values), make(values, self.to)?));
        }
        match &self.dictionary {
            // A value that is refused may be one that no row has: only the rows can tell.
            Some((_, made)) if made.refused.is_none() || self.misfit == Misfit::Null => under_codes(codes, &made.array),
            _ => {
                let expanded = cast(&array, plain).map_err(|e| Error::failed("reading a dictionary", e))?;
                self.plain(&expanded, first_row)
            }
        }
    }

    fn plain(&self, array: &ArrayRef, first_row: u64) -> Result<ArrayRef> {
        if is_unchanged(array.data_type(), self.to) {
            return Ok(Arc::clone(array));
        }
        let made = make(array, self.to)?;
        match made.refused {
            Some(at) if self.misfit != Misfit::Null => Err(self.refused(array, at, first_row)),
            _ => Ok(made.array),
        }
    }

    fn refused(&self, array: &ArrayRef, at: usize, first_row: u64) -> Error {
        let value = shown(array, at);
        let why = match (array.data_type(), self.to) {
            (integer, DataType::Float32 | DataType::Float64) if integer.is_integer() => "would be rounded",
            _ => "does not fit",
        };
        let message = match self.misfit {
            Misfit::Label => format!(
                "label.integer: `{value}` is not a whole number within 64 bits; correct it, or set label.integer = false to \
                 leave the label as it is"
            ),
            Misfit::Raise | Misfit::Null => format!(
                "cast to {}: `{value}` {why}; correct it, set errors = \"null\" to make it missing, or choose another type",
                self.to
            ),
        };
        Error::data(Site::default().at_row(first_row + at as u64), message)
    }
}

/// Floats are looked at all the same: NaN becomes missing.
fn is_unchanged(from: &DataType, to: &DataType) -> bool {
    from == to && !from.is_floating()
}

/// A value as a message shows it.
fn shown(array: &ArrayRef, at: usize) -> String {
    let mut value = ArrayFormatter::try_new(array, &FORMAT).map_or_else(|_| "?".into(), |f| f.value(at).to_string());
    if let Some((end, _)) = value.char_indices().nth(SHOWN) {
        value.truncate(end);
        value.push('…');
    }
    value
}

/// The codes of `array` for values that may be missing; rows are written out where some are.
fn under_codes(array: &DictionaryArray<Int32Type>, values: &ArrayRef) -> Result<ArrayRef> {
    if values.null_count() == 0 {
        return Ok(Arc::new(array.with_values(Arc::clone(values))));
    }
    take(values, array.keys(), None).map_err(|e| Error::failed("casting a dictionary", e))
}

/// The values of a plain array as another type; null where there is none.
fn make(array: &ArrayRef, to: &DataType) -> Result<Made> {
    use DataType as T;
    let failed = |e| Error::failed("casting", e);
    let from = array.data_type();
    if *from == T::Null {
        return Ok(Made { array: new_null_array(to, array.len()), refused: None });
    }
    if !is_possible(from, to) {
        let refused = (0..array.len()).find(|row| array.is_valid(*row));
        return Ok(Made { array: new_null_array(to, array.len()), refused });
    }
    match from {
        _ if *to == T::Utf8 => Ok(Made { array: text(array)?, refused: None }),
        T::Utf8 => of_texts(array.as_string(), to),
        T::Boolean => make(&cast(array, &T::Int64).map_err(failed)?, to),
        T::UInt64 => of_numbers::<UInt64Type>(array, to, i128::from),
        T::Int64 => of_numbers::<Int64Type>(array, to, i128::from),
        integer if integer.is_integer() => make(&cast(array, &T::Int64).map_err(failed)?, to),
        T::Float64 => of_floats(array.as_primitive(), to),
        T::Float32 | T::Float16 => make(&cast(array, &T::Float64).map_err(failed)?, to),
        T::Date32 | T::Date64 | T::Timestamp(..) => of_times(array, to),
        T::Decimal128(_, scale) if is_whole(to) => of_decimals::<Decimal128Type>(array, *scale, to),
        T::Decimal256(_, scale) if is_whole(to) => of_decimals::<Decimal256Type>(array, *scale, to),
        // Decimals as floats: what they are written as is what they are.
        _ => of_texts(text(array)?.as_string(), to),
    }
}

/// The texts that the CSV writer writes; NaN is missing.
pub(super) fn text(array: &ArrayRef) -> Result<ArrayRef> {
    let failed = |e| Error::failed("formatting values", e);
    let array = without_nan(Arc::clone(array))?;
    let formatter = ArrayFormatter::try_new(&array, &FORMAT).map_err(failed)?;
    let mut texts = StringBuilder::with_capacity(array.len(), array.len() * 8);
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
        } else {
            // The value is written into the builder: there is no text of its own.
            formatter.value(row).write(&mut texts).map_err(failed)?;
            texts.append_value("");
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// A value of another type.
enum Value<T> {
    Is(T),
    Missing,
    Refused,
}

impl<T> From<Option<T>> for Value<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Refused, Self::Is)
    }
}

/// Values, whether they are there, and the first that was refused.
fn collect<V, T: Default>(
    values: impl ExactSizeIterator<Item = Option<V>>,
    convert: impl Fn(V) -> Value<T>,
) -> (Vec<T>, Option<NullBuffer>, Option<usize>) {
    let mut out = Vec::with_capacity(values.len());
    let mut valid = Vec::with_capacity(values.len());
    let mut refused = None;
    for (row, value) in values.enumerate() {
        let value = match value.map(&convert) {
            Some(Value::Is(value)) => Some(value),
            Some(Value::Refused) => {
                refused = refused.or(Some(row));
                None
            }
            Some(Value::Missing) | None => None,
        };
        valid.push(value.is_some());
        out.push(value.unwrap_or_default());
    }
    (out, Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0), refused)
}

fn primitives<T: ArrowPrimitiveType, V>(
    values: impl ExactSizeIterator<Item = Option<V>>,
    convert: impl Fn(V) -> Value<T::Native>,
) -> Made {
    let (values, nulls, refused) = collect(values, convert);
    Made { array: Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)), refused }
}

fn booleans<V>(values: impl ExactSizeIterator<Item = Option<V>>, convert: impl Fn(V) -> Value<bool>) -> Made {
    let (values, nulls, refused) = collect(values, convert);
    Made { array: Arc::new(BooleanArray::new(values.into(), nulls)), refused }
}

fn impossible(to: &DataType) -> Error {
    Error::failed("casting", format!("there is no cast to {to}"))
}

fn of_texts(texts: &StringArray, to: &DataType) -> Result<Made> {
    fn read<T>(parse: impl Fn(&[u8]) -> Option<T>) -> impl Fn(&str) -> Value<T> {
        move |text| match text.trim().as_bytes() {
            missing if value::is_missing(missing) => Value::Missing,
            text => parse(text).into(),
        }
    }
    let values = texts.iter();
    Ok(match to {
        DataType::Boolean => booleans(values, read(value::any_boolean)),
        DataType::Int32 => primitives::<Int32Type, _>(values, read(|t| value::any_integer(t)?.try_into().ok())),
        DataType::Int64 => primitives::<Int64Type, _>(values, read(value::any_integer)),
        DataType::Float32 => {
            // Of an integer, what even float64 cannot hold; below that, a float32 is the nearest.
            let parse = |t: &[u8]| value::unrounded_float(t).and_then(|_| value::any_float32(t));
            primitives::<Float32Type, _>(values, read(parse))
        }
        DataType::Float64 => primitives::<Float64Type, _>(values, read(value::unrounded_float)),
        DataType::Date32 => primitives::<Date32Type, _>(values, read(instant::date)),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let parse = |t: &[u8]| match instant::date(t) {
                Some(days) => Stamp::midnight(days).count(MICROS),
                None => instant::stamp(t)?.count(MICROS),
            };
            primitives::<TimestampMicrosecondType, _>(values, read(parse))
        }
        other => return Err(impossible(other)),
    })
}

fn is_whole(to: &DataType) -> bool {
    matches!(to, DataType::Boolean | DataType::Int32 | DataType::Int64)
}

/// Decimals as whole numbers: what is stored, over 10^`scale`, where nothing is left over.
fn of_decimals<T: DecimalType>(array: &ArrayRef, scale: i8, to: &DataType) -> Result<Made> {
    let power = T::Native::usize_as(10).pow_checked(scale.unsigned_abs().into()).ok();
    let whole = |stored: T::Native| {
        if stored.is_zero() {
            return Some(0);
        }
        let value = match (power?, scale >= 0) {
            (power, true) if stored.mod_checked(power).ok()?.is_zero() => stored.div_checked(power).ok()?,
            (_, true) => return None,
            (power, false) => stored.mul_checked(power).ok()?,
        };
        value.to_i64()
    };
    let values = array.as_primitive::<T>().iter();
    Ok(match to {
        DataType::Boolean => booleans(values, |value| {
            let whole = whole(value);
            truth(whole == Some(0), whole == Some(1))
        }),
        DataType::Int32 => {
            primitives::<Int32Type, _>(values, |value| whole(value).and_then(|v| v.try_into().ok()).into())
        }
        DataType::Int64 => primitives::<Int64Type, _>(values, |value| whole(value).into()),
        other => return Err(impossible(other)),
    })
}

fn of_numbers<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    to: &DataType,
    wide: impl Fn(T::Native) -> i128,
) -> Result<Made> {
    let values = array.as_primitive::<T>().iter().map(|value| value.map(&wide));
    let exact = |value: i128| {
        let float = value as f64;
        (float as i128 == value).then_some(float)
    };
    Ok(match to {
        DataType::Boolean => booleans(values, |value| truth(value == 0, value == 1)),
        DataType::Int32 => primitives::<Int32Type, _>(values, |value| i32::try_from(value).ok().into()),
        DataType::Int64 => primitives::<Int64Type, _>(values, |value| i64::try_from(value).ok().into()),
        // From the integer, for by way of float64 it would be rounded twice.
        DataType::Float32 => primitives::<Float32Type, _>(values, |value| exact(value).map(|_| value as f32).into()),
        DataType::Float64 => primitives::<Float64Type, _>(values, |value| exact(value).into()),
        other => return Err(impossible(other)),
    })
}

fn of_floats(array: &PrimitiveArray<Float64Type>, to: &DataType) -> Result<Made> {
    fn number<T>(convert: impl Fn(f64) -> Option<T>) -> impl Fn(f64) -> Value<T> {
        move |value| if value.is_nan() { Value::Missing } else { convert(value).into() }
    }
    const END: f64 = (1_u64 << 63) as f64;
    let whole = |value: f64| (value.fract() == 0.0 && (-END..END).contains(&value)).then_some(value as i64);
    let narrow = |value: f64| Some(value as f32).filter(|narrow| narrow.is_finite() || value.is_infinite());
    let values = array.iter();
    Ok(match to {
        DataType::Boolean => booleans(values, |value| match value.is_nan() {
            true => Value::Missing,
            false => truth(value == 0.0, value == 1.0),
        }),
        DataType::Int32 => primitives::<Int32Type, _>(values, number(|value| whole(value)?.try_into().ok())),
        DataType::Int64 => primitives::<Int64Type, _>(values, number(whole)),
        DataType::Float32 => primitives::<Float32Type, _>(values, number(narrow)),
        DataType::Float64 => primitives::<Float64Type, _>(values, number(Some)),
        other => return Err(impossible(other)),
    })
}

fn truth(is_false: bool, is_true: bool) -> Value<bool> {
    if is_false || is_true { Value::Is(is_true) } else { Value::Refused }
}

/// Dates and timestamps. A timestamp as a date is its day, in UTC where it has a zone.
fn of_times(array: &ArrayRef, to: &DataType) -> Result<Made> {
    let failed = |e| Error::failed("casting", e);
    let (counts, per_second) = match array.data_type() {
        DataType::Timestamp(unit, _) => {
            let per_second = match unit {
                TimeUnit::Second => 1,
                TimeUnit::Millisecond => 1_000,
                TimeUnit::Microsecond => MICROS,
                TimeUnit::Nanosecond => 1_000_000_000,
            };
            (cast(array, &DataType::Int64).map_err(failed)?, per_second)
        }
        _ => {
            let days = cast(array, &DataType::Date32).map_err(failed)?;
            let seconds = |day: i32| i64::from(day) * SECONDS_A_DAY;
            let counts: PrimitiveArray<Int64Type> = days.as_primitive::<Date32Type>().unary(seconds);
            (Arc::new(counts) as ArrayRef, 1)
        }
    };
    let values = counts.as_primitive::<Int64Type>().iter();
    Ok(match to {
        DataType::Date32 => {
            let day = |count: i64| i32::try_from(count.div_euclid(per_second * SECONDS_A_DAY)).ok();
            primitives::<Date32Type, _>(values, |count| day(count).into())
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let micros = |count: i64| match per_second <= MICROS {
                true => count.checked_mul(MICROS / per_second),
                false => (count % (per_second / MICROS) == 0).then(|| count / (per_second / MICROS)),
            };
            primitives::<TimestampMicrosecondType, _>(values, |count| micros(count).into())
        }
        other => return Err(impossible(other)),
    })
}
