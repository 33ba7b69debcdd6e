//! `output.narrow`: columns that no step works on, in the smallest type of their kind that holds every value of the whole data
//! exactly. Never changes a value, never makes integers of floats, and never looks at fewer rows than all that were read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Schema};
use serde::{Deserialize, Serialize};

use super::select::asked_for;
use super::{Pipeline, Step, resolve, type_name};
use crate::error::{Error, Result, Site};
use crate::schema::is_hidden;
use crate::spec::Recipe;
use crate::state::{ColumnState, Number, Values, all_fit_f32, fits_f32};

/// The NaN that every NaN becomes: conversions may keep any bits of it, on this machine or that.
const NAN: f32 = f32::from_bits(0x7fc0_0000);

/// A column in a smaller type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Narrow {
    /// The type.
    #[serde(with = "type_name")]
    pub to: DataType,
}

/// For each column, whether `recipe` wants it narrowed if its values allow: integers and doubles of the output that no step
/// works on, but for the label and what the split goes by, whose types are part of how rows are told apart.
///
/// # Errors
/// Those of [`resolve`].
pub fn candidates(recipe: &Recipe, schema: &Schema) -> Result<Vec<bool>> {
    if !recipe.output.narrows() {
        return Ok(Vec::new());
    }
    let kept = asked_for(recipe);
    let may = |field: &DataType| {
        use DataType as T;
        matches!(field, T::Int16 | T::Int32 | T::Int64 | T::UInt16 | T::UInt32 | T::UInt64 | T::Float64)
    };
    let fields = schema.fields().iter();
    let mut candidates: Vec<bool> = fields
        .map(|field| may(field.data_type()) && !is_hidden(field) && !kept.contains(&field.name().as_str()))
        .collect();
    resolve(recipe, schema)?.into_iter().flatten().for_each(|at| candidates[at] = false);
    Ok(candidates)
}

/// For each column, whether pass one is to find out if 32-bit floats hold its values exactly.
///
/// # Errors
/// As [`candidates`].
pub fn asks_f32(recipe: &Recipe, schema: &Schema) -> Result<Vec<bool>> {
    let mut asks = candidates(recipe, schema)?;
    asks.iter_mut().zip(schema.fields()).for_each(|(asks, field)| *asks &= *field.data_type() == DataType::Float64);
    Ok(asks)
}

impl Pipeline {
    /// Narrows the columns that `recipe` wants narrowed, as far as their values allow; `states` are over all rows read.
    ///
    /// # Errors
    /// As [`candidates`].
    pub fn narrow(&mut self, recipe: &Recipe, schema: &Schema, states: &[&ColumnState]) -> Result<()> {
        let candidates = candidates(recipe, schema)?;
        for column in &mut self.output {
            let lane = &mut self.lanes[column.lane];
            if lane.is_fold() || !candidates.get(lane.input).copied().unwrap_or_default() {
                continue;
            }
            if let Some(to) = smaller(&column.data_type, states[lane.input]) {
                lane.steps.push(Step::Narrow(Narrow { to: to.clone() }));
                column.data_type = to;
            }
        }
        Ok(())
    }
}

/// The smallest type that holds all values of a column, where that is smaller than its own.
fn smaller(data_type: &DataType, state: &ColumnState) -> Option<DataType> {
    use DataType as T;
    let Values::Number(numbers) = &state.values else { return None };
    let holds: [(DataType, bool); 3] = match numbers.range()? {
        (Number::Int(low), Number::Int(high)) => {
            let within = |least: i64, most: i64| least <= low && high <= most;
            [
                (T::Int8, within(i8::MIN.into(), i8::MAX.into())),
                (T::Int16, within(i16::MIN.into(), i16::MAX.into())),
                (T::Int32, within(i32::MIN.into(), i32::MAX.into())),
            ]
        }
        (_, Number::UInt(high)) => [
            (T::UInt8, high <= u8::MAX.into()),
            (T::UInt16, high <= u16::MAX.into()),
            (T::UInt32, high <= u32::MAX.into()),
        ],
        _ => return numbers.fits_f32().then_some(T::Float32),
    };
    let smallest = holds.into_iter().find_map(|(to, holds)| holds.then_some(to))?;
    (smallest.primitive_width() < data_type.primitive_width()).then_some(smallest)
}

impl Narrow {
    /// The same values in the smaller type. Missing ones may hide anything.
    ///
    /// # Errors
    /// [`Error::Data`] with the row of a value that the type does not hold, which pass one did not see.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        if let Some(doubles) = array.as_primitive_opt::<Float64Type>() {
            return self.floats(doubles);
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, &self.to, &strict).map_err(|_| {
            let lenient = cast(array, &self.to).ok();
            let refused = |row: &usize| lenient.as_ref().is_some_and(|to| array.is_valid(*row) && to.is_null(*row));
            self.unseen((0..array.len()).find(refused))
        })
    }

    fn floats(&self, array: &Float64Array) -> Result<ArrayRef> {
        if !all_fit_f32(array.values()) {
            let refused = |row: &usize| array.is_valid(*row) && !fits_f32(array.value(*row));
            if let Some(row) = (0..array.len()).find(refused) {
                return Err(self.unseen(Some(row)));
            }
        }
        let narrowed: Float32Array = array.unary(|value| if value.is_nan() { NAN } else { value as f32 });
        Ok(Arc::new(narrowed))
    }

    fn unseen(&self, row: Option<usize>) -> Error {
        let message = format!(
            "the value is not exactly one of type {}, which holds all that pass one read: the shard is another one now; leave \
             the input alone while a job runs, then run again",
            self.to
        );
        Error::data(Site { row: row.map(|row| row as u64), ..Site::default() }, message)
    }
}
