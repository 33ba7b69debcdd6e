//! `input.signature` beside shards that have header lines, and shards that have none.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::common::{Place, job, manifest, run};
use crate::support::{bytes_of, fresh, into, laid_over, lines, put, recipe, refused};

#[test]
fn parts_are_read_again_by_the_signature_beside_them() {
    let place = Place::new();
    put(&place.path("in/a.csv"), "id,\"a b\",c\n1,\"x,\"\"y\n\",\n2,,0.5\n");
    put(&place.path("in/b.csv"), "id,\"a b\",c\n3,é,7\n");
    let plain = recipe(&place, &json!({}));
    run(&plain);
    for (format, compression) in [("csv", "none"), ("tsv", "none"), ("csv", "gzip"), ("tsv", "zstd")] {
        let first = json!({ "output": { "format": format, "compression": compression, "shard_rows": 2 } });
        let _ = std::fs::remove_dir_all(place.path("first"));
        let _ = std::fs::remove_dir_all(place.path("first.state"));
        run(&into(&place, &laid_over(&plain, &first), "first"));
        let input =
            json!({ "input": { "path": place.text("first/data"), "signature": place.text("first/signature") } });
        fresh(&place, &laid_over(&plain, &input), "second");
        let of = |out: &str| lines(&place.path(out), "data");
        assert_eq!(of("second"), of("out"), "{format} {compression}");
        assert_eq!(manifest(&place.path("second"))["schema"], manifest(&place.path("out"))["schema"]);
    }
}

/// Some shards with a header and some without; rows that widen late, and one shard that is a header alone.
fn shards(place: &Place) -> Value {
    for shard in 0..5 {
        let header = ["n,t\n", "", "\"n\" ,t\r\n", "\u{feff}\n n,\"t\"\n", ""][shard];
        let mut text = header.to_string();
        for row in 0..3000 {
            let n = if row == 2500 && shard == 2 { "0.5".to_string() } else { (shard * 10_000 + row).to_string() };
            let _ = writeln!(text, "{n},text {row}");
        }
        put(&place.path(&format!("in/{shard}.csv")), text);
    }
    put(&place.path("in/5.csv"), "n,t\n");
    put(&place.path("signature"), " n, t\n");
    recipe(place, &json!({ "input": { "signature": place.text("signature") } }))
}

#[test]
fn headers_are_no_rows_in_any_shard_at_any_time() {
    let place = Place::new();
    let signed = shards(&place);
    let expected = fresh(&place, &signed, "out");
    assert_eq!(lines(&place.path("out"), "data").len(), 15_000);
    assert_eq!(manifest(&place.path("out"))["schema"][0]["type"], "Float64");
    assert_eq!(manifest(&place.path("out"))["input"]["shards"], 6);
    for (threads, memory, mode) in [(1, "64MiB", "streaming"), (4, "1GiB", "in_memory")] {
        let run = json!({ "run": { "threads": threads, "memory": memory, "mode": mode } });
        assert_eq!(fresh(&place, &laid_over(&signed, &run), "again"), expected, "{threads} {memory} {mode}");
    }
    // Shard by shard into a state, and the second pass alone.
    let grown = into(&place, &signed, "grown");
    for shards in ["0", "[0-2]", "*"] {
        let path = json!({ "input": { "path": place.text(&format!("in/{shards}.csv")) } });
        job(&laid_over(&grown, &path)).scan(&twopass::observe::Silent).unwrap();
    }
    job(&grown).write(&twopass::observe::Silent).unwrap();
    assert_eq!(bytes_of(&place.path("grown")), expected);
}

#[test]
fn what_is_wrong_is_named_by_its_row_below_the_header() {
    let place = Place::new();
    let signed = shards(&place);
    put(&place.path("in/3.csv"), "n,t\n1,x\n2,y,z\n");
    let message = refused(&signed);
    assert!(message.starts_with("shard 3.csv, row 1: line 3: 3 fields, where the signature has 2"), "{message}");
    let skipping = laid_over(&signed, &json!({ "input": { "bad_rows": "skip" } }));
    fresh(&place, &skipping, "out");
    let skipped = std::fs::read_to_string(place.path("out/_skipped.jsonl")).unwrap();
    let row: Value = serde_json::from_str(skipped.trim()).unwrap();
    assert_eq!((&row["shard"], &row["row"], &row["line"]), (&json!("3.csv"), &json!(1), &json!(3)));
    // A first record that cannot be read is left out like any other.
    put(&place.path("in/3.csv"), "n,\"t\n1,x\n");
    fresh(&place, &skipping, "out");
    put(&place.path("in/3.csv"), "n,\"t\"\n1,x\n");
    let forced = laid_over(&signed, &json!({ "input": { "schema": { "n": "float64" } } }));
    fresh(&place, &forced, "out");
    assert_eq!(lines(&place.path("out"), "data").len(), 12_001);
}
