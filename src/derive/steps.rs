//! The structural steps one by one: each makes columns of those before it, by names and types alone.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use regex::Regex;

use super::{Derived, Expression};
use crate::error::{Error, Result};
use crate::schema;
use crate::spec::{
    Cast, Coalesce, Concat, DropColumns, IfMissing, KeepColumns, OneOrMany, Recipe, Rename, RowMax, Transform,
};
use crate::transform::select::{Matching, Selection, asked_for, deciding};

/// A column on its way through the steps.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    data_type: DataType,
    expression: Expression,
}

/// The columns as they are between two steps.
struct Steps<'a> {
    input: &'a SchemaRef,
    columns: Vec<Column>,
    /// Taken out, in order.
    dropped: Vec<Column>,
    /// Names that no glob and no class selects.
    reserved: Vec<&'a str>,
    /// The renamings that are still to come.
    renames: Vec<Renaming<'a>>,
}

/// A renaming with its pattern read.
struct Renaming<'a> {
    step: &'a Rename,
    pattern: Option<Regex>,
}

pub(super) fn derive(recipe: &Recipe, input: &SchemaRef) -> Result<Derived> {
    let structural = || recipe.transform.iter().filter(|step| step.is_structural());
    let whole_label = recipe.label.as_ref().filter(|label| label.integer);
    if structural().next().is_none() && whole_label.is_none() {
        return Ok(Derived::identity(input));
    }
    let column = |(at, field): (usize, &Arc<Field>)| Column {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        expression: Expression::Source(at),
    };
    let mut renames = Vec::new();
    for step in structural() {
        if let Transform::Rename(step) = step {
            renames.push(Renaming { step, pattern: step.pattern.as_deref().map(pattern).transpose()? });
        }
    }
    let columns = input.fields().iter().enumerate().map(column).collect();
    let mut steps = Steps { input, columns, dropped: Vec::new(), reserved: deciding(recipe), renames };
    let mut touched = Vec::new();
    for step in structural() {
        touched.push(match step {
            Transform::Rename(_) => steps.rename()?,
            Transform::Cast(step) => steps.cast(step)?,
            Transform::Concat(step) => steps.concat(step)?,
            Transform::RowMax(step) => steps.row_max(step)?,
            Transform::Coalesce(step) => steps.coalesce(step)?,
            Transform::Drop(step) => steps.drop(step)?,
            Transform::Keep(step) => steps.keep(step)?,
            _ => continue,
        });
        if steps.columns.is_empty() && !input.fields().is_empty() {
            return Err(Error::Recipe(format!("{}: no column is left; name fewer columns", step.op())));
        }
    }
    if let Some(label) = whole_label {
        steps.make_whole(&label.column);
    }
    Ok(steps.finish(recipe, touched))
}

/// The regular expression of a renaming, which was checked with the recipe's parameters.
fn pattern(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|e| Error::Recipe(format!("rename: `{text}` is not a regular expression: {e}")))
}

