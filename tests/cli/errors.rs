//! Every mistake a new user makes has its exit code and a message that says what to do.

use std::fs;
use std::sync::Arc;

use arrow::array::{Int64Array, ListArray};
use arrow::datatypes::Int32Type;

use super::support::{Job, batch, rows};

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let job = Job::new();
    job.write("typo.toml", "[input]\npath = \"data\"\n[output]\nshard_row = 5\n");
    job.fails(&["run", "typo.toml"], 2, &["typo.toml", "unknown key `output.shard_row`", "did you mean `shard_rows`?"]);
    job.fails(
        &["check", "-i", "data", "--set", "splits.kind=random"],
        2,
        &["unknown key `splits`", "did you mean `split`?"],
    );
    job.write("op.toml", "[input]\npath = \"data\"\n[[transform]]\nop = \"standard_scaler\"\ncolums = \"amount\"\n");
    job.fails(&["run", "op.toml"], 2, &["`transform[0].colums`", "did you mean `columns`?"]);
}

#[test]
fn what_is_not_available_yet_says_so() {
    let job = Job::new();
    job.fails(&["apply", "--state", "s"], 2, &["`twopass apply` is not available yet"]);
}

#[test]
fn a_split_that_lacks_a_key_or_has_one_too_many_says_which() {
    let job = Job::new();
    let refused = |sets: &[&str], wanted: &[&str]| {
        let mut args = vec!["run", "-i", "data"];
        sets.iter().for_each(|set| args.extend(["--set", set]));
        job.fails(&args, 2, wanted);
    };
    refused(&["split.kind=grouped"], &["needs split.groups"]);
    refused(&["split.kind=stratified_grouped", "split.groups=id"], &["needs split.stratify or label.column"]);
    refused(&["split.kind=temporal"], &["needs split.time"]);
    refused(&["split.kind=temporal", "split.time=t"], &["needs split.cutoff"]);
    refused(&["split.kind=temporal", "split.time=t", "split.cutoff=\"soon\""], &["split.cutoff", "soon", "2024-11-01"]);
    refused(
        &["split.kind=temporal", "split.time=t", "split.cutoff=\"2024-11-01\"", "split.gap=\"7\""],
        &["split.gap", "36h"],
    );
    refused(
        &["split.kind=temporal", "split.time=t", "split.cutoff=3", "split.groups=id", "split.oot_exclude=[\"x\"]"],
        &["split.oot_exclude names `x`"],
    );
    refused(&["split.kind=random", "split.groups=id"], &["split.groups goes with", "\"random\""]);
    refused(&["split.kind=random", "split.time=t"], &["split.time goes with"]);
    refused(&["split.kind=kfold", "split.folds=1"], &["split.folds = 1"]);
    refused(&["split.kind=kfold", "split.sizes={a=0.5,b=0.5}"], &["split.sizes goes with"]);
    refused(&["split.kind=random", "split.sizes={a=0.5,b=7}"], &["both"]);
    refused(&["split.kind=random", "split.sizes={a=0.5,b=0.2}"], &["split.sizes sum to", "rest"]);
    refused(&["split.rest=drop"], &["split.rest goes with"]);
    refused(&["dedupe.key=[]"], &["dedupe.key names no column"]);
    refused(&["dedupe.key=id", "dedupe.keep=best"], &["dedupe", "best"]);
    refused(&["fit.rows=train"], &["fit.rows", "split of that name"]);
}

#[test]
fn a_wrong_value_names_its_key() {
    let job = Job::new();
    job.fails(&["run", "-i", "data", "--split", "random", "--sizes", "train=0.7,test=0.2"], 2, &["split.sizes sum to"]);
    job.fails(&["run", "-i", "data", "--set", "output.format=xml"], 2, &["output", "xml", "parquet"]);
    job.fails(&["run", "-i", "data", "--memory", "1MiB"], 2, &["run.memory", "64MiB"]);
    job.fails(&["run", "-i", "data", "--split", "stratified"], 2, &["split.stratify or label.column"]);
    job.fails(&["run", "nowhere.toml"], 2, &["cannot read the recipe nowhere.toml"]);
    job.fails(&["run"], 2, &["input.path", "--input"]);
    job.fails(&["run", "-i", "data", job.recipe()], 2, &["recipe.toml", "put the recipe first"]);
    job.write("broken.toml", "[input\npath = 1\n");
    job.fails(&["run", "broken.toml"], 2, &["broken.toml", "line 1"]);
}

