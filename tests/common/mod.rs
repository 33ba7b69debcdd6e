//! What the proofs share: a place of their own on disk, jobs run through the library, outputs read back and hashed.
#![allow(dead_code, reason = "every test binary takes the part it needs")]

pub mod calendar;
pub mod csv;
pub mod forged;
pub mod oracle;
pub mod split_oracle;
pub mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use twopass::error::Result;
use twopass::job::{Job, Report};
use twopass::observe::Silent;
use twopass::plan::Plan;
use twopass::spec::Recipe;
use twopass::store::StateStore;

/// A directory that goes when the test does.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// In memory where there is a directory of it: for hundreds of small jobs, whose syncs take longer than they do.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let place = memory.is_dir().then(|| TempDir::new_in(memory).ok()).flatten();
        place.map_or_else(Self::new, Self)
    }

    /// A path as a recipe writes it.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_string()
    }
}

/// The job of a recipe written as JSON.
pub fn job(recipe: &Value) -> Job {
    let recipe: Recipe = serde_json::from_value(recipe.clone()).unwrap_or_else(|e| panic!("{e} in {recipe:#}"));
    Job::new(recipe).unwrap_or_else(|e| panic!("{}", chain(&e)))
}

pub fn try_run(recipe: &Value) -> Result<Report> {
    job(recipe).run(&Silent)
}

#[track_caller]
pub fn run(recipe: &Value) -> Report {
    try_run(recipe).unwrap_or_else(|e| panic!("{} in {recipe:#}", chain(&e)))
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

pub fn manifest(output: &Path) -> Value {
    json(&output.join("_manifest.json"))
}

/// The frozen plan of the job whose output this is.
pub fn plan(output: &Path) -> Plan {
    let state = output.with_file_name(format!("{}.state", output.file_name().unwrap().to_str().unwrap()));
    StateStore::open_existing(&twopass::disk::Disk::default(), &state).unwrap().0.load_plan().unwrap().expect("a plan")
}

/// Names of the splits, in the manifest's order.
pub fn splits(output: &Path) -> Vec<String> {
    manifest(output)["splits"].as_object().unwrap().keys().cloned().collect()
}

/// The parts of a split as the manifest lists them: path and rows.
pub fn parts(output: &Path, split: &str) -> Vec<(PathBuf, u64)> {
    let listed = manifest(output)["splits"][split]["parts"].as_array().unwrap().clone();
    listed.iter().map(|part| (output.join(part["path"].as_str().unwrap()), part["rows"].as_u64().unwrap())).collect()
}

/// All rows of a split whose parts are Parquet.
pub fn read_split(output: &Path, split: &str) -> RecordBatch {
    let batches: Vec<_> = parts(output, split).iter().map(|(path, _)| table::read_parquet(path)).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of every file of an output but the manifest, which repeats the recipe's paths.
pub fn hashes(output: &Path) -> BTreeMap<String, String> {
    let mut hashes = BTreeMap::new();
    let mut directories = vec![output.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(output).unwrap().to_str().unwrap().to_string();
            if name != "_manifest.json" {
                hashes.insert(name, sha256(&std::fs::read(&path).unwrap()));
            }
        }
    }
    hashes
}

/// Numbers that look random and are the same everywhere: SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
