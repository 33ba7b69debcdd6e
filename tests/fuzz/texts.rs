//! Text shards of every kind and option, damaged: an error that is one of the data, or the same rows and the same skipped
//! records however the shard is cut into blocks.

use std::fs;
use std::io::Write;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use twopass::error::Error;
use twopass::source::text::{
    BadRows, Delimiter, NullWords, Skipped, TextKind, TextOptions, TextShard, Wanted, looks_delimited,
};
use twopass::spec::EncodingErrors;

use crate::common::csv::fixtures;
use crate::common::{Numbers, Place};
use crate::mutate::{damaged, fuzz, pick};

const DELIMITED: &[&str] = &[
    "a,b\n1,2\n\n3,\"x\"\"y\n,z\"\r\n,NA\n",
    "a;b;c\n1,5;\"2\n3\";x\n4;;true\n",
    "a\tb\n2024-01-01\t007\n",
    "\u{feff}a|b\n-1.5e3|\"q\"tail\n\"\"|é🦀\n",
    "one\n1\nx\n",
];
const JSON: &[&str] = &[
    "{\"a\":1,\"b\":\"x\\n\\u00e9\"}\n\n{\"b\":null,\"a\":{\"c\":{\"d\":-2.5e3}}}\n",
    "[{\"a\":1},\n {\"a\":{\"b\":\"]},{\"}} , {}]\n",
    "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": \"\\\\\\\"\"\n  }\n}\n{\n\"a\": [1]\n}\n",
    "[]",
];

/// What a shard gives: its rows, as texts, and the records left out.
type Read = (Vec<Vec<Option<String>>>, Vec<Skipped>);

fn read(path: &Path, options: &TextOptions, block_bytes: usize) -> Result<Read, Error> {
    let shard = TextShard::open(path, options)?;
    shard.sample(100)?;
    let wanted = |name: &String| Wanted { name: name.clone(), data_type: DataType::Utf8, forced: true };
    let wanted: Vec<Wanted> = shard.names().iter().map(wanted).collect();
    let (mut rows, mut skipped) = (Vec::new(), Vec::new());
    for block in shard.blocks(block_bytes)? {
        let parsed = shard.parse(&block?, &wanted)?;
        let batch = parsed.batch.expect("text takes every value");
        for row in 0..batch.num_rows() {
            let cell = |column: &arrow::array::ArrayRef| {
                let texts = column.as_string::<i32>();
                texts.is_valid(row).then(|| texts.value(row).to_string())
            };
            rows.push(batch.columns().iter().map(cell).collect());
        }
        skipped.extend(parsed.skipped);
    }
    Ok((rows, skipped))
}

fn options(numbers: &mut Numbers, kind: TextKind, bad_rows: BadRows) -> TextOptions {
    let words = [None, Some(NullWords::new(&[])), Some(NullWords::new(&["1".into(), "x".into()]))];
    let names = [None, None, Some(["p".to_string(), "q".to_string()].into())];
    TextOptions {
        kind,
        bad_rows,
        names: pick(numbers, &names).clone(),
        null_values: pick(numbers, &words).clone(),
        encoding_errors: *pick(numbers, &[EncodingErrors::Raise, EncodingErrors::Replace]),
        ..TextOptions::default()
    }
}

/// The bytes, compressed now and then, and that damaged now and then.
fn packed(numbers: &mut Numbers, bytes: Vec<u8>) -> Vec<u8> {
    let packed = match numbers.below(8) {
        0 => {
            let (one, two) = bytes.split_at(bytes.len() / 2);
            let mut members = Vec::new();
            for member in [one, two] {
                let mut encoder = flate2::write::GzEncoder::new(&mut members, flate2::Compression::fast());
                encoder.write_all(member).unwrap();
                encoder.finish().unwrap();
            }
            members
        }
        1 => {
            let (one, two) = bytes.split_at(bytes.len() / 2);
            let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7];
            [&zstd::encode_all(one, 1).unwrap()[..], &skippable, &zstd::encode_all(two, 1).unwrap()].concat()
        }
        _ => return bytes,
    };
    if numbers.below(2) == 0 { damaged(numbers, &packed, &bytes) } else { packed }
}

