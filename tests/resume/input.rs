//! The input changes: between runs, between the passes, while it is read.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::json;
use twopass::error::Error;
use twopass::observe::{Event, Observer, Pass};

use crate::common::table::{write_shard, write_shards};
use crate::common::{Place, chain, hashes, run};
use crate::support::{batch, recipe, with};

fn touch(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Replaces a shard at an event of pass two.
struct Meddler {
    shard: PathBuf,
    when: When,
    done: Mutex<bool>,
    rows: (i64, i64),
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    WriteBegins,
    /// While the first shard is read.
    WriteAdvances,
    ScanAdvances,
}

impl Observer for Meddler {
    fn event(&self, event: Event<'_>) {
        let mut done = self.done.lock().unwrap();
        let now = match event {
            Event::Begin { pass: Pass::Write, .. } => When::WriteBegins,
            Event::Begin { .. } => return,
            Event::Advance { .. } if self.when == When::ScanAdvances => When::ScanAdvances,
            Event::Advance { .. } if self.when == When::WriteAdvances => When::WriteAdvances,
            Event::End { pass: Pass::Scan } if self.when == When::WriteAdvances => {
                *done = false;
                return;
            }
            _ => return,
        };
        if now == self.when && !*done {
            *done = true;
            if self.rows.1 == 0 {
                touch(&self.shard, 1000);
            } else {
                write_shard(&self.shard, &batch(self.rows.0, self.rows.1), &[]);
            }
        }
    }
}

#[test]
fn a_shard_that_changes_while_the_job_runs_ends_it_whatever_the_mode() {
    for mode in ["streaming", "in_memory"] {
        for when in [When::WriteBegins, When::WriteAdvances, When::ScanAdvances] {
            for rows in [(0, 100), (0, 90), (5000, 100), (0, 0)] {
                let place = Place::new();
                write_shards(&place.path("data"), &batch(0, 300), &[100, 100], 30);
                let mut shards: Vec<PathBuf> =
                    fs::read_dir(place.path("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
                shards.sort();
                let shard = shards[0].clone();
                // While pass one reads the first shard, or before pass two does.
                let meddler =
                    Meddler { shard: shard.clone(), when, done: Mutex::new(when == When::WriteAdvances), rows };
                let recipe = with(recipe(&place, "out"), &[("run.mode", json!(mode))]);
                let error = crate::common::job(&recipe).run(&meddler).unwrap_err();
                let message = chain(&error);
                let name = shard.file_name().unwrap().to_str().unwrap();
                assert!(matches!(error, Error::Data { .. }), "{message}");
                assert!(message.contains(name) && message.contains("changed"), "{message}");
                assert!(!place.path("out").exists());
                // The next run takes the input as it is now.
                run(&recipe);
                let fresh = with(
                    recipe.clone(),
                    &[("run.state", json!(place.text("fresh.state"))), ("output.path", json!(place.text("fresh")))],
                );
                run(&fresh);
                assert_eq!(hashes(&place.path("out")), hashes(&place.path("fresh")));
            }
        }
    }
}
