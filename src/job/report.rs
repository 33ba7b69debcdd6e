//! What a run did, as data.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::allot::WorstShare;
use crate::plan::{FoldColumn, Plan, PlannedSplit};

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where the output is; nothing after a scan.
    pub output: Option<PathBuf>,
    /// Where the state is.
    pub state: PathBuf,
    /// The plan's fingerprint; nothing after a scan.
    pub fingerprint: Option<String>,
    /// Rows read.
    pub rows: u64,
    /// Shards of the input.
    pub shards: usize,
    /// Shards whose results an earlier run had left.
    pub reused_shards: usize,
    /// Parts that an interrupted run had written, and that were kept.
    pub kept_parts: usize,
    /// Input columns, and output columns after a write.
    pub columns: (usize, Option<usize>),
    /// The splits.
    pub splits: Vec<SplitReport>,
    /// Dropped rows by reason.
    pub dropped: Vec<(String, u64)>,
    /// The class and split whose share is off by most, where groups are balanced.
    pub worst: Option<WorstShare>,
    /// Rows of each fold, where folds are a column.
    pub folds: Option<FoldColumn>,
    /// Time of each phase.
    pub phases: Vec<Phase>,
}

/// One split of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SplitReport {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Files it has.
    pub parts: usize,
    /// Rows by stratum.
    pub strata: Vec<(String, u64)>,
    /// Groups in it, where groups decide.
    pub groups: Option<u64>,
}

/// One phase of a [`Report`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phase {
    /// scan, plan, write or publish.
    pub name: &'static str,
    /// Wall time.
    pub seconds: f64,
    /// Rows it went through.
    pub rows: u64,
    /// Bytes of the shards it read.
    pub bytes: u64,
}

impl Report {
    pub(super) fn fill(&mut self, plan: &Plan, output: &Path, part_splits: &[usize]) {
        self.output = Some(output.to_path_buf());
        self.fingerprint = Some(plan.fingerprint.clone());
        self.columns.1 = Some(plan.pipeline.output.len());
        let split = |(at, split): (usize, &PlannedSplit)| SplitReport {
            name: split.name.clone(),
            rows: split.rows,
            parts: part_splits.iter().filter(|split| **split == at).count(),
            strata: plan.strata_of(at),
            groups: split.groups,
        };
        self.dropped = plan.dropped.iter().map(|(reason, rows)| (reason.name().to_string(), *rows)).collect();
        self.worst = plan.worst.clone();
        self.folds = plan.fold_column.clone();
        self.splits = plan.splits.iter().enumerate().map(split).collect();
    }
}
