//! `tabular-preprocessing`: shards are split exactly by class, or become the one split that the job is run for.

use serde_json::json;

use super::directories::{Directories, Place};
use super::shared::{
    DATA, LABEL_FIELD, OUTPUT_FORMAT, SECONDARY, SHARD_SIZE, SHARDS_AT_ONCE, SIGNATURE, STREAMING, batch_size, dots,
    format, label, narrow, no_index, run, shards, share, text, workers,
};
use super::variables::{Default, Kind, Values, Variable};
use super::{JobType, Translation};
use crate::error::Result;

/// What it reads.
pub const INPUTS: &[Place] = &[DATA, SECONDARY, SIGNATURE];

/// What it writes.
pub const OUTPUTS: &[Place] = &[Place {
    name: "output",
    flag: "--output",
    path: "processing/output",
    required: true,
    holds: "for training train/, test/ and val/, else one directory named for the job type; in each SPLIT_processed_data.EXT, or part-00000.EXT and so on",
}];

/// What its environment says.
pub const VARIABLES: &[Variable] = &[
    Variable {
        meaning: "the label: text is sorted and mapped to 0..k-1 over all shards, numbers become integers, rows without one are dropped; without it, no label work and a random split",
        ..LABEL_FIELD
    },
    Variable {
        name: "TRAIN_RATIO",
        kind: Kind::Ratio,
        default: Default::Is("0.7"),
        meaning: "share of the rows that is train",
    },
    Variable {
        name: "TEST_VAL_RATIO",
        kind: Kind::Ratio,
        default: Default::Is("0.5"),
        meaning: "share of the rest that is test; val gets what remains",
    },
    OUTPUT_FORMAT,
    STREAMING,
    Variable {
        name: "CONSOLIDATE_SHARDS",
        kind: Kind::Boolean,
        default: Default::None,
        meaning: "true: one file a split; false: parts of SHARD_SIZE rows; where it is not set, ENABLE_TRUE_STREAMING decides",
    },
    SHARD_SIZE,
    SHARDS_AT_ONCE,
    workers("0"),
    batch_size("5"),
    narrow("true"),
];

/// Puts its recipe into `translation`.
///
/// # Errors
/// What reading the directory of signatures ends with.
pub fn translate(
    job_type: JobType,
    values: &Values,
    directories: &Directories,
    translation: &mut Translation,
) -> Result<()> {
    let is_streaming = values.boolean("ENABLE_TRUE_STREAMING") == Some(true);
    let is_single = values.boolean("CONSOLIDATE_SHARDS").unwrap_or(!is_streaming);
    let label = label(values);
    let split = match job_type {
        JobType::Training => {
            let train = values.ratio("TRAIN_RATIO").unwrap_or(0.7);
            let test = values.ratio("TEST_VAL_RATIO").unwrap_or(0.5);
            let rest = 1.0 - train;
            json!({
                "kind": if label.is_some() { "stratified" } else { "random" },
                "sizes": { "train": share(train), "test": share(rest * test), "val": share(rest * (1.0 - test)) },
            })
        }
        other => json!({ "kind": "none", "name": other.name() }),
    };
    let mut recipe = json!({
        "input": shards(directories)?,
        "split": split,
        "transform": [no_index(), dots()],
        "output": {
            "path": text(&directories.of(&OUTPUTS[0])),
            "publish": "in_place",
            "format": format(values),
            "layout": if is_single { "single" } else { "shards" },
            "metadata": "none",
            "narrow": values.boolean("OPTIMIZE_MEMORY") == Some(true),
        },
        "run": run(values, is_streaming),
    });
    if let Some(label) = label {
        recipe["label"] = label;
    }
    if !is_single {
        recipe["output"]["shard_rows"] = json!(values.whole("SHARD_SIZE"));
    }
    translation.recipe = recipe;
    Ok(())
}
