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
