//! Small jobs that do everything to a disk that a job can do, and what they end with when nobody disturbs them.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};

use serde_json::{Value, json};
use tempfile::TempDir;
use twopass::disk::Disk;
use twopass::error::{Error, Result};
use twopass::job::{Job, Report};
use twopass::observe::Silent;

use super::common::table::{Cell, Kind, Table, write_shard};
use super::common::{Numbers, chain, job};

/// What a job finds when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing: Parquet and CSV shards become Parquet.
    Fresh,
    /// The state and the output of an input of which one shard has changed since, one is new and one is gone; the output
    /// is replaced by one of another format.
    Changed,
    /// The state of another recipe, half of it of no use, and no output.
    OtherRecipe,
    /// The complete state of the same job, whose output was taken away.
    Again,
    /// Nothing: duplicates are dropped, and whole groups are split.
    Grouped,
    /// Nothing: transforms are fitted on the rows of train, which takes one more reading.
    OnTrain,
    /// The directories of the output, which are published into and stay.
    InPlace,
    /// An output in such directories, of another input and format, that is replaced.
    InPlaceOver,
}

pub const SCENARIOS: [Scenario; 8] = [
    Scenario::Fresh,
    Scenario::Changed,
    Scenario::OtherRecipe,
    Scenario::Again,
    Scenario::Grouped,
    Scenario::OnTrain,
    Scenario::InPlace,
    Scenario::InPlaceOver,
];

/// Every file below a directory, by relative path; a directory is its path and a slash.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// The shards that all places share, and what each scenario starts from and ends with.
pub struct World {
    root: TempDir,
    expected: BTreeMap<&'static str, Tree>,
}

/// A directory in memory where there is one: these tests sync ten thousands of files.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(dir) = TempDir::new_in(memory)
    {
        return dir;
    }
    TempDir::new().unwrap()
}

impl World {
    pub fn new() -> Self {
        let mut world = Self { root: scratch(), expected: BTreeMap::new() };
        let root = world.root.path().to_path_buf();
        write_input(&root.join("in"), &["a.parquet", "b.csv", "c.parquet", "d.csv"], 0);
        write_input(&root.join("before"), &["a.parquet", "c.parquet", "d.csv", "e.csv"], 0);
        // The same name with other content.
        write_input(&root.join("before"), &["c.parquet"], 1);
        for scenario in SCENARIOS {
            let template = root.join(scenario.name());
            fs::create_dir(&template).unwrap();
            let before = Place { path: template.clone(), input: root.join("before"), scenario };
            match scenario {
                Scenario::Fresh | Scenario::Again | Scenario::Grouped | Scenario::OnTrain => {}
                Scenario::Changed => before.run_recipe(before.recipe("before", "parquet")).unwrap(),
                Scenario::InPlace => {
                    for directory in ["out/lost+found", "val"] {
                        fs::create_dir_all(template.join(directory)).unwrap();
                    }
                    fs::write(template.join("out/.hidden"), "theirs").unwrap();
                }
                Scenario::InPlaceOver => {
                    let mut recipe = before.recipe("before", "csv");
                    publish_in_place(&mut recipe);
                    // A file of this output is not one of the next.
                    recipe["output"]["metadata_file"] = json!("../val/metadata");
                    before.run_recipe(recipe).unwrap();
                }
                Scenario::OtherRecipe => {
                    let mut recipe = before.recipe("before", "parquet");
                    recipe["transform"] = json!([]);
                    before.run_recipe(recipe).unwrap();
                    fs::remove_dir_all(template.join("out")).unwrap();
                }
            }
            let place = world.place(scenario);
            place.run(Disk::default()).unwrap();
            world.expected.insert(scenario.name(), place.output().unwrap());
            place.remove();
        }
        world
    }

    /// A new place as the scenario begins.
    pub fn place(&self, scenario: Scenario) -> Place {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let path = self.root.path().join(format!("place-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        copy(&self.root.path().join(scenario.name()), &path);
        let place = Place { path, input: self.root.path().join("in"), scenario };
        // At its own place: a plan knows where its output goes.
        if scenario == Scenario::Again {
            place.run(Disk::default()).unwrap();
            fs::remove_dir_all(place.path.join("out")).unwrap();
        }
        place
    }

    pub fn expected(&self, scenario: Scenario) -> &Tree {
        &self.expected[scenario.name()]
    }
}

impl Scenario {
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Changed => "changed",
            Self::OtherRecipe => "other-recipe",
            Self::Again => "again",
            Self::Grouped => "grouped",
            Self::OnTrain => "on-train",
            Self::InPlace => "in-place",
            Self::InPlaceOver => "in-place-over",
        }
    }

    /// Of the operations of a run those that this scenario is there for: what jobs do to a state, the others show.
    pub fn of_interest(self, mut names: Vec<String>) -> Vec<String> {
        if matches!(self, Self::InPlace | Self::InPlaceOver) {
            names.retain(|name| !name.contains(" out.state"));
        }
        names
    }
}

