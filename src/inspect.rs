//! What a state or an output holds, as plain data for a person or a program. It reads what is on disk and changes nothing
//! but what opening a state repairs.

use std::path::{Path, PathBuf};

use arrow::datatypes::Field;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::basis::Basis;
use crate::disk::Disk;
use crate::error::{Error, Result, did_you_mean};
use crate::facts::ColumnFacts;
use crate::plan::Plan;
use crate::scan::{ColumnSummary, ShardSummary};
use crate::schema;
use crate::sink::manifest::{Manifest, Split};
use crate::source::discover;
use crate::spec::{Input, OneOrMany};
use crate::store::{Identity, ShardRecord, StateStore};
use crate::transform::categories::CategoryMap;
use crate::transform::impute::Fill;
use crate::transform::scale::Affine;
use crate::transform::{Lane, Step};

/// What was found at a path.
#[derive(Debug, Clone)]
pub enum Found {
    /// An output directory.
    Output(Box<Output>),
    /// A state directory.
    State(Box<State>),
}

/// An output, as its manifest describes it.
#[derive(Debug, Clone)]
pub struct Output {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was published whole: `_SUCCESS` is there.
    pub complete: bool,
    /// Its manifest.
    pub manifest: Manifest,
}

/// A state, over all shards that pass one is done with.
#[derive(Debug, Clone, Serialize)]
pub struct State {
    /// Where it is.
    pub path: PathBuf,
    /// Version of twopass that made it.
    pub version: String,
    /// The input, as it was given.
    pub input: String,
    /// The shards that are scanned.
    pub shards: Vec<Shard>,
    /// Names of shards that are in the input now and not in the state; nothing when the input is not where it was.
    pub missing: Option<Vec<String>>,
    /// Shards that were read under other types than most, or for another recipe: a run may read them again.
    pub stale: Vec<String>,
    /// Rows of all scanned shards.
    pub rows: u64,
    /// Rows without a label.
    pub missing_label: u64,
    /// The columns.
    pub columns: Vec<Column>,
    /// What the shards were scanned for.
    pub basis: Option<Basis>,
    /// The plan, when it is frozen for exactly these shards.
    pub plan: Option<PlanView>,
    /// Parts of the plan that were sealed.
    pub sealed_parts: usize,
}

/// A scanned shard.
#[derive(Debug, Clone, Serialize)]
pub struct Shard {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// A column of a [`State`].
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// What pass one learned.
    #[serde(flatten)]
    pub facts: ColumnFacts,
    /// The fitted steps, when there is a plan.
    pub steps: Vec<FittedStep>,
}

/// A fitted step of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FittedStep {
    /// Its name, as a recipe writes it; `label` for the mapping of a label.
    pub op: &'static str,
    /// Its fitted numbers, by name.
    pub parameters: Vec<(&'static str, Value)>,
    /// Categories with their codes, for an encoder or a label.
    pub categories: Vec<(String, i32)>,
}

/// The frozen plan in short.
#[derive(Debug, Clone, Serialize)]
pub struct PlanView {
    /// Its fingerprint.
    pub fingerprint: String,
    /// Names of the splits with their rows, in order.
    pub splits: Vec<(String, u64)>,
    /// Names of the stratify columns.
    pub stratify: Vec<String>,
    /// The strata with their rows in each split.
    pub strata: Vec<(String, Vec<u64>)>,
    /// Names and types of the output's columns.
    pub output: Vec<(String, String)>,
}

/// Looks at `path`.
///
/// # Errors
/// [`Error::Recipe`] when it is neither a state nor an output; [`Error::Conflict`] when another process uses the state;
/// [`Error::Damaged`] and [`Error::Io`] when it cannot be read.
pub fn look(path: &Path) -> Result<Found> {
    let manifest = path.join("_manifest.json");
    if manifest.is_file() {
        let text = std::fs::read(&manifest).map_err(|e| Error::io("read", &manifest, e))?;
        let manifest = Manifest::from_json(&text)?;
        let complete = path.join("_SUCCESS").is_file();
        return Ok(Found::Output(Box::new(Output { path: path.to_path_buf(), complete, manifest })));
    }
    if path.join("identity").is_file() {
        let (store, identity) = StateStore::open_existing(&Disk::default(), path)?;
        return Ok(Found::State(Box::new(State::read(&store, identity)?)));
    }
    let what = if path.exists() {
        "is neither an output (it has no _manifest.json) nor a state of twopass"
    } else {
        "is not there"
    };
    Err(Error::Recipe(format!("{} {what}; give the directory of an output, or of a state", path.display())))
}

