//! A shard's bytes cut into blocks of whole records. Boundaries are found serially, from one quote or line end to the
//! next; what the records say is for others to read, in parallel.

use memchr::{memchr, memchr_iter};

use super::elements::{self, Place};
use super::marks::Marks;
use super::skip::{Passing, Skipped};
use super::{BadRows, TextFormat};
use crate::error::{Error, Result, Site};
use crate::source::compression::{ContentHash, Plain};

/// Longest record: one that is longer is taken for a quote that never closes.
pub const RECORD_LIMIT: usize = 64 << 20;
/// Longest block; offsets into it and its unescaped copy together take 32 bits, also where every byte became three.
const BLOCK_LIMIT: usize = 1 << 28;
/// Bytes read at first for the header.
const HEADER_BYTES: usize = 64 << 10;
/// Bytes read at once of a record that is passed over.
const PASSED_BYTES: usize = 256 << 10;
pub(super) const UTF8_BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// Consecutive records of a shard, each of them whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Number within the shard, from 0, of the first record: its row, unless records before it are skipped.
    pub first_row: u64,
    /// Number of records, with those that parsing may skip.
    pub rows: u64,
    /// Line of the file, from 1, that the block starts on.
    pub first_line: u64,
    /// The records and what stands between them: blank lines, or the commas of an array.
    pub bytes: Vec<u8>,
    /// A record that could not be cut off and is skipped; it has no bytes here, and then the block has no other.
    pub unread: Option<Skipped>,
}

impl Block {
    /// Line of the file, from 1, that byte `at` of the block is on.
    pub(super) fn line_of(&self, at: usize) -> u64 {
        self.first_line + line_ends(&self.bytes[..at])
    }

    /// Line ends between two bytes of the block, the second not before the first.
    pub(super) fn lines_between(&self, from: usize, to: usize) -> u64 {
        line_ends(&self.bytes[from..to])
    }
}

/// Cuts one shard into blocks; see [`super::TextShard::blocks`]. Ends after the first error.
pub struct Blocks {
    plain: Plain,
    format: TextFormat,
    block_bytes: usize,
    /// Read, but not yet handed out.
    pending: Vec<u8>,
    more: bool,
    at_start: bool,
    next_row: u64,
    next_line: u64,
    bad_rows: BadRows,
    /// Where in an array of JSON the pending bytes start.
    place: Place,
}

impl Blocks {
    pub(super) fn new(plain: Plain, format: TextFormat, block_bytes: usize, bad_rows: BadRows) -> Self {
        Self {
            plain,
            format,
            bad_rows,
            place: if format == TextFormat::JsonArray { Place::Before } else { Place::Loose },
            block_bytes: block_bytes.clamp(1, BLOCK_LIMIT),
            pending: Vec::new(),
            more: true,
            at_start: true,
            next_row: 0,
            next_line: 1,
        }
    }

    /// The hash of the shard's file, to be asked once the last block was taken.
    pub fn content(&self) -> ContentHash {
        self.plain.content()
    }

    /// Takes the first record off, blank lines before it included; nothing when there is none.
    pub(super) fn header(&mut self) -> Result<Option<Block>> {
        let bad_rows = std::mem::replace(&mut self.bad_rows, BadRows::Raise);
        let header = self.first_record();
        self.bad_rows = bad_rows;
        header
    }

