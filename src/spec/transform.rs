//! The recipe's transforms and their parameters. Names are scikit-learn's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OneOrMany;
use super::derive::{Cast, Coalesce, Concat, DropColumns, KeepColumns, Rename, RowMax};

/// One `[[transform]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Transform {
    /// Columns under other names.
    Rename(Rename),
    /// Columns of another type.
    Cast(Cast),
    /// The texts of several columns as one.
    Concat(Concat),
    /// The largest value of each row among several columns.
    RowMax(RowMax),
    /// The first value of each row that is not missing among several columns.
    Coalesce(Coalesce),
    /// Columns left out.
    Drop(DropColumns),
    /// All other columns left out.
    Keep(KeepColumns),
    /// (x - mean) / std over all rows.
    StandardScaler(StandardScaler),
    /// x scaled to `feature_range` by the minimum and maximum of all rows.
    MinMaxScaler(MinMaxScaler),
    /// Missing values replaced.
    SimpleImputer(SimpleImputer),
    /// Categories to integers.
    OrdinalEncoder(OrdinalEncoder),
    /// Categories to one 0/1 column each.
    OneHotEncoder(OneHotEncoder),
}

impl Transform {
    /// The selector of the columns the step works on.
    pub fn columns(&self) -> &OneOrMany {
        match self {
            Self::Rename(op) => &op.columns,
            Self::Cast(op) => &op.columns,
            Self::Concat(op) => &op.columns,
            Self::RowMax(op) => &op.columns,
            Self::Coalesce(op) => &op.columns,
            Self::Drop(op) => &op.columns,
            Self::Keep(op) => &op.columns,
            Self::StandardScaler(op) => &op.columns,
            Self::MinMaxScaler(op) => &op.columns,
            Self::SimpleImputer(op) => &op.columns,
            Self::OrdinalEncoder(op) => &op.columns,
            Self::OneHotEncoder(op) => &op.columns,
        }
    }

    /// Whether it makes other columns of the input's, before anything is fitted.
    pub fn is_structural(&self) -> bool {
        match self {
            Self::Rename(_)
            | Self::Cast(_)
            | Self::Concat(_)
            | Self::RowMax(_)
            | Self::Coalesce(_)
            | Self::Drop(_)
            | Self::Keep(_) => true,
            Self::StandardScaler(_)
            | Self::MinMaxScaler(_)
            | Self::SimpleImputer(_)
            | Self::OrdinalEncoder(_)
            | Self::OneHotEncoder(_) => false,
        }
    }

    /// Whether fitting it takes the distinct values of its columns with their counts.
    pub fn needs_values(&self) -> bool {
        match self {
            Self::OrdinalEncoder(_) | Self::OneHotEncoder(_) => true,
            Self::SimpleImputer(op) => op.strategy == ImputeStrategy::MostFrequent,
            Self::StandardScaler(_) | Self::MinMaxScaler(_) => false,
            Self::Rename(_)
            | Self::Cast(_)
            | Self::Concat(_)
            | Self::RowMax(_)
            | Self::Coalesce(_)
            | Self::Drop(_)
            | Self::Keep(_) => false,
        }
    }

    /// Whether anything of the data goes into it, and not the recipe alone.
    pub fn is_fitted(&self) -> bool {
        match self {
            Self::StandardScaler(_) | Self::MinMaxScaler(_) | Self::OrdinalEncoder(_) | Self::OneHotEncoder(_) => true,
            Self::SimpleImputer(op) => op.strategy != ImputeStrategy::Constant,
            Self::Rename(_)
            | Self::Cast(_)
            | Self::Concat(_)
            | Self::RowMax(_)
            | Self::Coalesce(_)
            | Self::Drop(_)
            | Self::Keep(_) => false,
        }
    }

    /// The step's name as a recipe writes it.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Rename(_) => "rename",
            Self::Cast(_) => "cast",
            Self::Concat(_) => "concat",
            Self::RowMax(_) => "row_max",
            Self::Coalesce(_) => "coalesce",
            Self::Drop(_) => "drop",
            Self::Keep(_) => "keep",
            Self::StandardScaler(_) => "standard_scaler",
            Self::MinMaxScaler(_) => "min_max_scaler",
            Self::SimpleImputer(_) => "simple_imputer",
            Self::OrdinalEncoder(_) => "ordinal_encoder",
            Self::OneHotEncoder(_) => "one_hot_encoder",
        }
    }
}

