//! What pass one need not do again: shards that are still the ones that were scanned, and whose results serve.

use std::io::Read;

use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::Job;
use super::pass_one::Surveyed;
use super::state::stamp_of;
use crate::basis::{self, Basis, Lack};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::observe::Event;
use crate::scan::{Collect, ColumnSummary, ShardSummary};
use crate::source::Shard;
use crate::spec::Resume;
use crate::store::{ShardRecord, ShardStamp, StateStore};
use crate::transform;

/// Names of shards that a note lists.
const SHOWN: usize = 3;
/// Bytes of a shard that are compared at once.
const READ_BYTES: usize = 1 << 20;

/// A shard's results in the state, as far as they can be used.
pub(super) enum Found {
    /// They serve.
    Serves(Box<ShardSummary>, Vec<ColumnSummary>),
    /// They were collected for less.
    Lacks(Lack),
    /// The shard was read as other types than those that hold all shards' values.
    OtherTypes,
    /// They cannot be read.
    Damaged(String),
}

impl Job {
    /// For each shard its record in the state, when it is still the same shard. Shards that left the input are
    /// forgotten, unless the state is only to be read. What is noticed is told.
    pub(super) fn committed(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        surveyed: &[Surveyed],
    ) -> Result<Vec<Option<ShardRecord>>> {
        let records = store.shard_records();
        let of = |surveyed: &Surveyed| {
            let at = records.binary_search_by(|record| record.stamp.name.as_str().cmp(&surveyed.shard.name)).ok()?;
            Some(&records[at])
        };
        let find = |surveyed: &Surveyed| -> Result<Option<ShardRecord>> {
            let Some(record) = of(surveyed) else { return Ok(None) };
            let same = self.is_same(engine, store, record, surveyed)?;
            Ok(same.then(|| record.clone()))
        };
        let found: Vec<Result<_>> = engine.pool.install(|| surveyed.par_iter().map(find).collect());
        let found = found.into_iter().collect::<Result<Vec<_>>>()?;
        let pairs = || surveyed.iter().zip(&found).filter(|(_, found)| found.is_none());
        let changed: Vec<&str> =
            pairs().filter(|(one, _)| of(one).is_some()).map(|(one, _)| one.shard.name.as_str()).collect();
        let new: Vec<&str> =
            pairs().filter(|(one, _)| of(one).is_none()).map(|(one, _)| one.shard.name.as_str()).collect();
        if !changed.is_empty() {
            tell(engine, &changed, "changed since pass one read it", "changed since pass one read them");
        }
        if !new.is_empty() && !records.is_empty() {
            tell(engine, &new, "is not in the state yet", "are not in the state yet");
        }
        Ok(found)
    }

    /// Forgets shards that are not in the input any more.
    pub(super) fn forget_removed(&self, engine: &Engine<'_>, store: &StateStore, surveyed: &[Surveyed]) -> Result<()> {
        let is_there = |name: &str| surveyed.binary_search_by(|one| one.shard.name.as_str().cmp(name)).is_ok();
        let records = store.shard_records();
        let gone: Vec<&str> =
            records.iter().map(|record| record.stamp.name.as_str()).filter(|name| !is_there(name)).collect();
        if !gone.is_empty() {
            tell(engine, &gone, "left the input and is forgotten", "left the input and are forgotten");
        }
        gone.iter().try_for_each(|name| store.forget_shard(name))
    }

