//! Every variable of every job: another value has the effect that the contract says.

use std::collections::BTreeSet;

use serde_json::Value;
use twopass::sagemaker::{JobName, contract};
use twopass::spec::keys;

use super::container::{Container, LOADER, TABULAR, TEMPORAL, files, names, rows};
use super::data::{self, Format};

/// A container with CSV shards.
fn container() -> Container {
    let container = Container::new();
    data::write(&container, "processing/input/data", Format::Csv);
    container
}

/// What the variables amount to, with SageMaker's own paths.
fn recipe(job: &str, variables: &[(&str, &str)]) -> Value {
    let container = container();
    let text = container.recipe(job, "training", variables);
    keys::parse(&text.replace(container.path("").to_str().unwrap(), "/opt/ml/"), "the recipe").unwrap()
}

/// Files of the output after a run.
fn written(job: &str, variables: &[(&str, &str)], output: &str) -> Vec<String> {
    let container = container();
    container.ok(job, "training", variables);
    names(&container.output(output)).into_iter().filter(|name| name != "signature").collect()
}

const TIMES: [(&str, &str); 3] =
    [("DATE_COLUMN", "when"), ("GROUP_ID_COLUMN", "customer"), ("SPLIT_DATE", "2024-11-01")];

/// The times' variables and others, which go first.
fn timed<'a>(others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let set = |(name, _): &&(&str, &str)| !others.iter().any(|(other, _)| other == name);
    others.iter().copied().chain(TIMES.iter().filter(set).copied()).collect()
}

/// Rows of a temporal job's split.
fn timed_rows(others: &[(&str, &str)], split: &str) -> super::container::Rows {
    let container = container();
    container.ok(TEMPORAL, "training", &timed(others));
    rows(&container.output("training_data").join(split))
}

#[test]
fn every_variable_is_tried_here() {
    let source = include_str!("variables.rs");
    for variable in JobName::ALL.iter().flat_map(|job| job.variables()) {
        assert!(source.contains(&format!("(\"{}\"", variable.name)), "{}", variable.name);
    }
}

#[test]
fn what_is_not_set_has_its_default() {
    for (job, required) in [(LOADER, &[] as &[_]), (TABULAR, &[]), (TEMPORAL, &TIMES)] {
        let plain = recipe(job, required);
        let name = JobName::ALL.into_iter().find(|name| name.name() == job).unwrap();
        for nothing in ["", "None", "null", "NONE", " "] {
            let optional = name.variables().iter().filter(|v| !required.iter().any(|(name, _)| *name == v.name));
            let mut variables: Vec<(&str, &str)> = optional.map(|variable| (variable.name, nothing)).collect();
            variables.extend(required);
            assert_eq!(recipe(job, &variables), plain, "{job} {nothing:?}");
        }
        // And the default that the contract names, written out, is the same.
        let contract = contract(name);
        let listed = contract["variables"].as_array().unwrap();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
        let written: Vec<(String, String)> = listed
            .iter()
            .filter(|variable| !variable["default"].is_null())
            .map(|variable| (text(&variable["name"]), text(&variable["default"])))
            .collect();
        let mut variables: Vec<(&str, &str)> = written.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        variables.extend(required);
        assert_eq!(recipe(job, &variables), plain, "{job}");
    }
}

#[test]
fn what_says_how_a_job_is_run_changes_no_byte() {
    for (job, required) in [(LOADER, &[] as &[_]), (TABULAR, &[]), (TEMPORAL, &TIMES)] {
        let bytes = |variables: &[(&str, &str)]| {
            let container = container();
            let mut all = required.to_vec();
            all.extend(variables);
            container.ok(job, "training", &all);
            let mut files = files(&container.output(""));
            files.retain(|name, _| !name.ends_with("_manifest.json"));
            files
        };
        let plain = bytes(&[]);
        for variable in [("MAX_WORKERS", "3"), ("STREAMING_BATCH_SIZE", "2"), ("BATCH_SIZE", "7")] {
            assert!(bytes(&[variable]) == plain, "{job} {variable:?}");
        }
        let with = |variable: (&'static str, &'static str)| {
            let mut all = required.to_vec();
            all.push(variable);
            recipe(job, &all)
        };
        assert_eq!(with(("MAX_WORKERS", "3"))["run"]["threads"], 3);
        assert_eq!(with(("MAX_WORKERS", "5000"))["run"]["threads"], 256, "as many as there can be");
        assert_eq!(with(("STREAMING_BATCH_SIZE", "2"))["run"]["shards_at_once"], 2);
        assert_eq!(with(("ENABLE_TRUE_STREAMING", "TRUE"))["run"]["mode"], "streaming");
    }
}

