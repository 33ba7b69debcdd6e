//! A shard cut into windows: runs of chunks that are worked on together, large enough to keep every thread busy, small
//! enough for the budget. Which rows share a window never shows in a result.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use hashbrown::HashMap;
use rayon::prelude::*;

use crate::engine::Engine;
use crate::error::{Error, Result, Site};
use crate::memory::Reservation;
use crate::panics;
use crate::schema::{self, ShardFields};
use crate::source::compression::ContentHash;
use crate::source::parquet::RowGroupRange;
use crate::source::text::{Block, MOST_TOLD, Parsed, Skipped, TextShard, Wanted};
use crate::source::{Chunk, Decoded, Opened, Shard};

/// Decoded bytes below which handing a window to the threads costs more than it gives.
const LEAST_BYTES: u64 = 16 << 20;

/// Chunks that are worked on together.
pub struct Window {
    /// In row order.
    pub chunks: Vec<Chunk>,
    /// What they take on disk, in bytes.
    pub bytes: u64,
}

/// Yields the windows of one shard.
pub enum Windows {
    /// From a Parquet shard's row groups.
    Parquet {
        /// Not yet handed out.
        rest: VecDeque<RowGroupRange>,
        /// When a window is full.
        full: Full,
    },
    /// From a text shard's blocks.
    Text(Box<TextWindows>),
    /// From chunks that pass one kept.
    Kept {
        /// Not yet handed out.
        rest: VecDeque<Chunk>,
        /// When a window is full.
        full: Full,
    },
}

/// When a window has enough.
#[derive(Debug, Clone, Copy)]
pub struct Full {
    chunks: usize,
    bytes: u64,
}

impl Full {
    fn new(engine: &Engine<'_>, schema: &SchemaRef) -> Self {
        Self { chunks: (engine.threads() * 4).div_ceil(schema.fields().len().max(1)), bytes: engine.window_bytes() }
    }
}

impl Windows {
    /// The windows of `opened`, in pieces of at most `piece_bytes` of decoded columns.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`].
    pub fn new(
        engine: &Engine<'_>,
        shard: &Shard,
        opened: &Opened,
        schema: &SchemaRef,
        forced: &[bool],
        piece_bytes: u64,
    ) -> Result<Self> {
        let full = Full::new(engine, schema);
        Ok(match opened {
            Opened::Parquet(shard) => {
                Self::Parquet { rest: shard.chunks(piece_bytes, chunk_rows(engine)).into(), full }
            }
            Opened::Text(text) => {
                Self::Text(TextWindows::new(engine, shard, opened, &text.text, schema, forced)?.into())
            }
        })
    }

    /// Windows over chunks that pass one kept.
    pub fn kept(engine: &Engine<'_>, schema: &SchemaRef, chunks: Vec<Chunk>) -> Self {
        Self::Kept { rest: chunks.into(), full: Full::new(engine, schema) }
    }

    /// The next window, or nothing after the last.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] when text cannot be read or parsed.
    pub fn next(&mut self, engine: &Engine<'_>) -> Result<Option<Window>> {
        match self {
            Self::Text(text) => text.next(engine),
            Self::Parquet { rest, full } => Ok(next_row_groups(rest, *full)),
            Self::Kept { rest, full } => Ok(next_kept(rest, *full)),
        }
    }

    /// XXH3-128 of a text shard's file, after its last window.
    pub fn content(&self) -> Option<u128> {
        match self {
            Self::Text(text) => text.content.get(),
            Self::Parquet { .. } | Self::Kept { .. } => None,
        }
    }

    /// Records of a text shard that were left out since this was last asked.
    pub fn take_skipped(&mut self) -> Vec<Skipped> {
        match self {
            Self::Text(text) => std::mem::take(&mut text.skipped),
            Self::Parquet { .. } | Self::Kept { .. } => Vec::new(),
        }
    }

