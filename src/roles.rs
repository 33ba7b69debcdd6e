//! What the ledger says of each row, by name: its stratum's code and its key's hash always, and as the recipe asks for them
//! its group, its time, the key that is to be unique and the place among the rows of that key.

use crate::hash::NO_GROUP;
use crate::store::ledger::{Layout, Rows};

/// Which of the further values a ledger has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles {
    /// Wide hash of the group: two words.
    pub group: bool,
    /// Tick of the time: a word.
    pub time: bool,
    /// Wide hash of the key that is to be unique: two words.
    pub unique: bool,
    /// Order among the rows of that key, as bytes that compare like it.
    pub order: bool,
}

impl Roles {
    /// The ledger's layout.
    pub fn layout(self) -> Layout {
        let words = 2 * usize::from(self.group) + usize::from(self.time) + 2 * usize::from(self.unique);
        Layout { words, texts: self.order }
    }

    fn time_word(self) -> usize {
        2 * usize::from(self.group)
    }

    fn unique_word(self) -> usize {
        self.time_word() + usize::from(self.time)
    }
}

/// Two words a row for wide hashes.
pub fn words_of(wide: &[u128]) -> [Vec<u64>; 2] {
    [wide.iter().map(|hash| *hash as u64).collect(), wide.iter().map(|hash| (hash >> 64) as u64).collect()]
}

/// Rows of a ledger, by role.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// Codes of their strata in their shard.
    pub codes: &'a [u32],
    /// Hashes of their keys.
    pub hashes: &'a [u64],
    rows: Rows<'a>,
    roles: Roles,
}

impl<'a> Keys<'a> {
    /// The rows of a ledger with these roles; nothing when it has another layout.
    pub fn new(rows: Rows<'a>, roles: Roles) -> Option<Self> {
        let layout = roles.layout();
        let fits = rows.words.len() == layout.words && rows.texts.ends.is_empty() != layout.texts;
        (fits || rows.codes.is_empty()).then_some(Self { codes: rows.codes, hashes: rows.hashes, rows, roles })
    }

    fn wide(&self, first: usize, row: usize) -> u128 {
        u128::from(self.rows.words[first + 1][row]) << 64 | u128::from(self.rows.words[first][row])
    }

    /// Wide hash of a row's group; [`NO_GROUP`] too where the ledger has no groups.
    pub fn group(&self, row: usize) -> u128 {
        if self.roles.group { self.wide(0, row) } else { NO_GROUP }
    }

    /// Tick of a row's time.
    ///
    /// # Panics
    /// When the ledger has no times.
    pub fn time(&self, row: usize) -> u64 {
        self.rows.words[self.roles.time_word()][row]
    }

    /// Wide hash of the key of which there is to be one row.
    ///
    /// # Panics
    /// When the ledger has none.
    pub fn unique(&self, row: usize) -> u128 {
        self.wide(self.roles.unique_word(), row)
    }

    /// A row's place among those of its key, as bytes that compare like it; empty for none.
    pub fn order(&self, row: usize) -> &'a [u8] {
        if self.roles.order { self.rows.texts.get(row) } else { b"" }
    }
}
