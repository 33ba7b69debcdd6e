//! `_manifest.json`, which `verify` and `inspect` read.

use std::fs;

use serde_json::{Value, json};
use twopass::error::Error;
use twopass::sink::manifest::Manifest;
use twopass::{inspect, verify};

use crate::common::{Numbers, Place};
use crate::corpus;
use crate::mutate::{damaged, fuzz, pick};

/// Beside the bytes of the text, its numbers and names are changed, so that it stays JSON.
fn changed(numbers: &mut Numbers, text: &str) -> String {
    let values: &[&str] =
        &["0", "1", "18446744073709551615", "9223372036854775807", "-1", "null", "[]", "{}", "\"\"", "1e9"];
    let ends: Vec<usize> = text.match_indices([',', '}', ']', '\n']).map(|(at, _)| at).collect();
    let mut text = text.to_string();
    let end = *pick(numbers, &ends);
    if let Some(colon) = text[..end].rfind(':') {
        let value = *pick(numbers, values);
        text.replace_range(colon + 1..end, value);
    }
    text
}

#[test]
fn any_manifest_ends_in_a_verdict_or_an_error() {
    let place = Place::new();
    corpus::job(&place.path("job"), [20, 30]);
    let root = place.path("job/out");
    // The kept one is of other parts than are there.
    let kept = [corpus::kept("manifest.json"), fs::read(root.join("_manifest.json")).unwrap()];
    fuzz("manifests", |numbers| {
        let (kept, other) = (pick(numbers, &kept), pick(numbers, &kept));
        let bytes = match numbers.below(2) {
            0 => damaged(numbers, kept, other),
            _ => {
                let once = changed(numbers, std::str::from_utf8(kept).unwrap());
                changed(numbers, &once).into_bytes()
            }
        };
        fs::write(root.join("_manifest.json"), &bytes).unwrap();
        if let Ok(manifest) = Manifest::from_json(&bytes) {
            let again = serde_json::to_vec(&manifest.to_json()).unwrap();
            assert_eq!(Manifest::from_json(&again).unwrap(), manifest);
        }
        let _ = inspect::look(&root);
        if let Err(error) = verify::output(&root) {
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
        }
    });
}

/// Sums beyond 64 bits, parts of no rows, rows that are only promised: each would stop a check rather than fail it.
#[test]
fn figures_that_no_output_has_are_damage() {
    let place = Place::new();
    corpus::job(&place.path("job"), [20, 30]);
    let root = place.path("job/out");
    let path = root.join("_manifest.json");
    let sound: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(verify::output(&root).unwrap().ok);
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut manifest = sound.clone();
        change(&mut manifest);
        fs::write(&path, manifest.to_string()).unwrap();
        let found = verify::output(&root);
        assert!(matches!(found, Err(Error::Damaged { .. })), "{found:?}");
    };
    refused(&|manifest| manifest["splits"] = json!({}));
    refused(&|manifest| manifest["splits"]["train"]["rows"] = json!(u64::MAX));
    refused(&|manifest| manifest["splits"]["train"]["parts"][0]["bytes"] = json!(u64::MAX));
    refused(&|manifest| manifest["recipe"]["output"]["shard_rows"] = json!(0));
    let mut manifest = sound.clone();
    manifest["splits"]["train"]["rows"] = json!(1_u64 << 62);
    fs::write(&path, manifest.to_string()).unwrap();
    assert!(!verify::output(&root).unwrap().ok);
}

/// Nested deeper than any stack.
#[test]
fn a_type_within_types_without_end_is_damage() {
    let place = Place::new();
    corpus::job(&place.path("job"), [20, 30]);
    let root = place.path("job/out");
    let path = root.join("_manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for opening in
        ["List(", "Dictionary(Int32, ", "Struct(\"a\": ", "Map(", "RunEndEncoded(\"a\": ", "FixedSizeList(2 x "]
    {
        manifest["schema"][0]["type"] = json!(opening.repeat(200_000));
        fs::write(&path, manifest.to_string()).unwrap();
        let found = verify::output(&root);
        assert!(matches!(found, Err(Error::Damaged { .. })), "{opening}");
    }
}
