//! JSON lines: one flat object a line. Values are found, not interpreted: a number keeps its digits until the column's
//! type is known. Nested values are refused by name.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;
use memchr::memchr;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::TextFormat;
use super::cells::Kind;
use super::split::{Block, blank_line};
use crate::error::{Error, Result, Site};

/// Names to positions; keys in the order of the last object are found without hashing.
#[derive(Default)]
pub(super) struct Keys {
    names: Vec<String>,
    positions: HashMap<String, usize>,
    /// Row, from 1, of the last object that had the key.
    last_row: Vec<u64>,
    /// Position of the key after the one found last.
    likely: usize,
}

impl Keys {
    /// The keys `names`, at their positions.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut keys = Self::default();
        names.into_iter().for_each(|name| {
            keys.add(name);
        });
        keys
    }

    /// All names, those met later behind those given.
    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }

    /// The names that stood in some object, in the order of the positions.
    pub(super) fn into_met(self) -> impl Iterator<Item = String> {
        self.names.into_iter().zip(self.last_row).filter(|(_, row)| *row > 0).map(|(name, _)| name)
    }

    fn add(&mut self, name: &str) -> usize {
        let at = self.names.len();
        self.positions.insert(name.to_string(), at);
        self.names.push(name.to_string());
        self.last_row.push(0);
        at
    }

    /// Position of `name`, a new one where it is not known; nothing when the object of row `row` had it before.
    fn meet(&mut self, name: &str, row: u64) -> Option<usize> {
        let at = match self.names.get(self.likely) {
            Some(likely) if likely == name => self.likely,
            _ => self.positions.get(name).copied().unwrap_or_else(|| self.add(name)),
        };
        self.likely = at + 1;
        let first = self.last_row[at] != row + 1;
        self.last_row[at] = row + 1;
        first.then_some(at)
    }
}

/// One value of an object.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// `null`
    Null,
    /// A number or truth value, as written; or a string without escapes, without its quotes.
    Plain(Kind, &'a str),
    /// A string with escapes, quotes included.
    Escaped(&'a str),
}

impl Value<'_> {
    /// The text of an escaped string, quotes and escapes undone.
    pub(super) fn unescaped(escaped: &str) -> String {
        // The text has been parsed once, escapes and all, but for lone surrogates: those alone can fail here.
        serde_json::from_str(escaped).unwrap_or_else(|_| escaped.trim_matches('"').to_string())
    }
}

/// Walks the objects of one block.
pub(super) struct Objects<'a> {
    text: &'a str,
    at: usize,
    row: u64,
}

impl<'a> Objects<'a> {
    /// The objects of `text`; `first_row` is the row of the first.
    pub(super) fn new(text: &'a str, first_row: u64) -> Self {
        Self { text, at: 0, row: first_row }
    }

    /// Hands position and value of every key of the next object to `visit`; false when there is no object left.
    ///
    /// # Errors
    /// [`Error::Data`] with row and line, and the column where one is at fault: no object, no JSON, a key that stands
    /// twice, a nested value.
    pub(super) fn read(&mut self, block: &Block, keys: &mut Keys, visit: impl FnMut(usize, Value<'a>)) -> Result<bool> {
        let bytes = self.text.as_bytes();
        while self.at < bytes.len()
            && let Some(end) = blank_line(bytes, self.at, true, TextFormat::JsonLines)
        {
            self.at = end;
        }
        if self.at >= bytes.len() {
            return Ok(false);
        }
        let start = self.at;
        let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |end| start + end);
        let row = self.row;
        self.at = end + 1;
        self.row += 1;
        keys.likely = 0;
        let mut refused = None;
        let mut reader = serde_json::Deserializer::from_str(&self.text[start..end]);
        let object = Object { keys, row, refused: &mut refused, visit };
        let outcome = object.deserialize(&mut reader).and_then(|()| reader.end());
        let site = || Site::default().at_row(row);
        let line = block.line_of(start);
        match (outcome, refused) {
            (Ok(()), _) => Ok(true),
            (Err(_), Some((column, why))) => Err(Error::data(site().in_column(column), format!("line {line}: {why}"))),
            (Err(error), None) => {
                let message = format!("line {line}: not a JSON object; JSON shards hold one object a line");
                Err(Error::unreadable(site(), message, error))
            }
        }
    }
}

/// One object under the reader.
struct Object<'k, F> {
    keys: &'k mut Keys,
    row: u64,
    /// The column at fault, and why.
    refused: &'k mut Option<(String, &'static str)>,
    visit: F,
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, F: FnMut(usize, Value<'de>)> DeserializeSeed<'de> for Object<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> std::result::Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de, F: FnMut(usize, Value<'de>)> Visitor<'de> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> std::result::Result<(), A::Error> {
        while let Some(Key(name)) = object.next_key()? {
            let value: &'de RawValue = object.next_value()?;
            let Some(at) = self.keys.meet(&name, self.row) else {
                *self.refused = Some((name.into_owned(), "the key stands twice in the object; rename one of the two"));
                return Err(A::Error::custom("duplicate key"));
            };
            let Some(value) = plain(value.get()) else {
                let why = "the value is nested; flatten it into plain columns, or leave it out";
                *self.refused = Some((name.into_owned(), why));
                return Err(A::Error::custom("nested value"));
            };
            (self.visit)(at, value);
        }
        Ok(())
    }
}

/// What a value is by its first byte; nothing for an object or an array.
fn plain(raw: &str) -> Option<Value<'_>> {
    match raw.as_bytes().first()? {
        b'{' | b'[' => None,
        b'n' => Some(Value::Null),
        b'"' if memchr(b'\\', raw.as_bytes()).is_some() => Some(Value::Escaped(raw)),
        b'"' => Some(Value::Plain(Kind::Quoted, &raw[1..raw.len() - 1])),
        _ => Some(Value::Plain(Kind::Bare, raw)),
    }
}
