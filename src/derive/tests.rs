//! Derived columns of chunks in memory: what each step takes, refuses and leaves as it was.

use arrow::array::*;
use arrow::csv::Writer;
use arrow::datatypes::{Field, Int32Type, Schema, TimeUnit, i256};
use serde_json::{Value, json};

use super::*;
use crate::source::Decoded;

fn of<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

fn chunk(columns: &[(&str, ArrayRef)]) -> (SchemaRef, Chunk) {
    let plain = |array: &ArrayRef| match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, plain(array), true)).collect();
    let decoded = Decoded {
        shard: "s".into(),
        first_row: 100,
        rows: columns[0].1.len(),
        columns: columns.iter().map(|(_, array)| vec![Arc::clone(array)]).collect(),
        derived: false,
    };
    (Arc::new(Schema::new(fields)), Chunk::Decoded(decoded))
}

fn recipe(steps: Value) -> Recipe {
    serde_json::from_value(json!({ "transform": steps })).expect("a recipe")
}

/// The derived columns by name. Columns of the chunk that are not used are taken out of it, as reading would.
fn derived(columns: &[(&str, ArrayRef)], steps: Value) -> Result<Vec<(String, ArrayRef)>> {
    let (schema, _) = chunk(columns);
    let derived = Derived::new(&recipe(steps), &schema)?;
    let used = |name: &str| derived.source.field_with_name(name).is_ok();
    let used: Vec<_> = columns.iter().filter(|(name, _)| used(name)).cloned().collect();
    let (_, chunk) = chunk(&used);
    let column = |at: usize| {
        let mut arrays = Vec::new();
        derived.for_each_array(&chunk, at, &mut |_, array| {
            arrays.push(array);
            Ok(())
        })?;
        Ok((derived.schema.field(at).name().clone(), arrays.remove(0)))
    };
    (0..derived.schema.fields().len()).map(column).collect()
}

fn cast(array: ArrayRef, to: &str, errors: &str) -> Result<ArrayRef> {
    let steps = json!([{ "op": "cast", "columns": "x", "to": to, "errors": errors }]);
    derived(&[("x", array)], steps).map(|mut columns| columns.remove(0).1)
}

#[track_caller]
fn assert_cast(array: ArrayRef, to: &str, right: ArrayRef) {
    let got = cast(array, to, "null").expect("cast");
    assert_eq!(&got, &right, "to {to}");
}

