use arrow::array::Array;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimeUnit};

use super::*;

#[test]
fn quotes_keep_delimiters_line_ends_and_doubled_quotes() {
    let text = "a,b\n\"1,2\",\"x\"\"y\"\n\"line\nbreak\",\"\"\"\"\nplain,in\"side\n";
    assert_eq!(rows(CSV, text), ["1,2|x\"y", "line\nbreak|\"", "plain|in\"side"]);
}

#[test]
fn a_quote_opens_a_field_only_at_its_start_and_what_follows_it_is_kept() {
    assert_eq!(
        rows(CSV, "a,b\nx\"y,z\"\n\"q\"tail,\"r\"\"s\"t\"u\n 5\",\"6\"\n"),
        ["x\"y|z\"", "qtail|r\"st\"u", " 5\"|6"]
    );
}

#[test]
fn line_ends_are_read_alike() {
    let expected = ["1|2", "3|·"];
    for text in
        ["a,b\n1,2\n3,\n", "a,b\r\n1,2\r\n3,\r\n", "a,b\n1,2\n3,", "a,b\r\n1,2\r\n\"3\",", "\u{feff}a,b\n1,2\n3,\r"]
    {
        assert_eq!(rows(CSV, text), expected, "{text:?}");
        assert_eq!(File::new(text).open(CSV).unwrap().names(), ["a", "b"], "{text:?}");
    }
}

#[test]
fn blank_lines_are_no_rows_and_quoted_empty_ones_are() {
    assert_eq!(rows(CSV, "\n  \r\na\n\n1\r\n\r\n\t\n\"\"\n2\n   "), ["1", "·", "2"]);
    let tabs = TextFormat::Delimited { delimiter: b'\t' };
    assert_eq!(rows(tabs, "a\tb\n\t\n\n1\t\n"), ["·|·", "1|·"]);
}

#[test]
fn text_of_any_script_is_kept() {
    assert_eq!(rows(CSV, "ñame,b\nŽluťoučký,🦀\n\"日本\"\"語\",ß\n"), ["Žluťoučký|🦀", "日本\"語|ß"]);
}

#[test]
fn an_empty_file_has_no_columns_and_a_header_alone_no_rows() {
    for (text, names) in [("", 0), ("\n \n", 0), ("a,b", 2), ("a,b\n", 2)] {
        let file = File::new(text);
        let shard = file.open(CSV).unwrap();
        assert_eq!(shard.names().len(), names, "{text:?}");
        assert_eq!(shard.blocks(10).unwrap().count(), 0, "{text:?}");
        assert!(shard.sample(10).unwrap().iter().all(|(_, data_type)| *data_type == T::Null));
    }
}

#[test]
fn unnamed_columns_are_named_as_pandas_names_them() {
    let file = File::new(",b,\n1,2,3\n");
    assert_eq!(file.open(CSV).unwrap().names(), ["Unnamed: 0", "b", "Unnamed: 2"]);
}

#[test]
fn a_signature_stands_for_the_header() {
    let file = File::new("\u{feff}1,x\n2,y\n");
    let batch = read(file.open_signed(&["n", "t"]).unwrap(), 1).unwrap();
    assert_eq!(types(&batch), [T::Int64, T::Utf8]);
    assert_eq!(batch.num_rows(), 2);
    let error = read(file.open_signed(&["n"]).unwrap(), 99).unwrap_err().to_string();
    assert_eq!(
        error,
        "row 0: line 1: 2 fields, where the signature has 1; quote fields that hold the delimiter, or take it out"
    );
}

#[test]
fn a_first_record_that_says_the_signature_is_a_header() {
    let signed = |text: &str| {
        let file = File::new(text);
        let shard = file.open_signed(&["n", "a b"]).unwrap();
        let sampled = shard.sample(10).unwrap();
        (read_text(&shard, 1).unwrap()[0].len(), sampled[0].1.clone())
    };
    for header in ["n,a b", "\u{feff}n,a b", "\n \n n ,\ta b ", "\"n\",\"a b\"", "\" n\",a b\r"] {
        assert_eq!(signed(&format!("{header}\n1,x\n")), (1, T::Int64), "{header:?}");
        assert_eq!(signed(header), (0, T::Null), "{header:?}");
    }
    for disagreeing in ["a b,n", "N,a b"] {
        let file = File::new(format!("{disagreeing}\n1,x\n"));
        let error = file.open_signed(&["n", "a b"]).map(drop).unwrap_err().to_string();
        assert!(error.contains("in another order or case"), "{error}");
    }
    for first in ["n,a", "n,\"a\nb\"", ",a b", "n,", "\"\"\"n\"\"\",a b"] {
        assert_eq!(signed(&format!("{first}\n1,x\n")).0, 2, "{first:?}");
    }
    // Once is a header, and twice is a row.
    assert_eq!(signed("n,a b\nn,a b\n1,x\n"), (2, T::Utf8));
}