/// Files in three directories beside each other, some of them twice.
fn publish_in_place(recipe: &mut Value) {
    let output = recipe["output"].as_object_mut().unwrap();
    output.insert("publish".into(), json!("in_place"));
    output.insert("signature_file".into(), json!("../names/signature"));
    let test = ["deep/er/part-{part}.{ext}", "../copies/part-{part}.{ext}"];
    output.insert("files".into(), json!({ "test": test, "val": "../val/part-{part}.{ext}" }));
}

/// A process that was forked off and is not yet another program holds all locks of this one: no job runs meanwhile.
pub static FORK: RwLock<()> = RwLock::new(());

/// Where one run of a scenario happens.
pub struct Place {
    pub path: PathBuf,
    input: PathBuf,
    pub scenario: Scenario,
}

impl Place {
    /// The place that another process made.
    pub fn existing(path: &Path, scenario: Scenario) -> Self {
        let input = path.parent().unwrap().join("in");
        Self { path: path.to_path_buf(), input, scenario }
    }

    fn recipe(&self, input: &str, format: &str) -> Value {
        let text = |path: &Path| path.to_str().unwrap().to_string();
        json!({
            "input": { "path": text(&self.input.with_file_name(input)) },
            "label": { "column": "label" },
            "split": { "kind": "stratified", "sizes": { "train": 0.6, "test": 0.2, "val": 0.2 }, "key": "id" },
            "transform": [
                { "columns": "amount", "op": "standard_scaler" },
                { "columns": "city", "op": "ordinal_encoder" },
            ],
            "output": { "path": text(&self.path.join("out")), "shard_rows": 12, "format": format },
            "run": { "threads": 2, "mode": "streaming" },
        })
    }

    fn run_recipe(&self, recipe: Value) -> Result<()> {
        job(&recipe).run(&Silent).map(drop)
    }

    pub fn job(&self) -> Job {
        let mut recipe = self.recipe("in", if self.scenario == Scenario::Changed { "csv" } else { "parquet" });
        match self.scenario {
            Scenario::Fresh | Scenario::OtherRecipe | Scenario::Again => {}
            Scenario::Changed => {
                recipe["output"]["compression"] = json!("gzip");
                recipe["run"]["mode"] = json!("auto");
            }
            Scenario::Grouped => {
                recipe["split"]["kind"] = json!("grouped");
                recipe["split"]["groups"] = json!(["city", "label"]);
                recipe["dedupe"] = json!({ "key": ["amount", "label"], "order_by": "id", "keep": "last" });
            }
            Scenario::OnTrain => recipe["fit"] = json!({ "rows": "train" }),
            Scenario::InPlace | Scenario::InPlaceOver => publish_in_place(&mut recipe),
        }
        job(&recipe).overwriting(matches!(self.scenario, Scenario::Changed | Scenario::InPlaceOver))
    }

    pub fn run(&self, disk: Disk) -> Result<Report> {
        let _no_fork = FORK.read().unwrap();
        self.job().on_disk(disk).run(&Silent)
    }

    fn is_in_place(&self) -> bool {
        matches!(self.scenario, Scenario::InPlace | Scenario::InPlaceOver)
    }

    /// The output as it is now, if there is one; the path of the place is taken out of the manifest.
    pub fn output(&self) -> Option<Tree> {
        if self.is_in_place() {
            return Some(self.visible()).filter(|files| files.contains_key("out/_SUCCESS"));
        }
        let mut tree = tree(&self.path.join("out"))?;
        forget_place(tree.get_mut("_manifest.json"));
        Some(tree)
    }

    /// What readers see of an output that is published in place: whole or not, its files have final names.
    fn visible(&self) -> Tree {
        let mut files = tree(&self.path).unwrap();
        let is_hidden = |name: &str| name.split('/').any(|name| name.starts_with('.'));
        files.retain(|name, _| !name.starts_with("out.state") && !name.ends_with('/') && !is_hidden(name));
        forget_place(files.get_mut("out/_manifest.json"));
        files
    }

    /// Whether what is published is whole: nothing, what was there before, or the job's output.
    pub fn assert_whole(&self, world: &World, what: &str) {
        let before =
            Self { path: world.root.path().join(self.scenario.name()), ..Self::existing(&self.path, self.scenario) };
        let Some(output) = self.output() else {
            // Only a job that replaces an output has one all the time.
            assert!(self.scenario != Scenario::Changed, "{what}: the old output is gone");
            if self.is_in_place() {
                let (expected, before) = (world.expected(self.scenario), before.visible());
                for (name, bytes) in self.visible() {
                    let is_whole = [expected, &before].iter().any(|files| files.get(&name) == Some(&bytes));
                    assert!(is_whole, "{what}: half of {name} is visible");
                }
            }
            return;
        };
        let whole = output == *world.expected(self.scenario) || before.output().is_some_and(|before| before == output);
        assert!(whole, "{what}: half an output is visible: {:?}", output.keys());
    }

