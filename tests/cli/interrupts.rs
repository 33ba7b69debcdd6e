//! Signals and locks, with real processes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::support::{Job, rows};

/// A job that takes a while: many small shards and many small parts.
fn slow() -> Job {
    let job = Job::new();
    for shard in 0..150 {
        job.shard(&format!("more-{shard:03}.parquet"), &rows(1000 + shard * 60, 60));
    }
    job
}

const SMALL_PARTS: &str = "output.shard_rows=40";

/// A run of the slow job, and its events.
struct Running {
    child: Child,
    events: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Running {
    fn start(job: &Job, more: &[&str]) -> Self {
        let mut arguments = vec!["run", job.recipe(), "--set", SMALL_PARTS, "--progress", "json", "-j", "2"];
        arguments.extend(more);
        let mut child =
            job.process(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let events = BufReader::new(child.stderr.take().expect("stderr")).lines();
        Self { child, events }
    }

    /// Waits until a pass has done some shards.
    fn wait_for(&mut self, pass: &str, shards: usize) {
        let of_pass = format!("\"pass\":\"{pass}\"");
        let seen = self
            .events
            .by_ref()
            .map_while(Result::ok)
            .filter(|line| line.contains("\"event\":\"shard\"") && line.contains(&of_pass));
        assert_eq!(seen.take(shards).count(), shards, "it ended before {pass} had {shards} shards");
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("sent");
    }

    /// Exit code and the last line of stderr.
    fn end(mut self) -> (Option<i32>, String) {
        let last = self.events.by_ref().map_while(Result::ok).last().unwrap_or_default();
        let mut out = String::new();
        self.child.stdout.take().expect("stdout").read_to_string(&mut out).expect("read");
        assert_eq!(out, "", "nothing on stdout");
        (self.child.wait().expect("it ends").code(), last)
    }
}

#[test]
fn a_signal_ends_either_pass_with_the_command_that_goes_on() {
    let first = slow();
    first.ok(&["run", first.recipe(), "--set", SMALL_PARTS]);
    let expected = first.files("out");
    for (pass, signal, code) in [("scan", Signal::INT, 130), ("write", Signal::TERM, 143)] {
        let job = slow();
        let mut running = Running::start(&job, &["--resume", "never"]);
        running.wait_for(pass, 20);
        let sent = Instant::now();
        running.signal(signal);
        let (found, line) = running.end();
        assert_eq!(found, Some(code), "{pass}: {line}");
        assert!(sent.elapsed() < Duration::from_secs(20), "{pass}: {:?}", sent.elapsed());
        assert!(!job.path("out").exists());
        let (said, command) = line.split_once("go on with: ").expect("a command");
        assert!(said.contains("stopped by SIG"), "{line}");
        // As a shell runs it, in the same directory.
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("{command} --json")])
            .current_dir(job.path(""))
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a summary");
        let kept = (summary["reused_shards"].as_u64().unwrap(), summary["kept_parts"].as_u64().unwrap());
        match pass {
            "scan" => assert!((20..153).contains(&kept.0) && kept.1 == 0, "{kept:?}"),
            _ => assert!(kept.0 == 153 && kept.1 > 0, "{kept:?}"),
        }
        assert_eq!(job.files("out"), expected, "{pass}");
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once_and_nothing_is_lost() {
    let job = slow();
    let mut running = Running::start(&job, &[]);
    running.wait_for("scan", 20);
    running.signal(Signal::TERM);
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    let (code, _) = running.end();
    assert!(code == Some(143) || code == Some(130), "{code:?}");
    let summary = job.ok(&["run", job.recipe(), "--json"]).json();
    assert!(summary["reused_shards"].as_u64() >= Some(20), "{summary}");
}

#[test]
fn a_job_has_its_state_and_its_output_alone_until_it_dies() {
    let job = slow();
    let mut running = Running::start(&job, &[]);
    running.wait_for("scan", 5);
    // It holds what it has for as long as the test likes.
    running.signal(Signal::STOP);
    let holder = format!("in use by process {}", running.pid());
    job.fails(&["run", job.recipe(), "--state", "other.state"], 4, &["out", &holder]);
    job.fails(&["write", job.recipe(), "--state", "other.state"], 4, &["out", &holder]);
    job.fails(&["run", job.recipe(), "-o", "other", "--state", "out.state"], 4, &["out.state", &holder]);
    job.fails(&["inspect", "out.state"], 4, &[&holder]);
    running.child.kill().expect("killed");
    running.end();
    // A dead process holds nothing, whatever files it left.
    job.ok(&["run", job.recipe(), "--set", SMALL_PARTS]);
    let left: Vec<String> = std::fs::read_dir(job.path(""))
        .expect("listed")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
