//! `input.extra_columns = "insert"`: the columns of all shards.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use twopass::disk::{Action, Disk};
use twopass::preview::Difference;

use crate::common::table::{Cell, Kind, Table, write_shard};
use crate::common::{Place, job, manifest, run};
use crate::support::{bytes_of, checked, fresh, lines, put, recipe, refused, verified};

fn insert() -> Value {
    json!({ "input": { "extra_columns": "insert" } })
}

fn columns_of(place: &Place, out: &str) -> Vec<(String, String)> {
    let of = |column: &Value| (column["name"].as_str().unwrap().into(), column["type"].as_str().unwrap().into());
    manifest(&place.path(out))["schema"].as_array().unwrap().iter().map(of).collect()
}

fn parquet(place: &Place, name: &str, columns: &[(&str, Kind, Cell)], rows: usize) {
    let row = || columns.iter().map(|(_, _, cell)| cell.clone()).collect::<Vec<_>>();
    let names = columns.iter().map(|(name, kind, _)| ((*name).to_string(), *kind)).collect();
    let table = Table { columns: names, rows: (0..rows).map(|_| row()).collect() };
    write_shard(&place.path(name), &table.batch(), &[10]);
}

#[test]
fn the_columns_are_those_of_all_shards_in_the_order_of_the_shards() {
    let place = Place::new();
    put(&place.path("in/a.csv"), "b,a\n1,x\n");
    put(&place.path("in/b.jsonl"), "{\"z\": true, \"b\": 0.5}\n{\"c\": 7, \"z\": null}\n");
    parquet(&place, "in/c.parquet", &[("y", Kind::Int, Cell::Int(3)), ("a", Kind::Text, Cell::text("w"))], 1);
    put(&place.path("in/d.tsv"), "c\td\ny\t\n");
    run(&recipe(&place, &insert()));
    // `c` is a number in one shard and a text in another; `d` has no value anywhere.
    let typed = [("b", "Float64"), ("a", "Utf8"), ("z", "Boolean"), ("c", "Utf8"), ("y", "Int64"), ("d", "Utf8")];
    assert_eq!(columns_of(&place, "out"), typed.map(|(name, data_type)| (name.to_string(), data_type.to_string())));
    let row = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let nothing = Value::Null;
    let expected = [
        json!({ "b": 1.0, "a": "x", "z": nothing, "c": nothing, "y": nothing, "d": nothing }),
        json!({ "b": 0.5, "a": nothing, "z": true, "c": nothing, "y": nothing, "d": nothing }),
        json!({ "b": nothing, "a": nothing, "z": nothing, "c": "7", "y": nothing, "d": nothing }),
        json!({ "b": nothing, "a": "w", "z": nothing, "c": nothing, "y": 3, "d": nothing }),
        json!({ "b": nothing, "a": nothing, "z": nothing, "c": "y", "y": nothing, "d": nothing }),
    ];
    let found: Vec<Value> = lines(&place.path("out"), "data").iter().map(|line| row(line)).collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        let told = |key: &str| found.get(key).cloned().unwrap_or_default();
        assert!(expected.as_object().unwrap().iter().all(|(key, value)| told(key) == *value), "{found} {expected}");
    }
    verified(&place.path("out"));
    let preview = checked(&recipe(&place, &insert()));
    assert_eq!(preview.input.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "a", "z", "c", "y", "d"]);
    assert!(preview.disagreements.iter().all(|one| one.kind != Difference::Extra && !one.refused));
}

#[test]
fn columns_of_the_first_shard_may_still_be_asked_for_in_all() {
    let place = Place::new();
    put(&place.path("in/a.csv"), "a\n1\n");
    put(&place.path("in/b.csv"), "b,a\n2,3\n");
    let asked = json!({ "input": { "extra_columns": "insert", "missing_columns": "raise" } });
    fresh(&place, &recipe(&place, &asked), "both");
    assert_eq!(columns_of(&place, "both").len(), 2);
    assert!(checked(&recipe(&place, &asked)).disagreements.iter().all(|one| !one.refused));
    put(&place.path("in/c.csv"), "b\n4\n");
    let message = refused(&recipe(&place, &asked));
    assert!(message.starts_with("shard c.csv, column `a`: missing here"), "{message}");
    let preview = checked(&recipe(&place, &asked));
    let refused: Vec<_> = preview.disagreements.iter().filter(|one| one.refused).collect();
    assert!(refused.len() == 1 && (refused[0].shard.as_str(), refused[0].column.as_str()) == ("c.csv", "a"));
    parquet(&place, "in/d.parquet", &[("a", Kind::Int, Cell::Int(1)), ("e", Kind::Int, Cell::Int(1))], 3);
    assert!(refused_extra(&place).starts_with("shard b.csv, column `b`: not a column of the first shard"));
}

fn refused_extra(place: &Place) -> String {
    let message = refused(&recipe(place, &json!({})));
    assert!(message.contains("\"ignore\" to pass over it, or \"insert\" to add it"), "{message}");
    message
}

