//! What the output's columns say of the input's values: as they were read, as codes that stand for one value each, or nothing
//! for sure. The manifest has the recipe and the output's types, not the input's, so a class of columns (`@numeric`) is judged by
//! the types its step can leave behind: in doubt a column counts as touched, and what hangs on it as not provable.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_128;

use super::Subject;
use super::read::PartFormat;
use crate::error::{Error, Result};
use crate::hash::{self, NO_GROUP};
use crate::schema::{is_number, is_time};
use crate::spec::{
    FitRows, FloatType, ImputeStrategy, OneOrMany, OrdinalEncoder, OrdinalUnknown, OutputFormat, Recipe, Transform,
};
use crate::transform::select;

/// An output column that says something of the input's values.
#[derive(Debug, Clone)]
pub(super) struct Column<'a> {
    /// Its position.
    pub(super) at: usize,
    /// For a mapped label, the class of each code.
    classes: Option<&'a [String]>,
    /// Whether the values are those that were read; else a value stands for one that was read, but not for which.
    pub(super) exact: bool,
    /// Whether the parts tell a missing value from any other.
    tells_missing: bool,
}

/// Why a column says nothing, for a person.
pub(super) type Untold<T> = std::result::Result<T, String>;

impl<'a> Column<'a> {
    /// The column that has the values of `name` as they were read.
    pub(super) fn exact(job: &'a Subject<'a>, name: &str) -> Untold<Self> {
        let column = Self::distinct(job, name)?;
        if column.exact { Ok(column) } else { Err(format!("the parts hold codes of `{name}`, not its values")) }
    }

    /// The column that tells any two values of `name` apart.
    pub(super) fn distinct(job: &'a Subject<'a>, name: &str) -> Untold<Self> {
        let at = job
            .column(name)
            .ok_or_else(|| format!("the parts have no column `{name}`: it was encoded into others, or left out"))?;
        if let Some((label, classes)) = &job.manifest.label
            && label == name
        {
            let distinct: HashSet<&String> = classes.iter().collect();
            if distinct.len() < classes.len() {
                return Err(format!("the manifest gives two classes of `{name}` one name"));
            }
            return Ok(Self { at, classes: Some(classes), exact: true, tells_missing: true });
        }
        let data_type = &job.types[at];
        let touching: Vec<&Transform> =
            job.recipe.transform.iter().filter(|step| may_touch(step, job.recipe, name, data_type)).collect();
        let exact = match touching.as_slice() {
            [] => true,
            [Transform::OrdinalEncoder(op)] => {
                let shared = shared_codes(op, job.recipe);
                shared.map_or(Ok(false), |why| {
                    Err(format!("the parts hold codes of `{name}`, and two values may share one: {why}"))
                })?
            }
            [step, ..] => {
                return Err(format!(
                    "the parts do not hold `{name}` as it was read: a transform works on it ({})",
                    step.op()
                ));
            }
        };
        if !PartFormat::reads_back(job.recipe, data_type) {
            return Err(format!("`{name}` is {data_type}, which text parts do not give back exactly"));
        }
        let tells_missing = match job.recipe.output.format {
            OutputFormat::Parquet => true,
            OutputFormat::Csv | OutputFormat::Tsv => *data_type != DataType::Utf8,
            OutputFormat::Jsonl => !data_type.is_floating(),
        };
        Ok(Self { at, classes: None, exact, tells_missing })
    }

    /// Its values.
    pub(super) fn array(&self, job: &Subject<'_>, batch: &RecordBatch) -> Result<ArrayRef> {
        let array = by_name(job, batch, self.at)?;
        let Some(classes) = &self.classes else { return Ok(Arc::clone(array)) };
        let codes = cast(array, &DataType::Int64).map_err(|e| Error::failed("reading label codes", e))?;
        let class =
            |code: Option<i64>| code.and_then(|code| classes.get(usize::try_from(code).ok()?)).map(String::as_str);
        Ok(Arc::new(codes.as_primitive::<Int64Type>().iter().map(class).collect::<StringArray>()))
    }

    /// Its values as strata name them.
    pub(super) fn text(&self, job: &Subject<'_>, batch: &RecordBatch) -> Result<StringArray> {
        Ok(match hash::canonical_text(&self.array(job, batch)?)? {
            Cow::Owned(text) => text,
            Cow::Borrowed(text) => text.clone(),
        })
    }
}

/// Columns that are told by `find`, or why one is not.
pub(super) fn columns<'a>(
    job: &'a Subject<'a>,
    names: &OneOrMany,
    find: impl Fn(&'a Subject<'a>, &str) -> Untold<Column<'a>>,
) -> Untold<Vec<Column<'a>>> {
    names.as_slice().iter().map(|name| find(job, name)).collect()
}

/// What an empty field of CSV is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// A text, for no row without a value is left.
    Text,
    /// A text or a missing value: nobody knows.
    Unclear,
}

/// Wide hashes of rows, and how many of them are unclear because a value may be missing or not.
pub(super) struct Wide {
    pub(super) hashes: Vec<u128>,
    pub(super) unclear: u64,
}

