//! `fit.rows = "train"`: what the transforms know is what the rows of train have, exactly. The same transforms fitted on a
//! table that holds nothing else give train the same bytes and every other row the same values.

use std::path::Path;

use serde_json::{Value, json};

use super::common::oracle::{self, Column};
use super::common::table::{Cell, Kind, Table, write_csv, write_shards};
use super::common::{Numbers, Place, plan, read_split, run, splits};

fn table() -> Table {
    let mut numbers = Numbers(9);
    let row = |id: i64| {
        let amount = [Cell::Float(numbers.unit() * 1e6), Cell::Float(f64::NAN), Cell::Missing]
            [(numbers.below(8) as usize).saturating_sub(5)]
        .clone();
        let count = if numbers.below(9) == 0 { Cell::Missing } else { Cell::Int(numbers.below(50) as i64) };
        // So many that some are seen outside of train alone.
        let city =
            if numbers.below(9) == 0 { Cell::Missing } else { Cell::Text(format!("Ört {}", numbers.below(400))) };
        let label = if numbers.below(9) == 0 {
            Cell::Missing
        } else {
            Cell::text(["no", "yes", "夜"][numbers.below(3) as usize])
        };
        let customer = Cell::Int(numbers.below(150) as i64);
        vec![Cell::Int(id), amount, count, city, label, customer, Cell::Int(numbers.below(100) as i64)]
    };
    let columns = [
        ("id", Kind::Int),
        ("amount", Kind::Float),
        ("count", Kind::Int),
        ("city", Kind::Text),
        ("label", Kind::Text),
        ("customer", Kind::Int),
        ("day", Kind::Int),
    ];
    Table { columns: columns.map(|(name, kind)| (name.to_string(), kind)).to_vec(), rows: (0..1200).map(row).collect() }
}

fn steps() -> Value {
    json!([
        { "columns": "amount", "op": "simple_imputer", "strategy": "mean", "add_indicator": true },
        { "columns": "amount", "op": "standard_scaler" },
        { "columns": "count", "op": "simple_imputer", "strategy": "most_frequent" },
        { "columns": "count", "op": "min_max_scaler" },
        { "columns": "city", "op": "ordinal_encoder", "handle_unknown": "use_encoded_value", "unknown_value": -1, "encoded_missing_value": -2 },
    ])
}

fn kinds() -> Vec<Value> {
    vec![
        json!({ "kind": "stratified", "key": "id" }),
        json!({ "kind": "grouped", "groups": "customer" }),
        json!({ "kind": "temporal", "groups": "customer", "time": "day", "cutoff": 80 }),
        json!({ "kind": "temporal_quantile", "time": "day", "sizes": { "train": 0.6, "new": 0.4 } }),
        json!({ "kind": "random", "key": "id", "sizes": { "other": 200, "train": 300 }, "rest": "drop" }),
    ]
}

fn recipe(input: String, output: String, split: &Value) -> Value {
    json!({
        "input": { "path": input },
        "label": { "column": "label" },
        "split": split,
        "transform": steps(),
        "output": { "path": output, "shard_rows": 250 },
    })
}

/// The rows of a split as they were read.
fn rows_of(place: &Path, table: &Table, split: &str) -> Table {
    let ids = Table::of_batch(&read_split(place, split)).column("id");
    let row = |id: &Cell| if let Cell::Int(id) = id { table.rows[*id as usize].clone() } else { panic!("{id:?}") };
    Table { columns: table.columns.clone(), rows: ids.iter().map(row).collect() }
}

#[test]
fn the_transforms_know_the_rows_of_train_and_nothing_else() {
    let table = table();
    for (at, split) in kinds().iter().enumerate() {
        for text in [false, true] {
            let place = Place::in_memory();
            if text {
                write_csv(&place.path("in/all.csv"), &table);
            } else {
                write_shards(&place.path("in"), &table.batch(), &[500, 20], 90);
            }
            let mut on_train = recipe(place.text("in"), place.text("out"), split);
            on_train["fit"] = json!({ "rows": "train" });
            run(&on_train);
            let out = place.path("out");
            assert!(twopass::verify::output(&out).unwrap().ok);

            let train = rows_of(&out, &table, "train");
            assert!((100..1100).contains(&train.rows.len()));
            write_shards(&place.path("train"), &train.batch(), &[], 90);
            let alone = recipe(place.text("train"), place.text("alone"), &json!({ "kind": "none", "name": "train" }));
            run(&alone);
            let what = format!("kind {at}, text {text}");
            assert_eq!(
                Table::of_batch(&read_split(&out, "train")),
                Table::of_batch(&read_split(&place.path("alone"), "train")),
                "{what}"
            );

            // Fitted on all rows it would be another fit; the plain oracle says what the others become.
            run(&recipe(place.text("in"), place.text("all"), split));
            assert_ne!(plan(&out).pipeline, plan(&place.path("all")).pipeline, "{what}");
            for name in splits(&out).iter().filter(|name| *name != "train") {
                assert_others(&out, &table, &train, name, &what);
            }
        }
    }
}

/// The rows of another split are what the transforms make of them that the plain oracle fits on train's rows.
fn assert_others(out: &Path, table: &Table, train: &Table, split: &str, what: &str) {
    let got = Table::of_batch(&read_split(out, split));
    let raw = rows_of(out, table, split);
    let step = |at: usize| steps()[at].clone();
    // A fitted step is a function of the value: found by what it makes of train's rows.
    let fitted = |name: &str, steps: &[Value]| -> Vec<(Cell, Cell)> {
        let cells = train.column(name);
        let made = oracle::transform(vec![Column { name: name.to_string(), cells: cells.clone() }], steps);
        cells.into_iter().zip(made[0].cells.clone()).collect()
    };
    let city = fitted("city", &[step(4)]);
    for (got, raw) in got.column("city").iter().zip(raw.column("city")) {
        let known = city.iter().find(|(value, _)| *value == raw).map(|(_, code)| code.clone());
        let right = if raw.is_missing() { Cell::Int(-2) } else { known.unwrap_or(Cell::Int(-1)) };
        assert_eq!(*got, right, "{what}: {raw:?} in {split}");
    }
    // Scaling is linear: two values of train tell it.
    for (name, steps) in [("amount", vec![step(0), step(1)]), ("count", vec![step(2), step(3)])] {
        let fitted = fitted(name, &steps);
        let pair = |(value, scaled): &(Cell, Cell)| {
            Some((value.number()?, scaled.number()?)).filter(|(value, _)| !value.is_nan())
        };
        let mut pairs: Vec<(f64, f64)> = fitted.iter().filter_map(pair).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ((x0, y0), (x1, y1)) = (pairs[0], pairs[pairs.len() - 1]);
        let missing = fitted.iter().find(|(value, _)| value.is_missing()).and_then(|(_, scaled)| scaled.number());
        for (got, raw) in got.column(name).iter().zip(raw.column(name)) {
            let right = match raw.number().filter(|value| !value.is_nan()) {
                Some(x) => y0 + (x - x0) / (x1 - x0) * (y1 - y0),
                None => missing.unwrap(),
            };
            let got = got.number().unwrap();
            assert!((got - right).abs() < 1e-9, "{what}: {raw:?} of {name} in {split} became {got} instead of {right}");
        }
    }
}
