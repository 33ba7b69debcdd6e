//! `twopass check`: what a job would do, as tables.

use std::process::ExitCode;

use anyhow::Context;
use indicatif::HumanBytes;
use serde_json::json;
use twopass::error::{Error, Site};
use twopass::preview::{Difference, Disagreement, OutputColumn, Preview, StateKind};

use super::args::JobArgs;
use super::report::{count, cut, percent, table};
use super::{ceiling, print, resolve};

/// Disagreements and columns of a step shown before the rest is summed up.
const SHOWN: usize = 20;

/// Checks the job that the arguments amount to.
pub fn run(args: &JobArgs) -> anyhow::Result<ExitCode> {
    let (job, note) = ceiling::lower(&resolve::job(args)?)?;
    let mut preview = job.check()?;
    preview.notes.extend(note);
    if args.shown.json {
        let mut value = serde_json::to_value(&preview).context("cannot print the preview")?;
        value["memory"]["needed"] = json!(preview.memory.needed());
        value["memory"]["fits"] = json!(preview.memory.fits());
        print(&serde_json::to_string_pretty(&value).context("cannot print the preview")?)?;
    } else if !args.shown.quiet {
        print(&text(&preview))?;
    }
    let refused: Vec<&Disagreement> = preview.disagreements.iter().filter(|one| one.refused).collect();
    match refused.first() {
        None => Ok(ExitCode::SUCCESS),
        Some(first) => {
            let (what, key, value) = match first.kind {
                Difference::Extra => ("is not a column of the first shard", "extra_columns", "ignore"),
                _ => ("is missing here", "missing_columns", "insert"),
            };
            let more = if refused.len() > 1 { format!(" (and {} more)", refused.len() - 1) } else { String::new() };
            let site = Site::shard(&first.shard).in_column(&first.column);
            Err(Error::data(site, format!("{what}{more}; set input.{key} = \"{value}\" to accept that")).into())
        }
    }
}

