//! What pass one learns of a column: one summary per class of types. Never holds more of the data than the step that will
//! use it asked for.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::Summary;
use super::codes::{CodeCounts, Counted};
use super::distinct::{Distinct, EXACT_LIMIT};
use super::number::{self, NumberKind};
use super::numeric::NumberState;
use super::time::TimeState;
use super::vocabulary::TextValues;
use crate::error::{Error, Result, Site};

/// How much the steps need to know about a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VocabularyNeed {
    /// Only how many distinct values there are.
    Count,
    /// The distinct values and their counts, up to a limit.
    Exact {
        /// Most distinct values to keep.
        limit: usize,
    },
}

/// The state of a column: [`ColumnState::new`] is the identity of merging for its type and need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnState {
    /// Rows seen.
    pub rows: u64,
    /// Rows without a value. NaN is not among them: see [`super::Moments::nan`].
    pub nulls: u64,
    /// What the values are.
    pub values: Values,
}

/// The values of a column, by class of types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Values {
    /// A column of type null; merges with every other.
    Null,
    /// Booleans.
    Bool {
        /// How many are true.
        r#true: u64,
        /// How many are false.
        r#false: u64,
    },
    /// Integers, floats and decimals.
    Number(NumberState),
    /// Texts, dictionary-encoded or not.
    Text(TextValues),
    /// Dates, times, timestamps and durations, as raw integers in the type's own unit.
    Time(TimeState),
    /// Byte strings.
    Binary(Distinct),
    /// Any other type: rows and nulls are all that is known.
    Opaque,
}

impl ColumnState {
    /// The state of a column of this type before the first row.
    pub fn new(data_type: &DataType, need: VocabularyNeed) -> Self {
        let number = |kind| Values::Number(NumberState::new(kind, need));
        let values = match data_type {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool { r#true: 0, r#false: 0 },
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => number(NumberKind::Int),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => number(NumberKind::UInt),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => number(NumberKind::Float),
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                number(NumberKind::Float)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Values::Text(match need {
                VocabularyNeed::Count => TextValues::with_limit(EXACT_LIMIT),
                VocabularyNeed::Exact { limit } => TextValues::with_limit(limit),
            }),
            DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(..)
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Duration(_) => Values::Time(TimeState::default()),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Values::Binary(Distinct::default())
            }
            DataType::Dictionary(_, value) => return Self::new(value, need),
            _ => Values::Opaque,
        };
        Self { rows: 0, nulls: 0, values }
    }

    /// The same state before the first row, to find out of floats whether 32 bits hold them exactly.
    #[must_use]
    pub fn asking_f32(self) -> Self {
        match self.values {
            Values::Number(state) => Self { values: Values::Number(state.asking_f32()), ..self },
            _ => self,
        }
    }

    /// The same state, had nobody asked for that.
    #[must_use]
    pub fn without_f32(self) -> Self {
        match self.values {
            Values::Number(state) => Self { values: Values::Number(state.without_f32()), ..self },
            _ => self,
        }
    }

    /// The same state, had it been collected for `need`, which asks for no more than this one was.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it asks for more.
    pub fn reduced(self, need: VocabularyNeed) -> Result<Self> {
        let values = match (self.values, need) {
            (Values::Number(state), VocabularyNeed::Count) => Values::Number(state.without_vocabulary()),
            (Values::Text(values), VocabularyNeed::Count) => Values::Text(values.limited(EXACT_LIMIT)),
            (Values::Number(state), VocabularyNeed::Exact { .. }) if state.vocabulary.is_none() => {
                return Err(other_need());
            }
            (Values::Text(values), VocabularyNeed::Exact { limit })
                if values.limit() < TextValues::with_limit(limit).limit() =>
            {
                return Err(other_need());
            }
            (values, _) => values,
        };
        Ok(Self { values, ..self })
    }

