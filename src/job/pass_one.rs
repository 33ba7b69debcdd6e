//! Pass one over all shards: what is not in the state is scanned, until every shard was read under types that all
//! shards' values fit, and the shards' results are merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;
use rayon::prelude::*;

use super::Job;
use super::from_state::Found;
use super::state::stamp_of;
use crate::basis::Basis;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::observe::{Event, Pass};
use crate::plan::Merged;
use crate::preview;
use crate::scan::{self, Collect, ColumnSummary, Outcome, ShardSummary};
use crate::schema::{self, ShardFields};
use crate::source::{Chunk, Opened, Shard, discover};
use crate::spec::Mode;
use crate::state::Summary;
use crate::store::frame::{self, Kind};
use crate::store::{LEDGER_BUFFER_BYTES, ShardRecord, StateStore};
use crate::strata::Stratum;

/// A shard as discovery found it.
pub(super) struct Surveyed {
    pub(super) shard: Shard,
    pub(super) fields: Arc<ShardFields>,
    pub(super) fingerprint: u128,
    pub(super) rows: Option<u64>,
}

/// What is done about shards in the state whose results do not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacking {
    /// They are scanned again.
    Scan,
    /// It is an error.
    Refuse,
}

/// Everything pass one leaves for what follows.
pub(super) struct Scanned {
    pub(super) collect: Collect,
    pub(super) basis: Basis,
    pub(super) surveyed: Vec<Surveyed>,
    pub(super) records: Vec<ShardRecord>,
    /// Hashes of the files of text shards.
    pub(super) contents: Vec<Option<u128>>,
    pub(super) merged: Merged,
    pub(super) kept: Kept,
    pub(super) reused: usize,
    /// Rows and bytes that were read just now.
    pub(super) read: (u64, u64),
}

/// Decoded shards that pass one kept, by position.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) shards: Vec<Option<Vec<Chunk>>>,
    pub(super) _reservations: Vec<Reservation>,
}

impl Job {
    /// Finds the shards and reads what they say of themselves.
    pub(super) fn survey(&self, engine: &Engine<'_>) -> Result<Vec<Surveyed>> {
        let shards = discover::shards(&self.recipe.input)?;
        let options = self.options()?;
        let open = |shard: Shard| {
            engine.go_on()?;
            let opened = Opened::open(&shard, &options, None)?;
            Ok(Surveyed {
                fields: Arc::new(opened.fields()),
                fingerprint: opened.fingerprint(),
                rows: opened.rows(),
                shard,
            })
        };
        let opened: Vec<Result<Surveyed>> = engine.pool.install(|| shards.into_par_iter().map(open).collect());
        let mut surveyed: Vec<Surveyed> = Vec::with_capacity(opened.len());
        for one in opened {
            let mut one = one?;
            // Shards mostly agree: one copy of the columns serves them all.
            if let Some(last) = surveyed.last().filter(|last| last.fields == one.fields) {
                one.fields = Arc::clone(&last.fields);
            }
            surveyed.push(one);
        }
        Ok(surveyed)
    }