#[test]
fn rows_and_lines_below_a_header_beside_a_signature_are_counted_as_below_any() {
    let refused = |text: &str| {
        let file = File::new(text);
        read(file.open_signed(&["n", "t"]).unwrap(), 1).unwrap_err().to_string()
    };
    assert_eq!(
        refused("\nn,t\n1,x\n2\n"),
        "row 1: line 4: 1 fields, where the signature has 2; complete the record, or take it out"
    );
    // A first record that is none is told of as a row, whatever it might have said.
    assert_eq!(
        refused("n,t,u\n1,x\n"),
        "row 0: line 1: 3 fields, where the signature has 2; quote fields that hold the delimiter, or take it out"
    );
    assert!(refused("n,\"t\n1,x\n").starts_with("row 0: line 1: a quote opens"));
}

#[test]
fn a_value_far_down_widens_its_column_and_no_other() {
    let mut text = "i,f,d,s,n\n".to_string();
    for row in 0..3000 {
        text += &format!("{row},{row},2024-01-01,{row},\n");
    }
    text += "7,0.5,2024-01-01 10:00:00,007,NA\n";
    let file = File::new(text);
    let shard = file.open(CSV).unwrap();
    let sampled: Vec<T> = shard.sample(1000).unwrap().into_iter().map(|(_, data_type)| data_type).collect();
    assert_eq!(sampled, [T::Int64, T::Int64, T::Date32, T::Int64, T::Null]);
    let batch = read(shard, 4096).unwrap();
    assert_eq!(types(&batch), [T::Int64, T::Float64, T::Timestamp(TimeUnit::Microsecond, None), T::Utf8, T::Null]);
    assert_eq!(batch.column(1).as_primitive::<Float64Type>().value(2999), 2999.0);
    assert_eq!(batch.column(3).as_string::<i32>().value(3000), "007");
}

#[test]
fn a_sample_looks_at_no_row_beyond_it() {
    let file = File::new("a\n1\n2\nx\n");
    let shard = file.open(CSV).unwrap();
    assert_eq!(shard.sample(2).unwrap(), [("a".to_string(), T::Int64)]);
    assert_eq!(shard.sample(3).unwrap(), [("a".to_string(), T::Utf8)]);
}

#[test]
fn forced_types_read_what_they_can_and_name_what_they_cannot() {
    let file = File::new("a,b\n007,1\n3.0,\n");
    let shard = file.open(CSV).unwrap();
    let block = shard.blocks(100).unwrap().next().unwrap().unwrap();
    let wanted = [column("a", T::Int32, true), column("b", T::Boolean, true), column("c", T::Float32, true)];
    let batch = shard.parse(&block, &wanted).unwrap().batch.unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int32Type>().values(), &[7, 3]);
    assert_eq!((batch.column(1).as_boolean().value(0), batch.column(1).is_null(1)), (true, true));
    assert_eq!((batch.column(2).null_count(), batch.column(2).data_type()), (2, &T::Float32));

    let file = File::new("a,b\n1,2\n3,\"fo,ur\"\n9999999999,x\n");
    let shard = file.open(CSV).unwrap();
    let blocks: Vec<Block> = shard.blocks(1).unwrap().collect::<Result<_>>().unwrap();
    let forced = |name: &str| [column(name, T::Int32, true)];
    let errors: Vec<String> = ["a", "b"]
        .iter()
        .map(|name| blocks.iter().find_map(|block| shard.parse(block, &forced(name)).err()).unwrap().to_string())
        .collect();
    assert_eq!(
        errors[0],
        "row 2, column `a`: `9999999999` is no Int32; correct it, or change the column's type in input.schema"
    );
    assert_eq!(
        errors[1],
        "row 1, column `b`: `fo,ur` is no Int32; correct it, or change the column's type in input.schema"
    );
}

#[test]
fn types_of_other_formats_take_missing_values_and_nothing_else() {
    let file = File::new("a,b\n,5\nNA,\n");
    let shard = file.open(CSV).unwrap();
    let block = shard.blocks(100).unwrap().next().unwrap().unwrap();
    let decimal = T::Decimal128(10, 2);
    let batch = shard.parse(&block, &[column("a", decimal.clone(), false)]).unwrap().batch.unwrap();
    assert_eq!((batch.column(0).data_type(), batch.column(0).null_count()), (&decimal, 2));
    let widened = |data_type: T| shard.parse(&block, &[column("b", data_type, false)]).unwrap().widened;
    assert_eq!(widened(T::Int32), [(0, T::Int64)]);
    assert_eq!(widened(T::UInt64), [(0, T::Float64)]);
    assert_eq!(widened(T::Binary), [(0, T::Utf8)]);
    assert_eq!(widened(T::Int64), []);
}

#[test]
fn integers_of_all_64_bits_are_exact() {
    let file = File::new("a\n9223372036854775807\n-9223372036854775808\n");
    let batch = read(file.open(CSV).unwrap(), 1).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[i64::MAX, i64::MIN]);
}