#[test]
fn an_input_that_is_not_there_is_named() {
    let job = Job::new();
    job.fails(&["run", "-i", "dat"], 3, &["dat", "input.path"]);
    fs::create_dir(job.path("empty")).expect("created");
    job.fails(&["run", "-i", "empty"], 3, &["No CSV/JSON/Parquet shards found", "empty"]);
    job.fails(&["check", "-i", "nothing/*.parquet"], 3, &["No CSV/JSON/Parquet shards found"]);
    job.fails(&["init", "empty"], 3, &["No CSV/JSON/Parquet shards found"]);
}

#[test]
fn a_missing_column_lists_those_that_are_there() {
    let job = Job::new();
    for command in ["run", "check"] {
        job.fails(
            &[command, "-i", "data", "--label", "lable"],
            3,
            &["Label field 'lable' not found in columns: ['id', 'amount', 'city', 'label']", "did you mean `label`?"],
        );
    }
    job.fails(&["run", "-i", "data", "--split", "random", "--key", "idd"], 3, &["'idd'", "did you mean `id`?"]);
}

#[test]
fn a_step_that_cannot_make_its_columns_is_refused() {
    let job = Job::new();
    let refused: &[(&str, i32, &[&str])] = &[
        (r#"{ op = "rename", names = { idd = "x" } }"#, 3, &["column of rename 'idd'", "did you mean `id`?"]),
        (r#"{ op = "rename", names = { id = "city" } }"#, 2, &["`id` and `city` would both be named `city`"]),
        (r#"{ op = "rename", pattern = "(", replacement = "" }"#, 2, &["transform 1 (rename)", "regular expression"]),
        (r#"{ op = "rename", pattern = "a" }"#, 2, &["transform 1 (rename)", "replacement"]),
        (r#"{ op = "rename" }"#, 2, &["names = { old = \"new\" }"]),
        (r#"{ op = "rename", pattern = "^.*$", replacement = "" }"#, 2, &["column `id` would have no name"]),
        (
            r#"{ op = "cast", columns = "city", to = "int32" }"#,
            3,
            &["row 0, column `city`", "Int32", "errors = \"null\""],
        ),
        (r#"{ op = "cast", columns = "citty", to = "int32" }"#, 3, &["column of cast 'citty'", "did you mean `city`?"]),
        (r#"{ op = "cast", columns = "id", to = "date", errors = "null" }"#, 2, &["column `id` is Int64", "Date32"]),
        (r#"{ op = "concat", columns = "x*", into = "y" }"#, 2, &["concat: the glob `x*` matches no column"]),
        (r#"{ op = "concat", columns = "city", into = "" }"#, 2, &["transform 1 (concat): into is empty"]),
        (r#"{ op = "row_max", columns = ["id", "city"], into = "y" }"#, 2, &["row_max into `y`", "`city` is Utf8"]),
        (
            r#"{ op = "coalesce", columns = ["id", "city"], into = "y" }"#,
            2,
            &["coalesce into `y`", "`city` is Utf8", "cast it first"],
        ),
        (r#"{ op = "coalesce", columns = "id", into = "" }"#, 2, &["transform 1 (coalesce): into is empty"]),
        (
            r#"{ op = "coalesce", columns = ["x", "y"], into = "y", if_missing = "skip" }"#,
            2,
            &["coalesce into `y`: no column is selected"],
        ),
        (r#"{ op = "drop", columns = ["id", "amount", "city", "label"] }"#, 2, &["drop: no column is left"]),
        (
            r#"{ op = "drop", columns = "city" }, { op = "cast", columns = "city", to = "string" }"#,
            3,
            &["'city' not found"],
        ),
        (r#"{ op = "keep", columns = "city" }, { op = "one_hot_encoder", columns = "id" }"#, 3, &["'id' not found"]),
        (
            r#"{ op = "standard_scaler", columns = "id" }, { op = "drop", columns = "city" }"#,
            2,
            &["transform 2 (drop)", "move it up, before transform 1 (standard_scaler)"],
        ),
    ];
    for (steps, code, words) in refused {
        job.fails(&["run", "-i", "data", "-o", "derived", "--set", &format!("transform=[{steps}]")], *code, words);
    }
    let set = r#"transform=[{ op = "drop", columns = "id" }, { op = "min_max_scaler", columns = "id" }]"#;
    job.fails(
        &["check", "-i", "data", "--split", "random", "--key", "id", "--set", set],
        2,
        &["`id` was dropped by a step"],
    );
}

#[test]
fn a_step_that_cannot_work_is_refused() {
    let job = Job::new();
    job.write("scale.toml", "[input]\npath = \"data\"\n[[transform]]\nop = \"standard_scaler\"\ncolumns = \"city\"\n");
    for command in ["check", "run"] {
        job.fails(&[command, "scale.toml"], 2, &["standard_scaler", "`city`"]);
    }
    job.write("label.toml", "[input]\npath = \"data\"\n[label]\ncolumn = \"label\"\n[[transform]]\nop = \"ordinal_encoder\"\ncolumns = \"label\"\n");
    job.fails(&["check", "label.toml"], 2, &["the label"]);
}

#[test]
fn a_cut_parquet_file_names_the_shard() {
    let job = Job::new();
    let shard = job.path("data/part-1.parquet");
    let bytes = fs::read(&shard).expect("read");
    fs::write(&shard, &bytes[..bytes.len() / 2]).expect("cut");
    for command in ["run", "check"] {
        job.fails(&[command, "-i", "data"], 3, &["part-1.parquet", "cut"]);
    }
    assert!(!job.path("out").exists());
}

#[test]
fn damage_inside_a_shard_is_no_panic() {
    let job = Job::new();
    let shard = job.path("data/part-1.parquet");
    let mut bytes = fs::read(&shard).expect("read");
    bytes[4..400].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(&shard, bytes).expect("damaged");
    job.fails(&["run", "-i", "data"], 3, &["part-1.parquet"]);
}

#[test]
fn a_nested_column_is_named() {
    let job = Job::new();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None]);
    job.shard("nested.parquet", &batch([("id", Arc::new(Int64Array::from(vec![1, 2]))), ("tags", Arc::new(lists))]));
    job.fails(&["run", "-i", "data/nested.parquet"], 3, &["nested.parquet", "tags", "not supported"]);
}

#[test]
fn an_output_that_exists_is_left_alone() {
    let job = Job::new();
    job.write("out/mine.txt", "mine");
    job.fails(&["run", "-i", "data", "-o", "out"], 4, &["out", "--overwrite"]);
    job.fails(&["run", "-i", "data", "-o", "out", "--overwrite"], 4, &["not written by twopass"]);
    assert_eq!(job.files("out").len(), 1);
    job.write("file", "mine");
    job.fails(&["run", "-i", "data", "-o", "file", "--overwrite"], 4, &["is a file"]);
}

#[test]
fn overwrite_replaces_an_output_of_twopass() {
    let job = Job::new();
    job.ok(&["run", job.recipe()]);
    let first = job.files("out");
    job.fails(&["run", job.recipe()], 4, &["exists"]);
    job.ok(&["run", job.recipe(), "--overwrite"]);
    assert_eq!(job.files("out"), first);
}

#[test]
fn a_state_of_another_job_is_left_alone() {
    let job = Job::new();
    job.ok(&["scan", "-i", "data", "--state", "s"]);
    let before = job.files("s/shards");
    fs::create_dir(job.path("other")).expect("created");
    fs::copy(job.path("data/part-0.parquet"), job.path("other/elsewhere.parquet")).expect("copied");
    job.fails(&["run", "-i", "other", "--state", "s"], 4, &["belongs to another job", "--state"]);
    assert_eq!(job.files("s/shards"), before);
    job.write("precious/file", "mine");
    job.fails(&["run", "-i", "data", "--state", "precious"], 4, &["not the state of a twopass job"]);
    job.fails(
        &["run", "-i", "data", "--state", "precious", "--resume", "never"],
        4,
        &["not the state of a twopass job"],
    );
    assert!(job.path("precious/file").exists());
}

#[test]
fn write_needs_a_complete_state() {
    let job = Job::new();
    job.fails(&["write", job.recipe()], 4, &["no state at out.state", "twopass scan"]);
    job.ok(&["scan", job.recipe()]);
    job.shard("part-3.parquet", &rows(300, 10));
    job.fails(&["write", job.recipe()], 4, &["lacks 1 of 4 shards", "twopass scan"]);
    job.ok(&["scan", job.recipe()]);
    job.fails(&["write", job.recipe(), "--key", "city"], 4, &["split.key is not the one of the state", "twopass scan"]);
}
