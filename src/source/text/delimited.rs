//! Delimited records to fields. A quote opens a field only at its start; doubled quotes inside are one; what follows
//! the closing quote belongs to the field as it stands. Line ends are `\n` or `\r\n`.

use memchr::memchr;

use super::TextFormat;
use super::cells::{Cells, Kind};
use super::marks::Marks;
use super::split::{Block, blank_line};
use super::value::NullWords;
use super::words;
use crate::error::{Error, Result, Site};
use crate::spec::EncodingErrors;

/// Walks the records of one block.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    missing: Option<&'a NullWords>,
    /// Where the record read last starts.
    start: usize,
    /// Where the next record starts, or blank lines before it.
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
    /// From the start of `bytes`, which end with a record; `missing` are the recipe's own words for a missing value.
    pub(super) fn new(bytes: &'a [u8], delimiter: u8, missing: Option<&'a NullWords>) -> Self {
        Self { bytes, delimiter, missing, start: 0, at: 0, marks: Marks::new(bytes, delimiter, b'\n') }
    }

    /// The block's bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Byte of the block that the record read last starts at.
    pub(super) fn start(&self) -> usize {
        self.start
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
            self.marks.skip_to(end);
            self.at = end;
        }
        if self.at >= self.bytes.len() {
            return Ok(false);
        }
        let start = self.at;
        self.start = start;
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
        if let Some(words) = self.missing {
            cells.mark_missing(words);
        }
        Ok(true)
    }

    /// `end`, or the byte before it when that is the first half of a line end.
    #[inline]
    fn without_return(&self, start: usize, end: usize) -> usize {
        let at_line_end = self.bytes.get(end) != Some(&self.delimiter);
        if at_line_end && end > start && self.bytes[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Appends the quoted field that opens at `open`; where it ends.
    #[inline]
    fn quoted(&mut self, open: usize, cells: &mut Cells<'a>) -> usize {
        // The splitter refuses a file that ends inside a quoted field.
        let (close, doubled) = closing_quote(self.bytes, open + 1).unwrap_or((self.bytes.len(), true));
        let behind = (close + 1).min(self.bytes.len());
        self.marks.skip_to(behind);
        let end = self.marks.next();
        let text_end = self.without_return(behind, end);
        if text_end == behind && !doubled {
            cells.push(Kind::Bare, open + 1, close);
        } else {
            let (inside, after) = (&self.bytes[open + 1..close], &self.bytes[behind..text_end]);
            cells.push_unescaped(Kind::Bare, |field| unescape(inside, after, field));
        }
        end
    }
}

/// Appends what stands inside quotes, doubled ones as one, and what follows them.
fn unescape(inside: &[u8], after: &[u8], field: &mut Vec<u8>) {
    let mut rest = inside;
    while let Some(quote) = memchr(b'"', rest) {
        field.extend_from_slice(&rest[..=quote]);
        rest = rest.get(quote + 2..).unwrap_or_default();
    }
    field.extend_from_slice(rest);
    field.extend_from_slice(after);
}

/// The quote that closes a field whose text starts at `at`, and whether there are doubled ones before it, which are part
/// of the field.
#[inline]
fn closing_quote(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    // Most quoted fields are too short for a search to pay.
    if let Some(word) = words::word_at(bytes, at) {
        let quotes = words::zero_bytes(word ^ words::repeat(b'"'));
        let quote = at + quotes.trailing_zeros() as usize / 8;
        if quotes != 0 && bytes.get(quote + 1) != Some(&b'"') {
            return Some((quote, false));
        }
    }
    distant_quote(bytes, at)
}

fn distant_quote(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let (mut at, mut doubled) = (at, false);
    loop {
        let quote = at + memchr(b'"', &bytes[at..])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some((quote, doubled));
        }
        (at, doubled) = (quote + 2, true);
    }
}

/// The column names in a header record: as they stand; an empty one becomes `Unnamed: N`, N its position from 0, as
/// pandas names it.
///
/// # Errors
/// [`Error::Data`] for invalid UTF-8, for a name that stands twice, and for line ends that are none.
pub(super) fn header(block: &Block, delimiter: u8, encoding_errors: EncodingErrors) -> Result<Vec<String>> {
    if has_lone_return(&block.bytes) {
        let message = "the lines end with a carriage return alone; convert the line ends to \\n or \\r\\n";
        return Err(Error::data(Site::default(), message));
    }
    let mut names = Vec::new();
    let mut known = hashbrown::HashSet::new();
    for field in fields(&block.bytes, delimiter) {
        let name = match encoding_errors {
            EncodingErrors::Raise => String::from_utf8(field)
                .map_err(|e| Error::unreadable(Site::default(), "the header is not UTF-8; convert the file", e))?,
            EncodingErrors::Replace => String::from_utf8_lossy(&field).into_owned(),
        };
        let name = if name.is_empty() { format!("Unnamed: {}", names.len()) } else { name };
        if !known.insert(name.clone()) {
            let message = "the name stands twice in the header; rename one of the columns";
            return Err(Error::data(Site::column(name), message));
        }
        names.push(name);
    }
    Ok(names)
}

/// Whether a record says these names, field by field; spaces around them count for nothing.
pub(super) fn says(record: &Block, delimiter: u8, names: &[String]) -> bool {
    let fields = fields(&record.bytes, delimiter);
    let is = |(field, name): (&Vec<u8>, &String)| std::str::from_utf8(field).is_ok_and(|field| field.trim() == name);
    fields.len() == names.len() && fields.iter().zip(names).all(is)
}

/// Whether a record has these names, of several columns, in any order and case.
pub(super) fn almost_says(record: &Block, delimiter: u8, names: &[String]) -> bool {
    let sorted = |texts: &mut dyn Iterator<Item = String>| {
        let mut texts: Vec<String> = texts.collect();
        texts.sort_unstable();
        texts
    };
    let fields = fields(&record.bytes, delimiter);
    if fields.len() != names.len() || names.len() < 2 {
        return false;
    }
    let found = sorted(&mut fields.iter().map(|field| String::from_utf8_lossy(field).trim().to_lowercase()));
    found == sorted(&mut names.iter().map(|name| name.to_lowercase()))
}

/// Whether a carriage return outside quotes is no half of a line end.
fn has_lone_return(bytes: &[u8]) -> bool {
    let mut quoted = false;
    bytes.iter().enumerate().any(|(at, byte)| {
        quoted ^= *byte == b'"';
        *byte == b'\r' && !quoted && !matches!(bytes.get(at + 1), None | Some(b'\n'))
    })
}

/// The fields of the one record in `bytes`.
fn fields(bytes: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    // Of no width yet: the record itself says how many fields there are.
    let mut cells = Cells::new(bytes, usize::MAX);
    let mut fields = 0;
    if let Err(WrongWidth { fields: found, .. }) = Records::new(bytes, delimiter, None).read(&mut cells) {
        fields = found;
    }
    let mut cells = Cells::new(bytes, fields);
    // The width is the one just counted.
    let _ = Records::new(bytes, delimiter, None).read(&mut cells);
    (0..fields).flat_map(|at| cells.column(at).map(|(_, field)| field.to_vec()).collect::<Vec<_>>()).collect()
}
