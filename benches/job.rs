//! The whole job on a wide table of moderate size: 4 shards × 5,000 rows × 200 columns. Peak memory is printed at the end.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use criterion::{BatchSize, Criterion, Throughput};
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use twopass::job::Job;
use twopass::observe::Silent;
use twopass::spec::keys;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SHARDS: u64 = 4;
const ROWS: u64 = 5_000;

const RECIPE: &str = r#"
[label]
column = "label"
[split]
kind = "stratified"
key = "id"
[[transform]]
columns = "num_*"
op = "standard_scaler"
[[transform]]
columns = "cat_*"
op = "ordinal_encoder"
encoded_missing_value = -1
[output]
shard_rows = 5000
"#;

/// A number that depends on the row and the column only.
fn mixed(row: u64, column: u64) -> u64 {
    let seed = (row << 16 | column).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (seed ^ (seed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// 200 columns: id, label, 18 texts, 180 numbers.
fn shard(first_row: u64) -> RecordBatch {
    let rows = || first_row..first_row + ROWS;
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("id".into(), Arc::new(rows().map(|row| Some(format!("O{row:09}"))).collect::<StringArray>())),
        (
            "label".into(),
            Arc::new(
                rows()
                    .map(|row| Some(["N", "N", "N", "F", "I"][(mixed(row, 0) % 5) as usize]))
                    .collect::<StringArray>(),
            ),
        ),
    ];
    for column in 1..=18 {
        let values = [3, 50, 1000][column as usize % 3];
        let text = |row| {
            Some(mixed(row, column)).filter(|x| !x.is_multiple_of(40)).map(|x| format!("cat{column}_v{}", x % values))
        };
        columns.push((format!("cat_{column:02}"), Arc::new(rows().map(text).collect::<StringArray>())));
    }
    for column in 100..280 {
        let array: ArrayRef = match column % 3 {
            0 => Arc::new(rows().map(|row| Some((mixed(row, column) % 9) as i64)).collect::<Int64Array>()),
            1 => Arc::new(rows().map(|row| Some(mixed(row, column) as f64 / 1e9)).collect::<Float64Array>()),
            _ => {
                let money = |x: u64| (!x.is_multiple_of(5)).then(|| (x % 100_000) as f64 / 100.0);
                Arc::new(rows().map(|row| money(mixed(row, column))).collect::<Float64Array>())
            }
        };
        columns.push((format!("num_{column}"), array));
    }
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn write_shards(directory: &Path) {
    std::fs::create_dir(directory).expect("a fresh directory");
    for at in 0..SHARDS {
        let batch = shard(at * ROWS);
        let file = File::create(directory.join(format!("{at}.parquet"))).expect("a writable directory");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("plain columns");
        writer.write(&batch).and_then(|()| writer.close()).expect("a writable file");
    }
}

fn job(root: &Path, mode: &str) -> Job {
    let text = |path: &str| Value::String(root.join(path).to_string_lossy().into_owned());
    let mut tree = keys::parse(RECIPE, "the recipe").expect("TOML");
    for (key, value) in [("input.path", text("data")), ("output.path", text("out")), ("run.mode", mode.into())] {
        keys::put(&mut tree, key, value).expect("a key");
    }
    Job::new(keys::read(&tree).expect("a recipe")).expect("a complete recipe").overwriting(true)
}

fn main() {
    let root = tempfile::tempdir().expect("a temporary directory");
    write_shards(&root.path().join("data"));
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("job");
    group.throughput(Throughput::Elements(SHARDS * ROWS));
    let fresh = |mode: &str| {
        let job = job(root.path(), mode);
        let state = job.state_path();
        if state.exists() {
            std::fs::remove_dir_all(state).expect("the state of an earlier round");
        }
        job
    };
    for mode in ["streaming", "in_memory"] {
        group.bench_function(format!("run, {mode}"), |b| {
            b.iter_batched(|| fresh(mode), |job| job.run(&Silent).expect("a job that runs"), BatchSize::PerIteration);
        });
    }
    group.bench_function("scan", |b| {
        b.iter_batched(|| fresh("streaming"), |job| job.scan(&Silent).expect("a scan"), BatchSize::PerIteration);
    });
    fresh("streaming").scan(&Silent).expect("a scan");
    let job = job(root.path(), "streaming");
    group.bench_function("write", |b| b.iter(|| job.write(&Silent).expect("a complete state")));
    group.finish();
    criterion.final_summary();
    if let Some(peak) = peak_memory() {
        println!("peak memory of all of it: {} MiB", peak >> 20);
    }
}

/// The most memory the process ever held, in bytes, where the system says.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
