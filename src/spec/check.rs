//! The recipe's checks that need more than one key, made before any data is read.

use super::{Compression, OneOrMany, OutputFormat, Recipe, SplitKind};
use crate::error::{Error, Result};

/// Smallest `run.memory` that a job can be run in.
pub const LEAST_MEMORY: u64 = 64 << 20;

/// Checks everything but the transforms' parameters that can be known without data.
///
/// # Errors
/// [`Error::Recipe`] that names the key and says what to write instead.
pub fn recipe(recipe: &Recipe) -> Result<()> {
    let refuse = |message: String| Err(Error::Recipe(message));
    if recipe.input.path.as_slice().is_empty() {
        return refuse("nothing to read: set input.path in the recipe, or give --input PATH".into());
    }
    split(recipe)?;
    output(recipe)?;
    if recipe.run.memory.0 < LEAST_MEMORY {
        return refuse(format!("run.memory = \"{}\" is too little: 64MiB is the least", recipe.run.memory));
    }
    if recipe.run.threads > 1024 {
        return refuse(format!("run.threads = {} is too many: 1024 is the most, 0 is one a core", recipe.run.threads));
    }
    Ok(())
}

fn split(recipe: &Recipe) -> Result<()> {
    let split = &recipe.split;
    let refuse = |message: String| Err(Error::Recipe(message));
    no_name_twice("split.key", split.key.as_ref())?;
    no_name_twice("split.stratify", split.stratify.as_ref())?;
    if split.kind == SplitKind::None {
        return split_name(&split.name);
    }
    if split.sizes.0.is_empty() || split.sizes.0.len() > 100 {
        return refuse("split.sizes: name 1 to 100 splits, as in { train = 0.8, test = 0.2 }".into());
    }
    for (name, share) in &split.sizes.0 {
        split_name(name)?;
        if !(*share > 0.0 && *share <= 1.0) {
            return refuse(format!("split.sizes: {name} = {share} is no share; each is above 0 and at most 1"));
        }
    }
    let sum: f64 = split.sizes.0.iter().map(|(_, share)| share).sum();
    if (sum - 1.0).abs() > 1e-9 {
        return refuse(format!("split.sizes sum to {sum}; they have to sum to 1"));
    }
    let stratify = split.stratify.as_ref().map_or(0, |columns| columns.as_slice().len());
    match split.kind {
        SplitKind::Stratified if stratify == 0 && recipe.label.is_none() => {
            refuse("split.kind = \"stratified\" needs split.stratify or label.column".into())
        }
        SplitKind::Random if stratify > 0 => {
            refuse("split.stratify goes with split.kind = \"stratified\"; this recipe says \"random\"".into())
        }
        _ => Ok(()),
    }
}

fn no_name_twice(key: &str, columns: Option<&OneOrMany>) -> Result<()> {
    let names = columns.map_or(&[] as &[String], OneOrMany::as_slice);
    match (0..names.len()).find(|&at| names[..at].contains(&names[at])) {
        Some(at) => Err(Error::Recipe(format!("{key} names column `{}` twice", names[at]))),
        None => Ok(()),
    }
}

fn split_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.starts_with(['.', '_']) || !name.chars().all(plain) {
        let message = format!(
            "`{name}` is no name for a split: use letters, digits, `-`, `_` and `.`, and begin with a letter or digit"
        );
        return Err(Error::Recipe(message));
    }
    if matches!(name, "metadata" | "signature") {
        return Err(Error::Recipe(format!("`{name}` cannot be a split: the output has a file of that name")));
    }
    Ok(())
}

fn output(recipe: &Recipe) -> Result<()> {
    let output = &recipe.output;
    if output.path.is_empty() {
        return Err(Error::Recipe("output.path is empty".into()));
    }
    if output.shard_rows == 0 {
        return Err(Error::Recipe("output.shard_rows = 0: a part needs at least one row".into()));
    }
    let fits = match output.format {
        OutputFormat::Parquet => !matches!(output.compression(), Compression::Gzip),
        _ => !matches!(output.compression(), Compression::Snappy | Compression::Lz4),
    };
    if !fits {
        let message = "output.compression does not go with output.format: Parquet takes snappy, zstd, lz4 or none; text takes gzip, zstd or none";
        return Err(Error::Recipe(message.into()));
    }
    Ok(())
}
