//! The physical types that are decoded here, and the arrays that are made of them.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, StringArray, make_array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, TimeUnit};
use parquet::basic::Type;
use parquet::errors::{ParquetError, Result as ParquetResult};

/// What a column's pages hold.
pub(super) trait Physical: Copy + Default {
    /// Whether plain pages are read here too, and not dictionaries alone.
    const PLAIN: bool;

    /// The `count` values of a dictionary: as they are looked up, and as an array of `data_type`.
    fn dictionary(bytes: &[u8], count: usize, data_type: &DataType) -> ParquetResult<(Vec<Self>, ArrayRef)>;

    /// Takes as many plain values off the front of `bytes` as `out` has room for.
    fn read(bytes: &mut bytes::Bytes, out: &mut [Self]) -> ParquetResult<()>;

    /// Passes over `count` plain values.
    fn skip(bytes: &mut bytes::Bytes, count: usize) -> ParquetResult<()>;

    /// `values` as an array of `data_type`, for which [`is_as_stored`] holds.
    fn array(values: Vec<Self>, nulls: Option<NullBuffer>, data_type: &DataType) -> ParquetResult<ArrayRef>;
}

macro_rules! numbers {
    ($($native:ty => $to_buffer:expr;)*) => {$(
        impl Physical for $native {
            const PLAIN: bool = true;

            fn dictionary(bytes: &[u8], count: usize, data_type: &DataType) -> ParquetResult<(Vec<Self>, ArrayRef)> {
                let (found, _) = bytes.as_chunks();
                let found = found.get(..count).ok_or_else(|| cut_dictionary(count, bytes))?;
                let values: Vec<Self> = found.iter().map(|value| <$native>::from_le_bytes(*value)).collect();
                let array = Self::array(values.clone(), None, data_type)?;
                Ok((values, array))
            }

            fn read(bytes: &mut bytes::Bytes, out: &mut [Self]) -> ParquetResult<()> {
                let taken = front::<$native>(bytes, out.len())?;
                let (values, _) = taken.as_chunks();
                for (slot, value) in out.iter_mut().zip(values) {
                    *slot = <$native>::from_le_bytes(*value);
                }
                Ok(())
            }

            fn skip(bytes: &mut bytes::Bytes, count: usize) -> ParquetResult<()> {
                front::<$native>(bytes, count).map(drop)
            }

            fn array(values: Vec<Self>, nulls: Option<NullBuffer>, data_type: &DataType) -> ParquetResult<ArrayRef> {
                let builder = ArrayData::builder(data_type.clone()).len(values.len()).nulls(nulls);
                let to_buffer: fn(Vec<$native>, &DataType) -> Buffer = $to_buffer;
                let data = builder.add_buffer(to_buffer(values, data_type)).build();
                Ok(make_array(data.map_err(ParquetError::from)?))
            }
        }
    )*};
}

numbers! {
    i32 => narrowed;
    i64 => |values, _| Buffer::from_vec(values);
    f32 => |values, _| Buffer::from_vec(values);
    f64 => |values, _| Buffer::from_vec(values);
}

/// Integers of 8 and 16 bits are stored in 32: what is above is dropped, as the library does.
fn narrowed(values: Vec<i32>, data_type: &DataType) -> Buffer {
    match data_type.primitive_width() {
        Some(1) => values.iter().map(|value| *value as u8).collect::<Vec<_>>().into(),
        Some(2) => values.iter().map(|value| *value as u16).collect::<Vec<_>>().into(),
        _ => Buffer::from_vec(values),
    }
}

/// Takes the bytes of `count` values off the front.
fn front<T>(bytes: &mut bytes::Bytes, count: usize) -> ParquetResult<bytes::Bytes> {
    if count > bytes.len() / size_of::<T>() {
        return Err(ParquetError::EOF("the values of a page end early".into()));
    }
    Ok(bytes.split_to(count * size_of::<T>()))
}

fn cut_dictionary(count: usize, bytes: &[u8]) -> ParquetError {
    ParquetError::EOF(format!("a dictionary of {count} values in {} bytes", bytes.len()))
}

/// A timestamp as Impala and Spark used to store it: nanoseconds of a day, then the day's Julian number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Int96 {
    nanoseconds: i64,
    day: i32,
}

/// Julian number of 1970-01-01.
const EPOCH_DAY: i64 = 2_440_588;
const DAY_SECONDS: i64 = 86_400;

/// A timestamp that its type cannot hold.
#[derive(Debug, thiserror::Error)]
#[error(
    "a timestamp stored as INT96, {seconds} seconds and {nanoseconds} nanoseconds after 1970, does not fit {data_type}"
)]
pub(super) struct Unfit {
    seconds: i64,
    nanoseconds: i64,
    data_type: DataType,
}

