//! What is done to the columns: transforms are fitted from the states of pass one and applied to arrays in pass two.
//!
//! [`resolve`] says which columns each transform works on, [`needs`] what pass one must collect for them, [`fit`] makes the
//! [`Pipeline`]: one [`Lane`] per input column, each a list of fitted [`Step`]s, and the columns that come out. Names and
//! meaning are scikit-learn's.
//!
//! Where it differs from scikit-learn 1.9:
//!
//! - Null is missing everywhere, and so is NaN.
//! - Scalers take booleans as 0 and 1 and compute in 64 bits whatever the column's type, from exact moments. A column is
//!   constant to `standard_scaler` when its deviation is lost in rounding `x − mean`, not when it is below a bound that
//!   grows with the number of rows.
//! - `simple_imputer` refuses a column without any value, which scikit-learn drops; with strategy `constant` it fills it.
//!   Booleans can be imputed; a constant for an integer column must be whole. Indicators are UInt8.
//! - `ordinal_encoder` has the additional `order = "frequency"`. Its codes are Int32, and the code of a missing value is
//!   null unless `encoded_missing_value` says otherwise.
//! - `one_hot_encoder` gives dense UInt8 columns, at most [`one_hot::MOST_COLUMNS`] of one column; a column name that is
//!   already taken is refused. The category 0.0 includes −0.0 and is named `0.0`.
//!
//! Everything here is pure: no I/O, no threads, no clock. A lane's result depends on the values of the array only, never on
//! the batch they came in or on whether they came in a dictionary.

pub mod categories;
mod column;
mod fit;
pub mod impute;
pub mod narrow;
mod observed;
pub mod one_hot;
pub mod ordinal;
mod parameters;
mod run;
pub mod scale;
pub(crate) mod select;
mod type_name;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

pub use fit::{Need, fit, needs};
pub use impute::Impute;
pub use narrow::Narrow;
pub use one_hot::OneHot;
pub use ordinal::{LabelMap, Ordinal};
pub use parameters::check;
pub use run::LaneRun;
pub use scale::Scale;
pub use select::resolve;

use crate::error::{Error, Result};

/// All fitted transforms of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// One per input column, in the schema's order; another at the end for the column of folds.
    pub lanes: Vec<Lane>,
    /// The columns that come out: in the order of the input, one-hot columns in place of their column, and at the end the
    /// indicators of missing values, by transform, then by column.
    pub output: Vec<OutputColumn>,
}

/// What happens to one input column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Position of the column in the input.
    pub input: usize,
    /// Its name, for errors.
    pub name: String,
    /// The steps, in the recipe's order; none for a column that is left as it is.
    pub steps: Vec<Step>,
}

/// One fitted transform of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// `standard_scaler` or `min_max_scaler`.
    Scale(Scale),
    /// `simple_imputer`.
    Impute(Impute),
    /// `ordinal_encoder`.
    Ordinal(Ordinal),
    /// `one_hot_encoder`.
    OneHot(OneHot),
    /// The mapping of a label that is not numeric.
    Label(LabelMap),
    /// The fold of the row, whatever the column holds.
    Fold,
    /// The same values in a smaller type; the only step of its column.
    Narrow(Narrow),
}

impl Step {
    /// Whether its tables are of one length, as a fit makes them.
    pub fn is_consistent(&self) -> bool {
        match self {
            Self::Scale(_) | Self::Impute(_) | Self::Fold | Self::Narrow(_) => true,
            Self::Ordinal(step) => step.map.is_consistent(),
            Self::OneHot(step) => step.map.is_consistent() && step.codes >= 1,
            Self::Label(step) => step.map.is_consistent(),
        }
    }
}

/// A column of the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type, also where the lane hands on a dictionary of it.
    #[serde(with = "type_name")]
    pub data_type: DataType,
    /// The lane it comes from.
    pub lane: usize,
    /// Which of the lane's arrays it is.
    pub slot: usize,
}

impl Pipeline {
    /// Names and types of the output; every column is nullable.
    pub fn output_schema(&self) -> Schema {
        let field = |column: &OutputColumn| Field::new(&column.name, column.data_type.clone(), true);
        Schema::new(self.output.iter().map(field).collect::<Vec<_>>())
    }

    /// One more column at the end, with the fold of each row.
    ///
    /// # Errors
    /// [`Error::Recipe`] when there is a column of that name.
    pub fn add_fold_column(&mut self, name: &str) -> Result<()> {
        if self.output.iter().any(|column| column.name == name) {
            let message =
                format!("split.fold_column = \"{name}\": the output has a column of that name; choose another");
            return Err(Error::Recipe(message));
        }
        let (name, lane) = (name.to_string(), self.lanes.len());
        self.output.push(OutputColumn { name: name.clone(), data_type: DataType::Int32, lane, slot: 0 });
        self.lanes.push(Lane { input: 0, name, steps: vec![Step::Fold] });
        Ok(())
    }
}

impl Lane {
    /// Whether it numbers folds, and looks at no column.
    pub fn is_fold(&self) -> bool {
        matches!(self.steps.as_slice(), [Step::Fold])
    }

    /// Whether the values come out as they went in, if in a smaller type.
    pub fn keeps_values(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Narrow(_)))
    }

    /// How many arrays [`Lane::apply`] gives.
    pub fn slots(&self) -> usize {
        let own = self.steps.iter().find_map(|step| match step {
            Step::OneHot(step) => Some(step.columns()),
            _ => None,
        });
        own.unwrap_or(1) + self.indicators()
    }

    fn indicators(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Impute(step) if step.indicator)).count()
    }

    /// The lane's arrays for one array of its column, which has the type of the unified schema or is a dictionary of it:
    /// the column itself or its one-hot columns, then its indicators of missing values. What becomes of a dictionary is
    /// one as a rule; only its codes can be null then. For many arrays of one dictionary there is [`LaneRun`].
    ///
    /// # Errors
    /// [`Error::Data`] with the column and the row of `array` for a value that the fit never saw.
    pub fn apply(&self, array: &ArrayRef) -> Result<Vec<ArrayRef>> {
        LaneRun::new(self).apply(array)
    }

    /// The steps on a plain array.
    fn run(&self, array: &ArrayRef) -> Result<Vec<ArrayRef>> {
        let mut columns = vec![Arc::clone(array)];
        let mut indicators = Vec::new();
        for step in &self.steps {
            // Nothing comes after one-hot columns: fitting refuses it.
            let Some(array) = columns.first() else { break };
            columns = match step {
                Step::Scale(step) => vec![step.apply(array)?],
                Step::Impute(step) => {
                    if step.indicator {
                        indicators.push(impute::indicator(array));
                    }
                    vec![step.apply(array)?]
                }
                Step::Ordinal(step) => vec![step.apply(array)?],
                Step::OneHot(step) => step.apply(array)?,
                Step::Label(step) => vec![step.apply(array)?],
                Step::Narrow(step) => vec![step.apply(array)?],
                Step::Fold => return Err(Error::failed("numbering folds", "a fold is of a row, not of a value")),
            };
        }
        columns.append(&mut indicators);
        Ok(columns)
    }
}
