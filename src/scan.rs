//! Pass one: every shard is read once, column by column, and leaves a summary and a ledger of its rows. A shard's
//! results depend on its bytes and the unified schema only; how columns and chunks are spread over threads shows nowhere.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use self::ledger::LedgerRows;
use crate::allot::NextRoutes;
use crate::basis::Basis;
use crate::derive::Derived;
use crate::engine::Engine;
use crate::error::{Error, Result, Site};
use crate::hash;
use crate::observe::Event;
use crate::schema::{self, ShardFields};
use crate::source::text::Skipped;
use crate::source::{Chunk, Decoded, Opened, Shard};
use crate::spec::{OneOrMany, Recipe, SplitKind};
use crate::split::time::{self, Unit};
use crate::state::{CodeCounts, ColumnState, Counted, Summary, VocabularyNeed};
use crate::store::{LedgerWriter, ShardRecord, StateStore};
use crate::strata::{Ids, Stratum};
use crate::transform::{self, Need};
use crate::windows::Windows;

mod ledger;

/// What pass one collects, decided by the recipe and the schema.
#[derive(Debug, Clone)]
pub struct Collect {
    /// The columns, as the recipe derives them of the input's.
    pub schema: SchemaRef,
    /// How they are derived.
    pub derived: Derived,
    /// How much is kept of each column's values.
    pub needs: Vec<VocabularyNeed>,
    /// How much is kept of the values that the rows to be fitted on have, where these are not all rows; nothing for a column that no
    /// transform works on.
    pub fitted: Vec<Option<VocabularyNeed>>,
    /// Which rows these are, and what is kept of which columns; nothing where all rows are fitted on.
    pub fitted_hash: Option<u128>,
    /// For each column, whether it is to be known if 32-bit floats hold its values exactly; empty for none.
    pub asks_f32: Vec<bool>,
    /// Whether only the columns that the ledger is made of are read.
    pub keys_only: bool,
    /// Columns of the row's key, in the recipe's order; none for the row's place.
    pub key: Vec<usize>,
    /// Columns that make the strata, in the recipe's order.
    pub stratify: Vec<usize>,
    /// The label's column.
    pub label: Option<usize>,
    /// Columns of the group, in the recipe's order.
    pub groups: Vec<usize>,
    /// The time's column.
    pub time: Option<usize>,
    /// Columns of the key that is to be unique, in the recipe's order.
    pub unique: Vec<usize>,
    /// Columns that order the rows of that key, in the recipe's order.
    pub order: Vec<usize>,
    /// For each source column, whether the recipe sets its type.
    pub forced: Vec<bool>,
    /// Whether splits need to know anything of single rows.
    pub ledger: bool,
    /// Whether row groups go to the parts as they are.
    pub copied: bool,
    /// Whether anything needs to know the columns' values; if not, only page headers are looked at.
    pub statistics: bool,
}

impl Collect {
    /// What `recipe` needs to know of input columns of this schema.
    ///
    /// # Errors
    /// [`Error::Data`] when a column of the recipe is not there; what [`Derived::new`] and [`transform::needs`] find.
    pub fn new(recipe: &Recipe, input: &SchemaRef) -> Result<Self> {
        let derived = Derived::new(recipe, input)?;
        let needs = transform::needs(recipe, &derived.schema)?;
        let asks_f32 = transform::narrow::asks_f32(recipe, &derived.schema)?;
        Ok(Self { asks_f32, ..Self::of(recipe, derived, needs)? })
    }

    /// What the ledger needs to know, and nothing else.
    ///
    /// # Errors
    /// As [`Collect::new`].
    pub fn keys(recipe: &Recipe, input: &SchemaRef) -> Result<Self> {
        let whole = Self::new(recipe, input)?;
        let first = whole.schema.fields().first().map(|field| field.name().clone());
        let names: Vec<&str> = whole.key_names().collect();
        // Rows are counted by some column.
        let keep = |name: &str| names.contains(&name) || (names.is_empty() && first.as_deref() == Some(name));
        let derived = whole.derived.only(keep);
        let needs = vec![Need::Count; derived.schema.fields().len()];
        Ok(Self { keys_only: true, ..Self::of(recipe, derived, needs)? })
    }

