//! Parity with scikit-learn on the cases that tests/fixtures/sklearn/make_expected.py wrote.

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::table::{Cell, Table, read_parquet};
use common::{Place, csv, manifest, read_split};
use rayon::prelude::*;
use serde_json::{Value, json};

/// Cases about other rows than those fitted on need `twopass apply`.
const APPLY_CASES: usize = 8;

fn directory() -> PathBuf {
    csv::fixtures().join("sklearn")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map_or(Vec::new(), |list| list.iter().map(|text| text.as_str().unwrap()).collect())
}

fn cases() -> Vec<Value> {
    serde_json::from_value(common::json(&directory().join("cases.json"))).unwrap()
}

#[test]
fn every_case_gives_what_scikit_learn_gives() {
    let (apply, cases): (Vec<_>, Vec<_>) = cases().into_iter().partition(|case| case.get("apply").is_some());
    assert_eq!((cases.len(), apply.len()), (73 - APPLY_CASES, APPLY_CASES));
    let failed: Vec<String> = cases.par_iter().flat_map_iter(failures).collect();
    assert!(failed.is_empty(), "{} differences:\n{}", failed.len(), failed.join("\n"));
}

fn failures(case: &Value) -> Vec<String> {
    let name = case["name"].as_str().unwrap();
    let place = Place::new();
    let input = directory().join(case["input"].as_str().unwrap());
    let input_names: Vec<String> = match input.extension().is_some_and(|extension| extension == "csv") {
        true => csv::names(&input),
        false => read_parquet(&input).schema().fields().iter().map(|field| field.name().clone()).collect(),
    };
    let mut recipe = json!({
        "input": { "path": input },
        "transform": case["transforms"],
        "output": { "path": place.text("out") },
    });
    if let Some(label) = case.get("label") {
        recipe["label"] = json!({ "column": label });
    }
    let outcome = common::try_run(&recipe);
    if let Err(error) = outcome {
        return vec![format!("{name}: {}", common::chain(&error))];
    }
    let manifest = manifest(&place.path("out"));
    let got = Table::of_batch(&read_split(&place.path("out"), "data"));
    let mut failed = Vec::new();
    if texts(&case["classes"]) != texts(&manifest["label"]["classes"]) {
        failed.push(format!("classes {}", manifest["label"]["classes"]));
    }
    let names: Vec<String> = got.columns.iter().map(|(name, _)| name.clone()).collect();
    let right_names = right_names(case, &input_names);
    if names != right_names {
        failed.push(format!("columns {names:?} instead of {right_names:?}"));
    } else {
        failed.extend(differences(case, &got));
    }
    failed.into_iter().map(|failure| format!("{name}: {failure}")).collect()
}

/// The input's columns, one-hot columns in place of theirs, indicators at the end; one-hot columns and indicators named
/// and ordered among themselves as scikit-learn has them.
fn right_names(case: &Value, input: &[String]) -> Vec<String> {
    let made: Vec<&str> =
        texts(&case["output_columns"]).into_iter().filter(|name| !input.iter().any(|i| i == name)).collect();
    let is_indicator = |name: &&str| name.starts_with("missingindicator_");
    let spread: Vec<&str> = case["transforms"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["op"] == "one_hot_encoder")
        .flat_map(|step| texts(&step["columns"]))
        .collect();
    let mut names = Vec::new();
    for column in input {
        if !spread.contains(&column.as_str()) {
            names.push(column.clone());
            continue;
        }
        let own = made.iter().filter(|name| !is_indicator(name) && name.starts_with(&format!("{column}_")));
        names.extend(own.map(ToString::to_string));
    }
    names.extend(made.into_iter().filter(is_indicator).map(str::to_string));
    names
}

fn differences(case: &Value, got: &Table) -> Vec<String> {
    let expected = Table::of_batch(&csv::read_text(&directory().join(case["expected"].as_str().unwrap())));
    let id = |cell: &Cell| cell.canonical().unwrap();
    let key = got.position("row_id");
    let by_id: BTreeMap<String, &Vec<Cell>> = got.rows.iter().map(|row| (id(&row[key]), row)).collect();
    if by_id.len() != expected.rows.len() || got.rows.len() != expected.rows.len() {
        return vec![format!("{} rows instead of {}", got.rows.len(), expected.rows.len())];
    }
    let mut failed = Vec::new();
    for name in texts(&case["output_columns"]) {
        let (at, right_at) = (got.position(name), expected.position(name));
        let wrong = expected.rows.iter().find_map(|right| {
            let Some(row) = by_id.get(&id(&right[0])) else { return Some(format!("row {:?} is missing", right[0])) };
            let same = is_same(&row[at], &right[right_at], case["tolerance"].as_f64().unwrap());
            (!same)
                .then(|| format!("column {name}, row {:?}: {:?} instead of {:?}", right[0], row[at], right[right_at]))
        });
        failed.extend(wrong);
    }
    failed
}

fn is_same(got: &Cell, expected: &Cell, tolerance: f64) -> bool {
    match (got, expected) {
        (Cell::Missing, Cell::Missing) => true,
        (Cell::Text(got), Cell::Text(expected)) => got == expected,
        (Cell::Int(got), Cell::Text(expected)) if expected.parse::<i64>().is_ok() => Ok(*got) == expected.parse(),
        (got, Cell::Text(expected)) => match (got.number(), expected.parse::<f64>()) {
            (Some(got), Ok(expected)) => {
                (got.is_nan() && expected.is_nan()) || (got - expected).abs() <= tolerance * expected.abs().max(1.0)
            }
            _ => false,
        },
        _ => false,
    }
}
