//! A job from recipe to published output: discover, scan, freeze, write, publish. The sole owner of that order.

mod bad;
mod copying;
mod from_state;
mod ledgers;
mod merging;
mod pass_one;
mod pass_two;
mod report;
mod scanning;
mod state;
mod training;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::disk::Disk;
use crate::engine::Engine;
use crate::error::{Error, Result, Site};
use crate::observe::{Event, Observer};
use crate::sink::staging::Target;
use crate::source::{Limits, Shard, SourceOptions, discover};
use crate::spec::files::{Files, default_state};
use crate::spec::{ByteSize, OnBad, Recipe, Resume, check};
use crate::store::StateStore;
use crate::transform;

use pass_one::{Lacking, Scanned, Survey};
pub use report::{Phase, Report, SplitReport};

/// How often a job begins again because files of its state are damaged; a disk that damages them as fast is no disk.
const MOST_REPAIRS: usize = 3;

/// A checked recipe, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    recipe: Recipe,
    files: Files,
    overwrite: bool,
    disk: Disk,
}

impl Job {
    /// Checks everything about a recipe that can be known without data.
    ///
    /// # Errors
    /// [`Error::Recipe`].
    pub fn new(recipe: Recipe) -> Result<Self> {
        check::recipe(&recipe)?;
        transform::check(&recipe)?;
        let files = Files::of(&recipe)?;
        Ok(Self { recipe, files, overwrite: false, disk: Disk::default() })
    }

