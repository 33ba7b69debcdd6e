//! From the results of pass one to the published output: the plan is frozen, the parts are written, all is put in place.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use super::ledgers::{StateLedgers, keys};
use super::pass_one::{Kept, Scanned};
use super::{Job, Phase, Report};
use crate::allot::{self, Allotted, Inputs, Ledgers};
use crate::engine::Engine;
use crate::error::{Error, Result, Site};
use crate::observe::{Event, Pass};
use crate::plan::{Plan, PlannedPart};
use crate::remaining::Remaining;
use crate::sink::manifest::Manifest;
use crate::sink::parts::Destination;
use crate::sink::space;
use crate::sink::staging::Claim;
use crate::sink::{SealedPart, Staging, metadata};
use crate::source::parquet::ParquetShard;
use crate::source::{Chunk, Opened, Shard, SourceOptions};
use crate::spec::files::MANIFEST;
use crate::spec::{MetadataFormat, Mode};
use crate::split::Marks;
use crate::store::{LedgerReader, PartRecord, StateStore};
use crate::windows::Windows;
use crate::write::{self, ShardRows};

impl Job {
    /// Freezes the plan, writes the parts and publishes them.
    pub(super) fn finish(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        claim: Claim,
        mut scanned: Scanned,
        mut phases: Vec<Phase>,
    ) -> Result<Report> {
        let started = Instant::now();
        let (plan, marks) = self.freeze(engine, store, &mut scanned)?;
        for empty in plan.splits.iter().filter(|split| split.rows == 0) {
            engine.observer.event(Event::Warning(&format!("split {} has no rows", empty.name)));
        }
        plan.warnings().iter().for_each(|warning| engine.observer.event(Event::Warning(warning)));
        phases.push(Phase { name: "plan", seconds: started.elapsed().as_secs_f64(), rows: plan.rows, bytes: 0 });

        let started = Instant::now();
        let bytes = plan.shards.iter().map(|shard| shard.bytes).sum();
        engine.observer.event(Event::Begin {
            pass: Pass::Write,
            rows: Some(plan.rows),
            bytes,
            shards: plan.shards.len(),
        });
        let planned = plan.parts(&self.files);
        let recorded = recorded_parts(store, &planned);
        let begin = || Staging::begin(self.target(engine), claim, &recorded, &|| engine.go_on());
        let (staging, intact) = engine.pool.install(begin)?;
        let remaining = remaining(&plan, &planned, &intact);
        self.check_space(engine, &plan, remaining.parts(), &planned, &staging)?;
        let mut kept = std::mem::take(&mut scanned.kept);
        if self.recipe.run.mode == Mode::Auto && engine.budget.free() < write::needed_bytes(engine, &plan, &self.recipe)
        {
            kept = Kept::default();
        }
        let options = self.options()?;
        let open = |at: usize| {
            let chunks = kept.shards.get_mut(at).and_then(Option::take);
            self.shard_rows(engine, store, &scanned, (&plan, marks.as_ref(), &remaining), &options, at, chunks)
        };
        let note_sealed = |part: &SealedPart| store.commit_part(record_of(part)?);
        let destination =
            Destination { disk: &engine.disk, staged: &|path| staging.staged(path), sealed: &note_sealed };
        let derived = &scanned.collect.derived;
        let written = if plan.copied {
            let open = |at: usize| self.stored_shard(&scanned, &plan, &options, at);
            write::stored::parts(engine, &self.recipe, &plan, &remaining, destination, open)
        } else {
            write::parts(engine, &self.recipe, &plan, &remaining, derived, destination, open)
        };
        let written = written.map_err(|error| self.forget_unreadable(store, &scanned, error))?;
        let sealed = in_order(&planned, &intact, written);
        engine.observer.event(Event::End { pass: Pass::Write });
        phases.push(Phase { name: "write", seconds: started.elapsed().as_secs_f64(), rows: plan.rows, bytes });

        let started = Instant::now();
        self.write_skipped(store, &scanned, &staging)?;
        let copy = |part: &SealedPart| staging.copy(part, &|| engine.go_on());
        engine.pool.install(|| sealed.par_iter().try_for_each(copy))?;
        self.publish(&plan, &sealed, staging)?;
        phases.push(Phase { name: "publish", seconds: started.elapsed().as_secs_f64(), rows: 0, bytes: 0 });
        let mut report = self.report(&scanned, phases);
        report.kept_parts = intact.len();
        report.fill(
            &plan,
            Path::new(&self.recipe.output.path),
            &planned.iter().map(|part| part.split).collect::<Vec<_>>(),
        );
        Ok(report)
    }

