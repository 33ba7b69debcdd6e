//! Pass two: every shard is read again, column by column; each column is transformed, parted by split, and encoded on
//! its own, and the row groups that come out are written in row order. A function of the plan and the shards alone.

/// Row groups as they are.
pub mod stored;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{TakeOptions, take};
use arrow::datatypes::SchemaRef;
use rayon::prelude::*;

use crate::engine::Engine;
use crate::error::{Error, Result, Site};
use crate::observe::Event;
use crate::plan::{Plan, PlannedPart};
use crate::remaining::Remaining;
use crate::sink::parquet::{self, ColumnEncoder, Cut, EncodedChunk, Encoding};
use crate::sink::parts::{self, Destination, Format, Piece, SealedPart};
use crate::sink::text;
use crate::source::{Chunk, Shard};
use crate::spec::{OutputFormat, Recipe};
use crate::split::DROPPED;
use crate::transform::{Lane, LaneRun};
use crate::windows::{Window, Windows};

/// Pieces that may wait for the disk.
const WAITING_PIECES: usize = 1;

/// Fills in the splits of the next so many rows.
pub type NextRoutes<'a> = dyn FnMut(usize, &mut VecDeque<u8>) -> Result<()> + 'a;

/// The rows of one shard for pass two: its chunks, and the splits of its rows in order.
pub struct ShardRows<'a> {
    /// The shard itself, to be looked at again once its rows were read.
    pub shard: &'a Shard,
    /// XXH3-128 of its file when pass one read it, of a text shard.
    pub content: Option<u128>,
    /// Its chunks in windows.
    pub windows: Windows,
    /// Fills in the splits of the next so many rows.
    pub routes: Box<NextRoutes<'a>>,
}

/// Writes the parts of `plan` that are left to `destination`; `open` opens the shard at a position of the plan.
///
/// # Errors
/// [`Error::Data`] when a shard cannot be read or does not fit the plan; [`Error::Io`]; [`Error::Memory`];
/// [`Error::Interrupted`].
pub fn parts<'a>(
    engine: &Engine<'_>,
    recipe: &Recipe,
    plan: &Plan,
    remaining: &Remaining,
    input: &SchemaRef,
    destination: Destination<'_>,
    mut open: impl FnMut(usize) -> Result<ShardRows<'a>>,
) -> Result<Vec<SealedPart>> {
    let what = "writing: the rows in flight and the open row groups of all splits";
    let _held = engine.budget.reserve(what, needed_bytes(engine, plan, recipe))?;
    let format = format(recipe, plan)?;
    with_writer(destination, &format, remaining.parts(), |sender| {
        let mut writer = Writer::new(engine, plan, remaining, input, &format)?;
        for (at, shard) in plan.shards.iter().enumerate() {
            if remaining.needs(at) {
                writer.shard(at, &mut open(at)?, sender)?;
            } else {
                engine.observer.event(Event::Advance { rows: shard.rows, bytes: shard.bytes });
            }
            engine.observer.event(Event::Shard { name: &shard.name });
        }
        Ok(())
    })
}

fn format(recipe: &Recipe, plan: &Plan) -> Result<Format> {
    let schema = Arc::new(plan.pipeline.output_schema());
    let compression = recipe.output.compression();
    Ok(match recipe.output.format {
        OutputFormat::Parquet => {
            Format::Parquet(parquet::Format::new(schema, compression, &plan.dictionary, plan.splits.len())?)
        }
        format => Format::Text(text::Format { schema, format, compression }),
    })
}

/// Writes what `produce` sends to the planned parts.
fn with_writer(
    destination: Destination<'_>,
    format: &Format,
    planned: &[PlannedPart],
    produce: impl FnOnce(&SyncSender<Piece>) -> Result<()>,
) -> Result<Vec<SealedPart>> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Piece>(WAITING_PIECES);
        let writing = scope.spawn(move || parts::write(destination, format, planned, &receiver));
        let produced = produce(&sender);
        drop(sender);
        let sealed = writing.join().unwrap_or_else(|_| Err(Error::failed("writing the parts", "the thread panicked")));
        match (produced, sealed) {
            // A disk that refuses stops the columns' work too; its own error says why.
            (Err(Error::Failed { what, .. }), Err(disk)) if what == GONE => Err(disk),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(()), Ok(sealed)) => check_complete(planned, sealed),
        }
    })
}

const GONE: &str = "handing rows to the writer";

fn check_complete(planned: &[PlannedPart], sealed: Vec<SealedPart>) -> Result<Vec<SealedPart>> {
    let complete =
        planned.len() == sealed.len() && planned.iter().zip(&sealed).all(|(p, s)| p.path == s.path && p.rows == s.rows);
    if complete {
        return Ok(sealed);
    }
    Err(Error::failed("writing the parts", "the parts that were written are not those of the plan"))
}

