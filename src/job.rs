//! A job from recipe to published output: discover, scan, freeze, write, publish. The sole owner of that order.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use rayon::prelude::*;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::observe::{Event, Observer, Pass};
use crate::plan::{Ledgers, Merged, Plan, ShardFacts, VisitRows};
use crate::preview;
use crate::scan::{self, Collect, Outcome, ShardSummary};
use crate::schema::{self, ShardFields};
use crate::sink::manifest::Manifest;
use crate::sink::{SealedPart, Staging, metadata, staging};
use crate::source::{Chunk, Opened, Shard, SourceOptions, discover};
use crate::spec::{ImputeStrategy, MetadataFormat, Mode, Recipe, Resume, Transform, check};
use crate::state::Summary;
use crate::store::frame::{self, Kind};
use crate::store::{
    Identity, LEDGER_BUFFER_BYTES, LedgerReader, Opened as OpenedState, ShardRecord, ShardStamp, StateStore,
};
use crate::strata::Stratum;
use crate::transform;
use crate::windows::Windows;
use crate::write::{self, ShardRows};

/// Version of what this module puts into summaries and plans.
const STATE_FORMAT: u32 = 1;

/// A checked recipe, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    recipe: Recipe,
    overwrite: bool,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where the output is; nothing after a scan.
    pub output: Option<PathBuf>,
    /// Where the state is.
    pub state: PathBuf,
    /// The plan's fingerprint; nothing after a scan.
    pub fingerprint: Option<String>,
    /// Rows read.
    pub rows: u64,
    /// Shards of the input.
    pub shards: usize,
    /// Shards whose results an earlier run had left.
    pub reused_shards: usize,
    /// Input columns, and output columns after a write.
    pub columns: (usize, Option<usize>),
    /// The splits.
    pub splits: Vec<SplitReport>,
    /// Dropped rows by reason.
    pub dropped: Vec<(String, u64)>,
    /// Time of each phase.
    pub phases: Vec<Phase>,
}

/// One split of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SplitReport {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Files it has.
    pub parts: usize,
    /// Rows by stratum.
    pub strata: Vec<(String, u64)>,
}

/// One phase of a [`Report`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phase {
    /// scan, plan, write or publish.
    pub name: &'static str,
    /// Wall time.
    pub seconds: f64,
    /// Rows it went through.
    pub rows: u64,
    /// Bytes of the shards it read.
    pub bytes: u64,
}

/// A shard as discovery found it.
struct Surveyed {
    shard: Shard,
    fields: Arc<ShardFields>,
    fingerprint: u128,
    rows: Option<u64>,
}

/// Everything pass one leaves for what follows.
struct Scanned {
    collect: Collect,
    surveyed: Vec<Surveyed>,
    records: Vec<ShardRecord>,
    merged: Merged,
    kept: Kept,
    reused: usize,
    /// Rows and bytes that were read just now.
    read: (u64, u64),
}

/// Decoded shards that pass one kept, by position.
#[derive(Default)]
struct Kept {
    shards: Vec<Option<Vec<Chunk>>>,
    _reservations: Vec<Reservation>,
}

impl Job {
    /// Checks everything about a recipe that can be known without data.
    ///
    /// # Errors
    /// [`Error::Recipe`].
    pub fn new(recipe: Recipe) -> Result<Self> {
        check::recipe(&recipe)?;
        transform::check(&recipe)?;
        Ok(Self { recipe, overwrite: false })
    }