impl Steps<'_> {
    /// The columns as selectors see them. Text by its values may still be of no type: what has no value is text.
    fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true));
        schema::settled(&Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The columns that these select, in the order listed; those that one glob or class selects in the columns' order.
    fn selected(&self, columns: &OneOrMany, op: &str, how: Selects) -> Result<Option<Vec<usize>>> {
        let schema = self.schema();
        let is_free = |name: &str| how.all || !self.reserved.contains(&self.at_last(name).as_ref());
        let selection = Selection::new(&schema, is_free);
        let mut selected = Vec::new();
        let mut seen = vec![false; self.columns.len()];
        let mut complete = true;
        for selector in columns.as_slice() {
            match selection.matching(selector, op)? {
                Matching::Columns(columns) => {
                    selected.extend(columns.into_iter().filter(|at| !std::mem::replace(&mut seen[*at], true)));
                }
                Matching::Nothing(_) if how.if_missing == IfMissing::Skip => complete = false,
                Matching::Nothing(error) => return Err(error),
            }
        }
        Ok((complete || !how.whole).then_some(selected))
    }

    /// The name that a column of this name will have after all steps: the recipe's other sections know it by that.
    fn at_last<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let renamed = |name: Cow<'n, str>, rename: &Renaming<'_>| rename.of(&name).map_or(name, Cow::Owned);
        self.renames.iter().fold(Cow::Borrowed(name), renamed)
    }

    fn rename(&mut self) -> Result<Vec<String>> {
        let Renaming { step, pattern } = self.renames.remove(0);
        let schema = self.schema();
        let mut names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        match &pattern {
            None => {
                for (old, new) in &step.names {
                    names[schema::position(&schema, old, "column of rename")?].clone_from(new);
                }
            }
            Some(pattern) => {
                let replacement = step.replacement.as_deref().unwrap_or_default();
                let all = (0..names.len()).collect();
                let columns = match step.columns.as_slice() {
                    [] => all,
                    _ => self.selected(&step.columns, "rename", Selects::ALL)?.unwrap_or(all),
                };
                for at in columns {
                    names[at] = pattern.replace_all(&names[at], replacement).into_owned();
                }
            }
        }
        refuse_names(&self.columns, &names)?;
        let mut touched = Vec::new();
        for (column, name) in self.columns.iter_mut().zip(names).filter(|(column, name)| column.name != *name) {
            touched.push(std::mem::replace(&mut column.name, name));
        }
        Ok(touched)
    }

    fn cast(&mut self, step: &Cast) -> Result<Vec<String>> {
        let selects = Selects { if_missing: step.if_missing, ..Selects::FREE };
        let mut selected = self.selected(&step.columns, "cast", selects)?.unwrap_or_default();
        // An exception that is not there is none.
        let except = Selects { if_missing: IfMissing::Skip, ..Selects::ALL };
        let except = self.selected(&step.except, "cast", except)?.unwrap_or_default();
        selected.retain(|at| !except.contains(at));
        let to = schema::named(step.to);
        for &at in &selected {
            let column = &mut self.columns[at];
            let input = std::mem::replace(&mut column.expression, Expression::Source(0));
            column.expression = Expression::Cast {
                input: Box::new(input),
                column: column.name.clone(),
                to: to.clone(),
                errors: step.errors,
            };
            column.data_type = to.clone();
        }
        Ok(self.names(&selected))
    }

    fn concat(&mut self, step: &Concat) -> Result<Vec<String>> {
        let selects = Selects { if_missing: step.if_missing, whole: true, ..Selects::FREE };
        let Some(selected) = self.selected(&step.columns, "concat", selects)? else { return Ok(Vec::new()) };
        if selected.is_empty() {
            return Err(Error::Recipe(format!("concat into `{}`: no column is selected", step.into)));
        }
        let text = |&at: &usize| Expression::Cast {
            input: Box::new(self.columns[at].expression.clone()),
            column: self.columns[at].name.clone(),
            to: DataType::Utf8,
            errors: crate::spec::CastErrors::Raise,
        };
        let expression = Expression::Concat {
            inputs: selected.iter().map(text).collect(),
            column: step.into.clone(),
            separator: step.separator.clone(),
            missing: step.missing.clone(),
        };
        let names = self.names(&selected);
        self.put(Column { name: step.into.clone(), data_type: DataType::Utf8, expression });
        Ok(names)
    }

    fn row_max(&mut self, step: &RowMax) -> Result<Vec<String>> {
        let selected = self.selected(&step.columns, "row_max", Selects::FREE)?.unwrap_or_default();
        let takes = "numbers, booleans, dates and timestamps";
        let data_type = self.common_type(&selected, has_order, takes);
        let data_type = data_type.map_err(|why| Error::Recipe(format!("row_max into `{}`: {why}", step.into)))?;
        let (names, inputs) = (self.names(&selected), self.expressions(&selected));
        let expression = Expression::RowMax { inputs, column: step.into.clone(), data_type: data_type.clone() };
        self.put(Column { name: step.into.clone(), data_type, expression });
        Ok(names)
    }

    fn coalesce(&mut self, step: &Coalesce) -> Result<Vec<String>> {
        let selects = Selects { if_missing: step.if_missing, ..Selects::FREE };
        let selected = self.selected(&step.columns, "coalesce", selects)?.unwrap_or_default();
        let takes = "text, numbers, booleans, dates and timestamps";
        let data_type = self.common_type(&selected, |t| has_order(t) || *t == DataType::Utf8, takes);
        let data_type = data_type.map_err(|why| Error::Recipe(format!("coalesce into `{}`: {why}", step.into)))?;
        let (names, inputs) = (self.names(&selected), self.expressions(&selected));
        let expression = Expression::Coalesce { inputs, column: step.into.clone(), data_type: data_type.clone() };
        self.put(Column { name: step.into.clone(), data_type, expression });
        Ok(names)
    }

    /// The narrowest type that holds the values of these columns, or why there is none.
    fn common_type(&self, at: &[usize], is_taken: impl Fn(&DataType) -> bool, takes: &str) -> Result<DataType, String> {
        if at.is_empty() {
            return Err("no column is selected".into());
        }
        let mut common = DataType::Null;
        for column in at.iter().map(|&at| &self.columns[at]) {
            let (name, data_type) = (&column.name, &column.data_type);
            if !is_taken(data_type) {
                return Err(format!("column `{name}` is {data_type}; it takes {takes}: cast it first"));
            }
            common = schema::wider(&common, data_type).ok_or_else(|| {
                format!("column `{name}` is {data_type}, which does not go with {common}: cast it first")
            })?;
        }
        Ok(common)
    }

    fn expressions(&self, at: &[usize]) -> Vec<Expression> {
        at.iter().map(|&at| self.columns[at].expression.clone()).collect()
    }

    fn drop(&mut self, step: &DropColumns) -> Result<Vec<String>> {
        let selects = Selects { if_missing: step.if_missing, ..Selects::FREE };
        let selected = self.selected(&step.columns, "drop", selects)?.unwrap_or_default();
        let names = self.names(&selected);
        self.take_out(|at| selected.contains(&at));
        Ok(names)
    }

    fn keep(&mut self, step: &KeepColumns) -> Result<Vec<String>> {
        let selected = self.selected(&step.columns, "keep", Selects::ALL)?.unwrap_or_default();
        let names = self.names(&selected);
        self.take_out(|at| !selected.contains(&at));
        Ok(names)
    }

    fn take_out(&mut self, is_out: impl Fn(usize) -> bool) {
        let columns = std::mem::take(&mut self.columns);
        for (at, column) in columns.into_iter().enumerate() {
            if is_out(at) { &mut self.dropped } else { &mut self.columns }.push(column);
        }
    }

    /// In place of the column of that name, or after the last.
    fn put(&mut self, column: Column) {
        match self.columns.iter_mut().find(|there| there.name == column.name) {
            Some(there) => *there = column,
            None => self.columns.push(column),
        }
    }

    /// The label of whole numbers, if it is one of numbers; that it is there is for others to check.
    fn make_whole(&mut self, label: &str) {
        let all = self.columns.iter_mut().chain(self.dropped.iter_mut().rev());
        let Some(column) = all.into_iter().find(|column| column.name == label) else { return };
        let input = std::mem::replace(&mut column.expression, Expression::Source(0));
        column.expression = Expression::Label { input: Box::new(input), column: label.to_string() };
        column.data_type = super::cast::label_type(&column.data_type);
    }

    fn names(&self, at: &[usize]) -> Vec<String> {
        at.iter().map(|&at| self.columns[at].name.clone()).collect()
    }

    /// The columns that are left, and those that were taken out and the split asks for.
    fn finish(self, recipe: &Recipe, touched: Vec<Vec<String>>) -> Derived {
        let Self { input, columns, dropped, .. } = self;
        let mut hidden: Vec<&Column> = Vec::new();
        for name in asked_for(recipe) {
            let is_there = |column: &Column| column.name == name;
            if columns.iter().any(is_there) || hidden.iter().any(|column| is_there(column)) {
                continue;
            }
            // Of several that had the name, the one that had it last.
            hidden.extend(dropped.iter().rev().find(|column| is_there(column)));
        }
        let field = |column: &Column| Field::new(&column.name, column.data_type.clone(), true);
        let fields = columns.iter().map(field).chain(hidden.iter().map(|column| schema::hidden(field(column))));
        let fields: Vec<Field> = fields.collect();
        let expressions = columns.iter().chain(hidden).map(|column| column.expression.clone()).collect();
        Derived::pruned(input, fields.into(), expressions, touched)
    }
}

