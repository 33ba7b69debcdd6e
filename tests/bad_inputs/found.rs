//! Directories in which nothing is, or nothing that is a shard.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::common::Place;
use crate::{Case, bad, judge, put, recipe, run};

pub fn cases() -> Vec<Case> {
    let nothing = |name, files: &[&'static str]| Case {
        name,
        files: files.iter().map(|file| (*file, b"x\n1\n".to_vec())).collect(),
        recipe: json!({}),
        code: 3,
        says: vec!["No CSV/JSON/Parquet shards found in"],
    };
    let path = |name, path: &str, says: &[&'static str]| Case {
        name,
        files: vec![("a.csv", b"x\n1\n".to_vec())],
        recipe: json!({ "input": { "path": path } }),
        code: 3,
        says: says.to_vec(),
    };
    vec![
        nothing("an empty directory", &[]),
        nothing("hidden files alone", &[".a.csv", ".b/c.csv"]),
        nothing("what Spark leaves alone", &["_SUCCESS", "_temporary/0/a.csv", "a.parquet.crc"]),
        path("no such directory", "nowhere", &["there is no file or directory nowhere"]),
        path("a pattern that nothing fits", "in/*.parquet", &["No CSV/JSON/Parquet shards found for in/*.parquet"]),
        path("a pattern that is none", "in/[", &["in/["]).ends(2),
        path("nothing for a path", "", &[]),
        bad("a format that cannot be told", "notes.txt", "hello\n", &["tell its format"]),
        bad("a format that cannot be told, without a name", "data", b"\0\x01\x02".to_vec(), &["tell its format"]),
        bad("a spreadsheet", "a.xlsx", b"PK\x03\x04".to_vec(), &["Excel is not read"]),
        bad("an ORC file", "a.orc", b"ORC\0".to_vec(), &["ORC is not read"]),
        bad("an archive", "a.tar.gz", crate::texts::gzip(b"a.csv\0\0\0"), &["tar is not read"]),
        bad("compressed by another program", "a.csv.bz2", b"BZh91AY&SY".to_vec(), &[]),
        bad("text under a wrong format", "a.csv", "x\n1\n", &["not a readable Parquet file"])
            .with(json!({ "input": { "format": "parquet" } })),
    ]
}

/// What is not a plain file: each is left by itself, for a table cannot hold it.
#[test]
fn what_is_there_and_cannot_be_read_is_named() {
    let case = |name: &str, make: &dyn Fn(&Place), code: i32, says: &[&str]| {
        let place = Place::new();
        put(&place.path("in/a.csv"), b"x\n1\n");
        make(&place);
        let output = run(&place, &recipe(&place, &json!({})));
        judge(name, &output, code, says).unwrap();
        assert!(!place.path("out").exists(), "{name}");
    };
    case("a link to nothing", &|place| symlink("nowhere", place.path("in/b.csv")).unwrap(), 1, &["b.csv"]);
    case(
        "a directory named like a shard, with a bad one",
        &|place| put(&place.path("in/b.parquet/c.csv"), b"x\n\xff\n"),
        3,
        &["b.parquet/c.csv"],
    );
    // Whoever is root may read everything.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let forbid = |place: &Place, name: &str| {
        let mut permissions = fs::metadata(place.path(name)).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0);
        fs::set_permissions(place.path(name), permissions).unwrap();
    };
    case("a file that may not be read", &|place| forbid(place, "in/a.csv"), 1, &["a.csv"]);
}

/// Directories and links that are shards after all.
#[test]
fn what_looks_odd_and_can_be_read_is_read() {
    let place = Place::new();
    put(&place.path("in/a.parquet/part.csv"), b"x\n1\n");
    put(&place.path("elsewhere/b.csv"), b"x\n2\n");
    symlink(place.path("elsewhere/b.csv"), place.path("in/b.csv")).unwrap();
    symlink(place.path("elsewhere"), place.path("in/linked")).unwrap();
    put(&place.path("in/c.csv"), b"x\n\0\n");
    let output = run(&place, &recipe(&place, &json!({})));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(place.path("out/data/part-00000.jsonl")).unwrap();
    // The same file under two names is one shard.
    assert_eq!(text.lines().count(), 3, "{text}");
}
