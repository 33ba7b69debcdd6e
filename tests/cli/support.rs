//! Small data, and the program to run on it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use assert_cmd::Command;
use parquet::arrow::ArrowWriter;
use serde_json::Value;

/// A directory with `data/`: three shards of 100 rows with an id, a number, a text and a label.
pub struct Job {
    root: tempfile::TempDir,
}

/// What a command left: exit code, stdout, stderr.
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Job {
    pub fn new() -> Self {
        let job = Self { root: tempfile::tempdir().expect("a directory") };
        for shard in 0..3 {
            job.shard(&format!("part-{shard}.parquet"), &rows(shard * 100, 100));
        }
        job
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().expect("a parent")).expect("directories");
        fs::write(self.path(name), text).expect("written");
    }

    pub fn shard(&self, name: &str, batch: &RecordBatch) {
        let path = self.path("data").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        let mut writer =
            ArrowWriter::try_new(File::create(path).expect("created"), batch.schema(), None).expect("a writer");
        writer.write(batch).expect("written");
        writer.close().expect("closed");
    }

    /// The recipe that most tests run.
    pub fn recipe(&self) -> &'static str {
        self.write("recipe.toml", RECIPE);
        "recipe.toml"
    }

    /// The program, to be started and watched.
    pub fn process(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_twopass"));
        command.current_dir(self.root.path()).args(arguments);
        command
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("twopass").expect("the binary");
        command.current_dir(self.root.path()).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().expect("it runs");
        Outcome {
            code: output.status.code().expect("no signal"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Runs what must succeed.
    pub fn ok(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "twopass {arguments:?}: {}{}", outcome.err, outcome.out);
        outcome
    }

    /// Runs what must fail with `code`, saying every one of `words` on stderr and nothing on stdout.
    #[track_caller]
    pub fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, code, "twopass {arguments:?}: {}", outcome.err);
        for word in words {
            assert!(outcome.err.contains(word), "`{word}` is not in: {}", outcome.err);
        }
        assert_eq!(outcome.out, "", "nothing on stdout");
    }

    /// Bytes of every file below `directory`, by path.
    pub fn files(&self, directory: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path(directory), "", &mut files);
        files
    }
}

impl Outcome {
    /// stdout as exactly one JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

fn collect(directory: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).expect("listed") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path() {
            path if path.is_dir() => collect(&path, &format!("{name}/"), files),
            path => drop(files.insert(name, fs::read(path).expect("read"))),
        }
    }
}

/// Rows with ids from `first` on; every tenth amount is null.
pub fn rows(first: i64, count: i64) -> RecordBatch {
    let ids = || first..first + count;
    let amount: Float64Array = ids().map(|id| (id % 10 != 0).then_some(id as f64 / 4.0)).collect();
    let city: StringArray = ids().map(|id| Some(["Bonn", "Oslo", "Riga"][id as usize % 3])).collect();
    let label: StringArray = ids().map(|id| Some(if id % 5 == 0 { "yes" } else { "no" })).collect();
    batch([
        ("id", Arc::new(Int64Array::from_iter_values(ids()))),
        ("amount", Arc::new(amount)),
        ("city", Arc::new(city)),
        ("label", Arc::new(label)),
    ])
}

pub fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).expect("a batch")
}

pub const RECIPE: &str = r#"
[input]
path = "data"

[label]
column = "label"

[split]
kind = "stratified"
sizes = { train = 0.8, test = 0.2 }
key = "id"

[[transform]]
op = "simple_imputer"
columns = "amount"

[[transform]]
op = "standard_scaler"
columns = "amount"

[[transform]]
op = "ordinal_encoder"
columns = "city"

[output]
path = "out"
shard_rows = 50
"#;
