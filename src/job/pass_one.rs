//! Pass one over all shards: what is not in the state is scanned, until every shard was read under types that all
//! shards' values fit, and the shards' results are merged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::Job;
use super::bad::BadShard;
use super::from_state::Found;
use super::merging::Merging;
use super::scanning::Scanning;
use super::training::Training;
use crate::allot::Allotted;
use crate::basis::{Basis, Lack};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::observe::{Event, Pass};
use crate::plan::{Merged, ShardFacts};
use crate::preview;
use crate::scan::{Collect, ShardSummary};
use crate::schema::{self, ShardFields};
use crate::source::compression;
use crate::source::parquet::copy::Layout;
use crate::source::{Chunk, Opened, Shard, discover};
use crate::spec::Mode;
use crate::store::{ShardRecord, StateStore};

/// A shard as discovery found it.
pub(super) struct Surveyed {
    pub(super) shard: Shard,
    pub(super) fields: Arc<ShardFields>,
    pub(super) fingerprint: u128,
    pub(super) rows: Option<u64>,
    /// How a Parquet shard's row groups lie, where they might be copied.
    pub(super) layout: Option<Layout>,
}

/// The shards, as discovery found them.
pub(super) struct Survey {
    /// Those that could be opened.
    pub(super) shards: Vec<Surveyed>,
    /// The others, where they are left out.
    pub(super) bad: Vec<BadShard>,
}

/// What of the shards is read.
#[derive(Clone, Copy)]
pub(super) enum Reading<'a> {
    /// All columns.
    Whole,
    /// Those that the ledger is made of.
    Keys,
    /// All columns, when it is known which rows are fitted on.
    Training(&'a Training),
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
    /// How rows are allotted to splits, where that is known already.
    pub(super) allotted: Option<Allotted>,
    /// Shards that could not be read and were left out, by name.
    pub(super) bad_shards: Vec<BadShard>,
    /// Rows and bytes that were read just now.
    pub(super) read: (u64, u64),
}

impl Scanned {
    /// The shards as the plan knows them.
    pub(super) fn facts(&self) -> Vec<ShardFacts> {
        let shards = self.surveyed.iter().zip(&self.merged.shard_rows);
        let fact = |(surveyed, rows): (&Surveyed, &u64)| ShardFacts {
            name: surveyed.shard.name.clone(),
            bytes: surveyed.shard.bytes,
            fingerprint: surveyed.fingerprint,
            rows: *rows,
        };
        shards.map(fact).collect()
    }
}

/// Decoded shards that pass one kept, by position.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) shards: Vec<Option<Vec<Chunk>>>,
    pub(super) _reservations: Vec<Reservation>,
}

impl Kept {
    pub(super) fn forget(&mut self) {
        self.shards.iter_mut().for_each(|chunks| *chunks = None);
        self._reservations.clear();
    }
}

/// What pass one has so far.
pub(super) struct Progress {
    pub(super) records: Vec<Option<ShardRecord>>,
    pub(super) merging: Merging,
    pub(super) kept: Kept,
    /// Whether decoded columns are still kept.
    pub(super) keep: bool,
    /// Shards that cannot be read, by position.
    pub(super) bad: BTreeMap<usize, BadShard>,
    /// Positions of the shards that were scanned just now.
    pub(super) scanned: BTreeSet<usize>,
    /// Rows and bytes that were read just now.
    pub(super) read: (u64, u64),
}

impl Progress {
    /// Whether nothing is left to do of a shard.
    pub(super) fn is_done(&self, at: usize) -> bool {
        self.merging.has(at) || self.bad.contains_key(&at)
    }
}