/// What pass two holds at the most besides what pass one kept, in bytes: the open row groups and what one window becomes.
pub fn needed_bytes(engine: &Engine<'_>, plan: &Plan, recipe: &Recipe) -> u64 {
    open_bytes(plan, recipe) + engine.window_bytes().min(plan.rows * plan.output_row_bytes())
}

/// What the open row groups take at the most, in bytes.
fn open_bytes(plan: &Plan, recipe: &Recipe) -> u64 {
    let rows = match recipe.output.format {
        OutputFormat::Parquet => plan.row_group_rows,
        _ => text::BLOCK_ROWS,
    };
    let open: u64 = plan.splits.iter().map(|split| split.rows.min(rows)).sum();
    open * plan.output_row_bytes()
}

/// Everything that is open while rows are written.
struct Writer<'a> {
    engine: &'a Engine<'a>,
    plan: &'a Plan,
    input: &'a SchemaRef,
    format: &'a Format,
    lanes: Vec<OpenLane<'a>>,
    /// Rows on their way into blocks, for text.
    text: Vec<text::SplitRows>,
}

/// A lane with the encoders of its output columns; none for text.
struct OpenLane<'a> {
    lane: &'a Lane,
    /// Positions of its slots among the output's columns.
    outputs: Vec<usize>,
    encoders: Vec<ColumnEncoder>,
}

/// What a lane made of a window.
struct LaneOutput {
    /// By slot, then by split: the chunks of completed row groups.
    chunks: Vec<Vec<Vec<EncodedChunk>>>,
    /// By slot, then by split: the arrays, for text.
    arrays: Vec<Vec<Vec<ArrayRef>>>,
}

/// For each batch of a chunk and each split, the rows of the batch that go there; nothing when all do.
type Routes = Vec<Vec<Option<UInt32Array>>>;

/// Whether any row of a chunk goes to a split: one whose rows are all in sealed parts, or dropped, need not be decoded.
fn goes_anywhere(routes: &Routes) -> bool {
    routes.iter().flatten().any(|rows| rows.as_ref().is_none_or(|rows| !rows.is_empty()))
}

impl<'a> Writer<'a> {
    fn new(
        engine: &'a Engine<'a>,
        plan: &'a Plan,
        remaining: &Remaining,
        input: &'a SchemaRef,
        format: &'a Format,
    ) -> Result<Self> {
        let row_group_rows = match format {
            Format::Parquet(_) => plan.row_group_rows,
            Format::Text(_) => text::BLOCK_ROWS,
        };
        let cut = |rows: u64| Cut { rows, shard_rows: plan.shard_rows, row_group_rows };
        let cuts: Vec<Cut> = (0..plan.splits.len()).map(|split| cut(remaining.rows(split))).collect();
        let lanes = plan.pipeline.lanes.iter().enumerate().map(|(at, lane)| {
            let mut outputs: Vec<(usize, usize)> = plan
                .pipeline
                .output
                .iter()
                .enumerate()
                .filter(|(_, c)| c.lane == at)
                .map(|(position, c)| (c.slot, position))
                .collect();
            outputs.sort_unstable();
            let outputs: Vec<usize> = outputs.into_iter().map(|(_, position)| position).collect();
            let encoders = match format {
                Format::Parquet(format) => outputs
                    .iter()
                    .map(|&position| ColumnEncoder::new(format, position, &cuts))
                    .collect::<Result<_>>()?,
                Format::Text(_) => Vec::new(),
            };
            Ok(OpenLane { lane, outputs, encoders })
        });
        let text = match format {
            Format::Text(_) => cuts.iter().enumerate().map(|(split, cut)| text::SplitRows::new(split, *cut)).collect(),
            Format::Parquet(_) => Vec::new(),
        };
        Ok(Self { lanes: lanes.collect::<Result<_>>()?, engine, plan, input, format, text })
    }

    fn shard(&mut self, at: usize, rows: &mut ShardRows<'_>, sender: &SyncSender<Piece>) -> Result<()> {
        let planned = &self.plan.shards[at];
        let mut read = 0;
        let mut pending = VecDeque::new();
        while let Some(window) = rows.windows.next(self.engine)? {
            let count: usize = window.chunks.iter().map(Chunk::rows).sum();
            read += count as u64;
            if read > planned.rows {
                break;
            }
            (rows.routes)(count, &mut pending)?;
            let routes: Vec<Routes> = window.chunks.iter().map(|chunk| self.route(chunk, &mut pending)).collect();
            let (chunks, routes): (Vec<_>, Vec<_>) =
                window.chunks.into_iter().zip(routes).filter(|(_, routes)| goes_anywhere(routes)).unzip();
            let outputs = self.lanes(&Window { chunks, ..window }, &routes)?;
            self.send(outputs, sender)?;
            self.engine.observer.event(Event::Advance { rows: count as u64, bytes: window.bytes });
        }
        if read != planned.rows || rows.windows.widened().is_some() {
            let message =
                "the shard is not the one that pass one read; leave the input alone while a job runs, then run again";
            return Err(Error::data(Site::shard(&planned.name), message));
        }
        rows.shard.check_unchanged()?;
        match rows.windows.content() {
            found if found.is_some() && found != rows.content => Err(rows.shard.changed()),
            _ => Ok(()),
        }
    }