fn target(name: &str, kept: &[Vec<u8>], kind: impl Fn(&mut Numbers) -> TextKind) {
    let place = Place::new();
    let path = place.path("shard");
    fuzz(name, |numbers| {
        let (content, other) = (pick(numbers, kept), pick(numbers, kept));
        let content = damaged(numbers, content, other);
        let content = packed(numbers, content);
        fs::write(&path, content).unwrap();
        let kind = kind(numbers);
        let block_bytes = 1 + numbers.below(64) as usize;
        for bad_rows in [BadRows::Raise, BadRows::Skip] {
            let options = options(numbers, kind, bad_rows);
            let (whole, cut) = (read(&path, &options, 1 << 20), read(&path, &options, block_bytes));
            match (whole, cut) {
                (Ok(whole), Ok(cut)) => {
                    assert!(whole == cut, "{options:?} in blocks of {block_bytes}");
                    assert!(bad_rows == BadRows::Skip || whole.1.is_empty());
                }
                (Err(whole), Err(cut)) => assert_eq!((whole.exit_code(), cut.exit_code()), (3, 3), "{whole}; {cut}"),
                (whole, cut) => panic!("{options:?} in blocks of {block_bytes}: {:?}, {:?}", whole.err(), cut.err()),
            }
        }
    });
}

fn samples() -> impl Iterator<Item = Vec<u8>> {
    let entries = fs::read_dir(fixtures().join("csv_spectrum")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap())
}

#[test]
fn any_delimited_text_reads_alike_in_any_blocks() {
    let kept: Vec<Vec<u8>> = DELIMITED.iter().map(|text| text.as_bytes().to_vec()).chain(samples()).collect();
    target("delimited text", &kept, |numbers| {
        TextKind::Delimited(match numbers.below(3) {
            0 => Delimiter::Is(*pick(numbers, b",;|\t ")),
            _ => Delimiter::Sniffed { first: *pick(numbers, b",\t") },
        })
    });
}

#[test]
fn any_json_reads_alike_in_any_blocks() {
    let kept: Vec<Vec<u8>> = JSON.iter().map(|text| text.as_bytes().to_vec()).chain(samples()).collect();
    target("JSON", &kept, |_| TextKind::Json);
}

/// Whether a line of text is an object that a shard of JSON may have, as serde sees it.
fn is_plain_object(line: &str) -> bool {
    fn is_plain(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Object(pairs) => pairs.values().all(is_plain),
            serde_json::Value::Array(_) => false,
            _ => true,
        }
    }
    line.trim_start().starts_with('{') && serde_json::from_str(line).is_ok_and(|value| is_plain(&value))
}

#[test]
fn what_is_read_of_json_lines_is_what_serde_reads() {
    let place = Place::new();
    let path = place.path("shard");
    let kept: Vec<&[u8]> = vec![
        b"{\"a\":1,\"b\":\"x\\n\\u00e9\"}",
        b"{\"b\":null,\"a\":{\"c\":{\"d\":-2.5e3}}}",
        b"{\"a\":\"\\ud83e\\udd80\",\"c\":true, \"d\" : \"tail\\\\\"}",
    ];
    let options = TextOptions { kind: TextKind::Json, bad_rows: BadRows::Skip, ..TextOptions::default() };
    fuzz("JSON lines beside serde", |numbers| {
        let (line, other) = (*pick(numbers, &kept), *pick(numbers, &kept));
        let line = damaged(numbers, line, other);
        let Ok(line) = String::from_utf8(line) else { return };
        if line.contains(['\n', '\r']) {
            return;
        }
        fs::write(&path, format!("{{\"a\":0}}\n{line}\n")).unwrap();
        let (rows, skipped) = read(&path, &options, 1 << 20).unwrap();
        assert_eq!(rows.len() + skipped.len(), if line.trim_matches([' ', '\t']).is_empty() { 1 } else { 2 }, "{line}");
        // What serde takes may still have a key twice, and lone surrogates are checked where they are used.
        if rows.len() == 2 {
            assert!(is_plain_object(&line) || line.contains("\\u"), "{line}");
        } else if is_plain_object(&line) {
            let why = &skipped[0].message;
            assert!(why.contains("stands twice") || why.contains("would be one column"), "{line}: {why}");
        }
    });
}

#[test]
fn no_bytes_make_sniffing_panic() {
    let kept: Vec<Vec<u8>> = DELIMITED.iter().chain(JSON).map(|text| text.as_bytes().to_vec()).collect();
    fuzz("sniffing", |numbers| {
        let (content, other) = (pick(numbers, &kept), pick(numbers, &kept));
        let content = damaged(numbers, content, other);
        looks_delimited(&content);
    });
}
