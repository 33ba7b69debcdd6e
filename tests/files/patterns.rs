//! `output.files`, `output.signature_file` and `output.metadata_file`.

use std::fs;

use serde_json::json;
use twopass::spec::{Recipe, keys};

use super::common::{Place, manifest, run};
use super::support::{failed, input, recipe, refusal, tree};

/// All rows are before, or all after some.
const CUTOFF: &str = "2024-06-01";

#[test]
fn defaults_are_patterns_and_are_not_written_down() {
    let place = Place::new();
    input(&place);
    for (layout, pattern) in
        [("shards", "{split}/part-{part}.{ext}"), ("single", "{split}/{split}_processed_data.{ext}")]
    {
        let plain = json!({ "layout": layout, "compression": "gzip" });
        run(&recipe(&place, "plain", Some(CUTOFF), &plain));
        let written = json!({
            "layout": layout, "compression": "gzip", "signature_file": "signature", "metadata_file": "metadata",
            "files": { "train": pattern, "val": [pattern], "oot": pattern },
        });
        run(&recipe(&place, "written", Some(CUTOFF), &written));
        let plain = tree(&place.path("plain"), &["_manifest.json"]);
        assert_eq!(plain, tree(&place.path("written"), &["_manifest.json"]));
        assert!(plain.keys().any(|name| name.ends_with(".csv.gz")), "{:?}", plain.keys());
        let text = fs::read_to_string(place.path("plain/_manifest.json")).unwrap();
        for key in ["files\"", "signature_file", "metadata_file", "copies", "publish"] {
            assert!(!text.contains(key), "{key} is in {text}");
        }
        fs::remove_dir_all(place.path("plain")).unwrap();
        fs::remove_dir_all(place.path("written")).unwrap();
    }
}

#[test]
fn parts_are_where_the_patterns_say_with_the_same_bytes() {
    let place = Place::new();
    input(&place);
    run(&recipe(&place, "plain", Some(CUTOFF), &json!({ "format": "jsonl" })));
    let moved = json!({
        "format": "jsonl",
        "files": { "train": "deep/er/{split}-{part}-of.json", "val": "{part}.{ext}", "oot": "train/p{part}" },
        "signature_file": "names/columns.csv", "metadata_file": "names/metadata.json",
    });
    run(&recipe(&place, "moved", Some(CUTOFF), &moved));
    let (plain, moved) =
        (tree(&place.path("plain"), &["_manifest.json"]), tree(&place.path("moved"), &["_manifest.json"]));
    let renamed = plain.into_iter().map(|(name, bytes)| {
        let number = || name.trim_end_matches(".jsonl").rsplit('-').next().unwrap().to_string();
        let name = match name.split('/').next().unwrap() {
            "train" => format!("deep/er/train-{}-of.json", number()),
            "val" => format!("{}.jsonl", number()),
            "oot" => format!("train/p{}", number()),
            "signature" => "names/columns.csv".into(),
            "metadata" => "names/metadata.json".into(),
            other => other.to_string(),
        };
        (name, bytes)
    });
    assert_eq!(renamed.collect::<std::collections::BTreeMap<_, _>>(), moved);
    assert_eq!(failed(&place.path("moved")), []);
}

#[test]
fn copies_have_the_same_bytes_and_are_proved() {
    let place = Place::new();
    input(&place);
    let copied = json!({
        "compression": "gzip",
        "files": { "oot": ["test/part-{part}.{ext}", "again/part-{part}.{ext}", "again/{part}.bin"] },
    });
    run(&recipe(&place, "out", Some(CUTOFF), &copied));
    let out = place.path("out");
    let all = tree(&out, &[]);
    let listed = manifest(&out);
    let parts = listed["splits"]["oot"]["parts"].as_array().unwrap();
    assert!(parts.len() > 1);
    for (number, part) in parts.iter().enumerate() {
        assert_eq!(part["path"], json!(format!("test/part-{number:05}.csv.gz")));
        assert_eq!(part["copies"], json!([format!("again/part-{number:05}.csv.gz"), format!("again/{number:05}.bin")]));
        for copy in part["copies"].as_array().unwrap() {
            assert!(all[copy.as_str().unwrap()] == all[part["path"].as_str().unwrap()], "{copy}");
        }
    }
    assert!(listed["splits"]["train"]["parts"][0].get("copies").is_none());
    assert_eq!(failed(&out), []);

    let copy = out.join("again/part-00001.csv.gz");
    let bytes = fs::read(&copy).unwrap();
    let mut flipped = bytes.clone();
    flipped[20] ^= 1;
    fs::write(&copy, flipped).unwrap();
    assert!(matches!(&failed(&out)[..], [("checksums", wrong)] if wrong.contains("again/part-00001.csv.gz has other")));
    fs::write(&copy, &bytes[1..]).unwrap();
    assert!(matches!(&failed(&out)[..], [("checksums", wrong)] if wrong.contains("bytes, the manifest says")));
    fs::remove_file(&copy).unwrap();
    assert!(matches!(&failed(&out)[..], [("files", _), ("checksums", _)]), "{:?}", failed(&out));
    fs::write(&copy, &bytes).unwrap();
    fs::write(out.join("again/more"), "").unwrap();
    assert!(matches!(&failed(&out)[..], [("files", wrong)] if wrong == "again/more is not in the manifest"));
}

