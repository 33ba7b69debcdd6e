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

fn found(paths: &[String]) -> (Vec<String>, Vec<String>) {
    let input = Input { path: OneOrMany::Many(paths.to_vec()), ..Input::default() };
    let found = shards(&input).unwrap_or_else(|e| panic!("{}", chain(&e)));
    (found.shards.into_iter().map(|shard| shard.name).collect(), found.notes)
}

#[test]
fn leftovers_of_other_systems_are_passed_over() {
    let leftovers = [
        "_SUCCESS",
        "_metadata",
        "_common_metadata",
        "_committed_123",
        "_started_123",
        "_temporary/0/a.csv",
        "_delta_log/0.json",
        "_delta_log/0.checkpoint.parquet",
        "_spark_metadata/0",
        ".part-00000.csv.crc",
        "part-00000.csv.crc",
        ".DS_Store",
        ".ipynb_checkpoints/a.csv",
    ];
    let files: Vec<String> = leftovers.iter().map(|name| format!("in/{name}")).collect();
    let place = place(&files.iter().map(String::as_str).chain(["in/part-00000.csv"]).collect::<Vec<_>>());
    let expected = (vec!["part-00000.csv".to_string()], vec![]);
    assert_eq!(found(&[place.text("in")]), expected);
    assert_eq!(found(&[place.text("in/*")]), expected);
}

#[test]
fn a_directory_named_as_a_shard_is_a_directory() {
    let place = place(&["in/x.parquet/part-0.csv", "in/x.parquet/_SUCCESS", "in/y.csv/part-1.csv"]);
    assert_eq!(names(&[place.text("in")]), ["x.parquet/part-0.csv", "y.csv/part-1.csv"]);
    assert_eq!(names(&[place.text("in/x.parquet")]), ["part-0.csv"]);
    assert_eq!(names(&[place.text("in/*.parquet")]), ["x.parquet/part-0.csv"]);
}

#[test]
fn a_file_under_several_names_is_read_once_and_told() {
    let place = place(&["in/a.csv", "in/b.csv", "away/c.csv"]);
    std::os::unix::fs::symlink(place.path("in/a.csv"), place.path("in/link.csv")).unwrap();
    fs::hard_link(place.path("in/b.csv"), place.path("in/hard.csv")).unwrap();
    std::os::unix::fs::symlink(place.path("away"), place.path("in/linked")).unwrap();
    let (names, notes) = found(&[place.text("in")]);
    assert_eq!(names, ["a.csv", "b.csv", "linked/c.csv"]);
    assert_eq!(notes, ["hard.csv is the same file as b.csv, and so are 1 more; each is read once"]);
    // By the same name it is only named twice.
    let (names, notes) = found(&[place.text("in/a.csv"), place.text("in/./a.csv")]);
    assert_eq!((names, notes), (vec!["a.csv".to_string()], vec![]));
    let (names, notes) = found(&[place.text("in/link.csv"), place.text("in/a.csv")]);
    assert_eq!(names, ["link.csv"]);
    assert_eq!(notes, ["a.csv is the same file as link.csv and is read once"]);
}

#[test]
fn links_that_lead_around_end_and_links_to_nothing_are_told() {
    let place = place(&["in/a.csv", "in/deep/b.csv"]);
    std::os::unix::fs::symlink(place.path("in"), place.path("in/deep/up")).unwrap();
    assert_eq!(names(&[place.text("in")]), ["a.csv", "deep/b.csv"]);
    std::os::unix::fs::symlink(place.path("in/gone.csv"), place.path("in/broken.csv")).unwrap();
    let input = Input { path: OneOrMany::One(place.text("in")), ..Input::default() };
    let error = shards(&input).unwrap_err();
    assert!(chain(&error).contains("broken.csv"), "{}", chain(&error));
}

#[test]
fn directories_named_as_partitions_are_read_and_told() {
    let place = place(&["in/day=1/a.csv", "in/day=2/a.csv"]);
    let (names, notes) = found(&[place.text("in")]);
    assert_eq!(names, ["day=1/a.csv", "day=2/a.csv"]);
    assert!(notes.len() == 1 && notes[0].starts_with("directories are named as partitions (day=1)"), "{notes:?}");
}
