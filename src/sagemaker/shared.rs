//! What the jobs have in common: variables, directories, and the parts of recipes that they amount to.

use std::path::Path;

use serde_json::{Value, json};

use super::directories::{Directories, Place};
use super::variables::{Default, Kind, Values, Variable, column};
use crate::error::Result;

/// Where the shards are.
pub const DATA: Place =
    Place { name: "data", flag: "--input-data", path: "processing/input/data", required: true, holds: "the shards" };

/// Where more shards may be.
pub const SECONDARY: Place = Place {
    name: "data_secondary",
    flag: "--input-data-secondary",
    path: "processing/input/data_secondary",
    required: false,
    holds: "more shards, used if one of them is not empty; of two shards of one name, that in data is used",
};

/// Where the names of the columns may be.
pub const SIGNATURE: Place = Place {
    name: "signature",
    flag: "--input-signature",
    path: "processing/input/signature",
    required: false,
    holds: "comma-separated names for the columns of CSV and TSV shards, in the first file",
};

pub const LABEL_FIELD: Variable = Variable {
    name: "LABEL_FIELD",
    kind: Kind::Column,
    default: Default::None,
    meaning: "the label: text is sorted and mapped to 0..k-1 over all shards, numbers become integers, rows without one are dropped",
};

pub const STREAMING: Variable = Variable {
    name: "ENABLE_TRUE_STREAMING",
    kind: Kind::Boolean,
    default: Default::Is("false"),
    meaning: "read the shards twice, and write parts of SHARD_SIZE rows; false: keep what fits in memory, and write one file a split. The rows and values are the same",
};

pub const SHARDS_AT_ONCE: Variable = Variable {
    name: "STREAMING_BATCH_SIZE",
    kind: Kind::Whole(0),
    default: Default::Is("0"),
    meaning: "shards that are read at a time, at the most; 0: chosen from memory",
};

pub const SHARD_SIZE: Variable = Variable {
    name: "SHARD_SIZE",
    kind: Kind::Whole(1),
    default: Default::Is("100000"),
    meaning: "rows a part, where parts are written",
};

pub const OUTPUT_FORMAT: Variable = Variable {
    name: "OUTPUT_FORMAT",
    kind: Kind::ChoiceOrFirst(&["CSV", "TSV", "PARQUET"]),
    default: Default::Is("CSV"),
    meaning: "format of the output; any other word is taken for CSV, with a warning",
};

/// `MAX_WORKERS`, which every job has with a default of its own.
pub const fn workers(default: &'static str) -> Variable {
    Variable {
        name: "MAX_WORKERS",
        kind: Kind::Whole(0),
        default: Default::Is(default),
        meaning: "threads; 0: one a core",
    }
}

/// `BATCH_SIZE`, which nothing depends on any more.
pub const fn batch_size(default: &'static str) -> Variable {
    Variable {
        name: "BATCH_SIZE",
        kind: Kind::Whole(0),
        default: Default::Is(default),
        meaning: "accepted and of no effect: the scripts concatenated so many data frames at a time",
    }
}

/// `OPTIMIZE_MEMORY`.
pub const fn narrow(default: &'static str) -> Variable {
    Variable {
        name: "OPTIMIZE_MEMORY",
        kind: Kind::Boolean,
        default: Default::Is(default),
        meaning: "store integers and floats in the smallest type that holds every value of the whole data set exactly; of effect for PARQUET, as text has no types",
    }
}

/// The most threads that are asked for: more need memory and have nothing to do.
const MOST_THREADS: u64 = 256;

/// `[run]`: as many threads and shards at a time as the variables say.
pub fn run(values: &Values, is_streaming: bool) -> Value {
    json!({
        "threads": values.whole("MAX_WORKERS").unwrap_or(0).min(MOST_THREADS),
        "mode": if is_streaming { "streaming" } else { "auto" },
        "shards_at_once": values.whole("STREAMING_BATCH_SIZE").unwrap_or(0),
    })
}

/// `[input]` of the jobs that read shards.
///
/// # Errors
/// As [`Directories::first_file`].
pub fn shards(directories: &Directories) -> Result<Value> {
    let extensions = ["csv", "tsv", "json", "parquet"];
    let names: Vec<String> =
        extensions.iter().flat_map(|e| [format!("part-*.{e}"), format!("part-*.{e}.gz")]).collect();
    let mut input = json!({ "path": text(&directories.of(&DATA)), "names": names, "extra_columns": "insert" });
    if let Some(secondary) = directories.of_optional(&SECONDARY) {
        input["secondary"] = text(&secondary);
    }
    if let Some(signature) = directories.first_file(&SIGNATURE)? {
        input["signature"] = text(&signature);
    }
    Ok(input)
}

/// The step that leaves out what pandas stores of an index without a name: row numbers, which it never shows as a column.
pub fn no_index() -> Value {
    json!({ "op": "drop", "columns": ["__index_level_*__"], "if_missing": "skip" })
}

/// The step that makes `__DOT__` in names a dot.
pub fn dots() -> Value {
    json!({ "op": "rename", "pattern": column_pattern(), "replacement": column(column_pattern()) })
}

fn column_pattern() -> &'static str {
    "__DOT__"
}

/// `[label]`, where there is one.
pub fn label(values: &Values) -> Option<Value> {
    values.text("LABEL_FIELD").map(|column| json!({ "column": column, "integer": true }))
}

/// `output.format` of one of [`OUTPUT_FORMAT`].
pub fn format(values: &Values) -> Value {
    json!(values.text("OUTPUT_FORMAT").unwrap_or("CSV").to_lowercase())
}

/// A path as a recipe has it.
pub fn text(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

/// A share of the recipe: what products and differences of decimals are off by is less than 15 decimals say.
pub fn share(share: f64) -> Value {
    json!((share * 1e15).round() / 1e15)
}
