//! A shard's bytes cut into blocks of whole records. Boundaries are found serially, from one quote or line end to the
//! next; what the records say is for others to read, in parallel.

use memchr::{memchr, memchr_iter};

use super::TextFormat;
use super::marks::Marks;
use crate::error::{Error, Result, Site};
use crate::source::compression::{ContentHash, Plain};

/// Longest record: one that is longer is taken for a quote that never closes.
pub const RECORD_LIMIT: usize = 64 << 20;
/// Longest block; offsets into it and its unescaped copy together take 32 bits.
const BLOCK_LIMIT: usize = 1 << 30;
/// Bytes read at first for the header.
const HEADER_BYTES: usize = 64 << 10;
const UTF8_BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// Consecutive records of a shard, each of them whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Row within the shard, from 0, of the first record.
    pub first_row: u64,
    /// Number of records.
    pub rows: u64,
    /// Line of the file, from 1, that the block starts on.
    pub first_line: u64,
    /// The records and the blank lines between them.
    pub bytes: Vec<u8>,
}

impl Block {
    /// Line of the file, from 1, that byte `at` of the block is on.
    pub(super) fn line_of(&self, at: usize) -> u64 {
        self.first_line + line_ends(&self.bytes[..at])
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
}

impl Blocks {
    pub(super) fn new(plain: Plain, format: TextFormat, block_bytes: usize) -> Self {
        Self {
            plain,
            format,
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
                // Four bytes tell the byte order marks.
                self.more = self.plain.fill(&mut self.pending, target.max(4))?;
            }
            if self.at_start {
                self.at_start = false;
                self.drop_mark()?;
            }
            if self.pending.is_empty() {
                if self.more {
                    continue;
                }
                return Ok(None);
            }
            let (end, rows) =
                records(self.format, &self.pending, !self.more, most).map_err(|stop| self.refusal(&stop))?;
            if end > 0 {
                return Ok(Some(self.hand_out(end, rows)));
            }
            target = self.pending.len().saturating_mul(2).min(RECORD_LIMIT + 1).max(target);
        }
    }

    fn hand_out(&mut self, end: usize, rows: u64) -> Block {
        let rest = self.pending[end..].to_vec();
        self.pending.truncate(end);
        let bytes = std::mem::replace(&mut self.pending, rest);
        let block = Block { first_row: self.next_row, rows, first_line: self.next_line, bytes };
        self.next_row += rows;
        self.next_line += line_ends(&block.bytes);
        block
    }

    fn drop_mark(&mut self) -> Result<()> {
        if self.pending.starts_with(UTF8_BOM) {
            self.pending.drain(..UTF8_BOM.len());
        } else if self.pending.starts_with(&[0xff, 0xfe]) || self.pending.starts_with(&[0xfe, 0xff]) {
            return Err(Error::data(Site::default(), "the text is UTF-16; convert the file to UTF-8"));
        }
        Ok(())
    }

    fn refusal(&self, stop: &Stop) -> Error {
        let line = self.next_line + line_ends(&self.pending[..stop.record]);
        let limit = RECORD_LIMIT >> 20;
        let what = match stop.why {
            Why::Open => {
                "a quote opens in this record that is still open at the end of the file; close it, or double it"
                    .to_string()
            }
            Why::Long => format!("the record is longer than {limit} MiB; a quote may be open that never closes"),
        };
        Error::data(Site::default().at_row(self.next_row + stop.rows), format!("line {line}: {what}"))
    }
}

impl Iterator for Blocks {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.take(self.block_bytes, u64::MAX) {
                // Blank lines only: nobody needs them.
                Ok(Some(block)) if block.rows == 0 => {}
                Ok(block) => return block.map(Ok),
                Err(error) => {
                    self.pending.clear();
                    self.more = false;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// A record that cannot be cut off: the one at byte `record`, after `rows` records.
struct Stop {
    record: usize,
    rows: u64,
    why: Why,
}

enum Why {
    /// The file ends inside one of its quoted fields.
    Open,
    /// It is beyond the limit.
    Long,
}

fn line_ends(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// Where the last whole record of `bytes` ends, of the first `most`, and how many there are; 0 when the first one goes
/// on beyond them. With `last` the bytes end the file, and so its last record.
fn records(format: TextFormat, bytes: &[u8], last: bool, most: u64) -> std::result::Result<(usize, u64), Stop> {
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
                End::Open if last => return Err(Stop { record: at, rows, why: Why::Open }),
                End::Line | End::Open => None,
            },
            TextFormat::JsonLines => memchr(b'\n', &bytes[at..]).map(|end| at + end + 1),
        };
        if end.unwrap_or(bytes.len()) - at > RECORD_LIMIT {
            return Err(Stop { record: at, rows, why: Why::Long });
        }
        match end {
            Some(end) => at = end,
            None if last => at = bytes.len(),
            None => break,
        }
        rows += 1;
    }
    Ok((at, rows))
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
