//! What a state serves: other recipes, other sets of shards, other machines.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use twopass::error::Error;
use twopass::job::Report;

use crate::common::table::{write_shard, write_shards};
use crate::common::{Numbers, Place, chain, hashes, job, run};
use crate::support::{Watch, batch, recipe, watched, with};

/// Runs with the state that is there and compares with a run from nothing; how the first went, and what it told.
#[track_caller]
fn assert_fresh(place: &Place, recipe: &Value, what: &str) -> (Report, Vec<String>) {
    let watch = Watch::default();
    let (used, fresh) = (place.path("used"), place.path("fresh"));
    for gone in [&used, &fresh, &place.path("fresh.state")] {
        let _ = fs::remove_dir_all(gone);
    }
    let to = |output: &str| with(recipe.clone(), &[("output.path", json!(place.text(output)))]);
    let report = watched(&to("used"), &watch).unwrap_or_else(|e| panic!("{what}: {}", chain(&e)));
    run(&with(to("fresh"), &[("run.state", json!(place.text("fresh.state")))]));
    assert_eq!(hashes(&used), hashes(&fresh), "{what}");
    (report, watch.notes())
}

#[test]
fn a_state_serves_every_recipe_that_needs_no_more() {
    let place = Place::new();
    write_shards(&place.path("data"), &batch(0, 2000), &[300; 6], 100);
    let base = with(recipe(&place, "out"), &[("split.stratify", json!(["label", "flag"]))]);
    run(&base);
    let steps = base["transform"].as_array().unwrap().clone();
    let changes: Vec<(&str, Vec<(&str, Value)>)> = vec![
        ("another seed", vec![("split.random_state", json!(7))]),
        ("other sizes", vec![("split.sizes", json!({ "a": 0.1, "b": 0.9 }))]),
        ("other parts", vec![("output.shard_rows", json!(77))]),
        ("text", vec![("output.format", json!("csv")), ("output.compression", json!("gzip"))]),
        ("fewer strata", vec![("split.stratify", json!("flag"))]),
        ("no strata", vec![("split.kind", json!("random")), ("split.stratify", Value::Null)]),
        ("strata the other way round", vec![("split.stratify", json!(["flag", "label"]))]),
        ("one split", vec![("split", json!({ "kind": "none", "key": "id" }))]),
        ("no encoder", vec![("transform", json!(steps[..2]))]),
        (
            "one of two encoded",
            vec![(
                "transform",
                json!([{ "columns": "code", "op": "one_hot_encoder", "max_categories": 5 }, { "columns": "flag", "op": "one_hot_encoder" }]),
            )],
        ),
        ("no label", vec![("label", Value::Null), ("split", json!({ "kind": "none" })), ("transform", json!([]))]),
    ];
    for (what, changes) in changes {
        let recipe = with(base.clone(), &changes);
        if what == "no label" {
            // The label's own values are not mapped any more, and its column stays text.
            let (report, notes) = assert_fresh(&place, &recipe, what);
            assert_eq!((report.reused_shards, report.dropped, notes), (7, vec![], vec![]), "{what}");
            continue;
        }
        let (report, notes) = assert_fresh(&place, &recipe, what);
        assert_eq!((report.reused_shards, report.phases[0].rows, notes), (7, 0, vec![]), "{what}");
    }
}