    /// What the recipe needs to know, and of the columns that transforms work on also what is so of the rows that `rows` stands for.
    ///
    /// # Errors
    /// As [`Collect::new`].
    pub fn training(recipe: &Recipe, input: &SchemaRef, rows: u128) -> Result<Self> {
        let mut collect = Self::new(recipe, input)?;
        let mut works_on = vec![false; collect.needs.len()];
        let selected = transform::resolve(recipe, &collect.schema)?;
        selected.into_iter().flatten().for_each(|at| works_on[at] = true);
        let fitted = |(need, works_on): (&mut VocabularyNeed, bool)| {
            works_on.then(|| std::mem::replace(need, VocabularyNeed::Count))
        };
        collect.fitted = collect.needs.iter_mut().zip(works_on).map(fitted).collect();
        let kept: Vec<Option<bool>> =
            collect.fitted.iter().map(|need| need.map(|need| need == VocabularyNeed::Count)).collect();
        collect.fitted_hash = Some(xxh3_128(format!("{rows:032x} {kept:?}").as_bytes()));
        Ok(collect)
    }

    fn of(recipe: &Recipe, derived: Derived, needs: Vec<Need>) -> Result<Self> {
        let schema = &Arc::clone(&derived.schema);
        let at = |name: &str, what: &str| schema::position(schema, name, what);
        let label = recipe.label.as_ref().map(|label| at(&label.column, "Label field")).transpose()?;
        let needs = needs.into_iter().map(|need| match need {
            Need::Count => VocabularyNeed::Count,
            Need::Vocabulary => VocabularyNeed::Exact { limit: usize::MAX },
        });
        let all = |names: &[String], what: &str| names.iter().map(|name| at(name, what)).collect::<Result<Vec<_>>>();
        let named = |columns: Option<&OneOrMany>, what: &str| all(columns.map_or(&[], OneOrMany::as_slice), what);
        let time = recipe.split.time.as_ref().map(|name| at(name, "split.time column")).transpose()?;
        if let Some(at) = time {
            Unit::of(schema.field(at).name(), schema.field(at).data_type())?;
        }
        let dedupe = recipe.dedupe.as_ref();
        let order = named(dedupe.and_then(|dedupe| dedupe.order_by.as_ref()), "dedupe.order_by column")?;
        let forced =
            derived.source.fields().iter().map(|field| recipe.input.schema.contains_key(field.name())).collect();
        Ok(Self {
            schema: Arc::clone(schema),
            derived,
            needs: needs.collect(),
            fitted: Vec::new(),
            fitted_hash: None,
            asks_f32: Vec::new(),
            keys_only: false,
            forced,
            key: named(recipe.split.key.as_ref(), "split.key column")?,
            stratify: all(&Self::stratify_names(recipe), "split.stratify column")?,
            label,
            groups: named(recipe.split.groups.as_ref(), "split.groups column")?,
            time,
            unique: named(dedupe.map(|dedupe| &dedupe.key), "dedupe.key column")?,
            order,
            ledger: recipe.split.kind != SplitKind::None || label.is_some() || dedupe.is_some(),
            copied: false,
            statistics: true,
        })
    }
}

impl Collect {
    /// Names of the columns that the ledger is made of; one may come more than once.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        let all = [&self.key, &self.stratify, &self.groups, &self.unique, &self.order].into_iter().flatten();
        all.chain(&self.label).chain(&self.time).map(|at| self.schema.field(*at).name().as_str())
    }

    /// The columns that make the strata: those named, or the label's.
    pub fn stratify_names(recipe: &Recipe) -> Vec<String> {
        use SplitKind as K;
        match (recipe.split.kind, &recipe.split.stratify, &recipe.label) {
            (K::Stratified | K::StratifiedGrouped | K::Kfold, Some(columns), _) => columns.as_slice().to_vec(),
            (K::Stratified | K::StratifiedGrouped, None, Some(label)) => vec![label.column.clone()],
            _ => Vec::new(),
        }
    }

    /// Whether it is to be known of the column at this position if 32-bit floats hold its values exactly.
    pub fn asks_f32(&self, at: usize) -> bool {
        self.asks_f32.get(at).copied().unwrap_or_default()
    }

    fn empty_column(&self, at: usize) -> ColumnSummary {
        let data_type = self.schema.field(at).data_type();
        let state = ColumnState::new(data_type, self.needs[at]);
        ColumnSummary {
            state: if self.asks_f32(at) { state.asking_f32() } else { state },
            fitted: self.fitted.get(at).copied().flatten().map(|need| ColumnState::new(data_type, need)),
            value_bytes: 0,
        }
    }

    /// The same once all values were seen: a column that has none is text.
    ///
    /// # Errors
    /// As [`Derived::check_types`].
    pub fn settled(self) -> Result<Self> {
        let derived = self.derived.settled();
        derived.check_types()?;
        Ok(Self { schema: Arc::clone(&derived.schema), derived, ..self })
    }

    /// The columns' summaries before the first row.
    pub fn empty_columns(&self) -> Vec<ColumnSummary> {
        (0..self.needs.len()).map(|at| self.empty_column(at)).collect()
    }
}

