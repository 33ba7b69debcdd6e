//! `dummy-data-loading`: raw files become shards of one schema, with a signature and metadata.

use serde_json::json;

use super::Translation;
use super::directories::{Directories, Place, from};
use super::shared::{DATA, SHARDS_AT_ONCE, STREAMING, batch_size, narrow, no_index, run, text, workers};
use super::variables::{Default, Kind, Values, Variable};

/// What it reads.
pub const INPUTS: &[Place] = &[Place { holds: "files of any names, in directories of any depth", ..DATA }];

/// What it writes.
pub const OUTPUTS: &[Place] = &[
    Place {
        name: "data",
        flag: "--output-data",
        path: "processing/output/data",
        required: true,
        holds: "part-00000.csv, .json or .parquet, and so on",
    },
    Place {
        name: "signature",
        flag: "--output-signature",
        path: "processing/output/signature",
        required: true,
        holds: "signature: the names of the columns, comma-separated",
    },
    Place {
        name: "metadata",
        flag: "--output-metadata",
        path: "processing/output/metadata",
        required: true,
        holds: "metadata: of every column, as METADATA_FORMAT says",
    },
];

/// What its environment says.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "WRITE_DATA_SHARDS",
        kind: Kind::Boolean,
        default: Default::Is("false"),
        meaning: "write parts of SHARD_SIZE rows; false: one file, part-00000",
    },
    Variable {
        name: "SHARD_SIZE",
        kind: Kind::Whole(1),
        default: Default::Is("10000"),
        meaning: "rows a part, where parts are written",
    },
    Variable {
        name: "OUTPUT_FORMAT",
        kind: Kind::Choice(&["CSV", "JSON", "PARQUET"]),
        default: Default::Is("CSV"),
        meaning: "format of the data; JSON is one object a line",
    },
    Variable {
        name: "METADATA_FORMAT",
        kind: Kind::Choice(&["JSON", "MODS"]),
        default: Default::Is("JSON"),
        meaning: "JSON: statistics of every column over all rows; MODS: varname,iscategory,datatype, quoted by |",
    },
    Variable {
        meaning: "read the files twice, and always write parts; false: keep what fits in memory. The rows and values are the same",
        ..STREAMING
    },
    SHARDS_AT_ONCE,
    workers("0"),
    batch_size("5"),
    narrow("false"),
];

/// Puts its recipe into `translation`.
pub fn translate(values: &Values, directories: &Directories, translation: &mut Translation) {
    let is_streaming = values.boolean("ENABLE_TRUE_STREAMING") == Some(true);
    let is_sharded = is_streaming || values.boolean("WRITE_DATA_SHARDS") == Some(true);
    let format = values.text("OUTPUT_FORMAT").unwrap_or("CSV");
    // JSON lines, under the name that the scripts give them.
    let (format, extension) = match format {
        "JSON" => ("jsonl", "json"),
        "PARQUET" => ("parquet", "parquet"),
        _ => ("csv", "csv"),
    };
    let [data, signature, metadata] = [0, 1, 2].map(|at| directories.of(&OUTPUTS[at]));
    let part = if is_sharded { "{part}" } else { "00000" };
    let names = ["csv", "tsv", "json", "jsonl", "parquet", "pq"];
    let names: Vec<String> = names.iter().flat_map(|e| [format!("**/*.{e}"), format!("**/*.{e}.gz")]).collect();
    let mut recipe = json!({
        "input": { "path": text(&directories.of(&INPUTS[0])), "names": names, "extra_columns": "insert" },
        "output": {
            "path": text(&data),
            "publish": "in_place",
            "format": format,
            "layout": if is_sharded { "shards" } else { "single" },
            "files": { "data": format!("part-{part}.{extension}") },
            "signature_file": from(&data, &signature, "signature"),
            "metadata_file": from(&data, &metadata, "metadata"),
            "metadata": values.text("METADATA_FORMAT").unwrap_or("JSON").to_lowercase(),
            "narrow": values.boolean("OPTIMIZE_MEMORY") == Some(true),
        },
        "transform": [no_index()],
        "run": run(values, is_streaming),
    });
    if is_sharded {
        recipe["output"]["shard_rows"] = json!(values.whole("SHARD_SIZE"));
    }
    translation.recipe = recipe;
}
