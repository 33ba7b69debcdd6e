//! What each kind refuses, and what it does where there is almost nothing to split.

use std::path::Path;

use serde_json::{Value, json};
use twopass::job::Job;
use twopass::observe::Silent;

use super::common::table::{Cell, Kind, Table, write_csv, write_shards};
use super::common::{Place, chain, manifest, run};

/// Rows of an id, a customer and a time.
fn table(kind: Kind, times: &[Cell]) -> Table {
    let row = |(id, time): (usize, &Cell)| {
        vec![Cell::Int(id as i64), Cell::Text(format!("customer {}", id % 4)), time.clone()]
    };
    let columns = vec![("id".to_string(), Kind::Int), ("customer".to_string(), Kind::Text), ("time".to_string(), kind)];
    Table { columns, rows: times.iter().enumerate().map(row).collect() }
}

fn recipe(place: &Place, split: &Value) -> Value {
    json!({ "input": { "path": place.text("in") }, "split": split, "output": { "path": place.text("out") } })
}

/// Exit code and chain of a job that must fail.
#[track_caller]
fn refusal(table: &Table, split: &Value) -> (u8, String) {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &table.batch(), &[], 100);
    let recipe = serde_json::from_value(recipe(&place, split)).unwrap();
    let Err(error) = Job::new(recipe).and_then(|job| job.run(&Silent)) else { panic!("not refused: {split}") };
    assert!(!place.path("out").exists());
    (error.exit_code(), chain(&error))
}

fn texts(times: &[&str]) -> Table {
    table(Kind::Text, &times.iter().map(|time| Cell::text(time)).collect::<Vec<_>>())
}

fn ints(times: std::ops::Range<i64>) -> Table {
    table(Kind::Int, &times.map(Cell::Int).collect::<Vec<_>>())
}

#[test]
fn text_that_is_no_time_is_refused_by_shard_row_and_column() {
    let quantile = json!({ "kind": "temporal_quantile", "time": "time" });
    for wrong in ["2024-01-01T00:00:00.1234567", "yesterday", "2024-02-30", "01/02/2024"] {
        let (code, message) = refusal(&texts(&["2024-01-01", "2024-01-02T10:00", wrong]), &quantile);
        assert_eq!(code, 3, "{message}");
        for word in ["part-000.parquet", "row 2", "time"] {
            assert!(message.contains(word), "no `{word}` in: {message}");
        }
    }
}

#[test]
fn a_time_of_floats_or_truth_values_is_refused() {
    for kind in ["temporal", "temporal_quantile"] {
        let mut split = json!({ "kind": kind, "time": "time" });
        if kind == "temporal" {
            split["cutoff"] = json!(3);
        }
        for (kind, cell) in [(Kind::Float, Cell::Float(1.0)), (Kind::Bool, Cell::Bool(true))] {
            let (code, message) = refusal(&table(kind, &[cell.clone(), cell]), &split);
            assert!(matches!(code, 2 | 3) && message.contains("time"), "{code}: {message}");
        }
    }
}

#[test]
fn a_cutoff_that_is_not_written_as_the_column_is_refused() {
    let temporal = |cutoff: Value| json!({ "kind": "temporal", "time": "time", "cutoff": cutoff });
    assert_eq!(refusal(&texts(&["2024-01-01"]), &temporal(json!("2024-13-01"))).0, 2);
    for (table, cutoff) in
        [(ints(0..9), json!("2024-01-01")), (texts(&["2024-01-01"]), json!(5)), (ints(0..9), json!(5.5))]
    {
        let (code, message) = refusal(&table, &temporal(cutoff));
        assert!(matches!(code, 2 | 3) && message.contains("cutoff"), "{code}: {message}");
    }
}

#[test]
fn recipes_that_cannot_be_meant_are_refused_before_data_is_read() {
    let refused = [
        json!({ "kind": "grouped" }),
        json!({ "kind": "stratified_grouped", "groups": "customer" }),
        json!({ "kind": "temporal", "cutoff": 3 }),
        json!({ "kind": "temporal", "time": "time" }),
        json!({ "kind": "temporal_quantile" }),
        json!({ "kind": "random", "sizes": { "a": 0.5, "b": 0.4 } }),
        json!({ "kind": "random", "sizes": { "a": 0.5, "b": 0.6 }, "rest": "drop" }),
        json!({ "kind": "random", "sizes": { "a": 5, "b": 0.5 } }),
        json!({ "kind": "kfold", "folds": 1 }),
        json!({ "kind": "temporal", "time": "time", "cutoff": 3, "groups": "customer", "oot_exclude": ["nobody"] }),
        json!({ "kind": "temporal", "time": "time", "cutoff": 3, "sizes": { "train": 0.5, "oot": 0.5 } }),
    ];
    for split in refused {
        let recipe =
            json!({ "input": { "path": "no/such/place" }, "split": split, "output": { "path": "no/such/output" } });
        let error = serde_json::from_value(recipe)
            .map_err(|e| e.to_string())
            .and_then(|recipe| Job::new(recipe).map(drop).map_err(|e| chain(&e)));
        assert!(error.is_err(), "not refused: {split}");
    }
}