/// What pass one learned of one column of one shard, or of all shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// Statistics and values.
    pub state: ColumnState,
    /// The same of the rows to be fitted on, where these are not all rows and a transform works on the column.
    pub fitted: Option<ColumnState>,
    /// Bytes of all its texts and byte strings.
    pub value_bytes: u64,
}

impl ColumnSummary {
    /// What the transforms are fitted on.
    pub fn to_fit(&self) -> &ColumnState {
        self.fitted.as_ref().unwrap_or(&self.state)
    }

    /// Bytes that it holds.
    pub fn heap_bytes(&self) -> usize {
        self.state.heap_bytes() + self.fitted.as_ref().map_or(0, Summary::heap_bytes)
    }

    /// Adds the rows of an array; those of a dictionary are counted in `codes` until another one comes, or until they are
    /// taken by [`ColumnSummary::update_counted`].
    fn update(&mut self, array: &ArrayRef, codes: &mut CodeCounts) -> Result<()> {
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            return codes.add(dictionary)?.map_or(Ok(()), |counted| self.update_counted(&counted));
        }
        self.value_bytes += match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().value_data().len() as u64,
            DataType::Binary => array.as_binary::<i32>().value_data().len() as u64,
            _ => 0,
        };
        self.state.update(array)
    }

    fn update_counted(&mut self, counted: &Counted) -> Result<()> {
        let lengths = match counted.values().data_type() {
            DataType::Utf8 => counted.values().as_string::<i32>().offsets().lengths().collect(),
            DataType::Binary => counted.values().as_binary::<i32>().offsets().lengths().collect(),
            _ => Vec::new(),
        };
        let bytes = lengths.iter().zip(counted.counts()).map(|(length, rows)| *length as u64 * u64::from(*rows));
        self.value_bytes += bytes.sum::<u64>();
        self.state.update_counted(counted)
    }

    /// Adds what another summary of the same column has seen.
    ///
    /// # Errors
    /// As [`Summary::merge`].
    pub fn merge(&mut self, later: Self) -> Result<()> {
        self.value_bytes += later.value_bytes;
        if let (Some(fitted), Some(later)) = (&mut self.fitted, later.fitted) {
            fitted.merge(later)?;
        }
        self.state.merge(later.state)
    }
}

/// What pass one learned of one shard, as the state keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardSummary {
    /// Rows read.
    pub rows: u64,
    /// Rows without a label.
    pub missing_label: u64,
    /// Records that were left out.
    pub skipped: Vec<Skipped>,
    /// How many more there are.
    pub untold: u64,
    /// What it was scanned for.
    pub basis: Basis,
    /// XXH3-128 of a text shard's file.
    pub content: Option<u128>,
    /// The shard's own columns and types as far as they are known, as (name, type).
    pub fields: Vec<(String, String)>,
    /// Types the columns were read as, in the schema's order, as (name, type).
    pub read_as: Vec<(String, String)>,
    /// The strata by code.
    pub strata: Vec<Stratum>,
    /// The columns' summaries in the schema's order, encoded: most readers of a summary need the rest only.
    pub columns: Vec<u8>,
}

