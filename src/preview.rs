//! What a job would do, from footers and samples alone: the schema and where shards disagree with it, the columns each step
//! works on, the columns that come out, the memory it needs. Reads no rows and writes nothing, not even a state.

use std::path::PathBuf;

use arrow::array::{ArrayRef, Int64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use hashbrown::HashMap;
use rayon::prelude::*;
use serde::Serialize;

use crate::engine::Engine;
use crate::error::Result;
use crate::job::Job;
use crate::observe::Silent;
use crate::plan::row_group_rows;
use crate::scan::{Collect, type_names};
use crate::schema::{self, ShardFields};
use crate::source::{Opened, Shard, discover};
use crate::spec::{
    ExtraColumns, FitRows, Input, MissingColumns, Mode, OutputFormat, Recipe, Size, SplitKind, Transform,
};
use crate::state::{ColumnState, Summary, VocabularyNeed};
use crate::store::Identity;
use crate::store::frame::{self, Kind};
use crate::transform::{self, Step};

/// What pass one's statistics of a column take at most where its values are not kept: moments and a sketch.
const COLUMN_BYTES: u64 = 24 << 10;
/// What a text is taken to be long, in bytes, where nothing says it.
const TEXT_BYTES: u64 = 16;
/// Rows that a compressed text shard is taken to have are not guessed; its bytes grow by this when it is read.
const DECODED_GROWTH: u64 = 4;

/// What a job would do.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// Number of shards.
    pub shards: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of all shards, when these say it without being read.
    pub rows: Option<u64>,
    /// Names and types of the input's columns.
    pub input: Vec<(String, String)>,
    /// Where shards differ from the schema.
    pub disagreements: Vec<Disagreement>,
    /// What else a person may want to know of the input.
    pub notes: Vec<String>,
    /// Columns with a task: label, stratify, key, groups, time and so on.
    pub roles: Vec<(&'static str, Vec<String>)>,
    /// The steps with the columns they work on, in the recipe's order, by their names before the step.
    pub steps: Vec<(&'static str, Vec<String>)>,
    /// The columns that come out.
    pub output: Vec<OutputColumn>,
    /// The splits with their shares; the rows are the nearest whole numbers, when the input's are known.
    pub splits: Vec<(String, Option<f64>, Option<u64>)>,
    /// Of each split where its first part will be, and copies of it.
    pub files: Vec<Vec<String>>,
    /// Readings of the input: what for, and of how many columns.
    pub readings: Vec<(&'static str, usize)>,
    /// The memory that the run needs.
    pub memory: Memory,
    /// What there is where the state will be.
    pub state: StateFound,
    /// Why nothing can be written to the output's place.
    pub output_conflict: Option<String>,
}

/// A column in which a shard differs from the schema of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// The shard.
    pub shard: String,
    /// The column.
    pub column: String,
    /// How it differs.
    pub kind: Difference,
    /// Whether the recipe refuses it.
    pub refused: bool,
}

/// How a shard's column differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The shard has not the column: null there.
    Missing,
    /// The first shard has not the column: passed over.
    Extra,
    /// It has this type, and is read as the other.
    Type {
        /// In the shard.
        found: String,
        /// In the schema.
        read_as: String,
    },
}

/// A column of the output, as far as it is known before the fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputColumn {
    /// Its name; `NAME_*` for the columns of one-hot encoding.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it depends on the data how many columns this is, or whether it is there at all.
    pub depends_on_data: bool,
    /// Whether it gets a smaller type if that holds all values, which is known only once they are read.
    pub may_be_narrowed: bool,
}

/// An estimate of what a run needs, in bytes. Vocabularies are not in it: their size is known only once they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Decoded rows that are worked on at once.
    pub window: u64,
    /// Statistics of all columns.
    pub statistics: u64,
    /// Open row groups of all splits.
    pub row_groups: u64,
    /// What buffers may take of `run.memory`.
    pub budget: u64,
    /// `run.memory`.
    pub limit: u64,
    /// Whether the decoded columns would be kept between the passes.
    pub in_memory: bool,
}