    /// Runs the job undisturbed; it ends with the right bytes, and leaves nothing half done.
    /// Says how many shards were not read again, if any reading was left to do.
    pub fn assert_resumes(&self, world: &World, what: &str) -> Option<usize> {
        let reused = match self.run(Disk::default()) {
            Ok(report) => Some(report.reused_shards),
            // Published already, and killed before it could say so.
            Err(Error::Conflict(message)) if message.contains("exists and is not empty") => None,
            Err(e) => panic!("{what}: {}", chain(&e)),
        };
        let output = self.output();
        let expected = world.expected(self.scenario);
        if output.as_ref() != Some(expected) {
            let output = output.unwrap_or_default();
            let differ: Vec<_> =
                expected.keys().chain(output.keys()).filter(|n| expected.get(*n) != output.get(*n)).collect();
            panic!("{what}: other bytes in {differ:?}");
        }
        self.assert_tidy(what);
        reused
    }

    fn assert_tidy(&self, what: &str) {
        let all = tree(&self.path).unwrap();
        let leftover = all.keys().find(|name| name.contains(".tmp") || name.contains("-staging"));
        assert!(leftover.is_none(), "{what}: {leftover:?} is left");
    }

    /// A copy of all that is there.
    pub fn fork(&self, name: &str) -> Self {
        let path = self.path.with_file_name(format!("{}-{name}", self.path.file_name().unwrap().to_str().unwrap()));
        copy(&self.path, &path);
        // The output's path is in no file of a state or a staging directory that a run does not write again.
        Self { path, input: self.input.clone(), scenario: self.scenario }
    }

    pub fn remove(self) {
        fs::remove_dir_all(&self.path).unwrap();
    }
}

/// Takes the output's path out of a manifest.
fn forget_place(manifest: Option<&mut Vec<u8>>) {
    let Some(manifest) = manifest else { return };
    let text = String::from_utf8(std::mem::take(manifest)).unwrap();
    let parsed: Value = serde_json::from_str(&text).unwrap();
    let place = parsed["recipe"]["output"]["path"].as_str().unwrap();
    *manifest = text.replace(place, "OUT").into_bytes();
}

/// Eleven rows a shard, in row groups of four.
fn write_input(directory: &Path, names: &[&str], seed: u64) {
    write_input_of(directory, names, seed, 11);
}

/// The same with more rows a shard.
pub fn write_input_of(directory: &Path, names: &[&str], seed: u64, rows: i64) {
    fs::create_dir_all(directory).unwrap();
    for name in names {
        let shard = name.bytes().take(2).fold(0, |shard, byte| 256 * shard + u64::from(byte));
        let mut numbers = Numbers(shard + 1000 * seed);
        let row = |row: i64| {
            let label = ["no", "yes", "maybe"][numbers.below(3) as usize];
            let amount = numbers.unit() * 100.0;
            let city = format!("Ort {}", numbers.below(5));
            vec![Cell::Int(1000 * shard as i64 + row), Cell::text(label), Cell::Float(amount), Cell::Text(city)]
        };
        let columns = [("id", Kind::Int), ("label", Kind::Text), ("amount", Kind::Float), ("city", Kind::Text)];
        let columns = columns.map(|(name, kind)| (name.to_string(), kind)).to_vec();
        let table = Table { columns, rows: (0..rows).map(row).collect() };
        if name.ends_with(".csv") {
            fs::write(directory.join(name), csv(&table)).unwrap();
        } else {
            write_shard(&directory.join(name), &table.batch(), &[4, 4]);
        }
    }
}

fn csv(table: &Table) -> String {
    let mut text = table.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",") + "\n";
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.canonical().unwrap_or_default()).collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

/// All files below `path`.
pub fn tree(path: &Path) -> Option<Tree> {
    let mut found = Tree::new();
    let mut directories = vec![path.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).ok()?;
        for entry in entries {
            let entry = entry.unwrap().path();
            let name = entry.strip_prefix(path).unwrap().to_str().unwrap().to_string();
            if entry.is_dir() {
                found.insert(name + "/", Vec::new());
                directories.push(entry);
            } else {
                found.insert(name, fs::read(&entry).unwrap());
            }
        }
    }
    Some(found)
}

/// Copies a directory, with nothing shared.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (name, bytes) in tree(from).unwrap() {
        if name.ends_with('/') {
            fs::create_dir_all(to.join(name)).unwrap();
        } else {
            let path = to.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

/// Does the same for all items, two at a time, and tells of all that fail.
pub fn in_parallel<T: Sync>(items: &[T], action: impl Fn(usize, &T) + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| action(at, item))) {
                        let said = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".into());
                        failures.lock().unwrap().push(said);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), items.len(), failures.join("\n"));
}
