//! What is known of each input column over all rows, as plain numbers: the source of metadata, `inspect` and the
//! choice of encodings.

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use crate::state::{ColumnState, Number, NumberVocabulary, Values};

/// One column of the input, over all rows read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// Its type, as arrow writes it.
    pub data_type: String,
    /// Its type as pandas names it.
    pub pandas_type: String,
    /// Rows.
    pub rows: u64,
    /// Rows without a value.
    pub nulls: u64,
    /// Values that are not a number.
    pub nan: u64,
    /// Distinct values.
    pub distinct: u64,
    /// Whether `distinct` is an estimate.
    pub distinct_estimated: bool,
    /// Bytes its values take in arrow's layout.
    pub bytes: u64,
    /// Smallest and largest number.
    pub range: Option<(Number, Number)>,
    /// Mean of the numbers.
    pub mean: Option<f64>,
    /// Standard deviation of the numbers, with divisor n - 1.
    pub std: Option<f64>,
    /// The most frequent values with their rows, where values were kept: count down, then value up.
    pub top: Vec<(String, u64)>,
}

/// How many of the most frequent values are kept.
const TOP: usize = 20;

impl ColumnFacts {
    /// The facts of a column of this name and type, whose texts take `value_bytes`.
    pub fn new(field: &Field, state: &ColumnState, value_bytes: u64) -> Self {
        let (distinct, distinct_estimated) = state.distinct();
        let (mut nan, mut range, mut mean, mut std, mut top) = (0, None, None, None, Vec::new());
        match &state.values {
            Values::Number(number) => {
                nan = number.moments.nan;
                range = number.range();
                mean = number.moments.mean();
                std = number.moments.std(1);
                let vocabulary =
                    number.vocabulary.as_ref().and_then(NumberVocabulary::by_frequency).unwrap_or_default();
                top = vocabulary.into_iter().take(TOP).map(|(value, rows)| (value.to_string(), rows)).collect();
            }
            Values::Text(text) => {
                let vocabulary = text.vocabulary().map(|vocabulary| vocabulary.by_frequency(TOP)).unwrap_or_default();
                top = vocabulary.into_iter().map(|(value, rows)| (value.to_string(), rows)).collect();
            }
            Values::Bool { r#true, r#false } => {
                top = vec![("true".to_string(), *r#true), ("false".to_string(), *r#false)];
                top.retain(|(_, rows)| *rows > 0);
                top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            }
            _ => {}
        }
        let width = field.data_type().primitive_width().map_or(4, |width| width as u64);
        Self {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            pandas_type: pandas_type(field.data_type(), state.nulls > 0).into(),
            rows: state.rows,
            nulls: state.nulls,
            nan,
            // An estimate may overshoot; there are never more distinct values than values.
            distinct: distinct.min(state.rows - state.nulls),
            distinct_estimated,
            bytes: state.rows * width + value_bytes,
            range,
            mean,
            std,
            top,
        }
    }

    /// Mean bytes of a value without a fixed width, rounded up.
    pub fn mean_value_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.rows * 4).div_ceil(self.rows.max(1)).max(1)
    }
}

/// A type as pandas names it; an integer column with a missing value is float64 there, a boolean one object.
pub fn pandas_type(data_type: &DataType, has_nulls: bool) -> &'static str {
    match data_type {
        DataType::Boolean if !has_nulls => "bool",
        DataType::Int8 if !has_nulls => "int8",
        DataType::Int16 if !has_nulls => "int16",
        DataType::Int32 if !has_nulls => "int32",
        DataType::Int64 if !has_nulls => "int64",
        DataType::UInt8 if !has_nulls => "uint8",
        DataType::UInt16 if !has_nulls => "uint16",
        DataType::UInt32 if !has_nulls => "uint32",
        DataType::UInt64 if !has_nulls => "uint64",
        integer if integer.is_integer() => "float64",
        DataType::Float16 => "float16",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Date64 | DataType::Timestamp(_, None) => "datetime64[ns]",
        DataType::Timestamp(_, Some(_)) => "datetime64[ns, UTC]",
        DataType::Duration(_) => "timedelta64[ns]",
        _ => "object",
    }
}
