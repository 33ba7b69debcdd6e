//! What the first job writes is what the second reads, and what a container finds around it.

use std::fs;

use super::common::table::Cell;
use super::container::{Container, LOADER, Rows, TABULAR, TEMPORAL, rows, rows_of};
use super::data::{self, Format};

/// Lets the outputs of one container be the inputs of another, as a pipeline does.
fn pass_on(from: &Container, to: &Container) {
    for name in ["data", "signature"] {
        let target = to.path("processing/input").join(name);
        fs::create_dir_all(&target).unwrap();
        for entry in fs::read_dir(from.output(name)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, target.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn sorted(mut rows: Rows) -> Rows {
    rows.sort_by_key(|row| row["id"].parse::<u64>().unwrap());
    rows
}

#[test]
fn the_loaders_output_is_read_by_the_others() {
    let times = [("DATE_COLUMN", "when"), ("GROUP_ID_COLUMN", "customer"), ("SPLIT_DATE", "2024-11-01")];
    for format in ["CSV", "JSON", "PARQUET"] {
        for streaming in ["false", "true"] {
            let loader = Container::new();
            // Any names, in directories of any depth.
            data::write(&loader, "processing/input/data/2024/raw", Format::Mixed);
            let mode = ("ENABLE_TRUE_STREAMING", streaming);
            loader.ok(LOADER, "training", &[("OUTPUT_FORMAT", format), ("SHARD_SIZE", "25"), mode]);

            let tabular = Container::new();
            pass_on(&loader, &tabular);
            tabular.ok(TABULAR, "training", &[mode]);
            let all: Rows = ["train", "test", "val"].iter().flat_map(|split| rows(&tabular.output(split))).collect();
            let mut expected: Rows = data::expected().into_values().collect();
            expected.sort_by_key(|row| row["id"].parse::<u64>().unwrap());
            assert_eq!(sorted(all), expected, "{format} {streaming}");

            let temporal = Container::new();
            pass_on(&loader, &temporal);
            let mut variables = times.to_vec();
            variables.push(mode);
            temporal.ok(TEMPORAL, "training", &variables);
            let late = rows(&temporal.output("oot_data"));
            assert!(!late.is_empty() && late.iter().all(|row| row["when"].as_str() >= "2024-11-01"));
        }
    }
}

#[test]
fn shards_without_a_header_are_named_by_the_signature() {
    let container = Container::new();
    container.write("processing/input/data/part-0.csv", "1,a\n2,b\n");
    container.write("processing/input/data/part-1.tsv", "3\tc\n4\td\n");
    container.write("processing/input/data/part-2.json", "{\"n\": 5, \"t\": \"e\"}\n");
    container.write("processing/input/signature/signature", "n,t");
    container.ok(TABULAR, "validation", &[]);
    let read = rows(&container.output("validation"));
    let read: Vec<(&str, &str)> = read.iter().map(|row| (row["n"].as_str(), row["t"].as_str())).collect();
    assert_eq!(read, [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"), ("5", "e")]);
}

#[test]
fn secondary_shards_are_added_where_there_are_some() {
    let container = Container::new();
    container.write("processing/input/data/part-1.csv", "n\n1\n");
    container.write("processing/input/data_secondary/part-2.csv", "");
    let read = |container: &Container| -> Vec<String> {
        container.ok(TABULAR, "testing", &[]);
        rows(&container.output("testing")).iter().map(|row| row["n"].clone()).collect()
    };
    assert_eq!(read(&container), ["1"]);
    container.clear();
    container.write("processing/input/data_secondary/part-2.csv", "n\n2\n");
    container.write("processing/input/data_secondary/part-1.csv", "n\n99\n");
    container.write("processing/input/data_secondary/part-0.csv", "n\n0\n");
    assert_eq!(read(&container), ["0", "1", "2"], "in data wins, and shards are ordered by name");
}

#[test]
fn columns_of_later_shards_are_added() {
    let container = Container::new();
    container.write("processing/input/data/part-0.csv", "n\n1\n");
    container.write("processing/input/data/part-1.json", "{\"n\": 2, \"late\": \"x\"}");
    container.ok(TABULAR, "calibration", &[]);
    let file = container.output("calibration/calibration_processed_data.csv");
    assert_eq!(fs::read_to_string(&file).unwrap(), "n,late\n1,\n2,x\n");
    assert_eq!(rows_of(&file).len(), 2);
    let table = super::common::table::Table::of_batch(&super::common::csv::read_text(&file));
    assert_eq!(table.column("late"), [Cell::Missing, Cell::text("x")]);
}

#[test]
fn every_directory_can_be_elsewhere() {
    let container = Container::new();
    data::write(&container, "a/in", Format::Csv);
    let times = [("DATE_COLUMN", "when"), ("GROUP_ID_COLUMN", "customer"), ("SPLIT_DATE", "2024-11-01")];
    let flags = ["--input-data", "a/in", "--output-training-data", "b/train", "--output-oot-data", "c/d/oot"];
    let outcome = container.run(TEMPORAL, "training", &times, &flags);
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
    assert!(container.path("b/train/train/train_processed_data.csv").is_file());
    assert!(container.path("c/d/oot/oot_data.csv").is_file());
    assert!(container.path("b/train.state").is_dir(), "the state is beside the first output");
    let verified = container.twopass(&["verify", "b/train"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);

    let flags = ["--input-data", "a/in", "--output-data", "l/d", "--output-signature", "l/s", "--output-metadata", "m"];
    let mut all = flags.to_vec();
    all.extend(["--state", "kept"]);
    let outcome = container.run(LOADER, "training", &[], &all);
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
    for file in ["l/d/part-00000.csv", "l/s/signature", "m/metadata", "l/d/_SUCCESS"] {
        assert!(container.path(file).is_file(), "{file}");
    }
    assert!(container.path("kept").is_dir());
    assert_eq!(fs::read_dir(container.path("l/s")).unwrap().count(), 1, "the first file there is the signature");
}

#[test]
fn the_state_is_among_the_checkpoints_or_beside_the_output() {
    let container = Container::new();
    data::write(&container, "processing/input/data", Format::Csv);
    container.ok(TABULAR, "training", &[]);
    assert!(container.path("processing/tabular-preprocessing-training.state").is_dir());
    container.clear();
    fs::create_dir(container.path("checkpoints")).unwrap();
    container.ok(TABULAR, "training", &[]);
    assert!(container.path("checkpoints/tabular-preprocessing-training.state").is_dir());
    let beside: Vec<_> = fs::read_dir(container.path("processing")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 2, "input and output: {beside:?}");
}

#[test]
fn the_log_is_plain_lines() {
    let container = Container::new();
    data::write(&container, "processing/input/data", Format::Csv);
    let outcome = container.ok(TABULAR, "training", &[("LABEL_FIELD", "label")]);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!outcome.err.contains(control) && !outcome.out.contains(control), "{}", outcome.err);
    assert!(outcome.err.contains("scan") && outcome.out.contains("output in"), "{} {}", outcome.err, outcome.out);
}
