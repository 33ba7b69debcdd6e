//! The steps that make other columns of the input's, before anything is fitted or split.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OneOrMany, TypeName};

/// `op = "rename"`: by `names`, or by `pattern` and `replacement`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// New names by old ones, all at once: two columns may change places.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// A regular expression; every match in a name is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What a match becomes; `$1` is the first group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// With `pattern`: name, glob, list of them, or `@numeric` and the like; default all columns.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub columns: OneOrMany,
}

/// `op = "cast"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// Name, glob, list of them, or `@numeric` and the like.
    pub columns: OneOrMany,
    /// Of these, columns to leave as they are: name, glob, list of them, or a class.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub except: OneOrMany,
    /// The type.
    pub to: TypeName,
    /// What to do with a value that the type does not have.
    #[serde(default)]
    pub errors: CastErrors,
    /// What to do with a selector that no column matches.
    #[serde(default)]
    pub if_missing: IfMissing,
}

/// `op = "concat"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// Name, glob, list of them, or `@categorical` and the like; joined in the order listed.
    pub columns: OneOrMany,
    /// Name of the result; a column of that name is replaced.
    pub into: String,
    /// Text between the values.
    #[serde(default)]
    pub separator: String,
    /// Text for a missing value; without it, a row with a missing value has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// What to do when one of the columns is not there; `skip` leaves the step out.
    #[serde(default)]
    pub if_missing: IfMissing,
}

/// `op = "row_max"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowMax {
    /// Name, glob, list of them, or `@numeric` and the like.
    pub columns: OneOrMany,
    /// Name of the result; a column of that name is replaced.
    pub into: String,
}

/// `op = "coalesce"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coalesce {
    /// Name, glob, list of them, or `@numeric` and the like; looked at in the order listed.
    pub columns: OneOrMany,
    /// Name of the result; a column of that name is replaced.
    pub into: String,
    /// What to do when one of the columns is not there; `skip` passes over it as long as another is.
    #[serde(default)]
    pub if_missing: IfMissing,
}

/// `op = "drop"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropColumns {
    /// Name, glob, list of them, or `@numeric` and the like.
    pub columns: OneOrMany,
    /// What to do with a selector that no column matches.
    #[serde(default)]
    pub if_missing: IfMissing,
}

/// `op = "keep"`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepColumns {
    /// Name, glob, list of them, or `@numeric` and the like.
    pub columns: OneOrMany,
}

/// `cast.errors`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CastErrors {
    /// An error that names shard, row, column and value.
    #[default]
    Raise,
    /// The value becomes missing.
    Null,
}

/// `if_missing`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IfMissing {
    /// An error that names the selector.
    #[default]
    Raise,
    /// It is passed over.
    Skip,
}
