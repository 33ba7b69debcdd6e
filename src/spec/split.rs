//! `[split]`, `[dedupe]` and `[fit]`: which row goes where, and which rows the transforms are fitted on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OneOrMany, Scalar, Sizes};

/// `[split]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Split {
    /// Name of the one split of kind none, and of kfold with `fold_column`.
    pub name: String,
    /// How rows are assigned.
    pub kind: SplitKind,
    /// Size of each split, in order: shares that sum to 1, or numbers of rows.
    pub sizes: Sizes,
    /// What becomes of rows that the sizes leave out.
    #[serde(skip_serializing_if = "is_default")]
    pub rest: Rest,
    /// Columns whose every combination keeps its share in every split; default the label's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stratify: Option<OneOrMany>,
    /// Columns of the group that stays whole, such as a customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<OneOrMany>,
    /// What becomes of rows without a group.
    #[serde(skip_serializing_if = "is_default")]
    pub missing_groups: MissingGroups,
    /// What sizes are measured in when groups stay whole; default rows, and groups for temporal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_sizes: Option<GroupSizes>,
    /// Row identity to hash, one column or several; default shard name and row number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<OneOrMany>,
    /// Seed of the rank hash.
    pub random_state: u64,
    /// The time of a row: date, timestamp, integer, or text in ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// temporal: rows at or after it are out of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutoff: Option<Scalar>,
    /// temporal: rows less than this before the cutoff are dropped; `36h`, `7d`, or an integer for integer times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Scalar>,
    /// temporal: groups of these splits are dropped from oot; default the first split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oot_exclude: Option<Vec<String>>,
    /// kfold: how many folds.
    #[serde(skip_serializing_if = "is_five")]
    pub folds: u32,
    /// kfold: write one split with the fold's number in a column of this name, instead of a split a fold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold_column: Option<String>,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            name: "data".into(),
            kind: SplitKind::None,
            sizes: Sizes::default(),
            rest: Rest::default(),
            stratify: None,
            groups: None,
            missing_groups: MissingGroups::default(),
            group_sizes: None,
            key: None,
            random_state: 42,
            time: None,
            cutoff: None,
            gap: None,
            oot_exclude: None,
            folds: 5,
            fold_column: None,
        }
    }
}

impl Split {
    /// What sizes are measured in when groups stay whole.
    pub fn group_sizes(&self) -> GroupSizes {
        self.group_sizes.unwrap_or(match self.kind {
            SplitKind::Temporal => GroupSizes::Groups,
            _ => GroupSizes::Rows,
        })
    }

    /// Names of the splits whose groups are dropped from `oot`.
    pub fn oot_exclude(&self) -> Vec<String> {
        match (&self.oot_exclude, &self.groups) {
            (Some(names), _) => names.clone(),
            (None, Some(_)) => self.sizes.0.first().map(|(name, _)| name.clone()).into_iter().collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Names of the splits, in order.
    pub fn names(&self) -> Vec<String> {
        let sized = || self.sizes.0.iter().map(|(name, _)| name.clone());
        match self.kind {
            SplitKind::None => vec![self.name.clone()],
            SplitKind::Kfold if self.fold_column.is_some() => vec![self.name.clone()],
            SplitKind::Kfold => (0..self.folds).map(|fold| format!("fold-{fold}")).collect(),
            SplitKind::Temporal => sized().chain([OOT.to_string()]).collect(),
            _ => sized().collect(),
        }
    }
}

/// The split of rows at or after `split.cutoff`.
pub const OOT: &str = "oot";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_five(folds: &u32) -> bool {
    *folds == 5
}

/// `split.kind`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitKind {
    /// One split that holds every row.
    None,
    /// Exact sizes, rows by hash.
    Random,
    /// Exact sizes in every stratum, rows by hash.
    Stratified,
    /// Whole groups, by hash.
    Grouped,
    /// Whole groups, each class's share in every split as near to its size as they allow.
    StratifiedGrouped,
    /// Before a cutoff by customer, after it out of time.
    Temporal,
    /// Oldest to newest, whole times.
    TemporalQuantile,
    /// Folds of equal size.
    Kfold,
}

/// `split.rest`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// The sizes have to take every row.
    #[default]
    Raise,
    /// Rows beyond the sizes are dropped, counted.
    Drop,
}

/// `split.missing_groups`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingGroups {
    /// Dropped, counted.
    #[default]
    Drop,
    /// Each is a group of its own.
    Own,
}

/// `split.group_sizes`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupSizes {
    /// Rows of the groups.
    Rows,
    /// Groups.
    Groups,
}

/// `[dedupe]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    /// Columns whose combination stands for one row.
    pub key: OneOrMany,
    /// Columns that order the rows of a key; default shard and row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_by: Option<OneOrMany>,
    /// Which row of a key stays; ties by shard and row.
    #[serde(default)]
    pub keep: Keep,
}

/// `dedupe.keep`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The first in `order_by`.
    #[default]
    First,
    /// The last in `order_by`.
    Last,
}

/// `[fit]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fit {
    /// Which rows the transforms are fitted on.
    pub rows: FitRows,
}

impl Fit {
    /// Whether it is what a recipe without `[fit]` says.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `fit.rows`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FitRows {
    /// All rows that are read.
    #[default]
    All,
    /// Those of the split `train`.
    Train,
}
