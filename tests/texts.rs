//! Text as users have it: the same table comes out of any mix of text formats, and what is read of a file is what its
//! writer meant.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use common::csv::fixtures;
use common::{Place, chain, job, json, read_split, run, try_run};
use proptest::prelude::*;
use serde_json::{Value, json};
use twopass::observe::{Event, Observer};

fn recipe(place: &Place, input: Value) -> Value {
    let mut recipe = json!({
        "input": { "path": place.text("in") },
        "output": { "path": place.text("out") },
        "run": { "state": place.text("state"), "threads": 2 },
    });
    recipe["input"].as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
    recipe
}

fn put(place: &Place, name: &str, content: impl AsRef<[u8]>) {
    let path = place.path("in").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Every row of the output as text, a missing value as `·`.
fn rows(place: &Place) -> Vec<String> {
    let batch = read_split(&place.path("out"), "data");
    let columns: Vec<_> = batch.columns().iter().map(|column| cast(column, &DataType::Utf8).unwrap()).collect();
    let show = |row: usize| {
        let cell = |column: &arrow::array::ArrayRef| {
            if column.is_null(row) { "·".to_string() } else { column.as_string::<i32>().value(row).to_string() }
        };
        columns.iter().map(cell).collect::<Vec<_>>().join("|")
    };
    (0..batch.num_rows()).map(show).collect()
}

/// The message of a job that fails for its data.
#[track_caller]
fn refused(place: &Place, input: Value) -> String {
    let error = try_run(&recipe(place, input)).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{}", chain(&error));
    chain(&error)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_samples_of_csv_spectrum_are_read_as_meant() {
    let mut samples = 0;
    for entry in fs::read_dir(fixtures().join("csv_spectrum")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let expected = json(&path.with_extension("json"));
        let place = Place::new();
        put(&place, "a.csv", fs::read(&path).unwrap());
        run(&recipe(&place, json!({})));
        let batch = read_split(&place.path("out"), "data");
        let expected = expected.as_array().unwrap();
        assert_eq!(batch.num_rows(), expected.len(), "{}", path.display());
        for (row, expected) in expected.iter().enumerate() {
            for (column, (name, value)) in batch.columns().iter().zip(expected.as_object().unwrap()) {
                let texts = cast(column, &DataType::Utf8).unwrap();
                let found = if texts.is_null(row) { "" } else { texts.as_string::<i32>().value(row) };
                assert_eq!(found, value.as_str().unwrap(), "{} of row {row} of {}", name, path.display());
            }
        }
        samples += 1;
    }
    assert_eq!(samples, 12);
}

/// How one shard is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Delimited(char),
    Lines,
    Array,
    Pretty,
}

/// One column's values, as CSV writes them, and whether JSON writes them as text.
#[derive(Debug, Clone)]
struct Column {
    values: Vec<Option<String>>,
    is_text: bool,
}

fn column(rows: usize) -> impl Strategy<Value = Column> {
    let kinds: Vec<(bool, Vec<&str>)> = vec![
        (false, vec!["1", "-20", "9007199254740993"]),
        (false, vec!["0.5", "1e3", "7"]),
        (false, vec!["true", "false"]),
        (true, vec!["2024-01-01", "2024-02-29"]),
        (true, vec!["2024-01-01T10:00:00", "2024-01-01"]),
        (true, vec!["x", "a,b", "q\"q", "l\nl", "ř;|", "t\tt", " padded "]),
        (true, vec![]),
    ];
    prop::sample::select(kinds).prop_flat_map(move |(is_text, values)| {
        let value = prop::option::of(prop::sample::select(if values.is_empty() { vec![""] } else { values }));
        prop::collection::vec(value, rows).prop_map(move |values| Column {
            values: values.into_iter().map(|value| value.filter(|v| !v.is_empty()).map(str::to_string)).collect(),
            is_text,
        })
    })
}

fn table() -> impl Strategy<Value = Vec<Column>> {
    (2_usize..5, 1_usize..30).prop_flat_map(|(width, rows)| prop::collection::vec(column(rows), width))
}

/// Rows `range` of the table, in `form`, its columns in `order`.
fn written(table: &[Column], range: std::ops::Range<usize>, form: Form, order: &[usize]) -> String {
    match form {
        Form::Delimited(delimiter) => {
            let field = |text: &str| match text.contains([delimiter, '"', '\n']) {
                true => format!("\"{}\"", text.replace('"', "\"\"")),
                false => text.to_string(),
            };
            let line = |fields: Vec<String>| fields.join(&delimiter.to_string()) + "\n";
            let header = line(order.iter().map(|at| format!("c{at}")).collect());
            let row = |row: usize| {
                line(order.iter().map(|&at| table[at].values[row].as_deref().map_or(String::new(), field)).collect())
            };
            header + &range.map(row).collect::<String>()
        }
        Form::Lines | Form::Array | Form::Pretty => {
            let object = |row: usize| {
                let pair = |&at: &usize| match &table[at].values[row] {
                    None => format!("\"c{at}\": null"),
                    Some(text) if table[at].is_text => format!("\"c{at}\": {}", Value::from(text.as_str())),
                    Some(text) => format!("\"c{at}\": {text}"),
                };
                let pairs: Vec<String> = order.iter().map(pair).collect();
                match form {
                    Form::Pretty => format!("{{\n  {}\n}}", pairs.join(",\n  ")),
                    _ => format!("{{{}}}", pairs.join(", ")),
                }
            };
            let objects: Vec<String> = range.map(object).collect();
            match form {
                Form::Array => format!("[{}]", objects.join(",\n")),
                _ => objects.join("\n"),
            }
        }
    }
}

fn read_back(place: &Place) -> RecordBatch {
    run(&recipe(place, json!({})));
    read_split(&place.path("out"), "data")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_mix_of_text_formats_and_any_sharding_gives_the_same_schema_and_rows(
        table in table(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        forms in prop::collection::vec(prop::sample::select(vec![
            Form::Delimited(','), Form::Delimited('\t'), Form::Delimited(';'), Form::Delimited('|'), Form::Lines, Form::Array, Form::Pretty,
        ]), 6),
        compressions in prop::collection::vec(0_u8..4, 6),
        turns in prop::collection::vec(0_usize..5, 6),
    ) {
        let rows = table[0].values.len();
        let in_order: Vec<usize> = (0..table.len()).collect();
        let one = Place::new();
        put(&one, "all.csv", written(&table, 0..rows, Form::Delimited(','), &in_order));
        let many = Place::new();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(rows + 1)).chain([rows]).collect();
        ends.sort_unstable();
        let mut start = 0;
        for (at, end) in ends.into_iter().enumerate() {
            let mut order = in_order.clone();
            // The first shard's order is that of all.
            if at > 0 {
                order.rotate_left(turns[at] % table.len());
            }
            // A JSON shard without rows has no columns, and the order would be another's.
            let form = if at == 0 && end == 0 { Form::Delimited(',') } else { forms[at] };
            let content = written(&table, start..end, form, &order).into_bytes();
            let name = match form {
                Form::Delimited('\t') => "tsv",
                Form::Delimited(_) => "CSV",
                Form::Lines => "jsonl",
                Form::Array | Form::Pretty => "json",
            };
            let (suffix, content) = match compressions[at] {
                0 => (".gz", [gzip(&content[..content.len() / 2]), gzip(&content[content.len() / 2..])].concat()),
                1 => (".zst", zstd::encode_all(&content[..], 1).unwrap()),
                _ => ("", content),
            };
            put(&many, &format!("part-{at:05}.{name}{suffix}"), content);
            start = end;
        }
        let (expected, found) = (read_back(&one), read_back(&many));
        prop_assert_eq!(expected.schema(), found.schema());
        prop_assert_eq!(expected, found);
    }
}

#[test]
fn what_a_name_promises_and_the_content_is_not_is_told() {
    let parquet = [b"PAR1".as_slice(), &[0; 100], b"PAR1"].concat();
    let cases: [(&str, &[u8], &str); 8] = [
        ("a.csv", &parquet, "shard a.csv: the content is Parquet"),
        ("a.json", &parquet, "shard a.json: the content is Parquet"),
        ("a.csv.bz2", b"BZh91AY&SY", "shard a.csv.bz2: bzip2 is not read; compress the file with gzip or zstd instead"),
        ("a.csv", b"BZh91AY&SY", "shard a.csv: bzip2 is not read"),
        ("a.xlsx", b"PK\x03\x04", "shard a.xlsx: Excel is not read; convert the file to Parquet or CSV"),
        ("a.tar.gz", b"x", "shard a.tar.gz: tar is not read; unpack the archive"),
        ("part-0.snappy.orc", b"ORC\x0a", "shard part-0.snappy.orc: ORC is not read"),
        ("data", b"Obj\x01\x02", "shard data: Avro is not read"),
    ];
    for (name, content, expected) in cases {
        let place = Place::new();
        put(&place, name, content);
        let found = refused(&place, json!({}));
        assert!(found.starts_with(expected), "{expected:?} is not the beginning of {found:?}");
    }
}

#[test]
fn names_of_any_case_and_none_at_all_are_read() {
    let place = Place::new();
    put(&place, "a.CSV", "x,y\n1,2\n");
    put(&place, "b.JSON.GZ", gzip(b"[{\"x\":3,\"y\":4}]"));
    put(&place, "c", "\n {\"x\":5,\"y\":6}\n");
    put(&place, "d.txt", "y|x\n8|7\n");
    put(&place, "e", "\u{feff}y\tx\n10\t9\n");
    put(&place, "part-00000-0a1b2c3d-c000.snappy.json", "{\n\"x\": 11,\n\"y\": 12\n}\n");
    run(&recipe(&place, json!({})));
    assert_eq!(rows(&place), ["1|2", "3|4", "5|6", "7|8", "9|10", "11|12"]);
}

#[test]
fn the_keys_of_text_reach_the_readers() {
    let place = Place::new();
    put(&place, "a.csv", b"x:y\n-1:caf\xe9\n2:NA\n");
    let input = json!({ "delimiter": ":", "null_values": ["-1"], "encoding_errors": "replace" });
    run(&recipe(&place, input));
    assert_eq!(rows(&place), ["·|caf\u{fffd}", "2|NA"]);
    let place = Place::new();
    put(&place, "a.csv", b"x:y\n-1:caf\xe9\n2:NA\n");
    let found = refused(&place, json!({ "delimiter": ":" }));
    assert!(found.starts_with("shard a.csv, row 0, column `y`: line 2: the text is not UTF-8: byte 0xe9"), "{found}");
    // A state of other keys is not taken for one of these.
    let again = Place::new();
    put(&again, "a.csv", "x,y\n1,NA\n");
    run(&recipe(&again, json!({})));
    assert_eq!(rows(&again), ["1|·"]);
    let words = recipe(&again, json!({ "null_values": [] }));
    job(&words).overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!(rows(&again), ["1|NA"]);
}

#[test]
fn wrong_delimiters_are_refused_before_anything_is_read() {
    for delimiter in ["ab", "", "\"", "\n", "é", "\u{0}"] {
        let tree = json!({ "input": { "path": "x", "delimiter": delimiter } });
        let error = twopass::spec::keys::read(&tree).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("one ASCII character"), "{error}");
    }
}

