//! Delimited records to fields. A quote opens a field only at its start; doubled quotes inside are one; what follows
//! the closing quote belongs to the field as it stands. Line ends are `\n` or `\r\n`.

use memchr::memchr;

use super::TextFormat;
use super::cells::{Cells, Kind};
use super::split::{Block, blank_line, closing_quote};
use crate::error::{Error, Result, Site};

/// Walks the records of one block.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    /// Where the next record starts.
    at: usize,
    marks: Marks<'a>,
}

/// A record with another number of fields than the header.
pub(super) struct WrongWidth {
    /// Where in the block it starts.
    pub(super) at: usize,
    /// How many it has.
    pub(super) fields: usize,
}

impl<'a> Records<'a> {
    /// From the start of `bytes`, which end with a record.
    pub(super) fn new(bytes: &'a [u8], delimiter: u8) -> Self {
        Self { bytes, delimiter, at: 0, marks: Marks::new(bytes, 0, delimiter) }
    }

    /// Byte of the block behind the record read last.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Appends the next record to `cells`; false when there is none.
    pub(super) fn read(&mut self, cells: &mut Cells<'a>) -> Result<bool, WrongWidth> {
        let format = TextFormat::Delimited { delimiter: self.delimiter };
        while self.at < self.bytes.len()
            && let Some(end) = blank_line(self.bytes, self.at, true, format)
        {
            self.marks.next();
            self.at = end;
        }
        if self.at >= self.bytes.len() {
            return Ok(false);
        }
        let start = self.at;
        loop {
            let field = self.at;
            let end = if self.bytes.get(field) == Some(&b'"') {
                self.quoted(field, cells)
            } else {
                let end = self.marks.next();
                cells.push(Kind::Bare, field, self.without_return(field, end));
                end
            };
            self.at = end + 1;
            if self.bytes.get(end) != Some(&self.delimiter) {
                break;
            }
        }
        cells.end_row().map_err(|fields| WrongWidth { at: start, fields })?;
        Ok(true)
    }

    /// `end`, or the byte before it when that is the first half of a line end.
    #[inline]
    fn without_return(&self, start: usize, end: usize) -> usize {
        let at_line_end = self.bytes.get(end) != Some(&self.delimiter);
        if at_line_end && end > start && self.bytes[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Appends the quoted field that opens at `open`; where it ends.
    fn quoted(&mut self, open: usize, cells: &mut Cells<'a>) -> usize {
        // The splitter refuses a file that ends inside a quoted field.
        let close = closing_quote(self.bytes, open + 1).unwrap_or(self.bytes.len());
        let behind = (close + 1).min(self.bytes.len());
        self.marks = Marks::new(self.bytes, behind, self.delimiter);
        let end = self.marks.next();
        let inside = &self.bytes[open + 1..close];
        let after = &self.bytes[behind..self.without_return(behind, end)];
        match memchr(b'"', inside) {
            None if after.is_empty() => cells.push(Kind::Bare, open + 1, close),
            _ => cells.push_unescaped(Kind::Bare, |field| {
                let mut rest = inside;
                while let Some(quote) = memchr(b'"', rest) {
                    field.extend_from_slice(&rest[..=quote]);
                    rest = &rest[quote + 2..];
                }
                field.extend_from_slice(rest);
                field.extend_from_slice(after);
            }),
        }
        end
    }
}

/// The delimiters and line ends of some bytes, one after the other. Fields of numbers are a few bytes long: a search
/// that starts anew for each costs more than the search itself, so eight bytes are compared at once and the marks found
/// among them are kept. (The exact test for zero bytes is from Warren, Hacker's Delight, 6-1.)
struct Marks<'a> {
    bytes: &'a [u8],
    delimiters: u64,
    /// The highest bit of each byte of the word that is a mark and was not handed out.
    found: u64,
    /// Where the word starts.
    word: usize,
    /// Where the next word starts.
    next: usize,
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const LOW_BITS: u64 = u64::from_le_bytes([0x7f; 8]);
const LINE_ENDS: u64 = ONES * b'\n' as u64;

impl<'a> Marks<'a> {
    fn new(bytes: &'a [u8], from: usize, delimiter: u8) -> Self {
        Self { bytes, delimiters: ONES * u64::from(delimiter), found: 0, word: from, next: from }
    }

    /// Where the next mark is; the end of the bytes when there is none.
    #[inline]
    fn next(&mut self) -> usize {
        while self.found == 0 {
            self.word = self.next;
            let rest = &self.bytes[self.next.min(self.bytes.len())..];
            let (word, length) = match rest.first_chunk::<8>() {
                Some(word) => (*word, 8),
                None if rest.is_empty() => return self.bytes.len(),
                None => {
                    let mut word = [0; 8];
                    word[..rest.len()].copy_from_slice(rest);
                    (word, rest.len())
                }
            };
            self.next += length;
            let word = u64::from_le_bytes(word);
            self.found = zero_bytes(word ^ self.delimiters) | zero_bytes(word ^ LINE_ENDS);
        }
        let at = self.word + (self.found.trailing_zeros() / 8) as usize;
        self.found &= self.found - 1;
        at
    }
}

/// The highest bit of every byte that is zero.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/// The column names in a header record: as they stand; an empty one becomes `Unnamed: N`, N its position from 0, as
/// pandas names it.
///
/// # Errors
/// [`Error::Data`] for invalid UTF-8, for a name that stands twice, and for line ends that are none.
pub(super) fn header(block: &Block, delimiter: u8) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut known = hashbrown::HashSet::new();
    for field in fields(&block.bytes, delimiter) {
        let name = String::from_utf8(field)
            .map_err(|e| Error::unreadable(Site::default(), "the header is not UTF-8; convert the file", e))?;
        if name.contains('\r') && !block.bytes.contains(&b'"') {
            let message = "the lines end with a carriage return alone; convert the line ends to \\n or \\r\\n";
            return Err(Error::data(Site::default(), message));
        }
        let name = if name.is_empty() { format!("Unnamed: {}", names.len()) } else { name };
        if !known.insert(name.clone()) {
            let message = "the name stands twice in the header; rename one of the columns";
            return Err(Error::data(Site::column(name), message));
        }
        names.push(name);
    }
    Ok(names)
}

/// The fields of the one record in `bytes`.
fn fields(bytes: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    // Of no width yet: the record itself says how many fields there are.
    let mut cells = Cells::new(bytes, usize::MAX);
    let mut fields = 0;
    if let Err(WrongWidth { fields: found, .. }) = Records::new(bytes, delimiter).read(&mut cells) {
        fields = found;
    }
    let mut cells = Cells::new(bytes, fields);
    // The width is the one just counted.
    let _ = Records::new(bytes, delimiter).read(&mut cells);
    (0..fields).flat_map(|at| cells.column(at).map(|(_, field)| field.to_vec()).collect::<Vec<_>>()).collect()
}
