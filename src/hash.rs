//! The hash contract `xxh3-v1`: which bytes of a row decide its rank. Frozen; a change is a new version.
//!
//! - The **canonical bytes** of a value do not depend on the shard's format: text is its UTF-8, integers and integral
//!   floats their decimal digits, other floats their shortest decimal that reads back the same, booleans `true` and
//!   `false`, dates and timestamps the decimal nanoseconds since 1970-01-01 UTC, binary its bytes.
//! - The **field hash** of a value is `XXH3_64(canonical bytes)`; that of a missing value is `XXH3_64` of no bytes
//!   with seed 1. NaN is missing.
//! - The **key hash** of a row is its field hash, with one key column; with several, `XXH3_64` of the little-endian
//!   field hashes in the recipe's order; without a key, `XXH3_64` of the field hash of the shard's name followed by
//!   the row's number in the shard, both as little-endian `u64`.
//! - The **rank hash** is `XXH3_64` of the little-endian key hash with seed `split.random_state`.
//! - The **wide hash** of a group or of a key that is to be unique is `XXH3_128` of the canonical bytes; with several columns,
//!   `XXH3_128` of their little-endian wide hashes in the recipe's order. A row that lacks any of the columns has none.
//!   A row that is a group of its own has `XXH3_128` of its little-endian key hash with seed 1.
//! - The **rank of a group** is `XXH3_64` of its little-endian wide hash with seed `split.random_state`.
//!
//! It never looks at anything but the values given.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{ByteArrayType, DataType, Float64Type, Int32Type, Int64Type, TimeUnit, UInt64Type};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128, xxh3_128_with_seed};

use crate::error::{Error, Result};

/// Name of the contract, as the manifest states it.
pub const CONTRACT: &str = "xxh3-v1";

/// Field hash of a missing value.
pub fn missing() -> u64 {
    xxh3_64_with_seed(b"", 1)
}

/// Rank hash of a row with this key hash.
#[inline]
pub fn rank(key_hash: u64, random_state: u64) -> u64 {
    xxh3_64_with_seed(&key_hash.to_le_bytes(), random_state)
}

/// Wide hash of a row that has none.
pub const NO_GROUP: u128 = 0;

/// Rank of a group with this wide hash.
#[inline]
pub fn group_rank(group: u128, random_state: u64) -> u64 {
    xxh3_64_with_seed(&group.to_le_bytes(), random_state)
}

/// Wide hash of a row that is a group of its own, by its key hash.
#[inline]
pub fn own_group(key_hash: u64) -> u128 {
    xxh3_128_with_seed(&key_hash.to_le_bytes(), 1).max(1)
}

/// Key hashes of rows that are known by their place alone.
pub fn of_positions(shard: &str, rows: std::ops::Range<u64>) -> Vec<u64> {
    let mut place = [0u8; 16];
    place[..8].copy_from_slice(&xxh3_64(shard.as_bytes()).to_le_bytes());
    rows.map(|row| {
        place[8..].copy_from_slice(&row.to_le_bytes());
        xxh3_64(&place)
    })
    .collect()
}

/// Key hashes of rows with several key columns: `fields` holds each column's field hashes.
pub fn combine(fields: &[Vec<u64>]) -> Vec<u64> {
    let rows = fields.first().map_or(0, Vec::len);
    let mut bytes = vec![0u8; fields.len() * 8];
    (0..rows)
        .map(|row| {
            for (slot, column) in bytes.chunks_exact_mut(8).zip(fields) {
                slot.copy_from_slice(&column[row].to_le_bytes());
            }
            xxh3_64(&bytes)
        })
        .collect()
}

/// Wide hashes of rows with these columns: `fields` holds each column's.
pub fn combine_wide(fields: &[&[u128]]) -> Vec<u128> {
    let rows = fields.first().map_or(0, |column| column.len());
    let mut bytes = vec![0u8; fields.len() * 16];
    let combined = |row: usize| {
        for (slot, column) in bytes.chunks_exact_mut(16).zip(fields) {
            if column[row] == NO_GROUP {
                return NO_GROUP;
            }
            slot.copy_from_slice(&column[row].to_le_bytes());
        }
        xxh3_128(&bytes).max(1)
    };
    match fields {
        [one] => one.to_vec(),
        _ => (0..rows).map(combined).collect(),
    }
}

/// Appends the field hash of every row of `array` to `out`.
///
/// # Errors
/// [`Error::Failed`] for a type that has no canonical bytes.
pub fn fields(array: &dyn Array, out: &mut Vec<u64>) -> Result<()> {
    hashed(array, (xxh3_64, missing()), out)
}

/// Appends the wide hash of every row of `array` to `out`, [`NO_GROUP`] for a missing value.
///
/// # Errors
/// [`Error::Failed`] for a type that has no canonical bytes.
pub fn wide_fields(array: &dyn Array, out: &mut Vec<u128>) -> Result<()> {
    // Zero is taken; that a value's hash is zero happens once in 2^128.
    hashed(array, (|bytes: &[u8]| xxh3_128(bytes).max(1), NO_GROUP), out)
}