/// How selectors are taken.
#[derive(Clone, Copy)]
struct Selects {
    /// Globs and classes select reserved columns as well.
    all: bool,
    /// Where one selector matches nothing, nothing is selected at all.
    whole: bool,
    if_missing: IfMissing,
}

impl Selects {
    const FREE: Self = Self { all: false, whole: false, if_missing: IfMissing::Raise };
    const ALL: Self = Self { all: true, ..Self::FREE };
}

impl Renaming<'_> {
    /// The new name of a column of this name; nothing when it keeps it. A class is taken to select it.
    fn of(&self, name: &str) -> Option<String> {
        let Some(pattern) = &self.pattern else { return self.step.names.get(name).cloned() };
        let selects = |selector: &String| {
            selector == name
                || selector.starts_with('@')
                || glob::Pattern::new(selector).is_ok_and(|glob| glob.matches(name))
        };
        let columns = self.step.columns.as_slice();
        if !columns.is_empty() && !columns.iter().any(selects) {
            return None;
        }
        Some(pattern.replace_all(name, self.step.replacement.as_deref().unwrap_or_default()).into_owned())
    }
}

fn refuse_names(columns: &[Column], names: &[String]) -> Result<()> {
    let mut seen = hashbrown::HashMap::with_capacity(names.len());
    for (column, name) in columns.iter().zip(names) {
        if name.is_empty() {
            return Err(Error::Recipe(format!("rename: column `{}` would have no name", column.name)));
        }
        if let Some(before) = seen.insert(name.as_str(), &column.name) {
            let message = format!("rename: columns `{before}` and `{}` would both be named `{name}`", column.name);
            return Err(Error::Recipe(message));
        }
    }
    Ok(())
}

fn has_order(data_type: &DataType) -> bool {
    schema::is_number(data_type)
        || schema::is_time(data_type)
        || matches!(data_type, DataType::Boolean | DataType::Null)
}
