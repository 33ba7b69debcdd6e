//! The documents say what is true of the recipe: its examples are recipes, its keys are all described, its links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use twopass::job::Job;
use twopass::sagemaker::{self, JobName};
use twopass::spec::keys;
use twopass::transform;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents for users, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let named = [
        "README.md",
        "DESIGN.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "benches/README.md",
        "examples/flights/README.md",
        "examples/names3risk/README.md",
        "examples/sagemaker/README.md",
    ];
    let mut paths: Vec<PathBuf> = named.iter().map(|name| root().join(name)).collect();
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    paths.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))))
        .collect()
}

/// The code blocks of this language, with their line. A further word after the language makes it another.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (at, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => open = Some((at + 1, info.trim() == language, String::new())),
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(_, wanted, _)| *wanted).map(|(at, _, text)| (at, text)));
            }
            (Some((_, _, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a code block is not closed");
    blocks
}

/// Everything that is checked before data is read; a fragment gets an input.
fn accept(recipe: &str, origin: &str) -> twopass::error::Result<()> {
    let mut tree = keys::parse(recipe, origin)?;
    if tree.pointer("/input/path").is_none() {
        keys::put(&mut tree, "input.path", "data/".into())?;
    }
    let job = Job::new(keys::read(&tree)?)?;
    transform::check(job.recipe())
}

#[test]
fn every_recipe_in_the_documents_is_accepted() {
    let mut count = 0;
    for (path, text) in documents() {
        for (line, block) in blocks(&text, "toml") {
            let origin = format!("{}:{line}", path.display());
            accept(&block, &origin).unwrap_or_else(|e| panic!("{origin}: {e}"));
            count += 1;
        }
    }
    assert!(count >= 8, "only {count} recipes were found");
}

/// A directory to run in, in which the examples are where they are from the root.
fn place_with_examples() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("examples"), place.path().join("examples")).unwrap();
    place
}

/// Runs lines as a shell does, with the program at hand; they must all succeed.
fn run_in(place: &Path, lines: &str, origin: &str) {
    let program = Path::new(env!("CARGO_BIN_EXE_twopass")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-euc", lines]).env("PATH", path).current_dir(place).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "{origin}: {said}");
}

#[test]
fn every_whole_recipe_for_a_split_runs_and_is_verified() {
    let text = fs::read_to_string(root().join("docs/splits.md")).unwrap();
    let mut kinds = BTreeSet::new();
    for (line, block) in blocks(&text, "toml").into_iter().filter(|(_, block)| block.contains("[input]")) {
        let origin = format!("docs/splits.md:{line}");
        let recipe = keys::parse(&block, &origin).unwrap();
        let output = recipe.pointer("/output/path").and_then(Value::as_str).expect("an output").to_string();
        kinds.insert(recipe.pointer("/split/kind").and_then(Value::as_str).expect("a kind").to_string());
        let place = place_with_examples();
        fs::write(place.path().join("recipe.toml"), block).unwrap();
        run_in(
            place.path(),
            &format!("twopass check recipe.toml; twopass run recipe.toml; twopass verify {output}"),
            &origin,
        );
    }
    let expected = ["grouped", "kfold", "random", "stratified_grouped", "temporal", "temporal_quantile"];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn every_command_for_a_split_runs() {
    let text = fs::read_to_string(root().join("docs/splits.md")).unwrap();
    let commands = blocks(&text, "sh");
    assert!(commands.len() >= 4, "only {} commands were found", commands.len());
    for (line, block) in commands {
        run_in(place_with_examples().path(), &block, &format!("docs/splits.md:{line}"));
    }
}

#[test]
fn every_recipe_file_is_accepted() {
    for name in ["examples/flights/recipe.toml", "examples/names3risk/recipe.toml", "benches/peers/wide.toml"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        accept(&text, name).unwrap();
    }
}

/// Names of properties and values of enumerations, anywhere in a schema.
fn words(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(node) => {
            for (key, inner) in node {
                match (key.as_str(), inner) {
                    ("properties", Value::Object(properties)) => {
                        found.extend(properties.keys().cloned());
                        properties.values().for_each(|property| words(property, found));
                    }
                    ("const", Value::String(word)) => drop(found.insert(word.clone())),
                    ("enum", Value::Array(values)) => {
                        found.extend(values.iter().filter_map(Value::as_str).map(str::to_string));
                    }
                    ("default", _) => {}
                    _ => words(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| words(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_and_every_value_of_the_recipe_is_described() {
    let text = fs::read_to_string(root().join("docs/recipe.md")).unwrap();
    let mut expected = BTreeSet::new();
    words(&keys::json_schema(), &mut expected);
    assert!(
        expected.contains("missing_columns") && expected.contains("infrequent_if_exist"),
        "the schema is not as expected"
    );
    let forms = |word: &str| [format!("`{word}`"), format!("`\"{word}\"`"), format!("[{word}]"), format!("{word} = ")];
    let missing: Vec<_> = expected.iter().filter(|word| !forms(word).iter().any(|form| text.contains(form))).collect();
    assert!(missing.is_empty(), "docs/recipe.md does not mention {missing:?}");
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.contains(['|', ' ']) {
                continue;
            }
            let there = path.parent().unwrap().join(file);
            assert!(there.exists(), "{}: the link to {target} leads nowhere", path.display());
        }
    }
}

#[test]
fn every_source_file_is_in_the_code_map() {
    let design = fs::read_to_string(root().join("DESIGN.md")).unwrap();
    let map = design.split("## Code map").nth(1).unwrap().split("\n## ").next().unwrap();
    let is_test = |name: &str| name.contains("tests");
    let mut lacking = Vec::new();
    for entry in walkdir::WalkDir::new(root().join("src")) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(root().join("src")).unwrap().to_string_lossy().replace('\\', "/");
        if !name.ends_with(".rs") || is_test(&name) || name == "lib.rs" {
            continue;
        }
        let is_listed = |directory: &Path| map.contains(&format!("`{}/`", directory.display()));
        let by_directory = Path::new(&name)
            .ancestors()
            .skip(1)
            .any(|directory| !directory.as_os_str().is_empty() && is_listed(directory));
        if !by_directory && !map.contains(&format!("`{name}`")) {
            lacking.push(name);
        }
    }
    assert!(lacking.is_empty(), "DESIGN.md's code map lacks {lacking:?}");
}

/// `docs/jobs.md` with the contracts of this version of the program.
fn with_contracts(text: &str) -> String {
    let mut current = text.to_string();
    for job in JobName::ALL {
        let begin = format!("<!-- contract: {} -->\n", job.name());
        let from = current.find(&begin).expect("its place") + begin.len();
        let to = from + current[from..].find("<!-- end -->").expect("its end");
        current.replace_range(from..to, &format!("{}\n", sagemaker::markdown(job)));
    }
    current
}

/// `TWOPASS_UPDATE_DOCS=1` writes the page anew.
#[test]
fn the_contracts_of_the_jobs_are_those_of_the_program() {
    let path = root().join("docs/jobs.md");
    let text = fs::read_to_string(&path).unwrap();
    let current = with_contracts(&text);
    if std::env::var_os("TWOPASS_UPDATE_DOCS").is_some() {
        fs::write(&path, &current).unwrap();
    } else {
        assert!(text == current, "docs/jobs.md is not current; run this test with TWOPASS_UPDATE_DOCS=1");
    }
}
