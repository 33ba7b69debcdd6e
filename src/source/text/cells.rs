//! A block as a grid of cells: where each value's bytes are, and what kind of value a JSON cell is.

use std::borrow::Cow;
use std::fmt;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use hashbrown::HashMap;
use serde::de::{DeserializeSeed, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::types::{self, Kind};
use crate::error::{Error, Result, Site};

/// Rows of cells, all of the same number of columns.
pub struct Cells {
    data: Vec<u8>,
    /// Row by row: where each cell's bytes begin and end in `data`.
    spans: Vec<(u32, u32)>,
    /// Row by row, for JSON; CSV cells are all [`Kind::Any`].
    kinds: Vec<Kind>,
    columns: usize,
    rows: usize,
    /// Names that were not known before, behind those that were.
    pub new_names: Vec<String>,
}

impl Cells {
    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The bytes of a cell, unquoted.
    pub fn bytes(&self, row: usize, column: usize) -> &[u8] {
        let (start, end) = self.spans[row * self.columns + column];
        &self.data[start as usize..end as usize]
    }

    fn kind(&self, row: usize, column: usize) -> Kind {
        if self.kinds.is_empty() { Kind::Any } else { self.kinds[row * self.columns + column] }
    }

    /// The cells of a column, from row `skip` on.
    pub fn column(&self, column: usize, skip: usize) -> impl ExactSizeIterator<Item = (&[u8], Kind)> {
        (skip.min(self.rows)..self.rows).map(move |row| (self.bytes(row, column), self.kind(row, column)))
    }

    /// The narrowest type that holds a column's values from row `skip` on.
    pub fn observe(&self, column: usize, skip: usize) -> DataType {
        types::observe(self.column(column, skip))
    }

    /// A column's values as `data_type`, or the first row whose value does not fit it.
    ///
    /// # Errors
    /// [`Error::Data`] with the row when text is no UTF-8.
    pub fn parse(&self, column: usize, data_type: &DataType) -> Result<std::result::Result<ArrayRef, usize>> {
        types::parse(self.column(column, 0), data_type)
    }

    /// At most `most` records of CSV. `columns` is the number every record must have; the first record's by default.
    ///
    /// # Errors
    /// [`Error::Data`] with the row for a record of another length.
    pub fn delimited(block: &[u8], delimiter: u8, columns: Option<usize>, most: usize) -> Result<Self> {
        let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let mut cells = Self {
            data: vec![0; block.len()],
            spans: Vec::new(),
            kinds: Vec::new(),
            columns: columns.unwrap_or(0),
            rows: 0,
            new_names: Vec::new(),
        };
        let mut ends = vec![0; columns.unwrap_or(0).max(64) + 1];
        let (mut input, mut written, mut fields, mut record_start) = (block, 0, 0, 0);
        loop {
            let (outcome, read, wrote, ended) =
                reader.read_record(input, &mut cells.data[written..], &mut ends[fields..]);
            input = &input[read..];
            written += wrote;
            fields += ended;
            match outcome {
                // The end of the block ends its last record.
                csv_core::ReadRecordResult::InputEmpty => {}
                csv_core::ReadRecordResult::OutputFull => cells.data.resize(cells.data.len() * 2 + 64, 0),
                csv_core::ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
                csv_core::ReadRecordResult::End => break,
                csv_core::ReadRecordResult::Record => {
                    cells.add_record(&ends[..fields], record_start)?;
                    record_start = written;
                    fields = 0;
                    if cells.rows == most {
                        break;
                    }
                }
            }
        }
        Ok(cells)
    }

    fn add_record(&mut self, ends: &[usize], start: usize) -> Result<()> {
        if self.columns == 0 {
            self.columns = ends.len();
        }
        if ends.len() != self.columns {
            let message = format!(
                "the record has {} fields where {} are expected; a delimiter or quote may be missing",
                ends.len(),
                self.columns
            );
            return Err(Error::data(Site::default().at_row(self.rows as u64), message));
        }
        let mut from = start;
        self.spans.extend(ends.iter().map(|end| {
            let span = (from as u32, (start + end) as u32);
            from = start + end;
            span
        }));
        self.rows += 1;
        Ok(())
    }

    /// At most `most` JSON objects, one a line, with the columns `known` and those found besides.
    ///
    /// # Errors
    /// [`Error::Data`] with the row for a line that is no flat object.
    pub fn json_lines(block: &[u8], known: &[&str], most: usize) -> Result<Self> {
        let mut lines = Lines {
            names: known.iter().map(ToString::to_string).collect(),
            index: HashMap::new(),
            data: Vec::with_capacity(block.len()),
            rows: Vec::new(),
            next: 0,
        };
        lines.index.extend(known.iter().enumerate().map(|(at, name)| (name.to_string(), at)));
        for line in block.split(|byte| *byte == b'\n') {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if lines.rows.len() == most {
                break;
            }
            lines.add(line)?;
        }
        Ok(lines.finish(known.len()))
    }
}

/// JSON objects while they are read: for each row its cells by column, as far as the row has them.
struct Lines {
    names: Vec<String>,
    index: HashMap<String, usize>,
    data: Vec<u8>,
    rows: Vec<Vec<(usize, u32, u32, Kind)>>,
    /// The column expected next: objects mostly have their keys in the same order.
    next: usize,
}

impl Lines {
    fn add(&mut self, line: &[u8]) -> Result<()> {
        let row = self.rows.len() as u64;
        self.rows.push(Vec::with_capacity(self.names.len()));
        self.next = 0;
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let read = deserializer.deserialize_map(Object(self)).and_then(|problem| deserializer.end().map(|()| problem));
        match read {
            Ok(None) => Ok(()),
            Ok(Some(Problem { column, message })) => Err(Error::data(Site::column(column).at_row(row), message)),
            Err(e) => Err(Error::unreadable(Site::default().at_row(row), "the line is no JSON object", e)),
        }
    }

    fn column(&mut self, name: &str) -> usize {
        let at = match self.names.get(self.next) {
            Some(expected) if expected == name => self.next,
            _ => match self.index.get(name) {
                Some(at) => *at,
                None => {
                    self.names.push(name.to_string());
                    self.index.insert(name.to_string(), self.names.len() - 1);
                    self.names.len() - 1
                }
            },
        };
        self.next = at + 1;
        at
    }

    fn cell(&mut self, name: &str, value: &str) -> std::result::Result<(), &'static str> {
        let at = self.column(name);
        let kind = match value.as_bytes().first() {
            Some(b'"') => Kind::Text,
            Some(b'n') => Kind::Missing,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'{') => return Err("holds a nested object; flatten it into plain columns"),
            Some(b'[') => return Err("holds an array; flatten it into plain columns"),
            _ => Kind::Number,
        };
        let start = self.data.len() as u32;
        if kind == Kind::Text {
            let text: Cow<'_, str> = serde_json::from_str(value)
                .map(|Unescaped(text)| text)
                .map_err(|_| "holds a text that is no JSON string")?;
            self.data.extend_from_slice(text.as_bytes());
        } else if kind != Kind::Missing {
            self.data.extend_from_slice(value.as_bytes());
        }
        let Some(row) = self.rows.last_mut() else { return Ok(()) };
        // Keys in the usual order need no look back.
        if row.last().is_some_and(|last| last.0 >= at) && row.iter().any(|cell| cell.0 == at) {
            return Err("stands twice in one object");
        }
        row.push((at, start, self.data.len() as u32, kind));
        Ok(())
    }

    fn finish(self, known: usize) -> Cells {
        let (columns, rows) = (self.names.len(), self.rows.len());
        let mut spans = vec![(0, 0); columns * rows];
        let mut kinds = vec![Kind::Missing; columns * rows];
        for (row, cells) in self.rows.into_iter().enumerate() {
            for (at, start, end, kind) in cells {
                spans[row * columns + at] = (start, end);
                kinds[row * columns + at] = kind;
            }
        }
        Cells { data: self.data, spans, kinds, columns, rows, new_names: self.names.into_iter().skip(known).collect() }
    }
}

#[derive(serde::Deserialize)]
struct Unescaped<'a>(#[serde(borrow)] Cow<'a, str>);

struct Problem {
    column: String,
    message: &'static str,
}

struct Object<'a>(&'a mut Lines);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Option<Problem>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut problem = None;
        while let Some(name) = map.next_key_seed(Name)? {
            let value: &RawValue = map.next_value()?;
            if let Err(message) = self.0.cell(&name, value.get()) {
                problem.get_or_insert(Problem { column: name.into_owned(), message });
            }
        }
        Ok(problem)
    }
}

/// A key, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        <Unescaped<'de> as serde::Deserialize>::deserialize(deserializer).map(|Unescaped(name)| name)
    }
}
