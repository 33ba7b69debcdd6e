//! `twopass inspect`: tables of what an output or a state holds.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use indicatif::HumanBytes;
use serde_json::{Map, Value, json};
use twopass::inspect::{self, Column, FittedStep, Found, Output, PlanView, State, find_column};

use super::print;
use super::report::{count, cut, figure, percent, table};

/// Strata and shards shown before the rest is summed up.
const SHOWN: usize = 20;

/// Prints what is at `path`, or all of one column.
pub fn run(path: &Path, column: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let found = inspect::look(path)?;
    if json {
        let value = as_json(&found, column)?;
        return print(&serde_json::to_string_pretty(&value).context("cannot print what was found")?);
    }
    print(&match (&found, column) {
        (Found::Output(output), None) => output_text(output),
        (Found::Output(output), Some(column)) => output_column(output, column)?,
        (Found::State(state), None) => state_text(state),
        (Found::State(state), Some(column)) => column_text(state, &state.columns[column_at(state, column)?]),
    })
}

fn column_at(state: &State, column: &str) -> anyhow::Result<usize> {
    Ok(find_column(column, state.columns.iter().map(|column| column.facts.name.as_str()))?)
}

fn as_json(found: &Found, column: Option<&str>) -> anyhow::Result<Value> {
    Ok(match (found, column) {
        (Found::Output(output), None) => {
            let mut value = output.manifest.to_json();
            value["complete"] = json!(output.complete);
            json!({ "output": value })
        }
        (Found::Output(output), Some(column)) => {
            let (name, data_type) = &output.manifest.schema
                [find_column(column, output.manifest.schema.iter().map(|(name, _)| name.as_str()))?];
            json!({ "column": { "name": name, "type": data_type, "classes": classes(output, name) } })
        }
        (Found::State(state), None) => {
            let mut value = serde_json::to_value(state).context("cannot print the state")?;
            value["complete"] = json!(state.is_complete());
            value["columns"] = state.columns.iter().map(column_json).collect();
            if let (Some(plan), Some(view)) = (value.get_mut("plan").filter(|plan| !plan.is_null()), &state.plan) {
                let splits: Map<String, Value> =
                    view.splits.iter().map(|(name, rows)| (name.clone(), json!(rows))).collect();
                plan["splits"] = splits.into();
            }
            json!({ "state": value })
        }
        (Found::State(state), Some(column)) => {
            json!({ "column": column_json(&state.columns[column_at(state, column)?]) })
        }
    })
}