fn names(columns: &[(String, ArrayRef)]) -> Vec<&str> {
    columns.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn text_is_read_or_refused() {
    let text = || of(StringArray::from(vec![" 1 ", "2.0", "1e3", "x", "", "NaN", "0x1", "99999999999", "3.5"]));
    let none: Option<i64> = None;
    let wide = [Some(1), Some(2), Some(1000), none, none, none, none, Some(99_999_999_999), none];
    assert_cast(text(), "int64", of(Int64Array::from(wide.to_vec())));
    let narrow: Int32Array = wide.iter().map(|value| value.and_then(|value| value.try_into().ok())).collect();
    assert_cast(text(), "int32", of(narrow));
    let floats = vec![Some(1.0), Some(2.0), Some(1e3), None, None, None, None, Some(99_999_999_999.0), Some(3.5)];
    assert_cast(text(), "float64", of(Float64Array::from(floats)));
    assert_cast(
        of(StringArray::from(vec!["true", " FALSE ", "1", "0", "yes"])),
        "bool",
        of(BooleanArray::from(vec![Some(true), Some(false), Some(true), Some(false), None])),
    );
    assert_cast(
        of(StringArray::from(vec!["1970-01-02", "1970-13-01", "1970-01-02T00:00"])),
        "date",
        of(Date32Array::from(vec![Some(1), None, None])),
    );
    assert_cast(
        of(StringArray::from(vec!["1970-01-02", "1970-01-01T00:00:01.5", "1970-01-01T01:00:00+01:00", "now"])),
        "timestamp",
        of(TimestampMicrosecondArray::from(vec![Some(86_400_000_000), Some(1_500_000), Some(0), None])),
    );
}

#[test]
fn numbers_are_exact_or_refused() {
    let large = (1_i64 << 53) + 1;
    assert_cast(of(Int64Array::from(vec![1, large])), "float64", of(Float64Array::from(vec![Some(1.0), None])));
    assert_cast(
        of(UInt64Array::from(vec![u64::MAX, 1 << 63, 7])),
        "float32",
        of(Float32Array::from(vec![None, Some((1_u64 << 63) as f32), Some(7.0)])),
    );
    assert_cast(of(UInt64Array::from(vec![u64::MAX, 7])), "int64", of(Int64Array::from(vec![None, Some(7)])));
    assert_cast(
        of(StringArray::from(vec!["9007199254740993", "0009007199254740993", "18446744073709551617", "1e400", "-inf"])),
        "float64",
        of(Float64Array::from(vec![None, None, None, None, Some(f64::NEG_INFINITY)])),
    );
    let floats = of(Float64Array::from(vec![-0.0, 2.5, f64::NAN, f64::INFINITY, 9.3e18, 1e300, 0.1]));
    assert_cast(Arc::clone(&floats), "int64", of(Int64Array::from(vec![Some(0), None, None, None, None, None, None])));
    let narrow = vec![Some(-0.0), Some(2.5), None, Some(f32::INFINITY), Some(9.3e18), None, Some(0.1)];
    assert_cast(Arc::clone(&floats), "float32", of(Float32Array::from(narrow)));
    let same = cast(floats, "float64", "raise").expect("NaN is missing, not refused");
    assert_eq!((same.null_count(), same.is_null(2)), (1, true));
    assert_cast(
        of(Int64Array::from(vec![0, 1, 2])),
        "bool",
        of(BooleanArray::from(vec![Some(false), Some(true), None])),
    );
    assert_cast(of(BooleanArray::from(vec![Some(true), None])), "int32", of(Int32Array::from(vec![Some(1), None])));
    let decimals = Decimal128Array::from(vec![300, 250]).with_precision_and_scale(10, 2).expect("decimals");
    assert_cast(of(decimals), "int64", of(Int64Array::from(vec![Some(3), None])));
}

#[test]
fn a_decimal_is_whole_by_its_digits() {
    let narrow = |unscaled: Vec<i128>, scale| {
        of(Decimal128Array::from(unscaled).with_precision_and_scale(38, scale).expect("decimals"))
    };
    // A float has none of what tells these from the whole number beside them.
    assert_cast(
        narrow(
            vec![
                45_035_996_273_704_961,
                90_071_992_547_409_930,
                92_233_720_368_547_758_070,
                92_233_720_368_547_758_080,
            ],
            1,
        ),
        "int64",
        of(Int64Array::from(vec![None, Some(9_007_199_254_740_993), Some(i64::MAX), None])),
    );
    let one = 10_i128.pow(20);
    assert_cast(
        narrow(vec![one - 1, one, -7 * one, i128::from(i32::MAX) * one, (1 << 31) * one, 0], 20),
        "int32",
        of(Int32Array::from(vec![None, Some(1), Some(-7), Some(i32::MAX), None, Some(0)])),
    );
    assert_cast(
        narrow(vec![0, 100, 200, 101], 2),
        "bool",
        of(BooleanArray::from(vec![Some(false), Some(true), None, None])),
    );
    assert_cast(
        narrow(vec![0, 12, i128::MAX / 1000], -3),
        "int64",
        of(Int64Array::from(vec![Some(0), Some(12_000), None])),
    );
    let one = i256::from_i128(10_i128.pow(38)).wrapping_mul(i256::from_i128(10_i128.pow(12)));
    let wide = vec![one, one.wrapping_sub(i256::ONE), one.wrapping_mul(i256::from_i128(i64::MIN.into())), i256::ZERO];
    assert_cast(
        of(Decimal256Array::from(wide).with_precision_and_scale(76, 50).expect("decimals")),
        "int64",
        of(Int64Array::from(vec![Some(1), None, Some(i64::MIN), Some(0)])),
    );
}

#[test]
fn times_keep_their_instant_or_are_refused() {
    let nanos = TimestampNanosecondArray::from(vec![1_000, 1_001, -1_000]).with_timezone("+02:00");
    assert_cast(of(nanos), "timestamp", of(TimestampMicrosecondArray::from(vec![Some(1), None, Some(-1)])));
    let seconds = of(TimestampSecondArray::from(vec![-1, 86_400, i64::MAX]));
    assert_cast(Arc::clone(&seconds), "date", of(Date32Array::from(vec![Some(-1), Some(1), None])));
    assert_cast(
        seconds,
        "timestamp",
        of(TimestampMicrosecondArray::from(vec![Some(-1_000_000), Some(86_400_000_000), None])),
    );
    assert_cast(
        of(Date32Array::from(vec![Some(1), None])),
        "timestamp",
        of(TimestampMicrosecondArray::from(vec![Some(86_400_000_000), None])),
    );
}

#[test]
fn text_of_a_value_is_that_of_the_csv_writer() {
    let arrays: Vec<ArrayRef> = vec![
        of(Int64Array::from(vec![i64::MIN, 0])),
        of(UInt64Array::from(vec![u64::MAX, 0])),
        of(Float64Array::from(vec![1e21, -0.0])),
        of(Float64Array::from(vec![0.1, f64::INFINITY])),
        of(Float32Array::from(vec![0.1, 1e-9])),
        of(BooleanArray::from(vec![true, false])),
        of(Date32Array::from(vec![-1, 19_000])),
        of(TimestampMicrosecondArray::from(vec![1_500_000, -1])),
        of(TimestampNanosecondArray::from(vec![1, 0]).with_timezone("+00:00")),
        of(Decimal128Array::from(vec![-5, 12_345]).with_precision_and_scale(10, 2).expect("decimals")),
        of(BinaryArray::from(vec![&b"\x00\xff"[..], b"z"])),
    ];
    for array in arrays {
        let batch = RecordBatch::try_from_iter([("x", Arc::clone(&array))]).expect("a batch");
        let mut written = Vec::new();
        Writer::new(&mut written).write(&batch).expect("written");
        let written = String::from_utf8(written).expect("text");
        let right: Vec<&str> = written.lines().skip(1).collect();
        let got = cast(Arc::clone(&array), "string", "raise").expect("cast");
        assert_eq!(got.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), right, "{}", array.data_type());
    }
}

