//! Every job in either mode, from every format of shards to every format of output: the rows, values and splits are the
//! same, and only the layout differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::container::{Container, LOADER, Rows, TABULAR, TEMPORAL, TYPES, files, names, rows};
use super::data::{self, FORMATS, Format, expected};

/// The combinations of two lists.
fn pairs<A: Copy + Send, B: Copy + Send>(a: &[A], b: &[B]) -> Vec<(A, B)> {
    a.iter().flat_map(|a| b.iter().map(|b| (*a, *b))).collect()
}

/// The outputs in batch and in streaming mode of the same job.
fn in_both_modes<T>(
    format: Format,
    job: (&str, &str),
    variables: &[(&str, &str)],
    read: impl Fn(&Container) -> T,
) -> [T; 2] {
    ["false", "true"].map(|streaming| {
        let container = Container::new();
        data::write(&container, "processing/input/data", format);
        let mut all = vec![("ENABLE_TRUE_STREAMING", streaming), ("SHARD_SIZE", "20")];
        all.extend(variables);
        container.ok(job.0, job.1, &all);
        read(&container)
    })
}

#[test]
fn the_loader_writes_all_rows_with_signature_and_metadata() {
    let outputs = pairs(&[("CSV", "csv"), ("JSON", "json"), ("PARQUET", "parquet")], &["JSON", "MODS"]);
    pairs(&FORMATS, &outputs).into_par_iter().for_each(|(format, ((output, extension), metadata))| {
        let variables = [("OUTPUT_FORMAT", output), ("METADATA_FORMAT", metadata)];
        let read = |container: &Container| {
            let data = container.output("data");
            assert!(data.join("_SUCCESS").is_file());
            let text = |name| String::from_utf8(files(&container.output(name))[name].clone()).unwrap();
            (names(&data), rows(&data), text("signature"), text("metadata"))
        };
        let [batch, streaming] = in_both_modes(format, (LOADER, "training"), &variables, read);
        let numbered: Vec<String> = (0..6).map(|part| format!("part-{part:05}.{extension}")).collect();
        assert_eq!((&batch.0[..], &streaming.0[..]), (&numbered[..1], &numbered[..]), "{format:?} {output}");
        assert_eq!(batch.1, data::as_written(), "{format:?} {output}");
        assert_eq!(batch.1, streaming.1, "{format:?} {output}");
        assert_eq!(batch.2, data::COLUMNS.join(","));
        assert_eq!((&batch.2, &batch.3), (&streaming.2, &streaming.3));
        check_metadata(metadata, &batch.3);
    });
}

fn check_metadata(format: &str, text: &str) {
    if format == "MODS" {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..3], ["varname,iscategory,datatype", "id,false,int64", "customer,true,object"]);
        assert_eq!(lines[5], "amount,false,float64");
        return;
    }
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!((&json["version"], &json["data_info"]["total_rows"]), (&"1.0".into(), &120.into()));
    assert_eq!(json["data_info"]["total_columns"], 9);
    let column = &json["column_info"]["id"];
    assert_eq!((&column["data_type"], &column["min"], &column["max"]), (&"int64".into(), &0.into(), &119.into()));
    assert_eq!((&column["mean"], &column["unique_count"]), (&59.5.into(), &120.into()));
}

/// The classes of the labels, by their codes.
const CLASSES: [&str; 3] = ["maybe", "no", "yes"];

/// Whether all rows are there that have a label, each in one split, with the values of the input and the label's code.
fn check_rows(splits: &BTreeMap<&str, Rows>, change: impl Fn(&mut BTreeMap<String, String>)) {
    let mut expected = expected();
    expected.retain(|_, row| row.contains_key("label"));
    let mut seen = BTreeSet::new();
    for row in splits.values().flatten() {
        assert!(seen.insert(row["id"].clone()), "row {} is in two splits", row["id"]);
        let mut wanted = expected[&row["id"]].clone();
        let code = CLASSES.iter().position(|class| wanted["label"] == *class).unwrap();
        wanted.insert("label".into(), code.to_string());
        change(&mut wanted);
        assert_eq!(row, &wanted);
    }
    assert_eq!(seen.len(), expected.len());
}

