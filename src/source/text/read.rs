//! Reads a block under wanted types. Records are found some at a time, so that they are still in cache when each column
//! takes its fields from them in one loop of its own.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use hashbrown::{HashMap, HashSet};

use super::cells::{Cells, Kind};
use super::column::Column;
use super::delimited::Records;
use super::json::{Keys, Objects, Value};
use super::observe::Observed;
use super::split::Block;
use super::{Parsed, TextFormat, TextShard, Wanted};
use crate::error::{Error, Result, Site};
use crate::schema::ShardFields;

/// Fields found at once: with their text, what a core's second cache holds.
const FIELDS_AT_ONCE: usize = 16 << 10;
/// Characters of a value that an error shows.
const SHOWN_CHARS: usize = 60;

/// Records of `width` fields that are found before their columns are read.
pub(super) fn records_at_once(width: usize) -> u64 {
    (FIELDS_AT_ONCE / width.max(1)).max(1) as u64
}

/// Wanted columns under construction.
struct Reading<'w> {
    wanted: &'w [Wanted],
    /// With the position of its fields; none for a column the shard lacks.
    columns: Vec<Option<(usize, Column)>>,
    /// Positions in `wanted` of the columns that must widen.
    misfits: Vec<usize>,
    first_row: u64,
    rows: usize,
}

impl<'w> Reading<'w> {
    fn new(wanted: &'w [Wanted], block: &Block, source: impl Fn(usize) -> Option<usize>) -> Self {
        let column = |at: usize| {
            source(at).map(|from| (from, Column::new(&wanted[at].data_type, wanted[at].forced, block.rows as usize)))
        };
        Self {
            wanted,
            columns: (0..wanted.len()).map(column).collect(),
            misfits: Vec::new(),
            first_row: block.first_row,
            rows: 0,
        }
    }

    /// Appends the rows of `cells`; false when a column must widen, and the block is not worth reading on.
    fn append(&mut self, cells: &Cells<'_>) -> Result<bool> {
        let mut refused: Option<(usize, usize, usize)> = None;
        for (at, (from, column)) in
            self.columns.iter_mut().enumerate().filter_map(|(at, column)| Some((at, column.as_mut()?)))
        {
            let Err(row) = column.append(cells, *from) else { continue };
            if !self.wanted[at].forced {
                self.misfits.push(at);
            } else if refused.is_none_or(|(first, ..)| row < first) {
                refused = Some((row, at, *from));
            }
        }
        if let Some((row, at, from)) = refused {
            return Err(self.refusal(cells, row, at, from));
        }
        self.rows += cells.rows();
        Ok(self.misfits.is_empty())
    }

    fn refusal(&self, cells: &Cells<'_>, row: usize, at: usize, from: usize) -> Error {
        let wanted = &self.wanted[at];
        let field = cells.column(from).nth(row).map_or(&b""[..], |(_, field)| field);
        let text = String::from_utf8_lossy(field);
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        let message = format!(
            "`{shown}{more}` is no {}; correct it, or change the column's type in input.schema",
            wanted.data_type
        );
        Error::data(Site::column(&wanted.name).at_row(self.first_row + (self.rows + row) as u64), message)
    }

