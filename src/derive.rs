//! Derived columns: what the structural steps of a recipe (rename, cast, concat, row_max, coalesce, drop, keep) make of the
//! columns of the input before anything is fitted or split. All that follows sees the derived columns alone; chunks stay in source
//! columns, and each derived column is an expression over them that is evaluated batch by batch.
//!
//! Pure: it decides nothing from values and keeps none. A derived column's values do not depend on batches, nor on whether
//! they came in dictionaries.

mod cast;
mod combine;
mod steps;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::schema;
use crate::source::Chunk;
use crate::spec::{CastErrors, Recipe};

use cast::{Caster, Misfit};

/// The columns that a recipe makes of the input's.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// How many columns the input has.
    pub inputs: usize,
    /// The source columns that some derived column is made of, in the input's order. No other is decoded.
    pub source: SchemaRef,
    /// The derived columns: first those of the output, then those that only the split asks for ([`schema::is_hidden`]).
    pub schema: SchemaRef,
    /// How each derived column is made.
    expressions: Vec<Expression>,
    /// For each structural step, the names of the columns it works on, as they are before it.
    pub touched: Vec<Vec<String>>,
}

/// How a column is made of source columns.
#[derive(Debug, Clone, PartialEq)]
enum Expression {
    /// The source column at this position.
    Source(usize),
    /// Its values as another type.
    Cast { input: Box<Expression>, column: String, to: DataType, errors: CastErrors },
    /// The texts of columns, joined.
    Concat { inputs: Vec<Expression>, column: String, separator: String, missing: Option<String> },
    /// The label: as whole numbers if it is one of numbers.
    Label { input: Box<Expression>, column: String },
    /// The largest value of each row.
    RowMax { inputs: Vec<Expression>, column: String, data_type: DataType },
    /// The first value of each row that is not missing.
    Coalesce { inputs: Vec<Expression>, column: String, data_type: DataType },
}

/// Gets the arrays of a column in order, each with its first row within the chunk.
type Visit<'a> = dyn FnMut(usize, ArrayRef) -> Result<()> + 'a;

impl Derived {
    /// What `recipe` makes of columns of this schema.
    ///
    /// # Errors
    /// [`Error::Data`] for a column that is not there; [`Error::Recipe`] for two columns of one name, for none at all, and
    /// for types that have no largest value.
    pub fn new(recipe: &Recipe, input: &SchemaRef) -> Result<Self> {
        steps::derive(recipe, input)
    }

    /// The input's columns as they are.
    pub fn identity(input: &SchemaRef) -> Self {
        Self {
            inputs: input.fields().len(),
            source: Arc::clone(input),
            schema: Arc::clone(input),
            expressions: (0..input.fields().len()).map(Expression::Source).collect(),
            touched: Vec::new(),
        }
    }

