//! The numbers that come out of the engine: hard ones, exact ones, and those of real flights.

mod common;

use std::path::Path;

use arrow::array::RecordBatch;
use common::table::{Cell, Kind, Table, write_shards};
use common::{Numbers, Place, csv, manifest, plan, read_split, run, try_run};
use serde_json::{Value, json};
use twopass::error::Error;
use twopass::facts::ColumnFacts;
use twopass::spec::Recipe;
use twopass::state::Number;

fn recipe(place: &Place, steps: Value) -> Value {
    json!({ "input": { "path": place.text("in") }, "transform": steps, "output": { "path": place.text("out") } })
}

fn standard() -> Value {
    json!([{ "columns": "x", "op": "standard_scaler" }])
}

fn column(kind: Kind, cells: Vec<Cell>) -> RecordBatch {
    Table { columns: vec![("x".into(), kind)], rows: cells.into_iter().map(|cell| vec![cell]).collect() }.batch()
}

fn floats(values: &[f64]) -> RecordBatch {
    column(Kind::Float, values.iter().copied().map(Cell::Float).collect())
}

/// Writes a column as five uneven shards and runs `steps` on it: facts, the column's metadata, its scaled values.
fn through_the_engine(batch: &RecordBatch, steps: Value) -> (ColumnFacts, Value, Vec<Cell>) {
    let place = Place::new();
    let rows = batch.num_rows();
    write_shards(&place.path("in"), batch, &[rows / 7, 1, 0, rows / 3], 64);
    run(&recipe(&place, steps));
    let out = place.path("out");
    let facts = plan(&out).facts.into_iter().next().unwrap();
    let info = common::json(&out.join("metadata"))["column_info"][&facts.name].clone();
    let name = facts.name.clone();
    (facts, info, Table::of_batch(&read_split(&out, "data")).column(&name))
}

#[track_caller]
fn assert_near(got: f64, right: f64, relative: f64, what: &str) {
    assert!((got - right).abs() <= relative * right.abs(), "{what}: {got:e} is not {right:e}");
}

#[test]
fn nist_sets_come_out_as_certified() {
    let directory = csv::fixtures().join("nist");
    let expected = common::json(&directory.join("expected.json"));
    for (name, right) in expected.as_object().unwrap() {
        let batch = csv::read(&directory.join(right["input"].as_str().unwrap()));
        assert_eq!(batch.num_rows() as u64, right["rows"].as_u64().unwrap());
        let (facts, info, _) = through_the_engine(&batch, json!([]));
        let place = Place::new();
        run(
            &json!({ "input": { "path": directory.join(right["input"].as_str().unwrap()) }, "output": { "path": place.text("out") } }),
        );
        let of_csv = &plan(&place.path("out")).facts[0];
        assert_eq!(
            (of_csv.mean, of_csv.std),
            (facts.mean, facts.std),
            "{name} from one CSV and from five Parquet shards"
        );
        let right = |key: &str| right[key].as_f64().unwrap();
        let (mean, std) = (facts.mean.unwrap(), facts.std.unwrap());
        assert_near(mean, right("float64_mean"), 1e-14, &format!("mean of {name} as stored"));
        assert_near(std, right("float64_std"), 1e-14, &format!("deviation of {name} as stored"));
        // NumAcc4 as doubles deviates by 5.6e-9 from NumAcc4 as decimals.
        let tolerance = if name == "numacc4" { 1e-8 } else { 1e-9 };
        assert_near(mean, right("mean"), tolerance, &format!("certified mean of {name}"));
        assert_near(std, right("std"), tolerance, &format!("certified deviation of {name}"));
        assert_eq!((info["mean"].as_f64(), info["std"].as_f64()), (Some(mean), Some(std)), "metadata of {name}");
    }
}

#[test]
fn a_small_noise_on_a_billion_keeps_all_its_digits() {
    let mut numbers = Numbers(3);
    // Units of 2^-22: exact as doubles, and their sums exact as integers.
    let units: Vec<i128> = (0..5000).map(|_| numbers.below(4096) as i128).collect();
    let unit = f64::powi(2.0, -22);
    let values: Vec<f64> = units.iter().map(|noise| 1e9 + *noise as f64 * unit).collect();
    let n = units.len() as i128;
    let (sum, squares) = (units.iter().sum::<i128>(), units.iter().map(|x| x * x).sum::<i128>());
    let variance = |ddof: i128| (n * squares - sum * sum) as f64 / (n * (n - ddof)) as f64 * unit * unit;
    let mean = 1e9 + sum as f64 / n as f64 * unit;
    let (facts, _, scaled) = through_the_engine(&floats(&values), standard());
    assert_eq!(facts.mean, Some(mean));
    assert_near(facts.std.unwrap(), variance(1).sqrt(), 1e-15, "deviation");
    let scale = variance(0).sqrt();
    for (value, got) in values.iter().zip(scaled) {
        let right = (value - mean) / scale;
        assert!((got.number().unwrap() - right).abs() <= 1e-12 * right.abs().max(1.0), "{got:?} is not {right}");
    }
}

