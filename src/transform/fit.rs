//! From states to fitted steps: what pass one must collect, and the pipeline made of it.

use arrow::datatypes::{DataType, Schema};

use super::column::Column;
use super::{Lane, OutputColumn, Pipeline, check, resolve};
use crate::error::{Error, Result};
use crate::schema::{is_hidden, is_number, position};
use crate::spec::Recipe;
use crate::state::ColumnState;

/// What pass one must collect of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Counts and moments.
    Count,
    /// Every distinct value with its count as well.
    Vocabulary,
}

/// What [`fit`] will need of every input column: a vocabulary of what is encoded or imputed by the most frequent value, and
/// of a label that is not numeric.
///
/// # Errors
/// Those of [`check`] and [`resolve`].
pub fn needs(recipe: &Recipe, schema: &Schema) -> Result<Vec<Need>> {
    check(recipe)?;
    let mut needs = vec![Need::Count; schema.fields().len()];
    for (transform, columns) in recipe.transform.iter().zip(resolve(recipe, schema)?) {
        if transform.needs_values() {
            columns.into_iter().for_each(|at| needs[at] = Need::Vocabulary);
        }
    }
    if let Some(at) = mapped_label(recipe, schema)?.filter(|at| !is_hidden(schema.field(*at))) {
        needs[at] = Need::Vocabulary;
    }
    Ok(needs)
}

/// The position of a label that is not numeric.
fn mapped_label(recipe: &Recipe, schema: &Schema) -> Result<Option<usize>> {
    let Some(label) = &recipe.label else { return Ok(None) };
    let at = position(schema, &label.column, "Label field")?;
    let data_type = schema.field(at).data_type();
    match data_type {
        // A column without any value is text.
        DataType::Utf8 | DataType::Boolean | DataType::Null => Ok(Some(at)),
        number if is_number(number) => Ok(None),
        other => Err(Error::Recipe(format!(
            "label.column `{}` is {other}: a label is numeric, text or boolean; set its type to string in input.schema",
            label.column
        ))),
    }
}

/// Fits every transform of the recipe from the states of all columns, in the schema's order.
///
/// # Errors
/// Those of [`check`] and [`resolve`]; [`Error::Recipe`] for a transform that does not fit its column's type, for steps
/// that two passes cannot make exact, and for two output columns of one name; [`Error::Data`] for what the transforms
/// cannot accept in the data: infinities, nothing to impute from, too many categories.
pub fn fit(recipe: &Recipe, schema: &Schema, states: &[&ColumnState]) -> Result<Pipeline> {
    check(recipe)?;
    let selected = resolve(recipe, schema)?;
    if states.len() != schema.fields().len() {
        return Err(Error::failed(
            "cannot fit",
            format!("{} states for {} columns", states.len(), schema.fields().len()),
        ));
    }
    let mut columns: Vec<Column<'_>> = schema
        .fields()
        .iter()
        .zip(states)
        .map(|(field, state)| Column::new(field.name(), field.data_type(), state))
        .collect();
    let mut indicators = Vec::new();
    for (transform, selected) in recipe.transform.iter().zip(selected) {
        // None of a structural step: its columns are there.
        for at in selected {
            if columns[at].add(transform, recipe.output.float)? {
                indicators.push(at);
            }
        }
    }
    if let Some(at) = mapped_label(recipe, schema)?.filter(|at| !is_hidden(schema.field(*at))) {
        columns[at].map_label()?;
    }
    pipeline(schema, columns, indicators)
}

/// Lanes and output columns, in their order. Hidden columns, which are the last, have none.
fn pipeline(schema: &Schema, mut columns: Vec<Column<'_>>, indicators: Vec<usize>) -> Result<Pipeline> {
    columns.truncate(schema.fields().iter().take_while(|field| !is_hidden(field)).count());
    let mut output = Vec::new();
    let mut next_slot = Vec::with_capacity(columns.len());
    for (lane, column) in columns.iter().enumerate() {
        let own = [column.name.to_string()];
        let names = column.names.as_deref().unwrap_or(&own);
        for (slot, name) in names.iter().enumerate() {
            output.push(OutputColumn { name: name.clone(), data_type: column.data_type.clone(), lane, slot });
        }
        next_slot.push(names.len());
    }
    for lane in indicators {
        let name = format!("missingindicator_{}", columns[lane].name);
        output.push(OutputColumn { name, data_type: DataType::UInt8, lane, slot: next_slot[lane] });
        next_slot[lane] += 1;
    }
    refuse_duplicates(&columns, &output)?;
    let lane =
        |(input, column): (usize, Column<'_>)| Lane { input, name: column.name.to_string(), steps: column.steps };
    Ok(Pipeline { lanes: columns.into_iter().enumerate().map(lane).collect(), output })
}

fn refuse_duplicates(columns: &[Column<'_>], output: &[OutputColumn]) -> Result<()> {
    let mut seen = hashbrown::HashMap::with_capacity(output.len());
    for column in output {
        if let Some(before) = seen.insert(column.name.as_str(), column.lane) {
            return Err(Error::Recipe(format!(
                "two output columns would be named `{}`: one from column `{}`, one from column `{}`; rename a column or \
                 impute missing values before encoding",
                column.name, columns[before].name, columns[column.lane].name
            )));
        }
    }
    Ok(())
}
