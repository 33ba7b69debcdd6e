//! From what was typed to what was meant: file, `--set` and flags become one checked job, before any data is read.

use std::fs;

use anyhow::Context;
use serde_json::{Value, json};
use twopass::error::Error;
use twopass::job::Job;
use twopass::spec::keys;

use super::args::{JobArgs, ResumeArg};

/// The job that the arguments amount to.
pub fn job(args: &JobArgs) -> anyhow::Result<Job> {
    if let (None, Some(path)) = (&args.recipe, args.input.iter().find(|path| path.ends_with(".toml"))) {
        // `--input` takes all paths that follow it, a recipe among them.
        let message = format!("{path} was taken for an input, because it follows --input; put the recipe first");
        return Err(Error::Recipe(message).into());
    }
    let mut tree = match &args.recipe {
        None => json!({}),
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|e| Error::Recipe(format!("cannot read the recipe {}: {e}", path.display())))?;
            keys::parse(&text, &path.display().to_string())?
        }
    };
    for assignment in &args.set {
        keys::set(&mut tree, assignment)?;
    }
    for (key, value) in flags(args)? {
        if let Some(value) = value {
            keys::put(&mut tree, key, value)?;
        }
    }
    let origin = args.recipe.as_ref().map(|path| format!("recipe {}", path.display()));
    let recipe = match origin {
        Some(origin) => keys::read(&tree).map_err(|e| prefixed(&origin, e))?,
        None => keys::read(&tree)?,
    };
    Ok(Job::new(recipe)?.overwriting(args.overwrite))
}

fn prefixed(origin: &str, error: Error) -> Error {
    match error {
        Error::Recipe(message) => Error::Recipe(format!("{origin}: {message}")),
        other => other,
    }
}

/// The keys that flags are short for, with what was given.
fn flags(args: &JobArgs) -> anyhow::Result<Vec<(&'static str, Option<Value>)>> {
    let text = |value: &Option<String>| value.as_ref().map(|text| json!(text));
    let resume = args.resume.map(|resume| match resume {
        ResumeArg::IfPossible => json!("if_possible"),
        ResumeArg::Always => json!("always"),
        ResumeArg::Never => json!("never"),
    });
    let sizes = args.sizes.as_ref().map(serde_json::to_value).transpose().context("cannot read --sizes")?;
    Ok(vec![
        ("input.path", (!args.input.is_empty()).then(|| json!(args.input))),
        ("output.path", text(&args.output)),
        ("run.state", text(&args.state)),
        ("run.threads", args.threads.map(|threads| json!(threads))),
        ("run.memory", args.memory.map(|memory| json!(memory.to_string()))),
        ("run.resume", resume),
        ("label.column", text(&args.label)),
        ("split.kind", text(&args.split)),
        ("split.sizes", sizes),
        ("split.groups", args.groups.as_ref().map(|groups| key_columns(groups))),
        ("split.key", args.key.as_ref().map(|key| key_columns(key))),
        ("split.random_state", args.seed.map(|seed| json!(seed))),
    ])
}

/// `a,b` names two columns.
fn key_columns(text: &str) -> Value {
    match text.split(',').map(str::trim).collect::<Vec<_>>().as_slice() {
        [one] => json!(one),
        several => json!(several),
    }
}
