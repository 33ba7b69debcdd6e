//! JSON lines: one flat object a line. Values are found, not interpreted: a number keeps its digits until the column's
//! type is known. Nested values are refused by name.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;
use memchr::memchr;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cells::Kind;
use super::split::{Block, blank_line};
use super::{TextFormat, flat};
use crate::error::{Error, Result, Site};

/// Names to positions; keys in the order of the last object are found without hashing.
#[derive(Clone, Default)]
pub(super) struct Keys {
    names: Vec<String>,
    positions: HashMap<String, usize>,
    /// Whether the name stands in an object as it is, without escapes.
    plain: Vec<bool>,
    /// The last reading of an object that met the key.
    last_met: Vec<u64>,
    /// Readings of objects so far.
    readings: u64,
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
        self.names.into_iter().zip(self.last_met).filter(|(_, reading)| *reading > 0).map(|(name, _)| name)
    }

    /// Begins an object, or one again: no key was met in it.
    pub(super) fn begin(&mut self) {
        self.readings += 1;
        self.likely = 0;
    }

    /// The key that follows the last one in most objects, with its position, if its name needs no escapes.
    #[inline]
    pub(super) fn likely(&self) -> Option<(usize, &str)> {
        let name = self.names.get(self.likely).filter(|_| self.plain[self.likely])?;
        Some((self.likely, name))
    }

    fn add(&mut self, name: &str) -> usize {
        let at = self.names.len();
        self.positions.insert(name.to_string(), at);
        self.names.push(name.to_string());
        self.plain.push(!name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)));
        self.last_met.push(0);
        at
    }

    /// Position of `name`, a new one where it is not known; nothing when the object had it before.
    pub(super) fn meet(&mut self, name: &str) -> Option<usize> {
        let at = match self.names.get(self.likely) {
            Some(likely) if likely == name => self.likely,
            _ => self.positions.get(name).copied().unwrap_or_else(|| self.add(name)),
        };
        self.meet_at(at)
    }

    /// As [`Keys::meet`], of the key at a position.
    #[inline]
    pub(super) fn meet_at(&mut self, at: usize) -> Option<usize> {
        self.likely = at + 1;
        let before = std::mem::replace(&mut self.last_met[at], self.readings);
        (before != self.readings).then_some(at)
    }
}

/// One value of an object.
#[derive(Debug, Clone, Copy)]
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
    pub(super) fn read(
        &mut self,
        block: &Block,
        keys: &mut Keys,
        mut visit: impl FnMut(usize, Value<'a>),
    ) -> Result<bool> {
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
        let line = &self.text[start..end];
        keys.begin();
        if flat::object(line, keys, &mut visit) {
            return Ok(true);
        }
        let outcome = parse(line, keys, &mut visit);
        let site = || Site::default().at_row(row);
        // Counted for errors alone: it takes a look at the whole block.
        let line = || block.line_of(start);
        match outcome {
            Ok(()) => Ok(true),
            Err((_, Some((column, why)))) => {
                Err(Error::data(site().in_column(column), format!("line {}: {why}", line())))
            }
            Err((error, None)) => {
                let message = format!("line {}: not a JSON object; JSON shards hold one object a line", line());
                Err(Error::unreadable(site(), message, error))
            }
        }
    }
}

/// The column at fault, and why.
type Refusal = (String, &'static str);

/// The plain way through an object, that knows all of JSON: hands position and value of every key to `visit`.
pub(super) fn parse<'a>(
    line: &'a str,
    keys: &mut Keys,
    visit: &mut impl FnMut(usize, Value<'a>),
) -> std::result::Result<(), (serde_json::Error, Option<Refusal>)> {
    keys.begin();
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(line);
    let object = Object { keys, refused: &mut refused, visit };
    object.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|error| (error, refused))
}

/// One object under the reader.
struct Object<'k, F> {
    keys: &'k mut Keys,
    refused: &'k mut Option<Refusal>,
    visit: &'k mut F,
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

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<(), A::Error> {
        while let Some(Key(name)) = object.next_key()? {
            let value: &'de RawValue = object.next_value()?;
            let Some(at) = self.keys.meet(&name) else {
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
