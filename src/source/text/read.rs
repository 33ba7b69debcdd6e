//! Reads a block under wanted types. Records are found some at a time, so that they are still in cache when each column
//! takes its fields from them in one loop of its own.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use hashbrown::{HashMap, HashSet};

use super::cells::{Cells, Kind};
use super::column::{self, Column};
use super::delimited::Records;
use super::json::{Keys, Objects, Value};
use super::observe::{Observed, text_of};
use super::skip::{BadRows, Fault, Skipped, Skips};
use super::split::Block;
use super::{Parsed, TextFormat, TextShard, Wanted};
use crate::error::{Error, Result, Site};
use crate::schema::ShardFields;

/// Fields found at once: with their text, what a core's second cache holds.
const FIELDS_AT_ONCE: usize = 16 << 10;

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
        let message = column::misfit(field, &wanted.data_type);
        Error::data(Site::column(&wanted.name).at_row(self.first_row + (self.rows + row) as u64), message)
    }

    /// The batch, or the wider types of the columns that `observe` shows to need them.
    fn finish(
        self,
        observe: impl FnOnce() -> Result<Observed>,
        new_columns: ShardFields,
        (skipped, untold): (Vec<Skipped>, u64),
    ) -> Result<Parsed> {
        if !self.misfits.is_empty() {
            let widened = self.widened(&observe()?);
            return Ok(Parsed { batch: None, widened, new_columns, skipped, untold });
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
        Ok(Parsed { batch: Some(batch), widened: Vec::new(), new_columns, skipped, untold })
    }

    fn widened(&self, observed: &Observed) -> Vec<(usize, DataType)> {
        let mut widened = Vec::new();
        let by_name = observed.by_name();
        for (at, wanted) in self.wanted.iter().enumerate().filter(|(_, wanted)| !wanted.forced) {
            let Some(seen) = by_name.get(wanted.name.as_str()) else { continue };
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
    /// Where bad rows are not skipped, [`Error::Data`] with row, line and column as far as they apply: a record with
    /// another number of fields, invalid UTF-8, an object that is none, holds a list or has a key twice, a value that does
    /// not fit a forced type.
    pub fn parse(&self, block: &Block, wanted: &[Wanted]) -> Result<Parsed> {
        let (decoded, broken) = self.decoded(block)?;
        let mut parsed = match self.format {
            TextFormat::Delimited { delimiter } => self.parse_delimited(&decoded, delimiter, wanted, broken),
            _ => self.parse_json(&decoded, wanted, broken),
        }?;
        parsed.skipped.extend(block.unread.clone());
        Ok(parsed)
    }

    /// Appends the next record of `block` that is not skipped to `cells`, or passes over one that is; false when there is
    /// none. `record` is its number within the block.
    #[inline]
    pub(super) fn next_record<'a>(
        &self,
        records: &mut Records<'a>,
        cells: &mut Cells<'a>,
        record: u64,
        skips: Option<&mut Skips<'_>>,
    ) -> std::result::Result<bool, Fault> {
        let Some(skips) = skips else {
            return records.read(cells).map_err(|wrong| self.wrong_width(record, &wrong));
        };
        match records.read(cells) {
            Ok(false) => return Ok(false),
            Ok(true) => {
                let start = records.start();
                if skips.is_broken(record, start) || skips.has_misfit(cells, record, start) {
                    cells.drop_row();
                }
            }
            Err(wrong) => {
                if !skips.is_broken(record, wrong.at) {
                    skips.skip(self.wrong_width(record, &wrong));
                }
            }
        }
        Ok(true)
    }

    /// The columns whose type the recipe sets: those that are wanted, and where bad rows are skipped the others too, for which
    /// rows are skipped must not depend on what is wanted of them.
    fn judged(&self, wanted: &[Wanted]) -> Vec<(String, DataType)> {
        let mut judged: Vec<(String, DataType)> =
            wanted.iter().filter(|one| one.forced).map(|one| (one.name.clone(), one.data_type.clone())).collect();
        if self.options.bad_rows == BadRows::Skip {
            let names: HashSet<&str> = wanted.iter().map(|one| one.name.as_str()).collect();
            judged.extend(self.options.forced.iter().filter(|(name, _)| !names.contains(name.as_str())).cloned());
        }
        judged
    }

    fn parse_delimited(&self, block: &Block, delimiter: u8, wanted: &[Wanted], broken: Vec<Fault>) -> Result<Parsed> {
        let positions: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let position = |at: usize| positions.get(wanted[at].name.as_str()).copied();
        let mut reading = Reading::new(wanted, block, position);
        let mut skips = self.skips(block, broken, || {
            let at = |(name, set): (String, DataType)| Some((*positions.get(name.as_str())?, set, name));
            self.judged(wanted).into_iter().filter_map(at).collect()
        });
        let mut records = Records::new(&block.bytes, delimiter, self.options.null_values.as_ref());
        let mut cells = Cells::new(&block.bytes, self.names.len());
        let at_once = records_at_once(self.names.len());
        let (mut more, mut record) = (true, 0);
        while more {
            cells.clear();
            let mut wrong = None;
            while more && wrong.is_none() && (cells.rows() as u64) < at_once {
                match self.next_record(&mut records, &mut cells, record, skips.as_mut()) {
                    Ok(found) => more = found,
                    Err(fault) => wrong = Some(fault),
                }
                record += 1;
            }
            // Values of the rows before a wrong one are judged first: the first row at fault is the one named.
            let go_on = reading.append(&cells)?;
            if let Some(wrong) = wrong {
                return Err(wrong.error(block));
            }
            // What is skipped is to be told whole.
            more &= go_on || skips.is_some();
        }
        let skipped = skips.map(Skips::finish).unwrap_or_default();
        reading.finish(|| self.observe_rows(block, u64::MAX, &self.judged(wanted)), Vec::new(), skipped)
    }

    fn parse_json(&self, block: &Block, wanted: &[Wanted], broken: Vec<Fault>) -> Result<Parsed> {
        let text = text_of(block)?;
        let judged = self.judged(wanted);
        let mut held: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        let mut names: HashSet<&str> = held.iter().copied().collect();
        held.extend(judged.iter().map(|(name, _)| name.as_str()).filter(|name| names.insert(name)));
        let width = held.len();
        let others = self.names.iter().map(String::as_str).filter(|name| !names.contains(name));
        let mut keys = Keys::new(held.iter().copied().chain(others));
        let mut reading = Reading::new(wanted, block, Some);
        let mut skips = self.skips(block, broken, || {
            let positions: HashMap<&str, usize> = held.iter().copied().zip(0..).collect();
            let at =
                |(name, set): &(String, DataType)| Some((*positions.get(name.as_str())?, set.clone(), name.clone()));
            judged.iter().filter_map(at).collect()
        });
        let mut objects = Objects::new(text, self.format);
        let mut cells = Cells::new(text.as_bytes(), width);
        let at_once = records_at_once(width);
        let mut more = true;
        while more {
            cells.clear();
            let mut wrong = None;
            while more && wrong.is_none() && (cells.rows() as u64) < at_once {
                match next_object(&mut objects, &mut keys, &mut cells, width, skips.as_mut()) {
                    Ok(found) => more = found,
                    Err(fault) => wrong = Some(fault),
                }
            }
            let go_on = reading.append(&cells)?;
            if let Some(wrong) = wrong {
                return Err(wrong.error(block));
            }
            more &= go_on || skips.is_some();
        }
        let skipped = skips.map(Skips::finish).unwrap_or_default();
        let observe = || self.observe_rows(block, u64::MAX, &self.judged(wanted));
        let own: HashSet<&str> = self.names.iter().map(String::as_str).collect();
        // Those met in skipped objects alone are not seen; the others come as they first stood, wanted or not.
        let has_new = keys.into_met().any(|name| !own.contains(name.as_str()));
        let new_columns = if has_new { observe()?.fields().split_off(self.names.len()) } else { Vec::new() };
        reading.finish(observe, new_columns, skipped)
    }
}

/// Reads the next object into a row of `cells`, which has the first `width` keys, or passes over one that is skipped; false
/// when there is none.
#[inline]
fn next_object<'a>(
    objects: &mut Objects<'a>,
    keys: &mut Keys,
    cells: &mut Cells<'a>,
    width: usize,
    skips: Option<&mut Skips<'_>>,
) -> std::result::Result<bool, Fault> {
    cells.begin_missing_row();
    let Some(skips) = skips else {
        let found = objects.read(keys, |column, value| {
            if column < width {
                set(cells, column, value);
            }
        })?;
        if found {
            cells.end_missing_row();
        }
        return Ok(found);
    };
    let (record, known) = (objects.record(), keys.len());
    let Some(start) = objects.start() else { return Ok(false) };
    if skips.is_broken(record, start) {
        objects.pass(start);
        return Ok(true);
    }
    let found = objects.read(keys, |column, value| {
        if column < width {
            set(cells, column, value);
        }
    });
    match found {
        Ok(_) => {
            cells.end_missing_row();
            if skips.has_misfit(cells, record, start) {
                cells.drop_row();
                keys.truncate(known);
            }
        }
        Err(fault) => {
            keys.truncate(known);
            skips.skip(fault);
        }
    }
    Ok(true)
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