/// Of each directory below `root` the rows.
fn splits<'a>(root: &Path, names: &[&'a str]) -> BTreeMap<&'a str, Rows> {
    names.iter().map(|name| (*name, rows(&root.join(name)))).collect()
}

const OUTPUTS: [(&str, &str); 3] = [("CSV", "csv"), ("TSV", "tsv"), ("PARQUET", "parquet")];

#[test]
fn tabular_splits_exactly_by_class_or_cleans_one_split() {
    pairs(&FORMATS, &pairs(&OUTPUTS, &TYPES)).into_par_iter().for_each(|(format, ((output, extension), job_type))| {
        let named: &[&str] = if job_type == "training" { &["train", "test", "val"] } else { &[job_type] };
        let read = |container: &Container| {
            let root = container.output("");
            assert!(root.join("_SUCCESS").is_file());
            let parts: Vec<String> = names(&root).into_iter().filter(|name| name != "signature").collect();
            (parts, splits(&root, named))
        };
        let variables = [("LABEL_FIELD", "label"), ("OUTPUT_FORMAT", output)];
        let [batch, streaming] = in_both_modes(format, (TABULAR, job_type), &variables, read);
        assert_eq!(batch.1, streaming.1, "{format:?} {output} {job_type}");
        check_rows(&batch.1, |_| {});
        let mut single: Vec<String> =
            named.iter().map(|split| format!("{split}/{split}_processed_data.{extension}")).collect();
        single.sort();
        assert_eq!(batch.0, single);
        assert!(streaming.0.contains(&format!("{}/part-00000.{extension}", named[0])), "{:?}", streaming.0);
        if job_type == "training" {
            check_shares(&batch.1);
        }
    });
}

/// Whether each class has the floor or the ceiling of 70, 15 and 15 percent in the splits.
fn check_shares(splits: &BTreeMap<&str, Rows>) {
    for code in ["0", "1", "2"] {
        let count = |split: &str| splits[split].iter().filter(|row| row["label"] == code).count();
        let all: usize = splits.keys().map(|split| count(split)).sum();
        for (split, share) in [("train", 70), ("test", 15), ("val", 15)] {
            let (floor, ceiling) = (all * share / 100, (all * share).div_ceil(100));
            assert!((floor..=ceiling).contains(&count(split)), "{split} has {} of {all} of class {code}", count(split));
        }
    }
}

#[test]
fn temporal_allots_customers_and_writes_what_is_out_of_time_twice() {
    let base = [
        ("DATE_COLUMN", "when"),
        ("GROUP_ID_COLUMN", "customer"),
        ("SPLIT_DATE", "2024-11-01"),
        ("LABEL_FIELD", "label"),
    ];
    pairs(&FORMATS, &pairs(&OUTPUTS, &TYPES)).into_par_iter().for_each(|(format, ((output, extension), job_type))| {
        let mut variables = base.to_vec();
        variables.extend([
            ("OUTPUT_FORMAT", output),
            ("TRAIN_RATIO", "0.6"),
            ("TARGETS", "['task_a','task_b','main']"),
            ("MAIN_TASK_INDEX", "2"),
        ]);
        let read = |container: &Container| {
            let [training, oot] = ["training_data", "oot_data"].map(|name| container.output(name));
            assert!(training.join("_SUCCESS").is_file());
            (
                names(&training),
                names(&oot),
                files(&training),
                files(&oot),
                [training, oot].map(|path| path.to_path_buf()),
            )
        };
        // Read while the directories are there.
        let read = |container: &Container| {
            let (named, copies, of_training, of_oot, [training, oot]) = read(container);
            let last = if training.join("oot").is_dir() { "oot" } else { "test" };
            let mut found = splits(&training, &["train", "val", last]);
            assert_eq!(found[last], rows(&oot));
            let out_of_time = found.remove(last).unwrap();
            found.insert("oot", out_of_time);
            let bytes = |files: BTreeMap<String, Vec<u8>>| files;
            (named, copies, found, bytes(of_training), bytes(of_oot))
        };
        let [batch, streaming] = in_both_modes(format, (TEMPORAL, job_type), &variables, read);
        assert_eq!(batch.2, streaming.2, "{format:?} {output} {job_type}");
        let main = |row: &mut BTreeMap<String, String>| {
            let main = row["task_a"].parse::<i64>().unwrap().max(row["task_b"].parse().unwrap());
            row.insert("main".into(), main.to_string());
        };
        check_customers(&batch.2, main);
        let single = ["test/test", "train/train", "val/val"].map(|path| format!("{path}_processed_data.{extension}"));
        let parts: Vec<&String> = batch.0.iter().filter(|name| *name != "signature").collect();
        assert_eq!(parts, single.iter().collect::<Vec<_>>());
        assert_eq!(batch.1, [format!("oot_data.{extension}")]);
        assert_eq!(batch.3[&single[0]], batch.4[&batch.1[0]]);
        assert_eq!(streaming.1[0], format!("part-00000.{extension}"));
        for name in &streaming.1 {
            assert_eq!(streaming.3[&format!("oot/{name}")], streaming.4[name]);
        }
    });
}

