//! A small input with a time and a customer, recipes over it, and outputs as trees of bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use twopass::error::Error;
use twopass::job::Job;
use twopass::verify::{self, Status};

use super::common::{Place, chain};

/// Two CSV shards of forty rows; the rows of the second half of each are from June on.
pub fn input(place: &Place) {
    fs::create_dir_all(place.path("data")).unwrap();
    for shard in 0..2 {
        let row = |row: i64| {
            let (id, month) = (shard * 40 + row, if row < 20 { 1 + row % 5 } else { 6 + row % 3 });
            format!("{id},c{},2024-{month:02}-11,{}.25\n", id % 17, id * 3)
        };
        let text = (0..40).map(row).collect::<String>();
        fs::write(place.path(&format!("data/{shard}.csv")), format!("id,customer,day,amount\n{text}")).unwrap();
    }
}

/// A job that splits nothing, or by time before a cutoff, into `root`.
pub fn recipe(place: &Place, root: &str, cutoff: Option<&str>, output: &Value) -> Value {
    let split = match cutoff {
        None => json!({ "kind": "none" }),
        Some(cutoff) => json!({
            "kind": "temporal", "time": "day", "cutoff": cutoff, "groups": "customer",
            "sizes": { "train": 0.7, "val": 0.3 }, "oot_exclude": [],
        }),
    };
    let mut whole = json!({ "path": place.text(root), "shard_rows": 16, "format": "csv" });
    whole.as_object_mut().unwrap().extend(output.as_object().unwrap().clone());
    json!({
        "input": { "path": place.text("data") },
        "split": split,
        "output": whole,
        "run": { "state": place.text("state"), "threads": 2 },
    })
}

/// Every file below a directory by its relative path, but `except`.
pub fn tree(path: &Path, except: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(path).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let named = files.map(|entry| (entry.path().strip_prefix(path).unwrap().to_str().unwrap().to_string(), entry));
    named
        .filter(|(name, _)| !except.iter().any(|except| name.starts_with(except)))
        .map(|(name, entry)| (name, fs::read(entry.path()).unwrap()))
        .collect()
}

/// What refuses a recipe before any data is read.
pub fn refusal(recipe: &Value) -> String {
    let tree: twopass::spec::Recipe = serde_json::from_value(recipe.clone()).unwrap();
    match Job::new(tree) {
        Err(error @ Error::Recipe(_)) => chain(&error),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("accepted: {recipe:#}"),
    }
}

/// The checks of an output that failed.
pub fn failed(output: &Path) -> Vec<(&'static str, String)> {
    let verdict = verify::output(output).unwrap();
    let failed = verdict.checks.into_iter().filter(|check| check.status == Status::Failed);
    failed.map(|check| (check.name, check.detail)).collect()
}
