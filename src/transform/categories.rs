//! Categories of a column, their codes and the table that finds a value's code: what ordinal encoding, one-hot encoding
//! and label mapping share. The table is built once a plan, on first use, and is never part of the plan's bytes.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use hashbrown::{HashMap, HashTable};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result, Site};
use crate::spec::Frequency;

/// What a missing value is found as.
pub const MISSING: i32 = -1;
/// What a value is found as that is no category.
pub const UNKNOWN: i32 = -2;

/// The distinct values of a column: text by its bytes, numbers by value, false before true. No NaN, no −0.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Categories {
    /// Of a text column.
    Text(Vec<String>),
    /// Of a column of signed integers.
    Int(Vec<i64>),
    /// Of a column of unsigned integers.
    UInt(Vec<u64>),
    /// Of a column of floats; those of 16 and 32 bits widened.
    Float(Vec<f64>),
    /// Of a column of booleans.
    Bool(Vec<bool>),
}

impl Categories {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::UInt(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The category as Python's `str` writes it, which is how scikit-learn's `get_feature_names_out` does: `True`, `3`,
    /// `2.0`, `1e+16`. `single`: floats of 32 bits, hence in their shortest digits.
    pub fn name(&self, at: usize, single: bool) -> String {
        match self {
            Self::Text(values) => values[at].clone(),
            Self::Int(values) => values[at].to_string(),
            Self::UInt(values) => values[at].to_string(),
            Self::Float(values) if single => python_float(&format!("{:e}", values[at] as f32)),
            Self::Float(values) => python_float(&format!("{:e}", values[at])),
            Self::Bool(values) => if values[at] { "True" } else { "False" }.to_string(),
        }
    }
}

/// Shortest digits (`-1.25e-7`) in the notation of Python's `repr`: an exponent below 1e-4 and from 1e16 on.
fn python_float(scientific: &str) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific.to_string() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    if !(-4..16).contains(&exponent) {
        let direction = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{direction}{:02}", exponent.abs());
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}.0", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

/// Which of the categories with these counts are infrequent: rarer than `min_frequency` (a count, or a share of `rows`),
/// and then so many more of the rarest that at most `max_categories` stay, the one that infrequent categories share among
/// them. Of equally frequent categories the first are infrequent before the last.
///
/// Source: scikit-learn 1.9, `_BaseEncoder._identify_infrequent`.
pub fn infrequent(counts: &[u64], rows: u64, min: Option<Frequency>, max_categories: Option<usize>) -> Vec<bool> {
    let mut rare: Vec<bool> = match min {
        None => vec![false; counts.len()],
        Some(Frequency::Count(least)) => counts.iter().map(|count| *count < least).collect(),
        Some(Frequency::Share(share)) => {
            let least = rows as f64 * share;
            counts.iter().map(|count| (*count as f64) < least).collect()
        }
    };
    let with_shared = counts.len() - rare.iter().filter(|rare| **rare).count() + 1;
    if let Some(most) = max_categories.filter(|most| *most < with_shared) {
        let kept = most.saturating_sub(1);
        let mut rising: Vec<usize> = (0..counts.len()).collect();
        rising.sort_by_key(|at| counts[*at]);
        rising.iter().take(counts.len().saturating_sub(kept)).for_each(|at| rare[*at] = true);
    }
    rare
}

/// Codes of categories that come in `order` (positions): frequent ones 0, 1, … in that order, all infrequent ones the
/// next. With how many codes there are, and the infrequent one if there is one.
pub fn assign(order: impl IntoIterator<Item = usize>, rare: &[bool]) -> (Vec<i32>, i32, Option<i32>) {
    let mut codes = vec![0; rare.len()];
    let mut next = 0;
    for at in order {
        if !rare[at] {
            codes[at] = next;
            next += 1;
        }
    }
    if !rare.contains(&true) {
        return (codes, next, None);
    }
    codes.iter_mut().zip(rare).filter(|(_, rare)| **rare).for_each(|(code, _)| *code = next);
    (codes, next + 1, Some(next))
}

/// Categories with their codes, and the means to find them in an array.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CategoryMap {
    /// The categories, sorted.
    pub categories: Categories,
    /// The code of each; several may share one. Never negative.
    pub codes: Vec<i32>,
    #[serde(skip)]
    table: OnceLock<Arc<Table>>,
}

impl PartialEq for CategoryMap {
    fn eq(&self, other: &Self) -> bool {
        self.categories == other.categories && self.codes == other.codes
    }
}

/// The codes of an array's rows.
#[derive(Debug)]
pub struct Found {
    /// The code of each row, or [`MISSING`], or [`UNKNOWN`].
    pub codes: Vec<i32>,
    /// Whether a row is [`MISSING`] or [`UNKNOWN`].
    pub special: bool,
}

#[derive(Debug)]
enum Table {
    /// Positions of the texts by their hash.
    Text(HashTable<u32>),
    /// Codes of integers from `first` on; [`UNKNOWN`] in gaps.
    Dense { first: i64, codes: Vec<i32> },
    /// Codes by the values' bits.
    Sparse(HashMap<u64, i32>),
}

