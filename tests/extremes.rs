//! Tables that are very wide, or in very many shards.

mod common;

use std::fs;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use common::table::write_shard;
use common::{Place, manifest, run};
use serde_json::json;

/// Files that the program may have open, where there are many times as many shards.
const OPEN_FILES: u32 = 64;

#[test]
fn a_thousand_shards_are_never_open_together() {
    let place = Place::new();
    for shard in 0..1000_i64 {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![2 * shard, 2 * shard + 1]));
        let path = place.path(&format!("in/{shard:04}"));
        if shard % 2 == 0 {
            write_shard(&path.with_extension("parquet"), &RecordBatch::try_from_iter([("id", ids)]).unwrap(), &[2]);
        } else {
            fs::write(path.with_extension("csv"), format!("id\n{}\n{}\n", 2 * shard, 2 * shard + 1)).unwrap();
        }
    }
    let program = env!("CARGO_BIN_EXE_twopass");
    let line =
        format!("ulimit -n {OPEN_FILES}; exec {program} run -i in -o out --split random --key id -q --progress none");
    let output = Command::new("sh").current_dir(place.path("")).args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(manifest(&place.path("out"))["input"]["rows"], json!(2000));
}

#[test]
fn two_thousand_columns_are_the_same_from_parquet_and_csv() {
    let place = Place::new();
    let rows = 50;
    let number = |column: usize, row: usize| (column * 31 + row * 17) as f64 / 8.0 + 0.0625;
    let names: Vec<String> = (0..2000).map(|column| format!("c{column}")).collect();
    let columns = (0..names.len()).map(|column| -> ArrayRef {
        Arc::new((0..rows).map(|row| Some(number(column, row))).collect::<Float64Array>())
    });
    let batch = RecordBatch::try_from_iter_with_nullable(names.iter().zip(columns).map(|(n, c)| (n, c, true))).unwrap();
    write_shard(&place.path("parquet/a.parquet"), &batch, &[rows]);
    let line = |row: usize| (0..names.len()).map(|c| number(c, row).to_string()).collect::<Vec<_>>().join(",") + "\n";
    fs::create_dir(place.path("csv")).unwrap();
    let text: String = (0..rows).map(line).collect();
    fs::write(place.path("csv/a.csv"), format!("{}\n{text}", names.join(","))).unwrap();
    let written = ["parquet", "csv"].map(|input| {
        let output = place.path(&format!("out_{input}"));
        run(&json!({
            "input": { "path": place.text(input) },
            "transform": [{ "columns": "*", "op": "standard_scaler" }],
            "output": { "path": output },
        }));
        let mut hashes = common::hashes(&output);
        // It describes the input, whose types are those of Parquet or of text.
        hashes.remove("metadata");
        hashes
    });
    assert_eq!(written[0], written[1]);
}
