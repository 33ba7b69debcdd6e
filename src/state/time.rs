//! A column of dates, times, timestamps or durations, in the raw integers of its type. Never converts units.

use arrow::array::Array;
use serde::{Deserialize, Serialize};

use super::Summary;
use super::column::unexpected;
use super::dense::{self, PlainArray, SCRATCH};
use super::distinct::Distinct;
use crate::error::Result;

/// A column of points or spans in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeState {
    /// Earliest; `i64::MAX` without values.
    pub min: i64,
    /// Latest; `i64::MIN` without values.
    pub max: i64,
    /// The number of distinct values.
    pub distinct: Distinct,
}

impl Default for TimeState {
    fn default() -> Self {
        Self { min: i64::MAX, max: i64::MIN, distinct: Distinct::default() }
    }
}

impl Summary for TimeState {
    fn update(&mut self, array: &dyn Array) -> Result<()> {
        let plain = PlainArray::new(array)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let values = dense::times(&plain, &mut scratch.ints);
            let values = values.ok_or_else(|| unexpected("dates or times", array))?;
            self.min = values.iter().copied().fold(self.min, i64::min);
            self.max = values.iter().copied().fold(self.max, i64::max);
            self.distinct.update(values, |value| value as u64);
            Ok(())
        })
    }

    fn merge(&mut self, later: Self) -> Result<()> {
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.distinct.merge(&later.distinct);
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        self.distinct.heap_bytes()
    }
}
