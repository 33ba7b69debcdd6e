//! `twopass verify`: every check a line, and the exit code says whether all held.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use twopass::verify::{Status, Verdict};

use super::print;
use super::report::plain_table;

/// Verifies the output and prints the verdict.
pub fn run(output: &Path, state: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let verdict = twopass::verify::output_and_state(output, state)?;
    let text =
        if json { serde_json::to_string_pretty(&verdict).context("cannot print the verdict")? } else { text(&verdict) };
    print(&text)?;
    Ok(if verdict.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(verdict: &Verdict) -> String {
    let mut table = plain_table();
    for check in &verdict.checks {
        let status = match check.status {
            Status::Ok => "ok",
            Status::Failed => "FAILED",
            Status::NotProvable => "not provable",
        };
        table.add_row([check.name, status, &check.detail]);
    }
    let failed = verdict.checks.iter().filter(|check| check.status == Status::Failed).count();
    let end = match failed {
        0 => format!("{} is what its manifest says", verdict.output.display()),
        1 => format!("{} is not what its manifest says: 1 check failed", verdict.output.display()),
        more => format!("{} is not what its manifest says: {more} checks failed", verdict.output.display()),
    };
    format!("{}\n{end}", table.trim_fmt())
}