    fn first_record(&mut self) -> Result<Option<Block>> {
        while let Some(block) = self.take(self.block_bytes.min(HEADER_BYTES), 1)? {
            if block.rows > 0 {
                self.next_row = 0;
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// The next bytes that end with a record, of about `target` and at most `most` records, reading on until there are
    /// some.
    fn take(&mut self, target: usize, most: u64) -> Result<Option<Block>> {
        let mut target = target;
        loop {
            if self.more {
                // Three bytes are a byte order mark.
                self.more = self.plain.fill(&mut self.pending, target.max(4))?;
            }
            if self.at_start {
                self.at_start = false;
                if self.pending.starts_with(UTF8_BOM) {
                    self.pending.drain(..UTF8_BOM.len());
                }
            }
            if self.pending.is_empty() {
                if self.more {
                    continue;
                }
                return match self.place {
                    Place::Closed | Place::Loose => Ok(None),
                    _ => Err(self.refusal(&Stop { record: 0, why: Why::Array(elements::CUT) })),
                };
            }
            let found = match self.format {
                TextFormat::Delimited { .. } | TextFormat::JsonLines => {
                    records(self.format, &self.pending, !self.more, most)
                }
                TextFormat::JsonArray | TextFormat::JsonObjects => {
                    elements::cut(&self.pending, self.place, !self.more, most)
                }
            };
            match found {
                Ok(cut) if cut.consumed > 0 => {
                    return Ok(Some(self.hand_out(&cut)));
                }
                Ok(_) => {}
                Err(stop) if self.bad_rows == BadRows::Skip && !matches!(stop.why, Why::Array(_)) => {
                    return self.pass_over(&stop).map(Some);
                }
                Err(stop) => return Err(self.refusal(&stop)),
            }
            target = self.pending.len().saturating_mul(2).min(RECORD_LIMIT + 1).max(target);
        }
    }

    fn hand_out(&mut self, cut: &Cut) -> Block {
        let rest = self.pending[cut.consumed..].to_vec();
        let first_line = self.next_line + line_ends(&self.pending[..cut.start]);
        self.next_line += line_ends(&self.pending[..cut.consumed]);
        self.pending.truncate(cut.end);
        self.pending.drain(..cut.start);
        let bytes = std::mem::replace(&mut self.pending, rest);
        let block = Block { first_row: self.next_row, rows: cut.rows, first_line, bytes, unread: None };
        self.next_row += cut.rows;
        self.place = cut.place;
        block
    }

    /// Reads on behind the record that cannot be cut off, without keeping it; a block that says so.
    fn pass_over(&mut self, stop: &Stop) -> Result<Block> {
        let line = self.next_line + line_ends(&self.pending[..stop.record]);
        let unread =
            Some(Skipped { record: self.next_row, line, column: None, message: stop.why.message(self.format) });
        let block = Block { first_row: self.next_row, rows: 0, first_line: line, bytes: Vec::new(), unread };
        self.next_row += 1;
        self.next_line = line;
        self.pending.drain(..stop.record);
        let mut passing = Passing::new(self.format, self.pending.first().copied());
        loop {
            let end = passing.end(&self.pending);
            let passed = end.unwrap_or(self.pending.len());
            self.next_line += line_ends(&self.pending[..passed]);
            self.pending.drain(..passed);
            if end.is_some() || !self.more {
                break;
            }
            self.more = self.plain.fill(&mut self.pending, PASSED_BYTES)?;
        }
        self.place = if self.place == Place::Loose { Place::Loose } else { Place::Element };
        Ok(block)
    }

    fn refusal(&self, stop: &Stop) -> Error {
        let line = self.next_line + line_ends(&self.pending[..stop.record]);
        Error::data(Site::default().at_row(self.next_row), format!("line {line}: {}", stop.why.message(self.format)))
    }
}

impl Iterator for Blocks {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.take(self.block_bytes, u64::MAX) {
                // Blank lines only: nobody needs them.
                Ok(Some(block)) if block.rows == 0 && block.unread.is_none() => {}
                Ok(block) => return block.map(Ok),
                Err(error) => {
                    self.pending.clear();
                    self.more = false;
                    self.place = Place::Closed;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Records that can be cut off.
pub(super) struct Cut {
    /// Where the first one starts.
    pub(super) start: usize,
    /// Where the last one ends.
    pub(super) end: usize,
    /// What need not be looked at again: the records, what stands before them and what was seen behind them.
    pub(super) consumed: usize,
    pub(super) rows: u64,
    /// Where in an array of JSON the bytes behind them start.
    pub(super) place: Place,
}

/// A record that cannot be cut off: the one at byte `record`.
pub(super) struct Stop {
    pub(super) record: usize,
    pub(super) why: Why,
}

pub(super) enum Why {
    /// The file ends inside one of its quoted fields, or inside a JSON object.
    Open,
    /// It is beyond the limit.
    Long,
    /// What stands between the elements of an array is wrong, and how.
    Array(&'static str),
}

impl Why {
    fn message(&self, format: TextFormat) -> String {
        match self {
            Self::Open if format == TextFormat::JsonObjects => {
                "the object is still open at the end of the file; close its quotes and brackets".into()
            }
            Self::Open => {
                "a quote opens in this record that is still open at the end of the file; close it, or double it".into()
            }
            Self::Long => {
                format!("the record is longer than {} MiB; a quote may be open that never closes", RECORD_LIMIT >> 20)
            }
            Self::Array(what) => (*what).into(),
        }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// The whole records on lines of `bytes`, of the first `most`; none when the first one goes on beyond them. With `last` the
/// bytes end the file, and so its last record. What cannot be cut off is told once it comes first.
pub(super) fn records(format: TextFormat, bytes: &[u8], last: bool, most: u64) -> std::result::Result<Cut, Stop> {
    let mut at = 0;
    let mut rows = 0;
    let mut marks = Marks::new(bytes, b'"', b'\n');
    while at < bytes.len() && rows < most {
        if let Some(end) = blank_line(bytes, at, last, format) {
            marks.skip_to(end);
            at = end;
            continue;
        }
        let end = match format {
            TextFormat::Delimited { delimiter } => match delimited_end(bytes, at, delimiter, &mut marks) {
                End::At(end) => Some(end),
                End::Open if last && rows > 0 => break,
                End::Open if last => return Err(Stop { record: at, why: Why::Open }),
                End::Line | End::Open => None,
            },
            _ => memchr(b'\n', &bytes[at..]).map(|end| at + end + 1),
        };
        if end.unwrap_or(bytes.len()) - at > RECORD_LIMIT {
            if rows > 0 {
                break;
            }
            return Err(Stop { record: at, why: Why::Long });
        }
        match end {
            Some(end) => at = end,
            None if last => at = bytes.len(),
            None => break,
        }
        rows += 1;
    }
    Ok(Cut { start: 0, end: at, consumed: at, rows, place: Place::Loose })
}

/// Where the line that starts at `at` ends, line end included, if it holds nothing but spaces: pandas skips those.
/// With `last` the end of `bytes` ends a line too.
#[inline]
pub(super) fn blank_line(bytes: &[u8], at: usize, last: bool, format: TextFormat) -> Option<usize> {
    let mut end = at;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            b'\n' => return Some(end + 1),
            b' ' | b'\t' | b'\r' if format != (TextFormat::Delimited { delimiter: byte }) => end += 1,
            _ => return None,
        }
    }
    last.then_some(end)
}

enum End {
    /// The record ends here, line end included.
    At(usize),
    /// Its last line goes on.
    Line,
    /// It goes on inside a quoted field.
    Open,
}

/// Where the delimited record ends that starts at `start`, where the quotes and line ends `marks` go on. A quote opens a
/// field only where the field starts.
fn delimited_end(bytes: &[u8], start: usize, delimiter: u8, marks: &mut Marks<'_>) -> End {
    loop {
        let found = marks.next();
        match bytes.get(found) {
            None => return End::Line,
            Some(b'"') => {
                let opens = found == start || bytes[found - 1] == delimiter;
                if opens && !skip_quoted(bytes, marks) {
                    return End::Open;
                }
            }
            Some(_) => return End::At(found + 1),
        }
    }
}

/// Passes over a quoted field's text and the quote that closes it; doubled ones do not. False when none closes it.
#[inline]
fn skip_quoted(bytes: &[u8], marks: &mut Marks<'_>) -> bool {
    loop {
        let found = marks.next();
        match bytes.get(found) {
            None => return false,
            Some(b'"') if bytes.get(found + 1) == Some(&b'"') => {
                marks.next();
            }
            Some(b'"') => return true,
            Some(_) => {}
        }
    }
}
