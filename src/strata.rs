//! Which stratum a row is in: the values of the stratify columns become small codes, first within a chunk and a column,
//! then within a shard, at last over the whole input in a fixed order. Codes of a shard are in order of first appearance,
//! so they do not depend on how the shard was cut.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::hash::canonical_text;
use crate::split::NO_STRATUM;
use crate::state::is_same;

/// Most strata of a job.
pub const MOST_STRATA: usize = 1_000_000;

/// The values of one column of some rows as ids, in order of first appearance.
#[derive(Debug, Default)]
pub struct Ids {
    index: HashMap<String, u32>,
    missing: Option<u32>,
    dictionary: Option<Coded>,
    /// The distinct values; nothing for a missing one.
    pub values: Vec<Option<String>>,
    /// One id a row.
    pub rows: Vec<u32>,
}

/// A dictionary that rows came in, kept for the next array: its values are formatted once.
#[derive(Debug)]
struct Coded {
    /// Held, so that another dictionary cannot take its address.
    values: ArrayRef,
    text: StringArray,
    /// The ids of the values that a row had.
    ids: Vec<Option<u32>>,
}

impl Coded {
    fn new(values: &ArrayRef) -> Result<Self> {
        let text = canonical_text(values)?.into_owned();
        Ok(Self { values: Arc::clone(values), ids: vec![None; text.len()], text })
    }
}

impl Ids {
    /// Appends the rows of an array.
    ///
    /// # Errors
    /// [`Error::Failed`] for a type that has no canonical text.
    pub fn append(&mut self, array: &dyn Array) -> Result<()> {
        if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
            let mut known = match self.dictionary.take() {
                Some(known) if is_same(&known.values, dictionary.values()) => known,
                _ => Coded::new(dictionary.values())?,
            };
            let Coded { text: values, ids, .. } = &mut known;
            for key in dictionary.keys() {
                let id = match key {
                    None => self.id(None),
                    Some(key) => match ids[key as usize] {
                        Some(id) => id,
                        None => {
                            let at = key as usize;
                            *ids[at].insert(self.id(values.is_valid(at).then(|| values.value(at))))
                        }
                    },
                };
                self.rows.push(id);
            }
            self.dictionary = Some(known);
            return Ok(());
        }
        let text: Cow<'_, _> = canonical_text(array)?;
        self.rows.reserve(text.len());
        for value in text.iter() {
            let id = self.id(value);
            self.rows.push(id);
        }
        Ok(())
    }

    fn id(&mut self, value: Option<&str>) -> u32 {
        let Self { index, missing, values, .. } = self;
        let mut next = || {
            values.push(value.map(str::to_string));
            values.len() as u32 - 1
        };
        match value {
            None => *missing.get_or_insert_with(next),
            Some(value) => *index.entry_ref(value).or_insert_with(&mut next),
        }
    }
}

/// A stratum and how many rows it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stratum {
    /// One value a stratify column; nothing for a missing one.
    pub values: Vec<Option<String>>,
    /// Rows in it.
    pub rows: u64,
}

impl Stratum {
    /// The stratum as the manifest and the summary name it.
    pub fn name(&self) -> String {
        let mut name = String::new();
        for (at, value) in self.values.iter().enumerate() {
            push_value(&mut name, at, value.as_deref());
        }
        name
    }
}

/// Appends the value of the stratify column at position `at` to a stratum's name: values stand between `|`, `|` and `\`
/// in a value have a `\` before them, and so has a text that reads like the word for a missing value.
pub fn push_value(name: &mut String, at: usize, value: Option<&str>) {
    const MISSING: &str = "(missing)";
    if at > 0 {
        name.push('|');
    }
    match value {
        None => name.push_str(MISSING),
        Some(MISSING) => {
            name.push('\\');
            name.push_str(MISSING);
        }
        Some(value) if value.contains(['|', '\\']) => {
            name.push_str(&value.replace('\\', "\\\\").replace('|', "\\|"));
        }
        Some(value) => name.push_str(value),
    }
}

/// The strata of one shard, while it is scanned.
#[derive(Debug)]
pub struct ShardStrata {
    columns: Vec<HashMap<Option<String>, u32>>,
    values: Vec<Vec<Option<String>>>,
    codes: HashMap<Vec<u32>, u32>,
    members: Vec<Vec<u32>>,
    rows: Vec<u64>,
}

