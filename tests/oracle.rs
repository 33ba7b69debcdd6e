//! The engine against a plain in-memory oracle, on random tables, random cuts and random recipes.

mod common;

use std::collections::BTreeMap;

use common::oracle::{self, Column};
use common::table::{Cell, Kind, Table, write_shard};
use common::{Place, manifest, parts, read_split, run};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// A random job.
#[derive(Debug, Clone)]
struct Case {
    table: Table,
    /// Where one shard ends and the next begins; equal cuts make shards without rows.
    cuts: Vec<usize>,
    /// Rows of the first row groups of every shard; 0 makes an empty one.
    row_groups: Vec<usize>,
    kind: &'static str,
    /// In thousandths.
    shares: Vec<u64>,
    stratify: Vec<&'static str>,
    key: Vec<&'static str>,
    label: Option<&'static str>,
    random_state: u64,
    steps: Vec<Value>,
    shard_rows: u64,
}

const COLUMNS: [(&str, Kind); 11] = [
    ("row", Kind::Int),
    ("class", Kind::Text),
    ("text", Kind::Text),
    ("small", Kind::Int),
    ("float", Kind::Float),
    ("id", Kind::Int),
    ("name", Kind::Text),
    ("x_float", Kind::Float),
    ("x_int", Kind::Int),
    ("x_text", Kind::Text),
    ("x_bool", Kind::Bool),
];

fn one_of(values: Vec<Cell>) -> impl Strategy<Value = Cell> + Clone {
    prop::sample::select(values)
}

fn texts(values: &[&str]) -> Vec<Cell> {
    values.iter().map(|value| Cell::text(value)).chain([Cell::Missing]).collect()
}

/// The cells of a row but the first, which is its number.
fn row() -> impl Strategy<Value = Vec<Cell>> {
    let float = one_of([0.0, -0.0, 1.5, -2.25, f64::NAN].map(Cell::Float).into_iter().chain([Cell::Missing]).collect());
    let eighths = (-8000i32..8000).prop_map(|x| Cell::Float(f64::from(x) / 8.0));
    let x_float = prop_oneof![6 => eighths, 2 => float.clone(), 1 => Just(Cell::Float(7.0))];
    let ints = |range: std::ops::Range<i64>| prop_oneof![8 => range.prop_map(Cell::Int), 1 => Just(Cell::Missing)];
    let x_bool = one_of(vec![Cell::Bool(true), Cell::Bool(false), Cell::Missing]);
    let class = one_of(texts(&["yes", "no", "夜", "é", "e\u{301}", "no"]));
    let text = one_of(texts(&["", "a", "ab", "Å", "😀", "a"]));
    let name = one_of(texts(&["", "x", "ŷ", "x y", "\"q\",\n"]));
    let x_text = one_of(texts(&["", "z", "Z", "ß", "naïve, \"q\"", "\u{1F600}", "\u{FFFD}", "z"]));
    (class, text, ints(-1..3), float, ints(0..40), name, x_float, ints(-5..5), x_text, x_bool)
        .prop_map(|(a, b, c, d, e, f, g, h, i, j)| vec![a, b, c, d, e, f, g, h, i, j])
}

fn rows() -> impl Strategy<Value = Vec<Vec<Cell>>> {
    let few = prop::collection::vec(row(), 0..12);
    let many = prop::collection::vec(row(), 12..160);
    let numbered = |rows: Vec<Vec<Cell>>| {
        let number = |(at, cells): (usize, Vec<Cell>)| [Cell::Int(at as i64)].into_iter().chain(cells).collect();
        rows.into_iter().enumerate().map(number).collect()
    };
    prop_oneof![1 => few, 3 => many].prop_map(numbered)
}

/// Shares in thousandths, some of them round.
fn shares() -> impl Strategy<Value = Vec<u64>> {
    let random = prop::collection::vec(1u64..20, 1..=5).prop_map(|weights| {
        let sum: u64 = weights.iter().sum();
        let mut shares: Vec<u64> = weights.iter().map(|weight| weight * 1000 / sum).collect();
        shares[0] += 1000 - shares.iter().sum::<u64>();
        shares
    });
    prop_oneof![
        1 => Just(vec![700, 150, 150]),
        1 => Just(vec![500, 500]),
        1 => Just(vec![400, 400, 50, 100, 50]),
        3 => random
    ]
}

