//! Beside scikit-learn: folds of whole groups are never less balanced than StratifiedGroupKFold's, and folds and shuffled
//! halves have the sizes of GroupKFold and GroupShuffleSplit as far as one has to expect them.
//! tests/fixtures/sklearn_groups/make_groups.py wrote the tables and scikit-learn's figures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::common::table::{Cell, Kind, Table, write_shards};
use super::common::{Place, csv, json, manifest, read_split, run, splits};

fn directory() -> PathBuf {
    csv::fixtures().join("sklearn_groups")
}

fn cases() -> Vec<Value> {
    json(&directory().join("expected.json"))["cases"].as_array().unwrap().clone()
}

/// The columns of the group and of the class.
fn columns(table: &str) -> [&'static str; 2] {
    match table {
        "flights" => ["tailnum", "arrived_late"],
        "flights_by_carrier" => ["carrier", "arrived_late"],
        _ => ["group", "class"],
    }
}

/// Splits a table; those of the fixtures become rows of a group and a class first.
fn split(place: &Place, table: &str, output: &str, split: Value) -> PathBuf {
    let mut recipe =
        json!({ "input": { "path": place.text("in") }, "split": split, "output": { "path": place.text(output) } });
    if columns(table)[1] == "class" {
        let counts = Table::of_batch(&csv::read(&directory().join(format!("{table}.csv"))));
        let mut rows = Vec::new();
        for group in &counts.rows {
            for (class, count) in group[1..].iter().enumerate() {
                let Cell::Int(count) = count else { panic!("{count:?}") };
                rows.extend((0..*count).map(|_| vec![group[0].clone(), Cell::Text(format!("class {class}"))]));
            }
        }
        let columns = vec![("group".to_string(), Kind::Text), ("class".to_string(), Kind::Text)];
        let batch = Table { columns, rows }.batch();
        write_shards(&place.path("in"), &batch, &[batch.num_rows() / 3], 500);
    } else {
        recipe["input"]["path"] = json!(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flights/data"));
        recipe["label"] = json!({ "column": "arrived_late" });
    }
    run(&recipe);
    assert!(twopass::verify::output(&place.path(output)).unwrap().ok);
    place.path(output)
}

fn column(output: &Path, split: &str, name: &str) -> Vec<String> {
    let cells = Table::of_batch(&read_split(output, split)).column(name);
    cells.iter().map(|cell| cell.canonical().unwrap()).collect()
}

/// Of all classes and folds, how far a class's share in a fold is from the fold's at the most. No group is in two folds.
fn worst(output: &Path, [group, class]: [&str; 2]) -> f64 {
    let folds = splits(output);
    let mut counts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (at, fold) in folds.iter().enumerate() {
        for class in column(output, fold, class) {
            counts.entry(class).or_insert_with(|| vec![0.0; folds.len()])[at] += 1.0;
        }
        let groups: BTreeSet<String> = column(output, fold, group).into_iter().collect();
        groups.into_iter().for_each(|group| assert!(seen.insert(group.clone()), "{group} is in two folds"));
    }
    let of_class = |counts: &Vec<f64>| -> f64 {
        let all: f64 = counts.iter().sum();
        counts.iter().map(|count| (count / all - 1.0 / counts.len() as f64).abs()).fold(0.0, f64::max)
    };
    counts.values().map(of_class).fold(0.0, f64::max)
}

#[test]
fn folds_of_whole_groups_are_as_balanced_as_those_of_scikit_learn() {
    let mut better = 0;
    for case in cases() {
        let (name, folds) = (case["table"].as_str().unwrap(), &case["folds"]);
        let place = Place::in_memory();
        let [group, class] = columns(name);
        let recipe = json!({ "kind": "kfold", "folds": folds, "groups": group, "stratify": class });
        let out = split(&place, name, "out", recipe);
        let ours = worst(&out, [group, class]);
        let theirs = ["default", "best_shuffle"].map(|key| case[key].as_f64().unwrap());
        let theirs = theirs[0].min(theirs[1]);
        eprintln!("{name}, {folds} folds: {ours:.6}, scikit-learn {theirs:.6}");
        assert!(ours <= theirs + 1e-12, "{name}, {folds} folds: {ours} where scikit-learn has {theirs}");
        better += usize::from(ours < theirs - 1e-12);
    }
    assert!(better > 0, "never better: is it scikit-learn's own figure that was read?");
}

#[test]
fn folds_and_halves_of_whole_groups_have_the_sizes_to_expect() {
    for case in cases() {
        let (name, folds) = (case["table"].as_str().unwrap(), case["folds"].as_u64().unwrap());
        let place = Place::in_memory();
        let [group, _] = columns(name);
        let out = split(&place, name, "folds", json!({ "kind": "kfold", "folds": folds, "groups": group }));
        let rows = |out: &Path, split: &str| manifest(out)["splits"][split]["rows"].as_u64().unwrap();
        let ours: Vec<u64> = splits(&out).iter().map(|fold| rows(&out, fold)).collect();
        let theirs: Vec<u64> =
            case["group_kfold_rows"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        assert_eq!(ours.iter().sum::<u64>(), theirs.iter().sum::<u64>(), "{name}");
        let mut of_group: BTreeMap<String, u64> = BTreeMap::new();
        for fold in splits(&out) {
            column(&out, &fold, group).into_iter().for_each(|group| *of_group.entry(group).or_default() += 1);
        }
        // Both ends of a fold are off by half a group at the most; theirs are balanced by size, ours by hash.
        let largest = *of_group.values().max().unwrap();
        let even = ours.iter().sum::<u64>() / folds;
        assert!(ours.iter().all(|rows| rows.abs_diff(even) <= largest + 1), "{name}: {ours:?}, groups up to {largest}");

        let sizes = json!({ "train": 0.7, "test": 0.3 });
        let recipe = json!({ "kind": "grouped", "groups": group, "group_sizes": "groups", "sizes": sizes });
        let out = split(&place, name, "halves", recipe);
        let groups = ["train", "test"].map(|half| column(&out, half, group).into_iter().collect::<BTreeSet<_>>().len());
        for (ours, theirs) in groups.iter().zip(case["group_shuffle_groups"].as_array().unwrap()) {
            assert!((*ours as u64).abs_diff(theirs.as_u64().unwrap()) <= 1, "{name}: {groups:?}");
        }
        let listed = ["train", "test"].map(|half| manifest(&out)["splits"][half]["groups"].as_u64().unwrap() as usize);
        assert_eq!(listed, groups, "{name}: the manifest counts groups");
    }
}