#[test]
fn a_split_without_rows_has_its_header_and_its_copy() {
    let place = Place::new();
    input(&place);
    for (layout, part) in [("shards", "part-{part}.{ext}"), ("single", "all.{ext}")] {
        let output = json!({ "layout": layout, "files": { "oot": [format!("oot/{part}"), format!("more/{part}")] } });
        run(&recipe(&place, layout, Some("2030-01-01"), &output));
        let all = tree(&place.path(layout), &[]);
        let name = if layout == "shards" { "part-00000.csv" } else { "all.csv" };
        for directory in ["oot", "more"] {
            assert_eq!(all[&format!("{directory}/{name}")], b"id,customer,day,amount\n");
        }
        assert_eq!(failed(&place.path(layout)), []);
    }
}

#[test]
fn files_that_cannot_be_are_refused_before_data_is_read() {
    let place = Place::new();
    // There is no input at all.
    let said = |output: serde_json::Value| refusal(&recipe(&place, "out", Some(CUTOFF), &output));
    let train = |pattern: &str| said(json!({ "files": { "train": pattern } }));
    for (message, part) in [
        (said(json!({ "files": { "trian": "a/{part}" } })), "there is no split `trian`, did you mean `train`?"),
        (train("{splt}/{part}"), "unknown placeholder `splt`, did you mean `split`?"),
        (train("{part"), "a brace without its other half"),
        (train("part}"), "a brace without its other half"),
        (train("{part}/{part}"), "{part} stands in it twice"),
        (train("{part}/x"), "into the file name"),
        (train("a/b.csv"), "needs {part}"),
        (train(""), "is empty"),
        (said(json!({ "files": { "train": [] } })), "names no file"),
        (train("a/../{part}"), "goes through"),
        (train("./{part}"), "goes through"),
        (train("a//{part}"), "has an empty name"),
        (train("a{part}/"), "has an empty name"),
        (train("a/_{part}"), "readers pass over"),
        (train(".{part}"), "readers pass over"),
        (train("a/.twopass-staging/{part}"), "not published yet"),
        (train("a\n{part}"), "a control character"),
        (train("val/part-{part}.{ext}"), "may give the same file"),
        (train("val/part-0{part}.{ext}"), "may give the same file"),
        (train("signature/x-{part}"), "is a file, and"),
        (train("val/part-00003.csv/x-{part}"), "is a file, and"),
        (said(json!({ "files": { "train": ["a-{part}", "{split}/{part}", "a-{part}"] } })), "may give the same file"),
        (said(json!({ "layout": "single", "files": { "train": "a-{part}" } })), "there is no {part}"),
        (said(json!({ "signature_file": "val/part-00012.csv" })), "may give the same file"),
        (said(json!({ "metadata_file": "signature" })), "may give the same file"),
        (said(json!({ "metadata_file": "{split}" })), "has a brace"),
        (said(json!({ "signature_file": "" })), "is empty"),
        (said(json!({ "signature_file": "a/" })), "has an empty name"),
        (said(json!({ "signature_file": "_SUCCESS" })), "readers pass over"),
    ] {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
    // Names that are near each other and never the same.
    for output in [
        json!({ "files": { "train": "val/part-{part}.json" } }),
        json!({ "files": { "train": "val/part-x{part}.{ext}" } }),
        json!({ "signature_file": "val/part-0001.csv", "metadata_file": "val/part-00x01.csv" }),
        json!({ "metadata": "none", "metadata_file": "signature" }),
    ] {
        let tree = recipe(&place, "out", Some(CUTOFF), &output);
        twopass::job::Job::new(serde_json::from_value::<Recipe>(tree).unwrap()).unwrap();
    }
}

#[test]
fn patterns_are_read_from_toml_and_from_the_command_line() {
    let text = r#"
        [output]
        files = { data = "part-{part}.json", more = ["a/{part}", "b/{part}"] }
    "#;
    let mut tree = keys::parse(text, "here").unwrap();
    keys::set(&mut tree, "output.files.data=x-{part}.json").unwrap();
    let files = keys::read(&tree).unwrap().output.files;
    assert_eq!(files["data"].as_slice(), ["x-{part}.json"]);
    assert_eq!(files["more"].as_slice(), ["a/{part}", "b/{part}"]);
}

/// A row more than a split has would show: copies do not change what is kept of an interrupted run.
#[test]
fn parts_with_copies_are_kept_after_an_interruption() {
    let place = Place::new();
    input(&place);
    let copied = json!({ "files": { "oot": ["test/{part}", "again/{part}"] } });
    let recipe = recipe(&place, "out", Some(CUTOFF), &copied);
    run(&recipe);
    let expected = tree(&place.path("out"), &[]);
    // As if it was interrupted before the copies were made, with one part lost and one copy half made.
    let staging = place.path(".out.twopass-staging");
    fs::rename(place.path("out"), &staging).unwrap();
    fs::remove_file(staging.join("test/00001")).unwrap();
    fs::write(staging.join("again/00000"), "half").unwrap();
    fs::remove_file(staging.join("again/00001")).unwrap();
    let report = run(&recipe);
    assert!(report.kept_parts > 2, "{}", report.kept_parts);
    assert_eq!(tree(&place.path("out"), &[]), expected);
}
