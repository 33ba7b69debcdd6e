use arrow::datatypes::DataType as T;
use proptest::prelude::*;

use super::*;

const MICROS: T = T::Timestamp(TimeUnit::Microsecond, None);
const NANOS: T = T::Timestamp(TimeUnit::Nanosecond, None);

fn of(fields: &[&str]) -> T {
    fields.iter().fold(Seen::default(), |seen, field| seen | Seen::of(Kind::Bare, field.as_bytes())).data_type()
}

#[test]
fn the_narrowest_type_that_holds_all_values_is_found() {
    let utc = T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let cases: &[(&[&str], T)] = &[
        (&["", "NA"], T::Null),
        (&["true", "", "False"], T::Boolean),
        (&["1", "NaN", "-2"], T::Int64),
        (&["1", "2.5"], T::Float64),
        (&["1", "inf"], T::Float64),
        (&["9007199254740993", "7"], T::Int64),
        (&["9007199254740993", "0.5"], T::Utf8),
        (&["true", "1"], T::Utf8),
        (&["007", "1"], T::Utf8),
        (&["99999999999999999999"], T::Utf8),
        (&["2024-01-01"], T::Date32),
        (&["0001-01-01"], T::Date32),
        (&["2024-01-01", "2024-01-01 10:00"], MICROS),
        (&["2024-01-01", "2024-01-01 10:00:00.123456789"], NANOS),
        (&["0001-01-01", "2024-01-01 10:00:00.123456789"], T::Utf8),
        (&["2024-01-01 10:00Z", "2024-01-01"], utc),
        (&["2024-01-01 10:00Z", "2024-01-01 10:00"], T::Utf8),
        (&["2024-01-01", "5"], T::Utf8),
        (&["word"], T::Utf8),
    ];
    for (fields, expected) in cases {
        assert_eq!(of(fields), *expected, "{fields:?}");
    }
}

#[test]
fn strings_of_json_are_text_unless_all_are_times() {
    let of = |text: &str| Seen::of(Kind::Quoted, text.as_bytes()).data_type();
    assert_eq!([of("5"), of("true"), of("NA"), of("")], [T::Utf8, T::Utf8, T::Utf8, T::Utf8]);
    assert_eq!([of("2024-01-01"), of("2024-01-01T00:00:00")], [T::Date32, MICROS]);
}

#[test]
fn widening_never_calls_a_word_a_number_and_never_rounds() {
    let seen = |field: &str| Seen::of(Kind::Bare, field.as_bytes());
    assert_eq!(seen("true").widen(&T::Int64), T::Utf8);
    assert_eq!(seen("1").widen(&T::Boolean), T::Int64);
    assert_eq!(seen("9007199254740993").widen(&T::Float64), T::Utf8);
    assert_eq!(seen("9007199254740993").widen(&T::Int64), T::Int64);
    assert_eq!(seen("0001-01-01").widen(&NANOS), T::Utf8);
    assert_eq!(seen("5").widen(&T::Int32), T::Int64);
    assert_eq!(seen("").widen(&T::Int32), T::Int32);
    assert_eq!(seen("5").widen(&T::Null), T::Int64);
}

fn field() -> impl Strategy<Value = String> {
    let picked = prop::sample::select(vec![
        "",
        "NA",
        "true",
        "1",
        "-7",
        "0.5",
        "9007199254740993",
        "2024-01-01",
        "0001-01-01",
        "2024-01-01 00:00",
        "2024-01-01 00:00:00.000000001",
        "2024-01-01 00:00Z",
        "x",
    ]);
    picked.prop_map(str::to_string)
}

proptest! {
    #[test]
    fn any_order_and_any_grouping_of_values_gives_one_type(fields in prop::collection::vec(field(), 0..6), cut in 0_usize..6) {
        let seen = |part: &[String]| part.iter().fold(Seen::default(), |seen, field| seen | Seen::of(Kind::Bare, field.as_bytes()));
        let cut = cut.min(fields.len());
        let whole = seen(&fields);
        prop_assert_eq!(seen(&fields[cut..]) | seen(&fields[..cut]), whole);
        prop_assert_eq!(whole.widen(&whole.data_type()), whole.data_type());
        prop_assert_eq!(whole.widen(&T::Null), whole.data_type());
    }
}
