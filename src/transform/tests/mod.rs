//! The laws of transforms, on small tables.

mod dictionaries;
mod encode;
mod impute;
mod pipeline;
mod scale;
mod select;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Int64Type, Schema, UInt8Type};

use super::{Need, Pipeline, fit, needs};
use crate::error::{Error, Result};
use crate::spec::Recipe;
use crate::state::{ColumnState, Summary, VocabularyNeed};

fn recipe(toml: &str) -> Recipe {
    toml::from_str(toml).expect("a recipe")
}

fn schema(columns: &[(&str, ArrayRef)]) -> Schema {
    let plain_type = |array: &ArrayRef| match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    Schema::new(columns.iter().map(|(name, array)| Field::new(*name, plain_type(array), true)).collect::<Vec<_>>())
}

/// Both passes' fit over one table.
fn fitted(toml: &str, columns: &[(&str, ArrayRef)]) -> Result<Pipeline> {
    let (recipe, schema) = (recipe(toml), schema(columns));
    let needs = needs(&recipe, &schema)?;
    let state = |((_, array), need): (&(&str, ArrayRef), Need)| {
        let need = match need {
            Need::Count => VocabularyNeed::Count,
            Need::Vocabulary => VocabularyNeed::Exact { limit: 10_000_000 },
        };
        let mut state = ColumnState::new(array.data_type(), need);
        state.update(array.as_ref())?;
        Ok(state)
    };
    let states: Vec<ColumnState> = columns.iter().zip(needs).map(state).collect::<Result<_>>()?;
    fit(&recipe, &schema, &states.iter().collect::<Vec<_>>())
}

/// The table after both passes.
fn transformed(toml: &str, columns: &[(&str, ArrayRef)]) -> Result<Vec<(String, ArrayRef)>> {
    let pipeline = fitted(toml, columns)?;
    applied(&pipeline, columns)
}

fn applied(pipeline: &Pipeline, columns: &[(&str, ArrayRef)]) -> Result<Vec<(String, ArrayRef)>> {
    let lanes: Vec<Vec<ArrayRef>> =
        pipeline.lanes.iter().map(|lane| lane.apply(&columns[lane.input].1)).collect::<Result<_>>()?;
    for (lane, arrays) in pipeline.lanes.iter().zip(&lanes) {
        assert_eq!(lane.slots(), arrays.len());
    }
    let column = |column: &super::OutputColumn| {
        let array = plain(&lanes[column.lane][column.slot]);
        assert_eq!(*array.data_type(), column.data_type, "{}", column.name);
        (column.name.clone(), array)
    };
    Ok(pipeline.output.iter().map(column).collect())
}

/// The values row by row; codes alone say which are null.
fn plain(array: &ArrayRef) -> ArrayRef {
    let DataType::Dictionary(_, values) = array.data_type() else { return Arc::clone(array) };
    assert_eq!(array.logical_null_count(), array.null_count());
    arrow::compute::cast(array, values).expect("its values")
}

/// The only column of a table of one, after both passes.
fn one(toml: &str, array: ArrayRef) -> ArrayRef {
    let mut columns = transformed(toml, &[("x", array)]).expect("a table");
    assert_eq!(columns.len(), 1);
    columns.remove(0).1
}

fn message(result: Result<impl std::fmt::Debug>) -> String {
    result.expect_err("a refusal").to_string()
}

fn floats(values: impl IntoIterator<Item = impl Into<Option<f64>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Float64Array>())
}

fn ints(values: impl IntoIterator<Item = impl Into<Option<i64>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Int64Array>())
}

fn texts<'a>(values: impl IntoIterator<Item = impl Into<Option<&'a str>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<StringArray>())
}

/// As [`texts`], as a dictionary with duplicate, unused and null values.
fn dictionary<'a>(values: impl IntoIterator<Item = impl Into<Option<&'a str>>>) -> ArrayRef {
    let values: Vec<Option<&str>> = values.into_iter().map(Into::into).collect();
    let mut dictionary = vec![Some("never used"), None];
    let mut keys = Vec::new();
    for (row, value) in values.iter().enumerate() {
        // Nulls alternate between both of their forms; every value stands in the dictionary as often as in the column.
        match value {
            None if row % 2 == 0 => keys.push(None),
            None => keys.push(Some(1)),
            Some(value) => {
                keys.push(Some(dictionary.len() as i32));
                dictionary.push(Some(*value));
            }
        }
    }
    let keys = Int32Array::from(keys);
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(StringArray::from(dictionary))))
}

fn f64s(array: &ArrayRef) -> Vec<Option<f64>> {
    array.as_primitive::<Float64Type>().iter().collect()
}

fn f32s(array: &ArrayRef) -> Vec<Option<f32>> {
    array.as_primitive::<Float32Type>().iter().collect()
}

fn i32s(array: &ArrayRef) -> Vec<Option<i32>> {
    array.as_primitive::<Int32Type>().iter().collect()
}

fn i64s(array: &ArrayRef) -> Vec<Option<i64>> {
    array.as_primitive::<Int64Type>().iter().collect()
}

fn u8s(array: &ArrayRef) -> Vec<u8> {
    assert_eq!(array.null_count(), 0);
    array.as_primitive::<UInt8Type>().values().to_vec()
}

fn strings(array: &ArrayRef) -> Vec<Option<String>> {
    let plain = arrow::compute::cast(array, &DataType::Utf8).expect("text");
    plain.as_string::<i32>().iter().map(|value| value.map(str::to_string)).collect()
}

fn names(columns: &[(String, ArrayRef)]) -> Vec<&str> {
    columns.iter().map(|(name, _)| name.as_str()).collect()
}
