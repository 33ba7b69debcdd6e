//! The jobs of SageMaker pipelines, as drop-ins for the Python scripts of the same names: what a job's environment and
//! directories say is translated to a recipe, and that is all that a job is. Nothing here reads data or runs anything.
//!
//! ```text
//! environment ─▶ Values ─┐
//! flags ───▶ Directories ─┴▶ Translation { recipe, notes } ─▶ keys::read ─▶ Job
//! ```

mod contract;
mod directories;
mod loader;
mod shared;
mod tabular;
mod temporal;
mod variables;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::Result;

pub use contract::{json as contract, markdown};
pub use directories::{Directories, Place, ROOT, check_hosts};
pub use variables::{Default, Kind, Values, Variable};

/// The jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobName {
    /// Raw files to shards, signature and metadata.
    DummyDataLoading,
    /// Shards to splits.
    TabularPreprocessing,
    /// Shards to splits by customer before a date, and what comes after it.
    TemporalSplitPreprocessing,
}

impl JobName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DummyDataLoading, Self::TabularPreprocessing, Self::TemporalSplitPreprocessing];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::DummyDataLoading => "dummy-data-loading",
            Self::TabularPreprocessing => "tabular-preprocessing",
            Self::TemporalSplitPreprocessing => "temporal-split-preprocessing",
        }
    }

    /// The variables that it reads.
    pub fn variables(self) -> &'static [Variable] {
        match self {
            Self::DummyDataLoading => loader::VARIABLES,
            Self::TabularPreprocessing => tabular::VARIABLES,
            Self::TemporalSplitPreprocessing => temporal::VARIABLES,
        }
    }

    /// The directories that it reads.
    pub fn inputs(self) -> &'static [Place] {
        match self {
            Self::DummyDataLoading => loader::INPUTS,
            Self::TabularPreprocessing => tabular::INPUTS,
            Self::TemporalSplitPreprocessing => temporal::INPUTS,
        }
    }

    /// The directories that it writes; the manifest and `_SUCCESS` are in the first.
    pub fn outputs(self) -> &'static [Place] {
        match self {
            Self::DummyDataLoading => loader::OUTPUTS,
            Self::TabularPreprocessing => tabular::OUTPUTS,
            Self::TemporalSplitPreprocessing => temporal::OUTPUTS,
        }
    }

    /// What it does, in a sentence without its full stop.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::DummyDataLoading => "raw files become shards of one schema, with a signature and metadata",
            Self::TabularPreprocessing => {
                "shards are split into train, test and val with the exact shares of every class; for other job types, cleaned into one split"
            }
            Self::TemporalSplitPreprocessing => {
                "customers seen before a date are allotted to train and val, and rows from that date on are out of time"
            }
        }
    }

    /// Whether it is told what it is run for.
    pub fn has_job_type(self) -> bool {
        self != Self::DummyDataLoading
    }
}

/// What a pipeline runs a job for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobType {
    /// To train a model.
    Training,
    /// To choose among models.
    Validation,
    /// To judge a model.
    Testing,
    /// To calibrate one.
    Calibration,
}

impl JobType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Training, Self::Validation, Self::Testing, Self::Calibration];

    /// As it is typed, and as the split of it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Testing => "testing",
            Self::Calibration => "calibration",
        }
    }
}

/// What a job's environment amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Translation {
    /// The recipe, with the keys that are set.
    pub recipe: Value,
    /// What a person should know, each a sentence without its full stop.
    pub notes: Vec<String>,
}

/// The recipe that the environment of a job amounts to.
///
/// # Errors
/// [`Error::Recipe`](crate::error::Error::Recipe) that names the variable which is missing or cannot be read; what reading a directory of signatures
/// ends with.
pub fn translate(
    job: JobName,
    job_type: JobType,
    environment: &BTreeMap<String, String>,
    directories: &Directories,
) -> Result<Translation> {
    let (values, notes) = Values::read(job.variables(), environment)?;
    let mut translation = Translation { recipe: json!({}), notes };
    match job {
        JobName::DummyDataLoading => loader::translate(&values, directories, &mut translation),
        JobName::TabularPreprocessing => tabular::translate(job_type, &values, directories, &mut translation)?,
        JobName::TemporalSplitPreprocessing => temporal::translate(&values, directories, &mut translation)?,
    }
    translation.recipe["run"]["state"] = shared::text(&directories.state(job, job_type));
    Ok(translation)
}
