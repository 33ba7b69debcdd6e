//! `label.integer`, and a label that is not there.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float16Array, Float32Array, Float64Array, Int64Array, RecordBatch, UInt64Array,
};
use arrow::datatypes::Float16Type;
use serde_json::{Value, json};

use crate::common::{Place, chain, job, manifest, run, try_run};
use crate::support::{bytes_of, fresh, into, laid_over, lines, put, recipe, refused, verified};

fn whole() -> Value {
    json!({ "label": { "column": "y", "integer": true } })
}

fn write(place: &Place, name: &str, label: ArrayRef) {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..label.len() as i64));
    let batch = RecordBatch::try_from_iter([("id", id), ("y", label)]).unwrap();
    crate::common::table::write_shard(&place.path(name), &batch, &[2]);
}

/// The labels that come out, their type, and how many rows had none.
fn labels(place: &Place, out: &str) -> (Vec<String>, String, u64) {
    let manifest = manifest(&place.path(out));
    let of =
        |line: &String| serde_json::from_str::<Value>(line).unwrap().get("y").cloned().unwrap_or_default().to_string();
    let schema = manifest["schema"].as_array().unwrap();
    let label = schema.iter().find(|column| column["name"] == "y").unwrap();
    let dropped = manifest["dropped"]["missing_label"].as_u64().unwrap_or_default();
    (lines(&place.path(out), "data").iter().map(of).collect(), label["type"].as_str().unwrap().into(), dropped)
}

#[test]
fn numbers_that_are_whole_become_integers_whatever_their_type() {
    let half = <Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native::from_f32;
    let decimal = Decimal128Array::from(vec![Some(100), Some(-700), None]).with_precision_and_scale(12, 2).unwrap();
    let cases: Vec<(ArrayRef, &[&str], u64)> = vec![
        (
            Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::NAN), Some(-0.0), Some(-3e15)])),
            &["1", "0", "-3000000000000000"],
            2,
        ),
        (Arc::new(Float32Array::from(vec![Some(f32::NAN), Some(2.0)])), &["2"], 1),
        (Arc::new(Float16Array::from(vec![Some(half(5.0)), Some(half(f32::NAN)), None])), &["5"], 2),
        (Arc::new(decimal), &["1", "-7"], 1),
        (Arc::new(UInt64Array::from(vec![Some(i64::MAX as u64), Some(0)])), &["9223372036854775807", "0"], 0),
        (Arc::new(Int64Array::from(vec![Some(i64::MIN), None])), &["-9223372036854775808"], 1),
    ];
    for (array, expected, dropped) in cases {
        let place = Place::new();
        let told = format!("{:?}", array.data_type());
        write(&place, "in/a.parquet", array);
        run(&recipe(&place, &whole()));
        let expected = expected.iter().map(ToString::to_string).collect();
        assert_eq!(labels(&place, "out"), (expected, "Int64".to_string(), dropped), "{told}");
        verified(&place.path("out"));
    }
}

#[test]
fn a_number_that_is_no_integer_is_named_by_shard_row_and_column() {
    let cases: Vec<(ArrayRef, &str)> = vec![
        (
            Arc::new(Float64Array::from(vec![1.0, 2.0, 1.5, 0.5])),
            "row 2, column `y`: label.integer: `1.5` is not a whole number",
        ),
        (Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY])), "row 1, column `y`: label.integer: `inf` is"),
        (
            Arc::new(Float64Array::from(vec![9_223_372_036_854_775_808.0])),
            "row 0, column `y`: label.integer: `9.223372036854776e18` is",
        ),
        (Arc::new(UInt64Array::from(vec![1, u64::MAX])), "row 1, column `y`: label.integer: `18446744073709551615` is"),
        (
            Arc::new(Decimal128Array::from(vec![100, 150]).with_precision_and_scale(5, 2).unwrap()),
            "row 1, column `y`: label.integer: `1.50` is",
        ),
    ];
    for (array, says) in cases {
        let place = Place::new();
        write(&place, "in/a.parquet", array);
        let message = refused(&recipe(&place, &whole()));
        assert!(message.starts_with(&format!("shard a.parquet, {says}")), "{message}");
        assert!(message.contains("set label.integer = false"), "{message}");
        // As it is, it is no error.
        run(&recipe(&place, &json!({ "label": { "column": "y" } })));
    }
}

#[test]
fn texts_and_truths_are_mapped_and_nothing_at_all_is_text() {
    let mapped = |csv: &str| {
        let place = Place::new();
        put(&place.path("in/a.csv"), csv);
        run(&recipe(&place, &whole()));
        let bytes = bytes_of(&place.path("out")).0;
        run(&into(&place, &recipe(&place, &json!({ "label": { "column": "y" } })), "plain"));
        assert_eq!(bytes, bytes_of(&place.path("plain")).0);
        labels(&place, "out")
    };
    let of = |found: &[&str], dropped| (found.iter().map(ToString::to_string).collect(), "Int64".to_string(), dropped);
    assert_eq!(mapped("x,y\n1,b\n2,a\n3,\n"), of(&["1", "0"], 1));
    assert_eq!(mapped("x,y\n1,true\n2,false\n"), of(&["1", "0"], 0));
    assert_eq!(mapped("x,y\n1,7\n2,-3\n"), of(&["7", "-3"], 0));
    let place = Place::new();
    put(&place.path("in/a.csv"), "x,y\n1,\n2,NA\n");
    for keys in [whole(), json!({ "label": { "column": "y" } })] {
        let error = chain(&try_run(&recipe(&place, &keys)).unwrap_err());
        assert!(error.contains("no row has a label"), "{error}");
    }
}

