//! The recipe of examples/names3risk on its data, and on data that lack columns, against every rule of it spelled out.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::table::{Cell, Kind, Table, read_parquet, write_csv};
use common::{Place, calendar, csv, hashes, read_split, run};
use serde_json::{Value, json};
use twopass::spec::keys;

const NAMES: [&str; 4] = ["emailAddress", "billingAddressName", "customerName", "paymentAccountHolderName"];
const DATES: [&str; 2] = ["transactionDate", "orderDate"];
/// Text in some shard, so text in all: to be numbers.
const FEATURES: [&str; 2] = ["payment.amount", "account.ageDays"];
const SPLITS: [(&str, usize); 3] = [("train", 70), ("val", 15), ("test", 15)];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/names3risk")
}

/// All rows as text, in the order of shards and rows.
fn rows() -> Table {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(example().join("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut all = Table { columns: Vec::new(), rows: Vec::new() };
    for path in paths {
        let mut shard = Table::of_batch(&match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => read_parquet(&path),
            Some("tsv") => csv::read_text_by(&path, b'\t'),
            _ => csv::read_text(&path),
        });
        shard.rows.iter_mut().flatten().for_each(|cell| match cell {
            Cell::Int(value) => *cell = Cell::Text(value.to_string()),
            Cell::Float(value) => *cell = Cell::Text(value.to_string()),
            _ => {}
        });
        all.columns = shard.columns.into_iter().map(|(name, _)| (name, Kind::Text)).collect();
        all.rows.append(&mut shard.rows);
    }
    all
}

type Row = HashMap<String, Cell>;

fn text(row: &Row, name: &str) -> Option<String> {
    match row.get(name) {
        Some(Cell::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

/// A row after all steps; `splitTime` in microseconds.
fn made(table: &Table, row: &[Cell]) -> Row {
    let names = table.columns.iter().map(|(name, _)| name.replace("__DOT__", "."));
    let mut made: Row = names.zip(row.iter().cloned()).collect();
    let time = DATES.iter().find_map(|name| text(&made, name));
    made.insert("splitTime".into(), time.map_or(Cell::Missing, |text| Cell::Int(calendar::parse(&text))));
    if NAMES.iter().all(|name| made.contains_key(*name)) {
        let joined = NAMES.map(|name| text(&made, name).unwrap_or("[MISSING]".into())).join("|");
        made.insert("text".into(), Cell::Text(joined));
    }
    for name in FEATURES {
        let number = text(&made, name).and_then(|text| text.trim().parse::<f32>().ok());
        made.insert(name.into(), number.map_or(Cell::Missing, |number| Cell::Float(f64::from(number))));
    }
    let class = match text(&made, "is.abuse").as_deref() {
        Some("ABUSE") => Cell::Int(0),
        Some("OK") => Cell::Int(1),
        _ => Cell::Missing,
    };
    made.insert("is.abuse".into(), class);
    made
}

fn time(row: &Row) -> i64 {
    let Cell::Int(time) = row["splitTime"] else { panic!("a row without a time") };
    time
}

/// Where the rows of each split end: the totals by largest remainder, each moved to the nearest end of a time.
fn ends(times: &[i64]) -> Vec<usize> {
    let rows = times.len();
    let mut totals = SPLITS.map(|(_, share)| rows * share / 100);
    let mut by_rest: Vec<usize> = (0..SPLITS.len()).collect();
    by_rest.sort_by_key(|at| std::cmp::Reverse(rows * SPLITS[*at].1 % 100));
    by_rest.truncate(rows - totals.iter().sum::<usize>());
    by_rest.into_iter().for_each(|at| totals[at] += 1);
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let cuts: Vec<usize> = (0..=rows).filter(|at| *at == 0 || *at == rows || sorted[at - 1] < sorted[*at]).collect();
    let mut wanted = 0;
    let nearest = |total: usize| {
        wanted += total;
        *cuts.iter().min_by_key(|cut| (cut.abs_diff(wanted), **cut)).unwrap()
    };
    totals.map(nearest).to_vec()
}

/// The rows of each split in their order, and what was dropped.
fn expected(table: &Table) -> ([Vec<Row>; 3], [(&'static str, u64); 3]) {
    let all: Vec<Row> = table.rows.iter().map(|row| made(table, row)).collect();
    let count = |rows: usize, left: usize| (rows - left) as u64;
    let labelled: Vec<&Row> = all.iter().filter(|row| !row["is.abuse"].is_missing()).collect();
    let timed: Vec<&Row> = labelled.iter().filter(|row| !row["splitTime"].is_missing()).copied().collect();
    let mut earliest: HashMap<String, (i64, usize)> = HashMap::new();
    for (at, row) in timed.iter().enumerate() {
        if let Some(customer) = text(row, "customerId") {
            let first = earliest.entry(customer).or_insert((time(row), at));
            *first = (*first).min((time(row), at));
        }
    }
    let is_kept = |(at, row): &(usize, &&Row)| text(row, "customerId").is_none_or(|who| earliest[&who].1 == *at);
    let kept: Vec<&Row> = timed.iter().enumerate().filter(is_kept).map(|(_, row)| *row).collect();
    let times: Vec<i64> = kept.iter().map(|row| time(row)).collect();
    let ends = ends(&times);
    let mut splits = [Vec::new(), Vec::new(), Vec::new()];
    for row in &kept {
        let older = times.iter().filter(|other| **other < time(row)).count();
        let split = ends.iter().position(|end| older < *end).unwrap();
        splits[split].push((*row).clone());
    }
    let dropped = [
        ("missing_label", count(all.len(), labelled.len())),
        ("missing_time", count(labelled.len(), timed.len())),
        ("duplicate", count(timed.len(), kept.len())),
    ];
    (splits, dropped)
}

/// The recipe with other places.
fn recipe(input: &Path, output: &Path, how: Value) -> Value {
    let mut recipe = keys::parse(&fs::read_to_string(example().join("recipe.toml")).unwrap(), "recipe.toml").unwrap();
    recipe["input"]["path"] = json!(input);
    recipe["output"]["path"] = json!(output);
    recipe["run"] = how;
    recipe
}

fn assert_is(output: &Path, table: &Table, dropped: &[(String, u64)]) {
    let (splits, right) = expected(table);
    for (reason, rows) in right {
        assert_eq!(dropped.iter().find(|(name, _)| name == reason).map_or(0, |(_, rows)| *rows), rows, "{reason}");
    }
    for ((split, _), rows) in SPLITS.iter().zip(splits) {
        let got = Table::of_batch(&read_split(output, split));
        assert_eq!(got.rows.len(), rows.len(), "rows in {split}");
        assert_eq!(got.columns.len(), rows[0].len(), "{:?}", got.columns);
        for (name, _) in &got.columns {
            for (at, (got, row)) in got.column(name).iter().zip(&rows).enumerate() {
                let is_time = name == "splitTime" || DATES.contains(&name.as_str());
                let same = match (got, &row[name]) {
                    (Cell::Text(got), Cell::Int(right)) if is_time => calendar::parse(got) == *right,
                    (Cell::Text(got), Cell::Text(right)) if is_time => calendar::parse(got) == calendar::parse(right),
                    (Cell::Int(got), Cell::Text(right)) => got.to_string() == *right,
                    (Cell::Float(got), Cell::Text(right)) => *got == right.parse::<f64>().unwrap(),
                    (got, right) => got == right,
                };
                assert!(same, "{split}, row {at}, {name}: {got:?} instead of {:?}", row[name]);
            }
        }
    }
}

#[test]
fn the_recipe_does_what_its_rules_say() {
    let (place, table) = (Place::new(), rows());
    for (output, how) in [("a", json!({ "threads": 1, "mode": "in_memory" })), ("b", json!({ "mode": "streaming" }))] {
        let report = run(&recipe(&example().join("data"), &place.path(output), how));
        assert_is(&place.path(output), &table, &report.dropped);
    }
    assert_eq!(hashes(&place.path("a")), hashes(&place.path("b")));
    let (splits, dropped) = expected(&table);
    // All rules are at work in the data.
    assert!(dropped.iter().all(|(_, rows)| *rows > 0), "{dropped:?}");
    let first = |rows: &[Row]| rows.iter().map(time).min().unwrap();
    let tied = splits[1].iter().filter(|row| time(row) == first(&splits[1])).count();
    assert!(splits.iter().all(|rows| rows.len() > 100) && tied > 1, "{tied} rows have the first time of val");
    assert!(splits[0].iter().any(|row| row["payment.amount"].is_missing()));
    assert!(splits[0].iter().any(|row| text(row, "text").unwrap().contains("|[MISSING]|")));
}

/// Without one of the names there is no `text`; without transactionDate it is orderDate that counts, and the other way.
#[test]
fn columns_that_are_not_there_are_passed_over() {
    for lacks in [["customerName", "transactionDate"], ["emailAddress", "orderDate"]] {
        let mut table = rows();
        for name in lacks {
            let at = table.position(name);
            table.columns.remove(at);
            table.rows.iter_mut().for_each(|row| drop(row.remove(at)));
        }
        let place = Place::new();
        // Other shards than those of the example.
        for (at, rows) in table.rows.chunks(700).enumerate() {
            let shard = Table { columns: table.columns.clone(), rows: rows.to_vec() };
            write_csv(&place.path("data").join(format!("part-{at}.csv")), &shard);
        }
        let report = run(&recipe(&place.path("data"), &place.path("out"), json!({})));
        assert_is(&place.path("out"), &table, &report.dropped);
    }
}

/// A shard alone, whose dates are timestamps as they are read.
#[test]
fn dates_that_are_read_as_timestamps_do_as_well() {
    let mut table = rows();
    table.rows.truncate(300);
    let place = Place::new();
    write_csv(&place.path("data").join("part-0.csv"), &table);
    let report = run(&recipe(&place.path("data"), &place.path("out"), json!({})));
    assert_is(&place.path("out"), &table, &report.dropped);
}

#[test]
fn the_commands_of_the_recipe_run_and_its_output_is_proved() {
    let place = Place::new();
    fs::create_dir_all(place.path("examples")).unwrap();
    std::os::unix::fs::symlink(example(), place.path("examples/names3risk")).unwrap();
    for arguments in [&["run", "examples/names3risk/recipe.toml"][..], &["verify", "target/names3risk"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_twopass")).args(arguments).current_dir(place.path("")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