impl Memory {
    /// What is needed at once: pass one has the window and the statistics, pass two the window and the row groups.
    pub fn needed(&self) -> u64 {
        self.window + self.statistics.max(self.row_groups)
    }

    /// Whether it fits.
    pub fn fits(&self) -> bool {
        self.needed() <= self.budget
    }
}

/// What there is at a state's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateFound {
    /// The path.
    pub path: PathBuf,
    /// What is there.
    pub kind: StateKind,
}

/// What there is at a state's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// Nothing.
    None,
    /// A state of this recipe: what it has is used.
    ThisRecipe,
    /// A state of another recipe.
    OtherRecipe,
    /// A state that cannot be read.
    Damaged,
    /// Something that is no state.
    Foreign,
}

/// A shard, its columns, and its rows where these are known.
type Surveyed = (Shard, ShardFields, Option<u64>);

impl Job {
    /// Says what the job would do.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] when a shard cannot be opened or a column of the recipe is not there;
    /// [`crate::error::Error::Recipe`] when a step cannot work on the columns it names. Shards that disagree are in the
    /// preview, not an error: see [`Disagreement::refused`].
    pub fn check(&self) -> Result<Preview> {
        let recipe = self.recipe();
        let engine = Engine::new(&recipe.run, &Silent)?;
        let (opened, mut notes) = self.open_all(&engine)?;
        let fields = || opened.iter().map(|(shard, fields, _)| (shard.name.as_str(), fields));
        let lenient = Input {
            missing_columns: MissingColumns::Insert,
            extra_columns: match recipe.input.extra_columns {
                ExtraColumns::Insert => ExtraColumns::Insert,
                ExtraColumns::Raise | ExtraColumns::Ignore => ExtraColumns::Ignore,
            },
            ..recipe.input.clone()
        };
        let schema = schema::unify(fields(), &lenient)?;
        let collect = Collect::new(recipe, &schema)?;
        collect.derived.check_types()?;
        let columns = &collect.schema;
        let names = |at: &[usize]| at.iter().map(|&at| columns.field(at).name().clone()).collect::<Vec<_>>();
        let mut touched = collect.derived.touched.iter();
        let step = |(step, selected): (&Transform, &Vec<usize>)| match step.is_structural() {
            true => (step.op(), touched.next().cloned().unwrap_or_default()),
            false => (step.op(), names(selected)),
        };
        let steps = recipe.transform.iter().zip(&transform::resolve(recipe, columns)?).map(step).collect();
        let output = output_columns(recipe, columns)?;
        let rows = opened.iter().map(|(_, _, rows)| *rows).sum::<Option<u64>>();
        let bytes = opened.iter().map(|(shard, ..)| shard.bytes).sum();
        let splits = splits(recipe, rows);
        Ok(Preview {
            shards: opened.len(),
            bytes,
            rows,
            input: type_names(&schema),
            disagreements: disagreements(recipe, &schema, fields()),
            notes: {
                notes.extend(schema::alike_note(fields()));
                notes
            },
            roles: [
                ("label", names(collect.label.as_slice())),
                ("stratify", names(&collect.stratify)),
                ("key", names(&collect.key)),
                ("groups", names(&collect.groups)),
                ("time", names(collect.time.as_slice())),
                ("dedupe", names(&collect.unique)),
                ("order", names(&collect.order)),
            ]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .collect(),
            steps,
            memory: memory(recipe, &engine, columns, &output, &splits, rows, bytes),
            output,
            files: {
                let first = |at| std::iter::once(self.files().part(at, 0)).chain(self.files().copies(at, 0)).collect();
                (0..splits.len()).map(first).collect()
            },
            splits,
            readings: readings(recipe, &schema, &collect)?,
            state: self.find_state()?,
            output_conflict: self.target(&engine).check().err().map(|error| error.to_string()),
        })
    }

