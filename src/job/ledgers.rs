//! The ledgers of a state, as the plan reads them.

use std::borrow::Cow;

use super::pass_one::Scanned;
use crate::allot::{Ledgers, VisitRows};
use crate::basis::Basis;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::plan::Merged;
use crate::roles::{Keys, Roles};
use crate::scan::ShardSummary;
use crate::store::ledger::Rows;
use crate::store::{ShardRecord, StateStore};

/// A ledger's rows by role.
pub(super) fn keys(rows: Rows<'_>, roles: Roles) -> Result<Keys<'_>> {
    Keys::new(rows, roles).ok_or_else(|| Error::Damaged {
        what: "a ledger has not what its summary says; run again with --resume never".into(),
        source: None,
    })
}

/// The positions among all strata of a shard's strata by its own codes.
pub(super) fn codes<'a>(
    store: &StateStore,
    merged: &'a Merged,
    basis: &Basis,
    shard: usize,
    record: &ShardRecord,
) -> Result<Cow<'a, [u32]>> {
    if let Some(kept) = &merged.shard_codes {
        return Ok(Cow::Borrowed(&kept[shard]));
    }
    let summary = ShardSummary::read(store, record)?;
    merged.codes(&summary.basis.strata(basis, summary.strata)).map(Cow::Owned)
}

/// All of them, for reading.
pub(super) struct StateLedgers<'a> {
    engine: &'a Engine<'a>,
    store: &'a StateStore,
    scanned: &'a Scanned,
}

impl<'a> StateLedgers<'a> {
    pub(super) fn new(engine: &'a Engine<'a>, store: &'a StateStore, scanned: &'a Scanned) -> Self {
        Self { engine, store, scanned }
    }
}

impl Ledgers for StateLedgers<'_> {
    fn codes(&self, shard: usize) -> Result<Cow<'_, [u32]>> {
        let Scanned { merged, basis, records, .. } = self.scanned;
        codes(self.store, merged, basis, shard, &records[shard])
    }

    fn rows(&self, shard: usize, visit: &mut VisitRows<'_>) -> Result<()> {
        let mut reader = self.store.open_ledger(&self.scanned.records[shard])?;
        while let Some(block) = reader.next_block()? {
            self.engine.go_on()?;
            visit(keys(block.rows, self.scanned.merged.shard_roles[shard])?)?;
        }
        Ok(())
    }
}
