use proptest::prelude::*;

use super::super::cells::Kind;
use super::super::column;
use super::super::skip::Passing;
use super::*;

/// Rows and skipped records of a shard read with bad rows left out.
fn skipping(
    file: &File,
    format: TextFormat,
    forced: &[(&str, T)],
    block_bytes: usize,
) -> Result<(Vec<String>, Vec<Skipped>)> {
    let forced: Vec<(String, T)> = forced.iter().map(|(name, set)| ((*name).to_string(), set.clone())).collect();
    let options = TextOptions {
        kind: kind(format),
        bad_rows: BadRows::Skip,
        forced: forced.clone().into(),
        ..TextOptions::default()
    };
    let shard = file.open_as(&options)?;
    let wanted: Vec<Wanted> = shard
        .names()
        .iter()
        .map(|name| {
            let set = forced.iter().find(|(known, _)| known == name);
            column(name, set.map_or(T::Utf8, |(_, set)| set.clone()), set.is_some())
        })
        .collect();
    let (mut rows, mut skipped) = (Vec::new(), Vec::new());
    for block in shard.blocks(block_bytes)? {
        let parsed = shard.parse(&block?, &wanted)?;
        let batch = parsed.batch.unwrap();
        let texts: Vec<_> =
            batch.columns().iter().map(|array| arrow::compute::cast(array, &T::Utf8).unwrap()).collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            texts
                .iter()
                .map(|text| if text.is_null(row) { "·" } else { text.as_string::<i32>().value(row) })
                .collect::<Vec<_>>()
                .join("|")
        }));
        skipped.extend(parsed.skipped);
    }
    Ok((rows, skipped))
}

fn told(skipped: &[Skipped]) -> Vec<String> {
    skipped
        .iter()
        .map(|one| {
            let column = one.column.as_ref().map_or_else(String::new, |column| format!(" `{column}`"));
            let message: String = one.message.chars().take(30).collect();
            format!("{}@{}{column}: {message}", one.record, one.line)
        })
        .collect()
}

#[test]
fn bad_records_are_left_out_and_told_with_their_place() {
    let csv = b"a,b\n1,x\n2\n\n3,y,z\n\"4\n\",w\n5,\xff\n6,\xe9x\n7,ok\n\"open,8\n9,9\n";
    let lines = b"{\"a\":1}\n{\"a\":[2]}\n{\"a\":\n\nx\n{\"a\":3,\"a\":3}\n{\"a\":\"\xff\"}\n{\"a\":4}\n";
    let array = b"[{\"a\":1},\n{\"a\":[2]},\n7,\n{\"a\":\"\xff\"},{\"a\":4}]";
    let objects = b"{\n\"a\":1\n}\n}\n{\n\"a\":4\n}\n{\"a\":\n";
    for block_bytes in [1, 7, 30, 1 << 20] {
        let (rows, skipped) = skipping(&File::new(csv), CSV, &[("a", T::Int64)], block_bytes).unwrap();
        assert_eq!(rows, ["1|x", "7|ok"]);
        assert_eq!(
            told(&skipped),
            [
                "1@3: 1 fields, where the header has",
                "2@5: 3 fields, where the header has",
                "3@6 `a`: `4\n` is no Int64; correct it, ",
                "4@8 `b`: the text is not UTF-8: byte 0x",
                "5@9 `b`: the text is not UTF-8: byte 0x",
                "7@11: a quote opens in this record t",
            ]
        );
        let (rows, skipped) = skipping(&File::new(lines), TextFormat::JsonLines, &[], block_bytes).unwrap();
        assert_eq!(rows, ["1", "4"]);
        assert_eq!(
            told(&skipped),
            [
                "1@2 `a`: the value is a list; make plai",
                "2@3: not a JSON object; JSON shards",
                "3@5: not a JSON object; JSON shards",
                "4@6 `a`: the key stands twice in the ob",
                "5@7: the text is not UTF-8: byte 0x",
            ]
        );
        let (rows, skipped) = skipping(&File::new(array), TextFormat::JsonLines, &[], block_bytes).unwrap();
        assert_eq!(rows, ["1", "4"]);
        assert_eq!(told(&skipped).len(), 3);
        let (rows, skipped) = skipping(&File::new(objects), TextFormat::JsonLines, &[], block_bytes).unwrap();
        assert_eq!(rows, ["1", "4"]);
        assert_eq!(told(&skipped), ["1@4: not a JSON object", "3@8: the object is still open at th"]);
    }
}

#[test]
fn a_skipped_record_neither_widens_a_column_nor_makes_one() {
    let lines =
        "{\"n\":1,\"x\":1}\n{\"n\":\"bad\",\"x\":\"text\",\"new\":1}\n{\"n\":2,\"x\":2}\n{\"n\":3,\"other\":[1]}\n";
    let csv = "n,x\n1,1\nbad,text\n2,2\n3\n";
    let forced: Arc<[(String, T)]> = Arc::new([("n".to_string(), T::Int64)]);
    for (format, text) in [(TextFormat::JsonLines, lines), (CSV, csv)] {
        let options = TextOptions {
            kind: kind(format),
            bad_rows: BadRows::Skip,
            forced: forced.clone(),
            ..TextOptions::default()
        };
        let file = File::new(text);
        let shard = file.open_as(&options).unwrap();
        assert_eq!(shard.names(), ["n", "x"]);
        assert_eq!(shard.sample(1000).unwrap(), [("n".to_string(), T::Int64), ("x".to_string(), T::Int64)]);
        let wanted = [column("n", T::Int64, true), column("x", T::Null, false), column("other", T::Null, false)];
        let block = shard.blocks(1 << 20).unwrap().next().unwrap().unwrap();
        let parsed = shard.parse(&block, &wanted).unwrap();
        assert_eq!((parsed.widened, parsed.new_columns, parsed.skipped.len()), (vec![(1, T::Int64)], vec![], 2));
    }
}