    /// Asks whether there is room for what is left to be written: parts, and all copies.
    fn check_space(
        &self,
        engine: &Engine<'_>,
        plan: &Plan,
        left: &[PlannedPart],
        planned: &[PlannedPart],
        staging: &Staging,
    ) -> Result<()> {
        let copies = planned.iter().flat_map(|part| part.copies.iter().map(|path| (path, part.rows)));
        let files = left.iter().map(|part| (&part.path, part.rows)).chain(copies);
        let files = files.map(|(path, rows)| (staging.staged(path), rows));
        for (directory, rows) in space::by_file_system(&engine.disk, files)? {
            let note = space::check(&directory, space::estimate(plan, &self.recipe, rows))?;
            note.iter().for_each(|note| engine.observer.event(Event::Note(note)));
        }
        Ok(())
    }

    pub(super) fn freeze(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        scanned: &mut Scanned,
    ) -> Result<(Plan, Option<Marks>)> {
        let allotted = scanned.allotted.take();
        let scanned: &Scanned = scanned;
        let facts = scanned.facts();
        let ledgers = StateLedgers::new(engine, store, scanned);
        let freeze = || {
            let allotted = match allotted {
                None => self.allot(engine, scanned, &ledgers)?,
                known => known,
            };
            let (collect, merged) = (&scanned.collect, &scanned.merged);
            Plan::freeze(&self.recipe, (collect, merged), &facts, allotted, &ledgers)
        };
        let (mut plan, marks) = engine.pool.install(freeze)?;
        plan.bad_shards = scanned.bad_shards.clone();
        store.save_plan(&plan)?;
        Ok((plan, marks))
    }

    /// Which split each row goes to; nothing when all go to one.
    pub(super) fn allot(
        &self,
        engine: &Engine<'_>,
        scanned: &Scanned,
        ledgers: &dyn Ledgers,
    ) -> Result<Option<Allotted>> {
        if !scanned.collect.ledger {
            return Ok(None);
        }
        let inputs = Inputs {
            recipe: &self.recipe,
            schema: &scanned.collect.schema,
            strata: &scanned.merged.strata,
            shard_rows: &scanned.merged.shard_rows,
            ledgers,
            budget: &engine.budget,
        };
        allot::allot(&inputs).map(Some)
    }

    #[expect(clippy::too_many_arguments, reason = "everything that is open while a shard is read")]
    pub(super) fn shard_rows<'a>(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        scanned: &'a Scanned,
        (plan, marks, remaining): (&'a Plan, Option<&'a Marks>, &'a Remaining),
        options: &SourceOptions,
        at: usize,
        kept: Option<Vec<Chunk>>,
    ) -> Result<ShardRows<'a>> {
        let shard = &scanned.surveyed[at].shard;
        shard.check_unchanged()?;
        let mut skip = remaining.skip(at);
        let windows = match kept {
            Some(chunks) => Windows::kept(engine, &scanned.collect.schema, chunks),
            None => {
                let opened = Opened::open(shard, options, Some(&scanned.surveyed[at].fields))?;
                if opened.fingerprint() != plan.shards[at].fingerprint {
                    return Err(shard.changed());
                }
                Windows::new(
                    engine,
                    shard,
                    &opened,
                    &scanned.collect.derived.source,
                    &scanned.collect.forced,
                    engine.window_bytes(),
                )?
            }
        };
        let Some(allotment) = &plan.allotment else {
            let routes = move |rows: usize, out: &mut VecDeque<u8>| {
                let mut block = vec![0; rows];
                skip.apply(&mut block);
                out.extend(block);
                Ok(())
            };
            return Ok(ShardRows { shard, content: scanned.contents[at], windows, routes: Box::new(routes) });
        };
        let mut router = plan.router(at, StateLedgers::new(engine, store, scanned).codes(at)?.into_owned());
        let mut reader: LedgerReader = store.open_ledger(&scanned.records[at])?;
        let roles = scanned.merged.shard_roles[at];
        let mut block_routes = Vec::new();
        let routes = move |rows: usize, out: &mut VecDeque<u8>| {
            while out.len() < rows {
                let Some(block) = reader.next_block()? else { break };
                router.route(allotment, marks, keys(block.rows, roles)?, &mut block_routes)?;
                skip.apply(&mut block_routes);
                out.extend(&block_routes);
            }
            Ok(())
        };
        Ok(ShardRows { shard, content: scanned.contents[at], windows, routes: Box::new(routes) })
    }

    fn stored_shard<'a>(
        &self,
        scanned: &'a Scanned,
        plan: &Plan,
        options: &SourceOptions,
        at: usize,
    ) -> Result<(&'a Shard, Arc<ParquetShard>)> {
        let shard = &scanned.surveyed[at].shard;
        shard.check_unchanged()?;
        match Opened::open(shard, options, None)? {
            Opened::Parquet(stored) if stored.footer_hash() == plan.shards[at].fingerprint => Ok((shard, stored)),
            Opened::Parquet(_) | Opened::Text(_) => Err(shard.changed()),
        }
    }

    pub(super) fn publish(&self, plan: &Plan, sealed: &[SealedPart], staging: Staging) -> Result<()> {
        let part_splits: Vec<usize> = plan.parts(&self.files).iter().map(|part| part.split).collect();
        let manifest = Manifest::new(plan, sealed, &part_splits).to_json();
        let pretty =
            |value: &serde_json::Value| serde_json::to_vec_pretty(value).map_err(|e| Error::failed("writing JSON", e));
        let names: Vec<&str> = plan.pipeline.output.iter().map(|column| column.name.as_str()).collect();
        staging.write(self.files.signature(), names.join(",").as_bytes())?;
        let at = &self.recipe.output.metadata_file;
        match self.recipe.output.metadata {
            MetadataFormat::Json => staging.write(at, &pretty(&metadata::json(plan))?)?,
            MetadataFormat::Mods => staging.write(at, metadata::mods(plan).as_bytes())?,
            MetadataFormat::None => {}
        }
        staging.write(MANIFEST, &pretty(&manifest)?)?;
        staging.publish()
    }
}

