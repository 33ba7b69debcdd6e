//! Text arrays into [`TextValues`]: a dictionary costs one look-up per code in use, not per row.

use arrow::array::{AnyDictionaryArray, Array, AsArray};
use arrow::datatypes::{DataType, Int32Type};

use super::Summary;
use super::column::{other_need, unexpected};
use super::vocabulary::TextValues;
use crate::error::Result;

impl Summary for TextValues {
    fn update(&mut self, array: &dyn Array) -> Result<()> {
        match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().flatten().for_each(|value| self.add(value, 1)),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().for_each(|value| self.add(value, 1)),
            DataType::Utf8View => array.as_string_view().iter().flatten().for_each(|value| self.add(value, 1)),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let counts = code_counts(dictionary);
                self.update_counted(dictionary.values(), &counts)?;
            }
            _ => return Err(unexpected("text", array)),
        }
        Ok(())
    }

    /// # Errors
    /// [`crate::error::Error::Conflict`] when the two have different limits.
    fn merge(&mut self, later: Self) -> Result<()> {
        if self.limit() != later.limit() {
            return Err(other_need());
        }
        TextValues::merge(self, later);
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        TextValues::heap_bytes(self)
    }
}

impl TextValues {
    /// Counts each value as often as `counts` says at its place.
    fn update_counted(&mut self, values: &dyn Array, counts: &[u64]) -> Result<()> {
        let counted = counts.iter().copied();
        let mut add = |(value, times): (Option<&str>, u64)| {
            if let Some(value) = value {
                self.add(value, times);
            }
        };
        match values.data_type() {
            DataType::Utf8 => values.as_string::<i32>().iter().zip(counted).for_each(&mut add),
            DataType::LargeUtf8 => values.as_string::<i64>().iter().zip(counted).for_each(&mut add),
            DataType::Utf8View => values.as_string_view().iter().zip(counted).for_each(&mut add),
            _ => return Err(unexpected("text", values)),
        }
        Ok(())
    }
}

/// How many rows have each code of a dictionary.
pub(super) fn code_counts(dictionary: &dyn AnyDictionaryArray) -> Vec<u64> {
    let mut counts = vec![0u64; dictionary.values().len()];
    if counts.is_empty() {
        return counts;
    }
    let keys = dictionary.keys();
    if let Some(keys) = keys.as_primitive_opt::<Int32Type>() {
        match keys.nulls() {
            // Keys that are there are valid codes by the array's own invariant.
            None => keys.values().iter().for_each(|code| counts[*code as usize] += 1),
            Some(nulls) => nulls.valid_indices().for_each(|row| counts[keys.value(row) as usize] += 1),
        }
    } else {
        let codes = dictionary.normalized_keys();
        (0..keys.len()).filter(|row| keys.is_valid(*row)).for_each(|row| counts[codes[row]] += 1);
    }
    counts
}
