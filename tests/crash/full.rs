//! The system itself refuses to let files grow, at every size: this reaches what sled does on its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::scenario::{FORK, copy, scratch, tree};

/// Runs the program with files of at most so many blocks; what refuses is an error, not a signal.
fn run(input: &Path, output: &Path, blocks: &str) -> Output {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#, blocks, env!("CARGO_BIN_EXE_twopass")])
        .args(["run", "--quiet", "--overwrite", "--threads", "2", "--split", "random", "--sizes", "train=0.6,test=0.4"])
        .args(["--set", "output.format=csv", "--set", "output.metadata=none"])
        .args([Path::new("--input"), input, Path::new("--output"), output])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let fork = FORK.write().unwrap();
    let child = command.spawn().unwrap();
    drop(fork);
    child.wait_with_output().unwrap()
}

fn parts(output: &Path) -> Vec<(String, Vec<u8>)> {
    tree(output).unwrap_or_default().into_iter().filter(|(name, _)| name != "_manifest.json").collect()
}

fn damaged_or_lost(state: &Path, shards: usize) -> Option<String> {
    let all = tree(state).unwrap_or_default();
    let files = all.keys().filter(|name| name.starts_with("shards/0")).count();
    let aside = all.keys().find(|name| name.starts_with("index.damaged"));
    aside.cloned().or_else(|| (files < 2 * shards).then(|| format!("{files} files of {shards} shards")))
}

/// Twenty shards of three rows: no file of the job is as large as sled's.
#[test]
fn a_disk_without_room_for_a_file_is_an_error_and_costs_nothing_that_was_done() {
    let root = scratch();
    let (input, reference) = (root.path().join("in"), root.path().join("reference"));
    fs::create_dir(&input).unwrap();
    for shard in 0..20 {
        let rows: Vec<String> = (0..3).map(|row| format!("{},{}.5\n", 10 * shard + row, shard)).collect();
        fs::write(input.join(format!("{shard:02}.csv")), format!("id,x\n{}", rows.concat())).unwrap();
    }
    assert!(run(&input, &reference, "unlimited").status.success());
    let expected = parts(&reference);
    let (mut refused, mut reopened) = (0, 0);
    for blocks in (1..40).step_by(2) {
        let limit = blocks.to_string();
        for (name, begun) in [("fresh", false), ("begun", true)] {
            let output = root.path().join(format!("{name}-{blocks}"));
            let state = output.with_extension("state");
            if begun {
                copy(&reference.with_extension("state"), &state);
            }
            let ended = run(&input, &output, &limit);
            let said = String::from_utf8_lossy(&ended.stderr);
            let what = format!("{name}, {blocks} blocks: {said}");
            let found = parts(&output);
            if ended.status.success() {
                assert!(found == expected, "{what}");
            } else {
                refused += 1;
                reopened += usize::from(begun);
                assert_eq!(ended.status.code(), Some(1), "{what}");
                assert!(said.contains("too large") && said.contains(root.path().to_str().unwrap()), "{what}");
                assert!(found.is_empty(), "{what}");
                assert_eq!(damaged_or_lost(&state, if begun { 20 } else { 0 }), None, "{what}");
            }
            assert!(run(&input, &output, "unlimited").status.success(), "{what}");
            assert!(parts(&output) == expected, "{what}: other bytes");
        }
    }
    assert!(refused > 10 && reopened > 3, "{refused} refused, {reopened} of them with a state that was there");
}
