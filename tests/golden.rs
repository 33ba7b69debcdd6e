//! Frozen facts: the hash contract, and every kind of file that an output has, for one little table.
//!
//! The hash contract never changes: another contract has another name. What a file holds may change with a version of
//! twopass, and with an encoder underneath. Then look at what differs, raise `FORMAT` of the manifest if its readers must
//! know, say so in CHANGELOG.md, and renew: the failing test says where the new file is, or what its SHA-256 is.
//! The version and the fingerprint of the plan are part of some bytes; they are blanked where the file is text.

mod common;

use std::path::{Path, PathBuf};

use common::{Place, csv, hashes, plan, run, sha256};
use serde_json::{Value, json};
use twopass::hash;

use arrow::array::*;

fn fields(array: &dyn Array) -> Vec<u64> {
    let mut out = Vec::new();
    hash::fields(array, &mut out).unwrap();
    out
}

/// Computed by another implementation of XXH3: tests/fixtures/golden/make_golden.py.
#[test]
fn the_hash_contract_is_frozen() {
    const A: u64 = 16629034431890738719;
    const MISSING: u64 = 5604079703740606211;
    assert_eq!(hash::CONTRACT, "xxh3-v1");
    assert_eq!(hash::missing(), MISSING);
    let text = StringArray::from(vec![Some("a"), Some(""), None, Some("é")]);
    assert_eq!(fields(&text), [A, 3244421341483603138, MISSING, 17839895020865391795]);
    assert_eq!(fields(&Int16Array::from(vec![-12])), [2729312519530553772]);
    assert_eq!(
        fields(&Float64Array::from(vec![-12.0, 1.5, f64::NAN])),
        [2729312519530553772, 4395630882975600878, MISSING]
    );
    assert_eq!(fields(&BooleanArray::from(vec![true])), [4664556114322093609]);
    assert_eq!(fields(&Date32Array::from(vec![1])), [5146957051230975321]);
    assert_eq!(fields(&TimestampMillisecondArray::from(vec![86_400_000])), [5146957051230975321]);
    assert_eq!(hash::combine(&[vec![1], vec![2]]), [571542372673154031]);
    let seven = fields(&UInt8Array::from(vec![7]));
    assert_eq!(hash::combine(&[vec![A], vec![MISSING], seven]), [7389606303284638429]);
    assert_eq!(hash::of_positions("part-00000.parquet", 0..2), [12173972927764721519, 17594788811684258571]);
    assert_eq!((hash::rank(1, 0), hash::rank(1, 42)), (3439722301264460078, 16405722695416140795));
}

fn golden() -> PathBuf {
    csv::fixtures().join("golden")
}

/// Two splits of twelve rows with everything in them: scaled, imputed, encoded and untouched columns, missing values,
/// quotes, text beyond ASCII.
fn write(place: &Place, output: &[(&str, &str)]) -> PathBuf {
    let mut recipe = json!({
        "input": { "path": [golden().join("a.parquet"), golden().join("b.parquet")] },
        "label": { "column": "label" },
        "split": { "kind": "stratified", "key": "id", "sizes": { "train": 0.75, "test": 0.25 } },
        "transform": [
            { "columns": "rate", "op": "simple_imputer", "add_indicator": true },
            { "columns": "rate", "op": "standard_scaler" },
            { "columns": "flag", "op": "one_hot_encoder" },
        ],
        "output": { "path": place.text("out"), "shard_rows": 5 },
    });
    for (key, value) in output {
        recipe["output"][*key] = json!(value);
    }
    run(&recipe);
    place.path("out")
}

/// Compares with the files of these names in `expected/`; those that differ are left as they are now, for a look.
#[track_caller]
fn assert_golden(files: &[(&str, String)]) {
    let directory = golden().join("expected");
    let is_right =
        |(name, got): &&(&str, String)| std::fs::read_to_string(directory.join(name)).is_ok_and(|right| right == *got);
    let mut left = Vec::new();
    for (name, got) in files.iter().filter(|file| !is_right(file)) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, got).unwrap();
        left.push(path);
    }
    let directory = directory.display();
    assert!(left.is_empty(), "compare {left:?} with {directory}, and copy them there if they are right");
}

