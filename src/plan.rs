//! The frozen plan: everything that is decided before a row is written. Pass two is a function of the plan and the
//! shards alone; it decides nothing.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::facts::ColumnFacts;
use crate::hash;
use crate::memory::{Budget, Reservation};
use crate::scan::{Collect, ColumnSummary};
use crate::spec::{OutputFormat, Recipe, SplitKind};
use crate::split::{self, Boundaries, DROPPED, NO_STRATUM, Quotas, Shares};
use crate::strata::{self, Stratum};
use crate::transform::{self, Pipeline};

/// Decoded bytes of an output row group, at the most.
const ROW_GROUP_BYTES: u64 = 128 << 20;
/// Decoded bytes of the open row groups of all splits together, at the most.
const OPEN_BYTES: u64 = 512 << 20;
/// Rows of an output row group, at the most.
const ROW_GROUP_ROWS: u64 = 1 << 20;

/// Pass one's results over all shards.
#[derive(Debug)]
pub struct Merged {
    /// The columns' summaries, in the schema's order.
    pub columns: Vec<ColumnSummary>,
    /// The strata of rows that have a label, in order.
    pub strata: Vec<Stratum>,
    /// Types of the stratify columns.
    pub stratify: Vec<DataType>,
    /// Rows without a label.
    pub missing_label: u64,
    /// Rows read.
    pub rows: u64,
    /// Rows read of each shard, in order.
    pub shard_rows: Vec<u64>,
    /// For each shard, the positions of its strata by its own codes; none when they are too many to be kept.
    pub shard_codes: Option<Vec<Vec<u32>>>,
    /// What columns and strata hold of the budget.
    pub(crate) _held: Option<Reservation>,
}

impl Merged {
    /// The positions of these strata among all.
    ///
    /// # Errors
    /// [`Error::Damaged`] for one that is not there.
    pub fn codes(&self, strata: &[Stratum]) -> Result<Vec<u32>> {
        let order = strata::order(&self.stratify);
        let position = |stratum: &Stratum| {
            self.strata.binary_search_by(|other| order(other, stratum)).map(|at| at as u32).map_err(|_| {
                Error::Damaged {
                    what: format!("the plan has no stratum `{}`; run again with --resume never", stratum.name()),
                    source: None,
                }
            })
        };
        strata.iter().map(position).collect()
    }
}

/// A shard as the plan counts on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedShard {
    /// Name relative to the input's root.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Fingerprint of its content's telling part.
    pub fingerprint: u128,
    /// Rows in it.
    pub rows: u64,
    /// Number of its first row over the whole input.
    pub first_row: u64,
    /// Rows it gives each split.
    pub splits: Vec<u64>,
}

/// A split as it will be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSplit {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
}

/// One file of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPart {
    /// Position of its split.
    pub split: usize,
    /// Path relative to the output directory, with `/`.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
}

/// The frozen plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of twopass that froze it.
    pub version: String,
    /// Hex XXH3-128 over recipe, input listing and version.
    pub fingerprint: String,
    /// The recipe as JSON, without `[run]`.
    pub recipe: String,
    /// The input's columns, as (name, type).
    pub schema: Vec<(String, String)>,
    /// The shards, in order.
    pub shards: Vec<PlannedShard>,
    /// The splits, in order.
    pub splits: Vec<PlannedSplit>,
    /// Names of the stratify columns.
    pub stratify: Vec<String>,
    /// All strata, in order.
    pub strata: Vec<Stratum>,
    /// Rows of each stratum in each split.
    pub quotas: Quotas,
    /// Where in the rank order of each stratum one split ends and the next begins.
    pub boundaries: Boundaries,
    /// Seed of the rank hash.
    pub random_state: u64,
    /// Whether rows are routed by a ledger; without one, all rows go to the first split.
    pub ledger: bool,
    /// Whether row groups go to the parts as they are.
    pub copied: bool,
    /// Rows read.
    pub rows: u64,
    /// Rows dropped for a missing label.
    pub missing_label: u64,
    /// The fitted transforms.
    pub pipeline: Pipeline,
    /// What is known of each input column.
    pub facts: Vec<ColumnFacts>,
    /// Rows a part.
    pub shard_rows: u64,
    /// Rows of a part's row group; only a part's last has fewer.
    pub row_group_rows: u64,
    /// For each output column, whether its values are few enough to be written as a dictionary.
    pub dictionary: Vec<bool>,
}

/// What freezing needs to know of a shard, in the order of shards.
pub struct ShardFacts {
    /// Name relative to the input's root.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Fingerprint of its content's telling part.
    pub fingerprint: u128,
    /// Rows in it.
    pub rows: u64,
}