    /// Scans what is not committed, until every shard was read under the types that all shards' values fit.
    pub(super) fn complete(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        mut surveyed: Vec<Surveyed>,
        mut records: Vec<Option<ShardRecord>>,
        (keep, lacking): (bool, Lacking),
    ) -> Result<Scanned> {
        let mut read = (0, 0);
        let mut scanned = vec![false; surveyed.len()];
        let total: u64 = surveyed.iter().map(|s| s.shard.bytes).sum();
        let rows = surveyed.iter().map(|s| s.rows).sum::<Option<u64>>();
        engine.observer.event(Event::Begin { pass: Pass::Scan, rows, bytes: total, shards: surveyed.len() });
        let mut kept = Kept { shards: vec![None; surveyed.len()], ..Kept::default() };
        let mut keep = keep && self.keeps(engine, &surveyed);
        let mut merging = Merging::default();
        'schema: loop {
            let unified =
                schema::unify(surveyed.iter().map(|s| (s.shard.name.as_str(), s.fields.as_ref())), &self.recipe.input)?;
            let collect = Collect::new(&self.recipe, &unified)?;
            // The types of text are not settled before all of it was read.
            if rows.is_some() {
                preview::refuse_misfits(&self.recipe, &schema::settled(&unified))?;
            }
            let basis = self.basis(&collect)?;
            merging.restart_if_other(&unified, &collect);
            self.merge_found(engine, store, &collect, (&surveyed, &mut records), &mut merging, lacking)?;
            for at in 0..surveyed.len() {
                if merging.has(at) {
                    continue;
                }
                engine.go_on()?;
                let one = &surveyed[at];
                let opened = Opened::open(&one.shard, &self.options()?, Some(&one.fields))?;
                if opened.fingerprint() != one.fingerprint {
                    return Err(one.shard.changed());
                }
                let mut ledger = store.create_ledger(&one.shard.name)?;
                let _ledger_buffer = engine.budget.reserve("the row ledger", LEDGER_BUFFER_BYTES)?;
                match scan::shard(engine, &one.shard, &opened, (&collect, &basis), &mut ledger, keep)? {
                    Outcome::Widened(fields) => {
                        surveyed[at].fields = Arc::new(fields);
                        kept.shards.iter_mut().for_each(|chunks| *chunks = None);
                        kept._reservations.clear();
                        continue 'schema;
                    }
                    Outcome::Done { summary, columns, cached } => {
                        one.shard.check_unchanged()?;
                        let framed = frame::encode(Kind::Summary, &summary)?;
                        records[at] = Some(store.commit_shard(stamp_of(one), &framed, ledger.seal()?)?);
                        merging.add(engine, at, &summary, columns)?;
                        scanned[at] = true;
                        read = (read.0 + summary.rows, read.1 + one.shard.bytes);
                        if let Some(chunks) = cached {
                            keep = self.keep_chunks(engine, &mut kept, at, chunks)?;
                        }
                        engine.observer.event(Event::Shard { name: &one.shard.name });
                    }
                }
            }
            engine.observer.event(Event::End { pass: Pass::Scan });
            let records: Vec<ShardRecord> = records.into_iter().flatten().collect();
            let reused = scanned.iter().filter(|scanned| !**scanned).count();
            let (contents, merged) = merging.finish();
            let collect = Collect { schema: schema::settled(&collect.schema), ..collect };
            return Ok(Scanned { collect, basis, surveyed, records, contents, merged, kept, reused, read });
        }
    }

    /// Merges what the state has of shards and serves; other records are taken for none.
    fn merge_found(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        collect: &Collect,
        (surveyed, records): (&[Surveyed], &mut [Option<ShardRecord>]),
        merging: &mut Merging,
        lacking: Lacking,
    ) -> Result<()> {
        let there: Vec<usize> = (0..records.len()).filter(|at| records[*at].is_some() && !merging.has(*at)).collect();
        let mut reasons = Vec::new();
        // One more than is merged anyway needs room.
        let each = collect.schema.fields().len() as u64 * MOST_COLUMN_BYTES;
        let room = engine.budget.try_reserve(each * engine.threads() as u64);
        let at_once = if room.is_some() { engine.threads() } else { 1 };
        for some in there.chunks(at_once) {
            let to_read: Vec<&ShardRecord> = some.iter().filter_map(|at| records[*at].as_ref()).collect();
            for (&at, found) in some.iter().zip(self.read_found(engine, store, collect, &to_read)?) {
                match found {
                    Found::Serves(summary, columns) => {
                        merging.add(engine, at, &summary, columns)?;
                        let bytes = surveyed[at].shard.bytes;
                        engine.observer.event(Event::Advance { rows: summary.rows, bytes });
                        continue;
                    }
                    Found::OtherTypes => {}
                    Found::Lacks(lack) => reasons.push(self.explain(collect, &lack)?),
                    Found::Damaged(what) => reasons.push(what),
                }
                records[at] = None;
            }
        }
        reasons.sort_unstable();
        reasons.dedup();
        for reason in reasons {
            if lacking == Lacking::Refuse {
                let message = format!(
                    "{reason}; run `twopass scan` with this recipe first, or choose another --state ({})",
                    store.path().display()
                );
                return Err(Error::Conflict(message));
            }
            engine.observer.event(Event::Note(&format!("{reason}: scanning again")));
        }
        Ok(())
    }

    /// Whether pass one should keep the decoded columns.
    pub(super) fn keeps(&self, engine: &Engine<'_>, surveyed: &[Surveyed]) -> bool {
        match self.recipe.run.mode {
            Mode::Streaming => false,
            Mode::InMemory => true,
            Mode::Auto => {
                // Eight bytes a value, and half as much again for what comes in and goes out.
                let decoded: u64 = surveyed
                    .iter()
                    .map(|s| s.rows.map_or(s.shard.bytes * 4, |rows| rows * s.fields.len() as u64 * 12))
                    .sum();
                decoded <= engine.budget.limit() / 2
            }
        }
    }

    /// Keeps a shard's chunks if the budget has room; returns whether the next shard's may be kept too.
    pub(super) fn keep_chunks(
        &self,
        engine: &Engine<'_>,
        kept: &mut Kept,
        at: usize,
        chunks: Vec<Chunk>,
    ) -> Result<bool> {
        let bytes: u64 = chunks.iter().map(Chunk::held_bytes).sum();
        match engine.budget.try_reserve(bytes) {
            Some(reservation) => {
                kept._reservations.push(reservation);
                kept.shards[at] = Some(chunks);
                Ok(true)
            }
            None if self.recipe.run.mode == Mode::InMemory => Err(Error::Memory {
                what: "keeping the decoded columns (run.mode = \"in_memory\")".into(),
                needed: engine.budget.used() + bytes,
                limit: engine.budget.limit(),
                advice: ", or leave run.mode at \"auto\"".into(),
            }),
            None => {
                kept.shards.iter_mut().for_each(|chunks| *chunks = None);
                kept._reservations.clear();
                Ok(false)
            }
        }
    }
}

