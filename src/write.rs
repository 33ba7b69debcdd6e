//! Pass two: every shard is read again, column by column; each column is transformed, parted by split, and encoded on
//! its own, and the row groups that come out are written in row order. A function of the plan and the shards alone.

/// Row groups as they are.
pub mod stored;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::{ArrayRef, Int32Array, UInt32Array};
use arrow::compute::{TakeOptions, take};
use rayon::prelude::*;

use crate::allot::NextRoutes;
use crate::derive::Derived;
use crate::engine::Engine;
use crate::error::{Error, Result, Site};
use crate::observe::Event;
use crate::plan::{Plan, PlannedPart, PlannedShard};
use crate::remaining::Remaining;
use crate::sink::parquet::{self, ColumnEncoder, Cut, EncodedChunk, Encoding};
use crate::sink::parts::{self, Destination, Format, Piece, SealedPart};
use crate::sink::text;
use crate::source::{Chunk, Shard};
use crate::spec::{OutputFormat, Recipe};
use crate::split::DROPPED;
use crate::split::fate::is_split;
use crate::transform::{Lane, LaneRun};
use crate::windows::{Window, Windows};

/// Pieces that may wait for the disk.
const WAITING_PIECES: usize = 1;

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
    input: &Derived,
    destination: Destination<'_>,
    mut open: impl FnMut(usize) -> Result<ShardRows<'a>>,
) -> Result<Vec<SealedPart>> {
    let what = "writing: the rows in flight and the open row groups of all splits";
    let _held = engine.budget.reserve(what, needed_bytes(engine, plan, recipe))?;
    let format = format(recipe, plan)?;
    with_writer(destination, &format, remaining.parts(), |sender| {
        let writer = Writer::new(engine, plan, remaining, input, &format)?;
        std::thread::scope(|scope| {
            // While the lanes have one window, the next is read and its rows are routed.
            let (to_lanes, windows) = sync_channel::<Routed<'_>>(0);
            let working = scope.spawn(move || writer.run(&windows, sender));
            let read = plan.shards.iter().enumerate().try_for_each(|(at, planned)| {
                if remaining.needs(at) {
                    read_shard(engine, plan, at, open(at)?, &to_lanes)
                } else {
                    hand_over(&to_lanes, Routed::Passed { planned })
                }
            });
            drop(to_lanes);
            let worked = working.join().unwrap_or_else(|_| Err(Error::failed("writing", "the thread panicked")));
            // What the lanes failed at was read before whatever failed to be read.
            worked.and(read)
        })
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

/// What is read of the shards, in order.
enum Routed<'a> {
    /// Rows, and where they go.
    Window {
        window: Window,
        /// By chunk.
        routes: Vec<Routes>,
        /// The folds of the rows by chunk and batch, where they are a column.
        folds: Vec<Vec<ArrayRef>>,
        rows: u64,
    },
    /// A shard is read.
    End { shard: &'a Shard, name: &'a str },
    /// A shard whose rows are all in parts that are there.
    Passed { planned: &'a PlannedShard },
}

/// For each batch of a chunk and each split, the rows of the batch that go there; nothing when all do.
type Routes = Vec<Vec<Option<UInt32Array>>>;

/// Whether any row of a chunk goes to a split: one whose rows are all in sealed parts, or dropped, need not be decoded.
fn goes_anywhere(routes: &Routes) -> bool {
    routes.iter().flatten().any(|rows| rows.as_ref().is_none_or(|rows| !rows.is_empty()))
}

fn hand_over<'a>(to_lanes: &SyncSender<Routed<'a>>, routed: Routed<'a>) -> Result<()> {
    to_lanes.send(routed).map_err(|_| Error::failed(GONE, "it is gone"))
}

/// Reads the windows of the shard at a position of the plan and routes their rows.
fn read_shard<'a>(
    engine: &Engine<'_>,
    plan: &'a Plan,
    at: usize,
    mut rows: ShardRows<'a>,
    to_lanes: &SyncSender<Routed<'a>>,
) -> Result<()> {
    let planned = &plan.shards[at];
    let mut read = 0;
    let mut pending = VecDeque::new();
    while let Some(window) = rows.windows.next(engine)? {
        let count: usize = window.chunks.iter().map(Chunk::rows).sum();
        read += count as u64;
        if read > planned.rows {
            break;
        }
        (rows.routes)(count, &mut pending)?;
        if pending.len() < count {
            let what = format!("the ledger of shard {} has fewer rows than the shard", planned.name);
            return Err(Error::Damaged { what, source: None });
        }
        let routed = window.chunks.into_iter().map(|chunk| {
            let folds = plan.fold_column.as_ref().map_or_else(Vec::new, |_| take_folds(&chunk, &mut pending));
            let routes = route(&chunk, plan.splits.len(), &mut pending);
            (chunk, (routes, folds))
        });
        let (chunks, routed): (_, Vec<_>) = routed.filter(|(_, (routes, _))| goes_anywhere(routes)).unzip();
        let window = Window { chunks, bytes: window.bytes };
        let (routes, folds) = routed.into_iter().unzip();
        hand_over(to_lanes, Routed::Window { window, routes, folds, rows: count as u64 })?;
    }
    if read != planned.rows || rows.windows.widened().is_some() {
        let message =
            "the shard is not the one that pass one read; leave the input alone while a job runs, then run again";
        return Err(Error::data(Site::shard(&planned.name), message));
    }
    if rows.windows.content().is_some_and(|found| rows.content != Some(found)) {
        return Err(rows.shard.changed());
    }
    hand_over(to_lanes, Routed::End { shard: rows.shard, name: &planned.name })
}

/// Row numbers by batch and split.
fn route(chunk: &Chunk, splits: usize, pending: &mut VecDeque<u8>) -> Routes {
    let rows = chunk.rows();
    let mut routes = &pending.make_contiguous()[..rows];
    let batch = |rows: usize| {
        let (batch, rest) = routes.split_at(rows);
        routes = rest;
        let mut counts = [0; DROPPED as usize + 1];
        batch.iter().for_each(|route| counts[usize::from(*route)] += 1);
        // One more for the rows in no split, which saves a branch a row.
        let mut indices: Vec<Vec<u32>> = counts[..splits].iter().map(|count| Vec::with_capacity(*count)).collect();
        indices.push(Vec::new());
        for (row, route) in (0..).zip(batch) {
            indices[usize::from(*route).min(splits)].push(row);
        }
        indices.truncate(splits);
        let whole = |indices: Vec<u32>| (indices.len() < rows).then(|| UInt32Array::from(indices));
        indices.into_iter().map(whole).collect()
    };
    let routed = chunk.batches().into_iter().map(batch).collect();
    pending.drain(..rows);
    routed
}

/// The folds of a chunk's rows by batch; its rows are all routed to the one split.
fn take_folds(chunk: &Chunk, pending: &mut VecDeque<u8>) -> Vec<ArrayRef> {
    let mut routes = &mut pending.make_contiguous()[..chunk.rows()];
    let batch = |rows: usize| {
        let (batch, rest) = std::mem::take(&mut routes).split_at_mut(rows);
        routes = rest;
        let fold = |route: &mut u8| if is_split(*route) { i32::from(std::mem::take(route)) } else { 0 };
        let folds: ArrayRef = Arc::new(batch.iter_mut().map(fold).collect::<Int32Array>());
        folds
    };
    chunk.batches().into_iter().map(batch).collect()
}

/// Everything that is open while rows are written.
struct Writer<'a> {
    engine: &'a Engine<'a>,
    plan: &'a Plan,
    input: &'a Derived,
    format: &'a Format,
    lanes: Vec<OpenLane<'a>>,
    /// Rows on their way into blocks, for text.
    text: Vec<text::SplitRows>,
}

