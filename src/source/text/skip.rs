//! Records that cannot be read: what is told of them, and how a reader goes on behind them where the recipe skips them.
//! Whether a record is skipped depends on it alone, so neither blocks nor threads show in what is left out.

use arrow::datatypes::DataType;
use memchr::memchr;
use serde::{Deserialize, Serialize};

use super::TextFormat;
use super::cells::Cells;
use super::column;
use super::elements;
use super::split::Block;
use crate::error::{Error, Site};

/// What becomes of records that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BadRows {
    /// The first one is an error.
    #[default]
    Raise,
    /// They are left out and told of.
    Skip,
}

/// A record that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its number within the shard, from 0, among all records, read or skipped; a header is none.
    pub record: u64,
    /// Line of the file, from 1, that it starts on.
    pub line: u64,
    /// The column at fault, where it is one.
    pub column: Option<String>,
    /// Why, and what to do about it.
    pub message: String,
}

impl Skipped {
    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.message.len() + self.column.as_ref().map_or(0, String::len)
    }
}

/// Records of a shard that are told one by one; of more only the number is.
pub const MOST_TOLD: usize = 100_000;

/// Why a record cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where in the block the record starts.
    pub(super) at: usize,
    /// Its number within the block.
    pub(super) record: u64,
    pub(super) column: Option<String>,
    pub(super) message: String,
    pub(super) source: Option<serde_json::Error>,
}

impl Fault {
    /// The fault as an error.
    pub(super) fn error(self, block: &Block) -> Error {
        // Counted for errors alone: it takes a look at the whole block.
        let message = format!("line {}: {}", block.line_of(self.at), self.message);
        let site = Site { shard: None, row: Some(block.first_row + self.record), column: self.column };
        Error::Data { site, message, source: self.source.map(Into::into) }
    }
}

/// The records of one block that are left out.
pub(super) struct Skips<'b> {
    block: &'b Block,
    /// Position of the fields, type and name of the columns whose type the recipe sets.
    forced: Vec<(usize, DataType, String)>,
    /// Records that are no UTF-8, in order.
    broken: std::iter::Peekable<std::vec::IntoIter<Fault>>,
    /// A place whose line is known.
    known: (usize, u64),
    skipped: Vec<Skipped>,
    /// How many more there are.
    untold: u64,
}

impl<'b> Skips<'b> {
    pub(super) fn new(block: &'b Block, forced: Vec<(usize, DataType, String)>, broken: Vec<Fault>) -> Self {
        let known = (0, block.first_line);
        Self { block, forced, broken: broken.into_iter().peekable(), known, skipped: Vec::new(), untold: 0 }
    }

    /// Leaves out the record at fault.
    pub(super) fn skip(&mut self, fault: Fault) {
        if self.skipped.len() == MOST_TOLD {
            self.untold += 1;
            return;
        }
        let (at, line) = self.known;
        let line =
            if fault.at >= at { line + self.block.lines_between(at, fault.at) } else { self.block.line_of(fault.at) };
        self.known = (fault.at, line);
        let record = self.block.first_row + fault.record;
        self.skipped.push(Skipped { record, line, column: fault.column, message: fault.message });
    }

    /// Whether record `record` of the block, at `at`, is no UTF-8, and then leaves it out. To be asked of every record in
    /// turn.
    pub(super) fn is_broken(&mut self, record: u64, at: usize) -> bool {
        match self.broken.next_if(|fault| fault.record == record) {
            Some(fault) => {
                // Its own place is in the bytes as they were before they were decoded.
                self.skip(Fault { at, ..fault });
                true
            }
            None => false,
        }
    }

    /// Whether the last row of `cells`, which is record `record` at `at`, has a value that does not fit a type that the
    /// recipe sets, and then leaves it out.
    pub(super) fn has_misfit(&mut self, cells: &Cells<'_>, record: u64, at: usize) -> bool {
        let misfits = |(from, data_type, _): &&(usize, DataType, String)| {
            let (kind, field) = cells.last(*from);
            !column::fits(data_type, kind, field)
        };
        let Some((from, data_type, name)) = self.forced.iter().find(misfits) else { return false };
        let message = column::misfit(cells.last(*from).1, data_type);
        self.skip(Fault { at, record, column: Some(name.clone()), message, source: None });
        true
    }

    /// What was left out, in the order of the records, and how much more.
    pub(super) fn finish(self) -> (Vec<Skipped>, u64) {
        (self.skipped, self.untold)
    }
}

/// Follows a record that is too long to be held, or that never ends, to its end.
pub(super) enum Passing {
    /// To the end of the line.
    Line,
    /// To a line end outside quotes.
    Delimited {
        /// What stands between fields.
        delimiter: u8,
        /// Where in a field it is.
        field: Field,
    },
    /// To the bracket or quote that closes a JSON value.
    Value {
        /// Brackets that are open.
        depth: u64,
        /// Inside a string.
        quoted: bool,
        /// Behind a backslash.
        escaped: bool,
    },
    /// To what stands behind a number or a word.
    Word {
        /// Its first byte, which may be any, was seen.
        begun: bool,
    },
}

/// Where in a delimited field a byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Start,
    Plain,
    Quoted,
    /// Behind a quote inside quotes, that closes the field or is the first of two.
    Quote,
}

impl Passing {
    /// From the start of a record that begins with `first`.
    pub(super) fn new(format: TextFormat, first: Option<u8>) -> Self {
        match (format, first) {
            (TextFormat::Delimited { delimiter }, _) => Self::Delimited { delimiter, field: Field::Start },
            (TextFormat::JsonLines, _) => Self::Line,
            (_, Some(b'{' | b'[' | b'"')) => Self::Value { depth: 0, quoted: false, escaped: false },
            _ => Self::Word { begun: false },
        }
    }

    /// Where the record ends in `bytes`, which go on where the last ones ended; nothing when it goes on behind them.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Line => memchr(b'\n', bytes).map(|end| end + 1),
            Self::Delimited { delimiter, field } => {
                for (at, &byte) in bytes.iter().enumerate() {
                    *field = match (*field, byte) {
                        (Field::Start | Field::Quote, b'"') => Field::Quoted,
                        (Field::Quoted, b'"') => Field::Quote,
                        (Field::Quoted, _) => Field::Quoted,
                        (_, byte) if byte == *delimiter => Field::Start,
                        (_, b'\n') => return Some(at + 1),
                        _ => Field::Plain,
                    };
                }
                None
            }
            Self::Value { depth, quoted, escaped } => {
                for (at, &byte) in bytes.iter().enumerate() {
                    match byte {
                        _ if *escaped => *escaped = false,
                        b'\\' if *quoted => *escaped = true,
                        b'"' => *quoted = !*quoted,
                        b'{' | b'[' if !*quoted => *depth += 1,
                        b'}' | b']' if !*quoted => *depth -= 1,
                        _ => {}
                    }
                    if *depth == 0 && !*quoted {
                        return Some(at + 1);
                    }
                }
                None
            }
            Self::Word { begun } => {
                let from = usize::from(!std::mem::replace(begun, true));
                let rest = bytes.get(from..)?;
                rest.iter().position(elements::ends_word).map(|step| from + step)
            }
        }
    }
}