fn steps_of(column: &str, choice: usize) -> Vec<Value> {
    let step = |op: &str, more: Value| {
        let mut step = json!({ "columns": column, "op": op });
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    };
    let imputed = |strategy: &str| step("simple_imputer", json!({ "strategy": strategy, "add_indicator": true }));
    match (column, choice) {
        ("x_float", 1) => vec![step("standard_scaler", json!({}))],
        ("x_float", 2) => vec![step("standard_scaler", json!({ "with_mean": false, "ddof": 1 }))],
        ("x_float", 3) => vec![step("min_max_scaler", json!({ "feature_range": [-1.0, 2.0] }))],
        ("x_float", 4) => vec![imputed("mean"), step("standard_scaler", json!({}))],
        ("x_float", 5) => {
            vec![
                step("simple_imputer", json!({ "strategy": "constant", "fill_value": 2.5 })),
                step("min_max_scaler", json!({})),
            ]
        }
        ("x_float", 6) => vec![
            step("standard_scaler", json!({})),
            step("simple_imputer", json!({ "strategy": "constant", "fill_value": 0.5, "add_indicator": true })),
        ],
        ("x_int", 1) => vec![step("standard_scaler", json!({}))],
        ("x_int", 2) => vec![imputed("most_frequent")],
        ("x_int", 3) => vec![step("ordinal_encoder", json!({ "encoded_missing_value": -1 }))],
        ("x_int", 4) => vec![imputed("mean")],
        ("x_int", 5) => vec![step("one_hot_encoder", json!({}))],
        ("x_int", 6) => vec![imputed("most_frequent"), step("standard_scaler", json!({}))],
        ("x_text", 1) => vec![step("ordinal_encoder", json!({}))],
        ("x_text", 2) => vec![step("one_hot_encoder", json!({}))],
        ("x_text", 3) => vec![imputed("most_frequent"), step("ordinal_encoder", json!({ "order": "frequency" }))],
        ("x_text", 4) => vec![step("ordinal_encoder", json!({ "min_frequency": 4, "encoded_missing_value": -1 }))],
        ("x_text", 5) => vec![
            step("simple_imputer", json!({ "strategy": "constant", "fill_value": "missing_value" })),
            step("one_hot_encoder", json!({})),
        ],
        ("x_bool", 1) => vec![step("one_hot_encoder", json!({}))],
        ("x_bool", 2) => vec![step("standard_scaler", json!({}))],
        ("x_bool", 3) => vec![imputed("most_frequent")],
        _ => Vec::new(),
    }
}

fn case() -> impl Strategy<Value = Case> {
    let stratify = prop::sample::subsequence(vec!["class", "text", "small", "float"], 1..=3).prop_shuffle();
    let key =
        prop::sample::select(vec![vec![], vec!["row"], vec!["id"], vec!["name", "id"], vec!["id", "float", "x_bool"]]);
    let label = prop::sample::select(vec![None, Some("class"), Some("small"), Some("float"), Some("x_bool")]);
    let kind = prop::sample::select(vec!["none", "random", "stratified", "stratified"]);
    let cuts = prop::collection::vec(any::<Index>(), 0..6);
    let row_groups = prop::collection::vec(0usize..30, 0..6);
    let choices = (0usize..7, 0usize..7, 0usize..6, 0usize..4);
    (rows(), cuts, row_groups, kind, shares(), stratify, key, label, (any::<u32>(), 1u64..50), choices).prop_map(
        |(rows, cuts, row_groups, kind, shares, stratify, key, label, (random_state, shard_rows), choices)| {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
            cuts.sort_unstable();
            let columns = COLUMNS.map(|(name, kind)| (name.to_string(), kind)).to_vec();
            let table = Table { columns, rows };
            let choices = [("x_float", choices.0), ("x_int", choices.1), ("x_text", choices.2), ("x_bool", choices.3)];
            // There is nothing to impute from without a value, and no label is transformed.
            let usable = |name: &str| label != Some(name) && table.column(name).iter().any(|cell| !cell.is_missing());
            let steps =
                choices.iter().filter(|(name, _)| usable(name)).flat_map(|(name, at)| steps_of(name, *at)).collect();
            let random_state = u64::from(random_state);
            Case { table, cuts, row_groups, kind, shares, stratify, key, label, random_state, steps, shard_rows }
        },
    )
}

