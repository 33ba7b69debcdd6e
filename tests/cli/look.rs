//! `check`, `init` and `inspect`.

use std::fs;
use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array};

use super::support::{Job, batch};

#[test]
fn check_says_what_a_run_would_do_and_writes_nothing() {
    let job = Job::new();
    let text = job.ok(&["check", job.recipe()]).out;
    for words in [
        "3 shards, 300 rows",
        "label: label",
        "key: id",
        "standard_scaler",
        "Float64",
        "Int32",
        "state: none",
        "memory: about",
    ] {
        assert!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    assert_eq!(job.ok(&["check", job.recipe(), "--json"]).json()["memory"]["fits"], true);
    assert!(!job.path("out").exists() && !job.path("out.state").exists());
}

#[test]
fn check_knows_the_output_columns() {
    let job = Job::new();
    let steps = r#"transform=[{op="simple_imputer",columns="amount",add_indicator=true},{op="one_hot_encoder",columns="city"}]"#;
    let preview = job.ok(&["check", "-i", "data", "--label", "label", "--set", steps, "--json"]).json();
    let columns: Vec<&str> = preview["output"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|column| column["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(columns, ["id", "amount", "city_*", "label", "missingindicator_amount"]);
    assert_eq!(preview["output"][3]["type"], "Int64");
}

#[test]
fn check_names_what_shards_disagree_on() {
    let job = Job::new();
    job.shard(
        "part-9.parquet",
        &batch([("id", Arc::new(Float64Array::from(vec![1.5]))), ("new", Arc::new(Int64Array::from(vec![1])))]),
    );
    let outcome = job.run(&["check", "-i", "data"]);
    assert_eq!(outcome.code, 3);
    for words in ["part-9.parquet", "Float64", "new", "missing"] {
        assert!(outcome.out.contains(words), "`{words}` is not in:\n{}", outcome.out);
    }
    assert!(outcome.err.contains("extra_columns") && outcome.err.contains("`new`"), "{}", outcome.err);
    job.ok(&["check", "-i", "data", "--set", "input.extra_columns=ignore"]);
}

#[test]
fn check_says_which_state_and_output_there_is() {
    let job = Job::new();
    job.ok(&["run", job.recipe()]);
    let text = job.ok(&["check", job.recipe()]).out;
    assert!(text.contains("is of this recipe") && text.contains("exists and is not empty"), "{text}");
    assert!(job.ok(&["check", job.recipe(), "--set", "input.missing_columns=raise"]).out.contains("of another recipe"));
}

#[test]
fn what_init_prints_can_be_checked_and_run() {
    let job = Job::new();
    let recipe = job.ok(&["init", "data"]).out;
    for words in ["3 shards", "column = \"label\"", "key = \"id\"", "kind = \"stratified\"", "@numeric", "@categorical"]
    {
        assert!(recipe.contains(words), "`{words}` is not in:\n{recipe}");
    }
    job.write("started.toml", &recipe);
    job.ok(&["check", "started.toml"]);
    job.ok(&["run", "started.toml"]);
    job.ok(&["verify", "out"]);
}

#[test]
fn init_copes_with_data_that_says_little() {
    let job = Job::new();
    let odd = batch([("x \"quoted\"\nname", Arc::new(Int64Array::from(vec![1, 2])) as _)]);
    fs::remove_dir_all(job.path("data")).expect("removed");
    job.shard("o'dd \"name\".parquet", &odd);
    let recipe = job.ok(&["init", "data"]).out;
    assert!(recipe.contains("# [label]") && recipe.contains("kind = \"random\""), "{recipe}");
    job.write("started.toml", &recipe);
    job.ok(&["check", "started.toml"]);
}

#[test]
fn inspect_shows_an_output() {
    let job = Job::new();
    job.ok(&["run", job.recipe()]);
    let text = job.ok(&["inspect", "out"]).out;
    for words in ["fingerprint", "train", "240", "test", "60", "yes", "48", "amount", "Float64"] {
        assert!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    assert!(job.ok(&["inspect", "out", "label"]).out.contains("yes"));
    assert_eq!(job.ok(&["inspect", "out", "--json"]).json()["output"]["splits"]["train"]["rows"], 240);
    job.fails(&["inspect", "out", "labl"], 2, &["`labl`", "did you mean `label`?"]);
}

#[test]
fn inspect_shows_a_state() {
    let job = Job::new();
    job.ok(&["scan", job.recipe()]);
    let text = job.ok(&["inspect", "out.state"]).out;
    for words in ["3 shards, 300 rows, 4 columns", "complete", "no plan yet", "part-0.parquet", "amount", "30"] {
        assert!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    job.ok(&["write", job.recipe()]);
    let text = job.ok(&["inspect", "out.state"]).out;
    assert!(text.contains("simple_imputer → standard_scaler") && text.contains("80.00%"), "{text}");
    let state = job.ok(&["inspect", "out.state", "--json"]).json();
    assert_eq!((&state["state"]["rows"], &state["state"]["complete"]), (&300.into(), &true.into()));
    assert_eq!(state["state"]["plan"]["splits"]["test"], 60);
}

#[test]
fn inspect_shows_a_column() {
    let job = Job::new();
    job.ok(&["run", job.recipe()]);
    let city = job.ok(&["inspect", "out.state", "city"]).out;
    assert!(city.contains("Bonn") && city.contains("33.33%") && city.contains("ordinal_encoder"), "{city}");
    let amount = job.ok(&["inspect", "out.state", "amount", "--json"]).json();
    assert_eq!(
        (&amount["column"]["nulls"], &amount["column"]["steps"][1]["op"]),
        (&30.into(), &"standard_scaler".into())
    );
    assert!(job.ok(&["inspect", "out.state", "label"]).out.contains("class"));
}

#[test]
fn inspect_of_anything_else_is_wrong_usage() {
    let job = Job::new();
    job.fails(&["inspect", "data"], 2, &["neither an output", "nor a state"]);
    job.fails(&["inspect", "nowhere"], 2, &["nowhere is not there"]);
}

#[test]
fn inspect_says_what_a_state_has_collected_and_which_parts_are_there() {
    let job = Job::new();
    job.ok(&["scan", job.recipe()]);
    let scanned = job.ok(&["inspect", "out.state"]).out;
    assert!(scanned.contains("collected: label label; key id; strata by label; values of city, label"), "{scanned}");
    assert!(scanned.contains("no plan yet"), "{scanned}");
    job.ok(&["run", job.recipe()]);
    let planned = job.ok(&["inspect", "out.state"]).out;
    assert!(planned.contains("7 of its parts were sealed"), "{planned}");
    let json = job.ok(&["inspect", "out.state", "--json"]).json();
    assert_eq!(json["state"]["basis"]["vocabularies"], serde_json::json!(["city", "label"]));
}
