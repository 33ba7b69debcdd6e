//! Parquet files that other systems wrote (`tests/fixtures/parquet`, with the scripts that made them), read as these
//! systems read them themselves: every value, type and null.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use common::{Place, hashes, json, manifest, plan, run};
use serde_json::{Value, json};
use twopass::schema;
use twopass::source::{Chunk, Opened, SourceOptions, discover};
use twopass::spec::{Input, OneOrMany};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet")
}

/// The columns of a shard, or of a directory with one, as arrays of their plain types.
fn read(path: &Path) -> (SchemaRef, Vec<ArrayRef>) {
    let input = Input { path: OneOrMany::One(path.to_str().unwrap().into()), ..Input::default() };
    let shards = discover::shards(&input).unwrap().shards;
    assert_eq!(shards.len(), 1, "{}: what the system leaves beside its file is passed over", path.display());
    let opened = Opened::open(&shards[0], &SourceOptions::default(), None).unwrap();
    let fields = opened.fields();
    // A column of nulls stays one.
    let schema = schema::unify([("it", &fields)], &input).unwrap();
    let Opened::Parquet(parquet) = opened else { panic!("{}: no Parquet", path.display()) };
    let column = |at: usize| {
        let mut arrays = vec![arrow::array::new_empty_array(schema.field(at).data_type())];
        for range in parquet.chunks(u64::MAX, usize::MAX) {
            let mut keep = |_, array: ArrayRef| {
                arrays.push(cast(&array, schema.field(at).data_type()).unwrap());
                Ok(())
            };
            Chunk::RowGroup(range).for_each_array(&schema, at, &mut keep).unwrap();
        }
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        arrow::compute::concat(&arrays).unwrap()
    };
    let columns = (0..schema.fields().len()).map(column).collect();
    (schema, columns)
}

/// A type as pyarrow prints it.
fn type_name(data_type: &DataType) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Float16 => "halffloat".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Utf8 => "string".into(),
        DataType::Date32 => "date32[day]".into(),
        DataType::FixedSizeBinary(bytes) => format!("fixed_size_binary[{bytes}]"),
        DataType::Time32(u) => format!("time32[{}]", unit(u)),
        DataType::Time64(u) => format!("time64[{}]", unit(u)),
        DataType::Duration(u) => format!("duration[{}]", unit(u)),
        DataType::Timestamp(u, None) => format!("timestamp[{}]", unit(u)),
        DataType::Timestamp(u, Some(zone)) => format!("timestamp[{}, tz={zone}]", unit(u)),
        DataType::Decimal128(precision, scale) => format!("decimal128({precision}, {scale})"),
        DataType::Decimal256(precision, scale) => format!("decimal256({precision}, {scale})"),
        other => other.to_string().to_lowercase(),
    }
}