impl Case {
    fn recipe(&self, place: &Place) -> Value {
        let mut split = json!({ "kind": self.kind, "random_state": self.random_state });
        if self.kind != "none" {
            let sizes =
                self.shares.iter().enumerate().map(|(at, share)| (format!("s{at}"), json!(*share as f64 / 1000.0)));
            split["sizes"] = Value::Object(sizes.collect());
        }
        if self.kind == "stratified" {
            split["stratify"] = json!(self.stratify);
        }
        if !self.key.is_empty() {
            split["key"] = json!(self.key);
        }
        let mut recipe = json!({
            "input": { "path": place.text("in") },
            "split": split,
            "transform": self.steps,
            "output": { "path": place.text("out"), "shard_rows": self.shard_rows },
            "run": { "threads": 2 },
        });
        if let Some(label) = self.label {
            recipe["label"] = json!({ "column": label });
        }
        recipe
    }

    /// Every row's shard and its row there.
    fn places(&self) -> Vec<(String, u64)> {
        let place = |row: usize| {
            let shard = self.cuts.iter().filter(|cut| **cut <= row).count();
            let first = if shard == 0 { 0 } else { self.cuts[shard - 1] };
            (format!("part-{shard}.parquet"), (row - first) as u64)
        };
        (0..self.table.rows.len()).map(place).collect()
    }

    fn write(&self, place: &Place) {
        let batch = self.table.batch();
        let starts = [0].into_iter().chain(self.cuts.iter().copied());
        let ends = self.cuts.iter().copied().chain([batch.num_rows()]);
        for (at, (start, end)) in starts.zip(ends).enumerate() {
            write_shard(
                &place.path(&format!("in/part-{at}.parquet")),
                &batch.slice(start, end - start),
                &self.row_groups,
            );
        }
    }

    /// Every row's stratum; nothing for a row that is dropped.
    fn strata(&self) -> Vec<Option<String>> {
        let stratum = |row: &Vec<Cell>| {
            if self.label.is_some_and(|label| row[self.table.position(label)].is_missing()) {
                return None;
            }
            let names: &[&str] = if self.kind == "stratified" { &self.stratify } else { &[] };
            let shown =
                names.iter().map(|name| row[self.table.position(name)].canonical().unwrap_or("(missing)".into()));
            Some(shown.collect::<Vec<_>>().join("|"))
        };
        self.table.rows.iter().map(stratum).collect()
    }

    fn ranks(&self) -> Vec<u64> {
        let rank = |(row, (shard, number)): (&Vec<Cell>, (String, u64))| {
            let key: Vec<&Cell> = self.key.iter().map(|name| &row[self.table.position(name)]).collect();
            oracle::rank_hash(oracle::key_hash(&key, &shard, number), self.random_state)
        };
        self.table.rows.iter().zip(self.places()).map(rank).collect()
    }

    /// The columns as they must come out, for all rows.
    fn expected_columns(&self) -> Vec<Column> {
        let column = |(name, _): &(String, Kind)| Column { name: name.clone(), cells: self.table.column(name) };
        let mut columns: Vec<Column> = self.table.columns.iter().map(column).collect();
        if let Some(name) = self.label {
            columns.iter_mut().filter(|column| column.name == name).for_each(oracle::label);
        }
        oracle::transform(columns, &self.steps)
    }
}

