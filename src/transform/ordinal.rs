//! `ordinal_encoder` and the label's mapping: a category becomes its code.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array};
use arrow::buffer::NullBuffer;
use serde::{Deserialize, Serialize};

use super::categories::{Categories, CategoryMap, MISSING, UNKNOWN};
use crate::error::Result;

/// A fitted ordinal encoder. Codes are Int32 (scikit-learn's default is a float, so that NaN can be the missing code; here
/// missing is null).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ordinal {
    /// Categories and codes.
    pub map: CategoryMap,
    /// The code that all infrequent categories share.
    pub infrequent: Option<i32>,
    /// Whether the fit saw missing values. If not, a missing value is an unknown category, as in scikit-learn.
    pub saw_missing: bool,
    /// The code of a missing value; nothing for null.
    pub missing: Option<i32>,
    /// The code of an unknown category; nothing for an error.
    pub unknown: Option<i32>,
}

impl Ordinal {
    /// The codes, null only where a value is missing.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) with the row of an unknown category, unless there is a code for it.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let found = self.map.find(array)?;
        if !found.special {
            return Ok(Arc::new(Int32Array::from(found.codes)));
        }
        let mut codes = found.codes;
        let mut nulls = vec![true; codes.len()];
        for row in 0..codes.len() {
            codes[row] = match codes[row] {
                MISSING if self.saw_missing => {
                    nulls[row] = self.missing.is_some();
                    self.missing.unwrap_or(0)
                }
                code @ (MISSING | UNKNOWN) => self.unknown.ok_or_else(|| {
                    let advice =
                        "set handle_unknown = \"use_encoded_value\" and an unknown_value to encode such values";
                    CategoryMap::refusal(array, row, code, advice)
                })?,
                code => code,
            };
        }
        let nulls = Some(NullBuffer::from(nulls)).filter(|nulls| nulls.null_count() > 0);
        Ok(Arc::new(Int32Array::new(codes.into(), nulls)))
    }
}

/// Label classes mapped to 0..k−1 by their order, as scikit-learn's `LabelEncoder`. A missing label stays null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelMap {
    /// Classes and codes.
    pub map: CategoryMap,
}

impl LabelMap {
    /// The classes, each at its code, as the hash contract and the strata write them: `true`, not Python's `True`.
    pub fn classes(&self) -> Vec<String> {
        let name = |at: usize| match &self.map.categories {
            Categories::Bool(values) => values[at].to_string(),
            other => other.name(at, false),
        };
        (0..self.map.categories.len()).map(name).collect()
    }

    /// The codes as Int64.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) with the row of a label that is no class.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let found = self.map.find(array)?;
        let unknown = if found.special { found.codes.iter().position(|code| *code == UNKNOWN) } else { None };
        if let Some(row) = unknown {
            return Err(CategoryMap::refusal(array, row, UNKNOWN, "labels must be among the classes of the fit"));
        }
        let nulls = found.special.then(|| found.codes.iter().map(|code| *code != MISSING).collect::<NullBuffer>());
        let codes: Vec<i64> = found.codes.iter().map(|code| i64::from((*code).max(0))).collect();
        Ok(Arc::new(Int64Array::new(codes.into(), nulls)))
    }
}
