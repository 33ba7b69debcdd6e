use arrow::array::Array;
use arrow::datatypes::{Float64Type, TimeUnit};
use proptest::prelude::*;

use super::super::json::Keys;
use super::super::{flat, json};
use super::*;

const JSON: TextFormat = TextFormat::JsonLines;

#[test]
fn kinds_are_taken_at_their_word() {
    let lines = r#"{"i":1,"f":0.5,"b":true,"s":"5","w":"NA","d":"2024-01-01","t":"2024-01-01T10:00:00Z","n":null}
{"i":-2,"f":3,"b":null,"s":"x","w":"","d":"2024-01-02"}
"#;
    let file = File::new(lines);
    let batch = read(file.open(JSON).unwrap(), 1).unwrap();
    let utc = T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(types(&batch), [T::Int64, T::Float64, T::Boolean, T::Utf8, T::Utf8, T::Date32, utc, T::Null]);
    assert_eq!(batch.column(1).as_primitive::<Float64Type>().values(), &[0.5, 3.0]);
    assert_eq!(batch.column(4).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("NA"), Some("")]);
    assert!(batch.column(6).is_null(1));
}

#[test]
fn mixed_kinds_are_text_digit_by_digit() {
    let batch = read(
        File::new("{\"a\":1.50}\n{\"a\":\"x\"}\n{\"a\":true}\n{\"a\":12345678901234567890}\n").open(JSON).unwrap(),
        1,
    )
    .unwrap();
    let texts: Vec<_> = batch.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(texts, ["1.50", "x", "true", "12345678901234567890"]);
}

#[test]
fn escapes_blank_lines_spaces_and_line_ends_are_seen_through() {
    let text =
        "\u{feff}\n {\"a\" : \"x\\n\\\"\\u00e9\\ud83e\\udd80\" , \"k\\\"y\":2}\r\n  \r\n{\"a\":\"\",\"k\\\"y\":null}";
    let file = File::new(text);
    assert_eq!(file.open(JSON).unwrap().names(), ["a", "k\"y"]);
    assert_eq!(rows(JSON, text), ["x\n\"é🦀|2", "|·"]);
}

#[test]
fn keys_are_named_in_order_of_appearance_and_absent_ones_are_null() {
    assert_eq!(rows(JSON, "{\"b\":1}\n{}\n{\"a\":2,\"b\":3}\n"), ["1|·", "·|·", "3|2"]);
}

#[test]
fn a_column_that_appears_late_is_reported_and_not_lost() {
    let mut lines = "{\"a\":1}\n".repeat(1500);
    lines += "{\"late\":2.5,\"a\":1,\"other\":\"x\"}\n";
    let file = File::new(lines);
    let shard = file.open(JSON).unwrap();
    assert_eq!(shard.names(), ["a"]);
    let last = shard.blocks(1000).unwrap().last().unwrap().unwrap();
    // One that another shard made known is read; both are told of.
    let parsed = shard.parse(&last, &[column("late", T::Float64, false), column("a", T::Int64, false)]).unwrap();
    let late = parsed.batch.unwrap().column(0).as_primitive::<Float64Type>().iter().flatten().sum::<f64>();
    assert_eq!(late, 2.5);
    let new: Vec<(&str, T)> =
        parsed.new_columns.iter().map(|(name, data_type)| (name.as_str(), data_type.clone())).collect();
    assert_eq!(new, [("late", T::Float64), ("other", T::Utf8)]);
    let complete = shard.clone().with_new_columns(["late", "other"]);
    assert_eq!(complete.parse(&last, &[]).unwrap().new_columns, []);
    assert_eq!(types(&read(shard, 1000).unwrap()), [T::Int64, T::Float64, T::Utf8]);
}

