//! Text arrays into [`TextValues`]: of a dictionary, one look-up a value, not a row.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

use super::Summary;
use super::codes::Counted;
use super::column::{other_need, unexpected};
use super::vocabulary::TextValues;
use crate::error::Result;

impl Summary for TextValues {
    fn update(&mut self, array: &dyn Array) -> Result<()> {
        match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().flatten().for_each(|value| self.add(value, 1)),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().for_each(|value| self.add(value, 1)),
            DataType::Utf8View => array.as_string_view().iter().flatten().for_each(|value| self.add(value, 1)),
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
    /// Adds each value as often as it was counted.
    pub(super) fn update_counted(&mut self, counted: &Counted) -> Result<()> {
        let counts = counted.counts();
        let mut add = |(value, times): (Option<&str>, &u32)| {
            if let Some(value) = value {
                self.add(value, u64::from(*times));
            }
        };
        let values = counted.values();
        match values.data_type() {
            DataType::Utf8 => values.as_string::<i32>().iter().zip(counts).for_each(&mut add),
            DataType::LargeUtf8 => values.as_string::<i64>().iter().zip(counts).for_each(&mut add),
            DataType::Utf8View => values.as_string_view().iter().zip(counts).for_each(&mut add),
            _ => return Err(unexpected("text", values)),
        }
        Ok(())
    }
}