#[test]
fn sizes_in_rows_have_to_be_there() {
    let counted = |a: u64, b: u64, rest: &str| json!({ "kind": "random", "sizes": { "a": a, "b": b }, "rest": rest });
    for (a, b, rest) in [(6, 6, "raise"), (6, 2, "raise"), (6, 6, "drop")] {
        let (_, message) = refusal(&ints(0..10), &counted(a, b, rest));
        assert!(message.contains("10") && message.contains("sizes"), "{message}");
    }
    let groups =
        json!({ "kind": "grouped", "groups": "customer", "group_sizes": "groups", "sizes": { "a": 3, "b": 2 } });
    let (_, message) = refusal(&ints(0..10), &groups);
    assert!(message.contains('4'), "there are four customers: {message}");
}

#[test]
fn a_split_before_the_cutoff_without_rows_is_an_error_and_an_empty_oot_is_not() {
    let temporal = |cutoff: i64| json!({ "kind": "temporal", "time": "time", "cutoff": cutoff, "groups": "customer", "sizes": { "train": 0.5, "val": 0.5 } });
    let (code, message) = refusal(&ints(0..10), &temporal(1));
    assert!(matches!(code, 2 | 3) && message.to_lowercase().contains("train"), "{code}: {message}");

    let place = Place::in_memory();
    write_csv(&place.path("in/all.csv"), &ints(0..10));
    let mut late = recipe(&place, &temporal(100));
    late["output"]["format"] = json!("csv");
    run(&late);
    let part = std::fs::read_to_string(place.path("out/oot/part-00000.csv")).unwrap();
    assert_eq!(part, "id,customer,time\n");
    assert_eq!(manifest(&place.path("out"))["splits"]["oot"]["rows"], 0);
}

#[test]
fn groups_that_are_fewer_than_splits_leave_splits_empty() {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &ints(0..10).batch(), &[], 100);
    for kind in ["grouped", "stratified_grouped", "kfold"] {
        let mut split = json!({ "kind": kind, "groups": "customer" });
        if kind == "kfold" {
            split["folds"] = json!(9);
        } else {
            split["sizes"] = json!({ "a": 0.2, "b": 0.2, "c": 0.2, "d": 0.1, "e": 0.1, "f": 0.2 });
        }
        if kind == "stratified_grouped" {
            split["stratify"] = json!("customer");
        }
        let mut recipe = recipe(&place, &split);
        recipe["output"]["path"] = json!(place.text(kind));
        run(&recipe);
        assert_rows(&place.path(kind), 10);
    }
}

#[test]
fn nothing_is_split_into_nothing() {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &ints(0..0).batch(), &[], 100);
    let kinds = [
        json!({ "kind": "grouped", "groups": "customer" }),
        json!({ "kind": "stratified_grouped", "groups": "customer", "stratify": "id" }),
        json!({ "kind": "temporal_quantile", "time": "time" }),
        json!({ "kind": "kfold" }),
        json!({ "kind": "kfold", "groups": "customer", "fold_column": "fold" }),
    ];
    for (at, split) in kinds.iter().enumerate() {
        let mut recipe = recipe(&place, split);
        recipe["output"]["path"] = json!(place.text(&at.to_string()));
        recipe["dedupe"] = json!({ "key": "id" });
        run(&recipe);
        assert_rows(&place.path(&at.to_string()), 0);
    }
}

/// So many rows in all splits, each with a part.
#[track_caller]
fn assert_rows(output: &Path, rows: u64) {
    let manifest = manifest(output);
    let splits = manifest["splits"].as_object().unwrap();
    assert_eq!(splits.values().map(|split| split["rows"].as_u64().unwrap()).sum::<u64>(), rows);
    assert!(splits.values().all(|split| !split["parts"].as_array().unwrap().is_empty()));
    let verdict = twopass::verify::output(output).unwrap();
    assert!(verdict.ok, "{:#?}", verdict.checks);
}