    /// The shards, and what is to be told of how they were found.
    fn open_all(&self, engine: &Engine<'_>) -> Result<(Vec<Surveyed>, Vec<String>)> {
        let discover::Found { shards, mut notes } = self.discover()?;
        let options = self.options()?;
        let open = |shard: Shard| match Opened::open(&shard, &options, None) {
            Ok(opened) => Ok(Ok((shard, opened.fields(), opened.rows()))),
            Err(error) if self.leaves_closed(&error) => Ok(Err(format!("left out: {}", error.chain()))),
            Err(error) => Err(error),
        };
        // Collected first: of several shards that cannot be opened, the first by name is told.
        let opened: Vec<Result<_>> = engine.pool.install(|| shards.into_par_iter().map(open).collect());
        let mut surveyed = Vec::with_capacity(opened.len());
        for one in opened {
            match one? {
                Ok(one) => surveyed.push(one),
                Err(note) => notes.push(note),
            }
        }
        Ok((surveyed, notes))
    }

    /// Looks at the state without opening it: opening repairs, which writes.
    fn find_state(&self) -> Result<StateFound> {
        let path = self.state_path();
        let identity = std::fs::read(path.join("identity")).ok();
        let is_empty = || std::fs::read_dir(&path).map_or(true, |mut entries| entries.next().is_none());
        let kind = match identity.map(|bytes| frame::decode::<Identity>(Kind::Identity, &bytes)) {
            Some(Ok(identity)) if identity.scan_fingerprint == self.scan_fingerprint()? => StateKind::ThisRecipe,
            Some(Ok(_)) => StateKind::OtherRecipe,
            Some(Err(_)) => StateKind::Damaged,
            None if is_empty() && !path.is_file() => StateKind::None,
            None => StateKind::Foreign,
        };
        Ok(StateFound { path, kind })
    }
}

fn disagreements<'a>(
    recipe: &Recipe,
    schema: &SchemaRef,
    shards: impl Iterator<Item = (&'a str, &'a ShardFields)>,
) -> Vec<Disagreement> {
    let mut of_first = None;
    let index: HashMap<&str, usize> =
        schema.fields().iter().enumerate().map(|(at, field)| (field.name().as_str(), at)).collect();
    let mut found = Vec::new();
    for (shard, fields) in shards.filter(|(_, fields)| !fields.is_empty()) {
        let mut seen = vec![false; schema.fields().len()];
        let of_first = *of_first.get_or_insert(fields.len());
        let mut add = |column: &str, kind, refused| {
            found.push(Disagreement { shard: shard.into(), column: column.into(), kind, refused });
        };
        for (name, data_type) in fields {
            let Some(&at) = index.get(name.as_str()) else {
                add(name, Difference::Extra, recipe.input.extra_columns == ExtraColumns::Raise);
                continue;
            };
            seen[at] = true;
            let read_as = schema.field(at).data_type();
            if data_type != read_as && *data_type != DataType::Null {
                add(name, Difference::Type { found: data_type.to_string(), read_as: read_as.to_string() }, false);
            }
        }
        for at in (0..seen.len()).filter(|at| !seen[*at]) {
            let refused = recipe.input.missing_columns == MissingColumns::Raise && at < of_first;
            add(schema.field(at).name(), Difference::Missing, refused);
        }
    }
    found
}

/// Fits the transforms on two made-up rows, one of them missing: names, types and refusals are those of a run.
fn output_columns(recipe: &Recipe, schema: &SchemaRef) -> Result<Vec<OutputColumn>> {
    let states = schema.fields().iter().map(|field| made_up(field.data_type())).collect::<Result<Vec<_>>>()?;
    let mut pipeline = transform::fit(recipe, schema, &states.iter().collect::<Vec<_>>())?;
    if let Some(name) = &recipe.split.fold_column {
        pipeline.add_fold_column(name)?;
    }
    let narrows = transform::narrow::candidates(recipe, schema)?;
    let mut columns: Vec<OutputColumn> = Vec::with_capacity(pipeline.output.len());
    for column in &pipeline.output {
        let lane = &pipeline.lanes[column.lane];
        let spread = lane.steps.iter().any(|step| matches!(step, Step::OneHot(_)));
        let indicator = lane.steps.iter().any(|step| matches!(step, Step::Impute(step) if step.indicator))
            && column.slot + 1 == lane.slots();
        let name = if spread && !indicator { format!("{}_*", lane.name) } else { column.name.clone() };
        if columns.last().is_none_or(|last| last.name != name) {
            columns.push(OutputColumn {
                name,
                data_type: column.data_type.to_string(),
                depends_on_data: spread || indicator,
                may_be_narrowed: narrows.get(lane.input).copied().unwrap_or_default() && !lane.is_fold(),
            });
        }
    }
    Ok(columns)
}

