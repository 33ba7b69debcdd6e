//! `_manifest.json`: what the output holds and how to prove it. Written by `run`, read by `verify` and `inspect`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::SealedPart;
use crate::error::{Error, Result};
use crate::hash;
use crate::plan::Plan;
use crate::transform::Step;

/// Version of the manifest's layout.
pub const FORMAT: u64 = 1;

/// A split in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Rows by stratum, in the strata's order; empty without strata.
    pub strata: Vec<(String, u64)>,
    /// Groups in it, where groups decide.
    pub groups: Option<u64>,
    /// Its parts, in order.
    pub parts: Vec<SealedPart>,
}

/// The manifest's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Version of twopass that wrote it.
    pub version: String,
    /// The plan's fingerprint.
    pub fingerprint: String,
    /// The recipe, without `[run]`.
    pub recipe: Value,
    /// Shards, rows and bytes of the input.
    pub input: (u64, u64, u64),
    /// The splits, in order.
    pub splits: Vec<Split>,
    /// Dropped rows by reason.
    pub dropped: Vec<(String, u64)>,
    /// Name and type of the output's columns.
    pub schema: Vec<(String, String)>,
    /// Names of the stratify columns.
    pub stratify: Vec<String>,
    /// The column of folds, and the rows of each.
    pub folds: Option<(String, Vec<u64>)>,
    /// The classes of a mapped label: column, and class by code.
    pub label: Option<(String, Vec<String>)>,
}

impl Manifest {
    /// The manifest of a plan whose parts are all sealed; `part_splits` names the split of each.
    pub fn new(plan: &Plan, sealed: &[SealedPart], part_splits: &[usize]) -> Self {
        let parts = |at: usize| {
            sealed.iter().zip(part_splits).filter(|(_, split)| **split == at).map(|(part, _)| part.clone()).collect()
        };
        let splits = plan.splits.iter().enumerate();
        let splits = splits.map(|(at, split)| Split {
            name: split.name.clone(),
            rows: split.rows,
            strata: plan.strata_of(at),
            groups: split.groups,
            parts: parts(at),
        });
        let label = plan.pipeline.lanes.iter().find_map(|lane| match lane.steps.as_slice() {
            [Step::Label(map)] => Some((lane.name.clone(), map.classes())),
            _ => None,
        });
        Self {
            version: plan.version.clone(),
            fingerprint: plan.fingerprint.clone(),
            recipe: serde_json::from_str(&plan.recipe).unwrap_or_default(),
            input: (plan.shards.len() as u64, plan.rows, plan.shards.iter().map(|shard| shard.bytes).sum()),
            splits: splits.collect(),
            dropped: plan.dropped.iter().map(|(reason, rows)| (reason.name().to_string(), *rows)).collect(),
            folds: plan.fold_column.as_ref().map(|column| (column.name.clone(), column.rows.clone())),
            schema: plan.pipeline.output.iter().map(|c| (c.name.clone(), c.data_type.to_string())).collect(),
            stratify: plan.stratify.clone(),
            label,
        }
    }

