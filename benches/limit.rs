//! How fast the job could be at the most: the same shards, our own reader and writer with the same settings, but nothing in
//! between. Every column is decoded once and dropped, as pass one has to; then all of it is decoded and encoded into parts of
//! one split. No statistics, no routing, no transforms.
//!
//! usage: cargo bench --bench limit -- TABLE [OUT]       prints one JSON object: seconds, and rows
//!
//! TABLE is a directory of Parquet shards. Without arguments a small table is made first, to see that it works.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use rayon::prelude::*;
use serde_json::{Value, json};
use twopass::engine::Engine;
use twopass::job::Job;
use twopass::observe::Silent;
use twopass::schema;
use twopass::source::{Opened, SourceOptions, discover};
use twopass::spec::{Recipe, keys};
use twopass::windows::Windows;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECIPE: &str = r#"
[split]
kind = "random"
sizes = { all = 1.0 }
[output]
format = "parquet"
compression = "snappy"
shard_rows = 100000
metadata = "none"
[run]
mode = "streaming"
"#;

fn main() {
    // Cargo's own arguments begin with dashes.
    let paths: Vec<PathBuf> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).map(PathBuf::from).collect();
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let table = paths.first().cloned().unwrap_or_else(|| small_table(scratch.path()));
    let out = paths.get(1).cloned().unwrap_or_else(|| scratch.path().join("out"));
    let recipe = recipe(&table, &out);

    let started = Instant::now();
    let rows = decode(&recipe);
    let decoded = started.elapsed().as_secs_f64();

    // What the writer needs to know is learned before the clock starts again.
    let job = Job::new(recipe).expect("a complete recipe").overwriting(true);
    job.scan(&Silent).expect("a scan");
    let started = Instant::now();
    job.write(&Silent).expect("a complete state");
    let written = started.elapsed().as_secs_f64();
    let seconds = json!({ "decode": decoded, "decode_and_encode": written, "limit": decoded + written });
    println!("{}", json!({ "rows": rows, "seconds": seconds }));
    std::fs::remove_dir_all(job.state_path()).expect("our own state");
}

fn recipe(table: &Path, out: &Path) -> Recipe {
    let text = |path: &Path| Value::String(path.to_string_lossy().into_owned());
    let mut tree = keys::parse(RECIPE, "the recipe").expect("TOML");
    keys::put(&mut tree, "input.path", text(table)).expect("a key");
    keys::put(&mut tree, "output.path", text(out)).expect("a key");
    keys::read(&tree).expect("a recipe")
}

/// Decodes every column of every shard on all cores, and drops it; returns the rows.
fn decode(recipe: &Recipe) -> u64 {
    let engine = Engine::new(&recipe.run, &Silent).expect("threads");
    let options = SourceOptions::new(&recipe.input).expect("no signature");
    let mut rows = 0;
    for shard in discover::shards(&recipe.input).expect("shards").shards {
        let opened = Opened::open(&shard, &options, None).expect("a readable shard");
        let columns = schema::unify([(shard.name.as_str(), &opened.fields())], &recipe.input).expect("one schema");
        let forced = vec![false; columns.fields().len()];
        let mut windows = Windows::new(&engine, &shard, &opened, &columns, &forced, u64::MAX).expect("windows");
        while let Some(window) = windows.next(&engine).expect("a readable shard") {
            engine.pool.install(|| {
                (0..columns.fields().len()).into_par_iter().for_each(|at| {
                    for chunk in &window.chunks {
                        let drop_it = &mut |_, array: ArrayRef| {
                            std::hint::black_box(array);
                            Ok(())
                        };
                        chunk.for_each_array(&columns, at, drop_it).expect("a readable column");
                    }
                });
            });
            rows += window.chunks.iter().map(|chunk| chunk.rows() as u64).sum::<u64>();
        }
    }
    rows
}

fn small_table(root: &Path) -> PathBuf {
    let directory = root.join("table");
    std::fs::create_dir(&directory).expect("a fresh directory");
    let column: ArrayRef = Arc::new((0..10_000).map(|row| Some(f64::from(row % 97))).collect::<Float64Array>());
    let batch = RecordBatch::try_from_iter([("a", Arc::clone(&column)), ("b", column)]).expect("columns of one length");
    let file = File::create(directory.join("0.parquet")).expect("a writable directory");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("plain columns");
    writer.write(&batch).and_then(|()| writer.close()).expect("a writable file");
    directory
}