fn text(preview: &Preview) -> String {
    let rows = preview.rows.map_or_else(String::new, |rows| format!(", {} rows", count(rows)));
    let mut lines = vec![format!(
        "input: {} shards{rows}, {}, {} columns",
        count(preview.shards as u64),
        HumanBytes(preview.bytes),
        count(preview.input.len() as u64)
    )];
    lines.extend(preview.roles.iter().map(|(role, columns)| format!("{role}: {}", columns.join(", "))));
    lines.extend(preview.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(disagreements(&preview.disagreements));
    if !preview.steps.is_empty() {
        let rows = preview.steps.iter().enumerate().map(|(at, (op, columns))| {
            vec![(at + 1).to_string(), op.to_string(), columns.len().to_string(), few(columns)]
        });
        lines.extend([String::new(), table(["step", "op", "columns", ""], 2..3, rows)]);
    }
    lines.extend([String::new(), columns(preview), String::new()]);
    let splits = preview.splits.iter().zip(&preview.files).map(|((name, share, rows), files)| {
        vec![
            name.clone(),
            share.map_or_else(|| "by the data".to_string(), |share| format!("{:.2}%", share * 100.0)),
            rows.map_or_else(String::new, |rows| format!("~{}", count(rows))),
            files.join(", "),
        ]
    });
    lines.push(table(["split", "share", "rows", "first file"], 1..3, splits));
    lines.push(String::new());
    let reading = |(what, columns): &(&str, usize)| format!("{what} ({} columns)", count(*columns as u64));
    let readings: Vec<String> = preview.readings.iter().map(reading).collect();
    lines.push(format!("reads the input {} times: {}", readings.len(), readings.join(", ")));
    lines.push(memory(preview));
    let state = preview.state.path.display();
    lines.push(match preview.state.kind {
        StateKind::None => format!("state: none at {state}"),
        StateKind::ThisRecipe => format!("state: {state} is of this recipe; what it holds is used again"),
        StateKind::OtherRecipe => {
            format!(
                "state: {state} is of another recipe; a run uses what serves it, or refuses when it is of another input"
            )
        }
        StateKind::Damaged => format!("state: {state} is damaged; a run starts over"),
        StateKind::Foreign => format!("state: {state} is not a state of twopass; choose another with --state"),
    });
    lines.push(preview.output_conflict.clone().unwrap_or_else(|| "output: its place is free".into()));
    lines.join("\n")
}

/// Every input column a line, with what becomes of it; then the output columns that have no such column: derived ones, and
/// indicators.
fn columns(preview: &Preview) -> String {
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(preview.input.len());
    let mut told = vec![false; preview.output.len()];
    for (name, data_type) in &preview.input {
        let spread = format!("{name}_*");
        let at = preview
            .output
            .iter()
            .position(|column| column.name == *name || (column.depends_on_data && column.name == spread));
        let becomes = at.map_or_else(String::new, |at| {
            told[at] = true;
            let column = &preview.output[at];
            if column.name == *name {
                own_type(column)
            } else {
                format!("{} ({}, as many as there are categories)", column.data_type, column.name)
            }
        });
        rows.push(vec![cut(name, 40), data_type.clone(), becomes, steps(preview, name)]);
    }
    for (column, _) in preview.output.iter().zip(told).filter(|(_, told)| !told) {
        let spread = column.name.strip_suffix("_*").filter(|_| column.depends_on_data);
        let becomes = match (spread, column.depends_on_data) {
            (Some(_), _) => format!("{} (as many as there are categories)", column.data_type),
            (None, true) => format!("{} (if a value is missing)", column.data_type),
            (None, false) => own_type(column),
        };
        let steps = steps(preview, spread.unwrap_or(&column.name));
        rows.push(vec![cut(&column.name, 40), String::new(), becomes, steps]);
    }
    table(["column", "input", "output", "steps"], 0..0, rows)
}

/// The type of a column that keeps its name.
fn own_type(column: &OutputColumn) -> String {
    let or_smaller = if column.may_be_narrowed { " or smaller" } else { "" };
    format!("{}{or_smaller}", column.data_type)
}

/// The steps that work on a column of this name.
fn steps(preview: &Preview, name: &str) -> String {
    let steps = preview.steps.iter().filter(|(_, columns)| columns.iter().any(|column| column == name));
    steps.map(|(op, _)| *op).collect::<Vec<_>>().join(" → ")
}

fn disagreements(found: &[Disagreement]) -> Vec<String> {
    if found.is_empty() {
        return vec!["all shards have these columns with these types".into()];
    }
    let rows = found.iter().take(SHOWN).map(|one| {
        let what = match &one.kind {
            Difference::Missing => "missing: read as null".into(),
            Difference::Extra => "extra: passed over".into(),
            Difference::Type { found, read_as } => format!("{found}, read as {read_as}"),
        };
        vec![
            one.shard.clone(),
            one.column.clone(),
            if one.refused {
                what.replace(": read as null", ", refused").replace(": passed over", ", refused")
            } else {
                what
            },
        ]
    });
    let mut lines = vec![String::new(), table(["shard", "column", "differs"], 0..0, rows)];
    if found.len() > SHOWN {
        lines.push(format!("… and {} more (--json has all)", found.len() - SHOWN));
    }
    lines
}

fn few(columns: &[String]) -> String {
    cut(&columns.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "), 60)
}

fn memory(preview: &Preview) -> String {
    let memory = &preview.memory;
    let mode = if memory.in_memory {
        "the decoded columns are kept between the passes"
    } else {
        "every pass reads the shards"
    };
    let fits = if memory.fits() { String::new() } else { "; that is too much: raise --memory".to_string() };
    format!(
        "memory: about {} of the {} that buffers may take ({} of {}), vocabularies not counted{fits}; {mode}",
        HumanBytes(memory.needed()),
        HumanBytes(memory.budget),
        percent(memory.budget, memory.limit),
        HumanBytes(memory.limit)
    )
}
