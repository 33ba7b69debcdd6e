//! What a job reads, writes and is told, as JSON for programs and as Markdown for people: printed from the tables that
//! are read to translate.

use std::fmt::Write;

use serde_json::{Value, json};

use super::directories::ROOT;
use super::{Default, JobName, JobType, Kind, Place, Variable};

/// Exit codes and what they say.
const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "done"),
    ("1", "failed while running"),
    ("2", "a variable or flag is missing or wrong"),
    ("3", "bad input data"),
    ("4", "the state or the output belongs to another job"),
    ("130, 143", "stopped by a signal; run again to go on"),
];

/// The contract of a job: `job`, `version`, `purpose`, `arguments`, `inputs`, `outputs`, `variables`, `exit_codes`.
pub fn json(job: JobName) -> Value {
    let types: Vec<&str> = JobType::ALL.iter().map(|one| one.name()).collect();
    let arguments = match job.has_job_type() {
        true => json!([{ "name": "--job_type", "required": true, "allowed": types }]),
        false => json!([]),
    };
    let place = |place: &Place| {
        json!({
            "name": place.name,
            "path": format!("{ROOT}/{}", place.path),
            "flag": place.flag,
            "required": place.required,
            "description": place.holds,
        })
    };
    let variable = |variable: &Variable| {
        let allowed = variable.kind.allowed();
        json!({
            "name": variable.name,
            "type": variable.kind.type_name(),
            "required": variable.default == Default::Required,
            "default": variable.default_as_json(),
            "allowed": match variable.kind {
                Kind::Boolean | Kind::Choice(_) | Kind::ChoiceOrFirst(_) => json!(allowed),
                _ => json!(allowed.join(", ")),
            },
            "description": variable.meaning,
        })
    };
    json!({
        "job": job.name(),
        "version": env!("CARGO_PKG_VERSION"),
        "purpose": job.purpose(),
        "arguments": arguments,
        "inputs": job.inputs().iter().map(place).collect::<Vec<_>>(),
        "outputs": job.outputs().iter().map(place).collect::<Vec<_>>(),
        "variables": job.variables().iter().map(variable).collect::<Vec<_>>(),
        "exit_codes": EXIT_CODES.iter().map(|(code, meaning)| (code.to_string(), json!(meaning))).collect::<serde_json::Map<_, _>>(),
    })
}

/// The same for a document: a section with tables.
pub fn markdown(job: JobName) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = section(job, &mut text);
    text
}

fn section(job: JobName, text: &mut String) -> std::fmt::Result {
    writeln!(text, "## {}\n\n{}.\n", job.name(), sentence(job.purpose()))?;
    writeln!(text, "| directory | path | flag | holds |\n|---|---|---|---|")?;
    for (direction, places) in [("in", job.inputs()), ("out", job.outputs())] {
        for place in places {
            let optional = if place.required { "" } else { ", optional" };
            writeln!(
                text,
                "| {direction}: {}{optional} | `{ROOT}/{}` | `{}` | {} |",
                place.name,
                place.path,
                place.flag,
                cell(place.holds)
            )?;
        }
    }
    writeln!(text, "\n| variable | type | default | allowed | meaning |\n|---|---|---|---|---|")?;
    for variable in job.variables() {
        let default = match variable.default {
            Default::Is(default) => format!("`{default}`"),
            Default::None => String::new(),
            Default::Required => "required".into(),
        };
        writeln!(
            text,
            "| `{}` | {} | {default} | {} | {} |",
            variable.name,
            variable.kind.type_name(),
            cell(&variable.kind.allowed().join(", ")),
            cell(variable.meaning)
        )?;
    }
    Ok(())
}

/// With a capital.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A text within a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
