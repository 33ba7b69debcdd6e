//! Pass two of a job that changes nothing: row groups go from the shards to the parts as they are, undecoded.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::{format, send, with_writer};
use crate::engine::Engine;
use crate::error::Result;
use crate::observe::Event;
use crate::plan::Plan;
use crate::remaining::Remaining;
use crate::sink::parquet::EncodedChunk;
use crate::sink::parts::{Destination, Piece, SealedPart};
use crate::source::Shard;
use crate::source::parquet::ParquetShard;
use crate::source::parquet::copy::StoredChunk;
use crate::spec::Recipe;

/// Writes the parts of `plan` that are left to `destination`; `open` opens the shard at a position of the plan.
///
/// # Errors
/// As [`super::parts()`].
pub fn parts<'a>(
    engine: &Engine<'_>,
    recipe: &Recipe,
    plan: &Plan,
    remaining: &Remaining,
    destination: Destination<'_>,
    mut open: impl FnMut(usize) -> Result<(&'a Shard, Arc<ParquetShard>)>,
) -> Result<Vec<SealedPart>> {
    let mut read = Vec::new();
    let sealed = with_writer(destination, &format(recipe, plan)?, remaining.parts(), |sender| {
        for (at, planned) in plan.shards.iter().enumerate() {
            if remaining.needs(at) {
                let (shard, stored) = open(at)?;
                copy(engine, stored.stored_chunks(shard)?, remaining, remaining.first_row(at, 0), sender)?;
                read.push(shard);
            } else {
                engine.observer.event(Event::Advance { rows: planned.rows, bytes: planned.bytes });
            }
            engine.observer.event(Event::Shard { name: &planned.name });
        }
        Ok(())
    })?;
    // The bytes were read as they were written, so only now is it known that they were those of pass one.
    read.into_iter().try_for_each(Shard::check_unchanged)?;
    Ok(sealed)
}

fn copy(
    engine: &Engine<'_>,
    groups: Vec<(u64, Vec<StoredChunk>)>,
    remaining: &Remaining,
    mut at: u64,
    sender: &SyncSender<Piece>,
) -> Result<()> {
    for (rows, chunks) in groups {
        engine.go_on()?;
        let bytes = chunks.iter().map(StoredChunk::bytes).sum();
        if remaining.wants(0, at) {
            let chunks = chunks.into_iter().map(EncodedChunk::Stored).collect();
            send(sender, Piece::RowGroup { split: 0, chunks })?;
        }
        at += rows;
        engine.observer.event(Event::Advance { rows, bytes });
    }
    Ok(())
}
