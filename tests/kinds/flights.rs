//! Every kind on the flights in examples/flights/data: 20,000 rows in twelve shards of two formats, with missing tail
//! numbers and labels. Every row is where the oracle has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use arrow::datatypes::TimeUnit;
use serde_json::{Value, json};

use super::balanced;
use super::common::split_oracle::recipe::Kind as SplitKind;
use super::common::split_oracle::{Data, settings};
use super::common::table::{Cell, Kind, Table, read_parquet};
use super::common::{Place, calendar, csv, run};
use super::judge::Output;
use super::random_tables::quotas;

const COLUMNS: [(&str, Kind); 8] = [
    ("flight_id", Kind::Text),
    ("month", Kind::Int),
    ("carrier", Kind::Text),
    ("tailnum", Kind::Text),
    ("origin", Kind::Text),
    ("time_hour", Kind::Time(TimeUnit::Microsecond, None)),
    ("arrived_late", Kind::Text),
    ("dest", Kind::Text),
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flights/data")
}

struct Flights {
    table: Table,
    places: Vec<(String, u64)>,
    rows: BTreeMap<String, usize>,
}

static FLIGHTS: LazyLock<Flights> = LazyLock::new(|| {
    let columns = COLUMNS.map(|(name, kind)| (name.to_string(), kind)).to_vec();
    let (mut table, mut places) = (Table { columns, rows: Vec::new() }, Vec::new());
    for month in 1..=12 {
        let name = format!("flights-2013-{month:02}.{}", if month < 7 { "csv.gz" } else { "parquet" });
        let path = directory().join(&name);
        let batch = if month < 7 { csv::read_text(&path) } else { read_parquet(&path) };
        let shard = Table::of_batch(&batch);
        let at = COLUMNS.map(|(name, _)| shard.position(name));
        for (number, row) in shard.rows.iter().enumerate() {
            places.push((name.clone(), number as u64));
            table.rows.push(at.iter().zip(COLUMNS).map(|(at, (_, kind))| cell(&row[*at], kind)).collect());
        }
    }
    let [origin, dest] = ["origin", "dest"].map(|name| table.position(name));
    table.columns.push(("route".to_string(), Kind::Text));
    for row in &mut table.rows {
        let route = [origin, dest].map(|at| row[at].canonical().unwrap()).join("-");
        row.push(Cell::Text(route));
    }
    let rows = table.column("flight_id").iter().enumerate().map(|(row, id)| (id.canonical().unwrap(), row)).collect();
    Flights { table, places, rows }
});

/// A field as it is written is a value of its column.
fn cell(cell: &Cell, kind: Kind) -> Cell {
    match (cell, kind) {
        (Cell::Text(text), _) if text.is_empty() => Cell::Missing,
        (Cell::Text(text), Kind::Int) => Cell::Int(text.parse().unwrap()),
        (Cell::Text(text), Kind::Time(..)) => Cell::Time(calendar::parse(text)),
        _ => cell.clone(),
    }
}

/// Runs a recipe on the flights and holds it against the oracle; says how many rows each split has.
fn assert_is_the_oracles(mut recipe: Value) -> Vec<u64> {
    let place = Place::in_memory();
    recipe["input"] = json!({ "path": directory() });
    recipe["output"] = json!({ "path": place.text("out") });
    let report = run(&recipe);
    let flights = &*FLIGHTS;
    let settings = settings(&recipe);
    let data = Data { table: &flights.table, places: &flights.places };
    let number = |id: &Cell| flights.rows[&id.canonical().unwrap()];
    let output = Output::read_by(&place.path("out"), &settings, flights.places.len(), "flight_id", number);
    if settings.kind == SplitKind::StratifiedGrouped {
        let shares = settings.shares(data.countable(&settings)).unwrap();
        let largest = balanced::judge(&data, &settings, &output, &shares, report.worst.as_ref());
        assert!(largest < 0.001, "a class is off by {largest}");
    } else {
        let answer = data.decide(&settings, |counts| quotas(&data, &output.splits, &settings, counts)).unwrap();
        output.assert_is(&answer);
    }
    (0..settings.names().len())
        .map(|at| output.splits.iter().filter(|split| **split == Some(at)).count() as u64)
        .collect()
}