    /// Those of the columns that `keep` says yes to by name, and no source column that none of them is made of.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.expressions.len()).filter(|at| keep(self.schema.field(*at).name())).collect();
        let fields = kept.iter().map(|at| Arc::clone(&self.schema.fields()[*at])).collect::<Vec<_>>();
        let expressions = kept.iter().map(|at| self.expressions[*at].clone()).collect();
        Self { inputs: self.inputs, ..Self::pruned(&self.source, fields.into(), expressions, Vec::new()) }
    }

    /// Columns made by expressions over `source`, less the source columns that none is made of.
    fn pruned(source: &SchemaRef, fields: Fields, mut expressions: Vec<Expression>, touched: Vec<Vec<String>>) -> Self {
        let mut used = vec![false; source.fields().len()];
        expressions.iter().for_each(|expression| expression.mark(&mut used));
        let kept: Vec<usize> = (0..used.len()).filter(|at| used[*at]).collect();
        let mut now_at = vec![0; used.len()];
        kept.iter().enumerate().for_each(|(now, at)| now_at[*at] = now);
        expressions.iter_mut().for_each(|expression| expression.renumber(&now_at));
        let kept = kept.into_iter().map(|at| Arc::clone(&source.fields()[at])).collect::<Vec<_>>();
        Self {
            inputs: source.fields().len(),
            source: Arc::new(Schema::new(kept)),
            schema: Arc::new(Schema::new(fields)),
            expressions,
            touched,
        }
    }

    /// The same columns once all values were seen: one that has none is text.
    #[must_use]
    pub fn settled(self) -> Self {
        Self { source: schema::settled(&self.source), schema: schema::settled(&self.schema), ..self }
    }

    /// Refuses casts between types that have no value in common. What is text by its values is known only once all were
    /// seen, so this is for settled columns.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names column and types.
    pub fn check_types(&self) -> Result<()> {
        self.expressions.iter().try_for_each(|expression| expression.check_types(&self.source))
    }

    /// Whether a column is made of several, which are decoded side by side.
    pub fn combines(&self) -> bool {
        self.expressions.iter().any(Expression::combines)
    }

    /// Hash of how the columns are made, and hash of the types they are made of.
    pub fn fingerprints(&self) -> (u128, u128) {
        let (mut how, mut of) = (String::new(), String::new());
        for (field, expression) in self.schema.fields().iter().zip(&self.expressions) {
            expression.describe(&self.source, &mut how, &mut of);
            how.push_str(&format!(" as {:?}\n", field.name()));
        }
        (xxh3_128(how.as_bytes()), xxh3_128(of.as_bytes()))
    }

    /// Hands over the arrays of a derived column of a chunk, as [`Chunk::for_each_array`] does.
    ///
    /// # Errors
    /// [`Error::Data`] that names shard, row and column for a value that a cast refuses; as [`Chunk::for_each_array`].
    pub fn for_each_array(&self, chunk: &Chunk, column: usize, visit: &mut Visit<'_>) -> Result<()> {
        if chunk.is_derived() {
            return chunk.for_each_array(&self.schema, column, visit);
        }
        let data_type = self.schema.field(column).data_type();
        match &self.expressions[column] {
            Expression::Source(at) => chunk.for_each_array(&self.source, *at, visit),
            made => made
                .evaluate(&self.source, chunk, &mut |first, array| match array.data_type() {
                    DataType::Null => visit(first, new_null_array(data_type, array.len())),
                    _ => visit(first, array),
                })
                .map_err(|e| e.in_shard(chunk.shard())),
        }
    }
}

impl Expression {
    fn data_type(&self, source: &SchemaRef) -> DataType {
        match self {
            Self::Source(at) => source.field(*at).data_type().clone(),
            Self::Cast { to, .. } => to.clone(),
            Self::Label { input, .. } => cast::label_type(&input.data_type(source)),
            Self::Concat { .. } => DataType::Utf8,
            Self::RowMax { data_type, .. } | Self::Coalesce { data_type, .. } => data_type.clone(),
        }
    }

    fn inputs(&self) -> &[Self] {
        match self {
            Self::Source(_) => &[],
            Self::Cast { input, .. } | Self::Label { input, .. } => std::slice::from_ref(input),
            Self::Concat { inputs, .. } | Self::RowMax { inputs, .. } | Self::Coalesce { inputs, .. } => inputs,
        }
    }

    fn inputs_mut(&mut self) -> &mut [Self] {
        match self {
            Self::Source(_) => &mut [],
            Self::Cast { input, .. } | Self::Label { input, .. } => std::slice::from_mut(input),
            Self::Concat { inputs, .. } | Self::RowMax { inputs, .. } | Self::Coalesce { inputs, .. } => inputs,
        }
    }

    fn combines(&self) -> bool {
        matches!(self, Self::Concat { .. } | Self::RowMax { .. } | Self::Coalesce { .. })
            || self.inputs().iter().any(Self::combines)
    }

    /// Marks the source columns it is made of.
    fn mark(&self, used: &mut [bool]) {
        if let Self::Source(at) = self {
            used[*at] = true;
        }
        self.inputs().iter().for_each(|input| input.mark(used));
    }

    /// Moves source columns to where they are now.
    fn renumber(&mut self, now_at: &[usize]) {
        if let Self::Source(at) = self {
            *at = now_at[*at];
        }
        self.inputs_mut().iter_mut().for_each(|input| input.renumber(now_at));
    }

    fn check_types(&self, source: &SchemaRef) -> Result<()> {
        if let Self::Cast { input, column, to, .. } = self {
            let from = input.data_type(source);
            if !cast::is_possible(&from, to) {
                let message =
                    format!("cast: column `{column}` is {from}, of which no value is {to}; cast it to string");
                return Err(Error::Recipe(message));
            }
        }
        self.inputs().iter().try_for_each(|input| input.check_types(source))
    }