/// Whether rows are on their side of the cutoff, customers in one split, and those of train out of `oot`.
fn check_customers(splits: &BTreeMap<&str, Rows>, change: impl Fn(&mut BTreeMap<String, String>)) {
    let customers = |split: &str| splits[split].iter().map(|row| row["customer"].clone()).collect::<BTreeSet<String>>();
    let of_input: Vec<_> = expected().into_values().filter(|row| row.contains_key("label")).collect();
    let before: BTreeSet<_> =
        of_input.iter().filter(|row| row["when"].as_str() < "2024-11-01").map(|row| row["customer"].clone()).collect();
    let (train, val) = (customers("train"), customers("val"));
    assert_eq!(train.len(), before.len() * 6 / 10);
    assert_eq!(train.len() + val.len(), before.len());
    assert!(train.is_disjoint(&val) && train.is_disjoint(&customers("oot")));
    let mut rows = 0;
    for row in of_input {
        let (customer, is_late) = (&row["customer"], row["when"].as_str() >= "2024-11-01");
        let split = match (is_late, train.contains(customer)) {
            (true, true) => continue,
            (true, false) => "oot",
            (false, true) => "train",
            (false, false) => "val",
        };
        let found = splits[split].iter().find(|found| found["id"] == row["id"]).expect("the row");
        let mut wanted = row.clone();
        let code = CLASSES.iter().position(|class| wanted["label"] == *class).unwrap();
        wanted.insert("label".into(), code.to_string());
        change(&mut wanted);
        assert_eq!(found, &wanted);
        rows += 1;
    }
    assert_eq!(splits.values().map(Vec::len).sum::<usize>(), rows);
}

#[test]
fn what_a_dry_run_prints_writes_the_same_bytes() {
    let temporal = [("DATE_COLUMN", "when"), ("GROUP_ID_COLUMN", "customer"), ("SPLIT_DATE", "2024-11-01")];
    let jobs: [(&str, &[(&str, &str)]); 3] =
        [(LOADER, &[("METADATA_FORMAT", "MODS")]), (TABULAR, &[("LABEL_FIELD", "label")]), (TEMPORAL, &temporal)];
    for ((job, variables), streaming) in pairs(&jobs, &["false", "true"]) {
        let mut variables = variables.to_vec();
        variables.push(("ENABLE_TRUE_STREAMING", streaming));
        let container = Container::new();
        data::write(&container, "processing/input/data", Format::Mixed);
        container.ok(job, "training", &variables);
        let done = files(&container.output(""));
        container.clear();
        container.write("recipe.toml", container.recipe(job, "training", &variables));
        let outcome = container.twopass(&["run", "recipe.toml"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.err);
        assert!(files(&container.output("")) == done, "{job} {streaming}");
    }
}