/// How scanning a shard ended.
pub enum Outcome {
    /// All of it was read under the schema.
    Done {
        /// What was learned.
        summary: Box<ShardSummary>,
        /// The columns' summaries, also within `summary`.
        columns: Vec<ColumnSummary>,
        /// The decoded chunks, when they were asked for and there was room.
        cached: Option<Vec<Chunk>>,
        /// Whether they were asked for and there was none.
        crowded: bool,
    },
    /// A value did not fit the schema: these are the types that hold all the shard's values.
    Widened(ShardFields),
}

/// Names and types as a summary keeps them.
pub fn type_names(schema: &SchemaRef) -> Vec<(String, String)> {
    schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
}

/// Reads a shard under the schema of `collect`, which is what `basis` says, writing its ledger to `ledger`.
///
/// # Errors
/// [`Error::Data`] that names the shard; [`Error::Memory`] when the vocabularies outgrow the budget;
/// [`Error::Interrupted`].
pub fn shard(
    engine: &Engine<'_>,
    shard: &Shard,
    opened: &Opened,
    (collect, basis): (&Collect, &Basis),
    ledger: &mut LedgerWriter,
    mut train: Option<Train<'_>>,
    keep: bool,
) -> Result<Outcome> {
    if let (false, Opened::Parquet(stored)) = (collect.statistics, opened) {
        engine.pool.install(|| stored.check_pages())?;
        engine.observer.event(Event::Advance { rows: stored.rows(), bytes: shard.bytes });
        let columns = collect.empty_columns();
        let summary = summary(opened, (collect, basis), stored.rows(), &columns)?;
        return Ok(Outcome::Done { summary: Box::new(summary), columns, cached: None, crowded: false });
    }
    let mut columns = collect.empty_columns();
    let mut rows_of = LedgerRows::new(collect)?;
    let mut reservation = engine.budget.reserve("the columns' statistics", 0)?;
    let (mut rows, mut missing_label) = (0, 0);
    let (mut skipped, mut skipped_bytes) = (Vec::new(), 0);
    let mut cached = keep.then(Vec::new);
    // How much a shard becomes is not known before its end: a compressed one may be thousands of times its size.
    let mut kept_bytes = engine.budget.reserve("the decoded columns", 0)?;
    // Columns that are made of several are held for all rows of a chunk: these are no more than a window's.
    let piece_bytes = if collect.derived.combines() { engine.window_bytes() } else { u64::MAX };
    let mut windows = Windows::new(engine, shard, opened, &collect.derived.source, &collect.forced, piece_bytes)?;
    while let Some(window) = windows.next(engine)? {
        let chunks = window.chunks;
        let masks = match &mut train {
            Some(train) => chunks.iter().map(|chunk| train.masks(chunk)).collect::<Result<Vec<_>>>()?,
            None => vec![Vec::new(); chunks.len()],
        };
        let chunks_with: Vec<Marked<'_>> =
            chunks.iter().zip(&masks).map(|(chunk, masks)| Marked { chunk, masks }).collect();
        let parts = scan_columns(engine, &chunks_with, collect, &mut columns, cached.is_some())?;
        let more = windows.take_skipped();
        skipped_bytes += more.iter().map(Skipped::bytes).sum::<usize>();
        skipped.extend(more);
        let held: usize = columns.iter().map(ColumnSummary::heap_bytes).sum::<usize>() + skipped_bytes;
        if !reservation.try_resize(held as u64) {
            // What is kept is the first to go.
            cached = None;
            if !(kept_bytes.try_resize(0) && reservation.try_resize(held as u64)) {
                return Err(too_many_values(engine, collect, &columns, held));
            }
        }
        let mut by_chunk = transpose(parts, chunks.len());
        for (chunk, parts) in chunks.iter().zip(&mut by_chunk) {
            if collect.ledger {
                missing_label += rows_of.append(chunk, parts, ledger).map_err(|e| e.in_shard(&shard.name))?;
            }
            rows += chunk.rows() as u64;
        }
        if let Some(kept) = &mut cached {
            let before = kept.len();
            kept.extend(chunks.iter().zip(by_chunk).map(|(chunk, parts)| keep_decoded(chunk, parts)));
            let more: u64 = kept[before..].iter().map(Chunk::held_bytes).sum();
            if !kept_bytes.try_resize(kept_bytes.bytes() + more) {
                cached = None;
                let _nothing_left = kept_bytes.try_resize(0);
            }
        }
        engine
            .observer
            .event(Event::Advance { rows: chunks.iter().map(|chunk| chunk.rows() as u64).sum(), bytes: window.bytes });
    }
    if let Some(fields) = windows.widened() {
        return Ok(Outcome::Widened(fields));
    }
    let crowded = keep && cached.is_none();
    let learned = summary(opened, (collect, basis), rows, &columns)?;
    skipped.extend(windows.take_skipped());
    let summary = ShardSummary {
        missing_label,
        skipped,
        untold: windows.untold(),
        content: windows.content(),
        strata: rows_of.strata.finish(),
        ..learned
    };
    Ok(Outcome::Done { summary: Box::new(summary), columns, cached, crowded })
}

