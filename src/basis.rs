//! What of a recipe one shard's results depend on, and whether they serve another recipe: those that have more than is
//! needed are cut down to what a scan for it would have found, those that lack something never serve.

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::roles::Roles;
use crate::scan::{Collect, ColumnSummary};
use crate::schema::is_number;
use crate::spec::{Recipe, Transform};
use crate::state::VocabularyNeed;
use crate::strata::Stratum;

/// What a shard was scanned for. The types of its columns are with the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// How the rows were read, as JSON: format, names and types that the recipe sets, with how text is read where that is
    /// not the default; where it derives columns, hashes of how these are made and of the types that they are made of.
    pub reading: String,
    /// Of the columns that the ledger is made of: hashes of how the recipe derives them and of the types they are made of.
    pub keys: (String, String),
    /// Whether no other columns were read.
    pub keys_only: bool,
    /// Whether there is a ledger of the rows.
    pub ledger: bool,
    /// The label: rows without one are in no stratum.
    pub label: Option<String>,
    /// Columns of the row's key, in order.
    pub key: Vec<String>,
    /// Columns that make the strata, in order.
    pub stratify: Vec<String>,
    /// Columns of the group, in order.
    pub groups: Vec<String>,
    /// The time's column.
    pub time: Option<String>,
    /// Columns of the key that is to be unique, in order.
    pub unique: Vec<String>,
    /// Columns that order the rows of that key, in order.
    pub order: Vec<String>,
    /// Whether the columns' values were looked at.
    pub statistics: bool,
    /// Columns whose values are kept, in the schema's order.
    pub vocabularies: Vec<String>,
    /// Columns of which it is known whether 32-bit floats hold their values exactly, in the schema's order.
    pub asked_f32: Vec<String>,
    /// Which rows and columns there are further statistics of, to be fitted on, where these are not all rows; a hash.
    pub fitted: Option<String>,
}

/// Why results do not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The rows were read in another way.
    Reading,
    /// The columns were made of the input's in another way.
    Derivation,
    /// The columns were made of others types, which do not hold all shards' values.
    SourceTypes,
    /// The keys were read, and no other columns.
    KeysOnly,
    /// The statistics to be fitted on are of other rows, or there are none.
    Fitted,
    /// There is no ledger.
    Ledger,
    /// The ledger is of another label.
    Label,
    /// The ledger is of another key.
    Key,
    /// The ledger does not know these columns.
    Strata(Vec<String>),
    /// The ledger has no groups, or others.
    Groups,
    /// The ledger has no times, or others.
    Time,
    /// The ledger has no keys that are to be unique, or others, or none of this order.
    Unique,
    /// The columns' values were not looked at.
    Statistics,
    /// The values of these columns were not kept.
    Vocabularies(Vec<String>),
    /// Nobody looked whether 32-bit floats hold the values of these columns.
    Narrow(Vec<String>),
}

impl Basis {
    /// What `recipe` needs of columns as `collect` has them; `signature` are the names it gives to the columns.
    pub fn new(recipe: &Recipe, collect: &Collect, signature: Option<&[String]>) -> Self {
        let input = &recipe.input;
        let format = match input.text_options() {
            None => serde_json::json!(input.format),
            Some(text) => serde_json::json!([input.format, text]),
        };
        let mut reading = serde_json::json!([format, signature, input.schema]);
        let whole_label = recipe.label.as_ref().is_some_and(|label| label.integer);
        if (whole_label || recipe.transform.iter().any(Transform::is_structural))
            && let serde_json::Value::Array(parts) = &mut reading
        {
            let (how, of) = collect.derived.fingerprints();
            parts.extend([format!("{how:032x}").into(), format!("{of:032x}").into()]);
        }
        let name = |at: &usize| collect.schema.field(*at).name().clone();
        let keeps_values = |at: &usize| {
            collect.needs[*at] != VocabularyNeed::Count && has_values(collect.schema.field(*at).data_type())
        };
        let is_key = |name: &str| collect.key_names().any(|key| key == name);
        let keys = collect.derived.only(is_key).fingerprints();
        Self {
            reading: reading.to_string(),
            keys: (format!("{:032x}", keys.0), format!("{:032x}", keys.1)),
            keys_only: collect.keys_only,
            fitted: collect.fitted_hash.map(|hash| format!("{hash:032x}")),
            ledger: collect.ledger,
            label: collect.label.as_ref().map(name),
            key: collect.key.iter().map(name).collect(),
            stratify: collect.stratify.iter().map(name).collect(),
            groups: collect.groups.iter().map(name).collect(),
            time: collect.time.as_ref().map(name),
            unique: collect.unique.iter().map(name).collect(),
            order: collect.order.iter().map(name).collect(),
            statistics: collect.statistics,
            vocabularies: (0..collect.needs.len()).filter(keeps_values).map(|at| name(&at)).collect(),
            asked_f32: (0..collect.needs.len()).filter(|at| collect.asks_f32(*at)).map(|at| name(&at)).collect(),
        }
    }

