//! Which columns a transform works on. A selector is a name, a glob, a class (`@numeric`), or a list of them. Looks at the
//! schema only.

use arrow::datatypes::{DataType, Schema};
use hashbrown::HashMap;

use crate::error::{Error, Result, did_you_mean};
use crate::schema::{is_number, is_time, position};
use crate::spec::{OneOrMany, Recipe, Transform};

/// Columns that no glob and no class selects: those that say which row goes where, and what is to be learnt.
fn reserved(recipe: &Recipe) -> Vec<&str> {
    let label = recipe.label.iter().map(|label| label.column.as_str());
    let split = &recipe.split;
    let columns = split.key.iter().chain(&split.groups).flat_map(OneOrMany::as_slice).chain(&split.time);
    label.chain(columns.map(String::as_str)).collect()
}

/// The columns of every transform as positions in `schema`, rising, each once.
///
/// # Errors
/// [`Error::Data`] for a name that is no column; [`Error::Recipe`] for a glob that matches nothing, an unknown class, and
/// for the label.
pub fn resolve(recipe: &Recipe, schema: &Schema) -> Result<Vec<Vec<usize>>> {
    let reserved = reserved(recipe);
    let positions = schema.fields().iter().enumerate().map(|(at, field)| (field.name().as_str(), at)).collect();
    recipe.transform.iter().map(|transform| columns(transform, recipe, schema, &positions, &reserved)).collect()
}

/// Where each column is, by name: thousands of columns may be named one by one.
type Positions<'a> = HashMap<&'a str, usize>;

fn columns(
    transform: &Transform,
    recipe: &Recipe,
    schema: &Schema,
    positions: &Positions<'_>,
    reserved: &[&str],
) -> Result<Vec<usize>> {
    let mut selected = vec![false; schema.fields().len()];
    for selector in transform.columns().as_slice() {
        select(selector, transform.op(), schema, (positions, reserved), &mut selected)?;
    }
    if let Some(label) = &recipe.label
        && let Some(&at) = positions.get(label.column.as_str())
        && selected[at]
    {
        let (op, label) = (transform.op(), &label.column);
        let message = format!(
            "{op} names `{label}`, the label: a label that is not numeric is mapped to 0..k-1 by itself, and a numeric one \
             is left as it is; take it out of the transform's columns"
        );
        return Err(Error::Recipe(message));
    }
    Ok((0..selected.len()).filter(|at| selected[*at]).collect())
}

fn select(
    selector: &str,
    op: &str,
    schema: &Schema,
    (positions, reserved): (&Positions<'_>, &[&str]),
    selected: &mut [bool],
) -> Result<()> {
    let fields = schema.fields();
    let free = |at: usize| !reserved.contains(&fields[at].name().as_str());
    // A column whose name looks like a glob or a class is still reached by its name.
    if let Some(&at) = positions.get(selector) {
        selected[at] = true;
        return Ok(());
    }
    if selector.starts_with('@') {
        let class = class(selector, op)?;
        (0..fields.len()).filter(|at| free(*at) && class(fields[*at].data_type())).for_each(|at| selected[at] = true);
        return Ok(());
    }
    if !selector.contains(['*', '?', '[']) {
        selected[position(schema, selector, &format!("column of {op}"))?] = true;
        return Ok(());
    }
    let pattern = glob::Pattern::new(selector)
        .map_err(|e| Error::Recipe(format!("{op}: `{selector}` is not a glob: {} at character {}", e.msg, e.pos)))?;
    let matching: Vec<usize> = (0..fields.len()).filter(|at| pattern.matches(fields[*at].name())).collect();
    let free: Vec<usize> = matching.iter().copied().filter(|at| free(*at)).collect();
    if free.is_empty() {
        let why = match matching.first() {
            None => "matches no column".to_string(),
            Some(at) => format!(
                "matches only `{}`, which a glob never selects (the label, or part of split.key, split.groups or split.time)",
                fields[*at].name()
            ),
        };
        return Err(Error::Recipe(format!("{op}: the glob `{selector}` {why}")));
    }
    free.into_iter().for_each(|at| selected[at] = true);
    Ok(())
}

fn class(selector: &str, op: &str) -> Result<fn(&DataType) -> bool> {
    Ok(match selector {
        "@numeric" => is_number,
        "@categorical" => |data_type| *data_type == DataType::Utf8,
        "@boolean" => |data_type| *data_type == DataType::Boolean,
        "@timestamp" => is_time,
        _ => {
            let known = ["@numeric", "@categorical", "@boolean", "@timestamp"];
            let near = did_you_mean(selector, known);
            return Err(Error::Recipe(format!(
                "{op}: `{selector}` is no class of columns{near}; there are {}",
                known.join(", ")
            )));
        }
    })
}
