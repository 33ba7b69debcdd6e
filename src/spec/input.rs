//! `[input]`: what is read, and what is made of what does not fit.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Delimiter, OneOrMany};

/// `[input]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// File, directory, glob, or a list of them.
    pub path: OneOrMany,
    /// Of the files in a directory, only those are shards whose path within it one of these globs matches; none: all.
    #[serde(skip_serializing_if = "OneOrMany::is_empty")]
    pub names: OneOrMany,
    /// A directory of further shards, if it is there; a name that is in `path` too is read from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary: Option<String>,
    /// Format of the shards: by name, then by content.
    pub format: InputFormat,
    /// A file with comma-separated names for the columns of CSV and TSV shards, which then need no header line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What to do when a shard lacks a column of the first shard.
    pub missing_columns: MissingColumns,
    /// What to do when a shard has a column that the first shard has not.
    pub extra_columns: ExtraColumns,
    /// Types that override what the shards say, by column.
    pub schema: BTreeMap<String, TypeName>,
    /// What stands between the fields of CSV and TSV shards: `auto`, or one character.
    #[serde(skip_serializing_if = "Delimiter::is_auto")]
    pub delimiter: Delimiter,
    /// Words that say in CSV and TSV that a value is missing, besides the empty field; default those of pandas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_values: Option<Vec<String>>,
    /// What to do with bytes that are no UTF-8.
    #[serde(skip_serializing_if = "EncodingErrors::is_raise")]
    pub encoding_errors: EncodingErrors,
    /// What to do with records of text shards that cannot be read.
    #[serde(skip_serializing_if = "OnBad::is_raise")]
    pub bad_rows: OnBad,
    /// Share of the rows that may be skipped before it is an error all the same.
    #[serde(skip_serializing_if = "is_usual_share")]
    pub max_bad_rows: f64,
    /// What to do with shards that cannot be read.
    #[serde(skip_serializing_if = "OnBad::is_raise")]
    pub bad_shards: OnBad,
    /// Share of the shards that may be skipped before it is an error all the same.
    #[serde(skip_serializing_if = "is_usual_share")]
    pub max_bad_shards: f64,
}

/// Share of rows and of shards that may be skipped, where the recipe does not say.
const USUAL_SHARE: f64 = 0.05;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_usual_share(share: &f64) -> bool {
    share.to_bits() == USUAL_SHARE.to_bits()
}

/// `input.bad_rows` and `input.bad_shards`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBad {
    /// An error that names it.
    #[default]
    Raise,
    /// Left out, counted and told.
    Skip,
}

impl OnBad {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
    fn is_raise(&self) -> bool {
        *self == Self::Raise
    }
}

impl Default for Input {
    fn default() -> Self {
        Self {
            path: OneOrMany::default(),
            names: OneOrMany::default(),
            secondary: None,
            format: InputFormat::Auto,
            signature: None,
            missing_columns: MissingColumns::Insert,
            extra_columns: ExtraColumns::Raise,
            schema: BTreeMap::new(),
            delimiter: Delimiter::Auto,
            null_values: None,
            encoding_errors: EncodingErrors::Raise,
            bad_rows: OnBad::Raise,
            max_bad_rows: USUAL_SHARE,
            bad_shards: OnBad::Raise,
            max_bad_shards: USUAL_SHARE,
        }
    }
}

impl Input {
    /// The keys that change what is read of text shards, where one is not the default.
    pub fn text_options(&self) -> Option<serde_json::Value> {
        let default = Self::default();
        let is_default = (self.delimiter, &self.null_values, self.encoding_errors, self.bad_rows)
            == (default.delimiter, &default.null_values, default.encoding_errors, default.bad_rows);
        (!is_default)
            .then(|| serde_json::json!([self.delimiter, self.null_values, self.encoding_errors, self.bad_rows]))
    }
}

/// `input.encoding_errors`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodingErrors {
    /// An error that names shard, row, line and byte.
    #[default]
    Raise,
    /// Each becomes U+FFFD.
    Replace,
}

impl EncodingErrors {
    fn is_raise(&self) -> bool {
        *self == Self::Raise
    }
}

/// `input.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputFormat {
    /// By name, then by content.
    Auto,
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// JSON: lines, an array or a single object.
    Json,
    /// The same.
    Jsonl,
}

/// `input.missing_columns`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingColumns {
    /// The column is null in that shard.
    Insert,
    /// An error that names shard and column.
    Raise,
}

/// `input.extra_columns`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExtraColumns {
    /// An error that names shard and column.
    Raise,
    /// The column is passed over.
    Ignore,
    /// The column is one of all, behind those known, and null in shards that lack it.
    Insert,
}

/// A type in `input.schema`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypeName {
    /// True or false.
    Bool,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// 32-bit float.
    Float32,
    /// 64-bit float.
    Float64,
    /// UTF-8 text.
    String,
    /// Calendar date.
    Date,
    /// Microseconds, without a zone.
    Timestamp,
}
