//! The kept records, what they are cut into, and how they were made.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use twopass::store::frame::HEADER_BYTES;
use xxhash_rust::xxh3::Xxh3;

use crate::common::run;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// The kept file of this name.
pub fn kept(name: &str) -> Vec<u8> {
    let path = directory().join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A framed record taken apart.
#[derive(Debug, Clone)]
pub struct Record {
    /// As it is stored.
    pub framed: Vec<u8>,
    /// Its payload, decompressed.
    pub payload: Vec<u8>,
}

/// The records of a kept file, in order.
pub fn records(name: &str) -> Vec<Record> {
    let bytes = kept(name);
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let stored = u64::from_le_bytes(rest[8..16].try_into().unwrap()) as usize;
        let (framed, after) = rest.split_at(HEADER_BYTES + stored);
        let payload = match framed[5] {
            0 => framed[HEADER_BYTES..].to_vec(),
            _ => zstd::decode_all(&framed[HEADER_BYTES..]).unwrap(),
        };
        records.push(Record { framed: framed.to_vec(), payload });
        rest = after;
    }
    records
}

/// The record of another payload, as sound as the first: magic, kind and version are `like`'s.
pub fn sealed(like: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut record = like[..8].to_vec();
    record[5] = 0;
    for length in [payload.len(), payload.len()] {
        record.extend_from_slice(&(length as u64).to_le_bytes());
    }
    let mut digest = Xxh3::new();
    digest.update(&record);
    digest.update(payload);
    record.extend_from_slice(&digest.digest128().to_le_bytes());
    record.extend_from_slice(payload);
    record
}

/// Every class of columns; with many rows, sets are sketches.
fn shard(path: &Path, rows: i64) {
    let ids = 0..rows;
    let ints: Int64Array = ids.clone().map(|id| (id % 7 != 0).then_some(id * 1_000_003 - 5)).collect();
    let floats = ids.clone().map(|id| [Some(0.1 * id as f64), None, Some(f64::NAN), Some(1e300)][id as usize % 4]);
    let texts: Vec<String> = ids.clone().map(|id| format!("note {id}")).collect();
    let zones = ids.clone().map(|id| [Some("north"), Some("south"), Some(""), None][id as usize % 4]);
    let labels = ids.clone().map(|id| [Some("yes"), Some("no"), Some("no"), None][id as usize / 3 % 4]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(ints)),
        ("small", Arc::new(ids.clone().map(|id| Some(id as u32 % 5)).collect::<UInt32Array>())),
        ("rate", Arc::new(floats.collect::<Float64Array>())),
        ("note", Arc::new(StringArray::from(texts))),
        ("zone", Arc::new(zones.collect::<StringArray>())),
        ("label", Arc::new(labels.collect::<StringArray>())),
        ("flag", Arc::new(ids.clone().map(|id| Some(id % 3 == 0)).collect::<BooleanArray>())),
        ("day", Arc::new(ids.clone().map(|id| Some(id as i32)).collect::<Date32Array>())),
        ("time", Arc::new(ids.clone().map(|id| Some(id << 20)).collect::<TimestampMicrosecondArray>())),
        ("bytes", Arc::new(ids.map(|id| Some(id.to_le_bytes())).collect::<BinaryArray>())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A job over two shards of so many rows below `root`, run: its state is `root/out.state`.
pub fn job(root: &Path, rows: [i64; 2]) -> Value {
    shard(&root.join("in/a.parquet"), rows[0]);
    shard(&root.join("in/b.parquet"), rows[1]);
    let recipe = json!({
        "input": { "path": root.join("in") },
        "label": { "column": "label" },
        "split": { "kind": "stratified", "stratify": ["label", "zone"], "key": "id" },
        "transform": [
            { "columns": "rate", "op": "simple_imputer", "add_indicator": true },
            { "columns": "rate", "op": "standard_scaler" },
            { "columns": "zone", "op": "ordinal_encoder", "encoded_missing_value": -1 },
            { "columns": ["flag", "small"], "op": "one_hot_encoder" },
        ],
        "output": { "path": root.join("out") },
        "run": { "threads": 2 },
    });
    run(&recipe);
    recipe
}

/// Below a relative path, so that no kept record names a machine's.
#[test]
#[ignore = "makes tests/fuzz/corpus new, after a change of a format"]
fn make_corpus() {
    let root = Path::new("target/fuzz");
    let _ = fs::remove_dir_all(root);
    job(root, [24, 1200]);
    let keep = |from: &Path, name: &str| assert!(fs::copy(from, directory().join(name)).unwrap() > 0);
    let state = root.join("out.state");
    keep(&state.join("identity"), "identity");
    keep(&state.join("plan"), "plan");
    keep(&root.join("out/_manifest.json"), "manifest.json");
    for entry in fs::read_dir(state.join("shards")).unwrap() {
        let path = entry.unwrap().path();
        let (serial, ending) = (&path.file_name().unwrap().to_str().unwrap()[4..5], path.extension().unwrap());
        keep(&path, &format!("shard-{serial}.{}", ending.to_str().unwrap()));
    }
    let index = sled::open(state.join("index")).unwrap();
    let events: Vec<u8> = index.iter().flat_map(|entry| entry.unwrap().1.to_vec()).collect();
    fs::write(directory().join("events"), events).unwrap();
    fs::remove_dir_all(root).unwrap();
}
