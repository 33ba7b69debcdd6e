//! What becomes of a row: a split, or a reason why it is in none. One byte a row.

use serde::{Deserialize, Serialize};

/// A row that nothing has been decided of yet.
pub const OPEN: u8 = 200;

/// Why a row is in no split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Reason {
    /// It has no label.
    MissingLabel = 255,
    /// It has no time.
    MissingTime = 254,
    /// It has no group.
    MissingGroup = 253,
    /// Another row of its key is kept.
    Duplicate = 252,
    /// It is too short before the cutoff.
    Gap = 251,
    /// Out of time, and its customer is in a split that is trained on.
    OotExcluded = 250,
    /// The sizes leave it out.
    Rest = 249,
}

impl Reason {
    /// All of them, in the order they are told.
    pub const ALL: [Self; 7] = [
        Self::MissingLabel,
        Self::MissingTime,
        Self::MissingGroup,
        Self::Duplicate,
        Self::Gap,
        Self::OotExcluded,
        Self::Rest,
    ];

    /// As the manifest names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingLabel => "missing_label",
            Self::MissingTime => "missing_time",
            Self::MissingGroup => "missing_group",
            Self::Duplicate => "duplicate",
            Self::Gap => "gap",
            Self::OotExcluded => "oot_excluded",
            Self::Rest => "rest",
        }
    }

    /// The byte that stands for it.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Whether the byte names a split.
pub const fn is_split(fate: u8) -> bool {
    fate < OPEN
}