fn column_json(column: &Column) -> Value {
    let facts = &column.facts;
    let step = |step: &FittedStep| {
        let mut value = json!({ "op": step.op });
        for (name, parameter) in &step.parameters {
            value[*name] = parameter.clone();
        }
        if !step.categories.is_empty() {
            value["codes"] = step.categories.iter().map(|(name, code)| json!([name, code])).collect();
        }
        value
    };
    json!({
        "name": facts.name, "type": facts.data_type, "rows": facts.rows, "nulls": facts.nulls, "nan": facts.nan,
        "distinct": facts.distinct, "distinct_estimated": facts.distinct_estimated, "bytes": facts.bytes,
        "min": facts.range.map(|range| range.0.to_f64()), "max": facts.range.map(|range| range.1.to_f64()),
        "mean": facts.mean, "std": facts.std, "top": facts.top,
        "steps": column.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn classes<'a>(output: &'a Output, column: &str) -> Option<&'a [String]> {
    output.manifest.label.as_ref().filter(|(label, _)| label == column).map(|(_, classes)| classes.as_slice())
}

fn output_text(output: &Output) -> String {
    let manifest = &output.manifest;
    let (shards, rows, bytes) = manifest.input;
    let mut lines = vec![
        format!(
            "output {}{}",
            output.path.display(),
            if output.complete { "" } else { " (no _SUCCESS: it may not be whole)" }
        ),
        format!("by twopass {}, fingerprint {}", manifest.version, manifest.fingerprint),
        format!("from {} shards, {} rows, {}", count(shards), count(rows), HumanBytes(bytes)),
        String::new(),
    ];
    let kept: u64 = output.splits().iter().map(|split| split.rows).sum();
    let splits = output.splits().iter().map(|split| {
        let bytes = split.parts.iter().map(|part| part.bytes).sum();
        vec![
            split.name.clone(),
            count(split.rows),
            percent(split.rows, kept),
            count(split.parts.len() as u64),
            HumanBytes(bytes).to_string(),
        ]
    });
    lines.push(table(["split", "rows", "share", "parts", "size"], 1..5, splits));
    lines.extend(manifest.dropped.iter().map(|(reason, rows)| format!("dropped {} rows: {reason}", count(*rows))));
    let strata = output.splits().first().map_or(&[] as &[_], |split| split.strata.as_slice());
    let of = |at: usize| {
        output.splits().iter().map(move |split| split.strata.get(at).map_or(0, |stratum| stratum.1)).collect()
    };
    let strata: Vec<(String, Vec<u64>)> =
        strata.iter().enumerate().map(|(at, (name, _))| (name.clone(), of(at))).collect();
    let names: Vec<&str> = output.splits().iter().map(|split| split.name.as_str()).collect();
    lines.extend(strata_text(&manifest.stratify, &names, &strata));
    lines.push(String::new());
    lines.push(schema_text(&manifest.schema));
    lines.join("\n")
}

fn strata_text(stratify: &[String], splits: &[&str], strata: &[(String, Vec<u64>)]) -> Vec<String> {
    if strata.is_empty() {
        return Vec::new();
    }
    let by = stratify.join("|");
    let header = std::iter::once(by.as_str()).chain(splits.iter().copied());
    let rows = strata
        .iter()
        .take(SHOWN)
        .map(|(name, rows)| std::iter::once(name.clone()).chain(rows.iter().map(|rows| count(*rows))).collect());
    let mut lines = vec![String::new(), table(header, 1..splits.len() + 1, rows)];
    if strata.len() > SHOWN {
        lines.push(format!("… and {} more strata (--json has all)", strata.len() - SHOWN));
    }
    lines
}

fn schema_text(schema: &[(String, String)]) -> String {
    let rows = schema.iter().map(|(name, data_type)| vec![name.clone(), data_type.clone()]);
    table(["output column", "type"], 0..0, rows)
}

fn output_column(output: &Output, column: &str) -> anyhow::Result<String> {
    let at = find_column(column, output.manifest.schema.iter().map(|(name, _)| name.as_str()))?;
    let (name, data_type) = &output.manifest.schema[at];
    let mut lines = vec![format!("column {name}, {data_type}, number {at} of {}", output.manifest.schema.len())];
    if let Some(classes) = classes(output, name) {
        let rows = classes.iter().enumerate().map(|(code, class)| vec![code.to_string(), class.clone()]);
        lines.push(table(["code", "class"], 0..1, rows));
    }
    lines.push("the statistics of input columns are in the state: `twopass inspect STATE COLUMN`".into());
    Ok(lines.join("\n"))
}

fn state_text(state: &State) -> String {
    let complete = match &state.missing {
        _ if state.shards.is_empty() => "nothing is scanned yet".into(),
        Some(missing) if !missing.is_empty() => {
            format!("incomplete: {} shards of the input are not scanned", count(missing.len() as u64))
        }
        _ if !state.stale.is_empty() => {
            format!("incomplete: {} shards are to be read again", count(state.stale.len() as u64))
        }
        Some(_) => "complete: every shard of the input is scanned".into(),
        None => "the input is not where it was, so nothing can be said of shards that are missing".into(),
    };
    let plan = match &state.plan {
        Some(plan) => {
            let parts = match state.sealed_parts {
                0 => String::new(),
                some => format!("; {} of its parts were sealed", count(some as u64)),
            };
            format!("plan {}{parts}", plan.fingerprint)
        }
        None => "no plan yet; `twopass run` or `twopass write` freezes it".into(),
    };
    let mut lines = vec![
        format!("state {} of input {}", state.path.display(), state.input),
        format!(
            "{} shards, {} rows, {} columns; {complete}",
            count(state.shards.len() as u64),
            count(state.rows),
            count(state.columns.len() as u64)
        ),
        collected(state),
        plan,
        String::new(),
    ];
    let shards = state
        .shards
        .iter()
        .take(SHOWN)
        .map(|shard| vec![shard.name.clone(), count(shard.rows), HumanBytes(shard.bytes).to_string()]);
    lines.push(table(["shard", "rows", "size"], 1..3, shards));
    if state.shards.len() > SHOWN {
        lines.push(format!("… and {} more shards (--json has all)", state.shards.len() - SHOWN));
    }
    if state.missing_label > 0 {
        lines.push(format!("{} rows without a label", count(state.missing_label)));
    }
    lines.push(String::new());
    let header = ["column", "type", "nulls", "NaN", "distinct", "min", "max", "mean", "std", "steps"];
    lines.push(table(header, 2..9, state.columns.iter().map(|column| column_row(column, state.plan.is_some()))));
    if let Some(plan) = &state.plan {
        lines.extend(plan_text(plan));
    }
    lines.join("\n")
}

/// What the shards were scanned for: what a recipe may ask for without a new scan.
fn collected(state: &State) -> String {
    let Some(basis) = &state.basis else { return "collected: nothing yet".into() };
    let mut has = Vec::new();
    match &basis.label {
        Some(label) => has.push(format!("label {label}")),
        None => has.push("no label".into()),
    }
    if basis.ledger {
        let or = |names: &[String], none: &str| if names.is_empty() { none.to_string() } else { names.join(", ") };
        has.push(format!("key {}", or(&basis.key, "of positions")));
        has.push(format!("strata by {}", or(&basis.stratify, "nothing")));
    } else {
        has.push("no rows for splits".into());
    }
    has.push(match basis.vocabularies.as_slice() {
        [] => "values of no column".into(),
        some => format!("values of {}", few(some)),
    });
    format!("collected: {}", has.join("; "))
}

fn few(names: &[String]) -> String {
    match names.len() {
        0..=5 => names.join(", "),
        many => format!("{}, … ({many} columns)", names[..4].join(", ")),
    }
}

fn plan_text(plan: &PlanView) -> Vec<String> {
    let rows: u64 = plan.splits.iter().map(|(_, rows)| rows).sum();
    let splits = plan.splits.iter().map(|(name, of)| vec![name.clone(), count(*of), percent(*of, rows)]);
    let mut lines = vec![String::new(), table(["split", "rows", "share"], 1..3, splits)];
    let names: Vec<&str> = plan.splits.iter().map(|(name, _)| name.as_str()).collect();
    lines.extend(strata_text(&plan.stratify, &names, &plan.strata));
    lines
}

fn column_row(column: &Column, planned: bool) -> Vec<String> {
    let facts = &column.facts;
    let optional = |number: Option<f64>| number.map_or_else(String::new, figure);
    let steps: Vec<&str> = column.steps.iter().map(|step| step.op).collect();
    vec![
        cut(&facts.name, 40),
        facts.data_type.clone(),
        count(facts.nulls),
        if facts.nan > 0 { count(facts.nan) } else { String::new() },
        distinct(column),
        optional(facts.range.map(|range| range.0.to_f64())),
        optional(facts.range.map(|range| range.1.to_f64())),
        optional(facts.mean),
        optional(facts.std),
        if planned { steps.join(" → ") } else { String::new() },
    ]
}

fn distinct(column: &Column) -> String {
    format!("{}{}", if column.facts.distinct_estimated { "~" } else { "" }, count(column.facts.distinct))
}

fn column_text(state: &State, column: &Column) -> String {
    let facts = &column.facts;
    let mut lines = vec![
        format!("column {}, {} ({} in pandas)", facts.name, facts.data_type, facts.pandas_type),
        format!(
            "{} rows, {} nulls ({}), {} NaN, {} distinct",
            count(facts.rows),
            count(facts.nulls),
            percent(facts.nulls, facts.rows),
            count(facts.nan),
            distinct(column)
        ),
        format!("{} in memory", HumanBytes(facts.bytes)),
    ];
    if let Some((min, max)) = facts.range {
        lines.push(format!("min {min}, max {max}"));
    }
    if let (Some(mean), Some(std)) = (facts.mean, facts.std) {
        lines.push(format!("mean {mean}, std {std} (divisor n - 1)"));
    }
    if !facts.top.is_empty() {
        let rows = facts.top.iter().map(|(value, rows)| vec![value.clone(), count(*rows), percent(*rows, facts.rows)]);
        lines.push(String::new());
        lines.push(table(["most frequent", "rows", "share"], 1..3, rows));
    }
    if state.plan.is_some() && column.steps.is_empty() {
        lines.push("no step works on it: it goes to the output as it is".into());
    }
    for step in &column.steps {
        let parameters: Vec<String> = step.parameters.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        lines.push(String::new());
        lines.push(format!("{}: {}", step.op, parameters.join(", ")));
        if !step.categories.is_empty() {
            let rows = step.categories.iter().take(SHOWN).map(|(name, code)| vec![code.to_string(), name.clone()]);
            lines.push(table(["code", if step.op == "label" { "class" } else { "category" }], 0..1, rows));
            if step.categories.len() > SHOWN {
                lines.push(format!("… and {} more (--json has all)", step.categories.len() - SHOWN));
            }
        }
    }
    lines.join("\n")
}
