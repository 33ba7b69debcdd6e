//! A directory that stands for `/opt/ml`, and the program in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::common::csv;
use super::common::table::{Cell, Table, read_parquet};

pub const LOADER: &str = "dummy-data-loading";
pub const TABULAR: &str = "tabular-preprocessing";
pub const TEMPORAL: &str = "temporal-split-preprocessing";

/// The job types.
pub const TYPES: [&str; 4] = ["training", "validation", "testing", "calibration"];

/// Where the directories are.
pub struct Container {
    root: TempDir,
}

/// What a job left: exit code, stdout, stderr.
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Variables of an environment.
pub type Variables<'a> = &'a [(&'a str, &'a str)];

impl Container {
    /// With the directories that SageMaker makes beforehand.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        for directory in ["processing/input/data", "processing/output"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        Self { root }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A directory of the output.
    pub fn output(&self, name: &str) -> PathBuf {
        self.path("processing/output").join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    /// The command of a job, in an environment of these variables alone.
    pub fn command(&self, job: &str, job_type: &str, variables: Variables<'_>, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twopass"));
        command.args(["job", job, "--job_type", job_type, "--root"]).arg(self.root.path()).args(flags);
        command.env_clear().envs(variables.iter().copied()).current_dir(self.root.path());
        command
    }

    pub fn run(&self, job: &str, job_type: &str, variables: Variables<'_>, flags: &[&str]) -> Outcome {
        self.command(job, job_type, variables, flags).output().unwrap().into()
    }

    /// Runs what must succeed.
    #[track_caller]
    pub fn ok(&self, job: &str, job_type: &str, variables: Variables<'_>) -> Outcome {
        let outcome = self.run(job, job_type, variables, &[]);
        assert_eq!(outcome.code, Some(0), "{job} {job_type} {variables:?}: {}", outcome.err);
        outcome
    }

    /// Runs what must fail with `code`, saying every one of `words` and leaving no file behind where outputs are.
    #[track_caller]
    pub fn fails(&self, job: &str, variables: Variables<'_>, code: i32, words: &[&str]) {
        let outcome = self.run(job, "training", variables, &[]);
        assert_eq!(outcome.code, Some(code), "{job} {variables:?}: {}", outcome.err);
        for word in words {
            assert!(outcome.err.contains(word), "`{word}` is not in: {}", outcome.err);
        }
        let left: Vec<String> = files(&self.output("")).into_keys().collect();
        let left: Vec<&String> =
            left.iter().filter(|path| !path.split('/').any(|part| part.starts_with('.'))).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// The recipe that the environment amounts to, as it is printed.
    #[track_caller]
    pub fn recipe(&self, job: &str, job_type: &str, variables: Variables<'_>) -> String {
        let outcome = self.run(job, job_type, variables, &["--dry-run"]);
        assert_eq!(outcome.code, Some(0), "{job} {variables:?}: {}", outcome.err);
        outcome.out
    }

    /// `twopass` with these arguments.
    pub fn twopass(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twopass"));
        command.args(arguments).env_clear().current_dir(self.root.path()).output().unwrap().into()
    }

    /// Takes outputs and states away, and leaves what SageMaker makes beforehand.
    pub fn clear(&self) {
        fs::remove_dir_all(self.output("")).unwrap();
        fs::create_dir(self.output("")).unwrap();
        for entry in fs::read_dir(self.path("processing")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "state") {
                fs::remove_dir_all(path).unwrap();
            }
        }
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Bytes of every file below `directory`, by path.
pub fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(directory) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(directory).unwrap().to_str().unwrap().to_string();
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// Names of the files below `directory`, but for what says that the output is whole.
pub fn names(directory: &Path) -> Vec<String> {
    files(directory).into_keys().filter(|name| !["_SUCCESS", "_manifest.json"].contains(&name.as_str())).collect()
}

/// Rows as text, each by column; what is missing is not there.
pub type Rows = Vec<BTreeMap<String, String>>;

/// The rows of the files of a directory, of any format, in the order of their names.
pub fn rows(directory: &Path) -> Rows {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.file_name().unwrap().to_str().unwrap().starts_with('_'))
        .collect();
    found.sort();
    found.iter().flat_map(|path| rows_of(path)).collect()
}

/// The rows of one file.
pub fn rows_of(path: &Path) -> Rows {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => of_table(&Table::of_batch(&read_parquet(path))),
        Some("csv") => of_table(&Table::of_batch(&csv::read_text(path))),
        Some("tsv") => of_table(&Table::of_batch(&csv::read_text_by(path, b'\t'))),
        Some("json") => of_json(&fs::read_to_string(path).unwrap()),
        _ => panic!("{}", path.display()),
    }
}

fn of_table(table: &Table) -> Rows {
    let text = |cell: &Cell| match cell {
        Cell::Missing => None,
        Cell::Bool(value) => Some(value.to_string()),
        Cell::Int(value) => Some(value.to_string()),
        Cell::Float(value) => Some(value.to_string()),
        Cell::Text(text) => Some(text.clone()),
        Cell::Date(_) | Cell::Time(_) => unreachable!("read as text"),
    };
    let row = |row: &Vec<Cell>| {
        row.iter().zip(&table.columns).filter_map(|(cell, (name, _))| Some((name.clone(), text(cell)?))).collect()
    };
    table.rows.iter().map(row).collect()
}

fn of_json(text: &str) -> Rows {
    let row = |line: &str| {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let text = |value: serde_json::Value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        object.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
    };
    text.lines().map(row).collect()
}
