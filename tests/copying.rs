//! A job that changes nothing copies row groups where their layout allows, and otherwise encodes them anew: the same rows.

mod common;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use common::table::read_parquet;
use common::{Place, chain, hashes, parts, plan, read_split, run, try_run};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use serde_json::{Value, json};

fn batch(first: usize, rows: usize) -> RecordBatch {
    let rows = || first..first + rows;
    let or_missing = |row: usize| !row.is_multiple_of(7);
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(rows().map(|row| row as i64).collect::<Int64Array>())),
        ("x", Arc::new(rows().map(|row| or_missing(row).then_some(row as f64 / 3.0)).collect::<Float64Array>())),
        (
            "city",
            Arc::new(rows().map(|row| or_missing(row).then(|| format!("Ort {}", row % 13))).collect::<StringArray>()),
        ),
        ("at", Arc::new(rows().map(|row| Some(row as i64 * 1_000_003)).collect::<TimestampMicrosecondArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn write(path: &Path, first: usize, row_groups: &[usize], compression: Compression) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch(0, 0).schema(), Some(properties)).unwrap();
    let mut at = first;
    for rows in row_groups {
        writer.write(&batch(at, *rows)).unwrap();
        writer.flush().unwrap();
        at += rows;
    }
    writer.close().unwrap();
}

/// Shards with these row groups; returns the rows.
fn shards(directory: &Path, shards: &[&[usize]], compression: Compression) -> usize {
    let mut first = 0;
    for (at, row_groups) in shards.iter().enumerate() {
        write(&directory.join(format!("{at}.parquet")), first, row_groups, compression);
        first += row_groups.iter().sum::<usize>();
    }
    first
}

fn recipe(place: &Place, shard_rows: usize) -> Value {
    json!({
        "input": { "path": place.text("data") },
        "split": { "kind": "none", "name": "all" },
        "output": { "path": place.text("out"), "shard_rows": shard_rows, "metadata": "none" },
    })
}

/// The bytes of every column chunk of a file.
fn chunks(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let groups = reader.metadata().row_groups().iter().filter(|group| group.num_rows() > 0);
    let ranges =
        groups.flat_map(|group| group.columns().iter().map(ColumnChunkMetaData::byte_range).collect::<Vec<_>>());
    ranges.map(|(start, length)| bytes[start as usize..(start + length) as usize].to_vec()).collect()
}

#[test]
fn row_groups_that_fit_are_copied_as_they_are() {
    let place = Place::new();
    let rows = shards(&place.path("data"), &[&[100, 100], &[], &[100], &[100, 50]], Compression::SNAPPY);
    run(&recipe(&place, 100));
    assert!(plan(&place.path("out")).copied);
    assert_eq!(read_split(&place.path("out"), "all"), batch(0, rows));
    let written: Vec<_> = parts(&place.path("out"), "all").iter().flat_map(|(path, _)| chunks(path)).collect();
    let read: Vec<_> = (0..4).flat_map(|at| chunks(&place.path(&format!("data/{at}.parquet")))).collect();
    assert_eq!(written, read);
    // What readers skip row groups by is kept.
    let (first, _) = &parts(&place.path("out"), "all")[0];
    let reader = SerializedFileReader::new(File::open(first).unwrap()).unwrap();
    assert_eq!(reader.metadata().row_group(0).column(0).statistics().unwrap().null_count_opt(), Some(0));
}

#[test]
fn statistics_do_not_hinder_and_a_state_without_them_says_so() {
    let place = Place::new();
    shards(&place.path("data"), &[&[100], &[100]], Compression::SNAPPY);
    let plain = recipe(&place, 100);
    run(&plain);
    let first = hashes(&place.path("out"));
    let mut described = plain.clone();
    described["output"]["metadata"] = "json".into();
    let report = common::job(&described).overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!(report.reused_shards, 0, "the first run looked at no value");
    assert!(plan(&place.path("out")).copied);
    let mut second = hashes(&place.path("out"));
    assert!(second.remove("metadata").is_some());
    assert_eq!(first, second);
    let report = common::job(&plain).overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!(report.reused_shards, 2, "more than is needed serves");
    assert_eq!(hashes(&place.path("out")), first);
}

