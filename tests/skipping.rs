//! Rows and shards that cannot be read: left out, counted and listed, the same however they are read.

mod common;

use std::fs;

use common::{Place, chain, hashes, json, manifest, read_split, run, try_run};
use serde_json::{Value, json as value};
use twopass::job::Job;
use twopass::spec::Recipe;
use twopass::verify;

const ROWS: usize = 400;

/// Ten CSV shards of good rows, some with bad ones among them; returns the ids of the good ones.
fn shards(place: &Place) -> Vec<i64> {
    fs::create_dir_all(place.path("data")).unwrap();
    let mut good = Vec::new();
    for shard in 0..10_i64 {
        let mut text = String::from("id,amount,name\n");
        for row in 0..ROWS as i64 {
            let id = shard * 1000 + row;
            match (shard, row) {
                (3, 7) => text.push_str(&format!("{id},1\n")),
                (3, 200) => text.push_str(&format!("{id},many,x\n")),
                (6, 399) => text.push_str(&format!("{id},1,x,surplus\n")),
                _ => {
                    text.push_str(&format!("{id},{}.5,näme {row}\n", row % 13));
                    good.push(id);
                }
            }
        }
        fs::write(place.path(&format!("data/part-{shard}.csv")), text).unwrap();
    }
    good
}

fn recipe(place: &Place, out: &str, more: &Value) -> Value {
    let mut recipe = value!({
        "input": { "path": place.text("data"), "schema": { "amount": "float64" }, "bad_rows": "skip" },
        "split": { "kind": "random", "sizes": { "a": 0.5, "b": 0.5 }, "key": "id" },
        "output": { "path": place.text(out) },
    });
    for (section, keys) in more.as_object().unwrap() {
        for (key, value) in keys.as_object().unwrap() {
            recipe[section][key] = value.clone();
        }
    }
    recipe
}

fn ids(output: &std::path::Path) -> Vec<i64> {
    let mut ids: Vec<i64> = ["a", "b"]
        .iter()
        .flat_map(|split| {
            let batch = read_split(output, split);
            let ids = batch.column_by_name("id").unwrap().clone();
            arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&ids).values().to_vec()
        })
        .collect();
    ids.sort_unstable();
    ids
}

