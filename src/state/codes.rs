//! Dictionary-encoded columns: their rows are counted by code, over as many arrays as share a dictionary, and the summary
//! then takes each value once, with its count. Never looks at a value that no row has.

use arrow::array::{AnyDictionaryArray, Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options, filter};
use arrow::datatypes::{DataType, Int32Type};

use crate::error::{Error, Result};

/// Tables that rows are counted in by turns where the dictionary is short: in one, rows of a frequent code would wait for
/// each other's store.
const WAYS: usize = 4;

/// Longest dictionary that has several tables: together they stay in the first cache.
const SHORT: usize = 2048;

/// Most rows that are counted before the values are handed on: what a counter can hold.
const MOST_ROWS: u64 = u32::MAX as u64;

/// Rows of one column counted by code, for as long as the arrays share a dictionary.
#[derive(Default)]
pub struct CodeCounts {
    /// Held, so that another dictionary cannot take its address.
    values: Option<ArrayRef>,
    /// One table or [`WAYS`], one after the other, of a counter a code.
    tables: Vec<u32>,
    rows: u64,
}

/// The values that some rows have, each with how many.
pub struct Counted {
    values: ArrayRef,
    counts: Vec<u32>,
    rows: u64,
}

impl CodeCounts {
    /// Counts the rows of an array. What was counted of another dictionary comes out.
    ///
    /// # Errors
    /// [`Error::Failed`] when arrow refuses the array.
    pub fn add(&mut self, array: &dyn AnyDictionaryArray) -> Result<Option<Counted>> {
        let fits = self.rows + array.len() as u64 <= MOST_ROWS;
        let same = fits && self.values.as_ref().is_some_and(|values| is_same(values, array.values()));
        let before = if same { None } else { std::mem::take(self).finish()? };
        if !same {
            let len = array.values().len();
            self.tables = vec![0; if len <= SHORT { len * WAYS } else { len }];
            self.values = Some(std::sync::Arc::clone(array.values()));
        }
        self.rows += array.len() as u64;
        match array.keys().as_primitive_opt::<Int32Type>() {
            Some(keys) => self.count(keys, array.values().len()),
            None => {
                let exact = CastOptions { safe: false, ..CastOptions::default() };
                let keys = cast_with_options(array.keys(), &DataType::Int32, &exact);
                let keys = keys.map_err(|e| Error::failed("reading a dictionary", e))?;
                self.count(keys.as_primitive(), array.values().len());
            }
        }
        Ok(before)
    }

    /// What was counted since the last dictionary began; nothing without arrays.
    ///
    /// # Errors
    /// [`Error::Failed`] when arrow refuses the dictionary.
    pub fn finish(self) -> Result<Option<Counted>> {
        let Some(values) = self.values else { return Ok(None) };
        let len = values.len();
        let mut counts = self.tables;
        if counts.len() > len {
            let (first, others) = counts.split_at_mut(len);
            for other in others.chunks_exact(len) {
                first.iter_mut().zip(other).for_each(|(count, more)| *count += more);
            }
            counts.truncate(len);
        }
        if let Some(nulls) = values.logical_nulls() {
            counts.iter_mut().zip(nulls.iter()).filter(|(_, valid)| !valid).for_each(|(count, _)| *count = 0);
        }
        if !counts.contains(&0) {
            return Ok(Some(Counted { values, counts, rows: self.rows }));
        }
        let used: BooleanArray = counts.iter().map(|count| Some(*count > 0)).collect();
        let values = filter(&values, &used).map_err(|e| Error::failed("reading a dictionary", e))?;
        counts.retain(|count| *count > 0);
        Ok(Some(Counted { values, counts, rows: self.rows }))
    }

    fn count(&mut self, keys: &PrimitiveArray<Int32Type>, len: usize) {
        match keys.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => count_all(&mut self.tables, len, keys.values()),
            Some(nulls) => {
                let words = nulls.inner().bit_chunks();
                for (codes, word) in keys.values().chunks(64).zip(words.iter_padded()) {
                    if word == u64::MAX {
                        count_all(&mut self.tables, len, codes);
                    } else {
                        count_valid(&mut self.tables, codes, word);
                    }
                }
            }
        }
    }
}

/// Whether two arrays are one and the same, though their shells may be two.
pub(crate) fn is_same(a: &ArrayRef, b: &ArrayRef) -> bool {
    std::sync::Arc::ptr_eq(a, b) || a.to_data().ptr_eq(&b.to_data())
}

/// Codes that are out of range belong to no row: arrow allows them under nulls only.
#[inline(always)]
fn count_one(table: &mut [u32], code: i32, times: u32) {
    if let Some(count) = table.get_mut(code as u32 as usize) {
        *count += times;
    }
}

fn count_all(tables: &mut [u32], len: usize, codes: &[i32]) {
    if tables.len() == len {
        return codes.iter().for_each(|code| count_one(tables, *code, 1));
    }
    let (first, rest) = tables.split_at_mut(len);
    let (second, rest) = rest.split_at_mut(len);
    let (third, fourth) = rest.split_at_mut(len);
    let (turns, last) = codes.as_chunks::<WAYS>();
    for &[a, b, c, d] in turns {
        count_one(first, a, 1);
        count_one(second, b, 1);
        count_one(third, c, 1);
        count_one(fourth, d, 1);
    }
    last.iter().for_each(|code| count_one(first, *code, 1));
}

/// Without a branch on the null: counts every code, as often as its bit says.
fn count_valid(tables: &mut [u32], codes: &[i32], word: u64) {
    for (bit, code) in codes.iter().enumerate() {
        count_one(tables, *code, (word >> bit & 1) as u32);
    }
}

impl Counted {
    /// The values: none is null, and every one has rows. Several may be equal.
    pub fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// The rows of each value.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Rows, those without a value among them.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows without a value.
    pub fn nulls(&self) -> u64 {
        self.rows - self.counts.iter().map(|count| u64::from(*count)).sum::<u64>()
    }
}