/// A value as the scripts write it.
fn value(array: &ArrayRef, row: usize) -> Value {
    let in_nanoseconds = |unit: &TimeUnit| {
        let number = cast(array, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(row);
        let unit = match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        };
        json!((i128::from(number) * unit).to_string())
    };
    let hexadecimal = |bytes: &[u8]| json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    match array.data_type() {
        // A column of nulls alone has no bitmap of them.
        DataType::Null => Value::Null,
        _ if array.is_null(row) => Value::Null,
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Timestamp(unit, _) | DataType::Duration(unit) | DataType::Time64(unit) => in_nanoseconds(unit),
        DataType::Time32(unit) => {
            let wide = cast(array, &DataType::Int32).unwrap();
            value(&cast(&cast(&wide, &DataType::Int64).unwrap(), &DataType::Duration(*unit)).unwrap(), row)
        }
        DataType::Date32 => value(&cast(array, &DataType::Int32).unwrap(), row),
        DataType::Binary => hexadecimal(array.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => hexadecimal(array.as_fixed_size_binary().value(row)),
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        float if float.is_floating() => {
            let number = cast(array, &DataType::Float64).unwrap().as_primitive::<Float64Type>().value(row);
            json!(format!("{number:?}"))
        }
        _ => {
            let text = ArrayFormatter::try_new(array, &FormatOptions::new()).unwrap().value(row).to_string();
            if array.data_type().is_integer() { serde_json::from_str(&text).unwrap() } else { json!(text) }
        }
    }
}

/// The expected value in the same form: Python writes other floats the long way.
fn expected(data_type: &str, value: &Value) -> Value {
    match value {
        Value::String(number) if ["double", "float", "halffloat"].contains(&data_type) => {
            json!(format!("{:?}", number.parse::<f64>().unwrap()))
        }
        other => other.clone(),
    }
}

fn reads_as_the_system_itself(system: &str) {
    let files = json(&directory().join(format!("{system}.json")));
    for (name, file) in files.as_object().unwrap() {
        let (schema, columns) = read(&directory().join(name));
        let described = file["columns"].as_array().unwrap();
        assert_eq!(schema.fields().len(), described.len(), "{name}");
        for ((field, array), described) in schema.fields().iter().zip(&columns).zip(described) {
            let place = format!("{name}, column {}", field.name());
            assert_eq!(described["name"], json!(field.name()), "{place}");
            let data_type = described["type"].as_str().unwrap();
            assert_eq!(type_name(array.data_type()), data_type, "{place}");
            let values = described["values"].as_array().unwrap();
            assert_eq!(array.len(), values.len(), "{place}");
            for (row, wanted) in values.iter().enumerate() {
                let (found, wanted) = (value(array, row), expected(data_type, wanted));
                assert_eq!(found, wanted, "{place}, row {row}");
            }
        }
    }
}

#[test]
fn files_of_pyarrow_and_pandas_have_their_values() {
    reads_as_the_system_itself("pyarrow");
}

#[test]
fn files_of_spark_have_their_values() {
    reads_as_the_system_itself("spark");
}

#[test]
fn files_of_duckdb_have_their_values() {
    reads_as_the_system_itself("duckdb");
}

#[test]
fn files_of_polars_have_their_values() {
    reads_as_the_system_itself("polars");
}

/// The shards of four systems, side by side, and the same rows in one file.
#[test]
fn shards_of_all_systems_are_one_table() {
    let place = Place::new();
    let job = |shards: &[&str], name: &str| {
        let paths: Vec<String> = shards.iter().map(|shard| directory().join(shard).to_str().unwrap().into()).collect();
        run(&json!({
            "input": { "path": paths },
            "label": { "column": "name" },
            "split": { "kind": "stratified", "key": "id", "sizes": { "train": 0.5, "test": 0.3, "val": 0.2 } },
            "transform": [
                { "columns": "price", "op": "simple_imputer" },
                { "columns": "price", "op": "standard_scaler" },
                { "columns": "flag", "op": "one_hot_encoder" },
            ],
            "output": { "path": place.text(name) },
        }));
        (hashes(&place.path(name)), plan(&place.path(name)), manifest(&place.path(name))["splits"].clone())
    };
    let parts = ["common_0_pandas.parquet", "common_1_spark", "common_2_duckdb.parquet", "common_3_polars.parquet"];
    let (of_all, all, splits_of_all) = job(&parts, "all");
    let (of_one, one, splits_of_one) = job(&["common_one.parquet"], "one");
    assert_eq!(splits_of_all, splits_of_one);
    assert_eq!(all.pipeline, one.pipeline);
    for (file, hash) in of_one {
        assert!(file == "metadata" || of_all[&file] == hash, "{file}");
    }
}

#[test]
fn timestamps_of_96_bits_that_no_type_holds_are_told_not_wrapped() {
    let place = Place::new();
    let stamps = directory().join("spark_int96");
    let recipe = |schema: Value, path: PathBuf| {
        json!({
            "input": { "path": path, "schema": schema },
            "output": { "path": place.text("out"), "format": "jsonl" },
            "run": { "state": place.text("state") },
        })
    };
    run(&recipe(json!({}), stamps.clone()));
    let text = fs::read_to_string(place.path("out/data/part-00000.jsonl")).unwrap();
    assert!(text.contains("1600-01-01T00:00:00") && text.contains("9999-12-31T23:59:59.999999"), "{text}");
    // The same column beside one of nanoseconds.
    fs::create_dir(place.path("mixed")).unwrap();
    for entry in fs::read_dir(&stamps).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().ends_with(".parquet") {
            fs::copy(entry.path(), place.path("mixed/a.parquet")).unwrap();
        }
    }
    let nanoseconds: ArrayRef = std::sync::Arc::new(arrow::array::TimestampNanosecondArray::from(vec![1]));
    let batch = arrow::array::RecordBatch::try_from_iter([("ts", nanoseconds)]).unwrap();
    common::table::write_shard(&place.path("mixed/b.parquet"), &batch, &[1]);
    let refused = common::try_run(&json!({
        "input": { "path": place.text("mixed") },
        "split": { "kind": "random" },
        "output": { "path": place.text("refused") },
    }));
    let message = common::chain(&refused.unwrap_err());
    assert!(message.starts_with("shard a.parquet, column `ts`: a timestamp stored as INT96"), "{message}");
    assert!(message.contains("set the column's type in `input.schema`"), "{message}");
}

#[test]
fn a_file_that_is_compressed_as_a_whole_holds_what_is_in_it() {
    let place = Place::new();
    let plain = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let plain: Vec<PathBuf> = plain.filter(|path| path.extension().is_some_and(|it| it == "parquet")).collect();
    assert!(plain.len() > 3);
    for path in plain {
        let bytes = fs::read(&path).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &bytes).unwrap();
        fs::write(place.path("x.parquet.gz"), gzip.finish().unwrap()).unwrap();
        fs::write(place.path("x.snappy.parquet.zst"), zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
        for name in ["x.parquet.gz", "x.snappy.parquet.zst"] {
            assert!(read(&place.path(name)) == read(&path), "{name} of {}", path.display());
        }
    }
}
