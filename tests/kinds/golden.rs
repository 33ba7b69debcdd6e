//! Frozen assignments: the split of every row of a little table in the repository. The file that says it is written by
//! tests/fixtures/golden/make_splits.py; the oracle says the same, and so does twopass. It never changes: another contract
//! has another name.

use serde_json::{Value, json};

use super::common::split_oracle::{Data, Fate, settings};
use super::common::table::{Cell, Kind, Table};
use super::common::{Place, calendar, csv, manifest, read_split, run, splits};
use arrow::datatypes::TimeUnit;

const COLUMNS: [(&str, Kind); 6] = [
    ("order", Kind::Int),
    ("customer", Kind::Text),
    ("shop", Kind::Int),
    ("day", Kind::Date),
    ("at", Kind::Time(TimeUnit::Microsecond, None)),
    ("amount", Kind::Float),
];

fn orders() -> Table {
    let mut table = Table::of_batch(&csv::read_text(&csv::fixtures().join("golden/orders.csv")));
    table.columns = COLUMNS.map(|(name, kind)| (name.to_string(), kind)).to_vec();
    for row in &mut table.rows {
        for (cell, (_, kind)) in row.iter_mut().zip(COLUMNS) {
            let Cell::Text(text) = &*cell else { continue };
            *cell = match kind {
                _ if text.is_empty() => Cell::Missing,
                Kind::Int => Cell::Int(text.parse().unwrap()),
                Kind::Float => Cell::Float(text.parse().unwrap()),
                Kind::Date => Cell::Date(i32::try_from(calendar::parse(text) / calendar::DAY).unwrap()),
                Kind::Time(..) => Cell::Time(calendar::parse(text)),
                _ => continue,
            }
        }
    }
    table
}

/// The recipes by the name of their column in the file.
fn cases() -> Vec<(&'static str, Value)> {
    let sizes = json!({ "train": 0.6, "test": 0.2, "val": 0.2 });
    let split = |kind: &str, more: Value| {
        let mut split = json!({ "kind": kind, "key": "order" });
        if kind != "kfold" {
            split["sizes"] = sizes.clone();
        }
        split.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "split": split })
    };
    let mut deduped = split("random", json!({}));
    deduped["dedupe"] = json!({ "key": "customer", "order_by": "amount", "keep": "last" });
    let time = |more: Value| {
        let mut keys = json!({ "time": "day", "cutoff": "2024-03-15", "gap": "5d" });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        split("temporal", keys)
    };
    vec![
        ("grouped", split("grouped", json!({ "groups": "customer" }))),
        ("own", split("grouped", json!({ "groups": "customer", "missing_groups": "own" }))),
        (
            "two_columns",
            split(
                "grouped",
                json!({ "groups": ["customer", "shop"], "missing_groups": "own", "random_state": 7, "group_sizes": "groups" }),
            ),
        ),
        ("integers", split("grouped", json!({ "groups": "shop", "group_sizes": "groups" }))),
        ("temporal", time(json!({ "groups": "customer" }))),
        ("temporal_rows", time(json!({}))),
        ("quantile", split("temporal_quantile", json!({ "time": "at" }))),
        ("folds", split("kfold", json!({ "folds": 7 }))),
        ("grouped_folds", split("kfold", json!({ "folds": 3, "groups": "customer" }))),
        ("deduped", deduped),
        ("counted", split("random", json!({ "sizes": { "a": 11, "b": 30 }, "rest": "drop", "random_state": 3 }))),
    ]
}

/// What the file says of every row.
fn expected(case: &str) -> Vec<String> {
    let table = Table::of_batch(&csv::read_text(&csv::fixtures().join("golden/expected/splits.csv")));
    table.column(case).iter().map(|cell| cell.canonical().unwrap()).collect()
}

#[test]
fn the_oracle_gives_the_frozen_assignments() {
    let table = orders();
    let places: Vec<(String, u64)> = (0..table.rows.len()).map(|row| ("orders.csv".into(), row as u64)).collect();
    for (case, recipe) in cases() {
        let answer =
            Data { table: &table, places: &places }.decide(&settings(&recipe), |_| panic!("no strata")).unwrap();
        let show = |fate: &Fate| match fate {
            Fate::Split(at) => answer.names[*at].clone(),
            Fate::Dropped(reason) => format!("({reason})"),
        };
        assert_eq!(answer.fates.iter().map(show).collect::<Vec<_>>(), expected(case), "{case}");
    }
}

#[test]
fn twopass_gives_the_frozen_assignments() {
    for (case, mut recipe) in cases() {
        let place = Place::in_memory();
        recipe["input"] = json!({ "path": csv::fixtures().join("golden/orders.csv") });
        recipe["output"] = json!({ "path": place.text("out") });
        run(&recipe);
        let out = place.path("out");
        let right = expected(case);
        let mut found = vec![String::new(); right.len()];
        for split in splits(&out) {
            for order in Table::of_batch(&read_split(&out, &split)).column("order") {
                let Cell::Int(order) = order else { panic!("{order:?}") };
                found[order as usize - 1000].clone_from(&split);
            }
        }
        let is_right =
            |(found, right): (&String, &String)| found == right || found.is_empty() && right.starts_with('(');
        let wrong: Vec<_> = found.iter().zip(&right).enumerate().filter(|(_, pair)| !is_right(*pair)).collect();
        assert!(wrong.is_empty(), "{case}: {wrong:?}");
        let reasons = manifest(&out)["dropped"].clone();
        for (reason, rows) in reasons.as_object().unwrap() {
            let listed = right.iter().filter(|right| **right == format!("({reason})")).count();
            assert_eq!(rows.as_u64(), Some(listed as u64), "{case}: {reason}");
        }
    }
}