#[test]
fn forced_types_read_strings_too() {
    let file = File::new("{\"a\":\"7\",\"b\":5}\n{\"a\":8,\"b\":\"\"}\n");
    let shard = file.open(JSON).unwrap();
    let block = shard.blocks(100).unwrap().next().unwrap().unwrap();
    let batch = shard.parse(&block, &[column("a", T::Int64, true), column("b", T::Utf8, true)]).unwrap().batch.unwrap();
    assert_eq!(batch.column(0).null_count(), 0);
    assert_eq!(batch.column(1).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("5"), Some("")]);
    let error = shard.parse(&block, &[column("b", T::Float64, true)]).unwrap_err().to_string();
    assert_eq!(error, "row 1, column `b`: `` is no Float64; correct it, or change the column's type in input.schema");
}

#[test]
fn each_fault_is_named_with_its_place() {
    let cases: &[(&[u8], &str)] = &[
        (b"{\"a\":1}\n\n{\"a\":[1]}\n", "row 1, column `a`: line 3: the value is a list"),
        (b"{\"a\":{\"b\":[]}}\n", "row 0, column `a.b`: line 1: the value is a list"),
        (b"{\"a\":1}\n{\"a\":1,\"a\":2}\n", "row 1, column `a`: line 2: the key stands twice"),
        (b"{\"new\":1,\"new\":2}\n", "column `new`: line 1: the key stands twice"),
        (b"[1]\n", "row 0: line 1: not a JSON object"),
        (b"5\n", "row 0: line 1: not a JSON object"),
        (b"{\"a\":1}\n{\"a\":\n", "row 1: line 2: not a JSON object"),
        (b"{\"a\":1} x\n", "row 0: line 1: not a JSON object"),
        (b"{\"a\":NaN}\n", "row 0: line 1: not a JSON object"),
        (b"{\"a\":1}\n{\"a\":\"\xff\"}\n", "row 1: line 2: the text is not UTF-8"),
        (b"\xff{\"a\":1}\n", "row 0: line 1: the text is not UTF-8"),
    ];
    for (content, expected) in cases {
        let found = refusal(JSON, content);
        assert!(found.contains(expected), "{expected:?} not in {found:?}");
    }
}

/// An object of any keys and values, rightly and wrongly written.
fn object() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        ",",
        ":",
        "\"a\":",
        "\"b\":",
        "\"a\" : ",
        "\"q\\\"\":",
        "1",
        "-2.5",
        "0",
        "01",
        "1.",
        "1e5",
        "-",
        "1E+",
        "\"x\"",
        "\"\\u00e9\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"é\t\"",
        "\"tail\\",
        "true",
        "fals",
        "null",
        " ",
        "[1]",
        "{}",
        "\"",
        "\\",
        "12345678",
    ]);
    let value = prop::sample::select(vec![
        "1",
        "-0.25",
        "12345678.5e-3",
        "\"x\"",
        "\"longer than eight\"",
        "\"e\\nsc\"",
        "null",
        "true",
        " 7 ",
    ]);
    let pairs = prop::collection::vec((prop::sample::select(vec!["a", "b", "c", "k\\\"y", "é"]), value), 0..5);
    let written = pairs.prop_map(|pairs| {
        let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", pairs.join(","))
    });
    prop_oneof![written, prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())]
}

proptest! {
    #[test]
    fn the_fast_way_through_an_object_is_the_parsers(lines in prop::collection::vec(object(), 1..6)) {
        let (mut fast, mut plain) = (Keys::new(["a", "q\""]), Keys::new(["a", "q\""]));
        for line in &lines {
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            fast.begin();
            let walked = flat::object(line, &mut fast, &mut |at, value| found.push((at, format!("{value:?}"))))
                .is_some_and(|end| flat::ends(line, end));
            let parsed = json::parse(line, &mut plain, &mut |at, value| expected.push((at, format!("{value:?}")))).is_ok();
            prop_assert!(parsed || !walked, "{}", line);
            if walked {
                prop_assert_eq!(found, expected, "{}", line);
            } else {
                // It goes on with the keys that the parser met.
                fast = Keys::new(plain.clone().into_names().iter().map(String::as_str));
            }
        }
    }
}
