//! The frozen plan: everything that is decided before a row is written. Pass two is a function of the plan and the
//! shards alone; it decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::allot::{self, Allotment, Allotted, Inputs, Ledgers, Router, Rule, WorstShare};
use crate::error::{Error, Result, Site};
use crate::facts::ColumnFacts;
use crate::hash;
use crate::memory::{Budget, Reservation};
use crate::roles::Roles;
use crate::scan::{Collect, ColumnSummary};
use crate::source::text::Skipped;
use crate::spec::Recipe;
use crate::spec::files::Files;
use crate::split::fate::OPEN;
use crate::split::{Marks, Quotas, Reason};
use crate::strata::{self, Stratum};
use crate::transform::{self, Pipeline, Step};

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
    /// Of each shard that has some, by position: how many records were left out, and the first.
    pub skipped: BTreeMap<usize, (u64, Skipped)>,
    /// Rows read.
    pub rows: u64,
    /// Rows read of each shard, in order.
    pub shard_rows: Vec<u64>,
    /// What the ledger of each shard has of its rows.
    pub shard_roles: Vec<Roles>,
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
    /// Rows of it that are in no split, by reason.
    pub dropped: Vec<(Reason, u64)>,
}

/// A split as it will be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSplit {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Groups in it, where groups decide.
    pub groups: Option<u64>,
}

/// A column that names the fold of each row, in place of a split a fold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldColumn {
    /// Its name.
    pub name: String,
    /// Rows of each fold.
    pub rows: Vec<u64>,
}

/// One file of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPart {
    /// Position of its split.
    pub split: usize,
    /// Path relative to the output directory, with `/`; see [`Files`].
    pub path: String,
    /// Paths of its copies.
    pub copies: Vec<String>,
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
    /// All strata, in order, with the rows that were to be split.
    pub strata: Vec<Stratum>,
    /// Rows of each stratum in each split, where strata decide.
    pub quotas: Option<Quotas>,
    /// Which split each row goes to; without, all rows go to the first.
    pub allotment: Option<Allotment>,
    /// How far the balance of classes is off, where groups are balanced.
    pub worst: Option<WorstShare>,
    /// The column that names the fold of each row, if that is written in place of splits.
    pub fold_column: Option<FoldColumn>,
    /// Whether row groups go to the parts as they are.
    pub copied: bool,
    /// Rows read.
    pub rows: u64,
    /// Rows that are in no split, by reason.
    pub dropped: Vec<(Reason, u64)>,
    /// Records that could not be read and were left out.
    pub bad_rows: u64,
    /// Shards that could not be read and were left out, and why.
    pub bad_shards: Vec<(String, String)>,
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

impl Plan {
    /// Decides everything else once rows are allotted, and hands back what was decided of single rows. Ledgers are read on all threads of the pool that it is called in.
    ///
    /// # Errors
    /// What fitting the transforms finds in the data; what reading the ledgers finds.
    pub fn freeze(
        recipe: &Recipe,
        (collect, merged): (&Collect, &Merged),
        shards: &[ShardFacts],
        allotted: Option<Allotted>,
        ledgers: &dyn Ledgers,
    ) -> Result<(Self, Option<Marks>)> {
        let states: Vec<_> = merged.columns.iter().map(ColumnSummary::to_fit).collect();
        let mut pipeline = transform::fit(recipe, &collect.schema, &states)?;
        pipeline.narrow(
            recipe,
            &collect.schema,
            &merged.columns.iter().map(|column| &column.state).collect::<Vec<_>>(),
        )?;
        if let Some(name) = &recipe.split.fold_column {
            pipeline.add_fold_column(name)?;
        }
        let facts = collect.schema.fields().iter().zip(&merged.columns);
        let facts: Vec<_> =
            facts.map(|(field, column)| ColumnFacts::new(field, &column.state, column.value_bytes)).collect();
        let shard_rows = match recipe.output.layout {
            crate::spec::Layout::Shards => recipe.output.shard_rows,
            crate::spec::Layout::Single => u64::MAX,
        };
        let names = recipe.split.names();
        let row_group_rows = row_group_rows(output_row_bytes(&pipeline, &facts), shard_rows, names.len());
        let fold_column = recipe.split.fold_column.as_ref();
        let mut plan = Self {
            version: env!("CARGO_PKG_VERSION").into(),
            fingerprint: fingerprint(recipe, shards),
            recipe: recipe_text(recipe),
            schema: crate::scan::type_names(&collect.schema),
            shards: Vec::new(),
            stratify: collect.stratify.iter().map(|&at| collect.schema.field(at).name().clone()).collect(),
            dictionary: dictionary_columns(&pipeline, &facts, row_group_rows),
            splits: names.into_iter().map(|name| PlannedSplit { name, rows: 0, groups: None }).collect(),
            strata: Vec::new(),
            quotas: None,
            allotment: None,
            worst: None,
            fold_column: fold_column.map(|name| FoldColumn { name: name.clone(), rows: Vec::new() }),
            copied: collect.copied,
            rows: merged.rows,
            dropped: Vec::new(),
            bad_rows: merged.skipped.values().map(|(rows, _)| rows).sum(),
            bad_shards: Vec::new(),
            pipeline,
            facts,
            shard_rows,
            row_group_rows,
        };
        let marks = allotted.and_then(|allotted| plan.follow(allotted));
        plan.count(shards, ledgers, marks.as_ref())?;
        Ok((plan, marks))
    }

