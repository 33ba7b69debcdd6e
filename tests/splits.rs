//! Splits at scale and at their edges: what every stratum and every split must count to.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use common::table::{Cell, Kind, Table, write_shards};
use common::{Numbers, Place, manifest, read_split, run};
use serde_json::{Value, json};

fn rows(output: &Path, split: &str) -> u64 {
    manifest(output)["splits"][split]["rows"].as_u64().unwrap()
}

fn stratum(output: &Path, split: &str, name: &str) -> u64 {
    manifest(output)["splits"][split]["strata"][name].as_u64().unwrap()
}

/// Values of an integer column of a split.
fn ids(output: &Path, split: &str, column: &str) -> Vec<i64> {
    let id = |cell: Cell| if let Cell::Int(id) = cell { id } else { panic!("{cell:?} in {column}") };
    Table::of_batch(&read_split(output, split)).column(column).into_iter().map(id).collect()
}

fn table(columns: &[(&str, Kind)], rows: Vec<Vec<Cell>>) -> RecordBatch {
    let columns = columns.iter().map(|(name, kind)| (name.to_string(), *kind)).collect();
    Table { columns, rows }.batch()
}

fn write(place: &Place, batch: &RecordBatch) {
    let shard = batch.num_rows().div_ceil(3);
    write_shards(&place.path("in"), batch, &[shard, shard], 1000);
}

fn recipe(place: &Place, split: Value) -> Value {
    json!({ "input": { "path": place.text("in") }, "split": split, "output": { "path": place.text("out") } })
}

const SIZES: [(&str, u64); 3] = [("train", 14), ("test", 3), ("val", 3)];

/// Whether `got` is the floor or the ceiling of `rows` times `twentieths` / 20.
fn is_rounded(got: u64, rows: u64, twentieths: u64) -> bool {
    let exact = rows * twentieths;
    got == exact / 20 || got == exact.div_ceil(20)
}

#[test]
fn a_hundred_thousand_strata_of_a_million_rows_are_cut_exactly() {
    const ROWS: u64 = 1_000_000;
    const STRATA: u64 = 100_000;
    let place = Place::new();
    let mut numbers = Numbers(7);
    // Squares of uniform numbers: strata of one row, of ten, of hundreds.
    let strata: Vec<i64> = (0..ROWS).map(|_| (numbers.unit().powi(2) * STRATA as f64) as i64).collect();
    let mut counts = vec![0u64; STRATA as usize];
    strata.iter().for_each(|at| counts[*at as usize] += 1);
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let stratum: ArrayRef = Arc::new(Int64Array::from(strata));
    let batch = RecordBatch::try_from_iter([("id", id), ("stratum", stratum)]).unwrap();
    write_shards(&place.path("in"), &batch, &[300_000, 1, 400_000], 65_536);

    let began = Instant::now();
    run(&recipe(&place, json!({ "kind": "stratified", "stratify": "stratum", "key": "id" })));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    let out = place.path("out");
    let mut seen = vec![false; ROWS as usize];
    let mut of_split = Vec::new();
    for (split, twentieths) in SIZES {
        let table = read_split(&out, split);
        let column = |at: usize| table.column(at).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec();
        let mut counted = vec![0u64; STRATA as usize];
        for (id, stratum) in column(0).into_iter().zip(column(1)) {
            assert!(!std::mem::replace(&mut seen[id as usize], true), "row {id} twice");
            counted[stratum as usize] += 1;
        }
        assert_eq!(counted.iter().sum::<u64>() * 20, ROWS * twentieths, "total of {split}");
        let wrong = (0..counts.len()).find(|at| !is_rounded(counted[*at], counts[*at], twentieths));
        assert_eq!(wrong, None, "stratum of {split}");
        of_split.push(counted);
    }
    assert!(seen.iter().all(|seen| *seen));
    assert!((0..counts.len()).all(|at| of_split.iter().map(|counted| counted[at]).sum::<u64>() == counts[at]));
}

#[test]
fn strata_of_one_row_still_add_up_to_exact_totals() {
    let place = Place::new();
    write(&place, &table(&[("id", Kind::Int)], (0..200).map(|id| vec![Cell::Int(id)]).collect()));
    run(&recipe(&place, json!({ "kind": "stratified", "stratify": "id", "key": "id" })));
    let out = place.path("out");
    assert_eq!(["train", "test", "val"].map(|split| rows(&out, split)), [140, 30, 30]);
    for id in 0..200 {
        let held: u64 = ["train", "test", "val"].iter().map(|split| stratum(&out, split, &id.to_string())).sum();
        assert_eq!(held, 1, "stratum {id}");
    }
}

#[test]
fn a_random_split_without_a_key_has_exact_sizes_and_is_random() {
    let place = Place::new();
    write(&place, &table(&[("id", Kind::Int)], (0..1003).map(|id| vec![Cell::Int(id)]).collect()));
    run(&recipe(&place, json!({ "kind": "random" })));
    let out = place.path("out");
    // 702.1, 150.45 and 150.45: the row that is left goes to the larger remainder, the earlier of two.
    assert_eq!(["train", "test", "val"].map(|split| rows(&out, split)), [702, 151, 150]);
    let test = ids(&out, "test", "id");
    assert!(test.is_sorted(), "rows keep their order");
    let thirds = [0..335, 335..670, 670..1003].map(|third| test.iter().filter(|id| third.contains(*id)).count());
    assert!(thirds.iter().all(|rows| (25..80).contains(rows)), "{thirds:?} of 151");
    assert_eq!(manifest(&out)["splits"]["test"]["strata"], json!({}));

    let other = Place::new();
    write(&other, &table(&[("id", Kind::Int)], (0..1003).map(|id| vec![Cell::Int(id)]).collect()));
    run(&recipe(&other, json!({ "kind": "random", "random_state": 43 })));
    assert_ne!(ids(&other.path("out"), "test", "id"), test, "another seed, other rows");
}

