//! `fit.rows = "train"`: the keys of all rows are read first, so that it is known which rows the statistics are to be of. Pass one then
//! reads everything, and makes the ledgers once more on its way.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Job;
use super::ledgers::{self, StateLedgers};
use super::pass_one::{Lacking, Reading, Scanned, Survey};
use crate::allot::{Allotted, Router, first_rows};
use crate::basis::Basis;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::plan::{self, Merged};
use crate::roles::Roles;
use crate::scan::Train;
use crate::spec::FitRows;
use crate::store::{ShardRecord, StateStore};

/// The split that is fitted on.
const TRAIN: &str = "train";

/// Which rows are fitted on.
pub(super) struct Training {
    /// Stands for these rows: other rows, another number.
    pub(super) rows: u128,
    split: u8,
    allotted: Allotted,
    basis: Basis,
    merged: Merged,
    first_rows: Vec<u64>,
    /// Where the ledger of each shard is now, and what it has.
    ledgers: Vec<Mutex<(ShardRecord, Roles)>>,
}

impl Training {
    /// Which rows of a shard are fitted on.
    pub(super) fn of_shard(&self, store: &StateStore, shard: usize) -> Result<Train<'_>> {
        let (record, roles) = self.ledgers[shard].lock().unwrap_or_else(PoisonError::into_inner).clone();
        let codes = ledgers::codes(store, &self.merged, &self.basis, shard, &record)?.into_owned();
        let mut router = Router::new(codes, self.first_rows[shard]);
        let mut reader = store.open_ledger(&record)?;
        let Allotted { allotment, marks, .. } = &self.allotted;
        let mut of_block = Vec::new();
        let routes = move |rows: usize, out: &mut VecDeque<u8>| {
            while out.len() < rows {
                let Some(block) = reader.next_block()? else { break };
                router.route(allotment, marks.as_ref(), ledgers::keys(block.rows, roles)?, &mut of_block)?;
                out.extend(&of_block);
            }
            Ok(())
        };
        Ok(Train { split: self.split, routes: Box::new(routes), pending: VecDeque::new() })
    }

    /// The shard was committed again, with a ledger of the same rows.
    pub(super) fn supersede(&self, shard: usize, record: &ShardRecord, roles: Roles) {
        *self.ledgers[shard].lock().unwrap_or_else(PoisonError::into_inner) = (record.clone(), roles);
    }
}

impl Job {
    /// Everything pass one is to find out.
    pub(super) fn read_all(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        survey: Survey,
        records: Vec<Option<ShardRecord>>,
        (keep, lacking): (bool, Lacking),
    ) -> Result<Scanned> {
        if self.recipe.fit.rows == FitRows::All {
            return self.complete(engine, store, survey, records, (keep, lacking), Reading::Whole);
        }
        let (mut survey, mut records) = (survey, records);
        loop {
            let keys = self.complete(engine, store, survey, records, (false, lacking), Reading::Keys)?;
            let (reused, left_out) = (keys.reused, keys.bad_shards.len());
            let (training, good, ledgers) = self.training(engine, store, keys)?;
            let reading = Reading::Training(&training);
            let mut scanned = self.complete(engine, store, good, ledgers, (keep, lacking), reading)?;
            if scanned.bad_shards.len() == left_out {
                scanned.reused = scanned.reused.min(reused);
                scanned.allotted = Some(training.allotted);
                return Ok(scanned);
            }
            // A shard that is bad beyond its keys had rows allotted: without them, others are those of train.
            survey = Survey { shards: scanned.surveyed, bad: scanned.bad_shards };
            records = scanned.records.into_iter().map(Some).collect();
        }
    }

    /// Allots all rows, to know those of train.
    fn training(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        keys: Scanned,
    ) -> Result<(Training, Survey, Vec<Option<ShardRecord>>)> {
        let ledgers = StateLedgers::new(engine, store, &keys);
        let allotted = engine.pool.install(|| self.allot(engine, &keys, &ledgers))?;
        let split = self.recipe.split.names().iter().position(|name| name == TRAIN);
        let (Some(allotted), Some(split)) = (allotted, split) else {
            return Err(Error::Recipe("fit.rows = \"train\" needs a split of that name in split.sizes".into()));
        };
        let rows = plan::rows_hash(&self.recipe, &keys.facts());
        let Scanned { surveyed, records, merged, basis, bad_shards, .. } = keys;
        let training = Training {
            rows,
            split: split as u8,
            allotted,
            basis,
            first_rows: first_rows(&merged.shard_rows),
            ledgers: records.iter().cloned().zip(merged.shard_roles.clone()).map(Mutex::new).collect(),
            merged,
        };
        let survey = Survey { shards: surveyed, bad: bad_shards };
        Ok((training, survey, records.into_iter().map(Some).collect()))
    }
}
