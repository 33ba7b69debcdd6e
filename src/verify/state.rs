//! What the bytes cannot know: how many rows were dropped, and why. The state has a ledger of all rows that were read, so which split
//! each goes to is decided once more from there, and counted. Opening a state repairs it as a run does; nothing else is written.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use arrow::datatypes::{Field, Schema};
use hashbrown::HashMap;

use super::{Check, Subject, chain};
use crate::allot::{Ledgers, VisitRows};
use crate::basis::Basis;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::observe::Silent;
use crate::plan::Plan;
use crate::roles::{Keys, Roles};
use crate::scan::ShardSummary;
use crate::schema;
use crate::spec::files::default_state;
use crate::spec::{Recipe, Run};
use crate::store::{ShardRecord, StateStore};

const NAME: &str = "state";

/// Makes the check, with the state at `given`, or beside the output.
///
/// # Errors
/// When the state that was given cannot be opened.
pub(super) fn check(job: &Subject<'_>, given: Option<&Path>) -> Result<Check> {
    let unknown = |why: String| Check::not_provable(NAME, format!("{why}, so how many rows were dropped is not known"));
    let Some(path) = given.map(Path::to_path_buf).or_else(|| beside(job.root)) else {
        return Ok(unknown("there is no state beside the output".into()));
    };
    let store = match StateStore::open_existing(&Disk::default(), &path) {
        Ok((store, _)) => store,
        Err(error) if given.is_some() => return Err(error),
        Err(error) => return Ok(unknown(chain(&error))),
    };
    let at = path.display();
    let Some(plan) = store.load_plan::<Plan>()?.filter(Plan::is_consistent) else {
        return Ok(unknown(format!("the state at {at} has no plan")));
    };
    if plan.fingerprint != job.manifest.fingerprint {
        return Ok(unknown(format!("the state at {at} has gone on to another recipe or input")));
    }
    Ok(match decided_again(&store, &plan) {
        Ok(again) => {
            let dropped: Vec<String> =
                again.dropped.iter().map(|(reason, rows)| format!("{} {rows}", reason.name())).collect();
            let dropped = if dropped.is_empty() { "none dropped".to_string() } else { dropped.join(", ") };
            let figures = format!("{} rows in splits, {dropped}: as the ledgers say", kept(&again));
            Check::unless(NAME, &differences(job, &again), figures)
        }
        Err(error) => unknown(format!("the state at {at} cannot be used: {}", chain(&error))),
    })
}

/// The state that stands beside an output by default, if it is there.
fn beside(output: &Path) -> Option<PathBuf> {
    let path = default_state(output);
    path.join("identity").is_file().then_some(path)
}

fn kept(plan: &Plan) -> u64 {
    plan.splits.iter().map(|split| split.rows).sum()
}

/// The plan with all rows decided once more from their ledgers.
fn decided_again(store: &StateStore, plan: &Plan) -> Result<Plan> {
    let engine = Engine::new(&Run::default(), &Silent)?;
    let fields = plan.schema.iter().map(|(name, data_type)| {
        let data_type = schema::of_name(data_type).ok_or_else(|| damaged("its plan has a type that is unknown"))?;
        Ok(Field::new(name, data_type, true))
    });
    let schema = Schema::new(fields.collect::<Result<Vec<_>>>()?);
    let ledgers = StateLedgers::new(store, plan)?;
    let recipe: Recipe = serde_json::from_str(&plan.recipe).map_err(|_| damaged("its plan has no recipe"))?;
    engine.pool.install(|| plan.decided_again(&recipe, &schema, &ledgers, &engine.budget))
}

/// How the manifest is not what a plan says.
fn differences(job: &Subject<'_>, plan: &Plan) -> Vec<String> {
    let manifest = job.manifest;
    let mut wrong = Vec::new();
    if !is_recipe_of(plan, job.recipe) {
        wrong.push("the recipe is not that of the plan".to_string());
    }
    if manifest.input.1 != plan.rows {
        wrong.push(format!("{} rows were read, the manifest says {}", plan.rows, manifest.input.1));
    }
    let of = |counts: &[(String, u64)], name: &str| {
        counts.iter().find(|(known, _)| known == name).map_or(0, |(_, rows)| *rows)
    };
    let dropped: Vec<(String, u64)> =
        plan.dropped.iter().map(|(reason, rows)| (reason.name().to_string(), *rows)).collect();
    let mut reasons: Vec<&String> = dropped.iter().chain(&manifest.dropped).map(|(reason, _)| reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let (found, said) = (of(&dropped, reason), of(&manifest.dropped, reason));
        if found != said {
            wrong.push(format!("{found} rows were dropped for {reason}, the manifest says {said}"));
        }
    }
    for (at, (split, planned)) in manifest.splits.iter().zip(&plan.splits).enumerate() {
        if (split.rows, split.groups) != (planned.rows, planned.groups) {
            let say = |rows: u64, groups: Option<u64>| {
                groups.map_or_else(|| format!("{rows} rows"), |groups| format!("{rows} rows of {groups} groups"))
            };
            let (found, said) = (say(planned.rows, planned.groups), say(split.rows, split.groups));
            wrong.push(format!("{} has {found}, the manifest says {said}", split.name));
        }
        if split.strata != plan.strata_of(at) {
            wrong.push(format!("the strata of {} are not those of the ledgers", split.name));
        }
    }
    if manifest.splits.len() != plan.splits.len() {
        wrong.push("the manifest has another number of splits".into());
    }
    let folds = plan.fold_column.as_ref().map(|folds| (&folds.name, &folds.rows));
    if manifest.folds.as_ref().map(|(name, rows)| (name, rows)) != folds {
        wrong.push("the folds are not those of the ledgers".into());
    }
    let is_same = match (&manifest.worst_share, &plan.worst) {
        (Some(a), Some(b)) => (&a.class, &a.split) == (&b.class, &b.split) && (a.deviation - b.deviation).abs() < 1e-9,
        (a, b) => a == b,
    };
    if !is_same {
        wrong.push("the worst share is not that of the ledgers".into());
    }
    wrong
}

