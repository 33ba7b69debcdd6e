//! Runs, in all the ways a job can be told.

use super::support::{Job, RECIPE};

#[test]
fn scan_then_write_gives_the_bytes_of_run() {
    let job = Job::new();
    job.ok(&["run", job.recipe()]);
    let scan = job.ok(&["scan", job.recipe(), "-o", "two", "--json"]).json();
    assert!(scan["output"].is_null() && !job.path("two").exists());
    job.ok(&["write", job.recipe(), "-o", "two"]);
    let (mut one, mut two) = (job.files("out"), job.files("two"));
    // The manifest has the recipe, and the recipe the output's path.
    one.remove("_manifest.json");
    two.remove("_manifest.json");
    assert_eq!(one, two);
}

#[test]
fn a_second_run_reuses_the_state() {
    let job = Job::new();
    assert_eq!(job.ok(&["run", job.recipe(), "--json"]).json()["reused_shards"], 0);
    let second = job.ok(&["run", job.recipe(), "--overwrite", "--json"]).json();
    assert_eq!(second["reused_shards"], 3);
    let never = job.ok(&["run", job.recipe(), "--overwrite", "--resume", "never", "--json"]).json();
    assert_eq!((&never["reused_shards"], &never["fingerprint"]), (&0.into(), &second["fingerprint"]));
}

#[test]
fn threads_memory_and_mode_change_no_byte() {
    let job = Job::new();
    job.ok(&["run", job.recipe()]);
    let first = job.files("out");
    job.ok(&[
        "run",
        job.recipe(),
        "--overwrite",
        "-j",
        "3",
        "--memory",
        "64MiB",
        "--set",
        "run.mode=streaming",
        "--resume",
        "never",
    ]);
    assert_eq!(job.files("out"), first);
}

#[test]
fn a_json_recipe_is_the_toml_one() {
    let job = Job::new();
    job.ok(&["run", job.recipe()]);
    let first = job.files("out");
    let tree: toml::Table = toml::from_str(RECIPE).expect("TOML");
    job.write("recipe.json", &serde_json::to_string(&tree).expect("JSON"));
    job.ok(&["run", "recipe.json", "--overwrite"]);
    assert_eq!(job.files("out"), first);
}

#[test]
fn flags_and_set_are_the_recipe() {
    let job = Job::new();
    job.ok(&["run", job.recipe()]);
    let first = job.files("out");
    let steps = r#"transform=[{op="simple_imputer",columns="amount"},{op="standard_scaler",columns=["amount"]},{op="ordinal_encoder",columns="@categorical"}]"#;
    let mut arguments = vec![
        "run",
        "-i",
        "data",
        "-o",
        "flags",
        "--label",
        "label",
        "--split",
        "stratified",
        "--sizes",
        "train=0.8,test=0.2",
    ];
    arguments.extend(["--key", "id", "--seed", "42", "--set", "output.shard_rows=50", "--set", steps]);
    job.ok(&arguments);
    let flags = job.files("flags");
    for (path, bytes) in first.iter().filter(|(path, _)| path.contains("part-")) {
        assert_eq!(flags.get(path), Some(bytes), "{path}");
    }
}

#[test]
fn set_takes_every_shape_of_value() {
    let job = Job::new();
    let run = |set: &[&str]| {
        let mut arguments = vec!["check", "-i", "data", "--json"];
        set.iter().for_each(|set| arguments.extend(["--set", set]));
        job.ok(&arguments).json()
    };
    // A bare word is text, a quoted one too; numbers, tables and lists are what TOML says.
    assert_eq!(run(&["split.kind=random"])["splits"][0][0], "train");
    assert_eq!(run(&["split.kind=\"random\"", "split.sizes={a=0.5,b=0.5}"])["splits"][1][0], "b");
    assert_eq!(run(&["split.kind=random", "split.key=[\"id\", \"city\"]"])["roles"][0][1][1], "city");
    assert_eq!(run(&["input.schema.id=string"])["input"][0][1], "Utf8");
    assert_eq!(run(&["output.shard_rows = 7"])["rows"], 300);
    job.fails(&["check", "-i", "data", "--set", "output.shard_rows"], 2, &["KEY=VALUE"]);
    job.fails(&["check", "-i", "data", "--set", "output.shard_rows=many"], 2, &["output", "many"]);
}

#[test]
fn flags_are_stronger_than_the_recipe() {
    let job = Job::new();
    let summary = job
        .ok(&[
            "run",
            job.recipe(),
            "-o",
            "elsewhere",
            "--sizes",
            "a=0.5,b=0.5",
            "--set",
            "output.shard_rows=1000",
            "--json",
        ])
        .json();
    assert_eq!(
        summary["splits"]["a"],
        serde_json::json!({ "rows": 150, "groups": null, "parts": 1, "strata": { "no": 120, "yes": 30 } })
    );
    assert!(job.path("elsewhere/b/part-00000.parquet").exists() && !job.path("out").exists());
}

#[test]
fn strata_are_exact_and_dropped_rows_counted() {
    let job = Job::new();
    let summary = job.ok(&["run", job.recipe()]);
    assert!(summary.out.contains("300 rows") && summary.out.contains("48 (80.00%)"), "{}", summary.out);
}