    /// The same job, which may replace an output of twopass.
    #[must_use]
    pub fn overwriting(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    pub(crate) fn overwrites(&self) -> bool {
        self.overwrite
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Where the state is: as the recipe says, or beside the output.
    pub fn state_path(&self) -> PathBuf {
        let output = Path::new(&self.recipe.output.path);
        self.recipe.run.state.as_ref().map_or_else(
            || {
                let name = output.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy());
                output.with_file_name(format!("{name}.state"))
            },
            PathBuf::from,
        )
    }

    /// Pass one, plan, pass two, publish.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(&self, observer: &dyn Observer) -> Result<Report> {
        let engine = Engine::new(&self.recipe.run, observer)?;
        staging::check_target(Path::new(&self.recipe.output.path), self.overwrite)?;
        let mut phases = Vec::new();
        let (store, scanned) = self.scan_all(&engine, true, &mut phases)?;
        self.finish(&engine, &store, scanned, phases)
    }

    /// Pass one alone: fills the state.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn scan(&self, observer: &dyn Observer) -> Result<Report> {
        let engine = Engine::new(&self.recipe.run, observer)?;
        let mut phases = Vec::new();
        let (_, scanned) = self.scan_all(&engine, false, &mut phases)?;
        Ok(self.report(&scanned, phases))
    }

    /// Pass two alone, from a complete state.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the state is missing, of another job, or lacks a shard; otherwise see [`Error`].
    pub fn write(&self, observer: &dyn Observer) -> Result<Report> {
        let engine = Engine::new(&self.recipe.run, observer)?;
        staging::check_target(Path::new(&self.recipe.output.path), self.overwrite)?;
        let mut phases = Vec::new();
        let started = Instant::now();
        let surveyed = self.survey(&engine)?;
        let (store, identity) = StateStore::open_existing(&self.state_path())?;
        if identity.scan_fingerprint != self.scan_fingerprint()? {
            return Err(self.other_recipe());
        }
        let committed = self.committed(&store, &surveyed);
        let missing = committed.iter().filter(|record| record.is_none()).count();
        if missing > 0 {
            let message = format!(
                "the state at {} lacks {missing} of {} shards, or they changed; run `twopass scan` first",
                store.path().display(),
                surveyed.len()
            );
            return Err(Error::Conflict(message));
        }
        let scanned = self.complete(&engine, &store, surveyed, committed, false)?;
        phases.push(Phase { name: "scan", seconds: started.elapsed().as_secs_f64(), rows: 0, bytes: 0 });
        self.finish(&engine, &store, scanned, phases)
    }

    fn scan_all(&self, engine: &Engine<'_>, keep: bool, phases: &mut Vec<Phase>) -> Result<(StateStore, Scanned)> {
        let started = Instant::now();
        let surveyed = self.survey(engine)?;
        let store = self.open_state(engine, &surveyed)?;
        for record in store.shard_records() {
            if !surveyed.iter().any(|s| s.shard.name == record.stamp.name) {
                store.forget_shard(&record.stamp.name)?;
            }
        }
        let committed = self.committed(&store, &surveyed);
        let scanned = self.complete(engine, &store, surveyed, committed, keep)?;
        let (rows, bytes) = scanned.read;
        phases.push(Phase { name: "scan", seconds: started.elapsed().as_secs_f64(), rows, bytes });
        Ok((store, scanned))
    }

    pub(crate) fn options(&self) -> Result<SourceOptions> {
        SourceOptions::new(&self.recipe.input)
    }

    /// Finds the shards and reads what they say of themselves.
    fn survey(&self, engine: &Engine<'_>) -> Result<Vec<Surveyed>> {
        let shards = discover::shards(&self.recipe.input)?;
        let options = self.options()?;
        let open = |shard: Shard| {
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

    fn open_state(&self, engine: &Engine<'_>, surveyed: &[Surveyed]) -> Result<StateStore> {
        let path = self.state_path();
        let resume = self.recipe.run.resume;
        if resume == Resume::Never {
            StateStore::discard(&path)?;
        }
        let identity = Identity {
            format: STATE_FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            scan_fingerprint: self.scan_fingerprint()?,
            input: self.recipe.input.path.as_slice().join(", "),
            description: self.scan_description()?,
        };
        let start_over = |why: &str| {
            engine.observer.event(Event::Note(&format!("{why}; starting over")));
            StateStore::discard(&path)?;
            StateStore::open_or_create(&path, &identity)
        };
        let opened = match StateStore::open_or_create(&path, &identity) {
            Err(Error::Damaged { what, .. }) if resume == Resume::IfPossible => {
                start_over(&format!("the state at {} is damaged ({what})", path.display()))?
            }
            opened => opened?,
        };
        match opened {
            OpenedState::Fresh(_) if resume == Resume::Always => {
                Err(Error::Conflict(format!("--resume always, but there is no state at {}", path.display())))
            }
            OpenedState::Fresh(store) => Ok(store),
            OpenedState::Existing(store, found) => {
                let same_recipe =
                    found.scan_fingerprint == identity.scan_fingerprint && found.format == identity.format;
                let records = store.shard_records();
                let ours = records.is_empty()
                    || records.iter().any(|record| surveyed.iter().any(|s| s.shard.name == record.stamp.name));
                // A moved directory names its shards as before; another input under the same recipe does not.
                if found.input != identity.input && !ours {
                    let message = format!(
                        "the state at {} belongs to another job (input {}); choose another --state, or give --resume never to replace it",
                        path.display(),
                        found.input
                    );
                    return Err(Error::Conflict(message));
                }
                if same_recipe {
                    return Ok(store);
                }
                if resume == Resume::Always {
                    return Err(self.other_recipe());
                }
                drop(store);
                match start_over(&format!("the state at {} was collected for another recipe", path.display()))? {
                    OpenedState::Fresh(store) | OpenedState::Existing(store, _) => Ok(store),
                }
            }
        }
    }

    fn other_recipe(&self) -> Error {
        let path = self.state_path();
        Error::Conflict(format!(
            "the state at {} was collected for another recipe; run `twopass scan` with this one, or choose another --state",
            path.display()
        ))
    }

    /// What of the recipe pass one depends on, as JSON.
    fn scan_description(&self) -> Result<String> {
        let recipe = &self.recipe;
        let by_value = |step: &&Transform| match step {
            Transform::OrdinalEncoder(_) | Transform::OneHotEncoder(_) => true,
            Transform::SimpleImputer(op) => op.strategy == ImputeStrategy::MostFrequent,
            Transform::StandardScaler(_) | Transform::MinMaxScaler(_) => false,
        };
        let vocabularies: Vec<_> = recipe.transform.iter().filter(by_value).map(Transform::columns).collect();
        let stratify = Collect::stratify_names(recipe);
        let input = &recipe.input;
        let described = serde_json::json!({
            "format": input.format,
            "signature": self.options()?.signature_names(),
            "schema": input.schema,
            "missing_columns": input.missing_columns,
            "extra_columns": input.extra_columns,
            "label": recipe.label,
            "key": recipe.split.key,
            "stratify": stratify,
            "ledger": recipe.split.kind != crate::spec::SplitKind::None || recipe.label.is_some(),
            "vocabularies": vocabularies,
        });
        Ok(described.to_string())
    }

    pub(crate) fn scan_fingerprint(&self) -> Result<String> {
        let text = format!("{STATE_FORMAT} {} {}", env!("CARGO_PKG_VERSION"), self.scan_description()?);
        Ok(format!("{:032x}", xxh3_128(text.as_bytes())))
    }

    /// For each shard its record in the state, when it is still the same shard.
    fn committed(&self, store: &StateStore, surveyed: &[Surveyed]) -> Vec<Option<ShardRecord>> {
        let records = store.shard_records();
        let trusted = self.recipe.run.resume == Resume::Always;
        let find = |surveyed: &Surveyed| {
            let at = records.binary_search_by(|record| record.stamp.name.as_str().cmp(&surveyed.shard.name)).ok()?;
            let stamp = &records[at].stamp;
            let same = *stamp == stamp_of(surveyed) || (trusted && stamp.bytes == surveyed.shard.bytes);
            same.then(|| records[at].clone())
        };
        surveyed.iter().map(find).collect()
    }

    /// Scans what is not committed, until every shard was read under the types that all shards' values fit.
    fn complete(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        mut surveyed: Vec<Surveyed>,
        mut records: Vec<Option<ShardRecord>>,
        keep: bool,
    ) -> Result<Scanned> {
        let reused = records.iter().flatten().count();
        let mut read = (0, 0);
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
            let read_as = scan::type_names(&unified);
            merging.restart_if_other(&unified, &collect);
            for at in 0..surveyed.len() {
                if merging.has(at) {
                    continue;
                }
                if let Some(record) = &records[at] {
                    let summary: ShardSummary = store.read_summary(record)?;
                    if summary.read_as == read_as {
                        merging.add(engine, at, &summary, summary.decode_columns()?)?;
                        let bytes = surveyed[at].shard.bytes;
                        engine.observer.event(Event::Advance { rows: summary.rows, bytes });
                        continue;
                    }
                }
                let one = &surveyed[at];
                let opened = Opened::open(&one.shard, &self.options()?, Some(&one.fields))?;
                let mut ledger = store.create_ledger(&one.shard.name)?;
                let _ledger_buffer = engine.budget.reserve("the row ledger", LEDGER_BUFFER_BYTES)?;
                match scan::shard(engine, &one.shard, &opened, &collect, &mut ledger, keep)? {
                    Outcome::Widened(fields) => {
                        surveyed[at].fields = Arc::new(fields);
                        kept.shards.iter_mut().for_each(|chunks| *chunks = None);
                        kept._reservations.clear();
                        continue 'schema;
                    }
                    Outcome::Done { summary, columns, cached } => {
                        let framed = frame::encode(Kind::Summary, &summary)?;
                        records[at] = Some(store.commit_shard(stamp_of(one), &framed, ledger.seal()?)?);
                        merging.add(engine, at, &summary, columns)?;
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
            let merged = merging.finish();
            let collect = Collect { schema: schema::settled(&collect.schema), ..collect };
            return Ok(Scanned { collect, surveyed, records, merged, kept, reused, read });
        }
    }

    /// Whether pass one should keep the decoded columns.
    fn keeps(&self, engine: &Engine<'_>, surveyed: &[Surveyed]) -> bool {
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
    fn keep_chunks(&self, engine: &Engine<'_>, kept: &mut Kept, at: usize, chunks: Vec<Chunk>) -> Result<bool> {
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

    /// Freezes the plan, writes the parts and publishes them.
    fn finish(
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
        let staging = Staging::begin(output, self.overwrite, &directories)?;
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

    fn freeze(&self, engine: &Engine<'_>, store: &StateStore, scanned: &Scanned) -> Result<Plan> {
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
        let ledgers = StateLedgers { store, records: &scanned.records };
        let plan = Plan::freeze(&self.recipe, &scanned.collect, &scanned.merged, &facts, &ledgers, &engine.budget)?;
        store.save_plan(&plan)?;
        Ok(plan)
    }

    #[expect(clippy::too_many_arguments, reason = "everything that is open while a shard is read")]
    fn shard_rows<'a>(
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
                    return Err(Error::data(crate::error::Site::shard(&shard.name), message));
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
        let ledgers = StateLedgers { store, records: &scanned.records };
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

    fn publish(&self, plan: &Plan, sealed: &[SealedPart], staging: Staging, directories: &[String]) -> Result<()> {
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

    fn report(&self, scanned: &Scanned, phases: Vec<Phase>) -> Report {
        Report {
            output: None,
            state: self.state_path(),
            fingerprint: None,
            rows: scanned.merged.rows,
            shards: scanned.surveyed.len(),
            reused_shards: scanned.reused,
            columns: (scanned.collect.schema.fields().len(), None),
            splits: Vec::new(),
            dropped: vec![("missing_label".to_string(), scanned.merged.missing_label)]
                .into_iter()
                .filter(|(_, rows)| *rows > 0)
                .collect(),
            phases,
        }
    }
}

impl Report {
    fn fill(&mut self, plan: &Plan, output: &Path, part_splits: &[usize]) {
        self.output = Some(output.to_path_buf());
        self.fingerprint = Some(plan.fingerprint.clone());
        self.columns.1 = Some(plan.pipeline.output.len());
        let strata = |at: usize| match plan.stratify.is_empty() {
            true => Vec::new(),
            false => {
                plan.strata.iter().enumerate().map(|(s, stratum)| (stratum.name(), plan.quotas.of(s)[at])).collect()
            }
        };
        let split = |(at, split): (usize, &crate::plan::PlannedSplit)| SplitReport {
            name: split.name.clone(),
            rows: split.rows,
            parts: part_splits.iter().filter(|split| **split == at).count(),
            strata: strata(at),
        };
        self.splits = plan.splits.iter().enumerate().map(split).collect();
    }
}

fn stamp_of(surveyed: &Surveyed) -> ShardStamp {
    let shard = &surveyed.shard;
    // A footer's hash says more than a time, which a copy changes; without one, the time has to do.
    let modified = if surveyed.rows.is_some() { 0 } else { shard.modified };
    ShardStamp {
        name: shard.name.clone(),
        bytes: shard.bytes,
        modified_seconds: modified.div_euclid(1_000_000_000),
        modified_nanos: modified.rem_euclid(1_000_000_000) as u32,
        fingerprint: surveyed.fingerprint,
    }
}

/// Pass one's results while shards are added, in any order: nothing here depends on it.
#[derive(Default)]
struct Merging {
    schema: Option<SchemaRef>,
    columns: Vec<scan::ColumnSummary>,
    strata: hashbrown::HashMap<Vec<Option<String>>, u64>,
    missing_label: u64,
    /// Rows of each shard that was added, by position.
    rows: BTreeMap<usize, u64>,
    /// For the columns and strata: what was merged stays until the plan is frozen.
    held: Option<Reservation>,
}

impl Merging {
    fn restart_if_other(&mut self, schema: &SchemaRef, collect: &Collect) {
        if self.schema.as_ref() != Some(schema) {
            *self = Self { schema: Some(Arc::clone(schema)), columns: collect.empty_columns(), ..Self::default() };
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
        columns: Vec<scan::ColumnSummary>,
    ) -> Result<()> {
        for (merged, column) in self.columns.iter_mut().zip(columns) {
            merged.merge(column)?;
        }
        for Stratum { values, rows } in &summary.strata {
            *self.strata.entry_ref(values.as_slice()).or_insert(0) += rows;
        }
        self.missing_label += summary.missing_label;
        self.rows.insert(shard, summary.rows);
        let columns: usize = self.columns.iter().map(|column| column.state.heap_bytes()).sum();
        let strata: usize = self.strata.keys().flatten().map(|value| value.as_ref().map_or(0, String::len) + 64).sum();
        let what = "the statistics of all shards";
        let bytes = (columns + strata) as u64;
        match &mut self.held {
            Some(held) => held.resize(what, bytes),
            None => engine.budget.reserve(what, bytes).map(|held| self.held = Some(held)),
        }
    }

    fn finish(self) -> Merged {
        Merged {
            columns: self.columns,
            strata: self.strata,
            missing_label: self.missing_label,
            rows: self.rows.values().sum(),
            shard_rows: self.rows.into_values().collect(),
            _held: self.held,
        }
    }
}

/// The ledgers of a state, as the plan reads them.
struct StateLedgers<'a> {
    store: &'a StateStore,
    records: &'a [ShardRecord],
}

impl Ledgers for StateLedgers<'_> {
    fn strata(&self, shard: usize) -> Result<Vec<Stratum>> {
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
