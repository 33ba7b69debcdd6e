//! A small job, and observers that stop it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use twopass::error::{Error, Result};
use twopass::job::Report;
use twopass::observe::{Event, Observer, Pass};

use crate::common::table::{Cell, Kind, Table};
use crate::common::{Numbers, Place, job};

/// An id, a label of three classes that is sometimes missing, a number, two texts of few and of many values, and a truth
/// value.
pub fn batch(first: i64, rows: i64) -> RecordBatch {
    let row = |id: i64| {
        let mut numbers = Numbers(id as u64);
        let label = ["no", "yes", "ja"][numbers.below(3) as usize];
        let label = if numbers.below(20) == 0 { Cell::Missing } else { Cell::text(label) };
        let amount = if id % 11 == 0 { Cell::Missing } else { Cell::Float(numbers.unit() * 1e3) };
        let city = Cell::Text(format!("Ort {}", numbers.below(40)));
        let code = Cell::Text(format!("c{}", numbers.below(5000)));
        vec![Cell::Int(id), label, amount, city, code, Cell::Bool(numbers.below(2) == 0)]
    };
    let columns = [
        ("id", Kind::Int),
        ("label", Kind::Text),
        ("amount", Kind::Float),
        ("city", Kind::Text),
        ("code", Kind::Text),
        ("flag", Kind::Bool),
    ];
    let columns = columns.map(|(name, kind)| (name.to_string(), kind)).to_vec();
    Table { columns, rows: (first..first + rows).map(row).collect() }.batch()
}

pub fn recipe(place: &Place, output: &str) -> Value {
    json!({
        "input": { "path": place.text("data") },
        "label": { "column": "label" },
        "split": { "kind": "stratified", "key": "id", "sizes": { "train": 0.7, "test": 0.3 } },
        "transform": [
            { "columns": "amount", "op": "simple_imputer" },
            { "columns": "amount", "op": "standard_scaler" },
            { "columns": ["city", "code"], "op": "ordinal_encoder" },
        ],
        "output": { "path": place.text(output), "shard_rows": 100 },
        "run": { "threads": 2, "state": place.text("state") },
    })
}

/// The same recipe with parts of it replaced: keys are dotted.
pub fn with(mut recipe: Value, changes: &[(&str, Value)]) -> Value {
    for (key, value) in changes {
        match key.split_once('.') {
            Some((section, key)) => recipe[section][key] = value.clone(),
            None => recipe[*key] = value.clone(),
        }
    }
    recipe
}

/// Says stop when it was asked so many times in a pass; keeps the notes and the shards of each pass.
#[derive(Default)]
pub struct Watch {
    stop: Option<(Pass, usize)>,
    polls: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    pass: Option<Pass>,
    notes: Vec<String>,
}

impl Watch {
    pub fn stopping(pass: Pass, polls: usize) -> Self {
        Self { stop: Some((pass, polls)), ..Self::default() }
    }

    pub fn notes(&self) -> Vec<String> {
        self.seen.lock().unwrap().notes.clone()
    }
}

impl Observer for Watch {
    fn event(&self, event: Event<'_>) {
        let mut seen = self.seen.lock().unwrap();
        match event {
            Event::Begin { pass, .. } => seen.pass = Some(pass),
            Event::Note(note) | Event::Warning(note) => seen.notes.push(note.to_string()),
            _ => {}
        }
    }

    fn stop(&self) -> bool {
        let Some((pass, most)) = self.stop else { return false };
        self.seen.lock().unwrap().pass == Some(pass) && self.polls.fetch_add(1, Ordering::Relaxed) >= most
    }
}

/// Runs, watched.
pub fn watched(recipe: &Value, watch: &Watch) -> Result<Report> {
    job(recipe).run(watch)
}

/// Whether the run was stopped; nothing else may have gone wrong.
#[track_caller]
pub fn was_stopped(result: &Result<Report>) -> bool {
    match result {
        Ok(_) => false,
        Err(Error::Interrupted) => true,
        Err(other) => panic!("{}", crate::common::chain(other)),
    }
}

/// Names of the files in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).map(|entries| entries.map(|entry| entry.unwrap())).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}
