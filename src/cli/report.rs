//! What a run did, for a person or as JSON, on stdout.

use std::fs;
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::HumanBytes;
use serde_json::{Map, Value, json};
use twopass::error::{Error, Result};
use twopass::job::{Job, Report};
use twopass::observe::{Event, Observer};
use twopass::spec::{FitRows, Recipe, Resume, Transform};

use super::args::Shown;
use super::progress::Progress;
use super::signals::{self, Signals};
use super::{ceiling, print};

/// Strata shown before the rest is summed up.
const SHOWN_STRATA: usize = 12;

/// Shards with something skipped that are shown.
const SHOWN_SKIPPED: usize = 10;

/// Runs a job and reports it.
pub fn run(
    job: &Job,
    shown: &Shown,
    go: impl FnOnce(&Job, &dyn Observer) -> Result<Report>,
) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch().context("cannot catch signals")?;
    let progress = Progress::new(shown, signals.clone());
    let (job, note) = ceiling::lower(job)?;
    if let Some(note) = &note {
        progress.event(Event::Note(note));
    }
    let report = match go(&job, &progress) {
        Err(Error::Interrupted) => {
            progress.clear();
            return Ok(interrupted(&signals, &job));
        }
        report => report?,
    };
    let peak = peak_memory();
    if shown.json {
        let text = serde_json::to_string_pretty(&as_json(&report, peak)).context("cannot print the summary")?;
        return print(&text);
    }
    if shown.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    print(&text(&report, peak, job.recipe()))
}

/// Says how to go on.
fn interrupted(signals: &Signals, job: &Job) -> ExitCode {
    let (name, code) = signals.caught();
    let typed = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let command = signals::command(typed, job.recipe().run.resume == Resume::Never);
    eprintln!("twopass: stopped by {name}; what is done is in the state; go on with: {command}");
    ExitCode::from(code)
}

fn as_json(report: &Report, peak: Option<u64>) -> Value {
    let splits: Map<String, Value> = report
        .splits
        .iter()
        .map(|split| {
            let strata: Map<String, Value> =
                split.strata.iter().map(|(name, rows)| (name.clone(), json!(rows))).collect();
            (
                split.name.clone(),
                json!({ "rows": split.rows, "groups": split.groups, "parts": split.parts, "strata": strata }),
            )
        })
        .collect();
    let dropped: Map<String, Value> =
        report.dropped.iter().map(|(reason, rows)| (reason.clone(), json!(rows))).collect();
    let skipped: Map<String, Value> = report
        .skipped
        .iter()
        .map(|(shard, rows, first)| (shard.clone(), json!({ "rows": rows, "first": first })))
        .collect();
    let bad_shards: Map<String, Value> =
        report.bad_shards.iter().map(|(shard, why)| (shard.clone(), json!(why))).collect();
    json!({
        "output": report.output,
        "state": report.state,
        "fingerprint": report.fingerprint,
        "input": { "shards": report.shards, "rows": report.rows, "columns": report.columns.0 },
        "reused_shards": report.reused_shards,
        "kept_parts": report.kept_parts,
        "output_columns": report.columns.1,
        "splits": splits,
        "dropped": dropped,
        "skipped_rows": skipped,
        "skipped_shards": bad_shards,
        "worst_share": report.worst,
        "folds": report.folds,
        "phases": report.phases,
        "peak_memory_bytes": peak,
    })
}

fn text(report: &Report, peak: Option<u64>, recipe: &Recipe) -> String {
    let mut lines = Vec::new();
    let reused = match report.reused_shards {
        0 => String::new(),
        some => format!(", {} of them from the state", count(some as u64)),
    };
    let to = report.columns.1.map_or_else(String::new, |columns| format!(" to {}", count(columns as u64)));
    lines.push(format!(
        "{} rows, {}{to} columns, {} shards{reused}",
        count(report.rows),
        count(report.columns.0 as u64),
        count(report.shards as u64)
    ));
    if report.kept_parts > 0 {
        lines.push(format!("{} parts of an interrupted run kept", count(report.kept_parts as u64)));
    }
    if !report.splits.is_empty() {
        lines.push(splits(report).trim_fmt());
    }
    if let Some(worst) = &report.worst {
        let points = percent_of(worst.deviation);
        lines.push(format!("worst share: {points} points in {}, of class {}", worst.split, cut(&worst.class, 60)));
    }
    if let Some(folds) = &report.folds {
        let rows: Vec<String> = folds.rows.iter().map(|rows| count(*rows)).collect();
        lines.push(format!("column {}: folds of {} rows", folds.name, rows.join(", ")));
    }
    for (reason, rows) in &report.dropped {
        lines.push(format!("dropped {} rows: {reason} ({})", count(*rows), percent(*rows, report.rows)));
    }
    for (shard, rows, first) in report.skipped.iter().take(SHOWN_SKIPPED) {
        let column = first.column.as_ref().map_or_else(String::new, |column| format!(", column {column}"));
        let what = cut(&first.message, 160);
        lines.push(format!(
            "skipped {} rows of {shard}, the first on line {}{column}: {what}",
            count(*rows),
            first.line
        ));
    }
    for (shard, why) in report.bad_shards.iter().take(SHOWN_SKIPPED) {
        lines.push(format!("skipped shard {shard}: {}", cut(why, 200)));
    }
    let more =
        report.skipped.len().saturating_sub(SHOWN_SKIPPED) + report.bad_shards.len().saturating_sub(SHOWN_SKIPPED);
    if more > 0 {
        lines.push(format!("… and {} more shards; all are in _skipped.jsonl", count(more as u64)));
    }
    lines.extend(leakage(report, recipe));
    for phase in &report.phases {
        let rate = match phase.rows {
            0 => String::new(),
            rows => format!(
                ", {} rows/s, {}/s",
                count((rows as f64 / phase.seconds.max(1e-9)) as u64),
                HumanBytes((phase.bytes as f64 / phase.seconds.max(1e-9)) as u64)
            ),
        };
        let rate = if phase.bytes == 0 { String::new() } else { rate };
        lines.push(format!("{:<8}{:>9}{rate}", phase.name, seconds(phase.seconds)));
    }
    if let Some(peak) = peak {
        lines.push(format!(
            "{:<8}{:>9} of {} at most",
            "memory",
            HumanBytes(peak).to_string(),
            HumanBytes(recipe.run.memory.0)
        ));
    }
    match &report.output {
        Some(output) => lines.push(format!("output in {}", output.display())),
        None => lines.push(format!("state in {}; go on with `twopass write`", report.state.display())),
    }
    lines.join("\n")
}