/// A lane with the encoders of its output columns; none for text.
struct OpenLane<'a> {
    lane: &'a Lane,
    /// Bytes of its column: about how much work it is.
    weight: u64,
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

impl<'a> Writer<'a> {
    fn new(
        engine: &'a Engine<'a>,
        plan: &'a Plan,
        remaining: &Remaining,
        input: &'a Derived,
        format: &'a Format,
    ) -> Result<Self> {
        let row_group_rows = match format {
            Format::Parquet(_) => plan.row_group_rows,
            Format::Text(_) => text::BLOCK_ROWS,
        };
        let cut = |rows: u64| Cut { rows, shard_rows: plan.shard_rows, row_group_rows };
        let cuts: Vec<Cut> = (0..plan.splits.len()).map(|split| cut(remaining.rows(split))).collect();
        let mut outputs = outputs_by_lane(plan);
        let lanes = plan.pipeline.lanes.iter().enumerate().map(|(at, lane)| {
            let outputs = std::mem::take(&mut outputs[at]);
            let encoders = match format {
                Format::Parquet(format) => outputs
                    .iter()
                    .map(|&position| ColumnEncoder::new(format, position, &cuts))
                    .collect::<Result<_>>()?,
                Format::Text(_) => Vec::new(),
            };
            Ok(OpenLane { lane, weight: plan.facts.get(lane.input).map_or(0, |facts| facts.bytes), outputs, encoders })
        });
        let text = match format {
            Format::Text(_) => cuts.iter().enumerate().map(|(split, cut)| text::SplitRows::new(split, *cut)).collect(),
            Format::Parquet(_) => Vec::new(),
        };
        Ok(Self { lanes: lanes.collect::<Result<_>>()?, engine, plan, input, format, text })
    }