#[test]
fn what_a_state_lacks_is_said_and_scanned_again() {
    let changes: Vec<(&str, Vec<(&str, Value)>)> = vec![
        (
            "transform 2 (`ordinal_encoder`) needs the values of 2 columns, which the state has not: scanning again",
            vec![(
                "transform",
                json!([{ "columns": "amount", "op": "simple_imputer" }, { "columns": ["city", "code", "flag"], "op": "ordinal_encoder" }]),
            )],
        ),
        (
            "transform 1 (`simple_imputer`) needs the values of column `amount`",
            vec![("transform", json!([{ "columns": "amount", "op": "simple_imputer", "strategy": "most_frequent" }]))],
        ),
        ("split.key", vec![("split.key", json!(["id", "flag"]))]),
        ("split.key", vec![("split.key", Value::Null)]),
        ("the label", vec![("label.column", json!("flag"))]),
        ("strata of column `flag`", vec![("split.stratify", json!(["label", "flag"]))]),
        ("input.schema", vec![("input.schema", json!({ "city": "string" }))]),
        (
            "the columns are not made by the rename, cast, concat, row_max, coalesce, drop, keep and label.integer of the state",
            vec![("transform", json!([{ "columns": "amount", "op": "cast", "to": "float32" }]))],
        ),
    ];
    for (words, changes) in changes {
        let place = Place::new();
        write_shards(&place.path("data"), &batch(0, 600), &[200, 200], 100);
        let base =
            with(recipe(&place, "out"), &[("transform", json!([{ "columns": "amount", "op": "standard_scaler" }]))]);
        run(&base);
        let other = with(base, &changes);
        let always =
            with(other.clone(), &[("run.resume", json!("always")), ("output.path", json!(place.text("always")))]);
        for refused in [
            job(&always).run(&Watch::default()),
            job(&with(other.clone(), &[("output.path", json!(place.text("w")))])).write(&Watch::default()),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::Conflict(_)), "{}", chain(&error));
            assert!(error.to_string().contains(words.trim_end_matches(": scanning again")), "{words}: {error}");
        }
        let (report, notes) = assert_fresh(&place, &other, words);
        assert_eq!(report.reused_shards, 0, "{words}");
        assert!(
            notes.len() == 1 && notes[0].contains(words) && notes[0].ends_with("scanning again"),
            "{words}: {notes:?}"
        );
        // And now it has them.
        assert_eq!(assert_fresh(&place, &other, words).0.reused_shards, 3);
    }
}

