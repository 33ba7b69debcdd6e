//! Every plain type goes through untouched, and what is not plain is refused by name.

mod common;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, i256};
use common::{Place, chain, read_split, run, try_run};
use half::f16;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

/// Three values of every plain type, the second missing.
fn every_type() -> Vec<(&'static str, ArrayRef)> {
    fn of<A: Array + 'static>(array: A) -> ArrayRef {
        Arc::new(array)
    }
    let dictionary: DictionaryArray<Int32Type> = [Some("x"), None, Some("ü")].into_iter().collect();
    vec![
        ("bool", of(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("i8", of(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("i16", of(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)]))),
        ("i32", of(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("i64", of(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("u8", of(UInt8Array::from(vec![Some(0), None, Some(u8::MAX)]))),
        ("u16", of(UInt16Array::from(vec![Some(0), None, Some(u16::MAX)]))),
        ("u32", of(UInt32Array::from(vec![Some(0), None, Some(u32::MAX)]))),
        ("u64", of(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)]))),
        ("f16", of(Float16Array::from(vec![Some(f16::from_f32(0.5)), None, Some(f16::MAX)]))),
        ("f32", of(Float32Array::from(vec![Some(-0.0), None, Some(f32::MIN_POSITIVE)]))),
        ("f64", of(Float64Array::from(vec![Some(1e300), None, Some(-1e-300)]))),
        ("d128", of(Decimal128Array::from(vec![Some(-123), None, Some(5)]).with_precision_and_scale(10, 2).unwrap())),
        ("d256", {
            let values = vec![Some(i256::from_i128(i128::MAX)), None, Some(i256::from_i128(7))];
            of(Decimal256Array::from(values).with_precision_and_scale(50, 2).unwrap())
        }),
        ("text", of(StringArray::from(vec![Some("a,\"b\"\n"), None, Some("😀")]))),
        ("large", of(LargeStringArray::from(vec![Some("l"), None, Some("m")]))),
        ("view", of(StringViewArray::from(vec![Some("a text longer than twelve bytes"), None, Some("")]))),
        ("dictionary", of(dictionary)),
        ("binary", of(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None, Some(b"z")]))),
        ("large_binary", of(LargeBinaryArray::from(vec![Some(&b"q"[..]), None, Some(b"")]))),
        ("fixed", {
            let values = [Some(b"abcd"), None, Some(b"efgh")].into_iter();
            of(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 4).unwrap())
        }),
        ("date32", of(Date32Array::from(vec![Some(-1), None, Some(19_000)]))),
        ("date64", of(Date64Array::from(vec![Some(-86_400_000), None, Some(86_400_000)]))),
        ("time32s", of(Time32SecondArray::from(vec![Some(0), None, Some(86_399)]))),
        ("time32ms", of(Time32MillisecondArray::from(vec![Some(1), None, Some(2)]))),
        ("time64us", of(Time64MicrosecondArray::from(vec![Some(1), None, Some(2)]))),
        ("time64ns", of(Time64NanosecondArray::from(vec![Some(1), None, Some(2)]))),
        ("ts_s", of(TimestampSecondArray::from(vec![Some(-1), None, Some(1)]))),
        ("ts_ms", of(TimestampMillisecondArray::from(vec![Some(-1), None, Some(1)]))),
        ("ts_us", of(TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1)]))),
        ("ts_ns", of(TimestampNanosecondArray::from(vec![Some(-1), None, Some(1)]))),
        ("ts_utc", of(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1)]).with_timezone("UTC"))),
        (
            "ts_zone",
            of(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1)]).with_timezone("America/New_York")),
        ),
        ("duration", of(DurationMicrosecondArray::from(vec![Some(-5), None, Some(5)]))),
        ("null", of(NullArray::new(3))),
    ]
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn recipe(place: &Place, output: Value) -> Value {
    json!({ "input": { "path": place.text("in") }, "output": output, "run": { "state": place.text("state") } })
}

