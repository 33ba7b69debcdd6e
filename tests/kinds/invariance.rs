//! For every kind: how the input is cut, how the job is run and what the state was made for change nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use twopass::error::Error;
use twopass::observe::{Event, Observer};

use super::common::table::{Cell, Kind, Table, write_shard, write_shards};
use super::common::{Numbers, Place, chain, hashes, job, manifest, plan, read_split, run, splits};

const ROWS: usize = 4000;

fn batch() -> RecordBatch {
    let row = |id: i64| {
        let mut numbers = Numbers(id as u64);
        let unit = numbers.unit();
        let values = [
            Cell::Text(format!("Kunde {}", (unit.powi(3) * 900.0) as u32)),
            Cell::Int(numbers.below(12) as i64),
            Cell::Date(numbers.below(90) as i32 + 19_000),
            Cell::text(["no", "no", "no", "yes", "夜"][numbers.below(5) as usize]),
            Cell::Bool(numbers.below(2) == 0),
            Cell::Float([f64::NAN, -0.0, 1.5, numbers.unit()][numbers.below(4) as usize]),
            Cell::Text(format!("Ort {}", numbers.below(150))),
        ];
        let or_missing = |cell: Cell| if numbers.below(19) == 0 { Cell::Missing } else { cell };
        let hour = Cell::Int(i64::from(id as u32 % 97 * 5 % 24));
        [Cell::Int(id), hour].into_iter().chain(values.map(or_missing)).collect()
    };
    let columns = [
        ("id", Kind::Int),
        ("hour", Kind::Int),
        ("customer", Kind::Text),
        ("shop", Kind::Int),
        ("day", Kind::Date),
        ("label", Kind::Text),
        ("flag", Kind::Bool),
        ("amount", Kind::Float),
        ("city", Kind::Text),
    ];
    let columns = columns.map(|(name, kind)| (name.to_string(), kind)).to_vec();
    Table { columns, rows: (0..ROWS as i64).map(row).collect() }.batch()
}

/// A recipe of every kind, with a name.
fn kinds() -> Vec<(&'static str, Value)> {
    let steps = json!([
        { "columns": "amount", "op": "simple_imputer" },
        { "columns": "amount", "op": "standard_scaler" },
        { "columns": "city", "op": "ordinal_encoder", "handle_unknown": "use_encoded_value", "unknown_value": -1, "encoded_missing_value": -2 },
    ]);
    let of = |split: Value, more: Value| {
        let mut recipe = json!({ "split": split, "transform": steps });
        recipe["split"]["key"] = json!("id");
        recipe.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        recipe
    };
    let label = json!({ "label": { "column": "label" } });
    let first = json!({ "dedupe": { "key": ["customer", "shop"], "order_by": ["hour", "id"] } });
    let last = json!({ "dedupe": { "key": "customer", "order_by": ["hour", "id"], "keep": "last" }, "label": { "column": "label" } });
    let on_train = json!({ "fit": { "rows": "train" }, "label": { "column": "label" } });
    let temporal =
        json!({ "kind": "temporal", "groups": "customer", "time": "day", "cutoff": "2022-03-01", "gap": "36h" });
    vec![
        ("grouped", of(json!({ "kind": "grouped", "groups": "customer" }), on_train.clone())),
        (
            "own",
            of(
                json!({ "kind": "grouped", "groups": ["customer", "shop"], "missing_groups": "own", "group_sizes": "groups" }),
                first,
            ),
        ),
        ("balanced", of(json!({ "kind": "stratified_grouped", "groups": "customer" }), label)),
        (
            "balanced-folds",
            of(json!({ "kind": "kfold", "groups": "customer", "stratify": ["label", "flag"] }), json!({})),
        ),
        ("temporal", of(temporal, on_train)),
        ("quantile", of(json!({ "kind": "temporal_quantile", "time": "day" }), json!({}))),
        ("folds", of(json!({ "kind": "kfold", "folds": 3, "stratify": "flag", "fold_column": "fold" }), json!({}))),
        ("deduped", of(json!({ "kind": "random", "sizes": { "train": 300, "b": 100 }, "rest": "drop" }), last)),
    ]
}

fn at(mut recipe: Value, place: &Place, input: &str, output: &str) -> Value {
    recipe["input"] = json!({ "path": place.text(input) });
    recipe["output"] = json!({ "path": place.text(output), "shard_rows": 700 });
    recipe["run"] = json!({ "threads": 2 });
    recipe
}

fn with(mut recipe: Value, changes: &[(&str, Value)]) -> Value {
    for (key, value) in changes {
        let (section, key) = key.split_once('.').unwrap();
        recipe[section][key] = value.clone();
    }
    recipe
}

