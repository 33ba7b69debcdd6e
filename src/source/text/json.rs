//! The objects of JSON shards. Values are found, not interpreted: a number keeps its digits until the column's type is
//! known. Objects within objects are flattened, `{"a":{"b":1}}` to column `a.b`; lists are refused by name.

use std::borrow::Cow;
use std::fmt;

use arrow::datatypes::DataType;
use hashbrown::HashMap;
use memchr::memchr;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cells::Kind;
use super::skip::Fault;
use super::split::blank_line;
use super::{TextFormat, column, elements, flat};

/// Objects within one another at the most.
const MOST_NESTED: usize = 64;

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
    /// The names of the objects that the next key is in, each with a point behind it.
    prefix: String,
    depth: usize,
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
        self.prefix.clear();
        self.depth = 0;
    }

    /// Begins the object that is the value of key `name`; what [`Keys::leave`] takes to end it. Nothing when that is too
    /// deep.
    pub(super) fn enter(&mut self, name: &str) -> Option<usize> {
        let outer = self.prefix.len();
        self.depth += 1;
        self.prefix.push_str(name);
        self.prefix.push('.');
        (self.depth <= MOST_NESTED).then_some(outer)
    }

    /// Ends the object that is the value of a key.
    pub(super) fn leave(&mut self, outer: usize) {
        self.depth -= 1;
        self.prefix.truncate(outer);
    }

    /// The key that follows the last one in most objects, with its position, if its name needs no escapes.
    #[inline]
    pub(super) fn likely(&self) -> Option<(usize, &str)> {
        let name = self.names.get(self.likely).filter(|_| self.plain[self.likely])?;
        let own = if self.prefix.is_empty() { name } else { name.strip_prefix(&*self.prefix)? };
        Some((self.likely, own))
    }

    /// Number of names that are known.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name at a position.
    pub(super) fn name(&self, at: usize) -> &str {
        &self.names[at]
    }

    /// Forgets all but the first `len` names.
    pub(super) fn truncate(&mut self, len: usize) {
        for name in self.names.drain(len..) {
            self.positions.remove(&name);
        }
        self.plain.truncate(len);
        self.last_met.truncate(len);
    }

    /// As [`Keys::meet`], of a key in the object that was entered last.
    #[inline]
    pub(super) fn meet_within(&mut self, key: &str) -> Option<usize> {
        if self.prefix.is_empty() {
            return self.meet(key);
        }
        let mut name = std::mem::take(&mut self.prefix);
        let outer = name.len();
        name.push_str(key);
        let met = self.meet(&name);
        name.truncate(outer);
        self.prefix = name;
        met
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
    /// Whether it can be read as `data_type`, which the recipe sets.
    pub(super) fn fits(self, data_type: &DataType) -> bool {
        match self {
            Self::Null => true,
            Self::Plain(kind, text) => column::fits(data_type, kind, text.as_bytes()),
            Self::Escaped(text) => column::fits(data_type, Kind::Quoted, Self::unescaped(text).as_bytes()),
        }
    }

    /// The text of an escaped string, quotes and escapes undone.
    pub(super) fn unescaped(escaped: &str) -> String {
        // The text has been parsed once, escapes and all, but for lone surrogates: those alone can fail here.
        serde_json::from_str(escaped).unwrap_or_else(|_| escaped.trim_matches('"').to_string())
    }
}

/// Walks the objects of one block.
pub(super) struct Objects<'a> {
    text: &'a str,
    format: TextFormat,
    at: usize,
    record: u64,
}

impl<'a> Objects<'a> {
    /// The objects of a block's text.
    pub(super) fn new(text: &'a str, format: TextFormat) -> Self {
        Self { text, format, at: 0, record: 0 }
    }

    /// Where the next object starts, blanks before it passed over; nothing when there is none left.
    pub(super) fn start(&mut self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        if self.format == TextFormat::JsonLines {
            while self.at < bytes.len()
                && let Some(end) = blank_line(bytes, self.at, true, TextFormat::JsonLines)
            {
                self.at = end;
            }
            (self.at < bytes.len()).then_some(self.at)
        } else {
            self.at = elements::next(bytes, self.at, self.format == TextFormat::JsonArray).unwrap_or(bytes.len());
            (self.at < bytes.len()).then_some(self.at)
        }
    }

    /// Number within the block of the next object.
    pub(super) fn record(&self) -> u64 {
        self.record
    }