/// Gets runs of ledger rows: the shard's own stratum codes and key hashes.
pub type VisitRows<'a> = dyn FnMut(&[u32], &[u64]) -> Result<()> + 'a;

/// The ledgers of all shards, to be read as often as needed, several at once.
pub trait Ledgers: Sync {
    /// The positions among all strata of a shard's strata by its own codes.
    ///
    /// # Errors
    /// When the state is damaged.
    fn codes(&self, shard: usize) -> Result<Cow<'_, [u32]>>;

    /// Hands over the rows of a shard in order.
    ///
    /// # Errors
    /// When the state is damaged, and what `visit` returns.
    fn rows(&self, shard: usize, visit: &mut VisitRows<'_>) -> Result<()>;
}

impl Plan {
    /// Decides everything. Ledgers are read on all threads of the pool that it is called in.
    ///
    /// # Errors
    /// What fitting the transforms finds in the data; [`Error::Memory`]; what reading the ledgers finds.
    pub fn freeze(
        recipe: &Recipe,
        collect: &Collect,
        merged: &Merged,
        shards: &[ShardFacts],
        ledgers: &dyn Ledgers,
        budget: &Arc<Budget>,
    ) -> Result<Self> {
        let states: Vec<_> = merged.columns.iter().map(|column| &column.state).collect();
        let pipeline = transform::fit(recipe, &collect.schema, &states)?;
        let names: Vec<String> = match recipe.split.kind {
            SplitKind::None => vec![recipe.split.name.clone()],
            _ => recipe.split.sizes.0.iter().map(|(name, _)| name.clone()).collect(),
        };
        let shares = match recipe.split.kind {
            SplitKind::None => Shares::new(&[1.0])?,
            _ => Shares::new(&recipe.split.sizes.0.iter().map(|(_, share)| *share).collect::<Vec<_>>())?,
        };
        let strata = match collect.ledger {
            true => merged.strata.clone(),
            false => vec![Stratum { values: Vec::new(), rows: merged.rows }],
        };
        let quotas = split::quotas(&strata.iter().map(|stratum| stratum.rows).collect::<Vec<_>>(), &shares);
        let random_state = recipe.split.random_state;
        let boundaries = match collect.ledger {
            true => split::boundaries(&quotas, budget, |visit| scan(shards, ledgers, random_state, visit))?,
            false => split::boundaries(&Quotas::new(names.len(), Vec::new()), budget, |_| Ok(()))?,
        };
        let splits: Vec<_> =
            names.into_iter().zip(quotas.totals()).map(|(name, rows)| PlannedSplit { name, rows }).collect();
        let facts = collect.schema.fields().iter().zip(&merged.columns);
        let facts: Vec<_> =
            facts.map(|(field, column)| ColumnFacts::new(field, &column.state, column.value_bytes)).collect();
        let shard_rows = match recipe.output.layout {
            crate::spec::Layout::Shards => recipe.output.shard_rows,
            crate::spec::Layout::Single => u64::MAX,
        };
        let row_group_rows = row_group_rows(output_row_bytes(&pipeline, &facts), shard_rows, splits.len());
        let mut plan = Self {
            version: env!("CARGO_PKG_VERSION").into(),
            fingerprint: fingerprint(recipe, shards),
            recipe: recipe_text(recipe),
            schema: crate::scan::type_names(&collect.schema),
            shards: Vec::new(),
            stratify: collect.stratify.iter().map(|&at| collect.schema.field(at).name().clone()).collect(),
            dictionary: dictionary_columns(&pipeline, &facts, row_group_rows),
            splits,
            strata,
            quotas,
            boundaries,
            random_state,
            ledger: collect.ledger,
            copied: collect.copied,
            rows: merged.rows,
            missing_label: merged.missing_label,
            pipeline,
            facts,
            shard_rows,
            row_group_rows,
        };
        plan.shards = plan.count_shards(shards, ledgers)?;
        Ok(plan)
    }