fn listed(output: &std::path::Path) -> Vec<Value> {
    let text = fs::read_to_string(output.join("_skipped.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bad_rows_are_left_out_counted_and_listed_and_every_good_one_is_kept() {
    let place = Place::new();
    let good = shards(&place);
    let report = run(&recipe(&place, "out", &value!({})));
    let out = place.path("out");
    assert_eq!(ids(&out), good);
    assert_eq!(report.dropped, [("bad_row".to_string(), 3)]);
    assert_eq!(manifest(&out)["dropped"], value!({ "bad_row": 3 }));
    assert_eq!(manifest(&out)["input"]["rows"], 4000);
    let firsts: Vec<_> =
        report.skipped.iter().map(|(shard, rows, first)| (shard.as_str(), *rows, first.line)).collect();
    assert_eq!(firsts, [("part-3.csv", 2, 9), ("part-6.csv", 1, 401)]);
    let lines: Vec<_> =
        listed(&out).iter().map(|row| (row["shard"].clone(), row["line"].clone(), row["column"].clone())).collect();
    let row = |shard: &str, line: u64, column: Value| (value!(shard), value!(line), column);
    assert_eq!(
        lines,
        [
            row("part-3.csv", 9, Value::Null),
            row("part-3.csv", 202, value!("amount")),
            row("part-6.csv", 401, Value::Null)
        ]
    );
    assert!(verify::output(&out).unwrap().ok, "the output is not what its manifest says");
}

#[test]
fn what_is_left_out_depends_on_no_thread_no_mode_and_no_interruption() {
    let place = Place::new();
    shards(&place);
    run(&recipe(&place, "out", &value!({})));
    for (name, more) in [
        ("one", value!({ "run": { "threads": 1, "mode": "streaming" } })),
        ("seven", value!({ "run": { "threads": 7, "mode": "in_memory" } })),
    ] {
        run(&recipe(&place, name, &more));
        assert_eq!(hashes(&place.path(name)), hashes(&place.path("out")), "{name}");
    }
    // From the state.
    let again: Recipe = serde_json::from_value(recipe(&place, "out", &value!({}))).unwrap();
    let before = hashes(&place.path("out"));
    let report = Job::new(again).unwrap().overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!((report.reused_shards, report.skipped.len()), (10, 2));
    assert_eq!(hashes(&place.path("out")), before);
}

#[test]
fn too_many_bad_rows_are_an_error_that_names_the_first() {
    let place = Place::new();
    shards(&place);
    let error = try_run(&recipe(&place, "out", &value!({ "input": { "max_bad_rows": 0.0005 } }))).unwrap_err();
    let text = chain(&error);
    for part in ["part-3.csv", "3 of 4000 rows", "max_bad_rows", "line 9"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!place.path("out").exists());
    let error = try_run(&recipe(&place, "out", &value!({ "input": { "bad_rows": "raise" } }))).unwrap_err();
    assert!(chain(&error).contains("part-3.csv"), "{}", chain(&error));
}

#[test]
fn bad_shards_are_left_out_named_and_listed() {
    let place = Place::new();
    let good = shards(&place);
    fs::write(place.path("data/part-4.csv"), [0x50, 0x4b, 3, 4, 0, 0]).unwrap();
    fs::write(place.path("data/part-x.parquet"), b"PAR1 and nothing more").unwrap();
    let more = |bad: f64| value!({ "input": { "bad_shards": "skip", "max_bad_shards": bad } });
    let error = chain(&try_run(&recipe(&place, "out", &more(0.1))).unwrap_err());
    assert!(error.contains("2 of 11 shards") && error.contains("part-4.csv"), "{error}");
    let report = run(&recipe(&place, "out", &more(0.2)));
    let names: Vec<&str> = report.bad_shards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["part-4.csv", "part-x.parquet"]);
    let out = place.path("out");
    let kept: Vec<i64> = good.iter().copied().filter(|id| id / 1000 != 4).collect();
    assert_eq!(ids(&out), kept);
    assert_eq!(listed(&out).len(), 2 + 3);
    let named = json(&out.join("_manifest.json"))["bad_shards"].clone();
    assert_eq!(named.as_object().unwrap().keys().collect::<Vec<_>>(), ["part-4.csv", "part-x.parquet"]);
    run(&recipe(
        &place,
        "other",
        &value!({ "input": { "bad_shards": "skip", "max_bad_shards": 0.2 }, "run": { "threads": 1 } }),
    ));
    assert_eq!(hashes(&out), hashes(&place.path("other")));
}

#[test]
fn pass_two_alone_leaves_out_what_pass_one_left_out() {
    let place = Place::new();
    shards(&place);
    let more = value!({ "input": { "bad_rows": "raise", "bad_shards": "skip", "max_bad_shards": 0.2 } });
    run(&recipe(&place, "out", &more));
    let mut again = recipe(&place, "two", &more);
    again["run"] = value!({ "state": place.text("two.state") });
    common::job(&again).scan(&twopass::observe::Silent).unwrap();
    let report = common::job(&again).write(&twopass::observe::Silent).unwrap();
    assert_eq!(report.bad_shards.len(), 2);
    assert_eq!(hashes(&place.path("out")), hashes(&place.path("two")));
    // One more is scanned first.
    fs::copy(place.path("data/part-0.csv"), place.path("data/part-00.csv")).unwrap();
    again["output"]["path"] = place.text("three").into();
    let error = chain(&common::job(&again).write(&twopass::observe::Silent).unwrap_err());
    assert!(error.contains("lacks 1 of 9 shards"), "{error}");
}

/// The value that cannot be read is in no key column, so the shard is found out when all rows are allotted already.
#[test]
fn statistics_of_train_are_those_of_the_shards_that_are_left() {
    let place = Place::new();
    shards(&place);
    for shard in [3, 6] {
        fs::remove_file(place.path(&format!("data/part-{shard}.csv"))).unwrap();
    }
    let more = |out: &str, rows: &str| {
        let mut recipe = recipe(
            &place,
            out,
            &value!({ "input": { "bad_rows": rows, "bad_shards": "skip", "max_bad_shards": 0.2 } }),
        );
        recipe["split"]["sizes"] = value!({ "train": 0.5, "b": 0.5 });
        recipe["fit"] = value!({ "rows": "train" });
        recipe["transform"] = value!([{ "columns": "amount", "op": "standard_scaler" }]);
        recipe
    };
    run(&more("good", "raise"));
    fs::write(place.path("data/part-5x.csv"), "id,amount,name\n77001,1.5,a\n77002,many,b\n").unwrap();
    let report = run(&more("bad", "raise"));
    assert_eq!(report.bad_shards.len(), 1, "{:?}", report.bad_shards);
    let without = |name: &str| {
        let mut hashes = hashes(&place.path(name));
        hashes.remove("_skipped.jsonl");
        hashes
    };
    assert_eq!(without("bad"), without("good"));
    // Where the row alone is skipped, the other one of its shard counts, in every reading.
    let report = run(&more("rows", "skip"));
    assert_eq!((report.dropped, report.rows), (vec![("bad_row".to_string(), 1)], 8 * ROWS as u64 + 1));
    assert!(verify::output(&place.path("rows")).unwrap().ok);
}

#[test]
fn a_shard_with_a_bad_row_is_a_bad_shard_where_rows_are_not_skipped() {
    let place = Place::new();
    let good = shards(&place);
    let more = value!({ "input": { "bad_rows": "raise", "bad_shards": "skip", "max_bad_shards": 0.2 } });
    let report = run(&recipe(&place, "out", &more));
    let names: Vec<&str> = report.bad_shards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["part-3.csv", "part-6.csv"]);
    let kept: Vec<i64> = good.iter().copied().filter(|id| ![3, 6].contains(&(id / 1000))).collect();
    assert_eq!(ids(&place.path("out")), kept);
}

#[cfg(target_os = "linux")]
#[test]
fn a_shard_that_there_is_no_place_to_inflate_is_an_error_and_not_left_out() {
    let place = Place::new();
    let table = common::table::Table {
        columns: vec![("id".to_string(), common::table::Kind::Int)],
        rows: (0..10).map(|id| vec![common::table::Cell::Int(id)]).collect(),
    };
    fs::create_dir_all(place.path("data")).unwrap();
    common::table::write_shard(&place.path("plain"), &table.batch(), &[10]);
    let bytes = fs::read(place.path("plain")).unwrap();
    fs::write(place.path("data/a.parquet.zst"), zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
    let mut recipe = recipe(&place, "out", &value!({ "input": { "bad_shards": "skip", "max_bad_shards": 1.0 } }));
    recipe["input"].as_object_mut().unwrap().remove("schema");
    let checked = |recipe: &Value| {
        let job = Job::new(serde_json::from_value(recipe.clone()).unwrap()).unwrap();
        job.check()
    };
    assert!(checked(&recipe).is_ok());
    // Nobody may make a file there.
    recipe["run"] = value!({ "state": "/proc/state" });
    for message in [chain(&try_run(&recipe).unwrap_err()), chain(&checked(&recipe).err().unwrap())] {
        assert!(message.contains("cannot inflate a shard to a file in /proc"), "{message}");
        assert!(message.contains("--state") && message.contains("TMPDIR"), "{message}");
    }
}
