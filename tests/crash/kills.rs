//! The program is killed at random instants, again and again, until it gets through.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::common::Numbers;
use super::scenario::{FORK, in_parallel, scratch, tree, write_input_of};

/// Kills; more by hand.
fn kills() -> u64 {
    std::env::var("TWOPASS_KILLS").map_or(200, |n| n.parse().unwrap())
}

/// Kills of one job before it may end.
const KILLS_OF_A_JOB: u64 = 5;

fn start(input: &Path, output: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopass"));
    command
        .args(["run", "--quiet", "--overwrite", "--label", "label", "--split", "stratified", "--key", "id"])
        .args(["--sizes", "train=0.6,test=0.2,val=0.2", "--threads", "2", "--set", "output.shard_rows=300"])
        .args([
            "--set",
            "transform=[{columns=\"amount\",op=\"standard_scaler\"},{columns=\"city\",op=\"ordinal_encoder\"}]",
        ])
        .args([Path::new("--input"), input, Path::new("--output"), output])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let _fork = FORK.write().unwrap();
    command.spawn().unwrap()
}

/// Files whose bytes do not depend on where the output is.
fn parts(output: &Path) -> Vec<(String, Vec<u8>)> {
    tree(output).unwrap_or_default().into_iter().filter(|(name, _)| name != "_manifest.json").collect()
}

#[test]
fn killed_at_random_instants_the_program_goes_on() {
    let root = scratch();
    let input = root.path().join("in");
    let shards: Vec<String> =
        (0..16).map(|at| format!("{at:02}.{}", if at % 4 == 3 { "csv" } else { "parquet" })).collect();
    write_input_of(&input, &shards.iter().map(String::as_str).collect::<Vec<_>>(), 0, 400);
    let started = Instant::now();
    let undisturbed = root.path().join("undisturbed");
    let output = start(&input, &undisturbed).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let length = started.elapsed();
    let expected = parts(&undisturbed);
    assert!(expected.len() > 20, "{} files", expected.len());

    let killed = AtomicU64::new(0);
    let jobs: Vec<u64> = (0..kills().div_ceil(KILLS_OF_A_JOB)).collect();
    in_parallel(&jobs, |_, job| {
        let mut numbers = Numbers(*job);
        let output = root.path().join(format!("out-{job}"));
        let mut kills_left = KILLS_OF_A_JOB;
        let mut instants = Vec::new();
        while kills_left > 0 {
            let mut child = start(&input, &output);
            // Later than the job is long, at times: the machine may be slower than it was.
            let instant = Duration::from_nanos((length.as_nanos() as f64 * 1.1 * numbers.unit()) as u64);
            std::thread::sleep(instant);
            child.kill().unwrap();
            let ended = child.wait_with_output().unwrap();
            let was_killed = ended.status.signal() == Some(9);
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(was_killed || ended.status.success(), "job {job}, kills at {instants:?}: {said}");
            if was_killed {
                kills_left -= 1;
                killed.fetch_add(1, Ordering::Relaxed);
                instants.push(instant);
            }
            let found = parts(&output);
            assert!(found.is_empty() || found == expected, "job {job}: half an output after kills at {instants:?}");
        }
        let ended = start(&input, &output).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "job {job}, kills at {instants:?}: {said}");
        assert!(parts(&output) == expected, "job {job}: other bytes after kills at {instants:?}");
        std::fs::remove_dir_all(&output).unwrap();
        std::fs::remove_dir_all(output.with_extension("state")).unwrap();
    });
    eprintln!("{} kills, of a job of {length:?}", killed.into_inner());
}