/// The summary of a shard without strata.
fn summary(
    opened: &Opened,
    (collect, basis): (&Collect, &Basis),
    rows: u64,
    columns: &[ColumnSummary],
) -> Result<ShardSummary> {
    let encoded = bincode::serde::encode_to_vec(columns, bincode::config::standard());
    Ok(ShardSummary {
        rows,
        missing_label: 0,
        skipped: Vec::new(),
        untold: 0,
        basis: basis.clone(),
        content: None,
        fields: opened.fields().iter().map(|(name, data_type)| (name.clone(), data_type.to_string())).collect(),
        read_as: type_names(&collect.schema),
        strata: Vec::new(),
        columns: encoded.map_err(|e| Error::failed("encoding a summary", e))?,
    })
}

impl ShardSummary {
    /// The columns' summaries, in the schema's order.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they cannot be decoded.
    pub fn decode_columns(&self) -> Result<Vec<ColumnSummary>> {
        let limited = bincode::config::standard().with_limit::<{ 4 << 30 }>();
        let (columns, read): (Vec<ColumnSummary>, usize) =
            bincode::serde::borrow_decode_from_slice(&self.columns, limited).map_err(|e| Error::Damaged {
                what: "a shard's summary cannot be decoded".into(),
                source: Some(e.into()),
            })?;
        let fits = |column: &ColumnSummary| {
            column.state.fits(self.rows)
                && column.fitted.as_ref().is_none_or(|fitted| fitted.fits(self.rows))
                && column.value_bytes <= MOST_BYTES
        };
        if read == self.columns.len() && columns.len() == self.read_as.len() && columns.iter().all(fits) {
            return Ok(columns);
        }
        Err(inconsistent())
    }

    /// What the state holds of a shard; its columns are for [`ShardSummary::decode_columns`].
    ///
    /// # Errors
    /// As [`StateStore::read_summary`], and [`Error::Damaged`] when its counts do not fit together.
    pub fn read(store: &StateStore, record: &ShardRecord) -> Result<Self> {
        let summary: Self = store.read_summary(record)?;
        let of_strata = summary.strata.iter().try_fold(summary.missing_label, |sum, s| sum.checked_add(s.rows));
        let named = |stratum: &Stratum| stratum.values.len() == summary.basis.stratify.len();
        let fits = of_strata.is_some_and(|rows| rows <= summary.rows) && summary.rows <= MOST_ROWS;
        if fits && summary.strata.iter().all(named) { Ok(summary) } else { Err(inconsistent()) }
    }
}

/// More rows than any shard has: counts below it add up over all shards without a thought of overflow.
const MOST_ROWS: u64 = 1 << 48;
/// As [`MOST_ROWS`], for bytes.
const MOST_BYTES: u64 = 1 << 56;

fn inconsistent() -> Error {
    Error::Damaged { what: "a shard's summary is damaged: its parts do not fit together".into(), source: None }
}

/// What a column gives besides its statistics, for one chunk.
#[derive(Default)]
struct Part {
    hashes: Vec<u64>,
    wide: Vec<u128>,
    ids: Ids,
    present: Vec<bool>,
    ticks: Vec<u64>,
    arrays: Vec<ArrayRef>,
}