#[test]
fn a_refused_value_is_named_with_its_row() {
    let error =
        cast(of(StringArray::from(vec![Some("1"), None, Some("zwei")])), "int32", "raise").expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("shard s, row 102, column `x`") && text.contains("`zwei`"), "{text}");
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn codes_become_what_their_rows_would() {
    let codes = Int32Array::from(vec![Some(0), None, Some(1), Some(0), Some(2)]);
    let coded = |values: Vec<&str>| -> ArrayRef {
        of(DictionaryArray::<Int32Type>::new(codes.clone(), of(StringArray::from(values))))
    };
    // The last value is of no row: a raise is for rows alone.
    let got = cast(coded(vec!["1", "2", "3", "x"]), "int64", "raise").expect("cast");
    let plain = arrow::compute::cast(&got, &DataType::Int64).expect("expanded");
    assert_eq!(&plain, &of(Int64Array::from(vec![Some(1), None, Some(2), Some(1), Some(3)])));
    let got = cast(coded(vec!["1", "2", "3"]), "int64", "raise").expect("cast");
    assert!(matches!(got.data_type(), DataType::Dictionary(..)), "rows keep their codes");
    let error = cast(coded(vec!["1", "x", "3"]), "int64", "raise").expect_err("refused");
    assert!(error.to_string().contains("row 102"), "{error}");
    let got = cast(coded(vec!["1", "x", "3"]), "int64", "null").expect("cast");
    assert_eq!(&got, &of(Int64Array::from(vec![Some(1), None, None, Some(1), Some(3)])));
    let same = coded(vec!["1", "x", "3"]);
    assert_eq!(&cast(Arc::clone(&same), "string", "raise").expect("cast"), &same);
}

