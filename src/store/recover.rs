//! Brings log and side files together when a state is opened. Never trusts a file that it has not checked.
//!
//! | found | done |
//! |---|---|
//! | the log cannot be read | it is set aside; a new one is filled from the side files |
//! | a record whose files are missing or of another length | the shard is not committed any more |
//! | a complete pair of files that the log never named | its commit was cut short, or its entry lost: it is committed |
//! | any other file | removed: a leftover |
//!
//! A record that comes back although it had been superseded does no harm: it carries the stamp of the bytes it is of,
//! and whoever uses a record compares the stamp first.

use std::collections::BTreeSet;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::frame::{self, Kind};
use super::index::Index;
use super::layout::{self, LEDGER, SHARDS, SUMMARY};
use super::ledger::LedgerReader;
use super::log::Log;
use super::record::{Event, ShardHeader, ShardRecord, SideFile};
use crate::disk::{self, Disk};
use crate::error::{Error, Result};

/// What opening a state had to repair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The index could not be read, for this reason, and was rebuilt.
    pub index_rebuilt: Option<String>,
    /// Shards committed from their files alone.
    pub adopted: Vec<String>,
    /// Shards whose files are missing or cut: to be scanned again.
    pub lost: Vec<String>,
}

/// Opens the log of the locked state `path`, whatever happened to it, and clears up.
///
/// # Errors
/// [`Error::Io`]; [`Error::Failed`] when a new log cannot be made either.
pub(super) fn open_log(disk: &Disk, path: &Path) -> Result<(Log, Recovery)> {
    let mut recovery = Recovery::default();
    let dir = layout::index_dir(path);
    let (index, events) = match Index::open(disk, &dir) {
        Err(damage @ Error::Damaged { .. }) => {
            recovery.index_rebuilt = Some(damage.to_string());
            layout::set_index_aside(disk, path)?;
            // There is nothing yet that could be damaged: what fails now is the disk.
            Index::open(disk, &dir).map_err(|e| match e {
                Error::Damaged { what, source } => {
                    Error::failed("make a new index of the state", source.unwrap_or_else(|| what.into()))
                }
                e => e,
            })?
        }
        opened => opened?,
    };
    let mut log = Log::replay(index, events);
    drop_lost(disk, path, &mut log, &mut recovery)?;
    adopt_unnamed(disk, path, &mut log, &mut recovery)?;
    sweep(disk, path, &log)?;
    Ok((log, recovery))
}

fn drop_lost(disk: &Disk, path: &Path, log: &mut Log, recovery: &mut Recovery) -> Result<()> {
    for record in log.shards.values() {
        for file in [&record.summary, &record.ledger] {
            match file.check_length(disk, &path.join(&file.path)) {
                Err(Error::Damaged { .. }) => {
                    recovery.lost.push(record.stamp.name.clone());
                    break;
                }
                checked => checked?,
            }
        }
    }
    for name in &recovery.lost {
        log.append(Event::Forgotten(name.clone()))?;
    }
    Ok(())
}

fn adopt_unnamed(disk: &Disk, path: &Path, log: &mut Log, recovery: &mut Recovery) -> Result<()> {
    let mut found = Vec::new();
    for name in disk.list_if_any(&path.join(SHARDS))?.unwrap_or_default() {
        let file = format!("{SHARDS}/{name}");
        if name.starts_with('.') || !name.ends_with(SUMMARY) || log.mentioned.contains(&file) {
            continue;
        }
        match read_pair(disk, path, file) {
            Ok(record) => found.push(record),
            Err(Error::Damaged { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    // Of two under one name the later is right, and the order of their names is not that of numbers.
    found.sort_by_key(|record| layout::serial_of(&record.summary.path));
    for record in found {
        let name = record.stamp.name.clone();
        let later = log.shards.get(&name).map(|live| layout::serial_of(&live.summary.path));
        if later.is_some_and(|live| live > layout::serial_of(&record.summary.path)) {
            continue;
        }
        log.append(Event::Shard(record))?;
        recovery.adopted.retain(|adopted| *adopted != name);
        recovery.adopted.push(name);
    }
    Ok(())
}

/// The record of a shard from its two files alone, all of whose bytes are checked.
fn read_pair(disk: &Disk, path: &Path, summary: String) -> Result<ShardRecord> {
    let bytes = disk.read(&path.join(&summary))?;
    let (header, rest) = frame::decode_first::<ShardHeader>(Kind::ShardHeader, &bytes)?;
    frame::check(Kind::Summary, rest)?;
    LedgerReader::open(disk, &path.join(&header.ledger.path), &header.ledger, header.rows)?.verify()?;
    let summary = SideFile { path: summary, bytes: bytes.len() as u64, xxh3: xxh3_128(&bytes) };
    Ok(ShardRecord { stamp: header.stamp, rows: header.rows, summary, ledger: header.ledger })
}

/// Checks all bytes of a committed shard's two files.
///
/// # Errors
/// [`Error::Damaged`] when one is not what was committed; [`Error::Io`].
pub(super) fn check_pair(disk: &Disk, path: &Path, record: &ShardRecord) -> Result<()> {
    let bytes = record.summary.read(disk, &path.join(&record.summary.path))?;
    let (_, rest) = frame::decode_first::<ShardHeader>(Kind::ShardHeader, &bytes)?;
    frame::check(Kind::Summary, rest)?;
    LedgerReader::open(disk, &path.join(&record.ledger.path), &record.ledger, record.rows)?.verify()
}

/// Removes what no record names.
fn sweep(disk: &Disk, path: &Path, log: &Log) -> Result<()> {
    let dir = path.join(SHARDS);
    let named: BTreeSet<&str> =
        log.shards.values().flat_map(|record| [record.summary.path.as_str(), record.ledger.path.as_str()]).collect();
    for name in disk.list_if_any(&dir)?.unwrap_or_default() {
        let ours = [SUMMARY, LEDGER].iter().any(|end| name.trim_end_matches(disk::TEMPORARY_SUFFIX).ends_with(end));
        if ours && !named.contains(format!("{SHARDS}/{name}").as_str()) {
            disk.remove_file(&dir.join(name))?;
        }
    }
    Ok(())
}