    /// How many more records of a text shard were left out, after its last window.
    pub fn untold(&self) -> u64 {
        match self {
            Self::Text(text) => text.untold,
            Self::Parquet { .. } | Self::Kept { .. } => 0,
        }
    }

    /// The types that hold all the shard's values, when some did not fit the schema.
    pub fn widened(&self) -> Option<ShardFields> {
        match self {
            Self::Text(text) => text.widened.clone(),
            Self::Parquet { .. } | Self::Kept { .. } => None,
        }
    }
}

/// Rows of a chunk at the most: what the ledger keeps of each row is held until its window is done.
fn chunk_rows(engine: &Engine<'_>) -> usize {
    (engine.window_bytes() / LEDGER_COST).max(1 << 18) as usize
}

/// Bytes that a row's hashes and codes take, with their copies.
const LEDGER_COST: u64 = 32;

/// The windows of a text shard: a thread of its own reads, decompresses and cuts blocks ahead of the parsing.
pub struct TextWindows {
    name: Arc<str>,
    text: TextShard,
    wanted: Vec<Wanted>,
    fields: ShardFields,
    blocks: Receiver<Result<Block>>,
    content: ContentHash,
    /// Blocks a window.
    width: usize,
    widened: Option<ShardFields>,
    /// Where each of these is.
    index: Option<HashMap<String, usize>>,
    ended: bool,
    /// Bytes on disk not yet told of.
    disk_bytes: u64,
    /// Rows that were read.
    rows: u64,
    /// Records that were left out since they were last asked for.
    skipped: Vec<Skipped>,
    /// Records that were left out and told of, in all.
    told: usize,
    /// Records that were left out and not told of, in all.
    untold: u64,
    _held: Reservation,
}

/// Plain bytes of a block.
const BLOCK_BYTES: u64 = 2 << 20;
/// Bytes that a block's cells and arrays take, for each of its plain bytes: of two windows, for one is parsed while the
/// other is worked on.
const BLOCK_COST: u64 = 12;

impl TextWindows {
    fn new(
        engine: &Engine<'_>,
        shard: &Shard,
        opened: &Opened,
        text: &TextShard,
        schema: &SchemaRef,
        forced: &[bool],
    ) -> Result<Self> {
        let width = engine.threads() * 2;
        let fitting = engine.window_bytes() / (width as u64 * BLOCK_COST);
        let block_bytes = fitting.clamp(64 << 10, BLOCK_BYTES);
        let held =
            engine.budget.reserve("the blocks of a text shard", block_bytes * width as u64 * (BLOCK_COST + 1))?;
        let (sender, blocks) = sync_channel(width);
        let source = text.blocks(block_bytes as usize).map_err(|e| e.in_shard(&shard.name))?;
        let content = source.content();
        let read_ahead = move || {
            let passed = panics::caught(|| {
                for block in source {
                    // A receiver that is gone wants no more.
                    if sender.send(block).is_err() {
                        break;
                    }
                }
            });
            if let Err(panic) = passed {
                let message = "the decoder gave up; the shard is probably damaged";
                let _ = sender.send(Err(Error::unreadable(Site::default(), message, panic)));
            }
        };
        let name = "twopass-read".to_string();
        let spawned = std::thread::Builder::new().name(name).spawn(read_ahead);
        spawned.map_err(|e| Error::failed("starting a reader", e))?;
        let wanted = schema.fields().iter().zip(forced).map(|(field, forced)| Wanted {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            forced: *forced,
        });
        Ok(Self {
            name: shard.name.as_str().into(),
            text: text.clone(),
            wanted: wanted.collect(),
            fields: opened.fields(),
            blocks,
            content,
            width,
            widened: None,
            index: None,
            ended: false,
            disk_bytes: shard.bytes,
            rows: 0,
            skipped: Vec::new(),
            told: 0,
            untold: 0,
            _held: held,
        })
    }

