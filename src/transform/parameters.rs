//! Checks of a transform's parameters that need no data.

use crate::error::{Error, Result};
use crate::spec::{Frequency, ImputeStrategy, OrdinalUnknown, Recipe, Transform};

/// Refuses parameters that scikit-learn refuses: its names, its limits.
///
/// # Errors
/// [`Error::Recipe`] that names the transform and the parameter.
pub fn check(recipe: &Recipe) -> Result<()> {
    recipe.transform.iter().enumerate().try_for_each(|(at, transform)| {
        parameters(transform)
            .map_err(|message| Error::Recipe(format!("transform {} ({}): {message}", at + 1, transform.op())))
    })
}

fn parameters(transform: &Transform) -> Result<(), String> {
    if transform.columns().as_slice().is_empty() {
        return Err("columns names none".to_string());
    }
    match transform {
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