#[track_caller]
fn assert_same(output: &Path, first: &BTreeMap<String, String>, what: &str) {
    let got = hashes(output);
    assert_eq!(got.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>(), "{what}: other files");
    let other: Vec<_> = got.iter().filter(|(name, hash)| first[*name] != **hash).map(|(name, _)| name).collect();
    assert!(other.is_empty(), "{what}: other bytes in {other:?}");
}

#[test]
fn any_sharding_gives_the_same_bytes() {
    let place = Place::in_memory();
    let batch = batch();
    write_shards(&place.path("one"), &batch, &[], ROWS);
    write_shards(&place.path("few"), &batch, &[0, 1, 0, 2500], 700);
    write_shards(&place.path("many"), &batch, &[100; 39], 30);
    for (kind, recipe) in kinds() {
        let output = |input: &str| format!("{kind}-{input}");
        run(&at(recipe.clone(), &place, "one", &output("one")));
        let first = hashes(&place.path(&output("one")));
        let listed = manifest(&place.path(&output("one")));
        for input in ["few", "many"] {
            run(&at(recipe.clone(), &place, input, &output(input)));
            assert_same(&place.path(&output(input)), &first, &format!("{kind}, {input} shards"));
            let other = manifest(&place.path(&output(input)));
            assert_eq!((&other["splits"], &other["dropped"]), (&listed["splits"], &listed["dropped"]), "{kind}");
        }
    }
}

#[test]
fn any_order_of_rows_gives_every_split_the_same_rows_and_the_same_fit() {
    let place = Place::in_memory();
    let batch = batch();
    let mut order: Vec<u32> = (0..ROWS as u32).collect();
    let mut numbers = Numbers(5);
    for at in (1..ROWS).rev() {
        order.swap(at, numbers.below(at as u64 + 1) as usize);
    }
    let order = arrow::array::UInt32Array::from(order);
    let columns = batch.columns().iter().map(|column| arrow::compute::take(column, &order, None).unwrap()).collect();
    let shuffled = RecordBatch::try_new(batch.schema(), columns).unwrap();
    write_shards(&place.path("in"), &batch, &[1500], 700);
    write_shards(&place.path("shuffled"), &shuffled, &[700, 2000], 700);
    for (kind, recipe) in kinds() {
        let found = ["in", "shuffled"].map(|input| {
            let output = place.path(&format!("{kind}-{input}"));
            run(&at(recipe.clone(), &place, input, &format!("{kind}-{input}")));
            let rows = |split: &String| -> BTreeSet<String> {
                Table::of_batch(&read_split(&output, split)).rows.iter().map(|row| format!("{row:?}")).collect()
            };
            let rows: Vec<_> = splits(&output).iter().map(rows).collect();
            (rows, manifest(&output)["dropped"].clone(), plan(&output).pipeline)
        });
        assert!(found[0].0 == found[1].0, "{kind}: other rows in a split");
        assert_eq!((&found[0].1, &found[0].2), (&found[1].1, &found[1].2), "{kind}");
    }
}

#[test]
fn any_threads_memory_and_mode_give_the_same_bytes() {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &batch(), &[900, 10, 1300], 400);
    for (kind, recipe) in kinds() {
        run(&at(recipe.clone(), &place, "in", kind));
        let first = hashes(&place.path(kind));
        for (threads, memory, mode) in
            [(1, "64MiB", "streaming"), (7, "2GiB", "in_memory"), (2, "64MiB", "auto"), (7, "128MiB", "streaming")]
        {
            let output = format!("{kind}-{threads}-{memory}-{mode}");
            let changes = [("run.threads", json!(threads)), ("run.memory", json!(memory)), ("run.mode", json!(mode))];
            run(&with(at(recipe.clone(), &place, "in", &output), &changes));
            assert_same(&place.path(&output), &first, &output);
        }
    }
}

#[test]
fn a_state_made_for_another_kind_gives_the_same_bytes() {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &batch(), &[900, 1300], 400);
    let kinds = kinds();
    for (at_kind, (kind, recipe)) in kinds.iter().enumerate() {
        let (before, other) = &kinds[(at_kind + 3) % kinds.len()];
        run(&at(recipe.clone(), &place, "in", kind));
        let first = hashes(&place.path(kind));
        // The state of another kind, and of the same kind with another seed.
        let reseeded = with(recipe.clone(), &[("split.random_state", json!(7))]);
        for (what, other) in
            [(format!("{kind} after {before}"), other), (format!("{kind} after another seed"), &reseeded)]
        {
            let state = json!(place.path(&what).with_extension("state"));
            let changes = [("run.state", state)];
            run(&with(at(other.clone(), &place, "in", &format!("{what}, before")), &changes));
            let report = run(&with(at(recipe.clone(), &place, "in", &what), &changes));
            assert_same(&place.path(&what), &first, &what);
            // Another seed trains on other rows: then the statistics are others, too.
            let serves = what.ends_with("seed") && recipe["fit"].is_null();
            assert!(!serves || report.reused_shards == report.shards, "{what}: read again");
        }
    }
}