    fn next(&mut self, engine: &Engine<'_>) -> Result<Option<Window>> {
        while !self.ended {
            let in_shard = |e: Error| e.in_shard(&self.name);
            let blocks = self.blocks.iter().take(self.width).collect::<Result<Vec<_>>>().map_err(in_shard)?;
            self.ended = blocks.len() < self.width;
            let parse = |block: &Block| self.text.parse(block, &self.wanted);
            let parsed: Vec<Result<Parsed>> = engine.pool.install(|| blocks.par_iter().map(parse).collect());
            let mut chunks = Vec::with_capacity(blocks.len());
            for parsed in parsed {
                let mut parsed = parsed.map_err(|e| e.in_shard(&self.name))?;
                let told = parsed.skipped.len().min(MOST_TOLD - self.told);
                self.untold += parsed.untold + (parsed.skipped.len() - told) as u64;
                self.told += told;
                self.skipped.extend(parsed.skipped.drain(..told));
                match parsed.batch {
                    Some(batch) if parsed.new_columns.is_empty() => chunks.push(self.chunk(&batch)),
                    _ => self.widen(parsed),
                }
            }
            // Once a value did not fit, no row of this shard counts: all that is left to learn is how wide it is.
            if self.widened.is_none() && !blocks.is_empty() {
                // How far a compressed file has been read is not known: plain bytes are told of, up to its size.
                let plain: usize = blocks.iter().map(|block| block.bytes.len()).sum();
                let bytes = (plain as u64).min(self.disk_bytes);
                self.disk_bytes -= bytes;
                return Ok(Some(Window { chunks, bytes }));
            }
        }
        Ok(None)
    }

    fn chunk(&mut self, batch: &RecordBatch) -> Chunk {
        let first_row = self.rows;
        self.rows += batch.num_rows() as u64;
        Chunk::Decoded(Decoded {
            shard: Arc::clone(&self.name),
            first_row,
            rows: batch.num_rows(),
            columns: batch.columns().iter().map(|array| vec![Arc::clone(array)]).collect(),
            derived: false,
        })
    }

    /// Takes note of the types that hold a block's values.
    fn widen(&mut self, parsed: Parsed) {
        let fields = self.widened.get_or_insert_with(|| self.fields.clone());
        let index = self.index.get_or_insert_with(|| fields.iter().map(|(name, _)| name.clone()).zip(0..).collect());
        let wanted = &self.wanted;
        let wider = parsed.widened.into_iter().map(|(at, data_type)| (wanted[at].name.clone(), data_type));
        for (name, data_type) in wider.chain(parsed.new_columns) {
            match index.get(&name) {
                Some(&at) => fields[at].1 = schema::wider(&fields[at].1, &data_type).unwrap_or(DataType::Utf8),
                None => {
                    index.insert(name.clone(), fields.len());
                    fields.push((name, data_type));
                }
            }
        }
    }
}

fn next_row_groups(rest: &mut VecDeque<RowGroupRange>, full: Full) -> Option<Window> {
    let mut window = Window { chunks: Vec::new(), bytes: 0 };
    let mut decoded = 0;
    while let Some(next) = rest.front() {
        let enough = window.chunks.len() >= full.chunks && decoded >= LEAST_BYTES;
        if !window.chunks.is_empty() && (enough || decoded + next.decoded_bytes() > full.bytes) {
            next.will_need();
            break;
        }
        decoded += next.decoded_bytes();
        window.bytes += next.compressed_bytes();
        window.chunks.extend(rest.pop_front().map(Chunk::RowGroup));
    }
    (!window.chunks.is_empty()).then_some(window)
}

fn next_kept(rest: &mut VecDeque<Chunk>, full: Full) -> Option<Window> {
    let mut window = Window { chunks: Vec::new(), bytes: 0 };
    let mut decoded = 0;
    while let Some(next) = rest.pop_front() {
        decoded += next.held_bytes();
        window.chunks.push(next);
        if (window.chunks.len() >= full.chunks && decoded >= LEAST_BYTES) || decoded >= full.bytes {
            break;
        }
    }
    (!window.chunks.is_empty()).then_some(window)
}