/// The rows to be fitted on, where these are not all rows.
pub struct Train<'a> {
    /// Position of their split.
    pub split: u8,
    /// What becomes of the shard's rows.
    pub routes: Box<NextRoutes<'a>>,
    /// What became of rows that no chunk had yet.
    pub pending: VecDeque<u8>,
}

impl Train<'_> {
    /// Which rows of the next chunk are fitted on, batch by batch.
    fn masks(&mut self, chunk: &Chunk) -> Result<Vec<BooleanArray>> {
        let rows = chunk.rows();
        (self.routes)(rows, &mut self.pending)?;
        if self.pending.len() < rows {
            return Err(Error::data(
                Site::shard(chunk.shard()),
                "the shard has more rows than when its keys were read",
            ));
        }
        let mut next = || self.pending.pop_front().is_some_and(|route| route == self.split);
        let mut mask = |rows: usize| (0..rows).map(|_| next()).collect::<Vec<bool>>().into();
        Ok(chunk.batches().into_iter().map(&mut mask).collect())
    }
}

/// A chunk, and which of its rows are fitted on; no masks where all are.
struct Marked<'a> {
    chunk: &'a Chunk,
    masks: &'a [BooleanArray],
}

/// Updates every column's summary with its values in `chunks`; the parts are by column, then by chunk.
fn scan_columns(
    engine: &Engine<'_>,
    chunks: &[Marked<'_>],
    collect: &Collect,
    columns: &mut [ColumnSummary],
    keep: bool,
) -> Result<Vec<Vec<Part>>> {
    // Where columns are fewer than threads can share, each column's chunks are shared out as well.
    let runs = (engine.threads() * 4).div_ceil(columns.len().max(1)).min(chunks.len()).max(1);
    let run_chunks = chunks.len().div_ceil(runs).max(1);
    engine.pool.install(|| {
        columns
            .par_iter_mut()
            .enumerate()
            .map(|(at, summary)| {
                engine.go_on()?;
                if runs == 1 {
                    return chunks.iter().map(|chunk| scan_column(chunk, collect, at, summary, keep)).collect();
                }
                let scan_run = |run: &[Marked<'_>]| {
                    engine.go_on()?;
                    let mut partial = collect.empty_column(at);
                    let parts = run
                        .iter()
                        .map(|chunk| scan_column(chunk, collect, at, &mut partial, keep))
                        .collect::<Result<Vec<_>>>()?;
                    Ok((partial, parts))
                };
                let mut all = Vec::with_capacity(chunks.len());
                for run in chunks.par_chunks(run_chunks).map(scan_run).collect::<Vec<Result<_>>>() {
                    let (partial, parts) = run?;
                    summary.merge(partial)?;
                    all.extend(parts);
                }
                Ok(all)
            })
            .collect()
    })
}

fn scan_column(
    marked: &Marked<'_>,
    collect: &Collect,
    at: usize,
    summary: &mut ColumnSummary,
    keep: bool,
) -> Result<Part> {
    let chunk = marked.chunk;
    let (is_key, is_stratum, is_label) =
        (collect.key.contains(&at), collect.stratify.contains(&at), collect.label == Some(at));
    let is_wide = collect.groups.contains(&at) || collect.unique.contains(&at);
    let (is_time, is_order) = (collect.time == Some(at), collect.order.contains(&at));
    let mut part = Part::default();
    let (mut codes, mut fitted_codes) = (CodeCounts::default(), CodeCounts::default());
    let mut masks = marked.masks.iter();
    collect.derived.for_each_array(chunk, at, &mut |first, array| {
        summary.update(&array, &mut codes)?;
        if let (Some(fitted), Some(mask)) = (&mut summary.fitted, masks.next()) {
            let kept = filter(&array, mask).map_err(|e| Error::failed("choosing the rows to fit on", e))?;
            update(fitted, &kept, &mut fitted_codes)?;
        }
        if is_key {
            hash::fields(&array, &mut part.hashes)?;
        }
        if is_stratum {
            part.ids.append(&array)?;
        }
        if is_label {
            append_present(&array, &mut part.present);
        }
        if is_wide {
            hash::wide_fields(&array, &mut part.wide)?;
        }
        if is_time {
            time::ticks(&array, &mut part.ticks).map_err(|e| e.offset_rows(chunk.first_row() + first as u64))?;
        }
        if keep || is_order {
            part.arrays.push(array);
        }
        Ok(())
    })?;
    let counted = codes.finish().and_then(|counted| {
        counted.map_or(Ok(()), |counted| summary.update_counted(&counted))?;
        match (fitted_codes.finish()?, &mut summary.fitted) {
            (Some(counted), Some(fitted)) => fitted.update_counted(&counted),
            _ => Ok(()),
        }
    });
    counted.map_err(|e| e.in_shard(chunk.shard()).in_column(collect.schema.field(at).name()))?;
    Ok(part)
}

/// Adds the rows of an array to a state; those of a dictionary are counted in `codes` until another one comes.
fn update(state: &mut ColumnState, array: &ArrayRef, codes: &mut CodeCounts) -> Result<()> {
    match array.as_any_dictionary_opt() {
        Some(dictionary) => codes.add(dictionary)?.map_or(Ok(()), |counted| state.update_counted(&counted)),
        None => state.update(array),
    }
}

/// Whether each row has a label: NaN is none.
fn append_present(array: &ArrayRef, present: &mut Vec<bool>) {
    if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
        let mut of_values = Vec::with_capacity(dictionary.values().len());
        append_present(dictionary.values(), &mut of_values);
        present.extend(dictionary.keys().iter().map(|key| key.is_some_and(|key| of_values[key as usize])));
        return;
    }
    let nulls = array.logical_nulls();
    let start = present.len();
    present.extend((0..array.len()).map(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))));
    let not_a_number = |at: usize, nan: bool, present: &mut Vec<bool>| {
        if nan {
            present[start + at] = false;
        }
    };
    match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<arrow::datatypes::Float64Type>().values();
            values.iter().enumerate().for_each(|(at, value)| not_a_number(at, value.is_nan(), present));
        }
        DataType::Float32 => {
            let values = array.as_primitive::<arrow::datatypes::Float32Type>().values();
            values.iter().enumerate().for_each(|(at, value)| not_a_number(at, value.is_nan(), present));
        }
        _ => {}
    }
}