    /// Whether a shard is the one that was scanned. A Parquet shard is known by its size and its footer, which has the
    /// place and the statistics of every column chunk; a text shard by its size, both its ends and its time. A copy
    /// has another time: then all its bytes are compared by their hash, which costs a reading and no parsing.
    fn is_same(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        record: &ShardRecord,
        surveyed: &Surveyed,
    ) -> Result<bool> {
        let (then, now) = (&record.stamp, stamp_of(surveyed));
        if *then == now || (self.recipe.run.resume == Resume::Always && then.bytes == now.bytes) {
            return Ok(true);
        }
        let timeless =
            ShardStamp { modified_seconds: now.modified_seconds, modified_nanos: now.modified_nanos, ..then.clone() };
        if timeless != now {
            return Ok(false);
        }
        match ShardSummary::read(store, record) {
            Ok(ShardSummary { content: Some(content), .. }) => Ok(content_hash(engine, &surveyed.shard)? == content),
            Ok(_) | Err(Error::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Results of shards in the state: in the order of `records`, several at once.
    pub(super) fn read_found(
        &self,
        engine: &Engine<'_>,
        store: &StateStore,
        collect: &Collect,
        records: &[&ShardRecord],
    ) -> Result<Vec<Found>> {
        let needed = self.basis(collect)?;
        let read_as = crate::scan::type_names(&collect.schema);
        let read = |record: &&ShardRecord| {
            engine.go_on()?;
            match read_one(store, record, collect, &needed, &read_as) {
                Err(error @ Error::Damaged { .. }) => Ok(Found::Damaged(error.to_string())),
                found => found,
            }
        };
        let found: Vec<Result<Found>> = engine.pool.install(|| records.par_iter().map(read).collect());
        found.into_iter().collect()
    }

    /// What the recipe needs of a shard's results.
    pub(super) fn basis(&self, collect: &Collect) -> Result<Basis> {
        Ok(Basis::new(&self.recipe, collect, self.options()?.signature_names()))
    }

    /// Which part of the recipe asks for what the state has not, for a person.
    pub(super) fn explain(&self, collect: &Collect, lack: &Lack) -> Result<String> {
        let columns = |names: &[String]| match names {
            [one] => format!("column `{one}`"),
            several => format!("{} columns", several.len()),
        };
        Ok(match lack {
            Lack::Reading => {
                "input.format, input.signature, input.schema or how text is read is not that of the state".into()
            }
            Lack::Derivation => {
                "the columns are not made by the rename, cast, concat, row_max, coalesce, drop, keep and label.integer of the state"
                    .into()
            }
            Lack::SourceTypes => "the columns are made of other types than those of the state".into(),
            Lack::KeysOnly => "of the columns that are not part of the split the state has nothing yet".into(),
            Lack::Fitted => "the statistics of the split `train` are of other rows in the state".into(),
            Lack::Ledger => "the split needs to know of single rows, and the state has none".into(),
            Lack::Label => "the label is not the one of the state".into(),
            Lack::Key => "split.key is not the one of the state".into(),
            Lack::Strata(names) => format!("the split needs the strata of {}, which the state has not", columns(names)),
            Lack::Groups => "split.groups is not the one of the state".into(),
            Lack::Time => "split.time is not the one of the state".into(),
            Lack::Unique => "[dedupe] is not the one of the state".into(),
            Lack::Statistics => "the columns' statistics are needed, and the state has none".into(),
            Lack::Narrow(names) => format!(
                "output.narrow needs to know whether 32-bit floats hold the values of {}, which the state has not looked at",
                columns(names)
            ),
            Lack::Vocabularies(names) => {
                let selected = transform::resolve(&self.recipe, &collect.schema)?;
                let needs = |at: &&usize| names.contains(collect.schema.field(**at).name());
                let step = self
                    .recipe
                    .transform
                    .iter()
                    .zip(&selected)
                    .position(|(step, columns)| step.needs_values() && columns.iter().any(|at| needs(&at)));
                match step {
                    Some(at) => format!(
                        "transform {} (`{}`) needs the values of {}, which the state has not",
                        at + 1,
                        self.recipe.transform[at].op(),
                        columns(names)
                    ),
                    None => {
                        format!("the label's mapping needs the values of {}, which the state has not", columns(names))
                    }
                }
            }
        })
    }
}

fn read_one(
    store: &StateStore,
    record: &ShardRecord,
    collect: &Collect,
    needed: &Basis,
    read_as: &[(String, String)],
) -> Result<Found> {
    let mut summary = ShardSummary::read(store, record)?;
    match summary.basis.lacks(needed) {
        Some(Lack::SourceTypes) => return Ok(Found::OtherTypes),
        Some(lack) => return Ok(Found::Lacks(lack)),
        None => {}
    }
    let is_read = |column: &(String, String)| summary.read_as.contains(column);
    let columns = match needed.keys_only {
        true if read_as.iter().all(is_read) => collect.empty_columns(),
        false if summary.read_as == read_as => basis::reduced(summary.decode_columns()?, collect)?,
        _ => return Ok(Found::OtherTypes),
    };
    summary.columns = Vec::new();
    summary.strata = summary.basis.strata(needed, summary.strata);
    if !needed.ledger {
        summary.missing_label = 0;
    }
    Ok(Found::Serves(Box::new(summary), columns))
}

fn tell(engine: &Engine<'_>, names: &[&str], one: &str, several: &str) {
    let note = match names {
        [name] => format!("shard {name} {one}"),
        _ => {
            let dots = if names.len() > SHOWN { ", …" } else { "" };
            format!("{} shards ({}{dots}) {several}", names.len(), names[..names.len().min(SHOWN)].join(", "))
        }
    };
    engine.observer.event(Event::Note(&note));
}

/// XXH3-128 of all bytes of a shard.
fn content_hash(engine: &Engine<'_>, shard: &Shard) -> Result<u128> {
    let mut file = engine.disk.open(&shard.path)?;
    let mut digest = Xxh3::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        engine.go_on()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.digest128()),
            Ok(read) => digest.update(&buffer[..read]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read", &shard.path, e)),
        }
    }
}
