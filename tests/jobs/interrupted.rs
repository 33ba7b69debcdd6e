//! A job that is killed and started again as SageMaker does: in the same container, or in a new one with the checkpoints
//! alone, whose times are new.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::container::{Container, TABULAR, TEMPORAL, files};
use super::data::{self, Format};

/// Shards of some size, so that there is a time to be killed in.
fn fill(container: &Container) {
    data::write(container, "processing/input/data", Format::Mixed);
    let rows: String = (0..6000)
        .map(|row| format!("{},c{},2024-10-{:02},yes,1,1,x,0,1\n", row + 1000, row % 700, row % 28 + 1))
        .collect();
    let header = data::COLUMNS.join(",");
    for shard in 0..12 {
        container.write(&format!("processing/input/data/part-9{shard}.csv"), format!("{header}\n{rows}"));
    }
}

/// What the output holds, but for the manifest's own paths.
fn output(container: &Container) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(&container.output(""));
    assert!(files.keys().any(|name| name.ends_with("_SUCCESS")));
    files.retain(|name, _| !name.ends_with("_manifest.json"));
    files
}

/// Copies what SageMaker keeps: files, but neither their times nor empty directories.
fn keep(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let target = to.join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
}

fn undisturbed(job: &str, variables: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let container = Container::new();
    fill(&container);
    container.ok(job, "training", variables);
    output(&container)
}

const TIMES: [(&str, &str); 5] = [
    ("DATE_COLUMN", "when"),
    ("GROUP_ID_COLUMN", "customer"),
    ("SPLIT_DATE", "2024-10-20"),
    ("ENABLE_TRUE_STREAMING", "true"),
    ("SHARD_SIZE", "5000"),
];

#[test]
fn killed_and_run_again_a_job_ends_with_the_same_bytes() {
    for (job, variables) in [(TABULAR, &TIMES[3..]), (TEMPORAL, &TIMES)] {
        let expected = undisturbed(job, variables);
        let container = Container::new();
        fill(&container);
        for wait in [20, 45, 80, 120, 170, 230] {
            let mut child = container
                .command(job, "training", variables, &[])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(wait));
            let _ = child.kill();
            if child.wait().unwrap().success() {
                break;
            }
        }
        if !container.output(if job == TABULAR { "_SUCCESS" } else { "training_data/_SUCCESS" }).exists() {
            container.ok(job, "training", variables);
        }
        assert!(output(&container) == expected, "{job}");
        let left = files(&container.output("")).into_keys().filter(|name| name.contains("twopass")).count();
        assert_eq!(left, 0, "nothing of the work is left");
    }
}

#[test]
fn a_new_container_goes_on_from_the_checkpoints() {
    let expected = undisturbed(TABULAR, &[]);
    let first = Container::new();
    fs::create_dir(first.path("checkpoints")).unwrap();
    fill(&first);
    // Stopped when all was read and nothing written: by a disk that takes no file, for the kill cannot be timed.
    let recipe = first.recipe(TABULAR, "training", &[]);
    first.write("recipe.toml", recipe);
    assert_eq!(first.twopass(&["scan", "recipe.toml"]).code, Some(0));

    let second = Container::new();
    fs::create_dir(second.path("checkpoints")).unwrap();
    fill(&second);
    keep(&first.path("checkpoints"), &second.path("checkpoints"));
    let outcome = second.run(TABULAR, "training", &[], &["--json"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.err);
    let summary: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(summary["reused_shards"], summary["input"]["shards"], "nothing was scanned twice");
    assert!(output(&second) == expected);
}

#[test]
fn a_termination_is_answered_in_time_and_can_be_gone_on_from() {
    let expected = undisturbed(TABULAR, &[]);
    let container = Container::new();
    fill(&container);
    let child =
        container.command(TABULAR, "training", &[], &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(60));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    if ended.status.code() != Some(0) {
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        // Before signals are caught, a signal ends it on the spot.
        assert!(ended.status.code().is_none_or(|code| code == 143), "{said}");
        container.ok(TABULAR, "training", &[]);
    }
    assert!(output(&container) == expected);
}