fn transpose(columns: Vec<Vec<Part>>, chunks: usize) -> Vec<Vec<Part>> {
    let mut by_chunk: Vec<Vec<Part>> = (0..chunks).map(|_| Vec::with_capacity(columns.len())).collect();
    for column in columns {
        for (chunk, part) in by_chunk.iter_mut().zip(column) {
            chunk.push(part);
        }
    }
    by_chunk
}

/// The chunk without what its arrays hold beyond their rows: of many small shards that would be most of it.
fn keep_decoded(chunk: &Chunk, mut parts: Vec<Part>) -> Chunk {
    parts.iter_mut().flat_map(|part| &mut part.arrays).for_each(Array::shrink_to_fit);
    Chunk::Decoded(Decoded {
        shard: chunk.shard().into(),
        first_row: chunk.first_row(),
        rows: chunk.rows(),
        columns: parts.into_iter().map(|part| part.arrays).collect(),
        derived: true,
    })
}

fn too_many_values(engine: &Engine<'_>, collect: &Collect, columns: &[ColumnSummary], held: usize) -> Error {
    let largest = columns.iter().enumerate().max_by_key(|(at, column)| (column.heap_bytes(), std::cmp::Reverse(*at)));
    let (name, distinct) = largest.map_or((String::new(), 0), |(at, column)| {
        (collect.schema.field(at).name().clone(), column.state.distinct().0)
    });
    Error::Memory {
        what: format!("the vocabularies: column `{name}` alone has {distinct} distinct values so far; together that"),
        needed: held as u64,
        limit: engine.budget.limit(),
        advice: format!(", or take column `{name}` out of the encoders and imputers"),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Float64Array, Int32Array};

    use super::*;

    #[test]
    fn a_label_is_missing_under_its_code_as_in_its_row() {
        let values = Float64Array::from(vec![Some(1.0), Some(f64::NAN), None]);
        let codes = Int32Array::from(vec![Some(0), None, Some(1), Some(2), Some(0)]);
        let array: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(codes, Arc::new(values)));
        let mut present = vec![true];
        append_present(&array, &mut present);
        assert_eq!(present, [true, true, false, false, false, true]);
    }
}