impl Job {
    /// Finds the shards and reads what they say of themselves.
    pub(super) fn survey(&self, engine: &Engine<'_>) -> Result<Survey> {
        let discover::Found { shards, notes } = self.discover()?;
        notes.iter().for_each(|note| engine.observer.event(Event::Note(note)));
        let options = self.options()?;
        let all = shards.len();
        let open = |shard: Shard| {
            engine.go_on()?;
            let opened = match Opened::open(&shard, &options, None) {
                Err(error) if self.leaves_closed(&error) => return Ok(Err((shard.name, error.chain()))),
                opened => opened?,
            };
            Ok(Ok(Surveyed {
                fields: Arc::new(opened.fields()),
                fingerprint: opened.fingerprint(),
                rows: opened.rows(),
                layout: opened.layout().filter(|_| self.changes_nothing()),
                shard,
            }))
        };
        type Looked = std::result::Result<Surveyed, BadShard>;
        let opened: Vec<Result<Looked>> = engine.pool.install(|| shards.into_par_iter().map(open).collect());
        let mut surveyed: Vec<Surveyed> = Vec::with_capacity(opened.len());
        let mut bad = Vec::new();
        for one in opened {
            let mut one = match one? {
                Ok(one) => one,
                Err(one) => {
                    bad.push(one);
                    continue;
                }
            };
            // Shards mostly agree: one copy of the columns serves them all.
            if let Some(last) = surveyed.last().filter(|last| last.fields == one.fields) {
                one.fields = Arc::clone(&last.fields);
            }
            surveyed.push(one);
        }
        if let Some(note) = schema::alike_note(surveyed.iter().map(|one| (one.shard.name.as_str(), &*one.fields))) {
            engine.observer.event(Event::Note(&note));
        }
        self.refuse_bad_shards(&bad, all)?;
        Ok(Survey { shards: surveyed, bad })
    }

    /// Scans what is not committed, until every shard was read under the types that all shards' values fit.
    pub(super) fn complete(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        survey: Survey,
        records: Vec<Option<ShardRecord>>,
        (keep, lacking): (bool, Lacking),
        reading: Reading<'_>,
    ) -> Result<Scanned> {
        let Survey { shards: mut surveyed, bad: closed } = survey;
        let pass = if matches!(reading, Reading::Keys) { Pass::Keys } else { Pass::Scan };
        self.recall_types(store, &mut surveyed, &records)?;
        let total: u64 = surveyed.iter().map(|s| s.shard.bytes).sum();
        let rows = surveyed.iter().map(|s| s.rows).sum::<Option<u64>>();
        engine.observer.event(Event::Begin { pass, rows, bytes: total, shards: surveyed.len() });
        let mut progress = Progress {
            records,
            merging: Merging::default(),
            kept: Kept { shards: vec![None; surveyed.len()], ..Kept::default() },
            keep: keep && self.keeps(engine, &surveyed),
            bad: BTreeMap::new(),
            scanned: BTreeSet::new(),
            read: (0, 0),
        };
        loop {
            let left_out = progress.bad.len();
            let good = (0..surveyed.len()).filter(|at| !progress.bad.contains_key(at)).map(|at| &surveyed[at]);
            let unified = schema::unify(good.map(|s| (s.shard.name.as_str(), s.fields.as_ref())), &self.recipe.input)?;
            self.options()?.check_columns(unified.fields().len())?;
            let mut collect = match reading {
                Reading::Whole => Collect::new(&self.recipe, &unified)?,
                Reading::Keys => Collect::keys(&self.recipe, &unified)?,
                Reading::Training(training) => Collect::training(&self.recipe, &unified, training.rows)?,
            };
            collect.copied = self.copies(&surveyed, &unified)?;
            collect.statistics = self.needs_statistics(collect.copied);
            // The types of text are not settled before all of it was read.
            if rows.is_some() && !collect.keys_only {
                preview::refuse_misfits(&self.recipe, &collect.clone().settled()?.schema)?;
            }
            let basis = self.basis(&collect)?;
            progress.merging.restart_if_other(&unified, &collect);
            self.merge_found(engine, store, &collect, &surveyed, &mut progress, lacking)?;
            let options = self.options()?;
            let training = if let Reading::Training(training) = reading { Some(training) } else { None };
            let (surveyed_now, collect_now, basis_now) = (&surveyed, &collect, &basis);
            let scanning = Scanning {
                job: self,
                engine,
                store,
                surveyed: surveyed_now,
                collect: collect_now,
                basis: basis_now,
                options,
                training,
            };
            let widened = scanning.all(&mut progress)?;
            if !widened.is_empty() {
                widened.into_iter().for_each(|(at, fields)| surveyed[at].fields = Arc::new(fields));
                progress.kept.forget();
                continue;
            }
            if progress.bad.len() > left_out {
                let bad: Vec<BadShard> = closed.iter().chain(progress.bad.values()).cloned().collect();
                self.refuse_bad_shards(&bad, surveyed.len() + closed.len())?;
                // What they say of their columns counts no more.
                continue;
            }
            engine.observer.event(Event::End { pass });
            let Progress { records, merging, mut kept, bad, scanned, read, .. } = progress;
            let mut at = 0..surveyed.len();
            surveyed.retain(|_| at.next().is_some_and(|at| !bad.contains_key(&at)));
            let mut at = 0..kept.shards.len();
            kept.shards.retain(|_| at.next().is_some_and(|at| !bad.contains_key(&at)));
            let mut bad_shards: Vec<BadShard> = closed.into_iter().chain(bad.into_values()).collect();
            bad_shards.sort_unstable();
            let reused = surveyed.len() - scanned.len();
            let collect = collect.settled()?;
            let (contents, merged) = merging.finish(&collect);
            let records: Vec<ShardRecord> = records.into_iter().flatten().collect();
            let allotted = None;
            let scanned = Scanned {
                collect,
                basis,
                surveyed,
                records,
                contents,
                merged,
                kept,
                reused,
                allotted,
                bad_shards,
                read,
            };
            self.refuse_bad_rows(&scanned)?;
            return Ok(scanned);
        }
    }