impl ShardStrata {
    /// The strata of `columns` stratify columns; with none, every row is in one stratum.
    pub fn new(columns: usize) -> Self {
        Self {
            columns: vec![HashMap::new(); columns],
            values: vec![Vec::new(); columns],
            codes: HashMap::new(),
            members: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Codes of the next rows, [`NO_STRATUM`] for those that `kept` says no to. `ids` has the rows of each column.
    ///
    /// # Errors
    /// [`Error::Data`] when there are more strata than twopass handles.
    pub fn append(&mut self, ids: &[Ids], kept: Option<&[bool]>, rows: usize) -> Result<Vec<u32>> {
        let to_shard: Vec<Vec<u32>> =
            ids.iter().enumerate().map(|(column, ids)| self.adopt(column, &ids.values)).collect();
        let is_kept = |row: usize| kept.is_none_or(|kept| kept[row]);
        let mut codes = Vec::with_capacity(rows);
        match ids {
            [] | [_] => {
                // The code of each local id; `NO_STRATUM` until it is met.
                let mut memo = vec![NO_STRATUM; to_shard.first().map_or(1, Vec::len)];
                for row in 0..rows {
                    if !is_kept(row) {
                        codes.push(NO_STRATUM);
                        continue;
                    }
                    let id = ids.first().map_or(0, |ids| ids.rows[row] as usize);
                    if memo[id] == NO_STRATUM {
                        memo[id] = match to_shard.first() {
                            None => self.code(&[])?,
                            Some(to_shard) => self.code(&[to_shard[id]])?,
                        };
                    }
                    self.rows[memo[id] as usize] += 1;
                    codes.push(memo[id]);
                }
            }
            several => {
                let mut memo: HashMap<Vec<u32>, u32> = HashMap::new();
                let mut local = vec![0; several.len()];
                for row in 0..rows {
                    if !is_kept(row) {
                        codes.push(NO_STRATUM);
                        continue;
                    }
                    local.iter_mut().zip(several).for_each(|(local, ids)| *local = ids.rows[row]);
                    let code = match memo.get(local.as_slice()) {
                        Some(code) => *code,
                        None => {
                            let member = local.iter().zip(&to_shard).map(|(id, to_shard)| to_shard[*id as usize]);
                            let code = self.code(&member.collect::<Vec<_>>())?;
                            memo.insert(local.clone(), code);
                            code
                        }
                    };
                    self.rows[code as usize] += 1;
                    codes.push(code);
                }
            }
        }
        Ok(codes)
    }

    fn adopt(&mut self, column: usize, values: &[Option<String>]) -> Vec<u32> {
        let (index, known) = (&mut self.columns[column], &mut self.values[column]);
        let adopt = |value: &Option<String>| {
            *index.entry_ref(value).or_insert_with(|| {
                known.push(value.clone());
                known.len() as u32 - 1
            })
        };
        values.iter().map(adopt).collect()
    }

    fn code(&mut self, member: &[u32]) -> Result<u32> {
        if let Some(code) = self.codes.get(member) {
            return Ok(*code);
        }
        if self.members.len() == MOST_STRATA {
            let message = format!(
                "the stratify columns make more than {MOST_STRATA} strata; stratify by fewer or coarser columns"
            );
            return Err(Error::data(crate::error::Site::default(), message));
        }
        let code = self.members.len() as u32;
        self.codes.insert(member.to_vec(), code);
        self.members.push(member.to_vec());
        self.rows.push(0);
        Ok(code)
    }

    /// The strata by code.
    pub fn finish(self) -> Vec<Stratum> {
        let stratum = |(member, rows): (&Vec<u32>, u64)| Stratum {
            values: member.iter().zip(&self.values).map(|(&id, values)| values[id as usize].clone()).collect(),
            rows,
        };
        self.members.iter().zip(self.rows.iter().copied()).map(stratum).collect()
    }
}

/// The order of strata over the whole input: column by column, numbers by value, text by bytes, missing last.
pub fn order(types: &[DataType]) -> impl Fn(&Stratum, &Stratum) -> Ordering + '_ {
    move |a, b| {
        let by_column = types.iter().zip(a.values.iter().zip(&b.values));
        by_column
            .map(|(data_type, (a, b))| by_value(data_type, a.as_deref(), b.as_deref()))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

fn by_value(data_type: &DataType, a: Option<&str>, b: Option<&str>) -> Ordering {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.is_none().cmp(&b.is_none()),
    };
    if data_type.is_integer() || data_type.is_temporal() {
        if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
            return a.cmp(&b);
        }
    } else if data_type.is_numeric()
        && let (Ok(x), Ok(y)) = (a.parse::<f64>(), b.parse::<f64>())
    {
        return x.total_cmp(&y).then_with(|| a.cmp(b));
    }
    a.cmp(b)
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Float64Array, Int32Array};

    use super::*;

    #[test]
    fn codes_have_the_ids_of_their_values() {
        let values: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(7.0), Some(f64::NAN), Some(0.5), None, Some(-0.0)]));
        let codes = [Some(2), None, Some(2), Some(1), Some(4), Some(3), Some(2)];
        let array: ArrayRef =
            Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(codes.to_vec()), Arc::clone(&values)));
        let plain = arrow::compute::cast(&array, &DataType::Float64).expect("floats");
        let (mut of_codes, mut of_values) = (Ids::default(), Ids::default());
        // Two arrays of one dictionary, then one of another.
        of_codes.append(&array.slice(0, 3)).expect("ids");
        of_codes.append(&array.slice(3, 4)).expect("ids");
        of_codes
            .append(&DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0]), values.slice(2, 1)))
            .expect("ids");
        of_values.append(&plain).expect("ids");
        of_values.append(&plain.slice(0, 1)).expect("ids");
        assert_eq!((of_codes.values, of_codes.rows), (of_values.values, of_values.rows));
    }
}