#[test]
fn a_column_without_values_stays_without_and_has_no_statistics() {
    let batch = column(Kind::Float, vec![Cell::Missing; 20]);
    let (facts, info, scaled) = through_the_engine(&batch, standard());
    assert_eq!((facts.rows, facts.nulls, facts.nan, facts.distinct), (20, 20, 0, 0));
    assert_eq!((facts.range, facts.mean, facts.std), (None, None, None));
    assert_eq!((info["null_count"].clone(), info.get("mean")), (json!(20), None));
    assert!(scaled.iter().all(|cell| *cell == Cell::Missing));
}

#[test]
fn a_column_of_nan_alone_has_values_but_no_numbers() {
    let (facts, info, scaled) = through_the_engine(&floats(&[f64::NAN; 12]), standard());
    assert_eq!((facts.nulls, facts.nan, facts.mean), (0, 12, None));
    assert_eq!(info["null_count"], 12, "pandas counts NaN as null");
    assert!(scaled.iter().all(|cell| matches!(cell, Cell::Float(x) if x.is_nan())));
}

#[test]
fn one_row_becomes_zero_and_has_no_deviation() {
    let (facts, info, scaled) = through_the_engine(&floats(&[1234.5]), standard());
    assert_eq!((facts.mean, facts.std), (Some(1234.5), None));
    assert_eq!((info["mean"].clone(), info["std"].clone()), (json!(1234.5), Value::Null));
    assert_eq!(scaled, [Cell::Float(0.0)]);
}

#[test]
fn a_constant_column_becomes_zero_whatever_the_constant() {
    for constant in [0.0, 0.1, -1e-300, 1e300, 1e9 + 0.1, f64::MAX, f64::MIN_POSITIVE / 8.0] {
        let (facts, _, scaled) = through_the_engine(&floats(&[constant; 300]), standard());
        assert_eq!((facts.mean, facts.std), (Some(constant), Some(0.0)), "{constant:e}");
        assert!(scaled.iter().all(|cell| *cell == Cell::Float(0.0)), "{constant:e}: {:?}", scaled[0]);
    }
}

#[test]
fn infinities_are_refused_by_name_where_they_would_be_scaled_and_described_where_not() {
    let place = Place::new();
    let batch = floats(&[1.0, f64::INFINITY, f64::NEG_INFINITY, 2.0]);
    write_shards(&place.path("in"), &batch, &[2], 64);
    for op in ["standard_scaler", "min_max_scaler"] {
        let refused = try_run(&recipe(&place, json!([{ "columns": "x", "op": op }]))).unwrap_err();
        assert!(matches!(refused, Error::Data { .. }), "{refused}");
        assert!(refused.to_string().contains("column `x`"), "{refused}");
        assert!(!place.path("out").exists(), "nothing is published");
    }
    run(&recipe(&place, json!([])));
    let facts = &plan(&place.path("out")).facts[0];
    assert_eq!((facts.rows, facts.nulls, facts.nan, facts.distinct), (4, 0, 0, 4));
    let infinite = (Number::Float(f64::NEG_INFINITY), Number::Float(f64::INFINITY));
    assert_eq!(facts.range, Some(infinite));
    let info = &common::json(&place.path("out").join("metadata"))["column_info"]["x"];
    assert_eq!((&info["min"], &info["max"], &info["mean"]), (&Value::Null, &Value::Null, &Value::Null));
}

#[test]
fn integers_beyond_doubles_keep_their_last_digit() {
    let cells = [i64::MIN, -1, i64::MAX - 1, i64::MAX].map(Cell::Int).to_vec();
    let (facts, info, kept) = through_the_engine(&column(Kind::Int, cells.clone()), json!([]));
    assert_eq!(facts.range, Some((Number::Int(i64::MIN), Number::Int(i64::MAX))));
    assert_eq!((info["min"].as_i64(), info["max"].as_i64()), (Some(i64::MIN), Some(i64::MAX)));
    assert_eq!(facts.distinct, 4);
    assert_eq!(kept, cells);
}

