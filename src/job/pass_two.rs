//! From the results of pass one to the published output: the plan is frozen, the parts are written, all is put in place.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use super::pass_one::{Kept, Scanned};
use super::{Job, Phase, Report};
use crate::engine::Engine;
use crate::error::{Error, Result, Site};
use crate::observe::{Event, Pass};
use crate::plan::{Ledgers, Plan, ShardFacts, VisitRows};
use crate::scan::ShardSummary;
use crate::sink::manifest::Manifest;
use crate::sink::{SealedPart, Staging, metadata};
use crate::source::{Chunk, Opened, SourceOptions};
use crate::spec::{MetadataFormat, Mode};
use crate::store::{LedgerReader, ShardRecord, StateStore};
use crate::strata::Stratum;
use crate::windows::Windows;
use crate::write::{self, ShardRows};

impl Job {
    /// Freezes the plan, writes the parts and publishes them.
    pub(super) fn finish(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        mut scanned: Scanned,
        mut phases: Vec<Phase>,
    ) -> Result<Report> {
        let started = Instant::now();
        let plan = self.freeze(engine, store, &scanned)?;
        phases.push(Phase { name: "plan", seconds: started.elapsed().as_secs_f64(), rows: plan.rows, bytes: 0 });

        let started = Instant::now();
        let bytes = plan.shards.iter().map(|shard| shard.bytes).sum();
        engine.observer.event(Event::Begin {
            pass: Pass::Write,
            rows: Some(plan.rows),
            bytes,
            shards: plan.shards.len(),
        });
        let directories: Vec<String> = plan.splits.iter().map(|split| split.name.clone()).collect();
        let output = Path::new(&self.recipe.output.path);
        let staging = Staging::begin(&engine.disk, output, self.overwrite, &directories)?;
        let mut kept = std::mem::take(&mut scanned.kept);
        if self.recipe.run.mode == Mode::Auto && engine.budget.free() < write::needed_bytes(engine, &plan, &self.recipe)
        {
            kept = Kept::default();
        }
        let options = self.options()?;
        let open = |at: usize| {
            let chunks = kept.shards.get_mut(at).and_then(Option::take);
            self.shard_rows(engine, store, &scanned, &plan, &options, at, chunks)
        };
        let sealed = write::parts(engine, &self.recipe, &plan, &scanned.collect.schema, staging.path(), open)?;
        engine.observer.event(Event::End { pass: Pass::Write });
        phases.push(Phase { name: "write", seconds: started.elapsed().as_secs_f64(), rows: plan.rows, bytes });

        let started = Instant::now();
        self.publish(&plan, &sealed, staging, &directories)?;
        phases.push(Phase { name: "publish", seconds: started.elapsed().as_secs_f64(), rows: 0, bytes: 0 });
        let mut report = self.report(&scanned, phases);
        report.fill(&plan, output, &plan.parts(&self.recipe).iter().map(|part| part.split).collect::<Vec<_>>());
        Ok(report)
    }

    pub(super) fn freeze(&self, engine: &Engine<'_>, store: &StateStore, scanned: &Scanned) -> Result<Plan> {
        let facts: Vec<ShardFacts> = scanned
            .surveyed
            .iter()
            .zip(&scanned.merged.shard_rows)
            .map(|(surveyed, rows)| ShardFacts {
                name: surveyed.shard.name.clone(),
                bytes: surveyed.shard.bytes,
                fingerprint: surveyed.fingerprint,
                rows: *rows,
            })
            .collect();
        let ledgers = StateLedgers { store, records: &scanned.records, strata: scanned.merged.shard_strata.as_deref() };
        let plan = Plan::freeze(&self.recipe, &scanned.collect, &scanned.merged, &facts, &ledgers, &engine.budget)?;
        store.save_plan(&plan)?;
        Ok(plan)
    }

