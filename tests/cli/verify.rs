//! `verify` passes what a run wrote and nothing else.

use std::fs;
use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};

use super::support::{Job, batch};

fn ran(arguments: &[&str]) -> Job {
    let job = Job::new();
    let mut all = vec!["run", job.recipe()];
    all.extend(arguments);
    job.ok(&all);
    job
}

/// The checks with this status.
fn with_status(job: &Job, code: i32, status: &str) -> Vec<String> {
    let outcome = job.run(&["verify", "out", "--json"]);
    assert_eq!(outcome.code, code, "{}{}", outcome.out, outcome.err);
    assert_eq!(outcome.err, "");
    let verdict = outcome.json();
    assert_eq!(verdict["ok"], code == 0);
    let checks = verdict["checks"].as_array().expect("checks");
    checks
        .iter()
        .filter(|check| check["status"] == status)
        .map(|check| check["name"].as_str().expect("a name").to_string())
        .collect()
}

#[test]
fn every_format_is_proved() {
    for set in [
        &["output.format=parquet"][..],
        &["output.format=csv"],
        &["output.format=tsv", "output.compression=gzip"],
        &["output.format=jsonl", "output.compression=zstd"],
        &["output.layout=single"],
    ] {
        let arguments: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
        let job = ran(&arguments);
        let proved = with_status(&job, 0, "ok");
        for check in ["checksums", "rows", "schema", "strata", "keys", "hash order", "sums"] {
            assert!(proved.iter().any(|name| name == check), "{set:?}: {check} is not among {proved:?}");
        }
    }
}

#[test]
fn a_flipped_byte_is_found() {
    let job = ran(&[]);
    let part = job.path("out/train/part-00001.parquet");
    let mut bytes = fs::read(&part).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(part, bytes).expect("written");
    assert!(with_status(&job, 1, "failed").contains(&"checksums".to_string()));
    let text = job.run(&["verify", "out"]);
    assert!(text.out.contains("FAILED") && text.out.contains("train/part-00001.parquet"), "{}", text.out);
}

#[test]
fn a_missing_an_extra_and_an_unfinished_part_are_found() {
    let job = ran(&[]);
    fs::copy(job.path("out/test/part-00000.parquet"), job.path("out/test/part-00009.parquet")).expect("copied");
    assert_eq!(with_status(&job, 1, "failed"), ["files"]);
    fs::remove_file(job.path("out/test/part-00009.parquet")).expect("removed");
    fs::remove_file(job.path("out/_SUCCESS")).expect("removed");
    assert_eq!(with_status(&job, 1, "failed"), ["_SUCCESS"]);
    fs::remove_file(job.path("out/train/part-00000.parquet")).expect("removed");
    let failed = with_status(&job, 1, "failed");
    assert!(failed.contains(&"files".into()) && failed.contains(&"rows".into()), "{failed:?}");
}

/// Changes the manifest's text, as someone would who wants an output to look right.
fn edit(job: &Job, change: impl Fn(&mut serde_json::Value)) {
    let path = job.path("out/_manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    change(&mut manifest);
    fs::write(path, manifest.to_string()).expect("written");
}

#[test]
fn changed_counts_are_found() {
    let job = ran(&[]);
    edit(&job, |manifest| manifest["splits"]["test"]["parts"][0]["rows"] = 49.into());
    let failed = with_status(&job, 1, "failed");
    assert!(
        failed.contains(&"rows".into()) && failed.contains(&"part sizes".into()) && failed.contains(&"sums".into()),
        "{failed:?}"
    );

    let job = ran(&[]);
    edit(&job, |manifest| {
        manifest["splits"]["train"]["strata"]["yes"] = 47.into();
        manifest["splits"]["train"]["strata"]["no"] = 193.into();
    });
    assert_eq!(with_status(&job, 1, "failed"), ["strata", "state"]);

    let job = ran(&[]);
    edit(&job, |manifest| manifest["input"]["rows"] = 301.into());
    assert_eq!(with_status(&job, 1, "failed"), ["sums", "state"]);

    let job = ran(&[]);
    edit(&job, |manifest| manifest["recipe"]["split"]["random_state"] = 43.into());
    assert_eq!(with_status(&job, 1, "failed"), ["hash order", "state"]);
}

#[test]
fn a_part_that_holds_anothers_rows_is_found() {
    let job = ran(&[]);
    // The test rows stand in train as well, and the manifest is made to agree.
    let from = job.path("out/test/part-00000.parquet");
    let bytes = fs::read(&from).expect("read");
    fs::write(job.path("out/train/part-00000.parquet"), bytes).expect("written");
    edit(&job, |manifest| {
        let part = manifest["splits"]["test"]["parts"][0].clone();
        for key in ["bytes", "xxh3"] {
            manifest["splits"]["train"]["parts"][0][key] = part[key].clone();
        }
    });
    let failed = with_status(&job, 1, "failed");
    assert!(failed.contains(&"keys".into()) && failed.contains(&"hash order".into()), "{failed:?}");
}

#[test]
fn what_was_encoded_away_is_not_provable() {
    let job = ran(&["--set", "split.stratify=city"]);
    assert_eq!(with_status(&job, 0, "not_provable"), ["strata", "hash order"]);
}

#[test]
fn a_key_of_several_rows_may_be_cut() {
    let job = Job::new();
    let ids = Int64Array::from(vec![7; 10]);
    job.shard(
        "same/one.parquet",
        &batch([("id", Arc::new(ids)), ("city", Arc::new(StringArray::from(vec!["Bonn"; 10])))]),
    );
    job.ok(&["run", "-i", "data/same", "-o", "out", "--split", "random", "--key", "id"]);
    let verdict = job.ok(&["verify", "out"]);
    assert!(verdict.out.contains("1 of 1 keys are in two splits"), "{}", verdict.out);
}

#[test]
fn what_is_no_output_is_wrong_usage() {
    let job = Job::new();
    job.fails(&["verify", "data"], 2, &["data", "not an output of twopass"]);
    job.write("old/_manifest.json", "{\"format\": 99}");
    job.fails(&["verify", "old"], 1, &["format 99"]);
}