    /// The same job, which may replace an output of twopass.
    #[must_use]
    pub fn overwriting(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// The same job, with this for `run.memory`.
    #[must_use]
    pub fn within(mut self, memory: ByteSize) -> Self {
        self.recipe.run.memory = memory;
        self
    }

    /// For tests: the same job on another disk.
    #[doc(hidden)]
    #[must_use]
    pub fn on_disk(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }

    fn engine<'a>(&self, observer: &'a dyn Observer) -> Result<Engine<'a>> {
        Ok(Engine { disk: self.disk.clone(), ..Engine::new(&self.recipe.run, observer)? })
    }

    /// Where the output will be.
    pub(crate) fn target<'a>(&'a self, engine: &'a Engine<'_>) -> Target<'a> {
        Target { disk: &engine.disk, files: &self.files, overwrite: self.overwrite }
    }

    /// Where the output's files will be.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Where the state is: as the recipe says, or beside the output.
    pub fn state_path(&self) -> PathBuf {
        let beside = || default_state(Path::new(&self.recipe.output.path));
        self.recipe.run.state.as_ref().map_or_else(beside, PathBuf::from)
    }

    /// Pass one, plan, pass two, publish.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(&self, observer: &dyn Observer) -> Result<Report> {
        let engine = self.engine(observer)?;
        self.repairing(&engine, || {
            self.target(&engine).check()?;
            let started = Instant::now();
            let survey = self.survey(&engine)?;
            let claim = self.target(&engine).claim()?;
            let (store, scanned) = self.scan_all(&engine, survey, true)?;
            let phases = vec![scan_phase(started, &scanned)];
            self.finish(&engine, &store, claim, scanned, phases)
        })
    }

    /// Pass one alone: fills the state.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn scan(&self, observer: &dyn Observer) -> Result<Report> {
        let engine = self.engine(observer)?;
        self.repairing(&engine, || {
            let started = Instant::now();
            let survey = self.survey(&engine)?;
            let (_, scanned) = self.scan_all(&engine, survey, false)?;
            let phases = vec![scan_phase(started, &scanned)];
            Ok(self.report(&scanned, phases))
        })
    }

    /// Pass two alone, from a complete state.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the state is missing, of another job, or lacks a shard; otherwise see [`Error`].
    pub fn write(&self, observer: &dyn Observer) -> Result<Report> {
        let engine = self.engine(observer)?;
        self.repairing(&engine, || self.write_from_state(&engine))
    }

    fn write_from_state(&self, engine: &Engine<'_>) -> Result<Report> {
        self.target(engine).check()?;
        let mut phases = Vec::new();
        let started = Instant::now();
        let survey = self.survey(engine)?;
        let claim = self.target(engine).claim()?;
        let (store, identity) = StateStore::open_existing(&engine.disk, &self.state_path())?;
        self.check_version(&identity)?;
        let committed = self.committed(engine, &store, &survey.shards)?;
        let lacks = |missing: usize, of: usize| {
            let message = format!(
                "the state at {} lacks {missing} of {of} shards, or they changed; run `twopass scan` first",
                store.path().display()
            );
            Err(Error::Conflict(message))
        };
        let missing = committed.iter().filter(|record| record.is_none()).count();
        // A shard that cannot be read is in no state, and shows only when it is read again.
        if missing > 0 && self.recipe.input.bad_shards == OnBad::Raise {
            return lacks(missing, survey.shards.len());
        }
        let scanned = self.read_all(engine, &store, survey, committed, (false, Lacking::Refuse))?;
        if scanned.reused < scanned.surveyed.len() {
            return lacks(scanned.surveyed.len() - scanned.reused, scanned.surveyed.len());
        }
        phases.push(Phase { name: "scan", seconds: started.elapsed().as_secs_f64(), rows: 0, bytes: 0 });
        self.finish(engine, &store, claim, scanned, phases)
    }

    /// Does `action`; should it find the files of shards in the state damaged, these are taken out of the state and it
    /// begins again without them.
    fn repairing<T>(&self, engine: &Engine<'_>, action: impl Fn() -> Result<T>) -> Result<T> {
        let mut attempts = MOST_REPAIRS;
        loop {
            match action() {
                Err(damage @ Error::Damaged { .. }) if attempts > 0 => {
                    let forgotten = self.forget_damaged(engine)?;
                    if forgotten.is_empty() {
                        return Err(damage);
                    }
                    let message = format!("damaged in the state, to be scanned again: {}", forgotten.join(", "));
                    engine.observer.event(Event::Note(&message));
                    attempts -= 1;
                }
                done => return done,
            }
        }
    }

    fn scan_all(&self, engine: &Engine<'_>, survey: Survey, keep: bool) -> Result<(StateStore, Scanned)> {
        let store = self.open_state(engine, &survey.shards)?;
        self.forget_removed(engine, &store, &survey.shards)?;
        let committed = self.committed(engine, &store, &survey.shards)?;
        let always = self.recipe.run.resume == Resume::Always;
        let lacking = if always { Lacking::Refuse } else { Lacking::Scan };
        let scanned = self.read_all(engine, &store, survey, committed, (keep, lacking))?;
        Ok((store, scanned))
    }

    pub(crate) fn options(&self) -> Result<SourceOptions> {
        let run = &self.recipe.run;
        let all = || std::thread::available_parallelism().map_or(1, Into::into);
        let threads = if run.threads > 0 { run.threads } else { all() };
        let limits = Limits::of(run.memory.0, threads);
        let options = SourceOptions::new(&self.recipe.input)?.on_disk(self.disk.clone()).within(limits);
        Ok(options.inflating_in(self.scratch()))
    }

    /// The shards of the input. What is in a directory of the input that the output or the state has to itself is none: a
    /// job that is run again must not read what it wrote.
    ///
    /// # Errors
    /// As [`discover::shards`].
    pub(crate) fn discover(&self) -> Result<discover::Found> {
        let mut found = discover::shards(&self.recipe.input)?;
        let inputs: Vec<PathBuf> =
            self.recipe.input.path.as_slice().iter().filter_map(|path| Path::new(path).canonicalize().ok()).collect();
        let is_within_input = |own: &PathBuf| inputs.iter().any(|input| own != input && own.starts_with(input));
        let own = self.files.directories().into_iter().chain([self.state_path()]);
        let own: Vec<PathBuf> = own.filter_map(|path| path.canonicalize().ok()).filter(is_within_input).collect();
        if own.is_empty() {
            return Ok(found);
        }
        let all = found.shards.len();
        let is_own = |shard: &Shard| {
            shard.path.canonicalize().is_ok_and(|path| own.iter().any(|directory| path.starts_with(directory)))
        };
        found.shards.retain(|shard| !is_own(shard));
        match all - found.shards.len() {
            0 => {}
            own => found
                .notes
                .push(format!("{own} files within the input are in the output's own directories and passed over")),
        }
        if found.shards.is_empty() {
            let message = format!(
                "No CSV/JSON/Parquet shards found in {}, but for those of the output",
                self.recipe.input.path.as_slice().join(", ")
            );
            return Err(Error::data(Site::default(), message));
        }
        Ok(found)
    }

    /// Where files without names are: on the disk of the state, which is one that holds much, and no memory.
    fn scratch(&self) -> PathBuf {
        let state = std::path::absolute(self.state_path()).ok();
        let there = state.as_deref().and_then(|state| state.ancestors().find(|directory| directory.is_dir()));
        there.map_or_else(std::env::temp_dir, Path::to_path_buf)
    }

    fn report(&self, scanned: &Scanned, phases: Vec<Phase>) -> Report {
        Report {
            output: None,
            state: self.state_path(),
            fingerprint: None,
            rows: scanned.merged.rows,
            shards: scanned.surveyed.len(),
            reused_shards: scanned.reused,
            kept_parts: 0,
            columns: (scanned.collect.derived.inputs, None),
            splits: Vec::new(),
            dropped: [
                ("missing_label", scanned.merged.missing_label),
                ("bad_row", scanned.merged.skipped.values().map(|(rows, _)| rows).sum()),
            ]
            .into_iter()
            .filter(|(_, rows)| *rows > 0)
            .map(|(reason, rows)| (reason.to_string(), rows))
            .collect(),
            skipped: scanned
                .merged
                .skipped
                .iter()
                .map(|(at, (rows, first))| (scanned.surveyed[*at].shard.name.clone(), *rows, first.clone()))
                .collect(),
            bad_shards: scanned.bad_shards.clone(),
            worst: None,
            folds: None,
            phases,
        }
    }
}

fn scan_phase(started: Instant, scanned: &Scanned) -> Phase {
    let (rows, bytes) = scanned.read;
    Phase { name: "scan", seconds: started.elapsed().as_secs_f64(), rows, bytes }
}
