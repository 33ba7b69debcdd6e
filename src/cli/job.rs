//! `twopass job`: the environment of a SageMaker job becomes a recipe, which is printed, or run as any other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use twopass::error::Error;
use twopass::job::Job;
use twopass::sagemaker::{self, Directories, JobName, JobType, Translation};
use twopass::spec::keys;

use super::args::{CommonJobArgs, JobCommand, JobTypeArg, ProgressArg, ShardArgs, Shown};
use super::{print, report};

/// Runs a job, or prints what was asked for of it.
pub fn run(command: JobCommand) -> anyhow::Result<ExitCode> {
    let (name, job_type, given, common) = typed(command);
    if common.contract {
        let contract = serde_json::to_string_pretty(&sagemaker::contract(name)).context("cannot print the contract")?;
        return print(&contract);
    }
    let given = given.into_iter().filter_map(|(flag, path)| Some((flag, path?))).collect();
    let directories = Directories { root: common.root, given, state: common.state };
    let mut translation = sagemaker::translate(name, job_type, &environment(), &directories)?;
    if let Some(memory) = common.memory {
        translation.recipe["run"]["memory"] = memory.to_string().into();
    }
    for note in translation.notes.iter().filter(|_| !common.shown.quiet) {
        eprintln!("{note}");
    }
    if common.dry_run {
        return print(&dry(name, job_type, &translation)?);
    }
    sagemaker::check_hosts(&directories.root)?;
    let job = Job::new(keys::read(&translation.recipe)?)?.overwriting(common.overwrite);
    // Whoever reads the log later has no terminal.
    let progress = if common.shown.progress == ProgressArg::Auto { ProgressArg::Plain } else { common.shown.progress };
    report::run(&job, &Shown { progress, ..common.shown }, Job::run).inspect_err(|error| {
        if let Some(told) = in_variables(&format!("{error:#}")) {
            eprintln!("note: {told}");
        }
    })
}

/// Keys of recipes, and who says them.
const SAID_BY: [(&str, &str); 8] = [
    ("input.names", "the job: part-*.csv, .tsv, .json or .parquet, of any name for dummy-data-loading"),
    ("split.time", "DATE_COLUMN"),
    ("split.groups", "GROUP_ID_COLUMN"),
    ("split.cutoff", "SPLIT_DATE"),
    ("split.sizes", "TRAIN_RATIO"),
    ("row_max", "TARGETS"),
    ("Label field", "LABEL_FIELD"),
    ("run.threads", "MAX_WORKERS"),
];

/// What an error's keys are called here.
fn in_variables(error: &str) -> Option<String> {
    let said: Vec<String> = SAID_BY
        .iter()
        .filter(|(key, _)| error.contains(key))
        .map(|(key, by)| format!("{key} is said by {by}"))
        .collect();
    (!said.is_empty()).then(|| format!("{}; --dry-run prints the recipe", said.join(", ")))
}

/// Directories by the flags that named them.
type Given = Vec<(&'static str, Option<PathBuf>)>;

fn typed(command: JobCommand) -> (JobName, JobType, Given, CommonJobArgs) {
    let (name, job_type, mut given, shards, common) = match command {
        JobCommand::DummyDataLoading { job_type, output_data, output_signature, output_metadata, common } => {
            let outputs = vec![
                ("--output-data", output_data),
                ("--output-signature", output_signature),
                ("--output-metadata", output_metadata),
            ];
            (JobName::DummyDataLoading, job_type, outputs, None, common)
        }
        JobCommand::TabularPreprocessing { output, shards, common } => {
            (JobName::TabularPreprocessing, shards.job_type, vec![("--output", output)], Some(shards), common)
        }
        JobCommand::TemporalSplitPreprocessing { output_training_data, output_oot_data, shards, common } => {
            let outputs =
                vec![("--output-training-data", output_training_data), ("--output-oot-data", output_oot_data)];
            (JobName::TemporalSplitPreprocessing, shards.job_type, outputs, Some(shards), common)
        }
    };
    given.push(("--input-data", common.input_data.clone()));
    if let Some(ShardArgs { input_data_secondary, input_signature, .. }) = shards {
        given.extend([("--input-data-secondary", input_data_secondary), ("--input-signature", input_signature)]);
    }
    let job_type = match job_type {
        None | Some(JobTypeArg::Training) => JobType::Training,
        Some(JobTypeArg::Validation) => JobType::Validation,
        Some(JobTypeArg::Testing) => JobType::Testing,
        Some(JobTypeArg::Calibration) => JobType::Calibration,
    };
    (name, job_type, given, common)
}

/// The variables of the process; what is no UTF-8 is none of ours.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The recipe as a file.
fn dry(name: JobName, job_type: JobType, translation: &Translation) -> anyhow::Result<String> {
    // It is checked as a file would be, so that what is printed is accepted.
    Job::new(keys::read(&translation.recipe)?)?;
    let text = toml::to_string(&translation.recipe).map_err(|e| Error::failed("printing the recipe", e))?;
    let job_type = if name.has_job_type() { format!(" --job_type {}", job_type.name()) } else { String::new() };
    Ok(format!("# What `twopass job {}{job_type}` does in this environment.\n\n{text}", name.name()))
}
