//! `verify` believes the rows, not the manifest: an output whose manifest claims another kind than it was made by is found
//! out by the rule of that kind.

use serde_json::{Value, json};
use twopass::verify::{Status, Verdict};

use super::common::table::{Cell, Kind, Table, write_shards};
use super::common::{Numbers, Place, manifest, run};

/// An output made by one split whose manifest says it was made by another.
fn pretend(made_by: &Value, claimed: &Value) -> Verdict {
    let place = Place::in_memory();
    let mut numbers = Numbers(4);
    let row = |id: i64| {
        let customer = Cell::Text(format!("customer {}", numbers.below(60)));
        vec![Cell::Int(id), customer, Cell::Int(numbers.below(100) as i64), Cell::Int(numbers.below(2) as i64)]
    };
    let columns = [("id", Kind::Int), ("customer", Kind::Text), ("day", Kind::Int), ("class", Kind::Int)];
    let columns = columns.map(|(name, kind)| (name.to_string(), kind)).to_vec();
    write_shards(&place.path("in"), &Table { columns, rows: (0..500).map(row).collect() }.batch(), &[200], 90);
    run(&json!({ "input": { "path": place.text("in") }, "split": made_by, "output": { "path": place.text("out") } }));
    let out = place.path("out");
    let before = twopass::verify::output(&out).unwrap();
    assert!(before.ok, "{:#?}", before.checks);
    let mut manifest = manifest(&out);
    manifest["recipe"]["split"] = claimed.clone();
    std::fs::write(out.join("_manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    twopass::verify::output(&out).unwrap()
}

#[track_caller]
fn assert_found_out(made_by: Value, claimed: Value, word: &str) {
    let verdict = pretend(&made_by, &claimed);
    let failed: Vec<_> = verdict.checks.iter().filter(|check| check.status == Status::Failed).collect();
    assert!(!verdict.ok && !failed.is_empty(), "{claimed} is believed: {:#?}", verdict.checks);
    let says = failed.iter().any(|check| check.detail.contains(word) || check.name.contains(word));
    assert!(says, "nothing says `{word}`: {failed:#?}");
}

#[test]
fn a_group_in_two_splits_is_found() {
    let sizes = json!({ "train": 0.6, "val": 0.4 });
    let random = json!({ "kind": "random", "sizes": sizes });
    assert_found_out(random.clone(), json!({ "kind": "grouped", "groups": "customer", "sizes": sizes }), "group");
    let claimed = json!({ "kind": "stratified_grouped", "groups": "customer", "stratify": "class", "sizes": sizes });
    assert_found_out(random, claimed, "group");
    assert_found_out(json!({ "kind": "kfold" }), json!({ "kind": "kfold", "groups": "customer" }), "group");
    let folds = json!({ "kind": "kfold", "fold_column": "fold" });
    assert_found_out(folds, json!({ "kind": "kfold", "fold_column": "fold", "groups": "customer" }), "group");
}

#[test]
fn a_row_on_the_wrong_side_of_the_cutoff_is_found() {
    let made_by = json!({ "kind": "random", "sizes": { "train": 0.5, "val": 0.2, "oot": 0.3 } });
    let sizes = json!({ "train": 0.7, "val": 0.3 });
    assert_found_out(made_by, json!({ "kind": "temporal", "time": "day", "cutoff": 60, "sizes": sizes }), "time");
    let temporal = |gap: i64| json!({ "kind": "temporal", "time": "day", "cutoff": 60, "gap": gap, "sizes": sizes });
    assert_found_out(temporal(0), temporal(5), "time");
}

#[test]
fn a_customer_of_train_who_is_out_of_time_is_found() {
    let temporal = |more: Value| {
        let mut split = json!({ "kind": "temporal", "time": "day", "cutoff": 60, "groups": "customer", "sizes": { "train": 0.7, "val": 0.3 } });
        split.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        split
    };
    assert_found_out(temporal(json!({ "oot_exclude": ["val"] })), temporal(json!({ "oot_exclude": ["train"] })), "oot");
}

#[test]
fn times_out_of_order_are_found() {
    let sizes = json!({ "old": 0.6, "new": 0.4 });
    let random = json!({ "kind": "random", "sizes": sizes });
    assert_found_out(random, json!({ "kind": "temporal_quantile", "time": "day", "sizes": sizes }), "time");
}
