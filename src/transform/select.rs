//! Which columns a transform works on. A selector is a name, a glob, a class (`@numeric`), or a list of them. Looks at the
//! schema only.

use arrow::datatypes::{DataType, Schema};
use hashbrown::HashMap;

use crate::error::{Error, Result, did_you_mean};
use crate::schema::{self, is_number, is_time, position};
use crate::spec::{OneOrMany, Recipe, Transform};

/// Columns that no glob and no class selects: those that say which row goes where, and what is to be learnt.
pub(crate) fn reserved(recipe: &Recipe) -> Vec<&str> {
    let label = recipe.label.iter().map(|label| label.column.as_str());
    let split = &recipe.split;
    let columns = split.key.iter().chain(&split.groups).flat_map(OneOrMany::as_slice).chain(&split.time);
    label.chain(columns.map(String::as_str)).collect()
}

/// Those, and the columns that say which rows are duplicates.
pub(crate) fn deciding(recipe: &Recipe) -> Vec<&str> {
    let dedupe = recipe.dedupe.iter().flat_map(|dedupe| std::iter::once(&dedupe.key).chain(&dedupe.order_by));
    let dedupe = dedupe.flat_map(OneOrMany::as_slice).map(String::as_str);
    reserved(recipe).into_iter().chain(dedupe).collect()
}

/// Columns that the recipe asks for besides those that are written.
pub(crate) fn asked_for(recipe: &Recipe) -> Vec<&str> {
    let stratify = recipe.split.stratify.iter().flat_map(OneOrMany::as_slice).map(String::as_str);
    deciding(recipe).into_iter().chain(stratify).collect()
}

/// The columns of every transform as positions in `schema`, rising, each once; none of those steps that made the columns.
///
/// # Errors
/// [`Error::Data`] for a name that is no column; [`Error::Recipe`] for a glob that matches nothing, an unknown class, a
/// dropped column, and for the label.
pub fn resolve(recipe: &Recipe, schema: &Schema) -> Result<Vec<Vec<usize>>> {
    let reserved = reserved(recipe);
    let selection = Selection::new(schema, |name| !reserved.contains(&name));
    let columns = |transform: &Transform| match transform.is_structural() {
        true => Ok(Vec::new()),
        false => columns(transform, recipe, &selection),
    };
    recipe.transform.iter().map(columns).collect()
}

fn columns(transform: &Transform, recipe: &Recipe, selection: &Selection<'_>) -> Result<Vec<usize>> {
    let mut selected = vec![false; selection.schema.fields().len()];
    for selector in transform.columns().as_slice() {
        match selection.matching(selector, transform.op())? {
            Matching::Columns(columns) => columns.into_iter().for_each(|at| selected[at] = true),
            Matching::Nothing(error) => return Err(error),
        }
    }
    if let Some(label) = &recipe.label
        && let Some(&at) = selection.positions.get(label.column.as_str())
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

/// The columns that selectors choose from.
pub(crate) struct Selection<'a> {
    schema: &'a Schema,
    /// Where each column is, by name: thousands of columns may be named one by one.
    positions: HashMap<&'a str, usize>,
    /// For each column, whether globs and classes select it.
    free: Vec<bool>,
}

/// What a selector selects.
pub(crate) enum Matching {
    /// These columns, rising; none of a class is no mistake.
    Columns(Vec<usize>),
    /// No column, and the error that this is.
    Nothing(Error),
}

impl<'a> Selection<'a> {
    pub(crate) fn new(schema: &'a Schema, is_free: impl Fn(&str) -> bool) -> Self {
        let fields = schema.fields();
        Self {
            schema,
            positions: fields.iter().enumerate().map(|(at, field)| (field.name().as_str(), at)).collect(),
            free: fields.iter().map(|field| !schema::is_hidden(field) && is_free(field.name())).collect(),
        }
    }

    /// What `selector` selects, for a step named `op`.
    ///
    /// # Errors
    /// [`Error::Recipe`] for what is no selector, and for a column that an earlier step dropped.
    pub(crate) fn matching(&self, selector: &str, op: &str) -> Result<Matching> {
        let fields = self.schema.fields();
        // A column whose name looks like a glob or a class is still reached by its name.
        if let Some(&at) = self.positions.get(selector) {
            if schema::is_hidden(&fields[at]) {
                return Err(Error::Recipe(format!("{op}: column `{selector}` was dropped by a step before")));
            }
            return Ok(Matching::Columns(vec![at]));
        }
        let free = |at: &usize| self.free[*at];
        if selector.starts_with('@') {
            let class = class(selector, op)?;
            let columns = (0..fields.len()).filter(|at| free(at) && class(fields[*at].data_type()));
            return Ok(Matching::Columns(columns.collect()));
        }
        if !selector.contains(['*', '?', '[']) {
            let found = position(self.schema, selector, &format!("column of {op}"));
            return Ok(found.map_or_else(Matching::Nothing, |at| Matching::Columns(vec![at])));
        }
        let pattern = glob::Pattern::new(selector).map_err(|e| {
            Error::Recipe(format!("{op}: `{selector}` is not a glob: {} at character {}", e.msg, e.pos))
        })?;
        let matching: Vec<usize> = (0..fields.len()).filter(|at| pattern.matches(fields[*at].name())).collect();
        let free: Vec<usize> = matching.iter().copied().filter(free).collect();
        if !free.is_empty() {
            return Ok(Matching::Columns(free));
        }
        let why = match matching.first() {
            None => "matches no column".to_string(),
            Some(at) => format!(
                "matches only `{}`, which a glob never selects (the label, or part of split.key, split.groups or split.time)",
                fields[*at].name()
            ),
        };
        Ok(Matching::Nothing(Error::Recipe(format!("{op}: the glob `{selector}` {why}"))))
    }
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