#[test]
fn a_column_that_widens_late_has_right_statistics() {
    let whole: String = (0..5000).map(|n| format!("{n},{n},5,2024-01-01\n")).collect();
    let place = Place::new();
    put(&place, "a.csv", format!("i,w,t,d\n{whole}"));
    put(&place, "b.csv", format!("i,w,t,d\n{whole}7,0.5,word,2024-01-01T12:00:00\n"));
    put(&place, "c.csv", "i,w,t,d\n,NA,,\n");
    run(&recipe(&place, json!({})));
    let late = fs::read_to_string(place.path("out/metadata")).unwrap();
    // The same rows, in an order in which nothing widens late.
    let early = Place::new();
    put(&early, "a.csv", "i,w,t,d\n7,0.5,word,2024-01-01T12:00:00\n");
    put(&early, "b.csv", format!("i,w,t,d\n{whole}{whole},NA,,\n"));
    run(&recipe(&early, json!({})));
    let early = fs::read_to_string(early.path("out/metadata")).unwrap();
    assert_eq!(late, early);
    assert!(late.contains("2499.2"), "{late}");
}

#[test]
fn integers_beyond_two_to_the_53_are_never_rounded_beside_floats() {
    for (a, b) in [("9007199254740993\n", "0.5\n"), ("0.5\n", "9007199254740993\n")] {
        let place = Place::new();
        put(&place, "a.csv", format!("x,y\n1,{a}"));
        put(&place, "b.jsonl", format!("{{\"x\":1,\"y\":{}}}\n", b.trim()));
        run(&recipe(&place, json!({})));
        assert_eq!(rows(&place), [format!("1|{}", a.trim()), format!("1|{}", b.trim())]);
    }
}