#[test]
fn a_record_beyond_the_limit_is_skipped_without_being_held() {
    let long = "x".repeat(RECORD_LIMIT + 1000);
    let cases = [
        (CSV, format!("a\n1\n\"{long}\n\"\"\",{long}\n2\n"), "1@3"),
        (TextFormat::JsonLines, format!("{{\"a\":1}}\n{{\"a\":\"{long}\"}}\n{{\"a\":2}}\n"), "1@2"),
        (TextFormat::JsonLines, format!("[{{\"a\":1}},\n{{\"a\":\"{long}\\\"\"}},{{\"a\":2}}]"), "1@2"),
    ];
    for (format, text, place) in cases {
        let (rows, skipped) = skipping(&File::new(text), format, &[], 1 << 16).unwrap();
        assert_eq!(rows, ["1", "2"]);
        assert_eq!(told(&skipped), [format!("{place}: the record is longer than 64 M")]);
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = vec![
        ",",
        ",",
        "\n",
        "\n",
        "\r\n",
        "\"",
        "\"\"",
        "x",
        "1",
        "2,3\n",
        "4,5\n",
        "é",
        "{\"a\":1}",
        "{\"a\":\"x\"}\n",
        "{\"a\":[1]}\n",
        "{",
        "}",
        "[",
        "]",
        "\\",
        "{\"a\":{\"b\":\"\\\"\"}}\n",
        " ",
    ];
    prop::collection::vec(prop::sample::select(piece), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_skipped_depends_on_no_block_size(text in pieces(), broken in prop::option::of(any::<prop::sample::Index>()), block_bytes in 1_usize..50) {
        for (format, prefix) in [(CSV, "a,b\n"), (TextFormat::JsonLines, "{\"a\":0}\n"), (TextFormat::JsonLines, "{\n}"), (TextFormat::JsonLines, "[{}")] {
            let mut bytes = format!("{prefix}{text}").into_bytes();
            if let Some(at) = broken {
                let at = prefix.len() + at.index(text.len() + 1);
                bytes.splice(at..at, [0xff]);
            }
            let file = File::new(&bytes);
            let whole = skipping(&file, format, &[("a", T::Int64)], 1 << 20).map_err(|e| e.to_string());
            let cut = skipping(&file, format, &[("a", T::Int64)], block_bytes).map_err(|e| e.to_string());
            prop_assert_eq!(cut, whole);
        }
    }

    #[test]
    fn lines_without_the_skipped_ones_read_the_same(text in pieces()) {
        let text = text.replace('"', "");
        let file = File::new(format!("a,b\n{text}"));
        let (rows, skipped) = skipping(&file, CSV, &[], 64).unwrap();
        let bad: Vec<u64> = skipped.iter().map(|one| one.line).collect();
        let good: Vec<&str> = text.split('\n').enumerate().filter(|(at, _)| !bad.contains(&(*at as u64 + 2))).map(|(_, line)| line).collect();
        prop_assert_eq!(super::rows(CSV, &format!("a,b\n{}", good.join("\n"))), rows);
    }

    #[test]
    fn a_record_is_passed_over_as_it_is_cut(text in pieces(), cuts in prop::collection::vec(1_usize..20, 1..20)) {
        for (format, text) in [(CSV, format!("{text}\n")), (TextFormat::JsonObjects, format!("{{{text}"))] {
            let bytes = text.as_bytes();
            let expected = match format {
                CSV => split::records(CSV, bytes, false, 1).ok().map(|cut| cut.end).filter(|end| *end > 0),
                _ => super::super::elements::end_of(bytes, 0),
            };
            // Blank lines are no records, and are passed over before.
            prop_assume!(split::blank_line(bytes, 0, false, format).is_none() || format != CSV);
            let mut passing = Passing::new(format, bytes.first().copied());
            let (mut at, mut found) = (0, None);
            for step in cuts.iter().cycle() {
                let end = (at + step).min(bytes.len());
                if let Some(within) = passing.end(&bytes[at..end]) {
                    found = Some(at + within);
                    break;
                }
                at = end;
                if at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!(found, expected, "{:?}", text);
        }
    }

    #[test]
    fn a_field_fits_a_forced_type_just_if_its_column_takes_it(
        field in prop_oneof!["[0-9+.eE: TZ-]{0,12}", prop::sample::select(vec!["", "NA", "true", "0", "1", "2147483648", "9223372036854775808", "3.0", "007", "2024-02-30", "2024-02-29", "2024-02-29T10:00", "2024-02-29 10:00:00.1234567Z", "1e400", "inf", "x"]).prop_map(str::to_string)],
        data_type in prop::sample::select(vec![T::Boolean, T::Int32, T::Int64, T::Float32, T::Float64, T::Utf8, T::Date32, T::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None)]),
    ) {
        let file = File::new(format!("a,b\n{field},\n"));
        let shard = file.open(CSV).unwrap();
        let block = shard.blocks(100).unwrap().next().unwrap().unwrap();
        let taken = shard.parse(&block, &[column("a", data_type.clone(), true)]).is_ok();
        prop_assert_eq!(column::fits(&data_type, Kind::Bare, field.as_bytes()), taken, "{} as {}", field, data_type);
    }
}