#[test]
fn the_loaders_layout() {
    let parts = |count: usize| (0..count).map(|part| format!("part-{part:05}.csv")).collect::<Vec<_>>();
    assert_eq!(written(LOADER, &[], "data"), parts(1));
    assert_eq!(written(LOADER, &[("WRITE_DATA_SHARDS", "True")], "data"), parts(1), "of 10,000 rows");
    assert_eq!(written(LOADER, &[("WRITE_DATA_SHARDS", "true"), ("SHARD_SIZE", "50")], "data"), parts(3));
    assert_eq!(written(LOADER, &[("ENABLE_TRUE_STREAMING", "true"), ("SHARD_SIZE", "50")], "data"), parts(3));
    assert_eq!(written(LOADER, &[("SHARD_SIZE", "50")], "data"), parts(1), "one file has no size");
    assert_eq!(written(LOADER, &[("OUTPUT_FORMAT", "json")], "data"), ["part-00000.json"]);
}

#[test]
fn the_loaders_metadata() {
    let text = |format| {
        let container = container();
        container.ok(LOADER, "training", &[("METADATA_FORMAT", format)]);
        String::from_utf8(files(&container.output("metadata"))["metadata"].clone()).unwrap()
    };
    assert!(text("json").starts_with('{'));
    assert!(text("mods").starts_with("varname,iscategory,datatype\n"));
}

/// Types of a Parquet output's columns.
fn types(job: &str, output: &str, variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let container = container();
    let mut all = vec![("OUTPUT_FORMAT", "PARQUET")];
    all.extend(variables);
    container.ok(job, "training", &all);
    let file = super::common::table::read_parquet(&container.output(output));
    file.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
}

#[test]
fn memory_is_saved_only_where_nothing_is_lost() {
    let is = |types: &[(String, String)], name: &str, data_type: &str| {
        assert!(types.contains(&(name.into(), data_type.into())), "{name} is no {data_type} in {types:?}");
    };
    for (job, file) in [(LOADER, "data/part-00000.parquet"), (TABULAR, "train/train_processed_data.parquet")] {
        let narrow = types(job, file, &[("OPTIMIZE_MEMORY", "true")]);
        is(&narrow, "id", "Int8");
        is(&narrow, "amount", "Float32");
        is(&narrow, "tenth", "Float64");
        let wide = types(job, file, &[("OPTIMIZE_MEMORY", "false")]);
        is(&wide, "id", "Int64");
        is(&wide, "amount", "Float64");
    }
}

#[test]
fn the_shares_of_tabular_splits() {
    let counts = |variables: &[(&str, &str)]| {
        let container = container();
        container.ok(TABULAR, "training", variables);
        ["train", "test", "val"].map(|split| rows(&container.output(split)).len())
    };
    assert_eq!(counts(&[]), [84, 18, 18], "without a label no row is dropped");
    assert_eq!(counts(&[("TRAIN_RATIO", "0.5")]), [60, 30, 30]);
    assert_eq!(counts(&[("TEST_VAL_RATIO", "0.25")]), [84, 9, 27]);
    let labelled = data::expected().values().filter(|row| row.contains_key("label")).count();
    assert_eq!(counts(&[("LABEL_FIELD", "label")]).iter().sum::<usize>(), labelled);
    // The label's kind of split is seen in the recipe.
    assert_eq!(recipe(TABULAR, &[])["split"]["kind"], "random");
    assert_eq!(recipe(TABULAR, &[("LABEL_FIELD", "label")])["split"]["kind"], "stratified");
}

#[test]
fn the_layout_of_tabular_splits() {
    let single = ["test/test_processed_data.csv", "train/train_processed_data.csv", "val/val_processed_data.csv"];
    let shards = ["test/part-00000.csv", "train/part-00000.csv", "val/part-00000.csv"];
    let streaming = ("ENABLE_TRUE_STREAMING", "true");
    assert_eq!(written(TABULAR, &[], ""), single);
    assert_eq!(written(TABULAR, &[streaming], ""), shards);
    assert_eq!(written(TABULAR, &[("CONSOLIDATE_SHARDS", "false")], ""), shards);
    assert_eq!(written(TABULAR, &[streaming, ("CONSOLIDATE_SHARDS", "true")], ""), single);
    assert_eq!(written(TABULAR, &[streaming, ("SHARD_SIZE", "30")], "").len(), 5);
    assert_eq!(written(TABULAR, &[("OUTPUT_FORMAT", "tsv")], "")[0], "test/test_processed_data.tsv");
}

#[test]
fn a_format_that_there_is_not_is_csv_with_a_warning() {
    for (job, variables) in [(TABULAR, vec![]), (TEMPORAL, TIMES.to_vec())] {
        let container = container();
        let mut all = variables;
        all.push(("OUTPUT_FORMAT", "feather"));
        let outcome = container.ok(job, "training", &all);
        assert!(outcome.err.contains("warning: OUTPUT_FORMAT=feather"), "{}", outcome.err);
        assert!(names(&container.output("")).iter().any(|name| name.ends_with("train_processed_data.csv")));
    }
}