#[test]
fn imputing_and_then_scaling_is_exact_in_the_same_two_passes() {
    let mut numbers = Numbers(5);
    let cells: Vec<Cell> = (0..2000)
        .map(
            |_| if numbers.below(3) == 0 { Cell::Missing } else { Cell::Float(numbers.below(1 << 20) as f64 / 1024.0) },
        )
        .collect();
    let steps = json!([{ "columns": "x", "op": "simple_imputer" }, { "columns": "x", "op": "standard_scaler" }]);
    let (facts, _, scaled) = through_the_engine(&column(Kind::Float, cells.clone()), steps);
    let mean = facts.mean.unwrap();
    let filled: Vec<f64> = cells.iter().map(|cell| cell.number().unwrap_or(mean)).collect();
    let scale = (filled.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / filled.len() as f64).sqrt();
    for (x, got) in filled.iter().zip(scaled) {
        let right = (x - mean) / scale;
        assert!((got.number().unwrap() - right).abs() <= 1e-12 * right.abs().max(1.0), "{got:?} is not {right}");
    }
}

#[test]
fn flights_have_the_counts_that_pandas_has() {
    let place = Place::new();
    let flights = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flights");
    let example: Recipe = toml::from_str(&std::fs::read_to_string(flights.join("recipe.toml")).unwrap()).unwrap();
    let mut recipe = serde_json::to_value(example).unwrap();
    recipe["input"]["path"] = json!(flights.join("data"));
    recipe["output"]["path"] = json!(place.text("out"));
    let report = run(&recipe);
    let expected = common::json(&csv::fixtures().join("flights_expected.json"));
    let number = |value: &Value| value.as_u64().unwrap();

    let manifest = manifest(&place.path("out"));
    assert_eq!(report.rows, number(&expected["rows"]));
    assert_eq!(manifest["dropped"], json!({ "missing_label": expected["missing_label"] }));
    let classes: Vec<&String> = expected["labels"].as_object().unwrap().keys().collect();
    assert_eq!(manifest["label"], json!({ "column": "arrived_late", "classes": classes }));

    let splits = [("train", 70), ("test", 15), ("val", 15)];
    let strata = expected["strata"].as_array().unwrap();
    for stratum in strata {
        let name = format!("{}|{}", stratum["arrived_late"].as_str().unwrap(), stratum["carrier"].as_str().unwrap());
        let rows = number(&stratum["rows"]);
        let held = splits.map(|(split, _)| number(&manifest["splits"][split]["strata"][&name]));
        assert_eq!(held.iter().sum::<u64>(), rows, "{name}");
        for ((split, share), held) in splits.iter().zip(held) {
            assert!(
                held == rows * share / 100 || held == (rows * share).div_ceil(100),
                "{held} of {rows}, {name}, {split}"
            );
        }
    }
    assert_eq!(manifest["splits"]["train"]["strata"].as_object().unwrap().len(), strata.len());
    // 13624.8, 2919.6 and 2919.6: two rows are left, for the largest remainder and the earlier of the two next.
    assert_eq!(splits.map(|(split, _)| number(&manifest["splits"][split]["rows"])), [13625, 2920, 2919]);

    let facts = plan(&place.path("out")).facts;
    assert_eq!(facts.len(), expected["columns"].as_object().unwrap().len());
    for facts in facts {
        let right = &expected["columns"][&facts.name];
        let counts = (facts.rows - facts.nulls, facts.nulls, facts.nan);
        assert_eq!(counts, (number(&right["count"]), number(&right["nulls"]), 0), "{}", facts.name);
        let distinct = number(&right["distinct"]);
        match facts.distinct_estimated {
            false => assert_eq!(facts.distinct, distinct, "{}", facts.name),
            true => assert_near(facts.distinct as f64, distinct as f64, 0.05, &facts.name),
        }
        if right["type"] == "int64" {
            let int = |key: &str| Number::Int(right[key].as_i64().unwrap());
            assert_eq!(facts.range, Some((int("min"), int("max"))), "{}", facts.name);
            assert_near(facts.mean.unwrap(), right["mean"].as_f64().unwrap(), 1e-14, &facts.name);
            let n = number(&right["count"]) as f64;
            assert_near(
                facts.std.unwrap() * ((n - 1.0) / n).sqrt(),
                right["std"].as_f64().unwrap(),
                1e-12,
                &facts.name,
            );
        }
    }
}