/// What to know of statistics that held-out rows went into.
fn leakage(report: &Report, recipe: &Recipe) -> Option<String> {
    let is_held_out = report.splits.len() > 1 || report.folds.is_some();
    let is_fitted = recipe.transform.iter().any(Transform::is_fitted);
    (is_held_out && is_fitted && recipe.fit.rows == FitRows::All).then(|| {
        "transforms are fitted on all rows, held-out ones too; fit.rows = \"train\" fits on train alone".to_string()
    })
}

/// A row a stratum and a column a split, with shares; the sums last.
fn splits(report: &Report) -> Table {
    let mut table = plain_table();
    let kept: u64 = report.splits.iter().map(|split| split.rows).sum();
    let mut header = vec!["".to_string()];
    header.extend(report.splits.iter().map(|split| split.name.clone()));
    table.set_header(header);
    let strata = report.splits.first().map_or(&[] as &[_], |split| split.strata.as_slice());
    let row = |name: &str, rows: Vec<u64>| {
        let total: u64 = rows.iter().sum();
        let cells = rows.into_iter().map(|rows| format!("{} ({})", count(rows), percent(rows, total)));
        std::iter::once(name.to_string()).chain(cells).collect::<Vec<_>>()
    };
    for (at, (name, _)) in strata.iter().enumerate().take(SHOWN_STRATA) {
        table.add_row(row(name, report.splits.iter().map(|split| split.strata[at].1).collect()));
    }
    if strata.len() > SHOWN_STRATA {
        let rest = report.splits.iter().map(|split| split.strata[SHOWN_STRATA..].iter().map(|(_, rows)| rows).sum());
        table.add_row(row(&format!("… {} more strata", strata.len() - SHOWN_STRATA), rest.collect()));
    }
    let mut sums = vec![if strata.is_empty() { "rows" } else { "all" }.to_string()];
    sums.extend(report.splits.iter().map(|split| format!("{} ({})", count(split.rows), percent(split.rows, kept))));
    table.add_row(sums);
    if report.splits.iter().any(|split| split.groups.is_some()) {
        let groups = report.splits.iter().map(|split| split.groups.map_or_else(String::new, count));
        table.add_row(std::iter::once("groups".to_string()).chain(groups).collect::<Vec<_>>());
    }
    let mut parts = vec!["parts".to_string()];
    parts.extend(report.splits.iter().map(|split| count(split.parts as u64)));
    table.add_row(parts);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A table as all of twopass prints them: a line under the header and none between rows, so that a thousand columns are
/// a thousand lines.
pub fn plain_table() -> Table {
    const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// A table with a header, whose columns from `numbers` on are figures.
pub fn table<'a>(
    header: impl IntoIterator<Item = &'a str>,
    numbers: std::ops::Range<usize>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = plain_table();
    table.set_header(header.into_iter().collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| cut(&cell, 60)).collect::<Vec<_>>());
    }
    for at in numbers {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A text on one line of at most `width` characters; control characters are shown as escapes.
pub fn cut(text: &str, width: usize) -> String {
    let plain: String = text
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    match plain.char_indices().nth(width) {
        Some(_) => format!("{}…", plain.chars().take(width - 1).collect::<String>()),
        None => plain,
    }
}

/// A number as a table shows it: six significant digits.
pub fn figure(number: f64) -> String {
    let size = number.abs();
    if number == number.trunc() && size < 1e15 {
        format!("{number}")
    } else if (1e-4..1e15).contains(&size) {
        let digits = (5 - size.log10().floor() as i32).max(0) as usize;
        format!("{number:.digits$}")
    } else {
        format!("{number:.5e}")
    }
}

/// A number with thin groups: 1,234,567.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A span as people say it: 0.42 s, 12.3 s, 4 min 05 s.
pub fn seconds(span: f64) -> String {
    if span < 10.0 {
        format!("{span:.2} s")
    } else if span < 120.0 {
        format!("{span:.1} s")
    } else {
        format!("{} min {:02} s", (span / 60.0) as u64, (span % 60.0) as u64)
    }
}

/// A share of a whole, in percent.
pub fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", 100.0 * part as f64 / whole.max(1) as f64)
}

/// A share as signed points of a percent.
fn percent_of(share: f64) -> String {
    let points = 100.0 * share;
    if points.abs() < 0.01 { format!("{points:+.4}") } else { format!("{points:+.2}") }
}

/// The most memory the process ever held, in bytes, where the system says.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
