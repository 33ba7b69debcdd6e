//! Looks at the values of a block without keeping any: which kinds each column holds.

use arrow::datatypes::DataType;
use hashbrown::HashMap;

use super::cells::{Cells, Kind};
use super::delimited::Records;
use super::json::{Keys, Objects, Value};
use super::read::records_at_once;
use super::seen::Seen;
use super::skip::{BadRows, Fault, Skips};
use super::split::Block;
use super::{TextFormat, TextShard};
use crate::error::{Error, Result};
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
        // Most rows have the columns of those before, in their order.
        let mut index: Option<HashMap<String, usize>> = None;
        for (at, (name, seen)) in later.names.iter().zip(&later.seen).enumerate() {
            if self.names.get(at).is_some_and(|same| same == name) {
                self.seen[at] |= *seen;
                continue;
            }
            let names = || self.names.iter().cloned().zip(0..).collect();
            let index = index.get_or_insert_with(names);
            match index.get(name) {
                Some(&known) => self.seen[known] |= *seen,
                None => {
                    index.insert(name.clone(), self.names.len());
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

    /// What each column holds, by name.
    pub(super) fn by_name(&self) -> HashMap<&str, Seen> {
        self.names.iter().map(String::as_str).zip(self.seen.iter().copied()).collect()
    }
}

impl TextShard {
    /// What the columns hold in `block`.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] with row and line when one of its records is none of this shard.
    pub fn observe(&self, block: &Block) -> Result<Observed> {
        self.observe_rows(block, u64::MAX, &self.options.forced)
    }

    /// As [`TextShard::observe`], of the first `most` records of the block. Where bad rows are skipped, those with values
    /// that do not fit the types `forced` are not looked at.
    pub(super) fn observe_rows(&self, block: &Block, most: u64, forced: &[(String, DataType)]) -> Result<Observed> {
        let (block, broken) = self.decoded(block)?;
        match self.format {
            TextFormat::Delimited { delimiter } => {
                let skips = self.skips(&block, broken, || {
                    let at = |name: &String| self.names.iter().position(|known| known == name);
                    forced.iter().filter_map(|(name, set)| Some((at(name)?, set.clone(), name.clone()))).collect()
                });
                self.observe_delimited(&block, delimiter, most, skips)
            }
            _ => {
                let skips = self.skips(&block, broken, Vec::new);
                self.observe_json(&block, most, skips, forced)
            }
        }
    }

    /// What is left out of `block`, where bad rows are.
    pub(super) fn skips<'b>(
        &self,
        block: &'b Block,
        broken: Vec<Fault>,
        forced: impl FnOnce() -> Vec<(usize, DataType, String)>,
    ) -> Option<Skips<'b>> {
        (self.options.bad_rows == BadRows::Skip).then(|| Skips::new(block, forced(), broken))
    }

    fn observe_delimited(
        &self,
        block: &Block,
        delimiter: u8,
        most: u64,
        mut skips: Option<Skips<'_>>,
    ) -> Result<Observed> {
        let mut observed = Observed::nothing(&self.names);
        let mut records = Records::new(&block.bytes, delimiter, self.options.null_values.as_ref());
        let mut cells = Cells::new(&block.bytes, self.names.len());
        let at_once = records_at_once(self.names.len());
        let mut record = 0;
        loop {
            cells.clear();
            let mut more = record < most;
            while more && record < most && (cells.rows() as u64) < at_once {
                more =
                    self.next_record(&mut records, &mut cells, record, skips.as_mut()).map_err(|f| f.error(block))?;
                record += u64::from(more);
            }
            for (column, seen) in observed.seen.iter_mut().enumerate().filter(|(_, seen)| !seen.is_text()) {
                *seen |= Seen::of_fields(cells.column(column));
            }
            if !more || record >= most {
                return Ok(observed);
            }
        }
    }

    fn observe_json(
        &self,
        block: &Block,
        most: u64,
        mut skips: Option<Skips<'_>>,
        forced: &[(String, DataType)],
    ) -> Result<Observed> {
        let mut keys = Keys::new(self.names.iter().map(String::as_str));
        let mut seen = vec![Seen::default(); self.names.len()];
        let mut objects = Objects::new(text_of(block)?, self.format);
        let mut values: Vec<(usize, Value<'_>)> = Vec::new();
        while objects.record() < most {
            let Some(skips) = &mut skips else {
                let found = objects.read(&mut keys, |column, value| see(&mut seen, column, value));
                if found.map_err(|fault| fault.error(block))? {
                    continue;
                }
                break;
            };
            // Nothing is seen of an object before it is known to be a good one.
            values.clear();
            let (record, known) = (objects.record(), keys.len());
            let Some(start) = objects.start() else { break };
            if skips.is_broken(record, start) {
                objects.pass(start);
                continue;
            }
            let found = objects.read(&mut keys, |column, value| values.push((column, value)));
            let fits = |(column, value): &(usize, Value<'_>)| {
                let set = forced.iter().find(|(name, _)| name == keys.name(*column));
                set.is_none_or(|(_, data_type)| value.fits(data_type))
            };
            if found.is_ok() && values.iter().all(fits) {
                values.iter().for_each(|(column, value)| see(&mut seen, *column, *value));
            } else {
                keys.truncate(known);
            }
        }
        seen.resize(keys.len(), Seen::default());
        Ok(Observed { names: keys.into_names(), seen })
    }
}

fn see(seen: &mut Vec<Seen>, column: usize, value: Value<'_>) {
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
}

/// The text of a block that is known to be UTF-8.
pub(super) fn text_of(block: &Block) -> Result<&str> {
    std::str::from_utf8(&block.bytes).map_err(|e| Error::failed("reading a block as text", e))
}
