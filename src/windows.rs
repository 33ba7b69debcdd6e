//! A shard cut into windows: runs of chunks that are worked on together, large enough to keep every thread busy, small
//! enough for the budget. Which rows share a window never shows in a result.

use std::collections::VecDeque;

use arrow::datatypes::SchemaRef;

use crate::engine::Engine;
use crate::error::Result;
use crate::schema::ShardFields;
use crate::source::parquet::RowGroupRange;
use crate::source::{Chunk, Opened, Shard};

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
    /// [`crate::error::Error::Data`] when the shard cannot be read.
    pub fn new(engine: &Engine<'_>, _shard: &Shard, opened: &Opened, schema: &SchemaRef, piece_bytes: u64) -> Result<Self> {
        let full = Full::new(engine, schema);
        Ok(match opened {
            Opened::Parquet(shard) => Self::Parquet { rest: shard.chunks(piece_bytes).into(), full },
        })
    }

    /// Windows over chunks that pass one kept.
    pub fn kept(engine: &Engine<'_>, schema: &SchemaRef, chunks: Vec<Chunk>) -> Self {
        Self::Kept { rest: chunks.into(), full: Full::new(engine, schema) }
    }

    /// The next window, or nothing after the last.
    ///
    /// # Errors
    /// As [`Windows::new`].
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot fail")]
    pub fn next(&mut self) -> Result<Option<Window>> {
        match self {
            Self::Parquet { rest, full } => Ok(next_row_groups(rest, *full)),
            Self::Kept { rest, full } => Ok(next_kept(rest, *full)),
        }
    }

    /// The types that hold all the shard's values, when some did not fit the schema.
    pub fn widened(&self) -> Option<ShardFields> {
        None
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
