use proptest::prelude::*;

use super::super::number::{Number, Short, number, short};
use super::super::words;
use super::*;

fn float(text: &str) -> Option<f64> {
    match number(text.as_bytes()) {
        Some(Number::Float(value)) => Some(value),
        _ => None,
    }
}

fn integer_of(text: &str) -> Option<i64> {
    match number(text.as_bytes()) {
        Some(Number::Integer(value)) => Some(value),
        _ => None,
    }
}

#[test]
fn integers_are_digits_without_leading_zeros_within_64_bits() {
    for (text, value) in [
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        (" 42 ", 42),
        ("-9223372036854775808", i64::MIN),
        ("9223372036854775807", i64::MAX),
    ] {
        assert_eq!(integer_of(text), Some(value), "{text}");
    }
    for text in [
        "",
        " ",
        "-",
        "+-5",
        "007",
        "00",
        "-01",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
        "0x1F",
        "1_000",
        "1 2",
        "١",
    ] {
        assert_eq!(number(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn floats_have_a_point_an_exponent_or_are_infinite() {
    for (text, value) in [
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1e3", -1e3),
        ("1E+2", 1e2),
        ("0.1", 0.1),
        ("1e-400", 0.0),
        ("4.9e-324", 5e-324),
    ] {
        assert_eq!(float(text), Some(value), "{text}");
    }
    assert_eq!(float("-0.0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
    for text in ["inf", "+Inf", "INFINITY"] {
        assert_eq!(float(text), Some(f64::INFINITY), "{text}");
    }
    assert_eq!(float("-inf"), Some(f64::NEG_INFINITY));
    for text in [".", "e5", "1e", "1e+", "1.2.3", "1e5.0", "00.5", "1e999", "NAN", "nan", "infinit", "1e99999999999"] {
        assert_eq!(number(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn only_integers_that_float64_holds_are_exact_floats() {
    let exact = |text: &str| number(text.as_bytes()).and_then(Number::exact_float);
    assert_eq!(exact("9007199254740992"), Some(9_007_199_254_740_992.0));
    assert_eq!(exact("9007199254740993"), None);
    assert_eq!(exact("9007199254740994"), Some(9_007_199_254_740_994.0));
    assert_eq!(exact("9223372036854775807"), None);
    assert_eq!(exact("-9223372036854775808"), Some(-(2.0_f64.powi(63))));
}

#[test]
fn the_words_for_missing_are_those_of_pandas() {
    let words = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    ];
    for word in words {
        assert!(is_missing(word.as_bytes()), "{word}");
        assert_eq!(number(word.as_bytes()), None, "{word}");
    }
    for word in [" ", "na", "NAN", "none", "-", "#N/A N/A "] {
        assert!(!is_missing(word.as_bytes()), "{word}");
    }
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (text, value) in [
        ("1970-01-01", 0),
        ("1969-12-31", -1),
        ("2000-02-29", 11_016),
        ("2024-12-31", 20_088),
        ("0000-03-01", -719_468),
        ("9999-12-31", 2_932_896),
    ] {
        assert_eq!(date(text.as_bytes()), Some(value), "{text}");
    }
    for text in [
        "2023-02-29",
        "1900-02-29",
        "2024-13-01",
        "2024-00-01",
        "2024-01-00",
        "2024-04-31",
        "2024-1-1",
        "20240101",
        "2024/01/01",
        " 2024-01-01",
    ] {
        assert_eq!(date(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn stamps_keep_every_digit_and_turn_zones_into_utc() {
    let micros = |text: &str| stamp(text.as_bytes()).and_then(|stamp| stamp.count(1_000_000));
    assert_eq!(micros("1970-01-01 00:00"), Some(0));
    assert_eq!(micros("1970-01-01T00:00:01.5"), Some(1_500_000));
    assert_eq!(micros("1969-12-31T23:59:59.999999"), Some(-1));
    assert_eq!(micros("1970-01-01T02:00:00+02:00"), Some(0));
    assert_eq!(micros("1970-01-01 00:00:00-05"), Some(5 * 3_600_000_000));
    assert_eq!(micros("1970-01-01 00:00:00.000000000Z"), Some(0));
    assert_eq!(micros("1970-01-01 00:00:00.0000001"), None);
    let stamp_of = |text: &str| stamp(text.as_bytes());
    assert_eq!(stamp_of("1970-01-01 00:00:00.0000001").and_then(|stamp| stamp.count(1_000_000_000)), Some(100));
    assert!(stamp_of("1970-01-01 00:00:00+0000").is_some_and(|stamp| stamp.zoned));
    assert!(stamp_of("1970-01-01 00:00:00").is_some_and(|stamp| !stamp.zoned));
    for text in [
        "1970-01-01 24:00:00",
        "1970-01-01 00:60",
        "1970-01-01 00:00:60",
        "1970-01-01 00:00:00.",
        "1970-01-01 00",
        "1970-01-01X00:00",
        "1970-01-01 00:00:00 Z",
        "1970-01-01 00:00:00.0000000001",
        "1970-01-01",
        "héllo wörld",
    ] {
        assert_eq!(stamp_of(text), None, "{text}");
    }
}

#[test]
fn the_ends_of_64_bits_of_nanoseconds_are_reached_and_not_passed() {
    let nanos = |text: &str| stamp(text.as_bytes()).and_then(|stamp| stamp.count(1_000_000_000));
    assert_eq!(nanos("1677-09-21 00:12:43.145224192"), Some(i64::MIN));
    assert_eq!(nanos("1677-09-21 00:12:43.145224191"), None);
    assert_eq!(nanos("2262-04-11 23:47:16.854775807"), Some(i64::MAX));
    assert_eq!(nanos("2262-04-11 23:47:16.854775808"), None);
}

#[test]
fn forced_readers_take_what_can_be_read_as_the_type() {
    assert_eq!(any_integer(b"007"), Some(7));
    assert_eq!(any_integer(b"3.0"), Some(3));
    assert_eq!(any_integer(b"3.5"), None);
    for (text, value) in [
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("-9223372036854775808.000", i64::MIN),
        ("9223372036854775807.", i64::MAX),
        ("922337203685477580.7e1", i64::MAX),
        ("-1234500e-2", -12_345),
        ("+.5E1", 5),
        ("00.0e99999999999999999999", 0),
        ("0e-99999999999999999999", 0),
        ("-0.0", 0),
        ("1e18", 1_000_000_000_000_000_000),
    ] {
        assert_eq!(any_integer(text.as_bytes()), Some(value), "{text}");
    }
    for text in [
        "4503599627370496.1",
        "0.99999999999999999999",
        "9223372036854775808.0",
        "-9223372036854775809.0",
        "1e19",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "1e-1",
        ".",
        "-",
        "e5",
        ".e5",
        "1e",
        "1e+",
        "1e5.0",
        "1.2.3",
        "--1.0",
        "+-1.0",
    ] {
        assert_eq!(any_integer(text.as_bytes()), None, "{text}");
    }
    assert_eq!(any_float(b"00.5"), Some(0.5));
    assert_eq!(any_float(b"9007199254740993"), Some(9_007_199_254_740_992.0));
    assert_eq!(any_float(b"1e999"), None);
    assert_eq!(any_float32(b"0.1"), Some(0.1_f32));
    assert_eq!(any_float32(b"1e39"), None);
    assert_eq!(any_float32(b"-inf"), Some(f32::NEG_INFINITY));
    assert_eq!((any_boolean(b"1"), any_boolean(b"TRUE"), any_boolean(b"2")), (Some(true), Some(true), None));
}

proptest! {
    #[test]
    fn every_float_is_read_back_to_the_bit(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        for text in [format!("{value:e}"), format!("{value:?}")] {
            prop_assert_eq!(float(&text).map(f64::to_bits), Some(bits), "{}", text);
        }
    }

    #[test]
    fn decimals_are_read_as_the_standard_library_reads_them(text in "-?(0|[1-9][0-9]{0,22})\\.[0-9]{0,24}([eE][+-]?[0-9]{1,3})?") {
        let expected: f64 = text.parse().unwrap();
        prop_assert_eq!(float(&text).map(f64::to_bits), Some(expected).filter(|value| value.is_finite()).map(f64::to_bits));
    }

    #[test]
    fn quotients_are_read_as_the_standard_library_reads_them(mantissa: u64, places in 1_usize..28, cut in 0_u32..19) {
        let digits = format!("{:0width$}", mantissa / 10_u64.pow(cut), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let text = format!("{whole}.{fraction}");
        prop_assert_eq!(float(&text).map(f64::to_bits), Some(text.parse::<f64>().unwrap().to_bits()), "{}", text);
    }

    #[test]
    fn short_numbers_are_those_of_the_plain_reader(field in "-?[0-9]{0,4}(\\.[0-9]{0,4})?|[-+0-9.eE ,]{1,8}", behind in any::<[u8; 8]>()) {
        let length = field.len().min(8);
        let field = &field.as_bytes()[..length];
        let mut bytes = behind;
        bytes[..length].copy_from_slice(field);
        let word = words::word_at(&bytes, 0).unwrap();
        let digit = (length == 1).then(|| Short::digit(field[0])).flatten();
        for short in [short(word, length as u32), digit].into_iter().flatten() {
            prop_assert_eq!(short.present, length > 0);
            let plain = number(field).unwrap_or(Number::Integer(0));
            prop_assert_eq!(short.integer(), plain.integer());
            prop_assert_eq!(Some(short.float().to_bits()), plain.exact_float().map(f64::to_bits));
        }
        // The commonest forms are never left to the other.
        let decimal = field.first().is_some_and(|first| matches!(first, b'1'..=b'9')) && field.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
        prop_assert_eq!(short(word, length as u32).is_some() || !decimal, number(field).is_some() || !decimal);
    }

    #[test]
    fn a_whole_number_is_told_wherever_its_point_is(value: i64, shift in 0_usize..25, zeros in 0_usize..25, tenth in 0_u8..10) {
        let sign = if value < 0 { "-" } else { "" };
        let digits = format!("{:0width$}", value.unsigned_abs(), width = shift + 1);
        let (before, after) = digits.split_at(digits.len() - shift);
        let padding = "0".repeat(zeros);
        let whole = format!("{sign}{before}.{after}{padding}e{shift}");
        prop_assert_eq!(any_integer(whole.as_bytes()), Some(value), "{}", whole);
        let broken = format!("{sign}{before}.{after}{padding}{tenth}e{shift}");
        prop_assert_eq!(any_integer(broken.as_bytes()), Some(value).filter(|_| tenth == 0), "{}", broken);
    }

    #[test]
    fn every_integer_is_read_back(value: i64) {
        prop_assert_eq!(integer_of(&value.to_string()), Some(value));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = (number(&bytes), stamp(&bytes), date(&bytes), any_float(&bytes), any_float32(&bytes), any_integer(&bytes));
    }
}
