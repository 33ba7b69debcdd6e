//! The recipe's checks that need more than one key, made before any data is read.

use super::files::Files;
use super::{Compression, OutputFormat, Recipe};
use crate::error::{Error, Result};

mod split;

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
    for glob in recipe.input.names.as_slice() {
        if let Err(e) = glob::Pattern::new(glob) {
            return refuse(format!("input.names: `{glob}` is not a glob: {} at character {}", e.msg, e.pos));
        }
    }
    for (key, share) in [("max_bad_rows", recipe.input.max_bad_rows), ("max_bad_shards", recipe.input.max_bad_shards)] {
        if !(0.0..=1.0).contains(&share) {
            return refuse(format!("input.{key} = {share} is no share; it is from 0 to 1"));
        }
    }
    split::check(recipe)?;
    output(recipe)?;
    if recipe.run.memory.0 < LEAST_MEMORY {
        return refuse(format!("run.memory = \"{}\" is too little: 64MiB is the least", recipe.run.memory));
    }
    if recipe.run.threads > 1024 {
        return refuse(format!("run.threads = {} is too many: 1024 is the most, 0 is one a core", recipe.run.threads));
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
    Files::of(recipe).map(drop)
}
