//! Columns made of several, a batch at a time: joined texts, and the largest value of each row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray, new_null_array};
use arrow::array::{BooleanArray, Float16Array, Float32Array, Float64Array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::kernels::cmp::gt;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Int32Type};

use crate::error::{Error, Result, Site};
use crate::schema;

/// Texts of one column, plain or under codes.
enum Texts<'a> {
    Plain(&'a StringArray),
    Codes(&'a Int32Array, &'a StringArray),
    None,
}

impl<'a> Texts<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self> {
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Ok(Self::Plain(texts));
        }
        if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>()
            && let Some(texts) = dictionary.values().as_string_opt::<i32>()
        {
            return Ok(Self::Codes(dictionary.keys(), texts));
        }
        match array.data_type() {
            DataType::Null => Ok(Self::None),
            other => Err(Error::failed("joining texts", format!("a column is {other}"))),
        }
    }

    #[inline]
    fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Codes(codes, texts) => {
                let code = codes.is_valid(row).then(|| codes.value(row) as usize)?;
                texts.is_valid(code).then(|| texts.value(code))
            }
            Self::None => None,
        }
    }
}

/// The texts of each row with `separator` between them. A missing one is `missing`, or makes the row's missing.
pub(super) fn concat(arrays: &[ArrayRef], separator: &str, missing: Option<&str>) -> Result<ArrayRef> {
    let rows = arrays.first().map_or(0, Array::len);
    let columns = arrays.iter().map(Texts::new).collect::<Result<Vec<_>>>()?;
    let mut bytes: Vec<u8> = Vec::with_capacity(rows * columns.len() * 8);
    let mut offsets: Vec<i32> = Vec::with_capacity(rows + 1);
    let mut valid = Vec::with_capacity(rows);
    offsets.push(0);
    for row in 0..rows {
        let start = bytes.len();
        let mut whole = true;
        for (at, column) in columns.iter().enumerate() {
            let Some(text) = column.get(row).or(missing) else {
                whole = false;
                bytes.truncate(start);
                break;
            };
            if at > 0 {
                bytes.extend_from_slice(separator.as_bytes());
            }
            bytes.extend_from_slice(text.as_bytes());
        }
        valid.push(whole);
        let end = i32::try_from(bytes.len()).map_err(|_| {
            Error::data(Site::default().at_row(row as u64), "the joined texts of these rows are more than 2 GiB")
        })?;
        offsets.push(end);
    }
    let nulls = (!valid.iter().all(|valid| *valid)).then(|| NullBuffer::from(valid));
    let joined = StringArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(bytes), nulls);
    Ok(Arc::new(joined.map_err(|e| Error::failed("joining texts", e))?))
}

/// `array` as plain values of `data_type`, NaN being missing.
pub(super) fn comparable(array: &ArrayRef, data_type: &DataType, first_row: u64) -> Result<ArrayRef> {
    let plain = match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values).map_err(|e| Error::failed("reading a dictionary", e))?,
        DataType::Null => return Ok(new_null_array(data_type, array.len())),
        _ => Arc::clone(array),
    };
    schema::conform(&without_nan(plain)?, data_type, first_row)
}

/// The same values with NaN as missing.
pub(super) fn without_nan(array: ArrayRef) -> Result<ArrayRef> {
    let is_nan: BooleanBuffer = if let Some(values) = array.as_any().downcast_ref::<Float64Array>() {
        values.values().iter().map(|value| value.is_nan()).collect()
    } else if let Some(values) = array.as_any().downcast_ref::<Float32Array>() {
        values.values().iter().map(|value| value.is_nan()).collect()
    } else if let Some(values) = array.as_any().downcast_ref::<Float16Array>() {
        values.values().iter().map(|value| value.is_nan()).collect()
    } else {
        return Ok(array);
    };
    if is_nan.count_set_bits() == 0 {
        return Ok(array);
    }
    nullif(&array, &BooleanArray::new(is_nan, None)).map_err(|e| Error::failed("marking missing values", e))
}

/// The larger value of each row, or the one there is. -0.0 is less than 0.0.
pub(super) fn larger(a: &ArrayRef, b: &ArrayRef) -> Result<ArrayRef> {
    if *a.data_type() == DataType::Null {
        return Ok(Arc::clone(a));
    }
    let failed = |e| Error::failed("comparing columns", e);
    let greater = gt(b, a).map_err(failed)?;
    let mut takes_b = match greater.nulls() {
        Some(nulls) => greater.values() & nulls.inner(),
        None => greater.values().clone(),
    };
    if let Some(of_a) = a.logical_nulls() {
        let only_b = match b.logical_nulls() {
            Some(of_b) => &!of_a.inner() & of_b.inner(),
            None => !of_a.inner(),
        };
        takes_b = &takes_b | &only_b;
    }
    zip(&BooleanArray::new(takes_b, None), b, a).map_err(failed)
}
