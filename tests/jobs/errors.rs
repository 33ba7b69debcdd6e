//! What a pipeline is told when a job cannot be done, with its exit code; nothing is left where outputs are.

use super::container::{Container, LOADER, TABULAR, TEMPORAL, rows};
use super::data::{self, Format};

const TIMES: [(&str, &str); 3] =
    [("DATE_COLUMN", "when"), ("GROUP_ID_COLUMN", "customer"), ("SPLIT_DATE", "2024-11-01")];

fn container() -> Container {
    let container = Container::new();
    data::write(&container, "processing/input/data", Format::Csv);
    container
}

/// `text` as the only shard.
fn with_shard(text: &str) -> Container {
    let container = Container::new();
    container.write("processing/input/data/part-0.csv", text);
    container
}

#[test]
fn a_variable_that_has_to_be_there() {
    for left_out in 0..3 {
        let mut variables = TIMES.to_vec();
        let (name, _) = variables.remove(left_out);
        container().fails(TEMPORAL, &variables, 2, &[&format!("{name} environment variable must be set.")]);
    }
}

#[test]
fn a_variable_that_cannot_be_read_is_named() {
    let wrong = [
        (LOADER, ("OUTPUT_FORMAT", "FEATHER")),
        (LOADER, ("METADATA_FORMAT", "XML")),
        (LOADER, ("SHARD_SIZE", "0")),
        (LOADER, ("WRITE_DATA_SHARDS", "maybe")),
        (TABULAR, ("TRAIN_RATIO", "70%")),
        (TABULAR, ("TRAIN_RATIO", "1.0")),
        (TABULAR, ("TEST_VAL_RATIO", "0")),
        (TABULAR, ("SHARD_SIZE", "many")),
        (TABULAR, ("MAX_WORKERS", "-1")),
        (TABULAR, ("BATCH_SIZE", "x")),
        (TABULAR, ("ENABLE_TRUE_STREAMING", "on")),
        (TABULAR, ("OPTIMIZE_MEMORY", "2")),
        (TEMPORAL, ("RANDOM_SEED", "-1")),
        (TEMPORAL, ("SPLIT_DATE", "next week")),
        (TEMPORAL, ("TARGETS", "['a','b")),
        (TEMPORAL, ("MAIN_TASK_INDEX", "first")),
    ];
    for (job, variable) in wrong {
        let mut variables = vec![variable];
        variables.extend(TIMES.iter().filter(|(name, _)| *name != variable.0));
        container().fails(job, &variables, 2, &[&format!("{}={}", variable.0, variable.1)]);
    }
}

#[test]
fn a_main_task_that_is_none_of_the_targets() {
    let mut variables = TIMES.to_vec();
    variables.extend([("TARGETS", "task_a,task_b"), ("MAIN_TASK_INDEX", "2")]);
    container().fails(TEMPORAL, &variables, 2, &["MAIN_TASK_INDEX=2", "0 to 1"]);
    variables[3].1 = "task_a";
    variables[4].1 = "0";
    container().fails(TEMPORAL, &variables, 2, &["TARGETS names only task_a"]);
}

#[test]
fn no_shards() {
    let none = "No CSV/JSON/Parquet shards found";
    Container::new().fails(TABULAR, &[], 3, &[none]);
    Container::new().fails(TEMPORAL, &TIMES, 3, &[none]);
    Container::new().fails(LOADER, &[], 3, &[none]);
    // Names that are no shards', and shards of no bytes.
    let container = Container::new();
    container.write("processing/input/data/data.csv", "a,b\n1,2\n");
    container.write("processing/input/data/part-0.csv", "");
    container.write("processing/input/data/deeper/part-0.csv", "a,b\n1,2\n");
    container.fails(TABULAR, &[], 3, &[none, "said by the job: part-*.csv"]);
}

#[test]
fn a_label_that_is_not_there() {
    let says = "Label field 'lable' not found in columns: ['id', 'customer'";
    container().fails(TABULAR, &[("LABEL_FIELD", "lable")], 3, &[says]);
    let mut variables = TIMES.to_vec();
    variables.push(("LABEL_FIELD", "lable"));
    container().fails(TEMPORAL, &variables, 3, &[says]);
}

#[test]
fn a_label_that_is_no_integer() {
    let container = with_shard("x,y\n1,1\n2,0\n3,1.5\n");
    container.fails(TABULAR, &[("LABEL_FIELD", "y")], 3, &["part-0.csv", "row 2", "`y`"]);
}

#[test]
fn a_date_that_cannot_be_read_is_named_by_shard_and_row() {
    let container = with_shard("when,customer\n2024-10-01,a\n2024-10-02,b\n31.12.2024,c\n");
    container.fails(TEMPORAL, &TIMES, 3, &["part-0.csv", "row 2", "31.12.2024"]);
}

