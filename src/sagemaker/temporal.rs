//! `temporal-split-preprocessing`: customers seen before a date are train or val, and what comes after it is out of time.

use serde_json::{Value, json};

use super::Translation;
use super::directories::{Directories, Place, from};
use super::shared::{
    DATA, LABEL_FIELD, OUTPUT_FORMAT, SECONDARY, SHARD_SIZE, SHARDS_AT_ONCE, SIGNATURE, STREAMING, batch_size, dots,
    format, label, no_index, run, shards, share, text, workers,
};
use super::variables::{Default, Kind, Values, Variable};
use crate::error::{Error, Result};

/// What it reads.
pub const INPUTS: &[Place] = &[DATA, SECONDARY, SIGNATURE];

/// What it writes.
pub const OUTPUTS: &[Place] = &[
    Place {
        name: "training_data",
        flag: "--output-training-data",
        path: "processing/output/training_data",
        required: true,
        holds: "train/, val/ and test/ (rows out of time) with SPLIT_processed_data.EXT; in streaming train/, val/ and oot/ with part-00000.EXT and so on",
    },
    Place {
        name: "oot_data",
        flag: "--output-oot-data",
        path: "processing/output/oot_data",
        required: true,
        holds: "the rows out of time once more: oot_data.EXT; in streaming part-00000.EXT and so on",
    },
];

/// What its environment says.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "DATE_COLUMN",
        kind: Kind::Column,
        default: Default::Required,
        meaning: "the column of times: dates, timestamps with or without a zone",
    },
    Variable {
        name: "GROUP_ID_COLUMN",
        kind: Kind::Column,
        default: Default::Required,
        meaning: "the column of customers, who stay together",
    },
    Variable {
        name: "SPLIT_DATE",
        kind: Kind::Time,
        default: Default::Required,
        meaning: "rows at or after it are out of time, unless their customer is in train: then they are dropped and counted",
    },
    Variable {
        name: "TRAIN_RATIO",
        kind: Kind::RatioOrEnd,
        default: Default::Is("0.9"),
        meaning: "share of the customers seen before SPLIT_DATE that are train: the floor of their number times it; the others are val",
    },
    Variable {
        name: "RANDOM_SEED",
        kind: Kind::Whole(0),
        default: Default::Is("42"),
        meaning: "seed of the choice of customers",
    },
    Variable {
        meaning: "the label, after the main task's is made: text is sorted and mapped to 0..k-1 over all shards, numbers become integers, rows without one are dropped",
        ..LABEL_FIELD
    },
    Variable {
        name: "TARGETS",
        kind: Kind::Columns,
        default: Default::None,
        meaning: "columns of the tasks, of which MAIN_TASK_INDEX says the main one",
    },
    Variable {
        name: "MAIN_TASK_INDEX",
        kind: Kind::Whole(0),
        default: Default::None,
        meaning: "position in TARGETS, from 0: this column becomes the largest value of the others, row by row",
    },
    OUTPUT_FORMAT,
    STREAMING,
    workers("4"),
    batch_size("10"),
    SHARDS_AT_ONCE,
    SHARD_SIZE,
];

/// Puts its recipe into `translation`.
///
/// # Errors
/// [`Error::Recipe`] for a main task that is none of the targets; what reading the directory of signatures ends with.
pub fn translate(values: &Values, directories: &Directories, translation: &mut Translation) -> Result<()> {
    let is_streaming = values.boolean("ENABLE_TRUE_STREAMING") == Some(true);
    let train = values.ratio("TRAIN_RATIO").unwrap_or(0.9);
    let [training, oot] = [0, 1].map(|at| directories.of(&OUTPUTS[at]));
    let (first, copy) = if is_streaming {
        ("oot/part-{part}.{ext}", "part-{part}.{ext}")
    } else {
        ("test/test_processed_data.{ext}", "oot_data.{ext}")
    };
    let mut steps = vec![no_index(), dots()];
    steps.extend(main_task(values, &mut translation.notes)?);
    let mut recipe = json!({
        "input": shards(directories)?,
        "split": {
            "kind": "temporal",
            "sizes": { "train": share(train), "val": share(1.0 - train) },
            "group_sizes": "groups",
            "groups": values.text("GROUP_ID_COLUMN"),
            "time": values.text("DATE_COLUMN"),
            "cutoff": values.text("SPLIT_DATE"),
            "oot_exclude": ["train"],
            "random_state": values.whole("RANDOM_SEED"),
        },
        "transform": steps,
        "output": {
            "path": text(&training),
            "publish": "in_place",
            "format": format(values),
            "layout": if is_streaming { "shards" } else { "single" },
            "files": { "oot": [first, from(&training, &oot, copy)] },
            "metadata": "none",
        },
        "run": run(values, is_streaming),
    });
    if let Some(label) = label(values) {
        recipe["label"] = label;
    }
    if is_streaming {
        recipe["output"]["shard_rows"] = json!(values.whole("SHARD_SIZE"));
    }
    translation.recipe = recipe;
    Ok(())
}

/// The step that makes the main task's label, where both variables are set.
fn main_task(values: &Values, notes: &mut Vec<String>) -> Result<Option<Value>> {
    let (targets, main) = match (values.columns("TARGETS"), values.whole("MAIN_TASK_INDEX")) {
        (Some(targets), Some(main)) => (targets, main),
        (None, None) => return Ok(None),
        (targets, _) => {
            let (set, unset) =
                if targets.is_some() { ("TARGETS", "MAIN_TASK_INDEX") } else { ("MAIN_TASK_INDEX", "TARGETS") };
            notes.push(format!("warning: {set} is set and {unset} is not, so no label of a main task is made"));
            return Ok(None);
        }
    };
    let Some(into) = targets.get(main as usize) else {
        let message = format!("MAIN_TASK_INDEX={main} is no position in TARGETS, which has 0 to {}", targets.len() - 1);
        return Err(Error::Recipe(message));
    };
    let others: Vec<&String> = targets.iter().filter(|target| *target != into).collect();
    if others.is_empty() {
        let message = format!("TARGETS names only {into}, the main task; name the others that it is the largest of");
        return Err(Error::Recipe(message));
    }
    Ok(Some(json!({ "op": "row_max", "columns": others, "into": into })))
}