    /// Passes over the object at `start`; its text.
    pub(super) fn pass(&mut self, start: usize) -> &'a str {
        let bytes = self.text.as_bytes();
        let end = if self.format == TextFormat::JsonLines {
            let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |end| start + end);
            self.at = end + 1;
            end
        } else {
            self.at = elements::end_of(bytes, start).unwrap_or(bytes.len());
            self.at
        };
        self.record += 1;
        &self.text[start..end]
    }

    /// Hands position and value of every key of the next object to `visit`; false when there is no object left. After a
    /// fault it goes on behind the object.
    ///
    /// # Errors
    /// With the column where one is at fault: no object, no JSON, a key that stands twice, a list.
    pub(super) fn read(&mut self, keys: &mut Keys, mut visit: impl FnMut(usize, Value<'a>)) -> Result<bool, Fault> {
        let Some(start) = self.start() else { return Ok(false) };
        let record = self.record;
        keys.begin();
        let object = if self.format == TextFormat::JsonLines {
            let line = self.pass(start);
            if flat::object(line, keys, &mut visit).is_some_and(|end| flat::ends(line, end)) {
                return Ok(true);
            }
            line
        } else {
            if let Some(length) = flat::object(&self.text[start..], keys, &mut visit) {
                self.at = start + length;
                self.record += 1;
                return Ok(true);
            }
            self.pass(start)
        };
        let fault = |column, message, source| Fault { at: start, record, column, message, source };
        match parse(object, keys, &mut visit) {
            Ok(()) => Ok(true),
            Err((_, Some((column, why)))) => Err(fault(Some(column), why, None)),
            Err((error, None)) => {
                let what = match self.format {
                    TextFormat::JsonLines => {
                        "not a JSON object; JSON shards hold one object a line, or an array of them"
                    }
                    _ => "not a JSON object",
                };
                Err(fault(None, what.into(), Some(error)))
            }
        }
    }
}

/// The column at fault, and why.
type Refusal = (String, String);

/// The plain way through an object, that knows all of JSON: hands position and value of every key to `visit`.
pub(super) fn parse<'a>(
    object: &'a str,
    keys: &mut Keys,
    visit: &mut impl FnMut(usize, Value<'a>),
) -> Result<(), (serde_json::Error, Option<Refusal>)> {
    keys.begin();
    let (mut refused, mut dotted) = (None, Vec::new());
    let mut reader = serde_json::Deserializer::from_str(object);
    let object = Object { keys, refused: &mut refused, dotted: &mut dotted, visit };
    object.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|error| (error, refused))
}

/// One object under the reader.
struct Object<'k, F> {
    keys: &'k mut Keys,
    refused: &'k mut Option<Refusal>,
    /// Of the keys met whose names have a point: position, and how much of the name is those of objects around it.
    dotted: &'k mut Vec<(usize, usize)>,
    visit: &'k mut F,
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, F: FnMut(usize, Value<'de>)> DeserializeSeed<'de> for Object<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de, F: FnMut(usize, Value<'de>)> Visitor<'de> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(Key(name)) = object.next_key()? {
            let value: &'de RawValue = object.next_value()?;
            match plain(value.get()) {
                Some(value) => self.value(&name, value)?,
                None if value.get().starts_with('{') => {
                    let Some(outer) = self.keys.enter(&name) else {
                        let why = format!("objects lie within one another more than {MOST_NESTED} deep; leave it out");
                        return Err(self.refuse(name.into_owned(), why));
                    };
                    let Self { keys, refused, dotted, visit } = &mut self;
                    serde_json::Deserializer::from_str(value.get())
                        .deserialize_map(Object { keys, refused, dotted, visit: *visit })
                        .map_err(A::Error::custom)?;
                    self.keys.leave(outer);
                }
                None => {
                    let why = "the value is a list; make plain columns of it, or leave it out";
                    return Err(self.refuse(format!("{}{name}", self.keys.prefix), why.into()));
                }
            }
        }
        Ok(())
    }
}

impl<F> Object<'_, F> {
    fn value<'de, E: serde::de::Error>(&mut self, key: &str, value: Value<'de>) -> Result<(), E>
    where
        F: FnMut(usize, Value<'de>),
    {
        let outer = self.keys.prefix.len();
        let Some(at) = self.keys.meet_within(key) else {
            let name = format!("{}{key}", self.keys.prefix);
            let at = self.keys.positions.get(&name);
            let before = self.dotted.iter().find(|(met, _)| at == Some(met)).map_or(0, |(_, outer)| *outer);
            let why = if before == outer {
                "the key stands twice in the object; rename one of the two".to_string()
            } else {
                format!(
                    "{} and {} would be one column; rename one of the two",
                    spelt(&name, before),
                    spelt(&name, outer)
                )
            };
            return Err(self.refuse(name, why));
        };
        if self.keys.names[at].contains('.') {
            self.dotted.push((at, outer));
        }
        (self.visit)(at, value);
        Ok(())
    }

    fn refuse<E: serde::de::Error>(&mut self, column: String, why: String) -> E {
        *self.refused = Some((column, why));
        E::custom("refused")
    }
}

/// A column's name as the keys stand whose first `outer` bytes are names of objects around the last.
fn spelt(name: &str, outer: usize) -> String {
    match outer {
        0 => format!("the key `{name}`"),
        _ => format!("the key `{}` within `{}`", &name[outer..], &name[..outer - 1]),
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