    /// The same plan, with the split of each row decided once more from the ledgers, as at first. `recipe` and `schema` are its own.
    ///
    /// # Errors
    /// As [`Plan::freeze`].
    pub fn decided_again(
        &self,
        recipe: &Recipe,
        schema: &Schema,
        ledgers: &dyn Ledgers,
        budget: &Arc<Budget>,
    ) -> Result<Self> {
        let mut again = self.clone();
        let facts = self.shards.iter().map(|shard| {
            let PlannedShard { name, bytes, fingerprint, rows, .. } = shard;
            ShardFacts { name: name.clone(), bytes: *bytes, fingerprint: *fingerprint, rows: *rows }
        });
        let facts: Vec<ShardFacts> = facts.collect();
        let shard_rows: Vec<u64> = facts.iter().map(|shard| shard.rows).collect();
        let allotted = match &self.allotment {
            Some(_) => {
                let (strata, shard_rows) = (&self.strata, &shard_rows);
                Some(allot::allot(&Inputs { recipe, schema, strata, shard_rows, ledgers, budget })?)
            }
            None => None,
        };
        let marks = allotted.and_then(|allotted| again.follow(allotted));
        again.count(&facts, ledgers, marks.as_ref())?;
        Ok(again)
    }

    /// What a person should know before the output is used, each a sentence without its full stop.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for lane in &self.pipeline.lanes {
            let [Step::Label(map)] = lane.steps.as_slice() else { continue };
            let classes = map.classes();
            let is_number = |class: &&String| class.trim().parse::<f64>().is_ok();
            let numbers = classes.iter().filter(is_number).count();
            if let Some(word) = classes.iter().find(|class| !is_number(class)).filter(|_| numbers > 0) {
                warnings.push(format!(
                    "label {}: {numbers} of {} classes are numbers, and `{word}` is none, so all are numbered in the order of text; mend the values if numbers were meant",
                    lane.name,
                    classes.len()
                ));
            } else if numbers == classes.len() && has_equal_numbers(&classes) {
                warnings.push(format!(
                    "label {}: the same number is written in several ways, each a class of its own; mend the values if numbers were meant",
                    lane.name
                ));
            }
        }
        let with_comma = self.pipeline.output.iter().find(|column| column.name.contains([',', '\n']));
        if let Some(column) = with_comma {
            warnings.push(format!(
                "column `{}` has a comma or a line end in its name, which the signature cannot tell from two names",
                column.name.escape_debug()
            ));
        }
        warnings
    }

    /// Takes over what allotting found.
    fn follow(&mut self, allotted: Allotted) -> Option<Marks> {
        let Allotted { allotment, marks, strata, quotas, groups, worst } = allotted;
        if self.fold_column.is_none() {
            let counts = groups.into_iter().flatten();
            self.splits.iter_mut().zip(counts).for_each(|(split, groups)| split.groups = Some(groups));
        }
        (self.strata, self.quotas, self.worst, self.allotment) = (strata, quotas, worst, Some(allotment));
        marks
    }

    /// Counts what each shard gives each split, and that all quotas are met.
    fn count(&mut self, shards: &[ShardFacts], ledgers: &dyn Ledgers, marks: Option<&Marks>) -> Result<()> {
        let shard_rows: Vec<u64> = shards.iter().map(|shard| shard.rows).collect();
        let first_rows = allot::first_rows(&shard_rows);
        let count = |at: usize| {
            let mut fates = [0_u64; 256];
            match &self.allotment {
                None => fates[0] = shards[at].rows,
                Some(allotment) => {
                    let mut router = Router::new(ledgers.codes(at)?.into_owned(), first_rows[at]);
                    let mut routes = Vec::new();
                    ledgers.rows(at, &mut |keys| {
                        router.route(allotment, marks, keys, &mut routes)?;
                        routes.iter().for_each(|route| fates[usize::from(*route)] += 1);
                        Ok(())
                    })?;
                }
            }
            Ok(fates)
        };
        let counted = (0..shards.len()).into_par_iter().map(count).collect::<Vec<Result<[u64; 256]>>>();
        let counted = counted.into_iter().collect::<Result<Vec<_>>>()?;
        let fates: Vec<u64> = (0..256).map(|fate| counted.iter().map(|fates| fates[fate]).sum()).collect();
        self.check(&fates)?;
        let planned = shards.iter().zip(&counted).zip(first_rows).map(|((shard, fates), first_row)| {
            let ShardFacts { name, bytes, fingerprint, rows } = shard;
            let (name, bytes, fingerprint, rows) = (name.clone(), *bytes, *fingerprint, *rows);
            PlannedShard {
                name,
                bytes,
                fingerprint,
                rows,
                first_row,
                splits: self.by_split(fates),
                dropped: dropped(fates),
            }
        });
        self.shards = planned.collect();
        self.dropped = dropped(&fates);
        let rows = self.by_split(&fates);
        self.splits.iter_mut().zip(rows).for_each(|(split, rows)| split.rows = rows);
        self.refuse_empty()?;
        if let (Some(column), Some(allotment)) = (&mut self.fold_column, &self.allotment) {
            column.rows = fates[..allotment.sized].to_vec();
        }
        Ok(())
    }

    /// A job that trains before a cutoff cannot do without the splits before it.
    fn refuse_empty(&self) -> Result<()> {
        let Some(Allotment { rule: Rule::Temporal { .. }, sized, .. }) = &self.allotment else { return Ok(()) };
        let Some(empty) = self.splits[..*sized].iter().find(|split| split.rows == 0) else { return Ok(()) };
        let what = match empty.name.as_str() {
            "train" => "Training data".to_string(),
            "val" => "Validation data".to_string(),
            name => format!("Split `{name}`"),
        };
        let dropped: Vec<String> =
            self.dropped.iter().map(|(reason, rows)| format!("{rows} rows {}", reason.name())).collect();
        let dropped = if dropped.is_empty() { "none dropped".to_string() } else { dropped.join(", ") };
        let oot = self.splits.last().map_or(0, |split| split.rows);
        let message = format!(
            "{what} is empty after temporal split: {} rows read, {oot} at or after the cutoff, {dropped}; look at split.cutoff, split.gap and split.sizes",
            self.rows
        );
        Err(Error::data(Site::default(), message))
    }

    /// Rows of each split.
    fn by_split(&self, fates: &[u64]) -> Vec<u64> {
        match (&self.fold_column, &self.allotment) {
            (Some(_), Some(allotment)) => vec![fates[..allotment.sized].iter().sum()],
            _ => fates[..self.splits.len()].to_vec(),
        }
    }

    /// Whether what was counted is what was decided.
    fn check(&self, fates: &[u64]) -> Result<()> {
        let sized = self.allotment.as_ref().map_or(1, |allotment| allotment.sized);
        let met = self.quotas.as_ref().is_none_or(|quotas| quotas.totals()[..sized] == fates[..sized]);
        if met && fates.iter().sum::<u64>() == self.rows && fates[usize::from(OPEN)] == 0 {
            return Ok(());
        }
        Err(Error::Damaged {
            what: "the ledgers do not add up to the shards' summaries; run again with --resume never".into(),
            source: None,
        })
    }

    /// Whether its tables are of one number of splits, strata and categories, as those of every frozen plan are.
    pub fn is_consistent(&self) -> bool {
        let steps = self.pipeline.lanes.iter().flat_map(|lane| &lane.steps);
        let of_splits = |quotas: &Quotas| {
            (self.fold_column.is_some() || quotas.splits() >= self.splits.len())
                && (self.stratify.is_empty() || quotas.strata() == self.strata.len())
        };
        self.quotas.as_ref().is_none_or(of_splits)
            && self.allotment.as_ref().is_none_or(Allotment::is_consistent)
            && steps.into_iter().all(Step::is_consistent)
    }

    /// Routes the rows of shard `at`, whose own codes stand for the strata at these positions.
    pub fn router(&self, at: usize, codes: Vec<u32>) -> Router {
        Router::new(codes, self.shards[at].first_row)
    }

    /// Rows that are in no split by the name of the reason, those that could not be read among them.
    pub fn dropped_by_name(&self) -> Vec<(String, u64)> {
        let bad = ("bad_row".to_string(), self.bad_rows);
        let reasons = self.dropped.iter().map(|(reason, rows)| (reason.name().to_string(), *rows));
        reasons.chain([bad]).filter(|(_, rows)| *rows > 0).collect()
    }

    /// Rows of each stratum in the split at a position, by name; none where strata do not decide, or folds are a column.
    pub fn strata_of(&self, split: usize) -> Vec<(String, u64)> {
        match &self.quotas {
            Some(quotas) if !self.stratify.is_empty() && self.fold_column.is_none() => {
                self.strata.iter().enumerate().map(|(s, stratum)| (stratum.name(), quotas.of(s)[split])).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Mean bytes of an output row, decoded.
    pub fn output_row_bytes(&self) -> u64 {
        output_row_bytes(&self.pipeline, &self.facts)
    }

    /// The parts of the output, split by split, in order. A split without rows has one part without rows.
    pub fn parts(&self, files: &Files) -> Vec<PlannedPart> {
        let parts_of = |(split, planned): (usize, &PlannedSplit)| {
            let count = planned.rows.div_ceil(self.shard_rows).max(1);
            let (rows, shard_rows) = (planned.rows, self.shard_rows);
            (0..count).map(move |number| PlannedPart {
                split,
                path: files.part(split, number),
                copies: files.copies(split, number),
                rows: shard_rows.min(rows - number * shard_rows),
            })
        };
        self.splits.iter().enumerate().flat_map(parts_of).collect()
    }
}

/// Whether two of these texts are the same number.
fn has_equal_numbers(texts: &[String]) -> bool {
    let mut numbers: Vec<u64> =
        texts.iter().filter_map(|text| text.trim().parse::<f64>().ok()).map(f64::to_bits).collect();
    numbers.sort_unstable();
    numbers.windows(2).any(|pair| pair[0] == pair[1])
}

/// Rows that are in no split, by reason, in the order of reasons.
fn dropped(fates: &[u64]) -> Vec<(Reason, u64)> {
    let counts = Reason::ALL.into_iter().map(|reason| (reason, fates[usize::from(reason.code())]));
    counts.filter(|(_, rows)| *rows > 0).collect()
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
        let lane = &pipeline.lanes[column.lane];
        if lane.is_fold() {
            return true;
        }
        let fact = &facts[lane.input];
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

/// Stands for the split of every row: a hash of all that it depends on.
pub fn rows_hash(recipe: &Recipe, shards: &[ShardFacts]) -> u128 {
    let all = serde_json::json!([hash::CONTRACT, recipe.label, recipe.split, recipe.dedupe, listing(shards)]);
    xxh3_128(all.to_string().as_bytes())
}

fn listing(shards: &[ShardFacts]) -> serde_json::Value {
    shards.iter().map(|s| serde_json::json!([s.name, s.bytes, s.rows, format!("{:032x}", s.fingerprint)])).collect()
}

fn fingerprint(recipe: &Recipe, shards: &[ShardFacts]) -> String {
    let mut recipe = recipe.clone();
    // Keys that are taken out of the tree would leave the others in another order than recipes without them have.
    recipe.input.secondary = None;
    recipe.output.publish = crate::spec::Output::default().publish;
    let mut tree: serde_json::Value = serde_json::from_str(&recipe_text(&recipe)).unwrap_or_default();
    for (section, key) in [("input", "path"), ("output", "path")] {
        if let Some(table) = tree.get_mut(section).and_then(serde_json::Value::as_object_mut) {
            table.remove(key);
        }
    }
    let all = serde_json::json!([env!("CARGO_PKG_VERSION"), hash::CONTRACT, tree, listing(shards)]);
    format!("{:032x}", xxh3_128(all.to_string().as_bytes()))
}