impl Int96 {
    fn of(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, day @ ..] = bytes;
        Self { nanoseconds: i64::from_le_bytes([a, b, c, d, e, f, g, h]), day: i32::from_le_bytes(day) }
    }

    /// In the unit of `data_type`, if it is exactly that.
    fn timestamp(self, data_type: &DataType) -> ParquetResult<i64> {
        let seconds = (i64::from(self.day) - EPOCH_DAY) * DAY_SECONDS + self.nanoseconds.div_euclid(1_000_000_000);
        let nanoseconds = self.nanoseconds.rem_euclid(1_000_000_000);
        let a_second: i64 = match data_type {
            DataType::Timestamp(TimeUnit::Second, _) => 1,
            DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
            _ => 1_000_000_000,
        };
        let unit = 1_000_000_000 / a_second;
        // Before 1970 the whole seconds may be beyond what the sum is within.
        let sum = i128::from(seconds) * i128::from(a_second) + i128::from(nanoseconds / unit);
        i64::try_from(sum).ok().filter(|_| nanoseconds % unit == 0).ok_or_else(|| {
            ParquetError::External(Box::new(Unfit { seconds, nanoseconds, data_type: data_type.clone() }))
        })
    }
}

impl Physical for Int96 {
    const PLAIN: bool = true;

    fn dictionary(bytes: &[u8], count: usize, data_type: &DataType) -> ParquetResult<(Vec<Self>, ArrayRef)> {
        let found = bytes.as_chunks().0.get(..count).ok_or_else(|| cut_dictionary(count, bytes))?;
        let values: Vec<Self> = found.iter().map(|value| Self::of(*value)).collect();
        let array = Self::array(values.clone(), None, data_type)?;
        Ok((values, array))
    }

    fn read(bytes: &mut bytes::Bytes, out: &mut [Self]) -> ParquetResult<()> {
        let taken = front::<[u8; 12]>(bytes, out.len())?;
        for (slot, value) in out.iter_mut().zip(taken.as_chunks().0) {
            *slot = Self::of(*value);
        }
        Ok(())
    }

    fn skip(bytes: &mut bytes::Bytes, count: usize) -> ParquetResult<()> {
        front::<[u8; 12]>(bytes, count).map(drop)
    }

    fn array(values: Vec<Self>, nulls: Option<NullBuffer>, data_type: &DataType) -> ParquetResult<ArrayRef> {
        let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        let converted =
            values.iter().enumerate().map(|(row, value)| if valid(row) { value.timestamp(data_type) } else { Ok(0) });
        i64::array(converted.collect::<ParquetResult<_>>()?, nulls, data_type)
    }
}

/// Text: its dictionary alone is read here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Text;

impl Physical for Text {
    const PLAIN: bool = false;

    fn dictionary(bytes: &[u8], count: usize, _: &DataType) -> ParquetResult<(Vec<Self>, ArrayRef)> {
        let cut = || cut_dictionary(count, bytes);
        // Each value stands behind its length.
        let lengths = count.checked_mul(4).filter(|lengths| *lengths <= bytes.len()).ok_or_else(cut)?;
        let mut text = Vec::with_capacity(bytes.len() - lengths);
        let mut ends = Vec::with_capacity(count + 1);
        ends.push(0);
        let mut rest = bytes;
        for _ in 0..count {
            let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            let length = u32::from_le_bytes(*length) as usize;
            text.extend_from_slice(behind.get(..length).ok_or_else(cut)?);
            ends.push(i32::try_from(text.len()).map_err(|_| cut())?);
            rest = &behind[length..];
        }
        // This checks that it is UTF-8, each value by itself.
        let array = StringArray::try_new(OffsetBuffer::new(ends.into()), text.into(), None)?;
        Ok((Vec::new(), Arc::new(array)))
    }

    fn read(_: &mut bytes::Bytes, out: &mut [Self]) -> ParquetResult<()> {
        if out.is_empty() { Ok(()) } else { Err(ParquetError::NYI("plain text".into())) }
    }

    fn skip(bytes: &mut bytes::Bytes, count: usize) -> ParquetResult<()> {
        Self::read(bytes, &mut vec![Self; count])
    }

    fn array(_: Vec<Self>, _: Option<NullBuffer>, _: &DataType) -> ParquetResult<ArrayRef> {
        Err(ParquetError::NYI("plain text".into()))
    }
}

/// Whether an array of `data_type` is nothing but the values of `physical`, or their low bits.
pub(super) fn is_as_stored(physical: Type, data_type: &DataType) -> bool {
    use DataType as T;
    match physical {
        Type::INT32 => {
            matches!(data_type, T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32 | T::Date32)
        }
        Type::INT96 => matches!(data_type, T::Timestamp(..)),
        Type::INT64 => matches!(data_type, T::Int64 | T::UInt64 | T::Timestamp(..)),
        Type::FLOAT => *data_type == T::Float32,
        Type::DOUBLE => *data_type == T::Float64,
        Type::BYTE_ARRAY => *data_type == T::Utf8,
        _ => false,
    }
}