    #[expect(clippy::too_many_arguments, reason = "everything that is open while a shard is read")]
    pub(super) fn shard_rows<'a>(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        scanned: &Scanned,
        plan: &'a Plan,
        options: &SourceOptions,
        at: usize,
        kept: Option<Vec<Chunk>>,
    ) -> Result<ShardRows<'a>> {
        let shard = &scanned.surveyed[at].shard;
        let windows = match kept {
            Some(chunks) => Windows::kept(engine, &scanned.collect.schema, chunks),
            None => {
                let opened = Opened::open(shard, options, Some(&scanned.surveyed[at].fields))?;
                if opened.fingerprint() != plan.shards[at].fingerprint {
                    let message = "the shard changed while the job ran; leave the input alone, then run again";
                    return Err(Error::data(Site::shard(&shard.name), message));
                }
                Windows::new(
                    engine,
                    shard,
                    &opened,
                    &scanned.collect.schema,
                    &scanned.collect.forced,
                    engine.window_bytes(),
                )?
            }
        };
        if !plan.ledger {
            let routes = |rows: usize, out: &mut VecDeque<u8>| {
                out.extend(std::iter::repeat_n(0, rows));
                Ok(())
            };
            return Ok(ShardRows { windows, routes: Box::new(routes) });
        }
        let ledgers = StateLedgers { store, records: &scanned.records, strata: scanned.merged.shard_strata.as_deref() };
        let mut router = plan.router(at, ledgers.strata(at)?)?;
        let mut reader: LedgerReader = store.open_ledger(&scanned.records[at])?;
        let mut block_routes = Vec::new();
        let routes = move |rows: usize, out: &mut VecDeque<u8>| {
            while out.len() < rows {
                let Some(block) = reader.next_block()? else { break };
                router.route(plan, block.codes, block.hashes, &mut block_routes);
                out.extend(&block_routes);
            }
            Ok(())
        };
        Ok(ShardRows { windows, routes: Box::new(routes) })
    }

    pub(super) fn publish(
        &self,
        plan: &Plan,
        sealed: &[SealedPart],
        staging: Staging,
        directories: &[String],
    ) -> Result<()> {
        let part_splits: Vec<usize> = plan.parts(&self.recipe).iter().map(|part| part.split).collect();
        let manifest = Manifest::new(plan, sealed, &part_splits).to_json();
        let pretty =
            |value: &serde_json::Value| serde_json::to_vec_pretty(value).map_err(|e| Error::failed("writing JSON", e));
        let names: Vec<&str> = plan.pipeline.output.iter().map(|column| column.name.as_str()).collect();
        staging.write("signature", names.join(",").as_bytes())?;
        match self.recipe.output.metadata {
            MetadataFormat::Json => staging.write("metadata", &pretty(&metadata::json(plan))?)?,
            MetadataFormat::Mods => staging.write("metadata", metadata::mods(plan).as_bytes())?,
            MetadataFormat::None => {}
        }
        staging.write("_manifest.json", &pretty(&manifest)?)?;
        staging.write("_SUCCESS", b"")?;
        staging.publish(directories)
    }
}

/// The ledgers of a state, as the plan reads them.
struct StateLedgers<'a> {
    store: &'a StateStore,
    records: &'a [ShardRecord],
    /// The strata of each shard, where they were kept.
    strata: Option<&'a [Vec<Stratum>]>,
}

impl Ledgers for StateLedgers<'_> {
    fn strata(&self, shard: usize) -> Result<Vec<Stratum>> {
        if let Some(kept) = self.strata {
            return Ok(kept[shard].clone());
        }
        let summary: ShardSummary = self.store.read_summary(&self.records[shard])?;
        Ok(summary.strata)
    }

    fn rows(&self, shard: usize, visit: &mut VisitRows<'_>) -> Result<()> {
        let mut reader = self.store.open_ledger(&self.records[shard])?;
        while let Some(block) = reader.next_block()? {
            visit(block.codes, block.hashes)?;
        }
        Ok(())
    }
}
