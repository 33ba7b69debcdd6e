//! What pandas reads of our outputs: `tests/pandas/read_outputs.py` holds every value against the table that was written.

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt64Type};
use common::table::write_shards;
use common::{Place, run};
use serde_json::{Value, json};

/// Rows over more than one block of text, so that compressed parts have more than one member.
const ROWS: usize = 4200;

const TEXTS: [&str; 24] = [
    "plain",
    "a,b",
    "a\tb",
    "a|b",
    "say \"so\"",
    "\"",
    "two\nlines",
    "\r\n",
    "\r",
    " leading",
    "trailing ",
    " ",
    "",
    "NA",
    "nan",
    "null",
    "007",
    "1e5",
    "true",
    "2024-01-01",
    "ü夜😀",
    "\u{feff}bom",
    "#no comment",
    "\\N",
];

/// A value of every row, missing in some.
fn some<T>(holes: bool, value: impl Fn(usize) -> T) -> Vec<Option<T>> {
    (0..ROWS).map(|row| (!holes || row % 7 != 3).then(|| value(row))).collect()
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let floats = [
        0.1,
        -0.0,
        1e300,
        f64::MIN_POSITIVE,
        f64::MAX,
        1.0 / 3.0,
        123_456_789.125,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let halves = |row: usize| row as f64 / 2.0;
    let small = |row: usize| row as i64 % 100 - 50;
    let wide = |row: usize| i64::MAX - row as i64;
    let text = |row: usize| TEXTS[row % TEXTS.len()];
    let micros = |row: usize| row as i64 * 86_399_999_983 - 5_000_000_000_000_000;
    let seconds = |row: usize| row as i64 * 86_399_000_000;
    vec![
        ("row", Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
        ("small", Arc::new(Int64Array::from(some(false, small)))),
        ("small with holes", Arc::new(Int64Array::from(some(true, small)))),
        ("wide,with a comma", Arc::new(Int64Array::from(some(false, wide)))),
        ("wide|with a pipe", Arc::new(Int64Array::from(some(true, wide)))),
        ("unsigned", Arc::new(UInt64Array::from_iter_values((0..ROWS as u64).map(|row| u64::MAX - row)))),
        ("float \"quoted\"", Arc::new(Float64Array::from(some(true, |row| floats[row % floats.len()])))),
        ("halves", Arc::new(Float64Array::from(some(false, halves)))),
        ("halves with holes", Arc::new(Float64Array::from(some(true, halves)))),
        ("flag", Arc::new(BooleanArray::from(some(false, |row| row % 3 == 0)))),
        ("flag with holes", Arc::new(BooleanArray::from(some(true, |row| row % 3 == 0)))),
        (" text", Arc::new(StringArray::from(some(false, text)))),
        ("text,|\"with holes", Arc::new(StringArray::from(some(true, text)))),
        ("digits", Arc::new(StringArray::from(some(true, |row| format!("{row:05}"))))),
        ("day", Arc::new(Date32Array::from(some(true, |row| row as i32 * 17 - 20_000)))),
        ("time", Arc::new(TimestampMicrosecondArray::from(some(true, micros)))),
        ("instant", Arc::new(TimestampMicrosecondArray::from(some(false, seconds)).with_timezone("UTC"))),
        ("nothing", Arc::new(Int64Array::from(vec![None; ROWS]))),
        ("no text", Arc::new(StringArray::from(vec![None::<&str>; ROWS]))),
        ("日本", Arc::new(Int64Array::from(some(true, small)))),
    ]
}

/// The columns as the script takes them.
fn expected(columns: &[(&str, ArrayRef)]) -> Value {
    let column = |(name, array): &(&str, ArrayRef)| {
        let (kind, values): (&str, Vec<Value>) = match array.data_type() {
            DataType::Int64 => ("int", array.as_primitive::<Int64Type>().iter().map(|v| json!(v)).collect()),
            DataType::UInt64 => ("uint", array.as_primitive::<UInt64Type>().iter().map(|v| json!(v)).collect()),
            DataType::Float64 => {
                ("float", array.as_primitive::<Float64Type>().iter().map(|v| json!(v.map(hex))).collect())
            }
            DataType::Boolean => ("bool", array.as_boolean().iter().map(|v| json!(v)).collect()),
            DataType::Utf8 => ("text", array.as_string::<i32>().iter().map(|v| json!(v)).collect()),
            DataType::Date32 => ("date", array.as_primitive::<Date32Type>().iter().map(|v| json!(v)).collect()),
            DataType::Timestamp(_, zone) => {
                let values = array.as_primitive::<TimestampMicrosecondType>().iter().map(|v| json!(v)).collect();
                (if zone.is_some() { "zoned" } else { "time" }, values)
            }
            other => panic!("{other} has no kind"),
        };
        json!({ "name": name, "kind": kind, "type": array.data_type().to_string(), "values": values })
    };
    columns.iter().map(column).collect()
}

/// A float as `float.fromhex` reads it: all its bits.
fn hex(value: f64) -> String {
    let bits = value.to_bits();
    let (sign, exponent, mantissa) =
        (if bits >> 63 == 1 { "-" } else { "" }, bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
    match exponent {
        0x7ff if mantissa > 0 => "nan".into(),
        0x7ff => format!("{sign}inf"),
        0 => format!("{sign}0x0.{mantissa:013x}p-1022"),
        _ => format!("{sign}0x1.{mantissa:013x}p{}", exponent as i64 - 1023),
    }
}

#[test]
fn a_data_type_with_a_comma_is_quoted_in_mods() {
    let place = Place::in_memory();
    let instants: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC"));
    write_shards(&place.path("in"), &RecordBatch::try_from_iter([("at", instants)]).unwrap(), &[], 10);
    run(&json!({ "input": { "path": place.text("in") }, "output": { "path": place.text("out"), "metadata": "mods" } }));
    let mods = std::fs::read_to_string(place.path("out/metadata")).unwrap();
    assert_eq!(mods, "varname,iscategory,datatype\nat,false,|datetime64[ns, UTC]|\n");
}

#[test]
#[ignore = "needs python3 with pandas and pyarrow"]
fn pandas_reads_every_value_of_every_format() {
    let place = Place::new();
    let columns = columns();
    let named = columns.iter().map(|(name, array)| (*name, Arc::clone(array), true));
    write_shards(&place.path("in"), &RecordBatch::try_from_iter_with_nullable(named).unwrap(), &[2500], 700);
    std::fs::write(place.path("expected.json"), expected(&columns).to_string()).unwrap();
    let outputs = [
        ("csv", json!({ "format": "csv" })),
        ("csv-parts", json!({ "format": "csv", "shard_rows": 1234, "compression": "gzip" })),
        ("tsv", json!({ "format": "tsv" })),
        ("jsonl", json!({ "format": "jsonl", "compression": "gzip" })),
        ("parquet", json!({ "format": "parquet", "shard_rows": 1234 })),
        ("parquet-single", json!({ "format": "parquet", "layout": "single", "compression": "zstd" })),
        ("parquet-narrow", json!({ "format": "parquet", "shard_rows": 1234, "narrow": true })),
    ];
    for (name, output) in &outputs {
        let mut output = output.clone();
        (output["path"], output["metadata"]) = (json!(place.text(name)), json!("mods"));
        run(
            &json!({ "input": { "path": place.text("in") }, "output": output, "run": { "state": place.text("state") } }),
        );
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pandas/read_outputs.py");
    let python = std::env::var("TWOPASS_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(&python);
    command.arg(script).arg(place.path("expected.json")).args(outputs.iter().map(|(name, _)| place.path(name)));
    let ran = command.output().unwrap_or_else(|e| panic!("{python}: {e}; TWOPASS_PYTHON names another"));
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
}