/// Whether a recipe is that of the plan, but for paths: these may be others now.
fn is_recipe_of(plan: &Plan, recipe: &Recipe) -> bool {
    let Ok(mut planned) = serde_json::from_str::<Recipe>(&plan.recipe) else { return false };
    planned.input.path.clone_from(&recipe.input.path);
    planned.input.secondary.clone_from(&recipe.input.secondary);
    planned.output.path.clone_from(&recipe.output.path);
    planned == *recipe
}

fn damaged(what: &str) -> Error {
    Error::Damaged { what: what.into(), source: None }
}

/// Strata of single shards that are kept over all shards; more are read from the state again.
const MOST_KEPT_STRATA: usize = 1 << 24;

/// The ledgers of a state, for its own plan.
struct StateLedgers<'a> {
    store: &'a StateStore,
    plan: &'a Plan,
    /// Of each shard, with what its ledger has.
    records: Vec<(ShardRecord, Roles)>,
    /// Positions of the strata.
    strata: HashMap<&'a [Option<String>], u32>,
    /// Those of each shard, by its own codes; none when they are too many to be kept.
    codes: Option<Vec<Vec<u32>>>,
}

impl<'a> StateLedgers<'a> {
    fn new(store: &'a StateStore, plan: &'a Plan) -> Result<Self> {
        let known = store.shard_records();
        let by_name: HashMap<&str, &ShardRecord> =
            known.iter().map(|record| (record.stamp.name.as_str(), record)).collect();
        let strata = plan.strata.iter().zip(0..).map(|(stratum, at)| (stratum.values.as_slice(), at)).collect();
        let mut ledgers = Self { store, plan, records: Vec::new(), strata, codes: None };
        let (mut codes, mut kept) = (Some(Vec::new()), 0);
        for shard in &plan.shards {
            let record = by_name.get(shard.name.as_str());
            let record = record.ok_or_else(|| damaged(&format!("it lacks shard {}", shard.name)))?;
            let summary = ShardSummary::read(store, record)?;
            ledgers.records.push(((*record).clone(), summary.basis.roles()));
            if plan.allotment.is_some() {
                let of_shard = ledgers.codes_of(summary)?;
                kept += of_shard.len();
                codes = codes.filter(|_| kept <= MOST_KEPT_STRATA);
                codes.iter_mut().for_each(|codes| codes.push(of_shard.clone()));
            }
        }
        ledgers.codes = codes;
        Ok(ledgers)
    }

    fn codes_of(&self, summary: ShardSummary) -> Result<Vec<u32>> {
        // The state may have been made for finer strata.
        let needed = Basis { stratify: self.plan.stratify.clone(), ..summary.basis.clone() };
        let strata = summary.basis.strata(&needed, summary.strata);
        let position = |values: &[Option<String>]| {
            self.strata.get(values).copied().ok_or_else(|| damaged("a shard has a stratum that the plan has not"))
        };
        strata.iter().map(|stratum| position(&stratum.values)).collect()
    }
}

impl Ledgers for StateLedgers<'_> {
    fn codes(&self, shard: usize) -> Result<Cow<'_, [u32]>> {
        match &self.codes {
            Some(codes) => Ok(Cow::Borrowed(&codes[shard])),
            None => self.codes_of(ShardSummary::read(self.store, &self.records[shard].0)?).map(Cow::Owned),
        }
    }

    fn rows(&self, shard: usize, visit: &mut VisitRows<'_>) -> Result<()> {
        let (record, roles) = &self.records[shard];
        let mut reader = self.store.open_ledger(record)?;
        while let Some(block) = reader.next_block()? {
            visit(Keys::new(block.rows, *roles).ok_or_else(|| damaged("a ledger has not what its summary says"))?)?;
        }
        Ok(())
    }
}
