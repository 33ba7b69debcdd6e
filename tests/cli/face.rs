//! Help, version, completions, schema, streams.

use super::support::Job;

#[test]
fn help_shows_examples_and_exit_codes() {
    let job = Job::new();
    let help = job.ok(&["--help"]);
    assert!(help.out.contains("Examples:") && help.out.contains("Exit codes:"), "{}", help.out);
    assert!(job.ok(&["run", "--help"]).out.contains("twopass run recipe.toml"));
    assert_eq!(help.err, "");
}

#[test]
fn version_is_the_packages() {
    assert_eq!(Job::new().ok(&["--version"]).out, format!("twopass {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_shell_gets_completions() {
    let job = Job::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = job.ok(&["completions", shell]).out;
        assert!(script.contains("twopass") && script.contains("verify"), "{shell}");
    }
}

#[test]
fn no_command_and_an_unknown_one_are_wrong_usage() {
    let job = Job::new();
    job.fails(&[], 2, &["Usage"]);
    job.fails(&["rum"], 2, &["run"]);
}

#[test]
fn schema_is_a_json_schema() {
    let schema = Job::new().ok(&["schema"]).json();
    assert!(schema["$schema"].as_str().is_some_and(|uri| uri.contains("json-schema.org")));
    assert!(schema["properties"]["split"].is_object() && schema["additionalProperties"] == false);
}

#[test]
fn results_go_to_stdout_and_progress_to_stderr() {
    let job = Job::new();
    let outcome = job.ok(&["run", job.recipe(), "--progress", "json"]);
    assert!(outcome.out.contains("output in out") && !outcome.out.contains("\"event\""), "{}", outcome.out);
    let events: Vec<serde_json::Value> =
        outcome.err.lines().map(|line| serde_json::from_str(line).expect("one JSON a line")).collect();
    for event in ["begin", "shard", "end"] {
        assert!(events.iter().any(|line| line["event"] == event), "{}", outcome.err);
    }
}

#[test]
fn json_is_exactly_one_object() {
    let job = Job::new();
    let outcome = job.ok(&["run", job.recipe(), "--json"]);
    let summary = outcome.json();
    assert_eq!((&summary["input"]["rows"], &summary["splits"]["train"]["rows"]), (&300.into(), &240.into()));
    assert_eq!(outcome.err, "", "a short run tells nothing on the way");
}

#[test]
fn quiet_says_nothing() {
    let job = Job::new();
    let outcome = job.ok(&["run", job.recipe(), "-q"]);
    assert_eq!((outcome.out.as_str(), outcome.err.as_str()), ("", ""));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::{Command, Stdio};
    let job = Job::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let program = job.command(&[]).get_program().to_owned();
    for command in ["schema", "completions"] {
        let mut child = Command::new(&program);
        child.arg(command).args((command == "completions").then_some("bash"));
        let output = child
            .stdout(Stdio::from(writer.try_clone().expect("cloned")))
            .stderr(Stdio::piped())
            .spawn()
            .expect("spawned")
            .wait_with_output()
            .expect("ended");
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(output.stderr.is_empty(), "{command}");
    }
}