impl Job {
    /// A shard that pass one could read and pass two cannot is another one now. It is forgotten, and with it the plan and
    /// its parts: the next run reads it again, and no part with rows of both is ever taken for whole. Where its size or
    /// time changed, the error says that rather than what came of it.
    fn forget_unreadable(&self, store: &StateStore, scanned: &Scanned, error: Error) -> Error {
        let Error::Data { site: Site { shard: Some(name), .. }, .. } = &error else { return error };
        let Some(one) = scanned.surveyed.iter().find(|one| one.shard.name == *name) else { return error };
        match store.forget_shard(name) {
            Err(disk) => disk,
            Ok(()) => one.shard.check_unchanged().err().unwrap_or(error),
        }
    }
}

/// What the state has of each planned part, the latest record of each.
fn recorded_parts(store: &StateStore, planned: &[PlannedPart]) -> Vec<PartRecord> {
    let records = store.part_records();
    let by_path: HashMap<&str, &PartRecord> = records.iter().map(|record| (record.path.as_str(), record)).collect();
    let record = |part: &PlannedPart| by_path.get(part.path.as_str()).filter(|record| record.rows == part.rows);
    planned.iter().filter_map(record).map(|record| (*record).clone()).collect()
}

fn remaining(plan: &Plan, planned: &[PlannedPart], intact: &[PartRecord]) -> Remaining {
    let intact: HashSet<&str> = intact.iter().map(|part| part.path.as_str()).collect();
    let kept: Vec<bool> = planned.iter().map(|part| intact.contains(part.path.as_str())).collect();
    Remaining::new(plan, planned, &kept)
}

fn record_of(part: &SealedPart) -> Result<PartRecord> {
    let xxh3 = u128::from_str_radix(&part.xxh3, 16).map_err(|e| Error::failed("recording a part", e))?;
    Ok(PartRecord { path: part.path.clone(), rows: part.rows, bytes: part.bytes, xxh3 })
}

/// The parts that were kept and those that were written, in the plan's order.
fn in_order(planned: &[PlannedPart], intact: &[PartRecord], written: Vec<SealedPart>) -> Vec<SealedPart> {
    let kept = intact.iter().map(|part| SealedPart {
        path: part.path.clone(),
        copies: Vec::new(),
        rows: part.rows,
        bytes: part.bytes,
        xxh3: format!("{:032x}", part.xxh3),
    });
    let mut by_path: HashMap<String, SealedPart> = kept.chain(written).map(|part| (part.path.clone(), part)).collect();
    let sealed = |part: &PlannedPart| Some(SealedPart { copies: part.copies.clone(), ..by_path.remove(&part.path)? });
    planned.iter().filter_map(sealed).collect()
}
