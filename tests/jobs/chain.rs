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
    assert!(outcome.out.contains("output in"), "{}", outcome.out);
}

#[test]
fn a_header_that_disagrees_with_the_signature_is_no_row() {
    for header in ["t,n", "N,T"] {
        let container = Container::new();
        container.write("processing/input/data/part-0.csv", format!("{header}\n1,a\n"));
        container.write("processing/input/signature/signature", "n,t");
        let outcome = container.run(TABULAR, "validation", &[], &[]);
        assert_eq!(outcome.code, Some(3), "{header}: {}", outcome.err);
        assert!(outcome.err.contains("part-0.csv") && outcome.err.contains("the signature's names"), "{}", outcome.err);
    }
}

#[test]
fn an_index_that_pandas_stores_is_no_column() {
    use super::common::table::{Kind, Table, write_shard};
    let container = Container::new();
    let columns = vec![("n".to_string(), Kind::Int), ("__index_level_0__".to_string(), Kind::Int)];
    let table = Table { columns, rows: vec![vec![Cell::Int(7), Cell::Int(3)]] };
    write_shard(&container.path("processing/input/data/part-0.parquet"), &table.batch(), &[]);
    container.ok(LOADER, "training", &[]);
    assert_eq!(fs::read_to_string(container.output("data/part-00000.csv")).unwrap(), "n\n7\n");
}

#[test]
fn a_customer_is_one_whatever_the_type_of_the_shard() {
    use super::common::table::{Kind, Table, write_shard};
    let container = Container::new();
    let shard = |name: &str, kind: Kind, customer: &dyn Fn(i64) -> Cell| {
        let columns = vec![("customer".to_string(), kind), ("when".to_string(), Kind::Text)];
        let rows = (0..40).map(|at| vec![customer(at), Cell::Text(format!("2024-{:02}-01", at % 12 + 1))]).collect();
        write_shard(&container.path("processing/input/data").join(name), &Table { columns, rows }.batch(), &[]);
    };
    shard("part-0.parquet", Kind::Int, &|at| Cell::Int(at % 20));
    shard("part-1.parquet", Kind::Float, &|at| if at == 0 { Cell::Missing } else { Cell::Float((at % 20) as f64) });
    shard("part-2.parquet", Kind::Text, &|at| Cell::Text(format!("x{at}")));
    let times = [
        ("DATE_COLUMN", "when"),
        ("GROUP_ID_COLUMN", "customer"),
        ("SPLIT_DATE", "2024-07-01"),
        ("TRAIN_RATIO", "0.5"),
    ];
    container.ok(TEMPORAL, "training", &times);
    let customers = |split: &str| -> std::collections::BTreeSet<String> {
        rows(&container.output("training_data").join(split)).iter().map(|row| row["customer"].clone()).collect()
    };
    let (train, val, oot) = (customers("train"), customers("val"), customers("test"));
    assert!(train.contains("1") || val.contains("1"), "{train:?} {val:?}");
    assert!(train.is_disjoint(&val) && train.is_disjoint(&oot));
    assert!(!train.iter().chain(&val).any(|customer| customer.contains('.')));
}

#[test]
fn an_output_within_the_input_is_not_read_again() {
    let container = Container::new();
    container.write("in/a.csv", "n\n1\n");
    let flags = ["--input-data", "in", "--output-data", "in/out", "--output-signature", "in/out/s", "--overwrite"];
    for round in 0..3 {
        let outcome = container.run(LOADER, "training", &[], &flags);
        assert_eq!(outcome.code, Some(0), "{}", outcome.err);
        assert_eq!(fs::read_to_string(container.path("in/out/part-00000.csv")).unwrap(), "n\n1\n", "round {round}");
    }
}