/// Appends to a file when rows of it were read.
struct Grower<'a>(&'a Path);

impl Observer for Grower<'_> {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Advance { .. }) {
            fs::OpenOptions::new().append(true).open(self.0).unwrap().write_all(b"9,9\n").unwrap();
        }
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_named() {
    let place = Place::new();
    put(&place, "a.csv", "x,y\n1,2\n");
    let path = place.path("in/a.csv");
    let error = job(&recipe(&place, json!({}))).run(&Grower(&path)).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(chain(&error).starts_with("shard a.csv: the shard changed while the job ran"), "{}", chain(&error));
}

#[test]
fn check_tells_of_names_that_differ_by_case_and_of_each_shards_difference() {
    let place = Place::new();
    put(&place, "a.csv", "id,Name\n1,x\n");
    put(&place, "b.csv", "name,id\ny,0.5\n");
    let input = json!({ "extra_columns": "ignore" });
    let preview = job(&recipe(&place, input)).check().unwrap();
    assert_eq!(preview.notes.len(), 1);
    assert!(preview.notes[0].starts_with("columns `Name` (shard a.csv) and `name` (shard b.csv) differ only by case"));
    let told: Vec<String> = preview.disagreements.iter().map(|one| format!("{} {}", one.shard, one.column)).collect();
    assert_eq!(told, ["a.csv id", "b.csv name", "b.csv Name"]);
    let found = refused(&place, json!({}));
    assert!(
        found.contains("shard b.csv, column `name`: not a column of the first shard, a.csv, which has `Name`"),
        "{found}"
    );
}
