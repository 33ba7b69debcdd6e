//! The ceiling of a run where the system gives the process less than the recipe does, as it does in a container.

use std::path::Path;

use twopass::memory;
use twopass::spec::check::LEAST_MEMORY;
use twopass::spec::{ByteSize, Recipe};

/// Lowers `run.memory` to what this process may have; what is to be told of that.
pub fn lower(recipe: &mut Recipe) -> anyhow::Result<Option<String>> {
    match memory::cgroup_limit(Path::new("/")) {
        Some(limit) => lower_to(recipe, limit),
        None => Ok(None),
    }
}

/// An eighth of the limit is for what is in no buffer, and for the pages of files that the system counts to the process.
fn lower_to(recipe: &mut Recipe, limit: u64) -> anyhow::Result<Option<String>> {
    let (asked, limited) = (recipe.run.memory, ByteSize(limit / 8 * 7));
    if limited.0 >= asked.0 {
        return Ok(None);
    }
    let (limit, least) = (ByteSize(limit), ByteSize(LEAST_MEMORY));
    if limited.0 < LEAST_MEMORY {
        let message = format!(
            "the memory limit of this process's cgroup is {limit}, of which a run may take 7/8, and {least} is the least; \
             give the container more"
        );
        anyhow::bail!(message);
    }
    recipe.run.memory = limited;
    Ok(Some(format!(
        "run.memory is {limited} and not {asked}: 7/8 of {limit}, the memory limit of this process's cgroup"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(asked: u64, limit: u64) -> Result<(u64, bool), String> {
        let mut recipe = Recipe::default();
        recipe.run.memory = ByteSize(asked);
        let note = lower_to(&mut recipe, limit).map_err(|e| e.to_string())?;
        Ok((recipe.run.memory.0, note.is_some()))
    }

    #[test]
    fn a_run_takes_what_was_asked_or_seven_eighths_of_the_limit() {
        assert_eq!(lowered(2 << 30, 4 << 30), Ok((2 << 30, false)));
        assert_eq!(lowered(7 << 28, 2 << 30), Ok((7 << 28, false)));
        assert_eq!(lowered(2 << 30, 2 << 30), Ok((7 << 28, true)));
        assert_eq!(lowered(2 << 30, 80 << 20), Ok((70 << 20, true)));
        let error = lowered(64 << 20, 73 << 20).unwrap_err();
        assert!(error.contains("73MiB") && error.contains("64MiB is the least"), "{error}");
    }
}