/// Says stop when it was asked so many times.
struct Stopping(AtomicUsize);

impl Observer for Stopping {
    fn event(&self, _: Event<'_>) {}

    fn stop(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn stopped_anywhere_and_run_again_gives_the_same_bytes() {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &batch(), &[500; 7], 100);
    for (kind, recipe) in kinds() {
        run(&at(recipe.clone(), &place, "in", kind));
        let first = hashes(&place.path(kind));
        let output = format!("{kind}-stopped");
        let job = job(&at(recipe, &place, "in", &output));
        // Each run goes on from where the last was stopped; in the end one is not.
        let (mut polls, mut stops) = (1, 0);
        loop {
            match job.run(&Stopping(AtomicUsize::new(polls))) {
                Ok(_) => break,
                Err(Error::Interrupted) => stops += 1,
                Err(other) => panic!("{kind}: {}", chain(&other)),
            }
            assert!(!place.path(&output).exists(), "{kind}: published though it was stopped");
            polls += 1 + polls / 4;
        }
        assert!(stops > 5, "{kind}: stopped {stops} times");
        assert_same(&place.path(&output), &first, &format!("{kind}, stopped {stops} times"));
    }
}

#[test]
fn another_seed_gives_another_split() {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &batch(), &[900, 1300], 400);
    for (kind, recipe) in kinds().into_iter().filter(|(kind, _)| *kind != "quantile") {
        let of_seed = |seed: u64| {
            let output = format!("{kind}-{seed}");
            run(&with(at(recipe.clone(), &place, "in", &output), &[("split.random_state", json!(seed))]));
            hashes(&place.path(&output))
        };
        assert_ne!(of_seed(1), of_seed(2), "{kind}");
    }
}

/// So many groups that those of one shard, or of all, are more than a small budget holds at a time.
#[test]
fn hundreds_of_thousands_of_groups_need_no_more_memory_than_there_is() {
    const GROUPS: u64 = 300_000;
    let place = Place::in_memory();
    let mut numbers = Numbers(3);
    let rows = 2 * GROUPS as usize;
    let groups: Vec<u64> = (0..rows).map(|_| numbers.below(GROUPS)).collect();
    let customer: ArrayRef =
        Arc::new(StringArray::from_iter_values(groups.iter().map(|group| format!("customer {group}"))));
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let day: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|_| numbers.below(365) as i64)));
    let class: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|_| (numbers.below(10) / 8) as i64)));
    let batch =
        RecordBatch::try_from_iter([("id", id), ("customer", customer), ("day", day), ("class", class)]).unwrap();
    for (at, rows) in
        [250_000, 10, 349_990].into_iter().scan(0, |at, rows| Some((std::mem::replace(at, *at + rows), rows)))
    {
        write_shard(&place.path(&format!("in/{at:06}.parquet")), &batch.slice(at, rows), &[65_536, 65_536]);
    }
    let dedupe = json!({ "key": "customer", "order_by": ["day", "id"], "keep": "last" });
    let kinds = [
        ("grouped", json!({ "split": { "kind": "grouped", "groups": "customer" } })),
        ("balanced", json!({ "split": { "kind": "stratified_grouped", "groups": "customer", "stratify": "class" } })),
        (
            "temporal",
            json!({ "split": { "kind": "temporal", "groups": "customer", "time": "day", "cutoff": 300, "gap": 5 } }),
        ),
        ("deduped", json!({ "split": { "kind": "temporal_quantile", "time": "day" }, "dedupe": dedupe })),
    ];
    for (kind, recipe) in kinds {
        let outputs = ["64MiB", "2GiB"].map(|memory| {
            let output = format!("{kind}-{memory}");
            let mut recipe = at(recipe.clone(), &place, "in", &output);
            recipe["output"]["shard_rows"] = json!(100_000);
            run(&with(recipe, &[("run.memory", json!(memory))]));
            place.path(&output)
        });
        assert_same(&outputs[0], &hashes(&outputs[1]), kind);
        assert!(twopass::verify::output(&outputs[0]).unwrap().ok, "{kind}");
    }
}
