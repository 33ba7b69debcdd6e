//! `one_hot_encoder`: a category becomes a 1 in its own column.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt8Array};
use serde::{Deserialize, Serialize};

use super::categories::{CategoryMap, MISSING, UNKNOWN};
use crate::error::Result;

/// Most columns that one column may become: wider tables are a mistake, not a wish.
pub const MOST_COLUMNS: usize = 10_000;

/// A fitted one-hot encoder. Its columns are UInt8 (scikit-learn's are floats).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneHot {
    /// Categories and codes; the code is the column before one is dropped.
    pub map: CategoryMap,
    /// The code of a missing value, if the fit saw one. If not, it is an unknown category, as in scikit-learn.
    pub missing: Option<i32>,
    /// The code that all infrequent categories share.
    pub infrequent: Option<i32>,
    /// The code that has no column.
    pub dropped: Option<i32>,
    /// How many codes there are.
    pub codes: i32,
    /// What an unknown category becomes.
    pub unknown: Unknown,
}

/// What an unknown category becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unknown {
    /// An error.
    Refused,
    /// All columns 0.
    Nothing,
    /// This code.
    Code(i32),
}

impl OneHot {
    /// Columns of the result.
    pub fn columns(&self) -> usize {
        self.codes as usize - usize::from(self.dropped.is_some())
    }

    /// The columns, in the order of the codes; never null.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) with the row of an unknown category, when such are refused.
    pub fn apply(&self, array: &ArrayRef) -> Result<Vec<ArrayRef>> {
        let found = self.map.find(array)?;
        // Each on its own, so that the zeros are the allocator's: cloning one would write them.
        let mut columns: Vec<Vec<u8>> = (0..self.columns()).map(|_| vec![0; found.codes.len()]).collect();
        for (row, code) in found.codes.iter().enumerate() {
            let code = match (*code, self.missing, self.unknown) {
                (MISSING, Some(code), _) | (MISSING | UNKNOWN, _, Unknown::Code(code)) => code,
                (MISSING | UNKNOWN, _, Unknown::Nothing) => continue,
                (code @ (MISSING | UNKNOWN), _, Unknown::Refused) => {
                    let advice = "set handle_unknown = \"ignore\" or \"infrequent_if_exist\" to accept such values";
                    return Err(CategoryMap::refusal(array, row, code, advice));
                }
                (code, ..) => code,
            };
            let at = match self.dropped {
                Some(dropped) if code == dropped => continue,
                Some(dropped) => code - i32::from(code > dropped),
                None => code,
            };
            columns[at as usize][row] = 1;
        }
        Ok(columns.into_iter().map(|column| Arc::new(UInt8Array::from(column)) as ArrayRef).collect())
    }
}
