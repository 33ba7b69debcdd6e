//! The jobs of SageMaker pipelines as a container runs them: environment and directories in, exit code and files out.

mod common;

#[path = "jobs/container.rs"]
mod container;
#[path = "jobs/data.rs"]
mod data;

#[path = "jobs/chain.rs"]
mod chain;
#[path = "jobs/errors.rs"]
mod errors;
#[path = "jobs/interrupted.rs"]
mod interrupted;
#[path = "jobs/matrix.rs"]
mod matrix;
#[path = "jobs/variables.rs"]
mod variables;
