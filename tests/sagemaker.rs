//! The container and the pipelines of examples/sagemaker, as far as this can be told in seconds and without docker: what is
//! copied suffices, what is left out is nothing else, and what the pipelines set are variables that the jobs have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn example(name: &str) -> String {
    fs::read_to_string(root().join("examples/sagemaker").join(name)).unwrap()
}

/// Words of the instructions of this name, stage by stage.
fn instructions(name: &str) -> Vec<Vec<Vec<String>>> {
    let dockerfile = example("Dockerfile");
    let stages = dockerfile.split("\nFROM ").skip(1);
    let of = |stage: &str| -> Vec<Vec<String>> {
        let lines = stage.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        lines.map(|line| line.split_whitespace().map(str::to_string).collect()).collect()
    };
    stages.map(of).collect()
}

/// What a stage copies from the repository.
fn copied(stage: usize) -> Vec<String> {
    let copies = instructions("COPY").swap_remove(stage);
    let ours = copies.into_iter().filter(|words| !words[0].starts_with("--from"));
    ours.flat_map(|mut words| {
        words.pop();
        words
    })
    .collect()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            copy(&path, &to.join(path.file_name().unwrap()));
        }
    } else {
        fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    }
}

#[test]
fn the_build_has_all_files_that_it_needs() {
    let place = tempfile::tempdir().unwrap();
    for name in copied(0) {
        copy(&root().join(&name), &place.path().join(&name));
    }
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let arguments = ["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(place.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let targets = metadata["packages"][0]["targets"].as_array().unwrap();
    assert!(targets.iter().any(|target| target["kind"][0] == "bin" && target["name"] == "twopass"));
    // Files that the sources include.
    for entry in walkdir::WalkDir::new(root().join("src")) {
        let path = entry.unwrap().into_path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        for word in ["include_str!(", "include_bytes!("] {
            assert!(!text.contains(word), "{}: is what it includes copied to the image?", path.display());
        }
    }
    assert_eq!(instructions("RUN")[0], [["cargo", "build", "--release", "--locked", "--bin", "twopass"]]);
}

/// Everything is left out but what is copied.
#[test]
fn the_build_is_sent_what_it_copies_and_nothing_else() {
    let ignore = example("Dockerfile.dockerignore");
    let mut lines = ignore.lines();
    assert_eq!(lines.next(), Some("*"));
    let let_in: BTreeSet<String> =
        lines.map(|line| line.strip_prefix('!').expect("an exception").to_string()).collect();
    assert_eq!(let_in, copied(0).into_iter().chain(copied(1)).collect());
    let_in.iter().for_each(|name| assert!(root().join(name).exists(), "{name}"));
}

#[test]
fn the_build_has_a_compiler_that_is_new_enough() {
    let number = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let dockerfile = example("Dockerfile");
    let image = dockerfile.lines().find_map(|line| line.strip_prefix("ARG RUST=")).unwrap();
    assert!(number(image) >= number(env!("CARGO_PKG_RUST_VERSION")), "{image}");
}

/// Debian's slim images have these: the first three with libc6, the last for apt.
#[test]
fn the_program_needs_only_libraries_that_the_image_has() {
    let output = Command::new("ldd").arg(env!("CARGO_BIN_EXE_twopass")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let needed = text.lines().filter_map(|line| line.split_whitespace().next()?.rsplit('/').next());
    let is_there = |name: &&str| {
        ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "linux-vdso.so.1"].contains(name) || name.starts_with("ld-linux")
    };
    let lacking: Vec<&str> = needed.filter(|name| !is_there(name)).collect();
    assert!(text.contains("libc.so.6") && lacking.is_empty(), "{lacking:?}");
}

fn contract(job: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_twopass")).args(["job", job, "--contract"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What stands between quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

#[test]
fn the_pipelines_set_variables_that_the_job_has() {
    let jobs = ["dummy-data-loading", "tabular-preprocessing", "temporal-split-preprocessing"];
    let mut seen = BTreeSet::new();
    for file in ["processing_step.py", "training_spot.py"] {
        let text = example(file);
        // From where a job is named to where the next one is.
        let mut job = None;
        for word in quoted(&text) {
            if jobs.contains(&word) {
                seen.insert(word.to_string());
                job = Some(contract(word));
            }
            let is_variable = word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            if let Some(job) = job.as_ref().filter(|_| is_variable && word.contains('_')) {
                let has = job["variables"].as_array().unwrap().iter().any(|variable| variable["name"] == word);
                assert!(has, "{file}: {word} is no variable of {}", job["job"]);
            }
            let is_flag = word.starts_with("--") && !["--job_type", "--memory", "--start", "--name"].contains(&word);
            if let Some(job) = job.as_ref().filter(|_| is_flag) {
                let places = ["inputs", "outputs"].map(|what| job[what].as_array().unwrap().clone()).concat();
                assert!(places.iter().any(|place| place["flag"] == word), "{file}: {word}");
            }
        }
    }
    assert_eq!(seen.len(), jobs.len());
}