/// Objects that show some keys only late; between these keys lies more than a block of the smallest size.
fn late(first: usize, keys: &[&str], rows_between: usize) -> String {
    let mut text = String::new();
    for row in 0..first + keys.len() * rows_between {
        let _ = write!(text, "{{\"id\": {row}, \"pad\": \"{}\"", "x".repeat(100));
        if let Some(key) = row.checked_sub(first).filter(|late| late % rows_between == 0) {
            let _ = write!(text, ", \"{}\": {row}", keys[key / rows_between]);
        }
        text.push_str("}\n");
    }
    text
}

#[test]
fn keys_that_json_shows_late_stand_where_they_came_first_whatever_is_known_already() {
    let place = Place::new();
    let write = |shards: &[&str]| {
        for shard in shards {
            let text = match *shard {
                "a" => late(1200, &["p"], 50),
                "b" => late(1100, &["q", "c", "r"], 900),
                "c" => "{\"c\": 1, \"s\": 0.5}\n".to_string(),
                _ => late(1500, &["t", "q"], 1),
            };
            put(&place.path(&format!("in/{shard}.jsonl")), text);
        }
    };
    write(&["a", "b", "c", "d"]);
    let keys = |threads: usize, memory: &str, mode: &str| {
        let run = json!({ "run": { "threads": threads, "memory": memory, "mode": mode } });
        crate::support::laid_over(&recipe(&place, &insert()), &run)
    };
    let expected = fresh(&place, &keys(2, "1GiB", "auto"), "out");
    let names: Vec<String> = columns_of(&place, "out").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["id", "pad", "p", "q", "c", "r", "s", "t"]);
    for (threads, memory, mode) in [(1, "64MiB", "streaming"), (4, "64MiB", "auto"), (3, "2GiB", "in_memory")] {
        assert_eq!(fresh(&place, &keys(threads, memory, mode), "again"), expected, "{threads} {memory} {mode}");
    }
    // Shards that come one after the other to a state that is there.
    std::fs::remove_dir_all(place.path("in")).unwrap();
    for shards in [vec!["b"], vec!["b", "d"], vec!["b", "c", "d"], vec!["a", "b", "c", "d"]] {
        write(&shards);
        job(&crate::support::into(&place, &keys(2, "1GiB", "auto"), "grown")).scan(&twopass::observe::Silent).unwrap();
    }
    run(&crate::support::into(&place, &keys(2, "1GiB", "auto"), "grown"));
    assert_eq!(bytes_of(&place.path("grown")), expected);
}

#[test]
fn shards_that_show_columns_of_their_own_late_are_read_twice_at_the_most() {
    const SHARDS: usize = 20;
    let place = Place::new();
    for shard in 0..SHARDS {
        put(&place.path(&format!("in/{shard:02}.jsonl")), late(1100, &[&format!("k{shard:02}")], 1));
    }
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let disk = Disk::watched(move |operation| {
        let is_shard = operation.path.extension().is_some_and(|extension| extension == "jsonl");
        count.fetch_add(usize::from(is_shard && operation.action == Action::Step("open")), Ordering::Relaxed);
        Ok(usize::MAX)
    });
    let with = |out: &str, threads: usize| {
        let keys = crate::support::laid_over(&recipe(&place, &insert()), &json!({ "run": { "threads": threads } }));
        crate::support::into(&place, &keys, out)
    };
    job(&with("out", 2)).on_disk(disk).scan(&twopass::observe::Silent).unwrap();
    // Once for the first rows, and twice for all.
    assert_eq!(opened.load(Ordering::Relaxed), 3 * SHARDS);
    run(&with("out", 2));
    let names: Vec<String> = columns_of(&place, "out").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..2], ["id", "pad"]);
    assert_eq!(names[2..], (0..SHARDS).map(|shard| format!("k{shard:02}")).collect::<Vec<_>>());
    run(&with("at_once", 1));
    assert_eq!(bytes_of(&place.path("at_once")), bytes_of(&place.path("out")));
}

#[test]
fn columns_that_some_shards_lack_are_scaled_encoded_and_split_by_what_is_there() {
    let place = Place::new();
    for (name, first) in [("a", 0), ("b", 100)] {
        let mut text = if name == "a" { "id,x,y\n" } else { "id,x,y,n,w\n" }.to_string();
        for id in first..first + 100 {
            let _ = writeln!(text, "{id},{},{}{}", id % 7, id % 2, if name == "a" { "" } else { ",3,k" });
        }
        put(&place.path(&format!("in/{name}.csv")), text);
    }
    let keys = json!({
        "input": { "extra_columns": "insert" },
        "label": { "column": "y" },
        "split": { "kind": "stratified", "key": "id", "sizes": { "train": 0.5, "test": 0.5 } },
        "transform": [
            { "columns": "n", "op": "simple_imputer", "strategy": "mean" },
            { "columns": "w", "op": "ordinal_encoder" },
        ],
    });
    let recipe = recipe(&place, &keys);
    run(&recipe);
    let rows: Vec<Value> =
        lines(&place.path("out"), "train").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() == 100 && rows.iter().all(|row| row["n"] == 3.0), "{}", rows[0]);
    verified(&place.path("out"));
}
