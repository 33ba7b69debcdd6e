//! Which files become shards, and what they are called.

mod common;

use std::fs;

use common::{Place, chain};
use twopass::source::discover::{ShardFormat, shards};
use twopass::source::text::Delimiter;
use twopass::spec::{Input, InputFormat, OneOrMany};

fn names(paths: &[String]) -> Vec<String> {
    let input = Input { path: OneOrMany::Many(paths.to_vec()), ..Input::default() };
    shards(&input).unwrap_or_else(|e| panic!("{}", chain(&e))).shards.into_iter().map(|shard| shard.name).collect()
}

fn place(files: &[&str]) -> Place {
    let place = Place::new();
    for file in files {
        fs::create_dir_all(place.path(file).parent().unwrap()).unwrap();
        fs::write(place.path(file), "x\n1\n").unwrap();
    }
    place
}

#[test]
fn names_are_relative_to_the_root_and_in_order() {
    let place = place(&["in/b.csv", "in/a/z.csv.gz", "in/a.csv", "in/c-2.tsv"]);
    assert_eq!(names(&[place.text("in")]), ["a.csv", "a/z.csv.gz", "b.csv", "c-2.tsv"]);
    assert_eq!(names(&[place.text("in/b.csv")]), ["b.csv"]);
    assert_eq!(names(&[place.text("in/*.csv")]), ["a.csv", "b.csv"]);
    assert_eq!(names(&[place.text("in/**/z*")]), ["a/z.csv.gz"]);
}

#[test]
fn a_list_has_the_deepest_common_root_and_no_file_twice() {
    let place = place(&["in/p/part-0.csv", "in/q/part-0.csv"]);
    let both = [place.text("in/p"), place.text("in/q"), place.text("in/q/part-0.csv")];
    assert_eq!(names(&both), ["p/part-0.csv", "q/part-0.csv"]);
}

#[test]
fn what_spark_leaves_is_passed_over() {
    let place =
        place(&["in/a.csv", "in/_SUCCESS", "in/.a.csv.crc", "in/a.csv.crc", "in/_temporary/b.csv", "in/.hidden/c.csv"]);
    assert_eq!(names(&[place.text("in")]), ["a.csv"]);
}

#[test]
fn formats_are_told_by_name_then_by_content() {
    let place = place(&["in/part-00000-abc-c000.snappy.parquet", "in/a.jsonl.zst", "in/b.TSV"]);
    fs::write(place.path("in/lines"), "\n {\"x\": 1}\n").unwrap();
    let input = Input { path: OneOrMany::One(place.text("in")), ..Input::default() };
    let found: Vec<_> = shards(&input).unwrap().shards.into_iter().map(|shard| shard.format).collect();
    let tsv = ShardFormat::Delimited(Delimiter::Sniffed { first: b'\t' });
    assert_eq!(found, [ShardFormat::Json, tsv, ShardFormat::Json, ShardFormat::Parquet]);
}

#[test]
fn a_file_of_no_known_format_is_named() {
    let place = place(&["in/a.csv", "in/notes.txt"]);
    let input = Input { path: OneOrMany::One(place.text("in")), ..Input::default() };
    let error = shards(&input).unwrap_err();
    assert!(chain(&error).starts_with("shard notes.txt: neither its name"), "{}", chain(&error));
    let as_csv = Input { format: InputFormat::Csv, ..input };
    assert_eq!(shards(&as_csv).unwrap().shards.len(), 2);
}

#[test]
fn nothing_found_is_an_error_that_says_where() {
    let place = place(&[]);
    fs::create_dir_all(place.path("in")).unwrap();
    for (path, says) in [
        ("in", "No CSV/JSON/Parquet shards found in"),
        ("in/*.csv", "No CSV/JSON/Parquet shards found for"),
        ("no", "there is no file or directory"),
    ] {
        let input = Input { path: OneOrMany::One(place.text(path)), ..Input::default() };
        let error = shards(&input).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(chain(&error).contains(says), "{}", chain(&error));
    }
}