#[test]
fn nothing_to_train_on() {
    let late = with_shard("when,customer\n2024-12-01,a\n2024-12-02,b\n");
    let says = ["Training data is empty after temporal split", "split.cutoff is said by SPLIT_DATE"];
    late.fails(TEMPORAL, &TIMES, 3, &says);
    let one = with_shard("when,customer\n2024-10-01,a\n2024-10-02,b\n");
    let mut variables = TIMES.to_vec();
    variables.push(("TRAIN_RATIO", "0.1"));
    one.fails(TEMPORAL, &variables, 3, &["Training data is empty after temporal split"]);
    let many: String = (0..9).map(|at| format!("2024-10-0{},c{at}\n", at + 1)).collect();
    for (ratio, says) in
        [("1.0", "Validation data is empty after temporal split"), ("0", "Training data is empty after")]
    {
        variables[3].1 = ratio;
        with_shard(&format!("when,customer\n{many}")).fails(TEMPORAL, &variables, 3, &[says]);
    }
    // The floor of one customer and a share below 1 is nobody: with many, all but one.
    let one_group = with_shard(&format!("when,customer\n{many}"));
    variables[3].1 = "0.99";
    assert_eq!(one_group.run(TEMPORAL, "training", &variables, &[]).code, Some(0));
}

#[test]
fn shards_without_rows_or_without_a_label() {
    let times = [("DATE_COLUMN", "y"), ("GROUP_ID_COLUMN", "x"), ("SPLIT_DATE", "2024-11-01")];
    for shard in ["x,y\n", "x,y\n1,\n2,\n"] {
        with_shard(shard).fails(TEMPORAL, &times, 3, &["Training data is empty after temporal split"]);
    }
    let container = with_shard("x,y\n");
    container.ok(TABULAR, "training", &[("LABEL_FIELD", "y")]);
    let file = container.output("train/train_processed_data.csv");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "x,y\n");
    with_shard("x,y\n1,\n2,\n").fails(TABULAR, &[("LABEL_FIELD", "y")], 3, &["column `y`", "no row has a label"]);
    for shard in ["[]", "{}"] {
        let container = Container::new();
        container.write("processing/input/data/part-0.json", shard);
        container.fails(TABULAR, &[("LABEL_FIELD", "y")], 3, &["Label field 'y' not found in columns: []"]);
    }
}

#[test]
fn a_label_whose_numbers_became_text_is_warned_of() {
    for (shard, says) in [
        ("x,y\n1,2\n2,10\n3,abc\n", "2 of 3 classes are numbers, and `abc` is none"),
        ("x,y\n1,007\n2,7\n", "the same number is written in several ways"),
    ] {
        let container = with_shard(shard);
        let outcome = container.ok(TABULAR, "validation", &[("LABEL_FIELD", "y")]);
        assert!(outcome.err.contains("warning: label y") && outcome.err.contains(says), "{}", outcome.err);
    }
}

#[test]
fn nothing_out_of_time_is_a_warning_and_a_header() {
    let shard: String = (0..9).map(|at| format!("2024-10-0{},c{at}\n", at + 1)).collect();
    for (streaming, file, copy) in
        [("false", "test/test_processed_data.csv", "oot_data.csv"), ("true", "oot/part-00000.csv", "part-00000.csv")]
    {
        let container = with_shard(&format!("when,customer\n{shard}"));
        let mut variables = TIMES.to_vec();
        variables.push(("ENABLE_TRUE_STREAMING", streaming));
        let outcome = container.ok(TEMPORAL, "training", &variables);
        assert!(outcome.err.contains("warning: split oot has no rows"), "{}", outcome.err);
        for path in [container.output("training_data").join(file), container.output("oot_data").join(copy)] {
            assert_eq!(std::fs::read_to_string(path).unwrap(), "when,customer\n");
        }
        assert_eq!(rows(&container.output("training_data/val")).len(), 1);
    }
}

#[test]
fn several_machines_are_refused() {
    for path in ["config/resourceconfig.json", "input/config/resourceconfig.json"] {
        let container = container();
        container.write(path, r#"{"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}"#);
        container.fails(TABULAR, &[], 2, &["2 hosts (algo-1, algo-2)", "instance count to 1"]);
        container.write(path, r#"{"current_host": "algo-1", "hosts": ["algo-1"]}"#);
        container.ok(TABULAR, "training", &[]);
    }
}

#[test]
fn a_job_without_its_type_or_with_another() {
    let container = container();
    for arguments in
        [&["job", TABULAR][..], &["job", TEMPORAL], &["job", TABULAR, "--job_type", "train"], &["job", "x"]]
    {
        assert_eq!(container.twopass(arguments).code, Some(2), "{arguments:?}");
    }
    assert_eq!(container.twopass(&["job", TABULAR, "--contract"]).code, Some(0));
}

#[test]
fn an_output_that_is_there_is_left_alone() {
    let container = container();
    container.ok(TABULAR, "training", &[]);
    let outcome = container.run(TABULAR, "training", &[], &[]);
    assert_eq!(outcome.code, Some(4), "{}", outcome.err);
    let outcome = container.run(TABULAR, "training", &[("OUTPUT_FORMAT", "TSV")], &["--overwrite"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
    let written: Vec<String> = super::container::names(&container.output("")).into_iter().collect();
    let expected =
        ["signature", "test/test_processed_data.tsv", "train/train_processed_data.tsv", "val/val_processed_data.tsv"];
    assert_eq!(written, expected);
}