    /// What results of this basis lack to serve one that needs `needed`; nothing when they serve.
    pub fn lacks(&self, needed: &Self) -> Option<Lack> {
        let without =
            |had: &[String], wanted: &[String]| wanted.iter().filter(|name| !had.contains(name)).cloned().collect();
        if needed.keys_only {
            match of_reading(&self.reading, &needed.reading) {
                Lack::Reading => return Some(Lack::Reading),
                _ if self.keys.0 != needed.keys.0 => return Some(Lack::Derivation),
                _ if self.keys.1 != needed.keys.1 => return Some(Lack::SourceTypes),
                _ => {}
            }
        } else if self.keys_only {
            return Some(Lack::KeysOnly);
        } else if self.reading != needed.reading {
            return Some(of_reading(&self.reading, &needed.reading));
        }
        if needed.ledger {
            let strata: Vec<String> = without(&self.stratify, &needed.stratify);
            match () {
                () if !self.ledger => return Some(Lack::Ledger),
                () if self.label != needed.label => return Some(Lack::Label),
                () if self.key != needed.key => return Some(Lack::Key),
                () if !strata.is_empty() => return Some(Lack::Strata(strata)),
                () if !needed.groups.is_empty() && self.groups != needed.groups => return Some(Lack::Groups),
                () if needed.time.is_some() && self.time != needed.time => return Some(Lack::Time),
                () if !needed.unique.is_empty() && self.unique != needed.unique => return Some(Lack::Unique),
                () if !needed.order.is_empty() && self.order != needed.order => return Some(Lack::Unique),
                () => {}
            }
        }
        if needed.keys_only {
            return None;
        }
        if needed.fitted.is_some() && self.fitted != needed.fitted {
            return Some(Lack::Fitted);
        }
        if needed.statistics && !self.statistics {
            return Some(Lack::Statistics);
        }
        let values: Vec<String> = without(&self.vocabularies, &needed.vocabularies);
        if !values.is_empty() {
            return Some(Lack::Vocabularies(values));
        }
        let floats: Vec<String> = without(&self.asked_f32, &needed.asked_f32);
        (!floats.is_empty()).then_some(Lack::Narrow(floats))
    }

    /// What the ledger has of each row.
    pub fn roles(&self) -> Roles {
        Roles {
            group: !self.groups.is_empty(),
            time: self.time.is_some(),
            unique: !self.unique.is_empty(),
            order: !self.order.is_empty(),
        }
    }

    /// A shard's strata, by its own codes, as a scan for `needed` names them: several may have become one.
    pub fn strata(&self, needed: &Self, strata: Vec<Stratum>) -> Vec<Stratum> {
        if !needed.ledger {
            return Vec::new();
        }
        if self.stratify == needed.stratify {
            return strata;
        }
        let at: Vec<usize> =
            needed.stratify.iter().filter_map(|name| self.stratify.iter().position(|had| had == name)).collect();
        let project = |stratum: Stratum| Stratum {
            values: at.iter().map(|at| stratum.values[*at].clone()).collect(),
            rows: stratum.rows,
        };
        strata.into_iter().map(project).collect()
    }
}

/// In what the rows were read in another way.
fn of_reading(had: &str, needed: &str) -> Lack {
    let parts = |text: &str| serde_json::from_str::<Vec<serde_json::Value>>(text).unwrap_or_default();
    let (had, needed) = (parts(had), parts(needed));
    match () {
        () if had.get(..3) != needed.get(..3) => Lack::Reading,
        () if had.get(3) != needed.get(3) => Lack::Derivation,
        () => Lack::SourceTypes,
    }
}

/// Whether values of this type are kept for encoders; of others all is known that there is.
fn has_values(data_type: &DataType) -> bool {
    *data_type == DataType::Utf8 || is_number(data_type)
}

/// Columns' summaries cut down to what `collect` needs.
///
/// # Errors
/// [`crate::error::Error::Conflict`] when one has less.
pub fn reduced(columns: Vec<ColumnSummary>, collect: &Collect) -> Result<Vec<ColumnSummary>> {
    let reduce = |(at, column): (usize, ColumnSummary)| {
        let fitted = column.fitted.filter(|_| collect.fitted_hash.is_some());
        let state = column.state.reduced(collect.needs[at])?;
        let state = if collect.asks_f32(at) { state } else { state.without_f32() };
        Ok(ColumnSummary { state, fitted, ..column })
    };
    columns.into_iter().enumerate().map(reduce).collect()
}
