//! Bad inputs of every kind, each through the program: it ends with its exit code and says what is wrong and where, and
//! nothing is left at the output's place.

mod common;

#[path = "bad_inputs/claims.rs"]
mod claims;
#[path = "bad_inputs/found.rs"]
mod found;
#[path = "bad_inputs/limits.rs"]
mod limits;
#[path = "bad_inputs/parquet.rs"]
mod parquet_files;
#[path = "bad_inputs/tables.rs"]
mod tables;
#[path = "bad_inputs/texts.rs"]
mod texts;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::Place;
use serde_json::{Value, json};

/// A bad input: files below `in`, what the recipe says beside its input, and how the program has to end.
struct Case {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    recipe: Value,
    code: i32,
    /// What the message has to say.
    says: Vec<&'static str>,
}

/// A case of one file that is refused as data, and named.
fn bad(name: &'static str, file: &'static str, bytes: impl Into<Vec<u8>>, says: &[&'static str]) -> Case {
    let says = [&[file], says].concat();
    Case { name, files: vec![(file, bytes.into())], recipe: json!({}), code: 3, says }
}

impl Case {
    fn beside(mut self, file: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((file, bytes.into()));
        self
    }

    fn with(mut self, recipe: Value) -> Self {
        self.recipe = recipe;
        self
    }

    fn ends(mut self, code: i32) -> Self {
        self.code = code;
        self
    }
}

/// The recipe of a case: outputs as JSON lines, so that every value is decoded.
fn recipe(place: &Place, more: &Value) -> Value {
    let mut recipe = json!({
        "input": { "path": place.text("in") },
        "output": { "path": place.text("out"), "format": "jsonl" },
        "run": { "threads": 2, "memory": "256MiB" },
    });
    for (section, keys) in more.as_object().unwrap() {
        match (recipe.get_mut(section).and_then(Value::as_object_mut), keys) {
            (Some(known), Value::Object(keys)) => known.extend(keys.clone()),
            _ => recipe[section] = keys.clone(),
        }
    }
    recipe
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Runs the program on what is at `place`.
fn run(place: &Place, recipe: &Value) -> Output {
    fs::write(place.path("recipe.json"), recipe.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopass"));
    command.current_dir(place.path("")).args(["run", "recipe.json", "--progress", "none"]).output().unwrap()
}

/// Checks how the program ended.
fn judge(name: &str, output: &Output, code: i32, says: &[&str]) -> Result<(), String> {
    let err = String::from_utf8_lossy(&output.stderr);
    let lacks = says.iter().find(|says| !err.contains(**says));
    // The chain of causes is one line, or more where a name has line ends; a backtrace is never in it.
    let told_twice = err.contains("panicked at");
    if output.status.code() == Some(code) && lacks.is_none() && !told_twice && output.stdout.is_empty() {
        return Ok(());
    }
    Err(format!("{name}: {:?}, wanted {code}; lacks {lacks:?}: {err}", output.status))
}

fn all() -> Vec<Case> {
    [found::cases(), parquet_files::cases(), claims::cases(), texts::cases(), tables::cases()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn every_bad_input_has_its_exit_code_and_its_message() {
    let cases = all();
    let mut names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "every name once: {names:?}");
    assert!(cases.len() >= 120, "{} bad inputs", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let place = Place::new();
        fs::create_dir(place.path("in")).unwrap();
        for (file, bytes) in &case.files {
            put(&place.path("in").join(file), bytes);
        }
        let output = run(&place, &recipe(&place, &case.recipe));
        wrong.extend(judge(case.name, &output, case.code, &case.says).err());
        if place.path("out").exists() {
            wrong.push(format!("{}: left an output", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} ended otherwise:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// A job that changes nothing copies pages undecoded: it need not see what is wrong in them, but has to end.
#[test]
fn pages_that_are_copied_are_never_a_panic() {
    for case in parquet_files::cases().into_iter().chain(claims::cases()) {
        let place = Place::new();
        for (file, bytes) in &case.files {
            put(&place.path("in").join(file), bytes);
        }
        for compression in ["snappy", "none"] {
            let more = json!({ "output": { "path": place.text(compression), "format": "parquet", "compression": compression } });
            let output = run(&place, &recipe(&place, &more));
            let err = String::from_utf8_lossy(&output.stderr);
            let ended = matches!(output.status.code(), Some(0 | 3)) && !err.contains("panicked at");
            assert!(ended, "{}: {:?}: {err}", case.name, output.status);
        }
    }
}
