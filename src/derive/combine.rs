//! Columns made of several, a batch at a time: joined texts, the largest value of each row, and the first that is there.

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
    let columns = arrays.iter().map(Texts::new).collect::<Result<Vec<_>>>()?;
    texts(arrays.first().map_or(0, Array::len), columns.len() * 8, |row, bytes| {
        let start = bytes.len();
        for (at, column) in columns.iter().enumerate() {
            let Some(text) = column.get(row).or(missing) else {
                bytes.truncate(start);
                return false;
            };
            if at > 0 {
                bytes.extend_from_slice(separator.as_bytes());
            }
            bytes.extend_from_slice(text.as_bytes());
        }
        true
    })
}

/// Texts row by row: `append` adds a row's bytes, which are UTF-8, or says that it has none.
fn texts(rows: usize, bytes_a_row: usize, append: impl Fn(usize, &mut Vec<u8>) -> bool) -> Result<ArrayRef> {
    let mut bytes: Vec<u8> = Vec::with_capacity(rows * bytes_a_row);
    let mut offsets: Vec<i32> = Vec::with_capacity(rows + 1);
    let mut valid = Vec::with_capacity(rows);
    offsets.push(0);
    for row in 0..rows {
        valid.push(append(row, &mut bytes));
        let end = i32::try_from(bytes.len()).map_err(|_| {
            Error::data(Site::default().at_row(row as u64), "the texts of these rows are more than 2 GiB")
        })?;
        offsets.push(end);
    }
    let nulls = (!valid.iter().all(|valid| *valid)).then(|| NullBuffer::from(valid));
    let made = StringArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(bytes), nulls);
    Ok(Arc::new(made.map_err(|e| Error::failed("joining texts", e))?))
}

/// The first value of each row that is not missing, as `data_type`, which holds the values of all. What stands behind it is
/// not looked at: it need not fit.
pub(super) fn coalesce(arrays: &[ArrayRef], data_type: &DataType) -> Result<ArrayRef> {
    let rows = arrays.first().map_or(0, Array::len);
    if *data_type == DataType::Utf8 {
        let columns = arrays.iter().map(Texts::new).collect::<Result<Vec<_>>>()?;
        return texts(rows, 8, |row, bytes| match columns.iter().find_map(|column| column.get(row)) {
            Some(text) => {
                bytes.extend_from_slice(text.as_bytes());
                true
            }
            None => false,
        });
    }
    let failed = |e| Error::failed("combining columns", e);
    let mut found = new_null_array(data_type, rows);
    if *data_type == DataType::Null {
        return Ok(found);
    }
    for array in arrays.iter().filter(|array| *array.data_type() != DataType::Null) {
        let Some(there) = found.logical_nulls().map(|nulls| BooleanArray::new(nulls.into_inner(), None)) else { break };
        let wanted = nullif(&plain(array)?, &there).map_err(failed)?;
        found = zip(&there, &found, &schema::conform(&wanted, data_type, 0)?).map_err(failed)?;
    }
    Ok(found)
}

/// The values of `array` without codes, NaN being missing.
fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    without_nan(match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values).map_err(|e| Error::failed("reading a dictionary", e))?,
        _ => Arc::clone(array),
    })
}

/// `array` as plain values of `data_type`, NaN being missing.
pub(super) fn comparable(array: &ArrayRef, data_type: &DataType, first_row: u64) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Null => Ok(new_null_array(data_type, array.len())),
        _ => schema::conform(&plain(array)?, data_type, first_row),
    }
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