#[test]
fn types_that_widen_while_shards_are_read_change_the_label_for_all() {
    let place = Place::new();
    let rows =
        |label: &dyn Fn(usize) -> String| (0..3000).map(|row| format!("{row},{}\n", label(row))).collect::<String>();
    let shard = |label: &dyn Fn(usize) -> String| format!("id,y\n{}", rows(label));
    put(&place.path("in/a.csv"), shard(&|_| String::new()));
    put(&place.path("in/b.csv"), shard(&|row| (row % 3).to_string()));
    put(&place.path("in/c.csv"), shard(&|row| if row < 2000 { (row % 3).to_string() } else { "2.0".into() }));
    let keys = json!({
        "split": { "kind": "stratified", "key": "id", "sizes": { "data": 0.8, "rest": 0.2 } },
        "transform": [{ "op": "standard_scaler", "columns": "id" }],
    });
    let recipe = laid_over(&recipe(&place, &whole()), &keys);
    let expected = fresh(&place, &recipe, "out");
    assert_eq!((labels(&place, "out").1, labels(&place, "out").2), ("Int64".to_string(), 3000));
    let strata = manifest(&place.path("out"))["splits"]["data"]["strata"].clone();
    assert_eq!(strata.as_object().unwrap().keys().collect::<Vec<_>>(), ["0", "1", "2"]);
    verified(&place.path("out"));
    for (threads, mode) in [(1, "streaming"), (4, "in_memory")] {
        let run = json!({ "run": { "threads": threads, "mode": mode } });
        assert_eq!(fresh(&place, &laid_over(&recipe, &run), "again"), expected, "{threads} {mode}");
    }
    // One more shard makes it text, and then it is mapped; without it, it is a number again.
    put(&place.path("in/d.csv"), "id,y\n1,x\n");
    let grown = into(&place, &recipe, "again");
    job(&grown).overwriting(true).run(&twopass::observe::Silent).unwrap();
    let strata = manifest(&place.path("again"))["splits"]["data"]["strata"].clone();
    assert_eq!(strata.as_object().unwrap().keys().collect::<Vec<_>>(), ["0", "1", "2", "2.0", "x"]);
    std::fs::remove_file(place.path("in/d.csv")).unwrap();
    job(&grown).overwriting(true).run(&twopass::observe::Silent).unwrap();
    let (again, expected) = (bytes_of(&place.path("again")), expected);
    assert_eq!(again.0, expected.0);
}

#[test]
fn a_state_that_was_made_without_it_is_gone_on_from() {
    let place = Place::new();
    write(&place, "in/a.parquet", Arc::new(Float64Array::from(vec![0.0, 1.0, 1.0, f64::NAN])));
    write(&place, "in/b.parquet", Arc::new(Float64Array::from(vec![0.0, 1.0])));
    let plain = recipe(&place, &json!({ "label": { "column": "y" } }));
    let expected = fresh(&place, &laid_over(&plain, &whole()), "out");
    run(&into(&place, &plain, "again"));
    let again = into(&place, &laid_over(&plain, &whole()), "again");
    job(&again).overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!(bytes_of(&place.path("again")), expected);
    // And once it was made so, nothing is read again.
    let report = job(&again).overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!(report.reused_shards, 2);
}

#[test]
fn a_label_that_is_made_renamed_or_dropped_is_whole_too() {
    let place = Place::new();
    put(&place.path("in/a.csv"), "p,q,r\n1.0,0,\n0,1,2.0\n,,\n");
    let keys = json!({
        "label": { "column": "y", "integer": true },
        "transform": [{ "op": "row_max", "columns": ["p", "q", "r"], "into": "m" }, { "op": "rename", "names": { "m": "y" } }],
    });
    run(&recipe(&place, &keys));
    assert_eq!(labels(&place, "out"), (vec!["1".to_string(), "2".to_string()], "Int64".to_string(), 1));
    verified(&place.path("out"));
    let keys = json!({
        "label": { "column": "p", "integer": true },
        "split": { "kind": "stratified", "sizes": { "data": 1.0 } },
        "transform": [{ "op": "drop", "columns": "p" }, { "op": "concat", "columns": ["q", "r"], "into": "c", "missing": "-" }],
    });
    fresh(&place, &recipe(&place, &keys), "out");
    let strata = manifest(&place.path("out"))["splits"]["data"]["strata"].clone();
    assert_eq!(strata, json!({ "0": 1, "1": 1 }));
}

#[test]
fn a_label_that_is_not_there_is_told_with_the_columns_as_python_lists_them() {
    let place = Place::new();
    put(&place.path("in/a.csv"), "x,it's,\"a \"\"b\"\" c'd\"\n1,2,3\n");
    let message = refused(&recipe(&place, &json!({ "label": { "column": "y" } })));
    assert!(
        message.contains("Label field 'y' not found in columns: ['x', \"it's\", 'a \"b\" c\\'d'], did you mean"),
        "{message}"
    );
    let names: Vec<String> = (0..23).map(|at| format!("c{at:02}")).collect();
    put(&place.path("in/a.csv"), format!("{}\n{}\n", names.join(","), vec!["1"; 23].join(",")));
    let message = refused(&recipe(&place, &json!({ "label": { "column": "label", "integer": true } })));
    let (_, list) = message.split_once("Label field 'label' not found in columns: ").unwrap();
    assert!(list.starts_with("['c00', 'c01', ") && list.ends_with("'c19', … and 3 more]"), "{list}");
}