#[test]
fn the_columns_of_temporal_splits() {
    // A column with the dates of another year, and one with other groups.
    let moved = |name: &'static str, value: &'static str| timed(&[(name, value)]);
    let of = |variables: &[(&str, &str)]| recipe(TEMPORAL, variables)["split"].clone();
    assert_eq!(of(&moved("DATE_COLUMN", "a__DOT__b"))["time"], "a.b");
    assert_eq!(of(&moved("GROUP_ID_COLUMN", "id"))["groups"], "id");
    let groups = |variables: &[(&str, &str)]| {
        let container = container();
        container.ok(TEMPORAL, "training", variables);
        let manifest = container.output("training_data/_manifest.json");
        super::common::json(&manifest)["splits"]["train"]["groups"].clone()
    };
    assert_ne!(groups(&TIMES), groups(&moved("GROUP_ID_COLUMN", "id")));
    let container = container();
    let outcome = container.run(TEMPORAL, "training", &moved("DATE_COLUMN", "customer"), &[]);
    assert_eq!(outcome.code, Some(3), "customers are no dates: {}", outcome.err);
}

#[test]
fn the_cutoff_of_temporal_splits() {
    for cutoff in ["2024-11-01", "2024-10-20", "2024-11-01T12:00:00", "2024-11-01 00:00:00+01:00"] {
        let late = timed_rows(&[("SPLIT_DATE", cutoff)], "test");
        assert!(!late.is_empty() && late.iter().all(|row| row["when"].as_str() >= &cutoff[..10]), "{cutoff}");
        let early = timed_rows(&[("SPLIT_DATE", cutoff)], "train");
        assert!(early.iter().all(|row| row["when"].as_str() <= &cutoff[..10]), "{cutoff}");
    }
}

#[test]
fn the_customers_of_temporal_splits() {
    let train = |variables: &[(&str, &str)]| -> BTreeSet<String> {
        timed_rows(variables, "train").into_iter().map(|row| row["customer"].clone()).collect()
    };
    let before: BTreeSet<String> = data::expected()
        .into_values()
        .filter(|row| row["when"].as_str() < "2024-11-01")
        .map(|row| row["customer"].clone())
        .collect();
    assert_eq!(train(&[]).len(), before.len() * 9 / 10);
    assert_eq!(train(&[("TRAIN_RATIO", "0.5")]).len(), before.len() / 2);
    let half = |seed| train(&[("TRAIN_RATIO", "0.5"), ("RANDOM_SEED", seed)]);
    assert_eq!(half("42"), half("None"));
    assert_ne!(half("42"), half("43"));
}

#[test]
fn the_label_of_temporal_splits() {
    let all = timed_rows(&[], "train");
    let labelled = timed_rows(&[("LABEL_FIELD", "label")], "train");
    assert!(all.iter().any(|row| !row.contains_key("label")));
    assert!(labelled.iter().all(|row| ["0", "1", "2"].contains(&row["label"].as_str())));
}

#[test]
fn the_main_task_of_temporal_splits() {
    for (targets, main, into) in [("task_a,task_b,id", "0", "task_a"), ("['main', 'task_a', 'task_b']", "0", "main")] {
        let rows = timed_rows(&[("TARGETS", targets), ("MAIN_TASK_INDEX", main)], "train");
        let other = |row: &std::collections::BTreeMap<String, String>, name: &str| row[name].parse::<i64>().unwrap();
        for row in rows {
            let largest = if into == "main" {
                other(&row, "task_a").max(other(&row, "task_b"))
            } else {
                other(&row, "task_b").max(other(&row, "id"))
            };
            assert_eq!(row[into], largest.to_string());
        }
    }
    let container = container();
    let outcome = container.ok(TEMPORAL, "training", &timed(&[("TARGETS", "task_a,task_b")]));
    assert!(outcome.err.contains("warning: TARGETS is set and MAIN_TASK_INDEX is not"), "{}", outcome.err);
}

#[test]
fn the_layout_of_temporal_splits() {
    let streaming = timed(&[("ENABLE_TRUE_STREAMING", "true"), ("SHARD_SIZE", "10"), ("OUTPUT_FORMAT", "PARQUET")]);
    let parts = written(TEMPORAL, &streaming, "training_data");
    assert!(parts.contains(&"train/part-00001.parquet".to_string()), "{parts:?}");
    assert!(parts.contains(&"oot/part-00000.parquet".to_string()), "{parts:?}");
    let batch = written(TEMPORAL, &TIMES, "");
    let expected = [
        "oot_data/oot_data.csv",
        "training_data/test/test_processed_data.csv",
        "training_data/train/train_processed_data.csv",
        "training_data/val/val_processed_data.csv",
    ];
    let batch: Vec<&String> =
        batch.iter().filter(|name| !name.contains("/_") && !name.ends_with("/signature")).collect();
    assert_eq!(batch, expected.iter().collect::<Vec<_>>());
}
