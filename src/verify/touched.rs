//! Which output columns hold the input's values as they were read. The manifest has the recipe and the output's types, not
//! the input's, so a class of columns (`@numeric`) is judged by the types its step can leave behind: in doubt a column
//! counts as touched, and what hangs on it as not provable.

use arrow::datatypes::DataType;

use super::Subject;
use crate::schema::{is_number, is_time};
use crate::spec::{FloatType, ImputeStrategy, OneOrMany, Recipe, Transform};

/// The position of column `name` in the output, when its values are the input's; else why they say nothing.
pub(super) fn untouched(job: &Subject<'_>, name: &str) -> Result<usize, String> {
    let at = job.column(name).ok_or_else(|| format!("`{name}` is not among the output's columns"))?;
    let touched = job.recipe.transform.iter().any(|step| may_touch(step, job.recipe, name, &job.types[at]));
    match touched {
        true => Err(format!("the parts do not hold `{name}` as it was read: a transform works on it")),
        false => Ok(at),
    }
}

fn may_touch(step: &Transform, recipe: &Recipe, name: &str, data_type: &DataType) -> bool {
    // Names and values are those after the structural steps, for the split as for the output.
    if step.is_structural() {
        return false;
    }
    let label = recipe.label.iter().map(|label| &label.column);
    let key = recipe.split.key.iter().flat_map(OneOrMany::as_slice);
    let reserved = label.chain(key).any(|column| column == name);
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
        | Transform::Drop(_)
        | Transform::Keep(_) => false,
    }
}