#[test]
fn the_splits_of_the_little_table_are_frozen() {
    let place = Place::new();
    let out = write(&place, &[]);
    let rows = |split: &str| {
        let batch = common::read_split(&out, split);
        batch.column_by_name("id").unwrap().as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
    };
    assert_eq!(rows("train"), TRAIN);
    assert_eq!(rows("test"), TEST);
}

const TRAIN: [i64; 8] = [2, 3, 4, 6, 8, 9, 10, 12];
const TEST: [i64; 3] = [1, 7, 11];

/// The version of twopass and of parquet are in the bytes: renewed with them.
#[test]
fn the_bytes_of_parquet_parts_are_frozen() {
    let place = Place::new();
    let hashes = hashes(&write(&place, &[]));
    let parts: Vec<(&str, &str)> =
        hashes.iter().filter(|(name, _)| name.contains('/')).map(|(n, h)| (n.as_str(), h.as_str())).collect();
    assert_eq!(parts, PARQUET);
}

const PARQUET: [(&str, &str); 3] = [
    ("test/part-00000.parquet", "0bd5e412cac5836ab584044491d1932e26f6004d6a3791e7d8ed8b2762e82427"),
    ("train/part-00000.parquet", "6b07f3f632154e3fb8c778baf1350bc684496295a95ea320bc28782cdce2518c"),
    ("train/part-00001.parquet", "0028e0c093800581dd6b6a170c8f3e2fa42573d83bd8c610c3973493c20ddee5"),
];

#[test]
fn the_bytes_of_text_parts_are_frozen() {
    let text = |format: &str| {
        let place = Place::new();
        let out = write(&place, &[("format", format), ("layout", "single")]);
        std::fs::read_to_string(out.join(format!("train/train_processed_data.{format}"))).unwrap()
    };
    assert_golden(&[("train.csv", text("csv")), ("train.tsv", text("tsv")), ("train.jsonl", text("jsonl"))]);
}

/// Renewed when the encoder underneath gives other bytes for the same text.
#[test]
fn the_bytes_of_compressed_text_are_frozen() {
    let compressed = ["gzip", "zstd"].map(|compression| {
        let place = Place::new();
        let out = write(&place, &[("format", "csv"), ("layout", "single"), ("compression", compression)]);
        let extension = if compression == "gzip" { "gz" } else { "zst" };
        sha256(&std::fs::read(out.join(format!("train/train_processed_data.csv.{extension}"))).unwrap())
    });
    assert_eq!(compressed, COMPRESSED);
}

const COMPRESSED: [&str; 2] = [
    "432fe241a4426c6a3a6420643e678362bd3ad9744a86e93c9ee239fbc5055678",
    "0c578f5a2415fb428e27a8cb6c866757ccae4c85913c79a1c00de5dd93f478e3",
];

#[test]
fn the_manifest_is_frozen() {
    let place = Place::new();
    let out = write(&place, &[("format", "csv")]);
    let mut manifest = common::manifest(&out);
    assert_eq!(manifest["twopass"], env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest["fingerprint"], plan(&out).fingerprint);
    for (section, key) in [("recipe", "input"), ("recipe", "output")] {
        manifest[section][key]["path"] = json!("PATH");
    }
    manifest["twopass"] = json!("VERSION");
    manifest["fingerprint"] = json!("FINGERPRINT");
    assert_golden(&[("manifest.json", pretty(&manifest))]);
    assert_eq!(std::fs::read(out.join("_SUCCESS")).unwrap(), b"");
}

#[test]
fn metadata_and_signature_are_frozen() {
    let place = Place::new();
    let out = write(&place, &[]);
    let metadata = pretty(&common::json(&out.join("metadata")));
    let signature = std::fs::read_to_string(out.join("signature")).unwrap();
    let place = Place::new();
    let mods = std::fs::read_to_string(write(&place, &[("metadata", "mods")]).join("metadata")).unwrap();
    assert_golden(&[("metadata.json", metadata), ("signature", signature), ("metadata.mods", mods)]);
    let place = Place::new();
    assert!(!write(&place, &[("metadata", "none")]).join("metadata").exists());
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}