    /// Appends how it is made, and the types of source columns whose values are worked on.
    fn describe(&self, source: &SchemaRef, how: &mut String, of: &mut String) {
        match self {
            Self::Source(at) => return how.push_str(&format!("{:?}", source.field(*at).name())),
            Self::Cast { to, errors, .. } => how.push_str(&format!("cast {to} {errors:?}")),
            // What becomes of it follows from its type alone.
            Self::Label { .. } => how.push_str("label"),
            Self::Concat { separator, missing, .. } => how.push_str(&format!("concat {separator:?} {missing:?}")),
            Self::RowMax { .. } => how.push_str("row_max"),
            Self::Coalesce { .. } => how.push_str("coalesce"),
        }
        for input in self.inputs() {
            how.push_str(" (");
            input.describe(source, how, of);
            how.push(')');
            if let Self::Source(at) = input {
                of.push_str(&format!("{}\n", source.field(*at).data_type()));
            }
        }
    }

    /// Hands over its arrays. All columns of a chunk are cut at the same rows: those of several inputs go together.
    fn evaluate(&self, source: &SchemaRef, chunk: &Chunk, visit: &mut Visit<'_>) -> Result<()> {
        match self {
            Self::Source(at) => chunk.for_each_array(source, *at, visit),
            Self::Cast { input, column, to, errors } => {
                let mut caster = Caster::new(to, (*errors).into());
                input.evaluate(source, chunk, &mut |first, array| {
                    let first_row = chunk.first_row() + first as u64;
                    visit(first, caster.apply(array, first_row).map_err(|e| e.in_column(column))?)
                })
            }
            Self::Label { input, column } => {
                let from = input.data_type(source);
                let to = cast::label_type(&from);
                if to == from {
                    return input.evaluate(source, chunk, visit);
                }
                let mut caster = Caster::new(&to, Misfit::Label);
                input.evaluate(source, chunk, &mut |first, array| {
                    let first_row = chunk.first_row() + first as u64;
                    visit(first, caster.apply(array, first_row).map_err(|e| e.in_column(column))?)
                })
            }
            Self::Concat { inputs, column, separator, missing } => {
                side_by_side(inputs, source, chunk, &mut |first, arrays| {
                    let joined = combine::concat(&arrays, separator, missing.as_deref());
                    let joined = joined.map_err(|e| e.in_column(column).offset_rows(chunk.first_row() + first as u64));
                    drop(arrays);
                    visit(first, joined?)
                })
            }
            Self::Coalesce { inputs, column, data_type } => {
                side_by_side(inputs, source, chunk, &mut |first, arrays| {
                    let found = combine::coalesce(&arrays, data_type);
                    let found = found.map_err(|e| e.in_column(column).offset_rows(chunk.first_row() + first as u64));
                    drop(arrays);
                    visit(first, found?)
                })
            }
            Self::RowMax { inputs, column, data_type } => {
                // One array a batch is held: the largest so far.
                let mut largest: Vec<(usize, ArrayRef)> = Vec::new();
                for (at, input) in inputs.iter().enumerate() {
                    let mut number = 0;
                    input.evaluate(source, chunk, &mut |first, array| {
                        let first_row = chunk.first_row() + first as u64;
                        let array =
                            combine::comparable(&array, data_type, first_row).map_err(|e| e.in_column(column))?;
                        match largest.get_mut(number) {
                            Some((_, held)) if at > 0 => *held = combine::larger(held, &array)?,
                            _ => largest.push((first, array)),
                        }
                        number += 1;
                        Ok(())
                    })?;
                }
                largest.into_iter().try_for_each(|(first, array)| visit(first, array))
            }
        }
    }
}

/// The arrays of several inputs, batch by batch. What the first inputs give is held until the last one is decoded: of
/// dictionaries, the codes.
fn side_by_side(
    inputs: &[Expression],
    source: &SchemaRef,
    chunk: &Chunk,
    visit: &mut dyn FnMut(usize, Vec<ArrayRef>) -> Result<()>,
) -> Result<()> {
    let mut batches: Vec<(usize, Vec<ArrayRef>)> = Vec::new();
    for (at, input) in inputs.iter().enumerate() {
        let mut number = 0;
        input.evaluate(source, chunk, &mut |first, array| {
            if at == 0 {
                batches.push((first, Vec::with_capacity(inputs.len())));
            }
            batches[number].1.push(array);
            number += 1;
            Ok(())
        })?;
    }
    batches.into_iter().try_for_each(|(first, arrays)| visit(first, arrays))
}

#[cfg(test)]
mod tests;