/// The position of `column` among `names`.
///
/// # Errors
/// [`Error::Recipe`] that names the nearest column.
pub fn find_column<'a>(column: &str, names: impl Iterator<Item = &'a str> + Clone) -> Result<usize> {
    names
        .clone()
        .position(|name| name == column)
        .ok_or_else(|| Error::Recipe(format!("there is no column `{column}` in it{}", did_you_mean(column, names))))
}

impl Output {
    /// The splits.
    pub fn splits(&self) -> &[Split] {
        &self.manifest.splits
    }
}

impl State {
    fn read(store: &StateStore, identity: Identity) -> Result<Self> {
        let mut records = store.shard_records();
        // One that does not fit together is none, as a damaged one is: freezing it again gives the right one.
        let plan: Option<Plan> = store.load_plan()?.filter(Plan::is_consistent);
        if let Some(plan) = &plan {
            // A shard that left the input stays in the state, in case it comes back.
            records.retain(|record| plan.shards.iter().any(|shard| shard.name == record.stamp.name));
        }
        let common = common_reading(store, &records)?;
        let (read_as, basis) = common.map_or_else(Default::default, |(read_as, basis)| (read_as, Some(basis)));
        let (mut rows, mut missing_label, mut stale) = (0, 0, Vec::new());
        let mut merged: Vec<ColumnSummary> = Vec::new();
        for record in &records {
            let summary = ShardSummary::read(store, record)?;
            rows += summary.rows;
            missing_label += summary.missing_label;
            if summary.read_as != read_as || Some(&summary.basis) != basis.as_ref() {
                stale.push(record.stamp.name.clone());
                continue;
            }
            let columns = summary.decode_columns()?;
            if merged.is_empty() {
                merged = columns;
            } else {
                merged.iter_mut().zip(columns).try_for_each(|(merged, column)| merged.merge(column))?;
            }
        }
        let facts = read_as.iter().zip(&merged).map(|((name, data_type), column)| {
            let data_type = schema::of_name(data_type).ok_or_else(|| Error::Damaged {
                what: format!("the state has column `{name}` of the unknown type {data_type}"),
                source: None,
            })?;
            Ok(ColumnFacts::new(&Field::new(name, data_type, true), &column.state, column.value_bytes))
        });
        let steps = |at: usize| {
            plan.as_ref()
                .and_then(|plan| plan.pipeline.lanes.iter().find(|lane| lane.input == at))
                .map_or_else(Vec::new, fitted_steps)
        };
        let columns = facts
            .enumerate()
            .map(|(at, facts)| Ok(Column { facts: facts?, steps: steps(at) }))
            .collect::<Result<_>>()?;
        let shards: Vec<Shard> = records
            .into_iter()
            .map(|record| Shard { name: record.stamp.name, rows: record.rows, bytes: record.stamp.bytes })
            .collect();
        Ok(Self {
            path: store.path().to_path_buf(),
            missing: missing_shards(&identity, &shards),
            version: identity.version,
            input: identity.input,
            shards,
            stale,
            rows,
            missing_label,
            columns,
            basis,
            plan: plan.as_ref().map(PlanView::new),
            sealed_parts: store.part_records().len(),
        })
    }

    /// Whether pass two could begin.
    pub fn is_complete(&self) -> bool {
        !self.shards.is_empty() && self.stale.is_empty() && self.missing.as_ref().is_none_or(Vec::is_empty)
    }
}

/// Names and types of columns, and what a shard was scanned for.
type Reading = (Vec<(String, String)>, Basis);

/// The types and the recipe that most shards were read under; of equally common ones the first shard's.
fn common_reading(store: &StateStore, records: &[ShardRecord]) -> Result<Option<Reading>> {
    let mut readings: Vec<(Reading, usize)> = Vec::new();
    for record in records {
        let summary = ShardSummary::read(store, record)?;
        let reading = (summary.read_as, summary.basis);
        match readings.iter_mut().find(|(known, _)| *known == reading) {
            Some((_, times)) => *times += 1,
            None => readings.push((reading, 1)),
        }
    }
    let most = readings.iter().map(|(_, times)| *times).max();
    Ok(readings.into_iter().find(|(_, times)| Some(*times) == most).map(|(reading, _)| reading))
}

