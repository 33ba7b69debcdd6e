//! A lane at work on dictionary-encoded arrays: the steps see each value of a dictionary once, and the rows keep their
//! codes. Never changes a result: the arrays hold what the steps make of the values row by row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Int32Type};

use super::Lane;
use crate::error::{Error, Result};
use crate::state::is_same;

/// A lane on its way through arrays of one column that share a dictionary, or a few: what it makes of the dictionary is
/// kept for the next array.
pub struct LaneRun<'a> {
    lane: &'a Lane,
    dictionary: Option<Mapped>,
}

/// A dictionary and what the lane makes of it.
struct Mapped {
    /// Held, so that another dictionary cannot take its address.
    values: ArrayRef,
    /// For arrays without nulls.
    full: Option<Made>,
    /// For arrays with nulls: the values with a missing one at their end.
    holed: Option<Made>,
}

/// The lane's arrays of a dictionary's values; nothing when it refuses one of them, which no row may have.
type Made = Option<Vec<Column>>;

struct Column {
    values: ArrayRef,
    /// Whether the last value is what a null becomes; if not, a null stays one.
    fills: bool,
}

impl<'a> LaneRun<'a> {
    /// A run through arrays of the lane's column.
    pub fn new(lane: &'a Lane) -> Self {
        Self { lane, dictionary: None }
    }

    /// As [`Lane::apply`].
    ///
    /// # Errors
    /// As [`Lane::apply`].
    pub fn apply(&mut self, array: &ArrayRef) -> Result<Vec<ArrayRef>> {
        let lane = self.lane;
        self.run(array).map_err(|e| e.in_column(&lane.name))
    }

    fn run(&mut self, array: &ArrayRef) -> Result<Vec<ArrayRef>> {
        let DataType::Dictionary(_, plain) = array.data_type() else { return self.lane.run(array) };
        if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
            let values = dictionary.values();
            if self.lane.steps.is_empty() && values.null_count() == 0 {
                return Ok(vec![Arc::clone(array)]);
            }
            // Many columns of a dictionary longer than the rows would take more memory than the rows do.
            let spreads = self.lane.slots() > 1 && values.len() > array.len();
            if !spreads && let Some(columns) = self.made(dictionary)? {
                return with_codes(dictionary, columns);
            }
        }
        let expanded = cast(array, plain).map_err(|e| Error::failed("reading a dictionary", e))?;
        self.lane.run(&expanded)
    }

    /// What becomes of the dictionary of this array.
    fn made(&mut self, array: &DictionaryArray<Int32Type>) -> Result<Option<&[Column]>> {
        let values = array.values();
        if self.dictionary.as_ref().is_none_or(|mapped| !is_same(&mapped.values, values)) {
            self.dictionary = Some(Mapped { values: Arc::clone(values), full: None, holed: None });
        }
        let Some(mapped) = &mut self.dictionary else { return Ok(None) };
        let lane = self.lane;
        let made = if array.keys().null_count() == 0 {
            mapped.full.get_or_insert_with(|| {
                let arrays = lane.run(values).ok()?;
                Some(arrays.into_iter().map(|values| Column { values, fills: false }).collect())
            })
        } else {
            if mapped.holed.is_none() {
                mapped.holed = Some(holed(lane, values)?);
            }
            mapped.holed.get_or_insert_default()
        };
        Ok(made.as_deref())
    }
}

fn holed(lane: &Lane, values: &ArrayRef) -> Result<Made> {
    let len = values.len();
    if i32::try_from(len).is_err() {
        return Ok(None);
    }
    let null = new_null_array(values.data_type(), 1);
    let with_null = concat(&[values, &null]).map_err(|e| Error::failed("filling a dictionary", e))?;
    let column = |values: ArrayRef| {
        let fills = values.is_valid(len);
        Column { values: if fills { values } else { values.slice(0, len) }, fills }
    };
    Ok(lane.run(&with_null).ok().map(|arrays| arrays.into_iter().map(column).collect()))
}

/// The columns under the codes of `array`. A null in a dictionary becomes a null code.
fn with_codes(array: &DictionaryArray<Int32Type>, columns: &[Column]) -> Result<Vec<ArrayRef>> {
    // Columns share their codes: these are checked against the dictionary once.
    let mut filled: Option<DictionaryArray<Int32Type>> = None;
    let column = |column: &Column| {
        let codes = if column.fills {
            if filled.is_none() {
                filled = Some(DictionaryArray::try_new(fill(array), Arc::clone(&column.values))?);
            }
            filled.as_ref().unwrap_or(array)
        } else {
            array
        };
        let coded = codes.with_values(Arc::clone(&column.values));
        Ok(match column.values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => Arc::new(coded) as ArrayRef,
            Some(nulls) => Arc::new(DictionaryArray::try_new(mask(coded.keys(), nulls), Arc::clone(&column.values))?),
        })
    };
    let columns: std::result::Result<_, arrow::error::ArrowError> = columns.iter().map(column).collect();
    columns.map_err(|e| Error::failed("transforming a dictionary", e))
}

/// The codes of an array with that of the value after its dictionary's last for nulls.
fn fill(array: &DictionaryArray<Int32Type>) -> Int32Array {
    let (keys, code) = (array.keys(), array.values().len() as i32);
    match keys.nulls() {
        None => keys.clone(),
        Some(nulls) => {
            let filled = keys.values().iter().zip(nulls).map(|(key, valid)| if valid { *key } else { code });
            Int32Array::new(filled.collect(), None)
        }
    }
}

/// The codes, null where their value is.
fn mask(keys: &Int32Array, values: &NullBuffer) -> Int32Array {
    let valid = |(row, key): (usize, &i32)| keys.is_valid(row) && values.is_valid(*key as usize);
    let valid: NullBuffer = keys.values().iter().enumerate().map(valid).collect();
    Int32Array::new(keys.values().clone(), Some(valid))
}