#[test]
fn any_sequence_of_changes_to_the_shards_ends_as_a_fresh_run() {
    for seed in 0..4 {
        let place = Place::new();
        let mut numbers = Numbers(seed);
        let mut there: Vec<(String, i64)> = Vec::new();
        let mut next = 0;
        let mut write = |name: &str, numbers: &mut Numbers| {
            next += 1000;
            write_shard(&place.path(name), &batch(next, 30 + numbers.below(40) as i64), &[]);
            next
        };
        for step in 0..8 {
            let (mut kept, changes) = (there.len(), 1 + numbers.below(3));
            let mut touched: Vec<String> = Vec::new();
            for _ in 0..changes {
                let at = if there.is_empty() { 0 } else { numbers.below(there.len() as u64) as usize };
                let what = if step == 0 { 0 } else { numbers.below(3) };
                let fresh_name = |numbers: &mut Numbers| format!("data/{:04}.parquet", numbers.below(9999));
                match what {
                    1 if there.len() > 2 => {
                        let (name, _) = there.remove(at);
                        fs::remove_file(place.path(&name)).unwrap();
                        kept -= usize::from(!touched.contains(&name));
                        touched.retain(|other| *other != name);
                    }
                    2 if !there.is_empty() => {
                        there[at].1 = write(&there[at].0, &mut numbers);
                        kept -= usize::from(!touched.contains(&there[at].0));
                        touched.push(there[at].0.clone());
                    }
                    _ => {
                        let name = fresh_name(&mut numbers);
                        if there.iter().all(|(known, _)| *known != name) {
                            let first = write(&name, &mut numbers);
                            there.push((name.clone(), first));
                            touched.push(name);
                        }
                    }
                }
            }
            let (report, notes) = assert_fresh(&place, &recipe(&place, "out"), &format!("seed {seed}, step {step}"));
            assert_eq!(
                (report.shards, report.reused_shards),
                (there.len(), kept),
                "seed {seed}, step {step}: {notes:?}"
            );
            assert!(step == 0 || touched.is_empty() || !notes.is_empty(), "seed {seed}, step {step}: nothing was told");
        }
    }
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn csv(rows: usize, middle: &str) -> String {
    let line = |row: usize| {
        let amount = if row == rows / 2 { middle.to_string() } else { format!("{}.25", row % 97) };
        format!("{row},{},{amount},Ort {},c{},{}\n", ["no", "yes"][row % 2], row % 7, row % 11, row.is_multiple_of(3))
    };
    std::iter::once("id,label,amount,city,code,flag\n".to_string()).chain((0..rows).map(line)).collect()
}

#[test]
fn a_shard_is_known_by_size_time_and_footer_or_content() {
    let place = Place::new();
    let parquet = place.path("data/a.parquet");
    let text = place.path("data/b.csv");
    write_shard(&parquet, &batch(10_000, 100), &[]);
    fs::write(&text, csv(9000, "10.25")).unwrap();
    assert!(fs::metadata(&text).unwrap().len() > 3 * (64 << 10), "its middle is in neither end");
    let recipe = recipe(&place, "out");
    run(&recipe);
    let reused = |what: &str| assert_fresh(&place, &recipe, what).0.reused_shards;
    assert_eq!(reused("as it was"), 2);
    set_time(&parquet, 1000);
    set_time(&text, 1000);
    assert_eq!(reused("other times, same bytes"), 2);
    // Same size, same ends, another value in the middle, another time.
    fs::write(&text, csv(9000, "99.75")).unwrap();
    let (report, notes) = assert_fresh(&place, &recipe, "another value");
    assert_eq!(report.reused_shards, 1);
    assert!(notes.len() == 1 && notes[0].contains("b.csv") && notes[0].contains("changed"), "{notes:?}");
    write_shard(&parquet, &batch(20_000, 100), &[]);
    assert_eq!(reused("another footer"), 1);

    // `always` looks at names and sizes only; but what pass one did not read is never written. `never` looks at nothing.
    fs::write(&text, csv(9000, "55.50")).unwrap();
    let resuming =
        |how: &str| with(recipe.clone(), &[("run.resume", json!(how)), ("output.path", json!(place.text(how)))]);
    assert_eq!(job(&resuming("always")).scan(&Watch::default()).unwrap().reused_shards, 2);
    let error = job(&resuming("always")).run(&Watch::default()).unwrap_err();
    assert!(matches!(error, Error::Data { .. }) && !place.path("always").exists(), "{}", chain(&error));
    assert_eq!(run(&resuming("never")).reused_shards, 0);
    fs::write(&text, csv(9001, "55.50")).unwrap();
    assert_eq!(run(&resuming("always")).reused_shards, 1);
    let _ = fs::remove_dir_all(place.path("state"));
    let error = job(&resuming("always")).scan(&Watch::default()).unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{}", chain(&error));
}

#[test]
fn a_change_that_hides_behind_size_ends_and_time_is_found_in_pass_two_and_never_written() {
    let place = Place::new();
    let text = place.path("data/b.csv");
    fs::create_dir_all(place.path("data")).unwrap();
    fs::write(&text, csv(9000, "10.25")).unwrap();
    let recipe = recipe(&place, "out");
    run(&recipe);
    let time = fs::metadata(&text).unwrap().modified().unwrap();
    fs::write(&text, csv(9000, "99.75")).unwrap();
    File::options().write(true).open(&text).unwrap().set_modified(time).unwrap();
    let again = with(recipe.clone(), &[("output.path", json!(place.text("again")))]);
    let error = job(&again).run(&Watch::default()).unwrap_err();
    assert!(matches!(error, Error::Data { .. }) && chain(&error).contains("b.csv"), "{}", chain(&error));
    assert!(!place.path("again").exists());
    assert_eq!(assert_fresh(&place, &recipe, "after the error").0.reused_shards, 0);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_state_goes_on_where_it_is_copied_with_its_input() {
    let (here, there) = (Place::new(), Place::new());
    write_shards(&here.path("data"), &batch(0, 500), &[200, 200], 50);
    fs::write(here.path("data/z.csv"), csv(5000, "1.5")).unwrap();
    fs::write(here.path("data/z2.csv"), csv(5000, "2.5")).unwrap();
    let mut polls = 10;
    // Most of pass one is done, not all.
    while job(&recipe(&here, "out")).scan(&Watch::stopping(twopass::observe::Pass::Scan, polls)).is_err() {
        polls += 1;
        if fs::read_dir(here.path("state/shards")).map_or(0, Iterator::count) >= 8 {
            break;
        }
    }
    copy(&here.path("data"), &there.path("data"));
    copy(&here.path("state"), &there.path("state"));
    set_time(&there.path("data/z.csv"), 5000);
    let (report, notes) = assert_fresh(&there, &recipe(&there, "out"), "a copy");
    assert!(report.reused_shards >= 4, "{} of 5: {notes:?}", report.reused_shards);
    run(&recipe(&here, "out"));
    assert_eq!(hashes(&here.path("out")), hashes(&there.path("used")));
}