/// Appends the hash of every row; `hash` is that of bytes and that of a missing value.
fn hashed<H: Copy>(array: &dyn Array, hash: (impl Fn(&[u8]) -> H + Copy, H), out: &mut Vec<H>) -> Result<()> {
    match array.data_type() {
        DataType::Dictionary(_, _) => {
            let dictionary = as_int32_dictionary(array)?;
            let dictionary = dictionary.as_dictionary::<Int32Type>();
            // A value is hashed once an array, and never one more than the array has rows.
            if dictionary.values().len() > dictionary.len() {
                let plain = cast(dictionary, dictionary.values().data_type());
                return hashed(&plain.map_err(|e| Error::failed("reading a dictionary", e))?, hash, out);
            }
            let mut of_values = Vec::with_capacity(dictionary.values().len());
            hashed(dictionary.values().as_ref(), hash, &mut of_values)?;
            out.extend(dictionary.keys().iter().map(|key| key.map_or(hash.1, |key| of_values[key as usize])));
        }
        DataType::Binary => hashed_bytes(array.as_binary::<i32>(), hash, out),
        DataType::Utf8 => hashed_bytes(array.as_string::<i32>(), hash, out),
        _ => hashed_bytes(&*canonical_text(array)?, hash, out),
    }
    Ok(())
}

fn hashed_bytes<T: ByteArrayType<Offset = i32>, H: Copy>(
    array: &GenericByteArray<T>,
    (hash, absent): (impl Fn(&[u8]) -> H, H),
    out: &mut Vec<H>,
) {
    let offsets = array.value_offsets();
    let data = array.value_data();
    out.extend((0..array.len()).map(|row| {
        if array.is_null(row) { absent } else { hash(&data[offsets[row] as usize..offsets[row + 1] as usize]) }
    }));
}

fn as_int32_dictionary(array: &dyn Array) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(key, _) if **key == DataType::Int32 => Ok(array.slice(0, array.len())),
        DataType::Dictionary(_, value) => {
            let target = DataType::Dictionary(Box::new(DataType::Int32), value.clone());
            cast(array, &target).map_err(|e| Error::failed("normalising a dictionary", e))
        }
        other => Err(Error::failed("normalising a dictionary", format!("{other} is none"))),
    }
}

/// The canonical bytes of every value of `array` as text; NaN is null.
///
/// # Errors
/// [`Error::Failed`] for a type that has no canonical text.
pub fn canonical_text(array: &dyn Array) -> Result<Cow<'_, StringArray>> {
    let failed = |e| Error::failed("formatting a key", e);
    let text = match array.data_type() {
        DataType::Utf8 => return Ok(Cow::Borrowed(array.as_string::<i32>())),
        DataType::Boolean => {
            let mut text = StringBuilder::with_capacity(array.len(), array.len() * 5);
            array
                .as_boolean()
                .iter()
                .for_each(|value| text.append_option(value.map(|v| if v { "true" } else { "false" })));
            text.finish()
        }
        DataType::UInt64 => digits(array.as_primitive::<UInt64Type>().iter()),
        integer if integer.is_integer() => {
            digits(cast(array, &DataType::Int64).map_err(failed)?.as_primitive::<Int64Type>().iter())
        }
        float if float.is_floating() => {
            floats(cast(array, &DataType::Float64).map_err(failed)?.as_primitive::<Float64Type>().iter())
        }
        time if time.is_temporal() => digits(nanoseconds(array)?.into_iter()),
        _ => cast(array, &DataType::Utf8).map_err(failed)?.as_string::<i32>().clone(),
    };
    Ok(Cow::Owned(text))
}

fn digits<I: itoa::Integer>(values: impl ExactSizeIterator<Item = Option<I>>) -> StringArray {
    let mut text = StringBuilder::with_capacity(values.len(), values.len() * 8);
    let mut buffer = itoa::Buffer::new();
    values.for_each(|value| text.append_option(value.map(|v| buffer.format(v))));
    text.finish()
}

fn floats(values: impl ExactSizeIterator<Item = Option<f64>>) -> StringArray {
    const INTEGRAL: f64 = 9_007_199_254_740_992.0;
    let mut text = StringBuilder::with_capacity(values.len(), values.len() * 12);
    let (mut integer, mut float) = (itoa::Buffer::new(), ryu::Buffer::new());
    for value in values {
        match value {
            None => text.append_null(),
            Some(v) if v.is_nan() => text.append_null(),
            Some(v) if v.trunc() == v && v.abs() <= INTEGRAL => text.append_value(integer.format(v as i64)),
            Some(v) => text.append_value(float.format(v)),
        }
    }
    text.finish()
}

/// Dates and times as nanoseconds since the epoch; times of day and durations as nanoseconds.
fn nanoseconds(array: &dyn Array) -> Result<Vec<Option<i128>>> {
    let unit: i128 = match array.data_type() {
        DataType::Date32 => 86_400_000_000_000,
        DataType::Date64 => 1_000_000,
        DataType::Timestamp(unit, _) | DataType::Duration(unit) | DataType::Time32(unit) | DataType::Time64(unit) => {
            match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => 1_000_000,
                TimeUnit::Microsecond => 1_000,
                TimeUnit::Nanosecond => 1,
            }
        }
        other => return Err(Error::failed("formatting a key", format!("{other} is no time"))),
    };
    let failed = |e| Error::failed("formatting a key", e);
    let narrow = match array.data_type() {
        DataType::Date32 | DataType::Time32(_) => cast(array, &DataType::Int32).map_err(failed)?,
        _ => array.slice(0, array.len()),
    };
    let whole = cast(&narrow, &DataType::Int64).map_err(failed)?;
    Ok(whole.as_primitive::<Int64Type>().iter().map(|value| value.map(|v| i128::from(v) * unit)).collect())
}

#[cfg(test)]
mod tests;