/// What a column's summary without its values takes at the most, in bytes.
const MOST_COLUMN_BYTES: u64 = 24 << 10;

/// Strata of single shards that are kept over all shards; more are read from the state again.
const MOST_KEPT_STRATA: usize = 1 << 18;

/// Pass one's results while shards are added, in any order: nothing here depends on it.
#[derive(Default)]
struct Merging {
    schema: Option<SchemaRef>,
    columns: Vec<ColumnSummary>,
    strata: HashMap<Vec<Option<String>>, u64>,
    missing_label: u64,
    /// Rows of each shard that was added, by position, and the hash of its file where it is known.
    rows: BTreeMap<usize, (u64, Option<u128>)>,
    /// Strata of each shard that was added, by position; none once they are too many to be kept.
    shard_strata: Option<BTreeMap<usize, Vec<Stratum>>>,
    /// For the columns and strata: what was merged stays until the plan is frozen.
    held: Option<Reservation>,
}

impl Merging {
    fn restart_if_other(&mut self, schema: &SchemaRef, collect: &Collect) {
        if self.schema.as_ref() != Some(schema) {
            *self = Self {
                shard_strata: Some(BTreeMap::new()),
                schema: Some(Arc::clone(schema)),
                columns: collect.empty_columns(),
                ..Self::default()
            };
        }
    }

    fn has(&self, shard: usize) -> bool {
        self.rows.contains_key(&shard)
    }

    fn add(
        &mut self,
        engine: &Engine<'_>,
        shard: usize,
        summary: &ShardSummary,
        columns: Vec<ColumnSummary>,
    ) -> Result<()> {
        for (merged, column) in self.columns.iter_mut().zip(columns) {
            merged.merge(column)?;
        }
        for Stratum { values, rows } in &summary.strata {
            *self.strata.entry_ref(values.as_slice()).or_insert(0) += rows;
        }
        self.missing_label += summary.missing_label;
        if let Some(kept) = &mut self.shard_strata {
            kept.insert(shard, summary.strata.clone());
        }
        let kept = self.shard_strata.iter().flat_map(BTreeMap::values).map(Vec::len).sum::<usize>();
        if kept > MOST_KEPT_STRATA {
            self.shard_strata = None;
        }
        self.rows.insert(shard, (summary.rows, summary.content));
        let columns: usize = self.columns.iter().map(|column| column.state.heap_bytes()).sum();
        let strata: usize = self.strata.keys().flatten().map(|value| value.as_ref().map_or(0, String::len) + 64).sum();
        let strata = strata + kept * 96;
        let what = "the statistics of all shards";
        let bytes = (columns + strata) as u64;
        match &mut self.held {
            Some(held) => held.resize(what, bytes),
            None => engine.budget.reserve(what, bytes).map(|held| self.held = Some(held)),
        }
    }

    /// The hashes of the shards' files, and all that was merged.
    fn finish(self) -> (Vec<Option<u128>>, Merged) {
        let (shard_rows, contents): (Vec<u64>, Vec<_>) = self.rows.into_values().unzip();
        let merged = Merged {
            columns: self.columns,
            strata: self.strata,
            missing_label: self.missing_label,
            rows: shard_rows.iter().sum(),
            shard_rows,
            shard_strata: self.shard_strata.map(|strata| strata.into_values().collect()),
            _held: self.held,
        };
        (contents, merged)
    }
}
