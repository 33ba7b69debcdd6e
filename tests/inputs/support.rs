//! Files put in a place, recipes over them, and what comes out.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Place, chain, hashes, job, manifest, parts, run, try_run};

pub fn put(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Lays the keys of `over` over `under`, table by table.
pub fn laid_over(under: &Value, over: &Value) -> Value {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            let mut all = under.clone();
            for (key, value) in over {
                let laid = under.get(key).map_or_else(|| value.clone(), |under| laid_over(under, value));
                all.insert(key.clone(), laid);
            }
            Value::Object(all)
        }
        (_, over) => over.clone(),
    }
}

/// A recipe that reads `in` and writes JSON lines to `out`, with these keys.
pub fn recipe(place: &Place, keys: &Value) -> Value {
    let plain = json!({
        "input": { "path": place.text("in") },
        "output": { "path": place.text("out"), "format": "jsonl" },
        "run": { "state": place.text("out.state"), "threads": 2 },
    });
    laid_over(&plain, keys)
}

/// The same job into another directory, with a state of its own.
pub fn into(place: &Place, recipe: &Value, out: &str) -> Value {
    let keys =
        json!({ "output": { "path": place.text(out) }, "run": { "state": place.text(&format!("{out}.state")) } });
    laid_over(recipe, &keys)
}

/// The lines of a split, as they are in the parts.
pub fn lines(output: &Path, split: &str) -> Vec<String> {
    let text = |(path, _): (std::path::PathBuf, u64)| fs::read_to_string(path).unwrap();
    parts(output, split)
        .into_iter()
        .map(text)
        .flat_map(|text| text.lines().map(String::from).collect::<Vec<_>>())
        .collect()
}

/// The bytes of an output: its files, and its manifest without the paths of the recipe.
pub fn bytes_of(output: &Path) -> (Vec<(String, String)>, Value) {
    let mut manifest = manifest(output);
    for (section, key) in [("input", "path"), ("input", "secondary"), ("output", "path")] {
        manifest["recipe"][section].as_object_mut().unwrap().remove(key);
    }
    (hashes(output).into_iter().collect(), manifest)
}

/// Runs a job anew and gives the bytes of its output.
#[track_caller]
pub fn fresh(place: &Place, recipe: &Value, out: &str) -> (Vec<(String, String)>, Value) {
    for directory in [out.to_string(), format!("{out}.state")] {
        let _ = fs::remove_dir_all(place.path(&directory));
    }
    run(&into(place, recipe, out));
    bytes_of(&place.path(out))
}

/// The message of a job that fails for its data.
#[track_caller]
pub fn refused(recipe: &Value) -> String {
    let error = try_run(recipe).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{}", chain(&error));
    chain(&error)
}

/// Checks that everything that can be proved of an output is so.
#[track_caller]
pub fn verified(output: &Path) {
    let verdict = twopass::verify::output(output).unwrap();
    assert!(verdict.ok, "{verdict:#?}");
}

/// What `check` says of the columns.
pub fn checked(recipe: &Value) -> twopass::preview::Preview {
    job(recipe).check().unwrap_or_else(|e| panic!("{}", chain(&e)))
}