/// Refuses, before any row is read, a recipe whose steps cannot work on columns of these types.
///
/// # Errors
/// Those of [`transform::fit`] that do not depend on the values.
pub(crate) fn refuse_misfits(recipe: &Recipe, schema: &SchemaRef) -> Result<()> {
    output_columns(recipe, schema).map(drop)
}

fn made_up(data_type: &DataType) -> Result<ColumnState> {
    let mut state = ColumnState::new(data_type, VocabularyNeed::Exact { limit: usize::MAX });
    let one: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![Some(1), None]));
    // No step works on the types that have no 1.
    let array = cast(&one, data_type).unwrap_or_else(|_| new_null_array(data_type, 2));
    state.update(&array)?;
    Ok(state)
}

/// Readings of the input, in their order.
fn readings(recipe: &Recipe, input: &SchemaRef, collect: &Collect) -> Result<Vec<(&'static str, usize)>> {
    let all = collect.derived.source.fields().len();
    let mut readings = vec![("statistics", all), ("rows", all)];
    if recipe.fit.rows == FitRows::Train {
        readings.insert(0, ("keys", Collect::keys(recipe, input)?.derived.source.fields().len()));
    }
    Ok(readings)
}

/// Names of the splits, their shares where the recipe states them, and about how many rows they will have.
fn splits(recipe: &Recipe, rows: Option<u64>) -> Vec<(String, Option<f64>, Option<u64>)> {
    let split = &recipe.split;
    let names = split.names();
    let even = 1.0 / names.len().max(1) as f64;
    let sized = |at: usize| match (split.kind, split.sizes.0.get(at)) {
        (SplitKind::None | SplitKind::Kfold, _) => Some(even),
        (SplitKind::Temporal, _) | (_, None) => None,
        (_, Some((_, Size::Share(share)))) => Some(*share),
        (_, Some((_, Size::Count(count)))) => rows.map(|rows| *count as f64 / rows.max(1) as f64),
    };
    let rows_of = |share: f64| rows.map(|rows| (rows as f64 * share).round() as u64);
    names.into_iter().enumerate().map(|(at, name)| (name, sized(at), sized(at).and_then(rows_of))).collect()
}

fn memory(
    recipe: &Recipe,
    engine: &Engine<'_>,
    schema: &SchemaRef,
    output: &[OutputColumn],
    splits: &[(String, Option<f64>, Option<u64>)],
    rows: Option<u64>,
    bytes: u64,
) -> Memory {
    let columns = schema.fields().len() as u64;
    // As pass one estimates it when it decides whether to keep the columns.
    let decoded = rows.map_or(bytes * DECODED_GROWTH, |rows| rows * columns * 12);
    let budget = engine.budget.limit();
    let width = |column: &OutputColumn| {
        column
            .data_type
            .parse::<DataType>()
            .ok()
            .and_then(|t| t.primitive_width())
            .map_or(TEXT_BYTES + 4, |width| width as u64)
    };
    let row_bytes: u64 = output.iter().map(width).sum();
    let group = match recipe.output.format {
        OutputFormat::Parquet => row_group_rows(row_bytes, recipe.output.shard_rows, splits.len()),
        _ => crate::sink::text::BLOCK_ROWS,
    };
    let open: u64 = splits.iter().map(|(_, _, rows)| rows.unwrap_or(u64::MAX).min(group)).sum();
    Memory {
        window: engine.window_bytes().min(decoded),
        statistics: columns * COLUMN_BYTES,
        row_groups: open * row_bytes,
        budget,
        limit: recipe.run.memory.0,
        in_memory: match recipe.run.mode {
            Mode::Streaming => false,
            Mode::InMemory => true,
            Mode::Auto => decoded <= budget / 2,
        },
    }
}
