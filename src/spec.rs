//! The recipe as types: what a user may ask for, with its defaults. Serde reads it, schemars describes it; the checks
//! that need more than one key are in [`check`]. It never looks at data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod check;
mod derive;
pub mod files;
mod input;
pub mod keys;
mod output;
mod split;
mod transform;
mod values;

pub use derive::{Cast, CastErrors, Coalesce, Concat, DropColumns, IfMissing, KeepColumns, Rename, RowMax};
pub use input::{EncodingErrors, ExtraColumns, Input, InputFormat, MissingColumns, OnBad, TypeName};
pub use output::{Compression, FloatType, Layout, MetadataFormat, Output, OutputFormat, Publish};
pub use split::{Dedupe, Fit, FitRows, GroupSizes, Keep, MissingGroups, OOT, Rest, Split, SplitKind};
pub use transform::{
    CategoryOrder, Frequency, ImputeStrategy, MinMaxScaler, OneHotDrop, OneHotEncoder, OneHotUnknown, OrdinalEncoder,
    OrdinalUnknown, Scalar, SimpleImputer, StandardScaler, Transform,
};
pub use values::{ByteSize, Delimiter, OneOrMany, Size, Sizes};

/// A whole recipe. Every key has a default or none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// What is read.
    pub input: Input,
    /// The column to learn to predict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Which row goes where.
    pub split: Split,
    /// One row a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// What the transforms are fitted on.
    #[serde(skip_serializing_if = "Fit::is_default")]
    pub fit: Fit,
    /// What is done to the columns, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transform: Vec<Transform>,
    /// What is written.
    pub output: Output,
    /// How it is run; never changes a byte of the output.
    pub run: Run,
}

/// `[label]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The label's column. Not numeric: classes are sorted and mapped to 0..k-1 over all shards. Rows without a label
    /// are dropped and counted.
    pub column: String,
    /// Whether a numeric label becomes a 64-bit integer; a value that is none is an error.
    #[serde(default, skip_serializing_if = "is_false")]
    pub integer: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_false(truth: &bool) -> bool {
    !truth
}

/// `[run]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Worker threads; 0 is one a core.
    pub threads: usize,
    /// Ceiling for the process.
    pub memory: ByteSize,
    /// Whether decoded columns are kept between the passes.
    pub mode: Mode,
    /// What to do with a state that is there.
    pub resume: Resume,
    /// Shards that pass one has under way at a time, at the most; 0 is as many as memory and threads are good for.
    #[serde(skip_serializing_if = "is_zero")]
    pub shards_at_once: usize,
    /// State directory; default the output's name + `.state`, beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            threads: 0,
            memory: ByteSize(2 << 30),
            mode: Mode::Auto,
            resume: Resume::IfPossible,
            shards_at_once: 0,
            state: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// `run.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// In memory when the decoded columns fit the budget.
    Auto,
    /// Every pass reads the shards.
    Streaming,
    /// Pass one keeps the decoded columns.
    InMemory,
}

/// `run.resume`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// Go on where the state allows, else start over.
    IfPossible,
    /// Go on without looking at the shards again, or fail.
    Always,
    /// Start over.
    Never,
}