    /// Row numbers by batch and split.
    fn route(&self, chunk: &Chunk, pending: &mut VecDeque<u8>) -> Routes {
        let splits = self.plan.splits.len();
        let batch = |rows: usize| {
            let mut indices: Vec<Vec<u32>> = vec![Vec::new(); splits];
            for (row, route) in (0..rows as u32).zip(pending.drain(..rows)) {
                if route != DROPPED {
                    indices[route as usize].push(row);
                }
            }
            let whole = |indices: Vec<u32>| (indices.len() < rows).then(|| UInt32Array::from(indices));
            indices.into_iter().map(whole).collect()
        };
        chunk.batches().into_iter().map(batch).collect()
    }

    fn lanes(&mut self, window: &Window, routes: &[Routes]) -> Result<Vec<LaneOutput>> {
        let (engine, input, format) = (self.engine, self.input, self.format);
        let parting = Parting { window, routes, splits: self.plan.splits.len() };
        engine.pool.install(|| match format {
            Format::Parquet(format) => self
                .lanes
                .par_iter_mut()
                .map_init(
                    || format.encoding(),
                    |encoding, lane| {
                        engine.go_on()?;
                        match encoding {
                            Ok(encoding) => lane.encode(&parting, input, format, encoding),
                            Err(e) => Err(Error::failed("encoding", e.to_string())),
                        }
                    },
                )
                .collect(),
            Format::Text(_) => {
                let part = |lane: &mut OpenLane<'_>| {
                    engine.go_on()?;
                    lane.part(&parting, input)
                };
                self.lanes.par_iter_mut().map(part).collect()
            }
        })
    }

    fn send(&mut self, outputs: Vec<LaneOutput>, sender: &SyncSender<Piece>) -> Result<()> {
        match self.format {
            Format::Parquet(_) => {
                let columns = self.by_column(outputs, |output| output.chunks);
                for (split, mut columns) in (0..self.plan.splits.len()).zip(by_split(columns, self.plan.splits.len())) {
                    let mut waiting: Vec<_> = columns.iter_mut().map(|chunks| chunks.drain(..)).collect();
                    while let Some(chunks) =
                        waiting.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>().filter(|c| !c.is_empty())
                    {
                        send(sender, Piece::RowGroup { split, chunks })?;
                    }
                }
                Ok(())
            }
            Format::Text(format) => {
                let columns = self.by_column(outputs, |output| output.arrays);
                let mut blocks = Vec::new();
                for (rows, columns) in self.text.iter_mut().zip(by_split(columns, self.plan.splits.len())) {
                    let mut waiting: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
                    while let Some(arrays) =
                        waiting.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>().filter(|c| !c.is_empty())
                    {
                        rows.push(&format.batch(arrays)?, &mut blocks);
                    }
                }
                let engine = self.engine;
                let bytes = |block: &text::Block| engine.go_on().and_then(|()| format.bytes(block));
                let bytes: Vec<Result<Vec<u8>>> = engine.pool.install(|| blocks.par_iter().map(bytes).collect());
                blocks.iter().zip(bytes).try_for_each(|(block, bytes)| {
                    send(sender, Piece::Lines { split: block.split, rows: block.rows, bytes: bytes? })
                })
            }
        }
    }

    /// Puts what lanes made in the order of the output's columns.
    fn by_column<T>(
        &self,
        outputs: Vec<LaneOutput>,
        what: impl Fn(LaneOutput) -> Vec<Vec<Vec<T>>>,
    ) -> Vec<Vec<Vec<T>>> {
        let mut columns: Vec<Vec<Vec<T>>> = Vec::new();
        columns.resize_with(self.plan.pipeline.output.len(), Vec::new);
        for (lane, output) in self.lanes.iter().zip(outputs) {
            for (&position, slot) in lane.outputs.iter().zip(what(output)) {
                columns[position] = slot;
            }
        }
        columns
    }
}

fn send(sender: &SyncSender<Piece>, piece: Piece) -> Result<()> {
    sender.send(piece).map_err(|_| Error::failed(GONE, "it is gone"))
}

