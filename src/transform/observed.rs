//! What the state of a column says to a transform: its missing values, its moments, its categories with their counts; and
//! what is left of that once an imputer has filled the missing values.

use arrow::datatypes::DataType;

use super::categories::Categories;
use super::impute::Fill;
use crate::error::{Error, Result, Site};
use crate::state::{ColumnState, Moments, Number, NumberKind, Values};

/// Categories with how often each was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Sorted.
    pub categories: Categories,
    /// At the category's position.
    pub counts: Vec<u64>,
}

/// Values that are null or NaN.
pub fn missing(state: &ColumnState) -> u64 {
    match &state.values {
        Values::Number(numbers) => state.nulls + numbers.moments.nan,
        _ => state.nulls,
    }
}

/// scikit-learn's check of every input: infinities are refused.
///
/// # Errors
/// [`Error::Data`] with the column and how many there are.
pub fn refuse_infinities(name: &str, state: &ColumnState, op: &str) -> Result<()> {
    let Values::Number(numbers) = &state.values else { return Ok(()) };
    let (positive, negative) = (numbers.moments.pos_inf, numbers.moments.neg_inf);
    if positive + negative == 0 {
        return Ok(());
    }
    let message = format!(
        "{op} needs finite numbers, and the column has {positive} times +inf and {negative} times -inf; clean the data \
         or leave the column out of the transform"
    );
    Err(Error::data(Site::column(name), message))
}

/// Moments of numbers, and of booleans as 0 and 1; nothing for other columns.
pub fn moments(state: &ColumnState) -> Option<Moments> {
    match &state.values {
        Values::Number(numbers) => Some(numbers.moments.clone()),
        Values::Bool { r#true, r#false } => {
            Some(Moments::default().with_repeated(0.0, *r#false).with_repeated(1.0, *r#true))
        }
        _ => None,
    }
}

/// The categories of a column of text, integers, floats or booleans.
///
/// # Errors
/// [`Error::Data`] when there were more of them than pass one could keep; [`Error::Recipe`] for a type without categories;
/// [`Error::Failed`] when pass one did not collect them.
pub fn counted(name: &str, data_type: &DataType, state: &ColumnState, op: &str) -> Result<Counted> {
    let too_many = || {
        let message = format!(
            "{op} needs every distinct value, and there are {} of them, more than fit; leave the column out, or raise \
             run.memory",
            about(state)
        );
        Error::data(Site::column(name), message)
    };
    match &state.values {
        // Without rows, a column of text, which has no category.
        Values::Null if state.rows == 0 => Ok(Counted { categories: Categories::Text(Vec::new()), counts: Vec::new() }),
        Values::Text(texts) => {
            let sorted = texts.vocabulary().ok_or_else(too_many)?.sorted();
            let counts = sorted.iter().map(|(_, count)| *count).collect();
            let texts = sorted.into_iter().map(|(text, _)| text.to_string()).collect();
            Ok(Counted { categories: Categories::Text(texts), counts })
        }
        Values::Bool { r#true, r#false } => {
            let (values, counts) =
                [(false, *r#false), (true, *r#true)].into_iter().filter(|(_, count)| *count > 0).unzip();
            Ok(Counted { categories: Categories::Bool(values), counts })
        }
        Values::Number(numbers) if !matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            let vocabulary = numbers.vocabulary.as_ref().ok_or_else(|| {
                Error::failed(format!("cannot fit {op} on `{name}`"), "its values were not collected")
            })?;
            let sorted = vocabulary.sorted().ok_or_else(too_many)?;
            let counts = sorted.iter().map(|(_, count)| *count).collect();
            Ok(Counted { categories: numbered(numbers.kind, sorted.into_iter().map(|(number, _)| number)), counts })
        }
        _ => Err(Error::Recipe(format!(
            "{op} works on text, integers, floats and booleans, and `{name}` is {data_type}; leave it out, or set its type \
             to string in input.schema"
        ))),
    }
}

fn about(state: &ColumnState) -> String {
    let (count, estimated) = state.distinct();
    format!("{}{count}", if estimated { "about " } else { "" })
}

fn numbered(kind: NumberKind, numbers: impl Iterator<Item = Number>) -> Categories {
    // A state's numbers are all of its kind.
    match kind {
        NumberKind::Int => Categories::Int(
            numbers.filter_map(|number| if let Number::Int(value) = number { Some(value) } else { None }).collect(),
        ),
        NumberKind::UInt => Categories::UInt(
            numbers.filter_map(|number| if let Number::UInt(value) = number { Some(value) } else { None }).collect(),
        ),
        NumberKind::Float => Categories::Float(numbers.map(Number::to_f64).collect()),
    }
}

impl Counted {
    /// The most frequent category; of several the smallest.
    pub fn most_frequent(&self) -> Option<Fill> {
        let at = (0..self.counts.len()).min_by_key(|at| (std::cmp::Reverse(self.counts[*at]), *at))?;
        Some(match &self.categories {
            Categories::Text(values) => Fill::Text(values[at].clone()),
            Categories::Int(values) => Fill::Int(values[at]),
            Categories::UInt(values) => Fill::UInt(values[at]),
            Categories::Float(values) => Fill::Float(values[at]),
            Categories::Bool(values) => Fill::Bool(values[at]),
        })
    }

    /// The same with `times` more of `fill`, which is a value of the column's type.
    pub fn with_repeated(mut self, fill: &Fill, times: u64) -> Self {
        if times == 0 {
            return self;
        }
        let counts = &mut self.counts;
        match (&mut self.categories, fill) {
            (Categories::Text(values), Fill::Text(fill)) => add(values, counts, fill.clone(), times, String::cmp),
            (Categories::Int(values), Fill::Int(fill)) => add(values, counts, *fill, times, i64::cmp),
            (Categories::UInt(values), Fill::UInt(fill)) => add(values, counts, *fill, times, u64::cmp),
            (Categories::Float(values), Fill::Float(fill)) => add(values, counts, *fill + 0.0, times, f64::total_cmp),
            (Categories::Bool(values), Fill::Bool(fill)) => add(values, counts, *fill, times, bool::cmp),
            // Fitting an imputer makes the fill of the column's type.
            _ => {}
        }
        self
    }
}

fn add<T>(
    values: &mut Vec<T>,
    counts: &mut Vec<u64>,
    value: T,
    times: u64,
    cmp: impl Fn(&T, &T) -> std::cmp::Ordering,
) {
    match values.binary_search_by(|other| cmp(other, &value)) {
        Ok(at) => counts[at] += times,
        Err(at) => {
            values.insert(at, value);
            counts.insert(at, times);
        }
    }
}
