//! The program's face: what was typed becomes a job, what happens becomes progress on stderr and a result on stdout.

mod args;
mod ceiling;
mod check;
mod init;
mod inspect;
mod job;
mod progress;
mod report;
mod resolve;
mod signals;
mod verify;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};

use args::{Args, Command};
use twopass::error::Error;
use twopass::job::Job;
use twopass::spec::keys;

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match run(args) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nothing can be written any more, the exit code still says it.
            let _ = writeln!(io::stderr(), "twopass: {error:#}");
            ExitCode::from(error.downcast_ref::<Error>().map_or(1, Error::exit_code))
        }
    }
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Run(options) => report::run(&resolve::job(&options)?, &options.shown, Job::run),
        Command::Scan(options) => report::run(&resolve::job(&options)?, &options.shown, Job::scan),
        Command::Write(options) => report::run(&resolve::job(&options)?, &options.shown, Job::write),
        Command::Check(options) => check::run(&options),
        Command::Init { path } => init::run(&path),
        Command::Inspect { path, column, json } => inspect::run(&path, column.as_deref(), json),
        Command::Verify { output, state, json } => verify::run(&output, state.as_deref(), json),
        Command::Schema => {
            let text = serde_json::to_string_pretty(&keys::json_schema()).context("cannot print the schema")?;
            print(&text)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "twopass", &mut script);
            io::stdout().write_all(&script).context("cannot write to stdout")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Apply { .. } => not_yet("apply"),
        Command::Job { job } => job::run(job),
    }
}

fn not_yet(command: &str) -> anyhow::Result<ExitCode> {
    Err(Error::Recipe(format!("`twopass {command}` is not available yet in this version of twopass")).into())
}

/// Prints a result, ending it with a newline.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    writeln!(io::stdout(), "{}", text.trim_end()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == ErrorKind::BrokenPipe)
}
