//! The ledger's rows, made of what was read of the columns.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;

use super::{Collect, Part};
use crate::error::Result;
use crate::hash;
use crate::roles::words_of;
use crate::source::Chunk;
use crate::split::order::Order;
use crate::store::LedgerWriter;
use crate::store::ledger::{Rows, Texts};
use crate::strata::{Ids, ShardStrata};

/// Makes the ledger's rows of one shard, chunk by chunk.
pub(super) struct LedgerRows<'a> {
    collect: &'a Collect,
    pub(super) strata: ShardStrata,
    order: Option<Order>,
}

impl<'a> LedgerRows<'a> {
    pub(super) fn new(collect: &'a Collect) -> Result<Self> {
        let fields: Vec<&Field> = collect.order.iter().map(|&at| collect.schema.field(at)).collect();
        let order = if fields.is_empty() { None } else { Some(Order::new(&fields)?) };
        Ok(Self { collect, strata: ShardStrata::new(collect.stratify.len()), order })
    }

    /// Adds a chunk's rows to the ledger; returns how many have no label.
    pub(super) fn append(&mut self, chunk: &Chunk, parts: &mut [Part], ledger: &mut LedgerWriter) -> Result<u64> {
        let collect = self.collect;
        let rows = chunk.rows();
        let first = chunk.first_row();
        // A column may stand in the key and in the strata, or twice in one: ids are taken once and lent.
        let ids: Vec<Ids> = collect.stratify.iter().map(|&at| std::mem::take(&mut parts[at].ids)).collect();
        let present = collect.label.map(|at| std::mem::take(&mut parts[at].present));
        let codes = self.strata.append(&ids, present.as_deref(), rows)?;
        let hashes = match collect.key.as_slice() {
            [] => hash::of_positions(chunk.shard(), first..first + rows as u64),
            [one] => std::mem::take(&mut parts[*one].hashes),
            several => hash::combine(&several.iter().map(|&at| parts[at].hashes.clone()).collect::<Vec<_>>()),
        };
        let words = words(collect, parts);
        let (ends, texts) = self.texts(chunk, parts)?;
        ledger.append(Rows {
            codes: &codes,
            hashes: &hashes,
            words: &words,
            texts: Texts { ends: &ends, bytes: &texts },
        })?;
        Ok(present.map_or(0, |present| present.iter().filter(|present| !**present).count() as u64))
    }

    fn texts(&self, chunk: &Chunk, parts: &[Part]) -> Result<(Vec<usize>, Vec<u8>)> {
        let (mut ends, mut bytes) = (Vec::new(), Vec::new());
        if let Some(order) = &self.order {
            let mut row = chunk.first_row();
            for batch in 0..chunk.batches().len() {
                let columns: Vec<ArrayRef> =
                    self.collect.order.iter().map(|&at| ArrayRef::clone(&parts[at].arrays[batch])).collect();
                order.append(&columns, &mut ends, &mut bytes).map_err(|e| e.offset_rows(row))?;
                row += columns.first().map_or(0, |column| column.len()) as u64;
            }
        }
        Ok((ends, bytes))
    }
}

/// The words of a chunk's rows, in the order of [`Roles`](crate::roles::Roles).
fn words(collect: &Collect, parts: &[Part]) -> Vec<Vec<u64>> {
    let wide = |columns: &[usize]| {
        let fields: Vec<&[u128]> = columns.iter().map(|&at| parts[at].wide.as_slice()).collect();
        words_of(&hash::combine_wide(&fields))
    };
    let mut words = Vec::new();
    if !collect.groups.is_empty() {
        words.extend(wide(&collect.groups));
    }
    words.extend(collect.time.map(|at| parts[at].ticks.clone()));
    if !collect.unique.is_empty() {
        words.extend(wide(&collect.unique));
    }
    words
}
