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

/// An input of `in`, with these keys besides.
fn asked(place: &Place, keys: &serde_json::Value) -> Input {
    let mut input = serde_json::json!({ "path": place.text("in") });
    input.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    serde_json::from_value(input).unwrap()
}

fn told(input: &Input) -> (Vec<String>, Vec<String>) {
    let found = shards(input).unwrap_or_else(|e| panic!("{}", chain(&e)));
    (found.shards.into_iter().map(|shard| shard.name).collect(), found.notes)
}

#[test]
fn names_choose_among_the_files_of_a_directory_and_tell_what_is_passed_over() {
    let place = place(&["in/part-1.csv", "in/part-2.csv.gz", "in/PART-3.csv", "in/deep/part-4.csv", "in/other.txt"]);
    let of = |names: serde_json::Value| told(&asked(&place, &serde_json::json!({ "names": names })));
    let note = |count: usize, first: &str| {
        vec![format!("{count} files match none of input.names and are passed over; the first: {first}")]
    };
    let parts = serde_json::json!(["part-*.csv", "part-*.csv.gz"]);
    assert_eq!(of(parts), (vec!["part-1.csv".into(), "part-2.csv.gz".into()], note(3, "PART-3.csv")));
    let all = ["PART-3.csv", "deep/part-4.csv", "part-1.csv"].map(String::from);
    assert_eq!(of(serde_json::json!("**/*.csv")), (all.to_vec(), note(2, "other.txt")));
    assert_eq!(of(serde_json::json!(["deep/*"])), (vec!["deep/part-4.csv".into()], note(4, "PART-3.csv")));
    let one = vec!["other.txt matches none of input.names and is passed over".to_string()];
    assert_eq!(of(serde_json::json!(["**/*.csv", "**/*.gz"])).1, one);
    // No globs ask for all.
    let input = asked(&place, &serde_json::json!({ "names": [], "format": "csv" }));
    assert_eq!(told(&input).0.len(), 5);
    assert_eq!(serde_json::to_value(input).unwrap().get("names"), None);
}

#[test]
fn names_are_asked_of_directories_alone_each_by_itself() {
    let place = place(&["in/a/x.csv", "in/b/x.csv", "in/b/y.csv", "in/z.txt.csv"]);
    let paths = |paths: &[&str]| paths.iter().map(|path| place.text(path)).collect::<Vec<_>>();
    let of = |list: &[&str]| {
        told(&Input { path: OneOrMany::Many(paths(list)), names: OneOrMany::One("x.csv".into()), ..Input::default() })
    };
    // Relative to the directory that is named, whatever the shard is called.
    let (names, notes) = of(&["in/a", "in/b"]);
    assert_eq!(names, ["a/x.csv", "b/x.csv"]);
    assert_eq!(notes, ["b/y.csv matches none of input.names and is passed over"]);
    assert_eq!(of(&["in/b/y.csv"]), (vec!["y.csv".to_string()], vec![]));
    assert_eq!(of(&["in/*.csv", "in/b/*"]).0, ["b/x.csv", "b/y.csv", "z.txt.csv"]);
    assert_eq!(of(&["in/[b]"]).0, ["b/x.csv", "b/y.csv"]);
}