#[test]
fn every_plain_type_comes_out_as_it_went_in() {
    let place = Place::new();
    write(&place.path("in/a.parquet"), every_type());
    run(&recipe(&place, json!({ "path": place.text("out") })));
    let out = read_split(&place.path("out"), "data");
    for (name, array) in every_type() {
        let got = out.column_by_name(name).unwrap();
        let expected = match array.data_type() {
            DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) | DataType::Null => DataType::Utf8,
            DataType::LargeBinary => DataType::Binary,
            DataType::Date64 => DataType::Date32,
            same => same.clone(),
        };
        assert_eq!(got.as_ref(), cast(&array, &expected).unwrap().as_ref(), "{name}");
    }
}

#[test]
fn every_plain_type_but_raw_bytes_is_written_as_text() {
    for format in ["csv", "tsv", "jsonl"] {
        let place = Place::new();
        let columns = every_type().into_iter().filter(|(name, _)| !name.contains("binary") && *name != "fixed");
        write(&place.path("in/a.parquet"), columns.collect());
        run(&recipe(&place, json!({ "path": place.text("out"), "format": format })));
        let text = std::fs::read_to_string(place.path("out").join(format!("data/part-00000.{format}"))).unwrap();
        for shown in
            ["-9223372036854775808", "18446744073709551615", "-1.23", "😀", "1969-12-31", "1969-12-31T19:00:00"]
        {
            assert!(text.contains(shown), "{format} lacks {shown}: {text}");
        }
    }
}

#[test]
fn a_nested_column_is_refused_by_name() {
    let place = Place::new();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)])]);
    write(&place.path("in/a.parquet"), vec![("tags", Arc::new(list))]);
    let error = try_run(&recipe(&place, json!({ "path": place.text("out") }))).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(chain(&error).contains("shard a.parquet, column `tags`"), "{}", chain(&error));
}

#[test]
fn a_wider_type_in_another_shard_is_the_type_of_all() {
    let place = Place::new();
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    write(&place.path("in/a.parquet"), vec![("x", ints), ("y", Arc::new(StringArray::from(vec!["p", "q"])))]);
    write(&place.path("in/b.parquet"), vec![("x", floats)]);
    run(&recipe(&place, json!({ "path": place.text("out") })));
    let out = read_split(&place.path("out"), "data");
    assert_eq!(out.column(0).as_ref(), &Float64Array::from(vec![1.0, 2.0, 0.5]));
    assert_eq!(out.column(1).as_ref(), &StringArray::from(vec![Some("p"), Some("q"), None]));
}

#[test]
fn an_integer_that_a_float_would_round_is_told_not_rounded() {
    let place = Place::new();
    write(&place.path("in/a.parquet"), vec![("x", Arc::new(Int64Array::from(vec![1, (1 << 53) + 1])))]);
    write(&place.path("in/b.parquet"), vec![("x", Arc::new(Float64Array::from(vec![0.5])))]);
    let error = try_run(&recipe(&place, json!({ "path": place.text("out") }))).unwrap_err();
    assert!(chain(&error).starts_with("shard a.parquet, row 1, column `x`"), "{}", chain(&error));
}

#[test]
fn text_that_widens_late_is_read_under_the_wider_type_everywhere() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("in")).unwrap();
    let whole: String = (0..5000).map(|n| format!("{n}\n")).collect();
    std::fs::write(place.path("in/a.csv"), format!("x\n{whole}")).unwrap();
    std::fs::write(place.path("in/b.csv"), format!("x\n{whole}0.5\n")).unwrap();
    std::fs::write(place.path("in/c.csv"), "x\n").unwrap();
    std::fs::write(place.path("in/d.csv"), "").unwrap();
    let report = run(&recipe(&place, json!({ "path": place.text("out") })));
    assert_eq!((report.rows, report.shards), (10_001, 3));
    let out = read_split(&place.path("out"), "data");
    let expected = (0..5000).chain(0..5000).map(f64::from).chain([0.5]);
    assert_eq!(out.column(0).as_ref(), &Float64Array::from_iter_values(expected));
}
