//! `simple_imputer`: one value for all that is missing, and the indicator of what was. Null is missing, and in float columns
//! NaN too. The type of the result is the fitted one; it never depends on a batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, StringArray, StringBuilder, UInt8Array};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use serde::{Deserialize, Serialize};

use super::type_name;
use crate::error::{Error, Result};

/// A fitted imputer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impute {
    /// What a missing value becomes.
    pub fill: Fill,
    /// Type of the result: the column's, but Float64 for the mean of integers and decimals.
    #[serde(with = "type_name")]
    pub data_type: DataType,
    /// Whether an indicator is made: 1 where the value was missing.
    pub indicator: bool,
}

/// A value that stands for the missing ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Fill {
    /// In a column of booleans.
    Bool(bool),
    /// In a column of signed integers.
    Int(i64),
    /// In a column of unsigned integers.
    UInt(u64),
    /// In a column of floats, already rounded to its type; always finite.
    Float(f64),
    /// In a column of text.
    Text(String),
}

impl Fill {
    /// The value as scalers see it: booleans as 0 and 1, nothing for text.
    pub fn number(&self) -> Option<f64> {
        Some(match self {
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Int(value) => *value as f64,
            Self::UInt(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Text(_) => return None,
        })
    }
}

/// `$apply::<T>($args)` with the arrow type of a primitive numeric `DataType`.
macro_rules! by_type {
    ($data_type:expr, $apply:ident($($args:expr),*), $other:expr) => {
        match $data_type {
            DataType::Int8 => $apply::<Int8Type>($($args),*),
            DataType::Int16 => $apply::<Int16Type>($($args),*),
            DataType::Int32 => $apply::<Int32Type>($($args),*),
            DataType::Int64 => $apply::<Int64Type>($($args),*),
            DataType::UInt8 => $apply::<UInt8Type>($($args),*),
            DataType::UInt16 => $apply::<UInt16Type>($($args),*),
            DataType::UInt32 => $apply::<UInt32Type>($($args),*),
            DataType::UInt64 => $apply::<UInt64Type>($($args),*),
            DataType::Float16 => $apply::<Float16Type>($($args),*),
            DataType::Float32 => $apply::<Float32Type>($($args),*),
            DataType::Float64 => $apply::<Float64Type>($($args),*),
            _ => $other,
        }
    };
}

impl Impute {
    /// The array with every missing value filled.
    ///
    /// # Errors
    /// [`Error::Failed`] for an array of another type than the fit was made for.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let refuse = || Error::failed("cannot impute a column", format!("{} with {:?}", array.data_type(), self.fill));
        if let Fill::Text(fill) = &self.fill {
            return array.as_string_opt().map(|array| fill_text(array, fill)).ok_or_else(refuse);
        }
        if let Fill::Bool(fill) = self.fill {
            let array = array.as_boolean_opt().ok_or_else(refuse)?;
            return Ok(match array.nulls() {
                None => Arc::new(array.clone()),
                Some(nulls) if fill => Arc::new(BooleanArray::new(array.values() | &!nulls.inner(), None)),
                Some(nulls) => Arc::new(BooleanArray::new(array.values() & nulls.inner(), None)),
            });
        }
        let array = match array.data_type() == &self.data_type {
            true => Arc::clone(array),
            false => cast(array, &self.data_type).map_err(|e| Error::failed("cannot impute a column", e))?,
        };
        by_type!(self.data_type, fill_numbers(&array, &self.fill), None).ok_or_else(refuse)
    }
}

/// The fill as a value of the array's type, put where values are null or NaN.
fn fill_numbers<T: ArrowPrimitiveType>(array: &ArrayRef, fill: &Fill) -> Option<ArrayRef> {
    let array = array.as_primitive_opt::<T>()?;
    let fill = native::<T>(fill)?;
    let is_float = T::DATA_TYPE.is_floating();
    if array.null_count() == 0 && !is_float {
        return Some(Arc::new(array.clone()));
    }
    // Only NaN differs from itself; on integers the comparison is compiled away.
    #[expect(clippy::eq_op, reason = "this is the test for NaN that every native type has")]
    let known = |x: &T::Native| if is_float && *x != *x { fill } else { *x };
    let mut values: Vec<T::Native> = array.values().iter().map(known).collect();
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        values.iter_mut().zip(nulls.iter()).for_each(|(value, valid)| {
            if !valid {
                *value = fill;
            }
        });
    }
    Some(Arc::new(PrimitiveArray::<T>::new(values.into(), None)))
}