fn missing_shards(identity: &Identity, shards: &[Shard]) -> Option<Vec<String>> {
    let description: Value = serde_json::from_str(&identity.description).ok()?;
    let mut input: Input =
        description.get("found").map_or(Some(Input::default()), |found| Input::deserialize(found).ok())?;
    input.path = OneOrMany::Many(identity.input.split(", ").map(str::to_string).collect());
    let found = discover::shards(&input).ok()?.shards;
    let is_new = |name: &String| !shards.iter().any(|shard| shard.name == *name);
    Some(found.into_iter().map(|shard| shard.name).filter(is_new).collect())
}

impl PlanView {
    fn new(plan: &Plan) -> Self {
        let by_split: Vec<Vec<(String, u64)>> = (0..plan.splits.len()).map(|split| plan.strata_of(split)).collect();
        let strata = plan.strata.iter().enumerate().filter(|_| by_split.iter().any(|strata| !strata.is_empty()));
        let strata = strata.map(|(at, stratum)| (stratum.name(), by_split.iter().map(|strata| strata[at].1).collect()));
        let strata = strata.collect();
        Self {
            fingerprint: plan.fingerprint.clone(),
            splits: plan.splits.iter().map(|split| (split.name.clone(), split.rows)).collect(),
            stratify: plan.stratify.clone(),
            strata,
            output: plan
                .pipeline
                .output
                .iter()
                .map(|column| (column.name.clone(), column.data_type.to_string()))
                .collect(),
        }
    }
}

fn fitted_steps(lane: &Lane) -> Vec<FittedStep> {
    lane.steps.iter().map(FittedStep::new).collect()
}

impl FittedStep {
    fn new(step: &Step) -> Self {
        let with = |op, parameters: Vec<(&'static str, Value)>, map: Option<&CategoryMap>| {
            let parameters = parameters.into_iter().filter(|(_, value)| !value.is_null()).collect();
            Self { op, parameters, categories: map.map_or_else(Vec::new, categories) }
        };
        match step {
            Step::Scale(step) => match step.map {
                Affine::Standard { mean, scale } => {
                    with("standard_scaler", vec![("mean", json!(mean)), ("scale", json!(scale))], None)
                }
                Affine::MinMax { scale, min, clip } => with(
                    "min_max_scaler",
                    vec![("scale", json!(scale)), ("min", json!(min)), ("clip", json!(clip))],
                    None,
                ),
            },
            Step::Impute(step) => {
                let fill = match &step.fill {
                    Fill::Bool(value) => json!(value),
                    Fill::Int(value) => json!(value),
                    Fill::UInt(value) => json!(value),
                    Fill::Float(value) => json!(value),
                    Fill::Text(value) => json!(value),
                };
                with("simple_imputer", vec![("fill", fill), ("indicator", json!(step.indicator))], None)
            }
            Step::Ordinal(step) => {
                let parameters = vec![
                    ("categories", json!(step.map.codes.len())),
                    ("infrequent", json!(step.infrequent)),
                    ("missing", json!(step.missing)),
                    ("unknown", json!(step.unknown)),
                ];
                with("ordinal_encoder", parameters, Some(&step.map))
            }
            Step::OneHot(step) => {
                let parameters = vec![
                    ("columns", json!(step.columns())),
                    ("infrequent", json!(step.infrequent)),
                    ("missing", json!(step.missing)),
                    ("dropped", json!(step.dropped)),
                ];
                with("one_hot_encoder", parameters, Some(&step.map))
            }
            Step::Narrow(step) => with("narrow", vec![("to", json!(step.to.to_string()))], None),
            Step::Fold => with("fold", Vec::new(), None),
            Step::Label(step) => with("label", vec![("classes", json!(step.map.codes.len()))], Some(&step.map)),
        }
    }
}

fn categories(map: &CategoryMap) -> Vec<(String, i32)> {
    map.codes.iter().enumerate().map(|(at, code)| (map.categories.name(at, false), *code)).collect()
}