    /// Whether it can be the state of at most so many rows: all counts fit them. What is read back and is not is damaged,
    /// and would be counted on.
    pub fn fits(&self, rows: u64) -> bool {
        let Some(present) = self.rows.checked_sub(self.nulls) else { return false };
        let values_fit = match &self.values {
            Values::Null | Values::Time(_) | Values::Binary(_) | Values::Opaque => true,
            Values::Bool { r#true, r#false } => number::sum_is_at_most(present, [*r#true, *r#false]),
            Values::Number(state) => state.fits(present),
            Values::Text(state) => state.fits(present),
        };
        self.rows <= rows && values_fit
    }

    /// The number of distinct values (of a column that is not looked into: of values), and whether it is an estimate.
    pub fn distinct(&self) -> (u64, bool) {
        match &self.values {
            Values::Null => (0, false),
            Values::Bool { r#true, r#false } => (u64::from(*r#true > 0) + u64::from(*r#false > 0), false),
            Values::Number(state) => match &state.vocabulary {
                Some(vocabulary) if !vocabulary.exceeded() => (vocabulary.len() as u64, false),
                _ => state.distinct.count(),
            },
            Values::Text(state) => state.distinct(),
            Values::Time(state) => state.distinct.count(),
            Values::Binary(distinct) => distinct.count(),
            Values::Opaque => (self.rows - self.nulls, true),
        }
    }
}

impl ColumnState {
    /// Adds the rows of a dictionary-encoded column, as if their values had come one by one.
    ///
    /// # Errors
    /// [`Error::Data`] when the values are of another type than the summary was made for.
    pub fn update_counted(&mut self, counted: &Counted) -> Result<()> {
        let values = counted.values();
        match &mut self.values {
            Values::Null if *values.data_type() != DataType::Null => return Err(unexpected("nulls only", values)),
            Values::Null | Values::Opaque => {}
            Values::Bool { r#true, r#false } => {
                let plain = values.as_boolean_opt().ok_or_else(|| unexpected("booleans", values))?;
                for (value, count) in plain.values().iter().zip(counted.counts()) {
                    *(if value { &mut *r#true } else { &mut *r#false }) += u64::from(*count);
                }
            }
            Values::Number(state) => state.update_counted(counted)?,
            Values::Text(state) => state.update_counted(counted)?,
            // How often a value is there does not count.
            Values::Time(state) => state.update(values)?,
            Values::Binary(distinct) => update_binary(distinct, values)?,
        }
        self.rows += counted.rows();
        self.nulls += counted.nulls();
        Ok(())
    }
}

impl Summary for ColumnState {
    fn update(&mut self, array: &dyn Array) -> Result<()> {
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            let mut counts = CodeCounts::default();
            counts.add(dictionary)?;
            return counts.finish()?.map_or(Ok(()), |counted| self.update_counted(&counted));
        }
        match &mut self.values {
            Values::Null if *array.data_type() != DataType::Null => return Err(unexpected("nulls only", array)),
            Values::Null | Values::Opaque => {}
            Values::Bool { r#true, r#false } => {
                let plain = array.as_boolean_opt().ok_or_else(|| unexpected("booleans", array))?;
                let trues = plain.true_count() as u64;
                *r#true += trues;
                *r#false += (plain.len() - plain.null_count()) as u64 - trues;
            }
            Values::Number(state) => state.update(array)?,
            Values::Text(state) => state.update(array)?,
            Values::Time(state) => state.update(array)?,
            Values::Binary(distinct) => update_binary(distinct, array)?,
        }
        self.rows += array.len() as u64;
        self.nulls += array.logical_null_count() as u64;
        Ok(())
    }

    fn merge(&mut self, later: Self) -> Result<()> {
        match (&mut self.values, later.values) {
            (_, Values::Null) | (Values::Opaque, Values::Opaque) => {}
            (values @ Values::Null, other) => *values = other,
            (Values::Bool { r#true, r#false }, Values::Bool { r#true: more, r#false: less }) => {
                *r#true += more;
                *r#false += less;
            }
            (Values::Number(state), Values::Number(other)) => state.merge(other)?,
            (Values::Text(state), Values::Text(other)) => Summary::merge(state, other)?,
            (Values::Time(state), Values::Time(other)) => state.merge(other)?,
            (Values::Binary(distinct), Values::Binary(other)) => distinct.merge(&other),
            _ => {
                return Err(Error::data(
                    Site::default(),
                    "the column has values of different types in different shards",
                ));
            }
        }
        self.rows += later.rows;
        self.nulls += later.nulls;
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        match &self.values {
            Values::Null | Values::Bool { .. } | Values::Opaque => 0,
            Values::Number(state) => state.heap_bytes(),
            Values::Text(state) => state.heap_bytes(),
            Values::Time(state) => state.heap_bytes(),
            Values::Binary(distinct) => distinct.heap_bytes(),
        }
    }
}

/// Byte strings are told apart by their 64-bit hash: two of 2048 collide once in 10^13 columns.
fn update_binary(distinct: &mut Distinct, array: &dyn Array) -> Result<()> {
    let hashes: Vec<u64> = match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().iter().flatten().map(xxh3_64).collect(),
        DataType::LargeBinary => array.as_binary::<i64>().iter().flatten().map(xxh3_64).collect(),
        DataType::BinaryView => array.as_binary_view().iter().flatten().map(xxh3_64).collect(),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().iter().flatten().map(xxh3_64).collect(),
        _ => return Err(unexpected("byte strings", array)),
    };
    distinct.update(&hashes, |hash| hash);
    Ok(())
}

/// An array of a type that the column was not declared with.
pub(super) fn unexpected(expected: &str, array: &dyn Array) -> Error {
    Error::data(Site::default(), format!("expected {expected}, found {}", array.data_type()))
}

/// Two states that were collected under different recipes.
pub(super) fn other_need() -> Error {
    Error::Conflict("the state of a column was collected for other steps; scan again with a fresh state".to_string())
}