fn by_split<T>(columns: Vec<Vec<Vec<T>>>, splits: usize) -> Vec<Vec<Vec<T>>> {
    let mut split_columns: Vec<Vec<Vec<T>>> = Vec::new();
    split_columns.resize_with(splits, Vec::new);
    for column in columns {
        for (of_split, items) in split_columns.iter_mut().zip(column) {
            of_split.push(items);
        }
    }
    split_columns
}

/// The arrays that one column of a chunk becomes: by slot, then by batch.
type Transformed = Vec<Vec<ArrayRef>>;

/// The rows of a window on their way to their splits.
struct Parting<'a> {
    window: &'a Window,
    /// By chunk.
    routes: &'a [Routes],
    splits: usize,
}

impl OpenLane<'_> {
    /// Decodes, transforms and encodes one column of a window.
    fn encode(
        &mut self,
        parting: &Parting<'_>,
        input: &SchemaRef,
        format: &parquet::Format,
        encoding: &mut Encoding,
    ) -> Result<LaneOutput> {
        let mut chunks: Vec<Vec<Vec<EncodedChunk>>> = Vec::new();
        chunks.resize_with(self.outputs.len(), || std::iter::repeat_with(Vec::new).take(parting.splits).collect());
        if let [chunk] = parting.window.chunks.as_slice() {
            let mut batches = parting.routes[0].iter();
            let encoders = &mut self.encoders;
            transform(self.lane, chunk, input, &mut |arrays| {
                let Some(routes) = batches.next() else { return Ok(()) };
                let mut slots = encoders.iter_mut().zip(&mut chunks).zip(arrays);
                slots.try_for_each(|((encoder, finished), array)| encoder.push(array, routes, encoding, finished))
            })?;
            return Ok(LaneOutput { chunks, arrays: Vec::new() });
        }
        let transformed = transformed(self.lane, self.outputs.len(), parting.window, input)?;
        for (slot, (encoder, finished)) in self.encoders.iter_mut().zip(&mut chunks).enumerate() {
            let of_chunks = transformed.iter().zip(parting.routes);
            let batches = of_chunks.flat_map(|(arrays, routes)| arrays[slot].iter().zip(routes));
            let batches: Vec<parquet::Batch<'_>> = batches.map(|(array, routes)| (array, routes.as_slice())).collect();
            encoder.push_all(format, &batches, finished)?;
        }
        Ok(LaneOutput { chunks, arrays: Vec::new() })
    }

    /// Decodes, transforms and parts one column of a window, for text.
    fn part(&self, parting: &Parting<'_>, input: &SchemaRef) -> Result<LaneOutput> {
        let mut arrays = vec![vec![Vec::new(); parting.splits]; self.outputs.len()];
        let transformed = transformed(self.lane, self.outputs.len(), parting.window, input)?;
        for (of_chunk, routes) in transformed.iter().zip(parting.routes) {
            for (batches, by_split) in of_chunk.iter().zip(&mut arrays) {
                for (array, routes) in batches.iter().zip(routes) {
                    part(array, routes, by_split)?;
                }
            }
        }
        Ok(LaneOutput { chunks: Vec::new(), arrays })
    }
}

/// What one column of the chunks of a window becomes, in so many slots; decoded side by side.
fn transformed(lane: &Lane, slots: usize, window: &Window, input: &SchemaRef) -> Result<Vec<Transformed>> {
    let of_chunk = |chunk: &Chunk| {
        let mut arrays = vec![Vec::new(); slots];
        transform(lane, chunk, input, &mut |slot_arrays| {
            arrays.iter_mut().zip(slot_arrays).for_each(|(slot, array)| slot.push(Arc::clone(array)));
            Ok(())
        })?;
        Ok(arrays)
    };
    window.chunks.par_iter().map(of_chunk).collect()
}

/// Hands over the batches of one column of a chunk, transformed: for each batch an array a slot.
fn transform(
    lane: &Lane,
    chunk: &Chunk,
    input: &SchemaRef,
    give: &mut dyn FnMut(&[ArrayRef]) -> Result<()>,
) -> Result<()> {
    let mut lane_run = LaneRun::new(lane);
    chunk.for_each_array(input, lane.input, &mut |first, array| {
        give(&lane_run.apply(&array).map_err(|e| e.offset_rows(chunk.first_row() + first as u64))?)
    })
}

/// Takes the rows of each split out of an array.
fn part(array: &ArrayRef, routes: &[Option<UInt32Array>], by_split: &mut [Vec<ArrayRef>]) -> Result<()> {
    for (rows, split) in routes.iter().zip(by_split) {
        match rows {
            None => split.push(Arc::clone(array)),
            Some(rows) if rows.is_empty() => {}
            Some(rows) => {
                let taken = take(array, rows, Some(TakeOptions { check_bounds: false }));
                split.push(taken.map_err(|e| Error::failed("parting rows", e))?);
            }
        }
    }
    Ok(())
}
