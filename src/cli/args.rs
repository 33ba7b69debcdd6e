//! What can be typed. Nothing is decided here: see [`super::resolve`].

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use twopass::sagemaker;
use twopass::spec::{ByteSize, Sizes};

/// Exact preprocessing of sharded tables for machine learning, in two streaming passes and bounded memory.
#[derive(Debug, Parser)]
#[command(name = "twopass", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  twopass init data/ > recipe.toml          begin with a recipe for your data
  twopass check recipe.toml                 see what it would do
  twopass run recipe.toml                   do it; again after an interruption: go on
  twopass run -i data/ -o out --label y --split stratified --key id
  twopass run -i data/ -o out --split grouped --groups customer_id
  twopass verify out                        prove the output from its bytes
  twopass inspect out.state                 see what pass one learned
  twopass job tabular-preprocessing --job_type training

Exit codes: 0 done, 1 failed while running, 2 wrong usage or recipe, 3 bad input data,
4 state or output belongs to another job, 130/143 interrupted.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole job: pass one, plan, pass two, publish
    #[command(after_help = "\
Examples:
  twopass run recipe.toml
  twopass run recipe.toml -i other/ -o other-out --set output.shard_rows=50000
  twopass run -i data/ -o out --label y --split stratified --sizes train=0.8,test=0.2 --key id
  twopass run recipe.toml --json | jq .splits")]
    Run(JobArgs),
    /// Pass one only: fills the state
    Scan(JobArgs),
    /// Pass two only, from a complete state
    Write(JobArgs),
    /// What a job would do: schema, disagreements between shards, columns of each step, estimated memory
    Check(JobArgs),
    /// Prints a commented starter recipe for the data at PATH
    Init {
        /// File, directory or glob
        path: String,
    },
    /// What a state or an output holds, as a table
    Inspect {
        /// A state or output directory
        path: PathBuf,
        /// One column, in detail
        column: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Re-reads an output's parts and proves its manifest and the rules of its split
    Verify {
        /// An output directory
        output: PathBuf,
        /// The state that tells how many rows were dropped [default: the output's name + .state, if it is there]
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// JSON Schema of the recipe
    Schema,
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The fitted transforms on new data (not available yet)
    #[command(hide = true)]
    Apply {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// The SageMaker entry points: environment variables in, the files that pipelines expect out
    #[command(after_help = "\
Examples:
  twopass job tabular-preprocessing --job_type training
  twopass job tabular-preprocessing --job_type training --dry-run > recipe.toml
  twopass job temporal-split-preprocessing --contract | jq .variables
  LABEL_FIELD=late twopass job tabular-preprocessing --job_type training --input-data data --output out")]
    Job {
        #[command(subcommand)]
        job: JobCommand,
    },
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Raw files to shards, signature and metadata
    DummyDataLoading {
        /// What the job is run for; of no effect here
        #[arg(long = "job_type", alias = "job-type", value_name = "TYPE", value_enum)]
        job_type: Option<JobTypeArg>,
        /// Where the data goes [default: ROOT/processing/output/data]
        #[arg(long, value_name = "DIR")]
        output_data: Option<PathBuf>,
        /// Where the signature goes [default: ROOT/processing/output/signature]
        #[arg(long, value_name = "DIR")]
        output_signature: Option<PathBuf>,
        /// Where the metadata go [default: ROOT/processing/output/metadata]
        #[arg(long, value_name = "DIR")]
        output_metadata: Option<PathBuf>,
        #[command(flatten)]
        common: CommonJobArgs,
    },
    /// Shards to train, test and val with the exact share of every class, or to one cleaned split
    TabularPreprocessing {
        /// Where the splits go [default: ROOT/processing/output]
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        #[command(flatten)]
        shards: ShardArgs,
        #[command(flatten)]
        common: CommonJobArgs,
    },
    /// Shards to train and val by customer before a date, and what comes after it
    TemporalSplitPreprocessing {
        /// Where the splits go [default: ROOT/processing/output/training_data]
        #[arg(long, value_name = "DIR")]
        output_training_data: Option<PathBuf>,
        /// Where the rows out of time go once more [default: ROOT/processing/output/oot_data]
        #[arg(long, value_name = "DIR")]
        output_oot_data: Option<PathBuf>,
        #[command(flatten)]
        shards: ShardArgs,
        #[command(flatten)]
        common: CommonJobArgs,
    },
}

#[derive(Debug, ClapArgs)]
pub struct ShardArgs {
    /// What the job is run for
    #[arg(
        long = "job_type",
        alias = "job-type",
        value_name = "TYPE",
        value_enum,
        required_unless_present = "contract"
    )]
    pub job_type: Option<JobTypeArg>,
    /// More shards, if there are any [default: ROOT/processing/input/data_secondary]
    #[arg(long, value_name = "DIR")]
    pub input_data_secondary: Option<PathBuf>,
    /// Names of the columns, in the first file there [default: ROOT/processing/input/signature]
    #[arg(long, value_name = "DIR")]
    pub input_signature: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct CommonJobArgs {
    /// What is read [default: ROOT/processing/input/data]
    #[arg(long, value_name = "DIR")]
    pub input_data: Option<PathBuf>,
    /// Where SageMaker's directories are
    #[arg(long, value_name = "DIR", default_value = sagemaker::ROOT)]
    pub root: PathBuf,
    /// Directory that holds the state [default: in ROOT/checkpoints if that is there, else beside the output]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Ceiling for the process, as in 512MiB or 16GiB; that of the container where it is lower
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Replace an output that twopass wrote
    #[arg(long)]
    pub overwrite: bool,
    /// Print what the job reads, writes and is told, as JSON
    #[arg(long)]
    pub contract: bool,
    /// Print the recipe that the variables amount to, which `twopass run` accepts
    #[arg(long, conflicts_with = "contract")]
    pub dry_run: bool,
    #[command(flatten)]
    pub shown: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JobTypeArg {
    /// To train a model
    Training,
    /// To choose among models
    Validation,
    /// To judge a model
    Testing,
    /// To calibrate one
    Calibration,
}

#[derive(Debug, ClapArgs)]
pub struct JobArgs {
    /// Recipe in TOML or JSON; every key can come from the flags instead
    pub recipe: Option<PathBuf>,

    /// Files, directories or globs to read
    #[arg(short, long, num_args = 1.., value_name = "PATH")]
    pub input: Vec<String>,
    /// Directory that will hold the output
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<String>,
    /// Directory that holds the state [default: the output's name + .state]
    #[arg(long, value_name = "DIR")]
    pub state: Option<String>,
    /// Worker threads; 0 is one a core
    #[arg(short = 'j', long, value_name = "N")]
    pub threads: Option<usize>,
    /// Ceiling for the process, as in 512MiB or 4GiB
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// What to do with a state that is there
    #[arg(long, value_enum)]
    pub resume: Option<ResumeArg>,
    /// Replace an output that twopass wrote
    #[arg(long)]
    pub overwrite: bool,
    /// Any key of the recipe, dotted, with a TOML value
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Short for label.column
    #[arg(long, value_name = "COL")]
    pub label: Option<String>,
    /// Short for split.kind
    #[arg(long, value_name = "KIND")]
    pub split: Option<String>,
    /// Short for split.sizes, as in train=0.7,test=0.15,val=0.15
    #[arg(long, value_name = "SIZES")]
    pub sizes: Option<Sizes>,
    /// Short for split.groups
    #[arg(long, value_name = "COL[,COL]")]
    pub groups: Option<String>,
    /// Short for split.key
    #[arg(long, value_name = "COL")]
    pub key: Option<String>,
    /// Short for split.random_state
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub shown: Shown,
}

/// How a run is shown.
#[derive(Debug, ClapArgs)]
pub struct Shown {
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto)]
    pub progress: ProgressArg,
    /// Print the summary as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Say nothing but errors, and print no summary
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ResumeArg {
    /// Go on where the state allows, else start over
    IfPossible,
    /// Go on without looking at the shards' times, or fail
    Always,
    /// Start over
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressArg {
    /// A bar on a terminal, plain lines elsewhere
    Auto,
    /// A bar a pass
    Bar,
    /// A line now and then
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}