/// The fill as a native value; nothing when it does not fit.
fn native<T: ArrowPrimitiveType>(fill: &Fill) -> Option<T::Native> {
    let wide: ArrayRef = match fill {
        Fill::Int(value) => Arc::new(arrow::array::Int64Array::from(vec![*value])),
        Fill::UInt(value) => Arc::new(arrow::array::UInt64Array::from(vec![*value])),
        Fill::Float(value) => Arc::new(arrow::array::Float64Array::from(vec![*value])),
        Fill::Bool(_) | Fill::Text(_) => return None,
    };
    let narrow = cast(&wide, &T::DATA_TYPE).ok()?;
    narrow.is_valid(0).then(|| narrow.as_primitive::<T>().value(0))
}

/// `fill` as a column of `data_type` holds it, or nothing when it does not fit without loss of range: floats are rounded,
/// integers never.
pub fn fitted(fill: Fill, data_type: &DataType) -> Option<Fill> {
    fn rounded<T: ArrowPrimitiveType>(fill: Fill) -> Option<Fill> {
        let value = PrimitiveArray::<T>::new(vec![native::<T>(&fill)?].into(), None);
        let wide = cast(&value, &DataType::Float64).ok()?.as_primitive::<Float64Type>().value(0);
        if T::DATA_TYPE.is_floating() { wide.is_finite().then_some(Fill::Float(wide)) } else { Some(fill) }
    }
    let integral = match fill {
        Fill::Float(value) if data_type.is_integer() => {
            // 2^63 is where `as` would saturate.
            let whole = value.trunc() == value && value.abs() < 9_223_372_036_854_775_808.0;
            Fill::Int(whole.then_some(value as i64)?)
        }
        other => other,
    };
    let integral = match integral {
        Fill::Int(value) if data_type.is_unsigned_integer() => Fill::UInt(u64::try_from(value).ok()?),
        other => other,
    };
    match (&integral, data_type) {
        (Fill::Text(_), DataType::Utf8) | (Fill::Bool(_), DataType::Boolean) => Some(integral),
        _ => by_type!(data_type, rounded(integral), None),
    }
}

fn fill_text(array: &StringArray, fill: &str) -> ArrayRef {
    if array.null_count() == 0 {
        return Arc::new(array.clone());
    }
    let bytes = array.value_data().len() + fill.len() * array.null_count();
    let mut filled = StringBuilder::with_capacity(array.len(), bytes);
    array.iter().for_each(|value| filled.append_value(value.unwrap_or(fill)));
    Arc::new(filled.finish())
}

/// 1 where the array's value is missing, else 0.
pub fn indicator(array: &ArrayRef) -> ArrayRef {
    let nan: Option<Vec<u8>> = match array.data_type() {
        DataType::Float64 => {
            Some(array.as_primitive::<Float64Type>().values().iter().map(|x| u8::from(x.is_nan())).collect())
        }
        DataType::Float32 => {
            Some(array.as_primitive::<Float32Type>().values().iter().map(|x| u8::from(x.is_nan())).collect())
        }
        DataType::Float16 => {
            Some(array.as_primitive::<Float16Type>().values().iter().map(|x| u8::from(x.is_nan())).collect())
        }
        _ => None,
    };
    let mut missing = nan.unwrap_or_else(|| vec![0; array.len()]);
    if let Some(nulls) = array.logical_nulls() {
        missing.iter_mut().zip(nulls.iter()).for_each(|(missing, valid)| *missing |= u8::from(!valid));
    }
    Arc::new(UInt8Array::from(missing))
}
