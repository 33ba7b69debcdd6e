//! The physical types that are decoded here, and the arrays that are made of them.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, StringArray, make_array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};
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
fn front<T: ArrowNativeType>(bytes: &mut bytes::Bytes, count: usize) -> ParquetResult<bytes::Bytes> {
    if count > bytes.len() / size_of::<T>() {
        return Err(ParquetError::EOF("the values of a page end early".into()));
    }
    Ok(bytes.split_to(count * size_of::<T>()))
}

fn cut_dictionary(count: usize, bytes: &[u8]) -> ParquetError {
    ParquetError::EOF(format!("a dictionary of {count} values in {} bytes", bytes.len()))
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
        Type::INT64 => matches!(data_type, T::Int64 | T::UInt64 | T::Timestamp(..)),
        Type::FLOAT => *data_type == T::Float32,
        Type::DOUBLE => *data_type == T::Float64,
        Type::BYTE_ARRAY => *data_type == T::Utf8,
        _ => false,
    }
}