    /// Counts what each shard gives each split, and that all quotas are met.
    fn count_shards(&self, shards: &[ShardFacts], ledgers: &dyn Ledgers) -> Result<Vec<PlannedShard>> {
        let first_rows = first_rows(shards);
        let count = |at: usize| {
            let mut splits = vec![0; self.splits.len()];
            if self.ledger {
                let mut router = Router::new(ledgers.codes(at)?.into_owned(), self.random_state, first_rows[at]);
                let mut routes = Vec::new();
                ledgers.rows(at, &mut |codes, hashes| {
                    router.route(self, codes, hashes, &mut routes)?;
                    count_routes(&routes, &mut splits);
                    Ok(())
                })?;
            } else {
                splits[0] = shards[at].rows;
            }
            let ShardFacts { name, bytes, fingerprint, rows } = &shards[at];
            let (name, bytes, fingerprint, rows) = (name.clone(), *bytes, *fingerprint, *rows);
            Ok(PlannedShard { name, bytes, fingerprint, rows, first_row: first_rows[at], splits })
        };
        let planned = (0..shards.len()).into_par_iter().map(count).collect::<Vec<Result<PlannedShard>>>();
        let planned = planned.into_iter().collect::<Result<Vec<_>>>()?;
        let total = |split: usize| planned.iter().map(|shard| shard.splits[split]).sum::<u64>();
        if self.splits.iter().enumerate().any(|(at, split)| total(at) != split.rows) {
            return Err(Error::Damaged {
                what: "the ledgers do not add up to the shards' summaries; run again with --resume never".into(),
                source: None,
            });
        }
        Ok(planned)
    }

    /// Whether its tables are of one number of splits, strata and categories, as those of every frozen plan are.
    pub fn is_consistent(&self) -> bool {
        let steps = self.pipeline.lanes.iter().flat_map(|lane| &lane.steps);
        self.quotas.splits() == self.splits.len()
            && (self.stratify.is_empty() || self.quotas.strata() == self.strata.len())
            && steps.into_iter().all(transform::Step::is_consistent)
    }

    /// Routes the rows of shard `at`, whose own codes stand for the strata at these positions.
    pub fn router(&self, at: usize, codes: Vec<u32>) -> Router {
        Router::new(codes, self.random_state, self.shards[at].first_row)
    }

    /// Mean bytes of an output row, decoded.
    pub fn output_row_bytes(&self) -> u64 {
        output_row_bytes(&self.pipeline, &self.facts)
    }

    /// The parts of the output, split by split, in order. A split without rows has one part without rows.
    pub fn parts(&self, recipe: &Recipe) -> Vec<PlannedPart> {
        let extension = extension(recipe);
        let parts_of = |(split, planned): (usize, &PlannedSplit)| {
            let count = planned.rows.div_ceil(self.shard_rows).max(1);
            let name = planned.name.clone();
            let single = recipe.output.layout == crate::spec::Layout::Single;
            let (rows, shard_rows, extension) = (planned.rows, self.shard_rows, extension.clone());
            (0..count).map(move |number| PlannedPart {
                split,
                path: match single {
                    true => format!("{name}/{name}_processed_data.{extension}"),
                    false => format!("{name}/part-{number:05}.{extension}"),
                },
                rows: shard_rows.min(rows - number * shard_rows),
            })
        };
        self.splits.iter().enumerate().flat_map(parts_of).collect()
    }
}

fn extension(recipe: &Recipe) -> String {
    let format = match recipe.output.format {
        OutputFormat::Parquet => return "parquet".into(),
        OutputFormat::Csv => "csv",
        OutputFormat::Tsv => "tsv",
        OutputFormat::Jsonl => "jsonl",
    };
    match recipe.output.compression() {
        crate::spec::Compression::Gzip => format!("{format}.gz"),
        crate::spec::Compression::Zstd => format!("{format}.zst"),
        _ => format.into(),
    }
}

/// The number of each shard's first row over the whole input.
fn first_rows(shards: &[ShardFacts]) -> Vec<u64> {
    let first = |next: &mut u64, shard: &ShardFacts| Some(std::mem::replace(next, *next + shard.rows));
    shards.iter().scan(0, first).collect()
}

fn count_routes(routes: &[u8], splits: &mut [u64]) {
    let mut counts = [0_u64; DROPPED as usize + 1];
    routes.iter().for_each(|route| counts[usize::from(*route)] += 1);
    splits.iter_mut().zip(counts).for_each(|(split, count)| *split += count);
}

/// Hands over the strata and ranks of all rows, shards on all threads.
fn scan(
    shards: &[ShardFacts],
    ledgers: &dyn Ledgers,
    random_state: u64,
    visit: &split::select::Visit<'_>,
) -> Result<()> {
    let first_rows = first_rows(shards);
    let one = |at: usize| {
        let mut router = Router::new(ledgers.codes(at)?.into_owned(), random_state, first_rows[at]);
        ledgers.rows(at, &mut |codes, hashes| {
            let first = router.advance(codes, hashes)?;
            visit(&router.strata, &router.ranks, first);
            Ok(())
        })
    };
    let outcomes: Vec<Result<()>> = (0..shards.len()).into_par_iter().map(one).collect();
    outcomes.into_iter().collect()
}

/// Routes the rows of one shard, in order.
pub struct Router {
    codes: Vec<u32>,
    random_state: u64,
    position: u64,
    strata: Vec<u32>,
    ranks: Vec<u64>,
}

impl Router {
    fn new(codes: Vec<u32>, random_state: u64, first_row: u64) -> Self {
        Self { codes, random_state, position: first_row, strata: Vec::new(), ranks: Vec::new() }
    }

