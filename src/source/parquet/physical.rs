//! The physical types that are decoded here, and the arrays that are made of them.

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};
use parquet::basic::Type;
use parquet::errors::{ParquetError, Result as ParquetResult};

/// Values of a fixed width, little-endian in the file.
pub(super) trait Physical: ArrowNativeType {
    const BYTES: usize;

    /// Reads as many values as `out` has room for; `bytes` has as many.
    fn copy(bytes: &[u8], out: &mut [Self]);

    /// The values as an array of `data_type` holds them.
    fn buffer(values: Vec<Self>, _data_type: &DataType) -> Buffer {
        Buffer::from_vec(values)
    }
}

macro_rules! physical {
    ($($native:ty $({ $($more:tt)* })?),*) => {$(
        impl Physical for $native {
            const BYTES: usize = size_of::<$native>();

            fn copy(bytes: &[u8], out: &mut [Self]) {
                let (values, _) = bytes.as_chunks::<{ size_of::<$native>() }>();
                for (slot, value) in out.iter_mut().zip(values) {
                    *slot = <$native>::from_le_bytes(*value);
                }
            }

            $($($more)*)?
        }
    )*};
}

physical!(i64, f32, f64, i32 {
    /// Integers of 8 and 16 bits are stored in 32: what is above is dropped, as the library does.
    fn buffer(values: Vec<i32>, data_type: &DataType) -> Buffer {
        match data_type.primitive_width() {
            Some(1) => values.iter().map(|value| *value as u8).collect::<Vec<_>>().into(),
            Some(2) => values.iter().map(|value| *value as u16).collect::<Vec<_>>().into(),
            _ => Buffer::from_vec(values),
        }
    }
});

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
        _ => false,
    }
}

/// `values` as an array of `data_type`, for which [`is_as_stored`] holds.
pub(super) fn array<T: Physical>(
    values: Vec<T>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> ParquetResult<ArrayRef> {
    let builder = ArrayData::builder(data_type.clone()).len(values.len()).nulls(nulls);
    let data = builder.add_buffer(T::buffer(values, data_type)).build();
    Ok(make_array(data.map_err(ParquetError::from)?))
}
