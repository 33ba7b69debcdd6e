//! Stopped anywhere in either pass.

use std::fs;

use serde_json::json;
use twopass::observe::Pass;
use twopass::remaining::Remaining;
use twopass::split::DROPPED;

use crate::common::table::{write_shard, write_shards};
use crate::common::{Place, hashes, job, plan, run};
use crate::support::{Watch, batch, names, recipe, was_stopped, watched, with};

#[test]
fn stopped_anywhere_in_pass_one_the_committed_shards_are_not_read_again() {
    let place = Place::new();
    write_shards(&place.path("data"), &batch(0, 900), &[100; 8], 30);
    run(&with(recipe(&place, "first"), &[("run.state", json!(place.text("first.state")))]));
    let first = hashes(&place.path("first"));
    let (mut polls, mut reused) = (0, 0);
    loop {
        let stopped = watched(&recipe(&place, "out"), &Watch::stopping(Pass::Scan, polls));
        if !was_stopped(&stopped) {
            break;
        }
        assert!(!place.path("out").exists());
        polls = if polls < 40 { polls + 1 } else { polls * 2 };
        let report = job(&recipe(&place, "out")).scan(&Watch::stopping(Pass::Scan, polls));
        reused = report.map_or(reused, |report| reused.max(report.reused_shards));
    }
    assert!(polls > 10);
    assert_eq!(hashes(&place.path("out")), first);
    let again = run(&with(recipe(&place, "again"), &[]));
    assert_eq!(again.reused_shards, 9);
}

#[test]
fn stopped_anywhere_in_pass_two_the_sealed_parts_are_kept() {
    for format in ["parquet", "csv"] {
        let place = Place::new();
        write_shards(&place.path("data"), &batch(0, 2000), &[100; 19], 40);
        let recipe = |output: &str| with(recipe(&place, output), &[("output.format", json!(format))]);
        run(&recipe("first"));
        let first = hashes(&place.path("first"));
        let (mut polls, mut kept, mut stops) = (1, 0, 0);
        // Each run goes on from where the last one was stopped, and is stopped later.
        loop {
            let result = watched(&recipe("out"), &Watch::stopping(Pass::Write, polls));
            if !was_stopped(&result) {
                let report = result.unwrap();
                assert!(kept > 0 && report.kept_parts >= kept, "{kept} then {}", report.kept_parts);
                break;
            }
            assert!(!place.path("out").exists(), "published though it was stopped");
            let sealed: Vec<String> = ["train", "test"]
                .iter()
                .flat_map(|split| names(&place.path(".out.twopass-staging").join(split)))
                .collect();
            assert!(sealed.iter().all(|name| name.starts_with("part-")), "{sealed:?}");
            assert!(sealed.len() >= kept, "parts were lost: {sealed:?} of {kept}");
            kept = sealed.len();
            polls += 7;
            stops += 1;
        }
        assert!(stops > 3, "{format}: stopped {stops} times");
        assert_eq!(hashes(&place.path("out")), first, "{format}");
        assert!(!names(&place.path("")).iter().any(|name| name.starts_with(".out")), "left over");
    }
}

#[test]
fn a_kept_part_that_is_damaged_is_written_again_and_what_is_no_part_goes() {
    let place = Place::new();
    write_shards(&place.path("data"), &batch(0, 2000), &[100; 19], 40);
    run(&recipe(&place, "first"));
    let mut polls = 60;
    let staging = place.path(".out.twopass-staging");
    while names(&staging.join("train")).len() < 4 {
        assert!(was_stopped(&watched(&recipe(&place, "out"), &Watch::stopping(Pass::Write, polls))), "{polls}");
        polls += 20;
    }
    let sealed = ["train", "test"].map(|split| names(&staging.join(split)).len()).iter().sum::<usize>();
    let damaged = staging.join("train/part-00001.parquet");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[10] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    fs::write(staging.join("train/part-00099.parquet"), b"foreign").unwrap();
    fs::write(staging.join("test/.part-00009.parquet.tmp"), b"half").unwrap();
    fs::write(staging.join("_manifest.json"), b"{}").unwrap();
    fs::create_dir(staging.join("other")).unwrap();
    let report = run(&recipe(&place, "out"));
    assert_eq!(report.kept_parts, sealed - 1);
    assert_eq!(hashes(&place.path("out")), hashes(&place.path("first")));
}

#[test]
fn parts_of_another_plan_are_not_kept() {
    let place = Place::new();
    write_shards(&place.path("data"), &batch(0, 2000), &[100; 19], 40);
    let other = with(recipe(&place, "out"), &[("split.random_state", json!(7))]);
    let mut polls = 10;
    while names(&place.path(".out.twopass-staging/train")).is_empty() {
        assert!(was_stopped(&watched(&other, &Watch::stopping(Pass::Write, polls))));
        polls += 5;
    }
    assert_eq!(run(&recipe(&place, "out")).kept_parts, 0);
    run(&with(recipe(&place, "fresh"), &[("run.state", json!(place.text("fresh.state")))]));
    assert_eq!(hashes(&place.path("out")), hashes(&place.path("fresh")));
}

#[test]
fn shards_whose_rows_are_all_in_kept_parts_are_not_needed() {
    let place = Place::new();
    for shard in 0..4 {
        let name = format!("data/{shard}.parquet");
        write_shard(&place.path(&name), &batch(shard * 100, 100), &[]);
    }
    let recipe = json!({
        "input": { "path": place.text("data") },
        "output": { "path": place.text("out"), "shard_rows": 150 },
    });
    run(&recipe);
    let plan = plan(&place.path("out"));
    let parts = plan.parts(job(&recipe).files());
    assert_eq!(parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [150, 150, 100]);
    let needs = |kept: [bool; 3]| {
        let remaining = Remaining::new(&plan, &parts, &kept);
        (0..4).map(|shard| remaining.needs(shard)).collect::<Vec<_>>()
    };
    assert_eq!(needs([false, false, false]), [true, true, true, true]);
    assert_eq!(needs([true, false, false]), [false, true, true, true]);
    assert_eq!(needs([true, false, true]), [false, true, true, false]);
    assert_eq!(needs([true, true, true]), [false, false, false, false]);
    // A shard that two parts share gives only the rows of the one that is left.
    let remaining = Remaining::new(&plan, &parts, &[true, false, true]);
    let mut routes = [0; 100];
    remaining.skip(1).apply(&mut routes);
    assert_eq!((&routes[..50], &routes[50..]), (&[DROPPED; 50][..], &[0; 50][..]));
    assert_eq!((remaining.rows(0), remaining.parts().len()), (150, 1));
}
