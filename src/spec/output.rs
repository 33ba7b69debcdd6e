//! `[output]`: what is written, and how it gets to its place.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::OneOrMany;

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