#[test]
fn what_does_not_fit_is_encoded_anew() {
    let snappy = Compression::SNAPPY;
    type Change = fn(&mut Value);
    let cases: [(&str, &[&[usize]], Compression, Change); 7] = [
        ("another compression", &[&[100, 100]], Compression::UNCOMPRESSED, |_| {}),
        ("a part ends within a row group", &[&[100, 60, 40]], snappy, |recipe| {
            recipe["output"]["shard_rows"] = 120.into();
        }),
        ("many small row groups", &[&[20; 10]], snappy, |_| {}),
        ("a transform", &[&[100, 100]], snappy, |recipe| {
            recipe["transform"] = json!([{ "columns": "x", "op": "standard_scaler" }]);
        }),
        ("another type", &[&[100, 100]], snappy, |recipe| recipe["input"]["schema"] = json!({ "id": "float64" })),
        ("a label", &[&[100, 100]], snappy, |recipe| recipe["label"] = json!({ "column": "city" })),
        ("another format", &[&[100, 100]], snappy, |recipe| recipe["output"]["format"] = "csv".into()),
    ];
    for (what, layout, compression, change) in cases {
        let place = Place::new();
        shards(&place.path("data"), layout, compression);
        let mut recipe = recipe(&place, 100);
        change(&mut recipe);
        run(&recipe);
        assert!(!plan(&place.path("out")).copied, "{what}");
    }
}

#[test]
fn columns_in_another_order_are_encoded_anew() {
    let place = Place::new();
    shards(&place.path("data"), &[&[100]], Compression::SNAPPY);
    let turned = batch(100, 100).project(&[1, 0, 2, 3]).unwrap();
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = File::create(place.path("data/1.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, turned.schema(), Some(properties)).unwrap();
    writer.write(&turned).unwrap();
    writer.close().unwrap();
    run(&recipe(&place, 100));
    assert!(!plan(&place.path("out")).copied);
    assert_eq!(read_split(&place.path("out"), "all"), batch(0, 200));
}

#[test]
fn a_chunk_without_its_pages_is_an_error() {
    let place = Place::new();
    shards(&place.path("data"), &[&[100], &[100]], Compression::SNAPPY);
    let path = place.path("data/1.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let (start, length) = reader.metadata().row_group(0).column(1).byte_range();
    bytes[start as usize..(start + length) as usize].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let message = chain(&try_run(&recipe(&place, 100)).unwrap_err());
    assert!(message.contains("1.parquet") && message.contains("`x`"), "{message}");
    assert!(!place.path("out").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn copied_or_encoded_the_rows_are_the_same(
        layout in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![25_usize, 50, 100]), 0..5), 1..5),
        shard_rows in prop::sample::select(vec![25_usize, 50, 70, 100, 400]),
        single in any::<bool>(),
    ) {
        let place = Place::new();
        let layout: Vec<&[usize]> = layout.iter().map(Vec::as_slice).collect();
        let rows = shards(&place.path("data"), &layout, Compression::SNAPPY);
        let mut recipe = recipe(&place, shard_rows);
        if single {
            recipe["output"]["layout"] = "single".into();
        }
        run(&recipe);
        let output = place.path("out");
        prop_assert_eq!(read_split(&output, "all"), batch(0, rows));
        let batches: Vec<_> = parts(&output, "all").iter().map(|(path, _)| read_parquet(path)).collect();
        let by_part: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
        if !single {
            prop_assert!(by_part.iter().rev().skip(1).all(|rows| *rows == shard_rows), "{:?}", by_part);
        }
        prop_assert_eq!(concat_batches(&batches[0].schema(), &batches).unwrap().num_rows(), rows);
    }
}