    fn run(mut self, windows: &Receiver<Routed<'_>>, sender: &SyncSender<Piece>) -> Result<()> {
        for routed in windows {
            match routed {
                Routed::Window { window, routes, folds, rows } => {
                    let outputs = self.lanes(&window, &routes, &folds)?;
                    self.send(outputs, sender)?;
                    self.engine.observer.event(Event::Advance { rows, bytes: window.bytes });
                }
                Routed::End { shard, name } => {
                    // Column chunks are read by the lanes, so only now is it known that they were those of pass one.
                    shard.check_unchanged()?;
                    self.engine.observer.event(Event::Shard { name });
                }
                Routed::Passed { planned } => {
                    self.engine.observer.event(Event::Advance { rows: planned.rows, bytes: planned.bytes });
                    self.engine.observer.event(Event::Shard { name: &planned.name });
                }
            }
        }
        Ok(())
    }

    /// What every lane makes of a window. The heaviest are begun first: a light one is soon done when all others are.
    fn lanes(&mut self, window: &Window, routes: &[Routes], folds: &[Vec<ArrayRef>]) -> Result<Vec<LaneOutput>> {
        let (engine, input, format) = (self.engine, self.input, self.format);
        let parting = Parting { window, routes, folds, splits: self.plan.splits.len() };
        let mut lanes: Vec<(usize, &mut OpenLane<'_>)> = self.lanes.iter_mut().enumerate().collect();
        lanes.sort_by_key(|(_, lane)| std::cmp::Reverse(lane.weight));
        let lanes = lanes.into_iter().par_bridge();
        let mut outputs: Vec<(usize, Result<LaneOutput>)> = engine.pool.install(|| match format {
            Format::Parquet(format) => lanes
                .map_init(
                    || format.encoding(),
                    |encoding, (at, lane)| match encoding {
                        Ok(encoding) => {
                            (at, engine.go_on().and_then(|()| lane.encode(&parting, input, format, encoding)))
                        }
                        Err(e) => (at, Err(Error::failed("encoding", e.to_string()))),
                    },
                )
                .collect(),
            Format::Text(_) => {
                lanes.map(|(at, lane)| (at, engine.go_on().and_then(|()| lane.part(&parting, input)))).collect()
            }
        });
        outputs.sort_unstable_by_key(|(at, _)| *at);
        outputs.into_iter().map(|(_, output)| output).collect()
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

/// Positions of the slots of every lane among the output's columns.
fn outputs_by_lane(plan: &Plan) -> Vec<Vec<usize>> {
    let mut outputs: Vec<Vec<(usize, usize)>> = vec![Vec::new(); plan.pipeline.lanes.len()];
    for (position, column) in plan.pipeline.output.iter().enumerate() {
        outputs[column.lane].push((column.slot, position));
    }
    let in_order = |mut outputs: Vec<(usize, usize)>| {
        outputs.sort_unstable();
        outputs.into_iter().map(|(_, position)| position).collect()
    };
    outputs.into_iter().map(in_order).collect()
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
    /// By chunk and batch.
    folds: &'a [Vec<ArrayRef>],
    splits: usize,
}

impl OpenLane<'_> {
    /// Decodes, transforms and encodes one column of a window.
    fn encode(
        &mut self,
        parting: &Parting<'_>,
        input: &Derived,
        format: &parquet::Format,
        encoding: &mut Encoding,
    ) -> Result<LaneOutput> {
        let mut chunks: Vec<Vec<Vec<EncodedChunk>>> = Vec::new();
        chunks.resize_with(self.outputs.len(), || std::iter::repeat_with(Vec::new).take(parting.splits).collect());
        if let [chunk] = parting.window.chunks.as_slice() {
            let mut batches = parting.routes[0].iter();
            let encoders = &mut self.encoders;
            transform(self.lane, (chunk, &parting.folds[0]), input, &mut |arrays| {
                let Some(routes) = batches.next() else { return Ok(()) };
                let mut slots = encoders.iter_mut().zip(&mut chunks).zip(arrays);
                slots.try_for_each(|((encoder, finished), array)| encoder.push(array, routes, encoding, finished))
            })?;
            return Ok(LaneOutput { chunks, arrays: Vec::new() });
        }
        let transformed = transformed(self.lane, self.outputs.len(), parting, input)?;
        for (slot, (encoder, finished)) in self.encoders.iter_mut().zip(&mut chunks).enumerate() {
            let of_chunks = transformed.iter().zip(parting.routes);
            let batches = of_chunks.flat_map(|(arrays, routes)| arrays[slot].iter().zip(routes));
            let batches: Vec<parquet::Batch<'_>> = batches.map(|(array, routes)| (array, routes.as_slice())).collect();
            encoder.push_all(format, &batches, finished)?;
        }
        Ok(LaneOutput { chunks, arrays: Vec::new() })
    }

    /// Decodes, transforms and parts one column of a window, for text.
    fn part(&self, parting: &Parting<'_>, input: &Derived) -> Result<LaneOutput> {
        let mut arrays = vec![vec![Vec::new(); parting.splits]; self.outputs.len()];
        let transformed = transformed(self.lane, self.outputs.len(), parting, input)?;
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
fn transformed(lane: &Lane, slots: usize, parting: &Parting<'_>, input: &Derived) -> Result<Vec<Transformed>> {
    let of_chunk = |(chunk, folds): (&Chunk, &Vec<ArrayRef>)| {
        let mut arrays = vec![Vec::new(); slots];
        transform(lane, (chunk, folds), input, &mut |slot_arrays| {
            arrays.iter_mut().zip(slot_arrays).for_each(|(slot, array)| slot.push(Arc::clone(array)));
            Ok(())
        })?;
        Ok(arrays)
    };
    parting.window.chunks.par_iter().zip(parting.folds).map(of_chunk).collect()
}

/// Hands over the batches of one column of a chunk, transformed: for each batch an array a slot.
fn transform(
    lane: &Lane,
    (chunk, folds): (&Chunk, &[ArrayRef]),
    input: &Derived,
    give: &mut dyn FnMut(&[ArrayRef]) -> Result<()>,
) -> Result<()> {
    if lane.is_fold() {
        return folds.iter().try_for_each(|folds| give(std::slice::from_ref(folds)));
    }
    let mut lane_run = LaneRun::new(lane);
    input.for_each_array(chunk, lane.input, &mut |first, array| {
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
