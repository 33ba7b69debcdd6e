//! The ceiling of a run where the system gives the process less than the recipe does, as it does in a container.

use std::path::Path;

use twopass::job::Job;
use twopass::memory;
use twopass::spec::ByteSize;
use twopass::spec::check::LEAST_MEMORY;

/// The job with no more for `run.memory` than this process may have, and what is to be told of that.
pub fn lower(job: &Job) -> anyhow::Result<(Job, Option<String>)> {
    let asked = job.recipe().run.memory;
    let Some(limit) = memory::cgroup_limit(Path::new("/")) else { return Ok((job.clone(), None)) };
    let Some(lowered) = lowered(asked, ByteSize(limit))? else { return Ok((job.clone(), None)) };
    let note = format!(
        "run.memory is {lowered} and not {asked}: 7/8 of {}, the memory limit of this process's cgroup",
        ByteSize(limit)
    );
    Ok((job.clone().within(lowered), Some(note)))
}

/// What a run may take, where that is less than was asked. An eighth of the limit is for what is in no buffer, and for the
/// pages of files that the system counts to the process.
fn lowered(asked: ByteSize, limit: ByteSize) -> anyhow::Result<Option<ByteSize>> {
    let most = ByteSize(limit.0 / 8 * 7);
    if most.0 >= asked.0 {
        return Ok(None);
    }
    if most.0 < LEAST_MEMORY {
        anyhow::bail!(
            "the memory limit of this process's cgroup is {limit}, of which a run may take 7/8, and {} is the least; give \
             the container more",
            ByteSize(LEAST_MEMORY)
        );
    }
    Ok(Some(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_what_was_asked_or_seven_eighths_of_the_limit() {
        let of = |asked: u64, limit: u64| lowered(ByteSize(asked), ByteSize(limit)).map_err(|e| e.to_string());
        assert_eq!(of(2 << 30, 4 << 30), Ok(None));
        assert_eq!(of(7 << 28, 2 << 30), Ok(None));
        assert_eq!(of(2 << 30, 2 << 30), Ok(Some(ByteSize(7 << 28))));
        assert_eq!(of(2 << 30, 80 << 20), Ok(Some(ByteSize(70 << 20))));
        let error = of(64 << 20, 73 << 20).unwrap_err();
        assert!(error.contains("73MiB") && error.contains("64MiB is the least"), "{error}");
    }
}
