//! The recipe's own value types: lists that may be one name, sizes in their order, byte sizes with units.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One text or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// A single one.
    One(String),
    /// Several, in order.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    /// All of them, in order.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

/// What stands between the fields of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delimiter {
    /// Told by each shard's first records.
    #[default]
    Auto,
    /// This ASCII character.
    Is(u8),
}

impl Delimiter {
    pub(super) fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.as_bytes()) {
            ("auto", _) => Ok(Self::Auto),
            ("\\t", _) => Ok(Self::Is(b'\t')),
            (_, [byte]) if byte.is_ascii() && !matches!(byte, 0 | b'"' | b'\r' | b'\n') => Ok(Self::Is(*byte)),
            _ => Err(format!(
                "delimiter {text:?}: write \"auto\" or one ASCII character that is neither a quote nor a line end"
            )),
        }
    }
}

impl Serialize for Delimiter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Is(byte) => serializer.serialize_char(char::from(*byte)),
        }
    }
}

impl<'de> Deserialize<'de> for Delimiter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Delimiter {
    fn schema_name() -> Cow<'static, str> {
        "Delimiter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Size of a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    /// Share of all rows.
    Share(f64),
    /// Rows, or groups.
    Count(u64),
}

/// Splits and their sizes, in the recipe's order: all shares, or all counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes(pub Vec<(String, Size)>);

impl Default for Sizes {
    fn default() -> Self {
        let share = |(name, share): (&str, f64)| (name.to_string(), Size::Share(share));
        Self([("train", 0.7), ("test", 0.15), ("val", 0.15)].map(share).into())
    }
}

/// A size as it was written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Integer(u64),
    Decimal(f64),
}

impl Sizes {
    /// Integers are counts, but for a single 1, which is all.
    fn new(written: Vec<(String, Written)>) -> Result<Self, String> {
        let integers = written.iter().filter(|(_, size)| matches!(size, Written::Integer(_))).count();
        let sum = written.iter().fold(0_u64, |sum, (_, size)| match size {
            Written::Integer(count) => sum.saturating_add(*count),
            Written::Decimal(_) => sum,
        });
        let counts = sum > 1;
        if counts && integers < written.len() {
            return Err("sizes are either all decimals, shares, or all integers, rows; these are both".into());
        }
        let size = |(name, size)| match size {
            Written::Integer(count) if counts => (name, Size::Count(count)),
            Written::Integer(share) => (name, Size::Share(share as f64)),
            Written::Decimal(share) => (name, Size::Share(share)),
        };
        Ok(Self(written.into_iter().map(size).collect()))
    }
}

impl FromStr for Sizes {
    type Err = String;

    /// Reads `train=0.7,test=0.3`.
    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |part: &str| {
            let (name, size) = part.split_once('=').ok_or_else(|| format!("`{part}` is not NAME=SIZE"))?;
            let size = size.trim();
            let integer = size.replace('_', "").parse().map(Written::Integer);
            let size = integer.or_else(|_| size.parse().map(Written::Decimal));
            Ok((name.trim().to_string(), size.map_err(|_| format!("`{part}` has no number"))?))
        };
        Self::new(text.split(',').map(pair).collect::<Result<_, String>>()?)
    }
}

impl Serialize for Sizes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, size) in &self.0 {
            match size {
                Size::Share(share) => map.serialize_entry(name, share)?,
                Size::Count(count) => map.serialize_entry(name, count)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Sizes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of splits and their sizes, as in { train = 0.8, test = 0.2 }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sizes, A::Error> {
                let mut sizes: Vec<(String, Written)> = Vec::new();
                while let Some(entry) = map.next_entry::<String, Written>()? {
                    if sizes.iter().any(|(name, _)| *name == entry.0) {
                        return Err(de::Error::custom(format!("split `{}` is named twice", entry.0)));
                    }
                    sizes.push(entry);
                }
                Sizes::new(sizes).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl JsonSchema for Sizes {
    fn schema_name() -> Cow<'static, str> {
        "Sizes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": { "type": "number", "minimum": 0 },
            "description": "Shares that sum to 1, or integers: rows (groups with group_sizes)."
        })
    }
}

/// A number of bytes, written with a unit: `2GiB`, `500MB`, `1073741824`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a size; write 2GiB, 500MB or a number of bytes");
        let lower = text.trim().to_ascii_lowercase();
        let (digits, unit) =
            UNITS.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, *unit))).unwrap_or((&lower, 1));
        let number: f64 = digits.trim().parse().map_err(|_| refuse())?;
        let bytes = number * unit as f64;
        if !(bytes >= 0.0 && bytes < 2f64.powi(63)) {
            return Err(refuse());
        }
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
            .into_iter()
            .find(|(_, shift)| self.0 > 0 && self.0.is_multiple_of(1 << shift));
        match exact {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": "Bytes, or a number with a unit: 2GiB, 500MB." })
    }
}
