//! The shards of pass one, several at a time: while one waits for the disk or is merged, the threads have the columns of
//! another. Which shards share the time never shows in a result.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Job;
use super::pass_one::{Progress, Surveyed};
use super::state::stamp_of;
use super::training::Training;
use crate::basis::Basis;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::observe::Event;
use crate::scan::{self, Collect, Outcome};
use crate::schema::ShardFields;
use crate::source::{Opened, Shard, SourceOptions};
use crate::spec::{ExtraColumns, Mode};
use crate::store::frame::{self, Kind};
use crate::store::{LedgerWriter, StateStore};

/// Shards that are scanned at a time at the most, however many threads there are.
const MOST_AT_ONCE: usize = 16;

/// What scanning a shard needs, under one schema.
pub(super) struct Scanning<'a> {
    pub(super) job: &'a Job,
    pub(super) engine: &'a Engine<'a>,
    pub(super) store: &'a StateStore,
    pub(super) surveyed: &'a [Surveyed],
    pub(super) collect: &'a Collect,
    pub(super) basis: &'a Basis,
    pub(super) options: SourceOptions,
    /// Which rows are fitted on, where these are not all.
    pub(super) training: Option<&'a Training>,
}

/// A shard whose values do not fit the schema, and the types that hold them.
type Widened = (usize, ShardFields);

/// How the shards end that are scanned at a time.
enum Ended {
    Widened(ShardFields),
    Failed(Error),
    /// There was no room beside the others.
    Crowded,
}