/// The wide hashes of the rows of a batch, [`NO_GROUP`] where a value is missing or unclear.
pub(super) fn wide(job: &Subject<'_>, columns: &[Column<'_>], batch: &RecordBatch, empty: Empty) -> Result<Wide> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut unclear = vec![false; if columns.iter().all(|column| column.tells_missing) { 0 } else { batch.num_rows() }];
    for column in columns {
        let array = column.array(job, batch)?;
        let mut hashes = Vec::with_capacity(array.len());
        hash::wide_fields(&array, &mut hashes)?;
        if !column.tells_missing && array.null_count() > 0 {
            let is_text = empty == Empty::Text && *array.data_type() == DataType::Utf8;
            for row in (0..array.len()).filter(|row| array.is_null(*row)) {
                if is_text {
                    hashes[row] = xxh3_128(b"").max(1);
                } else {
                    unclear[row] = true;
                }
            }
        }
        fields.push(hashes);
    }
    let fields: Vec<&[u128]> = fields.iter().map(Vec::as_slice).collect();
    let hashes = if fields.is_empty() { vec![NO_GROUP; batch.num_rows()] } else { hash::combine_wide(&fields) };
    Ok(Wide { hashes, unclear: unclear.iter().filter(|unclear| **unclear).count() as u64 })
}

/// The key hashes of the rows of a batch; nothing when a value may be missing or not.
pub(super) fn key_hashes(job: &Subject<'_>, columns: &[Column<'_>], batch: &RecordBatch) -> Result<(Vec<u64>, bool)> {
    let mut unclear = false;
    let mut fields = Vec::with_capacity(columns.len());
    for column in columns {
        let array = column.array(job, batch)?;
        unclear |= !column.tells_missing && array.null_count() > 0;
        let mut hashes = Vec::with_capacity(array.len());
        hash::fields(&array, &mut hashes)?;
        fields.push(hashes);
    }
    let hashes = match fields.len() {
        1 => fields.pop().unwrap_or_default(),
        _ => hash::combine(&fields),
    };
    Ok((hashes, unclear))
}

/// The array of the output column at this position.
pub(super) fn by_name<'b>(job: &Subject<'_>, batch: &'b RecordBatch, at: usize) -> Result<&'b ArrayRef> {
    let name = &job.manifest.schema[at].0;
    batch.column_by_name(name).ok_or_else(|| Error::failed("reading a part", format!("column `{name}` is not there")))
}

/// Why two values may have one code.
fn shared_codes(op: &OrdinalEncoder, recipe: &Recipe) -> Option<&'static str> {
    if op.min_frequency.is_some() || op.max_categories.is_some() {
        return Some("infrequent ones do");
    }
    if op.encoded_missing_value.is_some() {
        return Some("missing ones have a code");
    }
    // Every value that is read is known where all rows are fitted on.
    (recipe.fit.rows != FitRows::All && op.handle_unknown == OrdinalUnknown::UseEncodedValue)
        .then_some("unknown ones do")
}

fn may_touch(step: &Transform, recipe: &Recipe, name: &str, data_type: &DataType) -> bool {
    // Names and values are those after the structural steps, for the split as for the output.
    if step.is_structural() {
        return false;
    }
    let reserved = select::reserved(recipe).contains(&name);
    step.columns().as_slice().iter().any(|selector| {
        if selector == name {
            return true;
        }
        if reserved {
            return false;
        }
        if selector.starts_with('@') {
            return may_leave(step, recipe, selector, data_type);
        }
        glob::Pattern::new(selector).is_ok_and(|pattern| pattern.matches(name))
            && may_leave(step, recipe, "", data_type)
    })
}

/// Whether the step, on columns of this class, can leave a column of this type.
fn may_leave(step: &Transform, recipe: &Recipe, class: &str, data_type: &DataType) -> bool {
    let in_class = match class {
        "@numeric" => is_number(data_type),
        "@categorical" => *data_type == DataType::Utf8,
        "@boolean" => *data_type == DataType::Boolean,
        "@timestamp" => is_time(data_type),
        _ => true,
    };
    match step {
        Transform::StandardScaler(_) | Transform::MinMaxScaler(_) => match recipe.output.float {
            FloatType::Float32 => *data_type == DataType::Float32,
            FloatType::Float64 => *data_type == DataType::Float64,
        },
        Transform::SimpleImputer(op) if op.strategy == ImputeStrategy::Mean => data_type.is_floating(),
        Transform::SimpleImputer(_) => in_class,
        Transform::OrdinalEncoder(_) => *data_type == DataType::Int32,
        // Its columns have names of their own.
        Transform::OneHotEncoder(_) => false,
        Transform::Rename(_)
        | Transform::Cast(_)
        | Transform::Concat(_)
        | Transform::RowMax(_)
        | Transform::Coalesce(_)
        | Transform::Drop(_)
        | Transform::Keep(_) => false,
    }
}