    /// The batch, or the wider types of the columns that `observe` shows to need them.
    fn finish(self, observe: impl FnOnce() -> Result<Observed>, new_columns: ShardFields) -> Result<Parsed> {
        if !self.misfits.is_empty() {
            let widened = self.widened(&observe()?);
            return Ok(Parsed { batch: None, widened, new_columns });
        }
        let rows = self.rows;
        let fields = self.wanted.iter().map(|wanted| Field::new(&wanted.name, wanted.data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let finish = |(wanted, column): (&Wanted, Option<(usize, Column)>)| match column {
            Some((_, column)) => column.finish(),
            None => Ok(new_null_array(&wanted.data_type, rows)),
        };
        let arrays: Vec<ArrayRef> = self.wanted.iter().zip(self.columns).map(finish).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options)
            .map_err(|e| Error::failed("putting a block's columns together", e))?;
        Ok(Parsed { batch: Some(batch), widened: Vec::new(), new_columns })
    }

    fn widened(&self, observed: &Observed) -> Vec<(usize, DataType)> {
        let mut widened = Vec::new();
        for (at, wanted) in self.wanted.iter().enumerate().filter(|(_, wanted)| !wanted.forced) {
            let Some(seen) = observed.of(&wanted.name) else { continue };
            match seen.widen(&wanted.data_type) {
                // A type that text cannot write, such as a zone of its own: only text is sure to be wider.
                same if same == wanted.data_type && self.misfits.contains(&at) => widened.push((at, DataType::Utf8)),
                same if same == wanted.data_type => {}
                wider => widened.push((at, wider)),
            }
        }
        widened
    }
}

impl TextShard {
    /// Reads `block` for the columns `wanted`. Depends on nothing but its arguments, and on no other block.
    ///
    /// # Errors
    /// [`Error::Data`] with row, line and column as far as they apply: a record with another number of fields, invalid
    /// UTF-8, an object that is none or nested or has a key twice, a value that does not fit a forced type.
    pub fn parse(&self, block: &Block, wanted: &[Wanted]) -> Result<Parsed> {
        let text = self.text(block)?;
        match self.options.format {
            TextFormat::Delimited { delimiter } => self.parse_delimited(block, delimiter, wanted),
            TextFormat::JsonLines => self.parse_json(block, text, wanted),
        }
    }

    fn parse_delimited(&self, block: &Block, delimiter: u8, wanted: &[Wanted]) -> Result<Parsed> {
        let positions: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let mut reading = Reading::new(wanted, block, |at| positions.get(wanted[at].name.as_str()).copied());
        let mut records = Records::new(&block.bytes, delimiter);
        let mut cells = Cells::new(&block.bytes, self.names.len());
        let at_once = records_at_once(self.names.len());
        let mut more = true;
        while more {
            cells.clear();
            let mut wrong = None;
            while more && wrong.is_none() && (cells.rows() as u64) < at_once {
                match records.read(&mut cells) {
                    Ok(found) => more = found,
                    Err(width) => wrong = Some(width),
                }
            }
            // Values of the rows before a wrong one are judged first: the first row at fault is the one named.
            more &= reading.append(&cells)?;
            if let Some(wrong) = wrong {
                return Err(self.wrong_width(block, block.first_row + reading.rows as u64, &wrong));
            }
        }
        reading.finish(|| self.observe(block), Vec::new())
    }

    fn parse_json(&self, block: &Block, text: &str, wanted: &[Wanted]) -> Result<Parsed> {
        let names: HashSet<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        let others = self.names.iter().map(String::as_str).filter(|name| !names.contains(name));
        let mut keys = Keys::new(wanted.iter().map(|wanted| wanted.name.as_str()).chain(others));
        let mut reading = Reading::new(wanted, block, Some);
        let mut objects = Objects::new(text, block.first_row);
        let mut cells = Cells::new(text.as_bytes(), wanted.len());
        let at_once = records_at_once(wanted.len());
        let mut more = true;
        while more {
            cells.clear();
            let mut wrong = None;
            while more && wrong.is_none() && (cells.rows() as u64) < at_once {
                cells.begin_missing_row();
                let found = objects.read(block, &mut keys, |column, value| {
                    if column < wanted.len() {
                        set(&mut cells, column, value);
                    }
                });
                match found {
                    Ok(true) => cells.end_missing_row(),
                    Ok(false) => more = false,
                    Err(error) => wrong = Some(error),
                }
            }
            more &= reading.append(&cells)?;
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
        }
        let own: HashSet<&str> = self.names.iter().map(String::as_str).collect();
        let new_names: Vec<String> = keys.into_met().filter(|name| !own.contains(name.as_str())).collect();
        let new_columns = if new_names.is_empty() {
            Vec::new()
        } else {
            let observed = self.observe(block)?;
            new_names
                .into_iter()
                .map(|name| observed.of(&name).map(|seen| (name, seen.data_type())))
                .collect::<Option<_>>()
                .unwrap_or_default()
        };
        reading.finish(|| self.observe(block), new_columns)
    }
}

fn set<'a>(cells: &mut Cells<'a>, column: usize, value: Value<'a>) {
    match value {
        Value::Null => {}
        Value::Plain(kind, text) => cells.set(column, kind, text.as_bytes()),
        Value::Escaped(text) => {
            cells.set_unescaped(column, Kind::Quoted, |field| {
                field.extend_from_slice(Value::unescaped(text).as_bytes());
            });
        }
    }
}
