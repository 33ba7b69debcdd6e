//! `twopass init`: a starter recipe on stdout.

use std::process::ExitCode;

use super::print;

/// Prints a recipe for the data at `path`.
pub fn run(path: &str) -> anyhow::Result<ExitCode> {
    print(&twopass::starter::recipe(path)?)
}