/// The key of a float: its bits, with one zero.
fn key(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

impl CategoryMap {
    /// Whether every category has one code.
    pub(super) fn is_consistent(&self) -> bool {
        self.codes.len() == self.categories.len() && self.codes.iter().all(|code| *code >= 0)
    }

    /// `codes[i]` for the i-th category.
    pub fn new(categories: Categories, codes: Vec<i32>) -> Self {
        Self { categories, codes, table: OnceLock::new() }
    }

    /// The code of every row of `array`, which has the type that the categories are of.
    ///
    /// # Errors
    /// [`Error::Failed`] for an array of another type.
    pub fn find(&self, array: &ArrayRef) -> Result<Found> {
        let table = self.table.get_or_init(|| Arc::new(Table::new(&self.categories, &self.codes))).as_ref();
        let codes = match (array.data_type(), &self.categories) {
            (DataType::Utf8, Categories::Text(_)) => {
                let array = array.as_string::<i32>();
                rows(array.len(), array.nulls(), |row| self.text(table, array.value(row)))
            }
            (DataType::Boolean, Categories::Bool(_)) => {
                let array = array.as_boolean();
                rows(array.len(), array.nulls(), |row| table.number(u64::from(array.value(row))))
            }
            (data_type, Categories::Int(_)) if data_type.is_signed_integer() => {
                let array = cast(array, &DataType::Int64).map_err(|e| Error::failed("cannot read integers", e))?;
                let values = array.as_primitive::<Int64Type>().values();
                match table {
                    Table::Dense { first, codes } => rows(array.len(), array.nulls(), |row| {
                        let at = usize::try_from(values[row].wrapping_sub(*first) as u64).unwrap_or(usize::MAX);
                        codes.get(at).copied().unwrap_or(UNKNOWN)
                    }),
                    _ => rows(array.len(), array.nulls(), |row| table.number(values[row] as u64)),
                }
            }
            (data_type, Categories::UInt(_)) if data_type.is_unsigned_integer() => {
                let array = cast(array, &DataType::UInt64).map_err(|e| Error::failed("cannot read integers", e))?;
                let values = array.as_primitive::<UInt64Type>().values();
                rows(array.len(), array.nulls(), |row| table.number(values[row]))
            }
            (data_type, Categories::Float(_)) if data_type.is_floating() => {
                let array = cast(array, &DataType::Float64).map_err(|e| Error::failed("cannot read floats", e))?;
                let values = array.as_primitive::<Float64Type>().values();
                let code = |value: f64| if value.is_nan() { MISSING } else { table.number(key(value)) };
                rows(array.len(), array.nulls(), |row| code(values[row]))
            }
            (other, _) => {
                return Err(Error::failed("cannot encode", format!("an array of {other} for other categories")));
            }
        };
        let special = codes.iter().fold(0, |signs, code| signs | code) < 0;
        Ok(Found { codes, special })
    }

    fn text(&self, table: &Table, value: &str) -> i32 {
        let (Table::Text(positions), Categories::Text(texts)) = (table, &self.categories) else { return UNKNOWN };
        let found = positions.find(xxh3_64(value.as_bytes()), |at| texts[*at as usize] == value);
        found.map_or(UNKNOWN, |at| self.codes[*at as usize])
    }

    /// The error that `row` of `array` was found as [`MISSING`] or [`UNKNOWN`] where that is no category.
    pub fn refusal(array: &ArrayRef, row: usize, code: i32, advice: &str) -> Error {
        let what = if code == MISSING {
            "a missing value, and the fit saw none here".to_string()
        } else {
            let shown = arrow::util::display::array_value_to_string(array, row).unwrap_or_default();
            format!("category `{}` was never seen in the fit", shortened(&shown))
        };
        Error::data(Site::default().at_row(row as u64), format!("{what}; {advice}"))
    }
}

/// At most 80 characters of a value: messages are read by people.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_string(),
    }
}

/// `code(row)` for the rows that are not null, [`MISSING`] for the others.
fn rows(len: usize, nulls: Option<&NullBuffer>, code: impl Fn(usize) -> i32) -> Vec<i32> {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => (0..len).map(code).collect(),
        Some(nulls) => nulls.iter().enumerate().map(|(row, valid)| if valid { code(row) } else { MISSING }).collect(),
    }
}

impl Table {
    fn new(categories: &Categories, codes: &[i32]) -> Self {
        let sparse = |keys: &mut dyn Iterator<Item = u64>| Self::Sparse(keys.zip(codes.iter().copied()).collect());
        match categories {
            Categories::Text(texts) => {
                let hash = |at: &u32| xxh3_64(texts[*at as usize].as_bytes());
                let mut positions = HashTable::with_capacity(texts.len());
                for at in 0..texts.len() as u32 {
                    positions.insert_unique(hash(&at), at, hash);
                }
                Self::Text(positions)
            }
            Categories::Int(values) => match (values.first(), values.last()) {
                // Small ranges, as of codes and years, are looked up without hashing.
                (Some(first), Some(last)) if last.abs_diff(*first) < 4 * values.len() as u64 + 1024 => {
                    let mut dense = vec![UNKNOWN; last.abs_diff(*first) as usize + 1];
                    values.iter().zip(codes).for_each(|(value, code)| dense[value.abs_diff(*first) as usize] = *code);
                    Self::Dense { first: *first, codes: dense }
                }
                _ => sparse(&mut values.iter().map(|value| *value as u64)),
            },
            Categories::UInt(values) => sparse(&mut values.iter().copied()),
            Categories::Float(values) => sparse(&mut values.iter().map(|value| key(*value))),
            Categories::Bool(values) => sparse(&mut values.iter().map(|value| u64::from(*value))),
        }
    }

    fn number(&self, key: u64) -> i32 {
        match self {
            Self::Sparse(codes) => codes.get(&key).copied().unwrap_or(UNKNOWN),
            Self::Text(_) | Self::Dense { .. } => UNKNOWN,
        }
    }
}