#[test]
fn names_that_match_nothing_are_told_with_the_error() {
    let place = place(&["in/a.csv", "in/b.csv"]);
    let error = shards(&asked(&place, &serde_json::json!({ "names": ["*.parquet"] }))).unwrap_err();
    let expected = format!(
        "input: No CSV/JSON/Parquet shards found in {}: 2 files match none of input.names and are passed over; the first: a.csv",
        place.text("in")
    );
    assert_eq!((error.exit_code(), chain(&error)), (3, expected));
    let error = shards(&asked(&place, &serde_json::json!({ "names": ["a[.csv"] }))).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn a_secondary_adds_the_shards_whose_names_are_not_there_yet() {
    let place = place(&["in/b.csv", "in/deep/c.csv", "more/a.csv", "more/b.csv", "more/deep/c.csv", "more/deep/d.csv"]);
    let input = asked(&place, &serde_json::json!({ "secondary": place.text("more") }));
    let found = shards(&input).unwrap();
    let from = |shard: &twopass::source::Shard| {
        (shard.name.clone(), shard.path.strip_prefix(place.path("")).unwrap().to_str().unwrap().to_string())
    };
    let expected = [
        ("a.csv", "more/a.csv"),
        ("b.csv", "in/b.csv"),
        ("deep/c.csv", "in/deep/c.csv"),
        ("deep/d.csv", "more/deep/d.csv"),
    ];
    let expected = expected.map(|(name, path)| (name.to_string(), path.to_string()));
    assert_eq!(found.shards.iter().map(from).collect::<Vec<_>>(), expected);
    assert_eq!(
        found.notes,
        ["2 shards are in input.path too, and are not read from input.secondary; the first: b.csv"]
    );
}

#[test]
fn a_secondary_without_shards_is_none() {
    let place = place(&["in/a.csv", "only/b.txt", "file.csv"]);
    fs::create_dir_all(place.path("bare")).unwrap();
    fs::create_dir_all(place.path("hollow")).unwrap();
    fs::write(place.path("hollow/b.csv"), "").unwrap();
    let of =
        |secondary: &str| asked(&place, &serde_json::json!({ "secondary": place.text(secondary), "names": ["*.csv"] }));
    for (secondary, notes) in [
        ("nowhere", vec![]),
        ("bare", vec![]),
        ("hollow", vec!["b.csv has 0 bytes and is skipped".to_string()]),
        ("only", vec!["b.txt matches none of input.names and is passed over".to_string()]),
    ] {
        assert_eq!(told(&of(secondary)), (vec!["a.csv".to_string()], notes), "{secondary}");
    }
    let error = shards(&of("file.csv")).unwrap_err();
    assert!(error.exit_code() == 3 && chain(&error).contains("is no directory"), "{}", chain(&error));
    // It adds to shards that are there; it does not stand for them.
    fs::write(place.path("in/a.csv"), "").unwrap();
    let error = shards(&asked(&place, &serde_json::json!({ "secondary": place.text("only") }))).unwrap_err();
    assert!(chain(&error).contains("No CSV/JSON/Parquet shards found in"), "{}", chain(&error));
}

#[test]
fn a_file_that_both_roots_hold_is_read_once() {
    let place = place(&["in/a.csv", "more/z.csv"]);
    fs::hard_link(place.path("in/a.csv"), place.path("more/b.csv")).unwrap();
    std::os::unix::fs::symlink(place.path("in/a.csv"), place.path("more/a.csv")).unwrap();
    let (names, notes) = told(&asked(&place, &serde_json::json!({ "secondary": place.text("more") })));
    assert_eq!(names, ["a.csv", "z.csv"]);
    assert_eq!(notes, ["b.csv is the same file as a.csv and is read once"]);
}

#[test]
fn files_of_no_bytes_are_no_shards_whatever_their_name() {
    let place = place(&["in/b.csv", "more/a.csv"]);
    for name in ["a.csv", "c.csv.gz", "d.parquet", "e.json.zst", "f.unknown", "g"] {
        fs::write(place.path("in").join(name), "").unwrap();
    }
    let note = "6 files have 0 bytes and are skipped; the first: a.csv".to_string();
    assert_eq!(told(&asked(&place, &serde_json::json!({}))), (vec!["b.csv".to_string()], vec![note.clone()]));
    // A name that has no bytes in one root is free for the other.
    let (names, notes) = told(&asked(&place, &serde_json::json!({ "secondary": place.text("more") })));
    assert_eq!((names, notes), (vec!["a.csv".to_string(), "b.csv".to_string()], vec![note]));
    let input = Input { path: OneOrMany::One(place.text("in/d.parquet")), ..Input::default() };
    let error = shards(&input).unwrap_err();
    let expected = format!(
        "input: No CSV/JSON/Parquet shards found in {}: d.parquet has 0 bytes and is skipped",
        place.text("in/d.parquet")
    );
    assert_eq!((error.exit_code(), chain(&error)), (3, expected));
}