impl Scanning<'_> {
    /// Scans what is not in `progress` yet. Where a shard does not fit the schema, the others are left; where it shows a column
    /// that no other has, they may too: they tell of theirs now, so that all are scanned twice at the most.
    pub(super) fn all(&self, progress: &mut Progress) -> Result<Vec<Widened>> {
        let missing: Vec<usize> = (0..self.surveyed.len()).filter(|at| !progress.is_done(*at)).collect();
        let at_once = self.at_once().min(missing.len());
        if at_once > 1
            && let Some(widened) = self.together(&missing, at_once, progress)?
        {
            return Ok(vec![widened]);
        }
        // What is left, one by one: with all memory to itself, a shard that fails has failed.
        let progress = Mutex::new(progress);
        locked(&progress).merging.hold(self.engine)?;
        for (done, at) in missing.iter().enumerate() {
            if locked(&progress).is_done(*at) {
                continue;
            }
            if let Some(fields) = self.one(*at, &progress)? {
                // Types widen a few times at the most, and soon; columns turn up in any shard.
                let is_new = |(name, _): &(String, _)| self.collect.derived.source.index_of(name).is_err();
                let rest = match self.job.recipe().input.extra_columns {
                    ExtraColumns::Insert if fields.iter().any(is_new) => &missing[done + 1..],
                    _ => &[],
                };
                return self.columns_of((*at, fields), rest, &progress);
            }
            locked(&progress).merging.hold(self.engine)?;
        }
        Ok(Vec::new())
    }

    /// The columns of the first shard that did not fit, and of those in `rest`. These are scanned under a schema that is not to
    /// last: what is wrong with one of them is for the next scan to say.
    fn columns_of(&self, first: Widened, rest: &[usize], progress: &Mutex<&mut Progress>) -> Result<Vec<Widened>> {
        let mut widened = vec![first];
        let keep = std::mem::replace(&mut locked(progress).keep, false);
        locked(progress).kept.forget();
        for at in rest {
            match self.one(*at, progress) {
                Ok(None) if locked(progress).merging.hold(self.engine).is_ok() => {}
                Ok(Some(fields)) => widened.push((*at, fields)),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Ok(None) | Err(_) => break,
            }
        }
        let progress = &mut **locked(progress);
        progress.bad.retain(|at, _| rest.binary_search(at).is_err());
        progress.keep = keep;
        Ok(widened)
    }

    /// Shards at a time: enough that their columns keep the threads busy, and at least one more than is being committed.
    /// Blocks of text are read ahead and parsed on all threads as it is.
    fn at_once(&self) -> usize {
        let threads = self.engine.threads();
        // In memory, the shards before are what there must be room for: with others under way, nobody could tell.
        if threads == 1
            || self.job.recipe().run.mode == Mode::InMemory
            || self.surveyed.iter().any(|one| one.rows.is_none())
        {
            return 1;
        }
        let columns = self.surveyed.first().map_or(1, |one| one.fields.len().max(1));
        let at_once = (threads * 4).div_ceil(columns).clamp(2, MOST_AT_ONCE);
        match self.job.recipe().run.shards_at_once {
            0 => at_once,
            most => at_once.min(most),
        }
    }

    /// Scans shards `at_once` at a time until all are done, one ends otherwise, or memory is short.
    fn together(&self, missing: &[usize], at_once: usize, progress: &mut Progress) -> Result<Option<Widened>> {
        let progress = Mutex::new(progress);
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let ends: Mutex<Vec<(usize, Ended)>> = Mutex::default();
        let run = || {
            while !stop.load(Ordering::Relaxed) {
                let Some(&at) = missing.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let end = match self.one(at, &progress) {
                    Ok(None) if locked(&progress).merging.hold(self.engine).is_ok() => continue,
                    Ok(None) | Err(Error::Memory { .. }) => Ended::Crowded,
                    Ok(Some(fields)) => Ended::Widened(fields),
                    Err(error) => Ended::Failed(error),
                };
                stop.store(true, Ordering::Relaxed);
                locked(&ends).push((at, end));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..at_once {
                scope.spawn(run);
            }
            run();
        });
        let mut ends = ends.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Every shard before one that failed was begun before it, and went on to its end: the first failure is the first.
        ends.sort_by_key(|(at, _)| *at);
        for (at, end) in ends {
            match end {
                Ended::Crowded => {}
                Ended::Failed(error) => return Err(error),
                Ended::Widened(fields) => return Ok(Some((at, fields))),
            }
        }
        Ok(None)
    }

    /// Scans a shard and commits it; its types, when its values do not fit the schema.
    fn one(&self, at: usize, progress: &Mutex<&mut Progress>) -> Result<Option<ShardFields>> {
        let Self { engine, store, .. } = self;
        engine.go_on()?;
        let keep = locked(progress).keep;
        let one = &self.surveyed[at];
        let leave_out = |error: &Error| {
            let bad = (one.shard.name.clone(), error.chain());
            locked(progress).bad.insert(at, bad);
            Ok(None)
        };
        let opened = match Opened::open(&one.shard, &self.options, Some(&one.fields)) {
            Err(error) if self.job.leaves_closed(&error) => return leave_out(&error),
            opened => opened?,
        };
        if opened.fingerprint() != one.fingerprint {
            return Err(one.shard.changed());
        }
        let layout = self.basis.roles().layout();
        let mut ledger = store.create_ledger(&one.shard.name, layout)?;
        let _ledger_buffer = engine.budget.reserve("the row ledger", layout.buffer_bytes())?;
        let train = self.training.map(|training| training.of_shard(store, at)).transpose()?;
        let scanned = scan::shard(engine, &one.shard, &opened, (self.collect, self.basis), &mut ledger, train, keep);
        match scanned.map_err(|error| unreadable(&one.shard, error)) {
            Err(error) if self.job.leaves_out(&error) => leave_out(&error),
            scanned => self.commit(at, scanned?, (ledger, progress)),
        }
    }

    /// Commits what was learned of a shard.
    fn commit(
        &self,
        at: usize,
        outcome: Outcome,
        (ledger, progress): (LedgerWriter, &Mutex<&mut Progress>),
    ) -> Result<Option<ShardFields>> {
        let Self { engine, store, .. } = self;
        let one = &self.surveyed[at];
        match outcome {
            Outcome::Widened(fields) => {
                // JSON has columns that its first rows do not show.
                self.options.check_columns(fields.len()).map_err(|e| e.in_shard(&one.shard.name))?;
                Ok(Some(fields))
            }
            Outcome::Done { summary, columns, cached, crowded } => {
                one.shard.check_unchanged()?;
                let framed = frame::encode(Kind::Summary, &summary)?;
                let record = store.commit_shard(stamp_of(one), &framed, ledger.seal()?)?;
                if let Some(training) = self.training {
                    training.supersede(at, &record, self.basis.roles());
                }
                let progress = &mut **locked(progress);
                progress.records[at] = Some(record);
                progress.merging.add(at, &summary, columns)?;
                progress.scanned.insert(at);
                progress.read = (progress.read.0 + summary.rows, progress.read.1 + one.shard.bytes);
                if let Some(chunks) = cached.filter(|_| progress.keep) {
                    progress.keep = self.job.keep_chunks(engine, &mut progress.kept, at, chunks)?;
                }
                if crowded && progress.keep {
                    progress.keep = self.job.keep_no_more(engine, &mut progress.kept)?;
                }
                engine.observer.event(Event::Shard { name: &one.shard.name });
                Ok(None)
            }
        }
    }
}

/// A shard that changed while it was read is told as that, not as what came of it.
fn unreadable(shard: &Shard, error: Error) -> Error {
    match error {
        Error::Data { .. } => shard.check_unchanged().err().unwrap_or(error),
        other => other,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