#[test]
fn the_largest_of_a_row_passes_over_what_is_missing() {
    let columns = [
        ("a", of(Float64Array::from(vec![Some(f64::NAN), Some(-0.0), None, Some(1.0)]))),
        ("b", of(Int64Array::from(vec![Some(3), Some(0), None, None]))),
        ("c", of(BooleanArray::from(vec![true, false, false, true]))),
        ("d", of(NullArray::new(4))),
    ];
    let max = |names: Value| {
        let steps = json!([{ "op": "row_max", "columns": names, "into": "m" }, { "op": "keep", "columns": "m" }]);
        derived(&columns, steps).map(|mut columns| columns.remove(0).1)
    };
    assert_eq!(
        &max(json!(["a", "b", "d"])).expect("max"),
        &of(Float64Array::from(vec![Some(3.0), Some(0.0), None, Some(1.0)]))
    );
    assert_eq!(&max(json!(["c", "b"])).expect("max"), &of(Int64Array::from(vec![3, 0, 0, 1])));
    let dates = [
        ("x", of(Date32Array::from(vec![Some(1), None]))),
        ("y", of(TimestampMicrosecondArray::from(vec![Some(1), Some(5)]))),
    ];
    let steps = json!([{ "op": "row_max", "columns": "*", "into": "y" }]);
    let got = derived(&dates, steps).expect("max");
    assert_eq!(names(&got), ["x", "y"]);
    assert_eq!(&got[1].1, &of(TimestampMicrosecondArray::from(vec![86_400_000_000, 5])));
    assert_eq!(got[1].1.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
}

#[test]
fn the_first_value_that_is_there_is_taken_and_no_other_has_to_fit() {
    let large = (1_i64 << 53) + 1;
    let columns = [
        ("a", of(Float64Array::from(vec![Some(f64::NAN), Some(-0.0), None, Some(1.0), None]))),
        ("b", of(Int64Array::from(vec![Some(3), Some(large), None, None, None]))),
        ("c", of(BooleanArray::from(vec![Some(true), None, Some(false), None, None]))),
        ("d", of(NullArray::new(5))),
    ];
    let first = |columns: &[(&str, ArrayRef)], names: Value| {
        let steps = json!([{ "op": "coalesce", "columns": names, "into": "m" }, { "op": "keep", "columns": "m" }]);
        derived(columns, steps).map(|mut columns| columns.remove(0).1)
    };
    let right = vec![Some(3.0), Some(-0.0), Some(0.0), Some(1.0), None];
    assert_eq!(&first(&columns, json!(["d", "a", "b", "c"])).expect("first"), &of(Float64Array::from(right)));
    let right = vec![Some(1), Some(large), Some(0), None, None];
    assert_eq!(&first(&columns, json!(["c", "d", "b"])).expect("first"), &of(Int64Array::from(right)));
    let error = first(&columns, json!(["b", "a"])).expect_err("a value that is taken has to fit");
    assert!(error.to_string().contains("row 101, column `m`"), "{error}");
    assert_eq!(first(&columns, json!("d")).expect("first").data_type(), &DataType::Null);
}

#[test]
fn the_first_text_is_the_same_with_and_without_codes() {
    let codes = |codes: Vec<Option<i32>>, values: Vec<Option<&str>>| -> ArrayRef {
        of(DictionaryArray::<Int32Type>::new(Int32Array::from(codes), of(StringArray::from(values))))
    };
    let columns = [
        ("a", codes(vec![Some(0), None, Some(1), None], vec![Some("x"), None])),
        ("b", of(StringArray::from(vec![Some("p"), Some(""), Some("é"), None]))),
        ("c", codes(vec![Some(0); 4], vec![Some("last")])),
    ];
    let steps = |names: Value| json!([{ "op": "coalesce", "columns": names, "into": "a" }]);
    let got = derived(&columns, steps(json!(["a", "b", "c"]))).expect("first");
    assert_eq!(names(&got), ["a", "b", "c"]);
    assert_eq!(&got[0].1, &of(StringArray::from(vec!["x", "", "é", "last"])));
    let got = derived(&columns, steps(json!("a"))).expect("first");
    assert_eq!(&got[0].1, &of(StringArray::from(vec![Some("x"), None, None, None])));
}

#[test]
fn a_coalesce_passes_over_columns_that_are_not_there_but_not_over_all() {
    let day = of(Date32Array::from(vec![Some(1), None]));
    let time = of(TimestampMicrosecondArray::from(vec![Some(1), Some(5)]));
    let zoned = of(TimestampMicrosecondArray::from(vec![1, 5]).with_timezone("UTC"));
    let steps = |names: Value, if_missing: &str| json!([{ "op": "coalesce", "columns": names, "into": "t", "if_missing": if_missing }]);
    let columns = [("day", day), ("time", time), ("zoned", zoned), ("text", of(StringArray::from(vec!["x", "y"])))];
    let got = derived(&columns, steps(json!(["gone", "day", "time"]), "skip")).expect("first");
    assert_eq!(&got[4].1, &of(TimestampMicrosecondArray::from(vec![86_400_000_000, 5])));
    let got = derived(&columns, steps(json!(["day", "gone"]), "skip")).expect("first");
    assert_eq!(got[4].1.data_type(), &DataType::Date32);
    for (names, if_missing, words) in [
        (json!(["day", "gone"]), "raise", "column of coalesce 'gone' not found"),
        (json!(["gone", "away"]), "skip", "coalesce into `t`: no column is selected"),
        (json!(["day", "text"]), "skip", "column `text` is Utf8, which does not go with Date32: cast it first"),
        (json!(["time", "zoned"]), "skip", "`zoned` is Timestamp(µs, \"UTC\"), which does not go with Timestamp(µs)"),
    ] {
        let error = derived(&columns, steps(names, if_missing)).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn only_what_is_used_is_read_and_what_is_renamed_is_left_alone() {
    let columns = [
        ("a__DOT__x", of(Int64Array::from(vec![1]))),
        ("b", of(StringArray::from(vec!["t"]))),
        ("c__DOT__y", of(Int64Array::from(vec![2]))),
    ];
    let steps = json!([
        { "op": "rename", "pattern": "__DOT__(.)", "replacement": ".$1$1" },
        { "op": "drop", "columns": ["b", "nothing"], "if_missing": "skip" },
        { "op": "rename", "names": { "a.xx": "c.yy", "c.yy": "a.xx" } },
    ]);
    let (schema, _) = chunk(&columns);
    let made = Derived::new(&recipe(steps.clone()), &schema).expect("derived");
    assert_eq!(made.source.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["a__DOT__x", "c__DOT__y"]);
    assert_eq!(made.touched, [vec!["a__DOT__x", "c__DOT__y"], vec!["b"], vec!["a.xx", "c.yy"]]);
    let got = derived(&columns, steps).expect("derived");
    assert_eq!(names(&got), ["c.yy", "a.xx"]);
    assert!(Arc::ptr_eq(&got[0].1, &columns[0].1), "the same array");
}

#[test]
fn a_concat_that_lacks_a_column_is_left_out_as_a_whole() {
    let columns =
        [("a", of(StringArray::from(vec![Some("x"), None]))), ("b", of(Float64Array::from(vec![1.0, f64::NAN])))];
    let steps = |columns: Value| json!([{ "op": "concat", "columns": columns, "into": "t", "separator": "-", "if_missing": "skip" }]);
    assert_eq!(names(&derived(&columns, steps(json!(["a", "zz"]))).expect("derived")), ["a", "b"]);
    let got = derived(&columns, steps(json!(["b", "a"]))).expect("derived");
    assert_eq!(&got[2].1, &of(StringArray::from(vec![Some("1.0-x"), None])));
}

#[test]
fn globs_leave_alone_what_will_be_the_label_or_the_key() {
    let columns = ["y__DOT__label", "id", "x"].map(|name| (name, of(Int64Array::from(vec![1]))));
    let (schema, _) = chunk(&columns);
    let recipe = |steps: Value| -> Recipe {
        let recipe = json!({ "label": { "column": "y.label" }, "split": { "key": "id" }, "transform": steps });
        serde_json::from_value(recipe).expect("a recipe")
    };
    let rename = json!({ "op": "rename", "pattern": "__DOT__", "replacement": "." });
    let cast = json!({ "op": "cast", "columns": "*", "to": "string" });
    let made = Derived::new(&recipe(json!([cast, rename.clone()])), &schema).expect("derived");
    let types: Vec<_> = made.schema.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types, [DataType::Int64, DataType::Int64, DataType::Utf8]);
    let made = Derived::new(&recipe(json!([rename, { "op": "keep", "columns": "x" }])), &schema).expect("derived");
    let shown: Vec<_> = made.schema.fields().iter().map(|f| (f.name().as_str(), schema::is_hidden(f))).collect();
    assert_eq!(shown, [("x", false), ("y.label", true), ("id", true)]);
}
