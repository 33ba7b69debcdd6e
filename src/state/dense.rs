//! Arrow arrays as slices of the values that are there, in one of three 64-bit types. Never copies a column that has no
//! nulls and the right width already.

use std::cell::RefCell;

use arrow::array::{Array, ArrayData, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, DataType};

use super::kernel::Tables;
use crate::error::{Error, Result};

/// Below this many values in a word of 64, picking them one by one beats copying all 64.
const FEW: u32 = 24;

/// Buffers that the numeric columns of a thread share, batch after batch.
pub(super) struct Scratch {
    pub tables: Tables,
    pub floats: Vec<f64>,
    pub more_floats: Vec<f64>,
    pub counts: Vec<u32>,
    pub ints: Vec<i64>,
    pub uints: Vec<u64>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            tables: Tables::new(),
            floats: Vec::new(),
            more_floats: Vec::new(),
            counts: Vec::new(),
            ints: Vec::new(),
            uints: Vec::new(),
        }
    }
}

thread_local! {
    /// Contents never outlive a call: only the allocation does.
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// The values of a float or decimal array, widened; nothing for another type.
pub(super) fn floats<'a>(array: &'a PlainArray, buffer: &'a mut Vec<f64>) -> Option<&'a [f64]> {
    match array.data_type() {
        DataType::Float64 => Some(array.values::<f64>(buffer)),
        DataType::Float32 => Some(array.widened::<f32, _>(buffer)),
        _ => None,
    }
}

/// The values of a signed integer array, widened; nothing for another type.
pub(super) fn ints<'a>(array: &'a PlainArray, buffer: &'a mut Vec<i64>) -> Option<&'a [i64]> {
    match array.data_type() {
        DataType::Int64 => Some(array.values::<i64>(buffer)),
        DataType::Int32 => Some(array.widened::<i32, _>(buffer)),
        DataType::Int16 => Some(array.widened::<i16, _>(buffer)),
        DataType::Int8 => Some(array.widened::<i8, _>(buffer)),
        _ => None,
    }
}

/// The values of an unsigned integer array, widened; nothing for another type.
pub(super) fn uints<'a>(array: &'a PlainArray, buffer: &'a mut Vec<u64>) -> Option<&'a [u64]> {
    match array.data_type() {
        DataType::UInt64 => Some(array.values::<u64>(buffer)),
        DataType::UInt32 => Some(array.widened::<u32, _>(buffer)),
        DataType::UInt16 => Some(array.widened::<u16, _>(buffer)),
        DataType::UInt8 => Some(array.widened::<u8, _>(buffer)),
        _ => None,
    }
}

/// The raw values of a date, time, timestamp or duration array, widened; nothing for another type.
pub(super) fn times<'a>(array: &'a PlainArray, buffer: &'a mut Vec<i64>) -> Option<&'a [i64]> {
    match array.data_type() {
        DataType::Date32 | DataType::Time32(_) => Some(array.widened::<i32, _>(buffer)),
        DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Duration(_) => {
            Some(array.values::<i64>(buffer))
        }
        _ => None,
    }
}

/// An array of a width that a slice can be taken of.
pub(super) struct PlainArray {
    data: ArrayData,
}

impl PlainArray {
    /// Turns half floats and decimals into doubles.
    pub(super) fn new(array: &dyn Array) -> Result<Self> {
        let plain = match array.data_type() {
            data_type if data_type == &DataType::Float16 || data_type.is_decimal() => {
                recast(array, &DataType::Float64)?
            }
            _ => return Ok(Self { data: array.to_data() }),
        };
        Ok(Self { data: plain.to_data() })
    }

    fn data_type(&self) -> &DataType {
        self.data.data_type()
    }

    fn values<'a, T: ArrowNativeType>(&'a self, buffer: &'a mut Vec<T>) -> &'a [T] {
        let values = &self.data.buffer::<T>(0)[..self.data.len()];
        match self.data.nulls() {
            Some(nulls) if nulls.null_count() > 0 => compact(values, nulls, buffer, |value| value),
            _ => values,
        }
    }

    fn widened<'a, N: ArrowNativeType, W: From<N> + Copy + Default>(&'a self, buffer: &'a mut Vec<W>) -> &'a [W] {
        let values = &self.data.buffer::<N>(0)[..self.data.len()];
        match self.data.nulls() {
            Some(nulls) if nulls.null_count() > 0 => compact(values, nulls, buffer, W::from),
            _ => {
                buffer.clear();
                buffer.extend(values.iter().map(|value| W::from(*value)));
                buffer
            }
        }
    }
}

fn recast(array: &dyn Array, to: &DataType) -> Result<ArrayRef> {
    let what = || format!("reading {} as {to}", array.data_type());
    cast(array, to).map_err(|source| Error::failed(what(), source))
}

/// The values that are not null.
fn compact<'a, N: Copy, W: Copy + Default>(
    values: &[N],
    nulls: &NullBuffer,
    buffer: &'a mut Vec<W>,
    widen: impl Fn(N) -> W,
) -> &'a [W] {
    if buffer.len() < values.len() {
        buffer.resize(values.len(), W::default());
    }
    let mut kept = 0;
    let mut words = nulls.inner().bit_chunks().iter_padded();
    for chunk in values.chunks(64) {
        let mut word = words.next().unwrap_or(0);
        if word.count_ones() < FEW {
            while word != 0 {
                buffer[kept] = widen(chunk[word.trailing_zeros() as usize]);
                kept += 1;
                word &= word - 1;
            }
        } else {
            // Without a branch on the null: write always, keep when valid.
            let room = &mut buffer[kept..kept + chunk.len()];
            let mut at = 0;
            for (bit, &value) in chunk.iter().enumerate() {
                room[at] = widen(value);
                at += (word >> bit & 1) as usize;
            }
            kept += at;
        }
    }
    &buffer[..kept]
}
