//! The worst inputs under a limit that the system sets: the program ends with its error, not by the system's hand.

use std::process::Command;

use serde_json::json;

use crate::claims::{bomb, codecs};
use crate::common::Place;
use crate::common::forged::*;
use crate::{judge, put, recipe};

/// Address space that the program may take, in KiB: its memory's limit, and what the allocator and threads set aside
/// without using it.
const ADDRESSES_KIB: u64 = 3 << 20;

fn refused_within_limits(name: &str, file: &str, bytes: &[u8], says: &[&str]) {
    let place = Place::new();
    put(&place.path("in").join(file), bytes);
    std::fs::write(place.path("recipe.json"), recipe(&place, &json!({})).to_string()).unwrap();
    let program = env!("CARGO_BIN_EXE_twopass");
    let line = format!("ulimit -v {ADDRESSES_KIB}; exec {program} run recipe.json --progress none");
    let output = Command::new("sh").current_dir(place.path("")).args(["-c", &line]).output().unwrap();
    judge(name, &output, 3, says).unwrap();
}

#[test]
fn a_page_is_no_larger_than_it_says_or_than_there_is_room_for() {
    for (name, number, compression) in codecs() {
        refused_within_limits(
            name,
            "x.parquet",
            &bomb(number, compression, 256 << 20, 32),
            &["x.parquet", "column `x`"],
        );
        refused_within_limits(name, "x.parquet", &bomb(number, compression, 256 << 20, 256 << 20), &["raise --memory"]);
    }
}

#[test]
fn nothing_is_allocated_for_what_is_only_claimed() {
    let numbers = plain(&[1, 2, 3, 4]);
    let most = (1 << 31) - 1;
    let claims = [
        (
            "a dictionary",
            Forged::new(
                BYTE_ARRAY,
                4,
                [dictionary(most, &texts(&[b"a"])), page(4, RLE_DICTIONARY, 3, &[0, 8, 0])].concat(),
            )
            .with(|f| f.dictionary = Some(4)),
        ),
        ("rows", Forged::new(INT64, 1 << 31, page(4, PLAIN, 32, &numbers))),
        ("row groups", Forged::new(INT64, 4, page(4, PLAIN, 32, &numbers)).with(|f| f.groups = most as u64)),
        ("columns", Forged::new(INT64, 4, page(4, PLAIN, 32, &numbers)).with(|f| f.elements = most as u64)),
    ];
    for (name, file) in claims {
        refused_within_limits(name, "x.parquet", &file.bytes(), &["x.parquet"]);
    }
}

/// A compressed shard is small on disk, and whether its decoded columns can be kept shows only as they are read.
#[test]
fn rows_that_compress_to_nothing_are_not_kept() {
    let place = Place::new();
    let rows = [b"x\n".to_vec(), b"1\n".repeat(24 << 20)].concat();
    put(&place.path("in/a.csv.zst"), &crate::texts::zstd(&rows));
    let more = json!({ "run": { "memory": "64MiB" }, "output": { "format": "parquet", "path": place.text("out") } });
    std::fs::write(place.path("recipe.json"), recipe(&place, &more).to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopass"));
    let arguments = ["run", "recipe.json", "--progress", "none", "-q"];
    let mut child = command.current_dir(place.path("")).args(arguments).spawn().unwrap();
    let mut peak_kib = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        peak_kib = peak_kib.max(resident_kib(child.id()));
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(ended.success());
    // The rows would take 192 MiB.
    assert!(peak_kib < 176 << 10, "{peak_kib} KiB");
}

/// The most memory that a process has had so far; 0 where the system does not say.
fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// What the table cannot hold as bytes: names of columns that add up to megabytes.
#[test]
fn more_columns_than_there_is_room_for_are_refused() {
    let names: Vec<String> = (0..20_000).map(|at| format!("c{at}")).collect();
    let objects: Vec<String> = names.iter().map(|name| format!("\"{name}\":1")).collect();
    let ones = vec!["1"; names.len()].join(",");
    let says = ["20000 columns are more than there is room for: raise --memory"];
    refused_within_limits("CSV", "a.csv", format!("{}\n{ones}\n", names.join(",")).as_bytes(), &says);
    refused_within_limits("JSON", "a.jsonl", format!("{{{}}}\n", objects.join(",")).as_bytes(), &says);
    // Another column a row: the first rows show few of them.
    let late: String = objects.iter().map(|object| format!("{{{object}}}\n")).collect();
    refused_within_limits("JSON, row by row", "a.jsonl", late.as_bytes(), &["a.jsonl", says[0]]);
}