    /// The manifest as JSON.
    pub fn to_json(&self) -> Value {
        let split = |split: &Split| {
            let strata: Map<String, Value> =
                split.strata.iter().map(|(name, rows)| (name.clone(), json!(rows))).collect();
            (
                split.name.clone(),
                json!({ "rows": split.rows, "strata": strata, "groups": split.groups, "parts": split.parts }),
            )
        };
        let dropped: Map<String, Value> =
            self.dropped.iter().map(|(reason, rows)| (reason.clone(), json!(rows))).collect();
        let schema: Vec<_> =
            self.schema.iter().map(|(name, data_type)| json!({ "name": name, "type": data_type })).collect();
        json!({
            "format": FORMAT,
            "twopass": self.version,
            "fingerprint": self.fingerprint,
            "hash": hash::CONTRACT,
            "recipe": self.recipe,
            "input": { "shards": self.input.0, "rows": self.input.1, "bytes": self.input.2 },
            "splits": self.splits.iter().map(split).collect::<Map<_, _>>(),
            "dropped": dropped,
            "schema": schema,
            "stratify": self.stratify,
            "folds": self.folds.as_ref().map(|(column, rows)| json!({ "column": column, "rows": rows })),
            "label": self.label.as_ref().map(|(column, classes)| json!({ "column": column, "classes": classes })),
        })
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not one, or of another format.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Error::Damaged { what: format!("_manifest.json {what}"), source: None };
        let tree: Value = serde_json::from_slice(text)
            .map_err(|e| Error::Damaged { what: "_manifest.json is no JSON".into(), source: Some(e.into()) })?;
        if tree["format"].as_u64() != Some(FORMAT) {
            return Err(damaged(&format!("has format {}; this twopass reads format {FORMAT}", tree["format"])));
        }
        let text = |value: &Value| value.as_str().map(str::to_string);
        let counts = |value: &Value| -> Option<Vec<(String, u64)>> {
            value.as_object()?.iter().map(|(name, rows)| Some((name.clone(), rows.as_u64()?))).collect()
        };
        let names = |value: &Value| -> Option<Vec<String>> { value.as_array()?.iter().map(&text).collect() };
        let read = || {
            let splits = tree["splits"].as_object()?.iter().map(|(name, split)| {
                Some(Split {
                    name: name.clone(),
                    rows: split["rows"].as_u64()?,
                    strata: counts(&split["strata"])?,
                    groups: split["groups"].as_u64(),
                    parts: serde_json::from_value(split["parts"].clone()).ok()?,
                })
            });
            let schema =
                tree["schema"].as_array()?.iter().map(|column| Some((text(&column["name"])?, text(&column["type"])?)));
            let input = &tree["input"];
            Some(Self {
                version: text(&tree["twopass"])?,
                fingerprint: text(&tree["fingerprint"])?,
                recipe: tree["recipe"].clone(),
                input: (input["shards"].as_u64()?, input["rows"].as_u64()?, input["bytes"].as_u64()?),
                splits: splits.collect::<Option<_>>()?,
                dropped: counts(&tree["dropped"])?,
                schema: schema.collect::<Option<_>>()?,
                stratify: names(&tree["stratify"])?,
                folds: match &tree["folds"] {
                    Value::Null => None,
                    folds => {
                        let rows = folds["rows"].as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
                        Some((text(&folds["column"])?, rows))
                    }
                },
                label: match &tree["label"] {
                    Value::Null => None,
                    label => Some((text(&label["column"])?, names(&label["classes"])?)),
                },
            })
        };
        let manifest: Self = read().ok_or_else(|| damaged("lacks what this twopass expects in it"))?;
        if manifest.can_be_counted() { Ok(manifest) } else { Err(damaged("has figures that no output has")) }
    }

    /// Whether there are as many splits as a recipe can name, and all figures together are a number: then every sum of
    /// some of them is.
    fn can_be_counted(&self) -> bool {
        let (shards, rows, bytes) = self.input;
        let of_split = |split: &Split| {
            let parts = split.parts.iter().flat_map(|part| [part.rows, part.bytes]);
            let strata = split.strata.iter().map(|(_, rows)| *rows);
            parts.chain(strata).chain(split.groups).chain([split.rows]).try_fold(0_u64, u64::checked_add)
        };
        let splits = self.splits.iter().map(of_split);
        let dropped = self.dropped.iter().map(|(_, rows)| Some(*rows));
        let folds = self.folds.iter().flat_map(|(_, rows)| rows).map(|rows| Some(*rows));
        let mut figures = splits.chain(dropped).chain(folds).chain([Some(shards), Some(rows), Some(bytes)]);
        (1..=crate::split::MAX_SPLITS).contains(&self.splits.len())
            && figures.try_fold(0_u64, |sum, figure| sum.checked_add(figure?)).is_some()
    }
}
