//! Checks of a transform's parameters that need no data.

use regex::Regex;

use crate::error::{Error, Result};
use crate::spec::{Coalesce, Concat, Frequency, ImputeStrategy, OrdinalUnknown, Recipe, Rename, RowMax, Transform};

/// Refuses parameters that scikit-learn refuses: its names, its limits.
///
/// # Errors
/// [`Error::Recipe`] that names the transform and the parameter.
pub fn check(recipe: &Recipe) -> Result<()> {
    let refuse = |at: usize, message: String| {
        Error::Recipe(format!("transform {} ({}): {message}", at + 1, recipe.transform[at].op()))
    };
    let fitted = recipe.transform.iter().position(|transform| !transform.is_structural());
    recipe.transform.iter().enumerate().try_for_each(|(at, transform)| {
        if let Some(fitted) = fitted.filter(|fitted| *fitted < at && transform.is_structural()) {
            let op = recipe.transform[fitted].op();
            let message = format!(
                "it makes the columns that are split and fitted; move it up, before transform {} ({op})",
                fitted + 1
            );
            return Err(refuse(at, message));
        }
        parameters(transform).map_err(|message| refuse(at, message))
    })
}

fn parameters(transform: &Transform) -> Result<(), String> {
    if transform.columns().as_slice().is_empty() && !matches!(transform, Transform::Rename(_)) {
        return Err("columns names none".to_string());
    }
    match transform {
        Transform::Rename(op) => rename(op),
        Transform::Concat(Concat { into, .. })
        | Transform::RowMax(RowMax { into, .. })
        | Transform::Coalesce(Coalesce { into, .. })
            if into.is_empty() =>
        {
            Err("into is empty: name the column".to_string())
        }
        Transform::Cast(_)
        | Transform::Concat(_)
        | Transform::RowMax(_)
        | Transform::Coalesce(_)
        | Transform::Drop(_)
        | Transform::Keep(_) => Ok(()),
        Transform::StandardScaler(_) => Ok(()),
        Transform::SimpleImputer(op) if op.fill_value.is_some() && op.strategy != ImputeStrategy::Constant => {
            Err("fill_value goes with strategy = \"constant\"".to_string())
        }
        Transform::SimpleImputer(_) => Ok(()),
        Transform::MinMaxScaler(op) => {
            let (low, high) = op.feature_range;
            if low < high && low.is_finite() && high.is_finite() {
                return Ok(());
            }
            Err(format!("feature_range must be two numbers, the smaller first; it is [{low}, {high}]"))
        }
        Transform::OrdinalEncoder(op) => {
            match (op.handle_unknown, op.unknown_value) {
                (OrdinalUnknown::UseEncodedValue, None) => {
                    return Err("handle_unknown = \"use_encoded_value\" needs an unknown_value".to_string());
                }
                (OrdinalUnknown::Error, Some(_)) => {
                    return Err("unknown_value is only used with handle_unknown = \"use_encoded_value\"".to_string());
                }
                _ => {}
            }
            infrequent(op.min_frequency, op.max_categories)
        }
        Transform::OneHotEncoder(op) => infrequent(op.min_frequency, op.max_categories),
    }
}

fn rename(op: &Rename) -> Result<(), String> {
    let message = match (&op.pattern, &op.replacement) {
        (None, None) if op.names.is_empty() => "give names = { old = \"new\" }, or pattern and replacement",
        (Some(_), Some(_)) if !op.names.is_empty() => "names and pattern do not go together: write two steps",
        (None, None) if !op.columns.as_slice().is_empty() => "columns goes with pattern; names has its own",
        (None, Some(_)) => "replacement needs a pattern",
        (Some(_), None) => "pattern needs a replacement, which may be empty",
        (Some(pattern), Some(_)) => {
            return Regex::new(pattern)
                .map(drop)
                .map_err(|e| format!("pattern = \"{pattern}\" is not a regular expression: {e}"));
        }
        (None, None) => return Ok(()),
    };
    Err(message.to_string())
}

fn infrequent(min_frequency: Option<Frequency>, max_categories: Option<usize>) -> Result<(), String> {
    match min_frequency {
        Some(Frequency::Count(0)) => return Err("min_frequency as a count must be at least 1".to_string()),
        Some(Frequency::Share(share)) if !(share > 0.0 && share < 1.0) => {
            return Err(format!("min_frequency as a share must be between 0 and 1; it is {share}"));
        }
        _ => {}
    }
    if max_categories == Some(0) { Err("max_categories must be at least 1".to_string()) } else { Ok(()) }
}