/// `op = "standard_scaler"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StandardScaler {
    /// Name, glob, list of them, or `@numeric` and the like.
    pub columns: OneOrMany,
    /// Subtract the mean.
    #[serde(default = "yes")]
    pub with_mean: bool,
    /// Divide by the standard deviation; a constant column is divided by 1.
    #[serde(default = "yes")]
    pub with_std: bool,
    /// Divisor of the variance is n - ddof. scikit-learn's is 0.
    #[serde(default)]
    pub ddof: u8,
}

/// `op = "min_max_scaler"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MinMaxScaler {
    /// Name, glob, list of them, or `@numeric` and the like.
    pub columns: OneOrMany,
    /// Smallest and largest value of the result.
    #[serde(default = "unit_range")]
    pub feature_range: (f64, f64),
    /// Keep values that the fit never saw inside the range.
    #[serde(default)]
    pub clip: bool,
}

/// `op = "simple_imputer"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimpleImputer {
    /// Name, glob, list of them, or `@numeric` and the like.
    pub columns: OneOrMany,
    /// What a missing value becomes.
    #[serde(default)]
    pub strategy: ImputeStrategy,
    /// The value of strategy `constant`; default 0, or `missing_value` for text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_value: Option<Scalar>,
    /// Add a column `missingindicator_NAME` for each column that has a missing value.
    #[serde(default)]
    pub add_indicator: bool,
}

/// `simple_imputer.strategy`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImputeStrategy {
    /// The mean of all rows; numbers only.
    #[default]
    Mean,
    /// The most frequent value; the smallest of several.
    MostFrequent,
    /// `fill_value`.
    Constant,
}

/// A value in a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// true or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Text(String),
}

/// `op = "ordinal_encoder"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrdinalEncoder {
    /// Name, glob, list of them, or `@categorical` and the like.
    pub columns: OneOrMany,
    /// Order of the codes.
    #[serde(default)]
    pub order: CategoryOrder,
    /// What a category becomes that the fit never saw.
    #[serde(default)]
    pub handle_unknown: OrdinalUnknown,
    /// The code of an unknown category, with `use_encoded_value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_value: Option<i32>,
    /// The code of a missing value; default null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded_missing_value: Option<i32>,
    /// Categories rarer than this share one code: a count (integer) or a share of the rows (float).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_frequency: Option<Frequency>,
    /// At most so many codes, the one of infrequent categories among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_categories: Option<usize>,
}

/// `op = "one_hot_encoder"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneHotEncoder {
    /// Name, glob, list of them, or `@categorical` and the like.
    pub columns: OneOrMany,
    /// Leave one category out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop: Option<OneHotDrop>,
    /// What a category becomes that the fit never saw.
    #[serde(default)]
    pub handle_unknown: OneHotUnknown,
    /// Categories rarer than this share one column: a count (integer) or a share of the rows (float).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_frequency: Option<Frequency>,
    /// At most so many columns, the one of infrequent categories among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_categories: Option<usize>,
}

/// `ordinal_encoder.order`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CategoryOrder {
    /// Text by bytes, numbers by value.
    #[default]
    Lexical,
    /// Most frequent first; ties lexically.
    Frequency,
}

/// `ordinal_encoder.handle_unknown`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrdinalUnknown {
    /// An error that names the category.
    #[default]
    Error,
    /// `unknown_value`.
    UseEncodedValue,
}

/// `one_hot_encoder.drop`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OneHotDrop {
    /// The first category of every column.
    First,
    /// The first category of columns with two.
    IfBinary,
}

/// `one_hot_encoder.handle_unknown`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OneHotUnknown {
    /// An error that names the category.
    #[default]
    Error,
    /// All columns 0.
    Ignore,
    /// The column of infrequent categories if there is one, else all 0.
    InfrequentIfExist,
}

/// `min_frequency`: a count or a share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Frequency {
    /// Rows.
    Count(u64),
    /// Share of all rows.
    Share(f64),
}

fn yes() -> bool {
    true
}

fn unit_range() -> (f64, f64) {
    (0.0, 1.0)
}
