//! The frozen plan: everything that is decided before a row is written. Pass two is a function of the plan and the
//! shards alone; it decides nothing.

use std::sync::Arc;

use arrow::datatypes::DataType;
use hashbrown::HashMap;
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
    /// Rows by stratum.
    pub strata: HashMap<Vec<Option<String>>, u64>,
    /// Rows without a label.
    pub missing_label: u64,
    /// Rows read.
    pub rows: u64,
    /// Rows read of each shard, in order.
    pub shard_rows: Vec<u64>,
    /// The strata of each shard by its own codes; none when they are too many to be kept.
    pub shard_strata: Option<Vec<Vec<Stratum>>>,
    /// What columns and strata hold of the budget.
    pub(crate) _held: Option<Reservation>,
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

/// The ledgers of all shards, to be read as often as needed.
pub trait Ledgers {
    /// The strata of a shard by its own codes.
    ///
    /// # Errors
    /// When the state is damaged.
    fn strata(&self, shard: usize) -> Result<Vec<Stratum>>;

    /// Hands over the rows of a shard in order.
    ///
    /// # Errors
    /// When the state is damaged, and what `visit` returns.
    fn rows(&self, shard: usize, visit: &mut VisitRows<'_>) -> Result<()>;
}

impl Plan {
    /// Decides everything.
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
        let strata = ordered_strata(collect, merged);
        let quotas = split::quotas(&strata.iter().map(|stratum| stratum.rows).collect::<Vec<_>>(), &shares);
        let routing = Routing::new(&strata, recipe.split.random_state);
        let boundaries = match collect.ledger {
            true => split::boundaries(&quotas, budget, |visit| routing.scan(shards, ledgers, visit))?,
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
            dictionary: dictionary_columns(&pipeline, &facts),
            splits,
            strata: strata.clone(),
            quotas,
            boundaries,
            random_state: recipe.split.random_state,
            ledger: collect.ledger,
            rows: merged.rows,
            missing_label: merged.missing_label,
            pipeline,
            facts,
            shard_rows,
            row_group_rows,
        };
        plan.shards = plan.count_shards(shards, ledgers, &routing)?;
        Ok(plan)
    }

    /// Counts what each shard gives each split, and that all quotas are met.
    fn count_shards(
        &self,
        shards: &[ShardFacts],
        ledgers: &dyn Ledgers,
        routing: &Routing<'_>,
    ) -> Result<Vec<PlannedShard>> {
        let mut first_row = 0;
        let mut planned = Vec::with_capacity(shards.len());
        let mut totals = vec![0; self.splits.len()];
        let mut routes = Vec::new();
        for (at, shard) in shards.iter().enumerate() {
            let mut splits = vec![0; self.splits.len()];
            if self.ledger {
                let mut router = routing.shard(ledgers.strata(at)?, first_row)?;
                ledgers.rows(at, &mut |codes, hashes| {
                    router.route(self, codes, hashes, &mut routes);
                    routes.iter().filter(|route| **route != DROPPED).for_each(|route| splits[*route as usize] += 1);
                    Ok(())
                })?;
            } else {
                splits[0] = shard.rows;
            }
            totals.iter_mut().zip(&splits).for_each(|(total, rows)| *total += rows);
            planned.push(PlannedShard {
                name: shard.name.clone(),
                bytes: shard.bytes,
                fingerprint: shard.fingerprint,
                rows: shard.rows,
                first_row,
                splits,
            });
            first_row += shard.rows;
        }
        if totals.iter().zip(&self.splits).any(|(total, split)| *total != split.rows) {
            return Err(Error::Damaged {
                what: "the ledgers do not add up to the shards' summaries; run again with --resume never".into(),
                source: None,
            });
        }
        Ok(planned)
    }

    /// Routes the rows of shard `at`, whose strata by its own codes are `strata`.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a stratum that the plan does not know.
    pub fn router(&self, at: usize, strata: Vec<Stratum>) -> Result<Router> {
        Routing::new(&self.strata, self.random_state).shard(strata, self.shards[at].first_row)
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

fn ordered_strata(collect: &Collect, merged: &Merged) -> Vec<Stratum> {
    if !collect.ledger {
        return vec![Stratum { values: Vec::new(), rows: merged.rows }];
    }
    let types: Vec<DataType> =
        collect.stratify.iter().map(|&at| collect.schema.field(at).data_type().clone()).collect();
    let mut strata: Vec<Stratum> =
        merged.strata.iter().map(|(values, rows)| Stratum { values: values.clone(), rows: *rows }).collect();
    strata.sort_unstable_by(strata::order(&types));
    strata
}

/// From a shard's own codes and key hashes to strata and ranks of the whole input.
struct Routing<'a> {
    index: HashMap<&'a [Option<String>], u32>,
    random_state: u64,
}

impl<'a> Routing<'a> {
    fn new(strata: &'a [Stratum], random_state: u64) -> Self {
        let index = strata.iter().enumerate().map(|(at, stratum)| (stratum.values.as_slice(), at as u32)).collect();
        Self { index, random_state }
    }

    fn shard(&self, strata: Vec<Stratum>, first_row: u64) -> Result<Router> {
        let global = |stratum: &Stratum| {
            self.index.get(stratum.values.as_slice()).copied().ok_or_else(|| Error::Damaged {
                what: format!("the plan has no stratum `{}`; run again with --resume never", stratum.name()),
                source: None,
            })
        };
        let codes = strata.iter().map(global).collect::<Result<_>>()?;
        Ok(Router {
            codes,
            random_state: self.random_state,
            position: first_row,
            strata: Vec::new(),
            ranks: Vec::new(),
        })
    }

    fn scan(&self, shards: &[ShardFacts], ledgers: &dyn Ledgers, visit: &mut split::select::Visit<'_>) -> Result<()> {
        let mut first_row = 0;
        for (at, shard) in shards.iter().enumerate() {
            let mut router = self.shard(ledgers.strata(at)?, first_row)?;
            ledgers.rows(at, &mut |codes, hashes| {
                let first = router.advance(codes, hashes);
                visit(&router.strata, &router.ranks, first);
                Ok(())
            })?;
            first_row += shard.rows;
        }
        Ok(())
    }
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
    /// The splits of the next rows, by their codes and key hashes; `DROPPED` for those in none.
    pub fn route(&mut self, plan: &Plan, codes: &[u32], hashes: &[u64], routes: &mut Vec<u8>) {
        let first = self.advance(codes, hashes);
        routes.clear();
        routes.resize(codes.len(), DROPPED);
        plan.boundaries.route(&self.strata, &self.ranks, first, routes);
    }

    fn advance(&mut self, codes: &[u32], hashes: &[u64]) -> u64 {
        let first = self.position;
        self.position += codes.len() as u64;
        self.strata.clear();
        self.strata.extend(codes.iter().map(|&code| if code == NO_STRATUM { code } else { self.codes[code as usize] }));
        self.ranks.clear();
        self.ranks.extend(hashes.iter().map(|&key| hash::rank(key, self.random_state)));
        first
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

/// A dictionary pays where a value comes back often.
fn dictionary_columns(pipeline: &Pipeline, facts: &[ColumnFacts]) -> Vec<bool> {
    let pays = |column: &transform::OutputColumn| {
        let lane = &pipeline.lanes[column.lane];
        let fact = &facts[lane.input];
        let few = fact.distinct <= crate::state::EXACT_LIMIT as u64 && fact.distinct * 4 <= fact.rows;
        few || (column.data_type == DataType::Utf8 && fact.distinct * 2 <= fact.rows)
            || column.data_type == DataType::UInt8
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