/// How many rows of each stratum the manifest gives each split; checked against the laws of the rounding.
fn quotas(case: &Case, manifest: &Value, strata: &[Option<String>]) -> BTreeMap<String, Vec<u64>> {
    let splits: Vec<&Value> = manifest["splits"].as_object().unwrap().values().collect();
    let totals: Vec<u64> = splits.iter().map(|split| split["rows"].as_u64().unwrap()).collect();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    strata.iter().flatten().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
    let of = |name: &String| -> Vec<u64> {
        match case.kind {
            "stratified" => splits
                .iter()
                .map(|split| split["strata"][name].as_u64().unwrap_or_else(|| panic!("no stratum {name}")))
                .collect(),
            _ => totals.clone(),
        }
    };
    let quotas: BTreeMap<String, Vec<u64>> = counts.keys().map(|name| (name.clone(), of(name))).collect();
    let shares = if case.kind == "none" { vec![1000] } else { case.shares.clone() };
    assert_eq!(splits.len(), shares.len());
    for (name, quota) in &quotas {
        assert_eq!(quota.iter().sum::<u64>(), counts[name], "stratum {name}");
        for (got, share) in quota.iter().zip(&shares) {
            let exact = share * counts[name];
            assert!(*got == exact / 1000 || *got == exact.div_ceil(1000), "stratum {name}: {got} for {exact}/1000");
        }
    }
    let summed: Vec<u64> = (0..shares.len()).map(|at| quotas.values().map(|quota| quota[at]).sum()).collect();
    assert_eq!(summed, totals);
    assert_eq!(totals, oracle::right_totals(&counts.values().copied().collect::<Vec<_>>(), &shares));
    if case.kind == "stratified" {
        let listed = splits[0]["strata"].as_object().unwrap().len();
        assert_eq!(listed, counts.len(), "the manifest lists every stratum once");
    }
    quotas
}

fn check(case: &Case) {
    let place = Place::new();
    case.write(&place);
    let report = run(&case.recipe(&place));
    let out = place.path("out");
    let manifest = manifest(&out);

    let strata = case.strata();
    let dropped = strata.iter().filter(|stratum| stratum.is_none()).count();
    let reasons = if dropped > 0 { json!({ "missing_label": dropped }) } else { json!({}) };
    assert_eq!(manifest["dropped"], reasons);
    assert_eq!((report.rows, report.shards), (strata.len() as u64, case.cuts.len() + 1));

    let quotas = quotas(case, &manifest, &strata);
    let assigned = oracle::assign(&strata, &case.ranks(), &quotas);
    let expected = case.expected_columns();
    let names: Vec<&str> = expected.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(std::fs::read_to_string(out.join("signature")).unwrap(), names.join(","));
    for (at, split) in common::splits(&out).iter().enumerate() {
        let parts = parts(&out, split);
        assert!(parts[..parts.len() - 1].iter().all(|(_, rows)| *rows == case.shard_rows), "{split}: {parts:?}");
        let got = Table::of_batch(&read_split(&out, split));
        assert_eq!(got.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
        let rows: Vec<usize> = (0..assigned.len()).filter(|row| assigned[*row] == Some(at)).collect();
        let numbers: Vec<Cell> = rows.iter().map(|row| Cell::Int(*row as i64)).collect();
        assert_eq!(got.column("row"), numbers, "rows of {split}");
        for (column, right) in expected.iter().enumerate() {
            for (row, number) in got.rows.iter().zip(&rows) {
                assert_near(&row[column], &right.cells[*number], &format!("row {number}, column {}", right.name));
            }
        }
    }
}

#[track_caller]
fn assert_near(got: &Cell, right: &Cell, place: &str) {
    let near = match (got, right) {
        (Cell::Float(got), Cell::Float(right)) => (got - right).abs() <= 1e-12 * right.abs().max(1.0),
        _ => false,
    };
    assert!(near || got == right, "{place}: {got:?} instead of {right:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_plain_oracle_does(case in case()) {
        check(&case);
    }
}

/// The oracle's own totals, where the strata do not allow the largest remainders (the example of the rounding's docs).
#[test]
fn the_oracle_knows_totals_that_the_strata_refuse() {
    assert_eq!(oracle::right_totals(&[6], &[400, 400, 50, 50, 50, 50]), [3, 3, 0, 0, 0, 0]);
    let totals = oracle::right_totals(&[1, 5], &[400, 400, 50, 50, 50, 50]);
    assert_eq!(totals, [3, 2, 1, 0, 0, 0]);
}
