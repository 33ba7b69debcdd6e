//! The recipe as types: what a user may ask for, with its defaults. Serde reads it, schemars describes it; the checks
//! that need more than one key are in [`check`]. It never looks at data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod check;
mod derive;
pub mod files;
pub mod keys;
mod split;
mod transform;
mod values;

pub use derive::{Cast, CastErrors, Coalesce, Concat, DropColumns, IfMissing, KeepColumns, Rename, RowMax};
pub use split::{Dedupe, Fit, FitRows, GroupSizes, Keep, MissingGroups, OOT, Rest, Split, SplitKind};
pub use transform::{
    CategoryOrder, Frequency, ImputeStrategy, MinMaxScaler, OneHotDrop, OneHotEncoder, OneHotUnknown, OrdinalEncoder,
    OrdinalUnknown, Scalar, SimpleImputer, StandardScaler, Transform,
};
pub use values::{ByteSize, Delimiter, OneOrMany, Size, Sizes};

/// A whole recipe. Every key has a default or none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// What is read.
    pub input: Input,
    /// The column to learn to predict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Which row goes where.
    pub split: Split,
    /// One row a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// What the transforms are fitted on.
    #[serde(skip_serializing_if = "Fit::is_default")]
    pub fit: Fit,
    /// What is done to the columns, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transform: Vec<Transform>,
    /// What is written.
    pub output: Output,
    /// How it is run; never changes a byte of the output.
    pub run: Run,
}

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

/// `[label]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The label's column. Not numeric: classes are sorted and mapped to 0..k-1 over all shards. Rows without a label
    /// are dropped and counted.
    pub column: String,
    /// Whether a numeric label becomes a 64-bit integer; a value that is none is an error.
    #[serde(default, skip_serializing_if = "is_false")]
    pub integer: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_false(truth: &bool) -> bool {
    !truth
}

/// `[output]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Directory that appears whole or not at all.
    pub path: String,
    /// Format of the parts.
    pub format: OutputFormat,
    /// How parts are laid out.
    pub layout: Layout,
    /// Rows a part; only a split's last has fewer.
    pub shard_rows: u64,
    /// Compression; default snappy for Parquet, none for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Type of scaled columns.
    pub float: FloatType,
    /// Whether integers and floats that no step works on get the smallest type that holds all values of the data exactly.
    /// Parquet only: text has no types.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub narrow: bool,
    /// Format of the metadata file.
    pub metadata: MetadataFormat,
    /// Where the parts of a split are, and copies of them: by split a path or several, with `{split}`, `{part}` and
    /// `{ext}`. What is not named is where the layout says.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, OneOrMany>,
    /// Where the names of the columns are.
    #[serde(skip_serializing_if = "is_signature")]
    pub signature_file: String,
    /// Where the metadata are.
    #[serde(skip_serializing_if = "is_metadata")]
    pub metadata_file: String,
    /// How what is complete gets to its place.
    #[serde(skip_serializing_if = "Publish::is_rename")]
    pub publish: Publish,
}

fn is_signature(path: &str) -> bool {
    path == SIGNATURE
}

fn is_metadata(path: &str) -> bool {
    path == METADATA
}

const SIGNATURE: &str = "signature";
const METADATA: &str = "metadata";

impl Default for Output {
    fn default() -> Self {
        Self {
            path: "out".into(),
            format: OutputFormat::Parquet,
            layout: Layout::Shards,
            shard_rows: 100_000,
            compression: None,
            float: FloatType::Float64,
            narrow: false,
            metadata: MetadataFormat::Json,
            files: BTreeMap::new(),
            signature_file: SIGNATURE.into(),
            metadata_file: METADATA.into(),
            publish: Publish::Rename,
        }
    }
}

impl Output {
    /// Whether columns are narrowed: text has no types to choose from.
    pub fn narrows(&self) -> bool {
        self.narrow && self.format == OutputFormat::Parquet
    }

    /// The compression in force: what was asked for, or the format's default.
    pub fn compression(&self) -> Compression {
        self.compression.unwrap_or(match self.format {
            OutputFormat::Parquet => Compression::Snappy,
            OutputFormat::Csv | OutputFormat::Tsv | OutputFormat::Jsonl => Compression::None,
        })
    }
}

/// `output.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header line.
    Csv,
    /// Tab-separated values with a header line.
    Tsv,
    /// JSON, one object a line.
    Jsonl,
}

/// `output.layout`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `SPLIT/part-00000.EXT` …
    Shards,
    /// `SPLIT/SPLIT_processed_data.EXT`
    Single,
}

/// `output.compression`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Parquet only.
    Snappy,
    /// Parquet and text.
    Zstd,
    /// Parquet only.
    Lz4,
    /// Text only.
    Gzip,
    /// Not compressed.
    None,
}

/// `output.float`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FloatType {
    /// Rounded from the 64-bit result.
    Float32,
    /// As computed.
    Float64,
}

/// `output.metadata`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetadataFormat {
    /// Statistics of every column.
    Json,
    /// `varname,iscategory,datatype`.
    Mods,
    /// No metadata file.
    None,
}

/// `output.publish`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// The output is a directory that is renamed as a whole.
    #[default]
    Rename,
    /// Every file is renamed within its directory, which may be there beforehand and may be a mount point.
    InPlace,
}

impl Publish {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
    fn is_rename(&self) -> bool {
        *self == Self::Rename
    }
}

/// `[run]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Worker threads; 0 is one a core.
    pub threads: usize,
    /// Ceiling for the process.
    pub memory: ByteSize,
    /// Whether decoded columns are kept between the passes.
    pub mode: Mode,
    /// What to do with a state that is there.
    pub resume: Resume,
    /// Shards that pass one has under way at a time, at the most; 0 is as many as memory and threads are good for.
    #[serde(skip_serializing_if = "is_zero")]
    pub shards_at_once: usize,
    /// State directory; default the output's name + `.state`, beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            threads: 0,
            memory: ByteSize(2 << 30),
            mode: Mode::Auto,
            resume: Resume::IfPossible,
            shards_at_once: 0,
            state: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// `run.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// In memory when the decoded columns fit the budget.
    Auto,
    /// Every pass reads the shards.
    Streaming,
    /// Pass one keeps the decoded columns.
    InMemory,
}

/// `run.resume`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// Go on where the state allows, else start over.
    IfPossible,
    /// Go on without looking at the shards again, or fail.
    Always,
    /// Start over.
    Never,
}
