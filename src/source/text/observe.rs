//! Looks at the values of a block without keeping any: which kinds each column holds.

use super::cells::{Cells, Kind};
use super::delimited::Records;
use super::json::{Keys, Objects, Value};
use super::read::records_at_once;
use super::seen::Seen;
use super::split::Block;
use super::{TextFormat, TextShard};
use crate::error::Result;
use crate::schema::ShardFields;

/// What the columns of some rows of a shard hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    names: Vec<String>,
    seen: Vec<Seen>,
}

impl Observed {
    /// No rows yet, of columns `names`: the identity of [`Observed::merge`].
    pub fn nothing(names: &[String]) -> Self {
        Self { names: names.to_vec(), seen: vec![Seen::default(); names.len()] }
    }

    /// Adds what other rows of the same shard hold; columns that are new come behind those known.
    pub fn merge(&mut self, later: &Self) {
        for (at, (name, seen)) in later.names.iter().zip(&later.seen).enumerate() {
            let known = match self.names.get(at) {
                Some(same) if same == name => Some(at),
                _ => self.names.iter().position(|known| known == name),
            };
            match known {
                Some(known) => self.seen[known] |= *seen,
                None => {
                    self.names.push(name.clone());
                    self.seen.push(*seen);
                }
            }
        }
    }

    /// What each column holds, in the order of [`Observed::names`].
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// The columns: the shard's own, then those that were new.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Each column with the narrowest type that holds its values, `Null` where all were missing.
    pub fn fields(&self) -> ShardFields {
        self.names.iter().cloned().zip(self.seen.iter().map(|seen| seen.data_type())).collect()
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }

    pub(super) fn of(&self, name: &str) -> Option<Seen> {
        self.names.iter().position(|known| known == name).map(|at| self.seen[at])
    }
}

impl TextShard {
    /// What the columns hold in `block`.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] with row and line when one of its records is none of this shard.
    pub fn observe(&self, block: &Block) -> Result<Observed> {
        self.observe_rows(block, u64::MAX)
    }

    /// As [`TextShard::observe`], of the first `most` rows of the block.
    pub(super) fn observe_rows(&self, block: &Block, most: u64) -> Result<Observed> {
        let text = self.text(block)?;
        match self.options.format {
            TextFormat::Delimited { delimiter } => self.observe_delimited(block, delimiter, most),
            TextFormat::JsonLines => self.observe_json(block, text, most),
        }
    }

    fn observe_delimited(&self, block: &Block, delimiter: u8, most: u64) -> Result<Observed> {
        let mut observed = Observed::nothing(&self.names);
        let mut records = Records::new(&block.bytes, delimiter);
        let mut cells = Cells::new(&block.bytes, self.names.len());
        let at_once = records_at_once(self.names.len());
        let mut row = 0;
        loop {
            cells.clear();
            let wanted = most.saturating_sub(row).min(at_once);
            let mut more = wanted > 0;
            while more && (cells.rows() as u64) < wanted {
                let at = row + cells.rows() as u64 + block.first_row;
                more = records.read(&mut cells).map_err(|wrong| self.wrong_width(block, at, &wrong))?;
            }
            for (column, seen) in observed.seen.iter_mut().enumerate().filter(|(_, seen)| !seen.is_text()) {
                *seen |= Seen::of_fields(cells.column(column));
            }
            row += cells.rows() as u64;
            if !more {
                return Ok(observed);
            }
        }
    }

    fn observe_json(&self, block: &Block, text: &str, most: u64) -> Result<Observed> {
        let mut keys = Keys::new(self.names.iter().map(String::as_str));
        let mut seen = vec![Seen::default(); self.names.len()];
        let mut objects = Objects::new(text, block.first_row);
        let mut left = most;
        while left > 0
            && objects.read(block, &mut keys, |column, value| {
                if column >= seen.len() {
                    seen.resize(column + 1, Seen::default());
                }
                if !seen[column].is_text() {
                    seen[column] |= match value {
                        Value::Null => Seen::default(),
                        Value::Plain(kind, text) => Seen::of(kind, text.as_bytes()),
                        Value::Escaped(text) => Seen::of(Kind::Quoted, Value::unescaped(text).as_bytes()),
                    };
                }
            })?
        {
            left -= 1;
        }
        Ok(Observed { names: keys.into_names(), seen })
    }
}