#[test]
fn each_fault_is_named_with_its_place() {
    let cases: &[(&[u8], &str)] = &[
        (b"a,b\n1,2\n\n3\n", "row 1: line 4: 1 fields, where the header has 2; complete the record"),
        (
            b"a,b\n\"x\ny\",2\n3,4,5\n",
            "row 1: line 4: 3 fields, where the header has 2; quote fields that hold the delimiter",
        ),
        (b"a,b,a\n1,2,3\n", "column `a`: the name stands twice in the header"),
        (b"a,b\n1,2\n3,\xff\n", "row 1, column `b`: line 3: the text is not UTF-8"),
        (b"a,\xff\n1,2\n", "the header is not UTF-8"),
        (b"a\n1\n\"open\n2\n", "row 1: line 3: a quote opens in this record that is still open at the end of the file"),
        (b"a,\"b\n1\n", "line 1: a quote opens in this record"),
        (b"\xff\xfea\0\n\0", "the text is UTF-16"),
        (b"a,b\r1,2\r3,4\r", "the lines end with a carriage return alone"),
    ];
    for (content, expected) in cases {
        let found = refusal(CSV, content);
        assert!(found.contains(expected), "{expected:?} not in {found:?}");
    }
}

#[test]
fn a_record_beyond_the_limit_is_refused_and_one_at_the_limit_is_read() {
    let record = |length: usize| [b"a\n1\n".to_vec(), vec![b'x'; length - 1], b"\n2\n".to_vec()].concat();
    let at_limit = File::new(record(RECORD_LIMIT));
    let shard = at_limit.open(CSV).unwrap();
    assert_eq!(shard.blocks(1 << 20).unwrap().map(|block| block.unwrap().rows).sum::<u64>(), 3);
    let beyond = File::new(record(RECORD_LIMIT + 1));
    let shard = beyond.open(CSV).unwrap();
    let error = shard.blocks(1 << 20).unwrap().find_map(Result::err).unwrap().to_string();
    assert_eq!(error, "row 1: line 3: the record is longer than 64 MiB; a quote may be open that never closes");
}

#[test]
fn blocks_end_after_the_first_error() {
    let file = File::new("a\n1\n\"open");
    let outcomes: Vec<bool> = file.open(CSV).unwrap().blocks(1).unwrap().map(|block| block.is_ok()).collect();
    assert_eq!(outcomes, [true, false]);
}

#[test]
fn the_recipes_words_for_missing_take_the_place_of_pandas() {
    let file = File::new("a,b,c\n-999,NA,?\n\"-999\",,\"?\"\n5,NaN,x\n");
    let with = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let options =
            TextOptions { kind: kind(CSV), null_values: Some(NullWords::new(&words)), ..TextOptions::default() };
        read(file.open_as(&options).unwrap(), 8).unwrap()
    };
    let some = with(&["-999", "?"]);
    assert_eq!(types(&some), [T::Int64, T::Utf8, T::Utf8]);
    assert_eq!(some.columns().iter().map(Array::logical_null_count).collect::<Vec<_>>(), [2, 1, 2]);
    let none = with(&[]);
    assert_eq!(types(&none), [T::Int64, T::Utf8, T::Utf8]);
    assert_eq!(none.columns().iter().map(Array::null_count).collect::<Vec<_>>(), [0, 1, 0]);
    let usual = read(file.open(CSV).unwrap(), 8).unwrap();
    assert_eq!((types(&usual), usual.column(1).logical_null_count()), (vec![T::Int64, T::Null, T::Utf8], 3));
}

#[test]
fn bytes_that_are_no_utf8_are_replaced_as_the_standard_library_replaces_them() {
    let bytes = b"n\xffme,b\n\xe9t\xe9,1\n\"\xf0\x9f\n\",\xc3\xa9\n\xe2\x82,2\n";
    let file = File::new(bytes);
    let options = TextOptions { kind: kind(CSV), encoding_errors: EncodingErrors::Replace, ..TextOptions::default() };
    let shard = file.open_as(&options).unwrap();
    assert_eq!(shard.names(), ["n\u{fffd}me", "b"]);
    for block_bytes in [1, 10, 1 << 20] {
        let columns = read_text(&shard, block_bytes).unwrap();
        let of = |text: &[u8]| Some(String::from_utf8_lossy(text).into_owned());
        assert_eq!(columns[0], [of(b"\xe9t\xe9"), of(b"\xf0\x9f\n"), of(b"\xe2\x82")]);
        assert_eq!(columns[1][1], of("é".as_bytes()));
    }
    let refused = refusal(CSV, b"a,b\n1,2\n3,x\xff\n");
    assert!(
        refused.starts_with("row 1, column `b`: line 3: the text is not UTF-8: byte 0xff at byte 3 of the record"),
        "{refused}"
    );
}

#[test]
fn lines_that_end_with_a_carriage_return_alone_are_refused_also_behind_quotes() {
    for text in ["a,b\r1,2\r", "\"a\",\"b\"\r\"1\",\"2\"\r", "\"a\rx\",b\r1,2"] {
        assert!(refusal(CSV, text).contains("a carriage return alone"), "{text:?}");
    }
    assert_eq!(rows(CSV, "\"a\rx\",b\r\n1,2\r\n"), ["1|2"]);
}