    /// The splits of the next rows, by their codes and key hashes; `DROPPED` for those in none.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a code that the shard has no stratum of.
    pub fn route(&mut self, plan: &Plan, codes: &[u32], hashes: &[u64], routes: &mut Vec<u8>) -> Result<()> {
        let first = self.advance(codes, hashes)?;
        routes.clear();
        routes.resize(codes.len(), DROPPED);
        plan.boundaries.route(&self.strata, &self.ranks, first, routes);
        Ok(())
    }

    fn advance(&mut self, codes: &[u32], hashes: &[u64]) -> Result<u64> {
        let first = self.position;
        self.position += codes.len() as u64;
        self.strata.clear();
        let mut known = true;
        self.strata.extend(codes.iter().map(|&code| {
            let stratum = self.codes.get(code as usize).copied().unwrap_or(NO_STRATUM);
            known &= stratum != NO_STRATUM || code == NO_STRATUM;
            stratum
        }));
        if !known {
            let what = "a ledger names a stratum that its shard has not; run again with --resume never".into();
            return Err(Error::Damaged { what, source: None });
        }
        self.ranks.clear();
        self.ranks.extend(hashes.iter().map(|&key| hash::rank(key, self.random_state)));
        Ok(first)
    }
}

/// Rows of an output row group: as many as fit [`ROW_GROUP_BYTES`], evened out over a part. Depends on the schema and
/// the data alone, never on the budget.
pub(crate) fn row_group_rows(row_bytes: u64, shard_rows: u64, splits: usize) -> u64 {
    let bytes = ROW_GROUP_BYTES.min(OPEN_BYTES / splits.max(1) as u64);
    let most = (bytes / row_bytes.max(1)).clamp(1024, ROW_GROUP_ROWS);
    if shard_rows == u64::MAX { most } else { shard_rows.div_ceil(shard_rows.div_ceil(most)) }
}

/// Mean bytes of an output row, decoded.
fn output_row_bytes(pipeline: &Pipeline, facts: &[ColumnFacts]) -> u64 {
    let bytes = |column: &transform::OutputColumn| {
        let without_width = || facts[pipeline.lanes[column.lane].input].mean_value_bytes() + 4;
        column.data_type.primitive_width().map_or_else(without_width, |width| width as u64)
    };
    pipeline.output.iter().map(bytes).sum()
}

/// Numbers in a dictionary at the most: those of one that stays in cache while rows are looked up.
const MOST_NUMBERS: u64 = 1 << 15;

/// A dictionary pays where a value comes back often within one row group, which has one of its own.
fn dictionary_columns(pipeline: &Pipeline, facts: &[ColumnFacts], row_group_rows: u64) -> Vec<bool> {
    let pays = |column: &transform::OutputColumn| {
        let fact = &facts[pipeline.lanes[column.lane].input];
        let rows = fact.rows.min(row_group_rows);
        match column.data_type {
            DataType::UInt8 => true,
            DataType::Utf8 => fact.distinct * 2 <= rows,
            _ => fact.distinct <= MOST_NUMBERS && fact.distinct * 4 <= rows,
        }
    };
    pipeline.output.iter().map(pays).collect()
}

/// The recipe as JSON, without what never changes a byte of the output.
pub fn recipe_text(recipe: &Recipe) -> String {
    let mut tree = serde_json::to_value(recipe).unwrap_or_default();
    if let Some(table) = tree.as_object_mut() {
        table.remove("run");
    }
    tree.to_string()
}

fn fingerprint(recipe: &Recipe, shards: &[ShardFacts]) -> String {
    let mut tree: serde_json::Value = serde_json::from_str(&recipe_text(recipe)).unwrap_or_default();
    for (section, key) in [("input", "path"), ("output", "path")] {
        if let Some(table) = tree.get_mut(section).and_then(serde_json::Value::as_object_mut) {
            table.remove(key);
        }
    }
    let listing: Vec<_> =
        shards.iter().map(|s| (&s.name, s.bytes, s.rows, format!("{:032x}", s.fingerprint))).collect();
    let all = serde_json::json!([env!("CARGO_PKG_VERSION"), hash::CONTRACT, tree, listing]);
    format!("{:032x}", xxh3_128(all.to_string().as_bytes()))
}