    /// Types of text shards that were read are known, and need not be guessed from their first rows.
    fn recall_types(
        &self,
        store: &StateStore,
        surveyed: &mut [Surveyed],
        records: &[Option<ShardRecord>],
    ) -> Result<()> {
        for (one, record) in surveyed.iter_mut().zip(records).filter(|(one, _)| one.rows.is_none()) {
            let summary = match record.as_ref().map(|record| ShardSummary::read(store, record)) {
                Some(Ok(summary)) => summary,
                // What is damaged is found to be so when it is merged.
                None | Some(Err(Error::Damaged { .. })) => continue,
                Some(Err(error)) => return Err(error),
            };
            let known = summary.fields.into_iter().map(|(name, data_type)| Some((name, schema::of_name(&data_type)?)));
            if let Some(known) = known.collect::<Option<ShardFields>>().filter(|known| *known != *one.fields) {
                one.fields = Arc::new(known);
            }
        }
        Ok(())
    }

    /// Merges what the state has of shards and serves; other records are taken for none.
    fn merge_found(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        collect: &Collect,
        surveyed: &[Surveyed],
        progress: &mut Progress,
        lacking: Lacking,
    ) -> Result<()> {
        let Progress { records, merging, .. } = progress;
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
                        merging.add(at, &summary, columns)?;
                        let bytes = surveyed[at].shard.bytes;
                        engine.observer.event(Event::Advance { rows: summary.rows, bytes });
                        continue;
                    }
                    Found::OtherTypes => {}
                    // As it should be where the keys were read before.
                    Found::Lacks(Lack::KeysOnly) if lacking == Lacking::Scan => {}
                    Found::Lacks(lack) => reasons.push(self.explain(collect, &lack)?),
                    Found::Damaged(what) => reasons.push(what),
                }
                records[at] = None;
            }
            merging.hold(engine)?;
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
                let decoded: u64 = surveyed.iter().map(decoded_bytes).sum();
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
            None => self.keep_no_more(engine, kept),
        }
    }

    /// Lets go of all decoded columns: pass two reads the shards again, if it may.
    pub(super) fn keep_no_more(&self, engine: &Engine<'_>, kept: &mut Kept) -> Result<bool> {
        if self.recipe.run.mode == Mode::InMemory {
            return Err(Error::Memory {
                what: "keeping the decoded columns (run.mode = \"in_memory\")".into(),
                needed: engine.budget.limit() + 1,
                limit: engine.budget.limit(),
                advice: ", or leave run.mode at \"auto\"".into(),
            });
        }
        kept.forget();
        Ok(false)
    }
}

/// About what a shard takes when all its columns are decoded, in bytes; keeping ends where the budget does all the same.
fn decoded_bytes(surveyed: &Surveyed) -> u64 {
    match surveyed.rows {
        // Eight bytes a value, and half as much again for what comes in and goes out.
        Some(rows) => rows * surveyed.fields.len() as u64 * 12,
        // Numbers of a few digits become eight bytes; a tenth is what compression leaves of them.
        None if compression::is_named_so(&surveyed.shard.path) => surveyed.shard.bytes * 10,
        None => surveyed.shard.bytes * 3 / 2,
    }
}

/// What a column's summary without its values takes at the most, in bytes.
const MOST_COLUMN_BYTES: u64 = 24 << 10;