#[test]
fn kind_none_has_one_split_with_every_row_in_order() {
    let place = Place::new();
    write(&place, &table(&[("id", Kind::Int)], (0..77).map(|id| vec![Cell::Int(id)]).collect()));
    run(&recipe(&place, json!({ "kind": "none", "name": "calibration" })));
    assert_eq!(common::splits(&place.path("out")), ["calibration"]);
    assert_eq!(ids(&place.path("out"), "calibration", "id"), (0..77).collect::<Vec<_>>());
}

#[test]
fn rows_without_a_label_are_dropped_and_counted() {
    let label = |id: i64| if id % 10 == 3 { Cell::Missing } else { Cell::text(if id % 3 == 0 { "yes" } else { "no" }) };
    for kind in ["none", "random", "stratified"] {
        let place = Place::new();
        let cells = (0..500).map(|id| vec![Cell::Int(id), label(id)]).collect();
        write(&place, &table(&[("id", Kind::Int), ("label", Kind::Text)], cells));
        let mut recipe = recipe(&place, json!({ "kind": kind, "key": "id" }));
        recipe["label"] = json!({ "column": "label" });
        let report = run(&recipe);
        assert_eq!(report.dropped, [("missing_label".to_string(), 50)]);
        let out = place.path("out");
        assert_eq!(manifest(&out)["dropped"], json!({ "missing_label": 50 }));
        let mut all: Vec<i64> = common::splits(&out).iter().flat_map(|split| ids(&out, split, "id")).collect();
        all.sort_unstable();
        assert_eq!(all, (0..500).filter(|id| id % 10 != 3).collect::<Vec<_>>(), "{kind}");
    }
}

#[test]
fn a_label_that_is_not_a_number_is_missing() {
    let place = Place::new();
    let label =
        |id: i64| [Cell::Float(1.0), Cell::Float(f64::NAN), Cell::Missing, Cell::Float(-0.0)][id as usize % 4].clone();
    let cells = (0..40).map(|id| vec![Cell::Int(id), label(id)]).collect();
    write(&place, &table(&[("id", Kind::Int), ("label", Kind::Float)], cells));
    let mut recipe = recipe(&place, json!({ "kind": "stratified", "key": "id", "sizes": { "a": 0.5, "b": 0.5 } }));
    recipe["label"] = json!({ "column": "label" });
    run(&recipe);
    let out = place.path("out");
    assert_eq!(manifest(&out)["dropped"], json!({ "missing_label": 20 }));
    assert_eq!(manifest(&out)["splits"]["a"]["strata"], json!({ "0": 5, "1": 5 }));
}

#[test]
fn several_stratify_columns_cut_every_combination_and_missing_is_a_value() {
    let place = Place::new();
    let mut numbers = Numbers(11);
    let mut counts = std::collections::BTreeMap::new();
    let cells = (0..3000).map(|id| {
        let text = [Cell::text("é"), Cell::text(""), Cell::Missing][numbers.below(3) as usize].clone();
        let float = [Cell::Float(0.0), Cell::Float(-0.0), Cell::Float(f64::NAN), Cell::Missing, Cell::Float(2.5)];
        let float = float[numbers.below(5) as usize].clone();
        let flag = [Cell::Bool(true), Cell::Bool(false), Cell::Missing][numbers.below(3) as usize].clone();
        let name = [&text, &float, &flag].map(|cell| cell.canonical().unwrap_or("(missing)".into())).join("|");
        *counts.entry(name).or_insert(0u64) += 1;
        vec![Cell::Int(id), text, float, flag]
    });
    let columns = [("id", Kind::Int), ("text", Kind::Text), ("float", Kind::Float), ("flag", Kind::Bool)];
    write(&place, &table(&columns, cells.collect()));
    run(&recipe(&place, json!({ "kind": "stratified", "stratify": ["text", "float", "flag"], "key": "id" })));
    let out = place.path("out");
    assert_eq!(counts.len(), 27, "0.0 and -0.0 are one stratum, NaN and null too");
    for (name, rows) in &counts {
        let of_split = SIZES.map(|(split, _)| stratum(&out, split, name));
        assert_eq!(of_split.iter().sum::<u64>(), *rows, "stratum {name}");
        for ((split, twentieths), got) in SIZES.into_iter().zip(of_split) {
            assert!(is_rounded(got, *rows, twentieths), "{got} of {rows} in {split}, stratum {name}");
        }
    }
    assert_eq!(SIZES.map(|(split, _)| rows(&out, split)), [2100, 450, 450]);
    let listed = manifest(&out)["splits"]["train"]["strata"].as_object().unwrap().len();
    assert_eq!(listed, 27);
}

#[test]
fn an_input_without_rows_gives_splits_without_rows() {
    let place = Place::new();
    write(&place, &table(&[("id", Kind::Int), ("label", Kind::Text)], Vec::new()));
    let mut recipe = recipe(&place, json!({ "kind": "stratified" }));
    recipe["label"] = json!({ "column": "label" });
    run(&recipe);
    for (split, _) in SIZES {
        assert_eq!((rows(&place.path("out"), split), read_split(&place.path("out"), split).num_rows()), (0, 0));
    }
}