fn late(split: Value) -> Value {
    json!({ "label": { "column": "arrived_late" }, "split": split })
}

#[test]
fn flights_by_tail_number() {
    let rows = assert_is_the_oracles(late(json!({ "kind": "grouped", "groups": "tailnum" })));
    // No aircraft has many of the 19,464 flights: the shares are nearly those of rows.
    assert!(rows[0].abs_diff(13_625) < 20 && rows[1].abs_diff(2920) < 20, "{rows:?}");
    let own = json!({ "kind": "grouped", "groups": ["carrier", "tailnum"], "missing_groups": "own", "key": "flight_id", "group_sizes": "groups" });
    assert_is_the_oracles(json!({ "split": own }));
}

#[test]
fn flights_by_tail_number_before_a_date_and_out_of_time_after_it() {
    let split = json!({
        "kind": "temporal", "time": "time_hour", "cutoff": "2013-10-01", "gap": "7d", "groups": "tailnum",
        "sizes": { "train": 0.8, "val": 0.2 },
    });
    let rows = assert_is_the_oracles(late(split));
    assert!(rows.iter().all(|rows| *rows > 100), "{rows:?}");
}

#[test]
fn flights_before_and_after_a_month() {
    let split = json!({
        "kind": "temporal", "time": "month", "cutoff": 11, "gap": 1, "key": "flight_id", "sizes": { "train": 0.8, "val": 0.2 },
    });
    assert_is_the_oracles(late(split));
    let split = json!({
        "kind": "temporal", "time": "month", "cutoff": 7, "groups": "tailnum", "oot_exclude": ["train", "val"],
        "group_sizes": "rows", "sizes": { "train": 0.5, "val": 0.3 }, "rest": "drop",
    });
    assert_is_the_oracles(late(split));
}

#[test]
fn flights_by_tail_number_with_each_carriers_share_of_late_ones() {
    let split = json!({ "kind": "stratified_grouped", "groups": "tailnum", "stratify": ["arrived_late", "origin"] });
    assert_is_the_oracles(late(split));
    assert_is_the_oracles(late(json!({ "kind": "kfold", "groups": "tailnum", "stratify": "arrived_late" })));
}

#[test]
fn flights_by_a_route_that_is_derived() {
    let derive = json!([{ "op": "concat", "columns": ["origin", "dest"], "into": "route", "separator": "-" }]);
    let mut recipe = late(json!({ "kind": "grouped", "groups": "route" }));
    recipe["transform"] = derive.clone();
    assert_is_the_oracles(recipe);
    let mut recipe = json!({ "split": { "kind": "random", "key": ["route", "flight_id"] }, "transform": derive });
    recipe["dedupe"] = json!({ "key": "route", "order_by": "time_hour" });
    assert_is_the_oracles(recipe);
}

#[test]
fn flights_from_oldest_to_newest() {
    let rows = assert_is_the_oracles(json!({ "split": { "kind": "temporal_quantile", "time": "time_hour" } }));
    assert!(rows[0].abs_diff(14_000) < 10 && rows[1].abs_diff(3000) < 20, "{rows:?}");
    assert_is_the_oracles(json!({ "split": { "kind": "temporal_quantile", "time": "month" } }));
}

#[test]
fn flights_in_folds() {
    let folds = assert_is_the_oracles(late(json!({ "kind": "kfold", "folds": 7, "key": "flight_id" })));
    assert_eq!(folds, [2781, 2781, 2781, 2781, 2780, 2780, 2780]);
    assert_is_the_oracles(late(
        json!({ "kind": "kfold", "stratify": ["arrived_late", "carrier"], "fold_column": "fold" }),
    ));
    assert_is_the_oracles(json!({ "split": { "kind": "kfold", "groups": "tailnum", "fold_column": "fold" } }));
}

#[test]
fn the_first_and_the_last_flight_of_every_aircraft() {
    for keep in ["first", "last"] {
        let mut recipe = late(
            json!({ "kind": "random", "key": "flight_id", "sizes": { "train": 1500, "val": 400 }, "rest": "drop" }),
        );
        recipe["dedupe"] = json!({ "key": "tailnum", "order_by": ["time_hour", "flight_id"], "keep": keep });
        assert_eq!(assert_is_the_oracles(recipe), [1500, 400]);
    }
}
