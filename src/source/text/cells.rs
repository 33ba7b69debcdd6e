//! Where the fields of some rows lie: eight bytes a field, no copy of it. Fields that had to be unescaped lie in a side
//! buffer, addressed as if it followed the block.

use super::number::{self, Short};
use super::value::NullWords;
use super::words;

/// What the format itself says of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Absent, or JSON's `null`.
    Missing,
    /// Its text decides: every field of a delimited shard, numbers and truth values of JSON.
    Bare,
    /// JSON's strings: no numbers, no truth values, no words for missing.
    Quoted,
    /// As bare, and not missing, whatever the words that usually say so: the recipe names other words.
    Stated,
}

impl Kind {
    const BARE: u32 = 1;

    #[inline]
    fn code(self) -> u32 {
        match self {
            Self::Missing => 0,
            Self::Bare => Self::BARE,
            Self::Quoted => 2,
            Self::Stated => 3,
        }
    }

    /// Whether its text decides what it is.
    #[inline]
    pub(super) fn is_bare(self) -> bool {
        matches!(self, Self::Bare | Self::Stated)
    }
}

const KIND_SHIFT: u32 = 30;
const LENGTH_MASK: u32 = (1 << KIND_SHIFT) - 1;

/// Place and kind of one field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    at: u32,
    /// Kind in the two highest bits, length in the others: a record's limit is far below them.
    kind_and_length: u32,
}

impl Cell {
    const MISSING: Self = Self { at: 0, kind_and_length: 0 };

    fn new(kind: Kind, at: usize, length: usize) -> Self {
        Self { at: at as u32, kind_and_length: (kind.code() << KIND_SHIFT) | (length as u32 & LENGTH_MASK) }
    }

    /// What the format says of it.
    #[inline]
    pub(super) fn kind(self) -> Kind {
        match self.kind_and_length >> KIND_SHIFT {
            0 => Kind::Missing,
            Kind::BARE => Kind::Bare,
            2 => Kind::Quoted,
            _ => Kind::Stated,
        }
    }
}

/// Fields of consecutive rows, row after row, all rows of the same width.
pub(super) struct Cells<'a> {
    bytes: &'a [u8],
    unescaped: Vec<u8>,
    cells: Vec<Cell>,
    width: usize,
    rows: usize,
}

impl<'a> Cells<'a> {
    /// No rows yet of `width` fields each, over `bytes`.
    pub(super) fn new(bytes: &'a [u8], width: usize) -> Self {
        Self { bytes, unescaped: Vec::new(), cells: Vec::new(), width, rows: 0 }
    }

    /// Number of whole rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.unescaped.clear();
        self.rows = 0;
    }

    /// Appends the field at `at..end` of the block to the row under way.
    #[inline]
    pub(super) fn push(&mut self, kind: Kind, at: usize, end: usize) {
        self.cells.push(Cell::new(kind, at, end - at));
    }

    /// Appends a field that is put together by `write`.
    pub(super) fn push_unescaped(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let cell = self.unescape(kind, write);
        self.cells.push(cell);
    }

    fn unescape(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> Cell {
        let at = self.unescaped.len();
        write(&mut self.unescaped);
        Cell::new(kind, self.bytes.len() + at, self.unescaped.len() - at)
    }

    /// Begins a row whose fields are all missing until they are set.
    pub(super) fn begin_missing_row(&mut self) {
        self.cells.truncate(self.rows * self.width);
        self.cells.resize((self.rows + 1) * self.width, Cell::MISSING);
    }

    /// Ends the row that [`Cells::begin_missing_row`] began.
    pub(super) fn end_missing_row(&mut self) {
        self.rows += 1;
    }

    /// Sets field `column` of the row under way to `field`, a part of the block.
    pub(super) fn set(&mut self, column: usize, kind: Kind, field: &'a [u8]) {
        let at = field.as_ptr().addr() - self.bytes.as_ptr().addr();
        self.set_cell(column, Cell::new(kind, at, field.len()));
    }

    /// As [`Cells::set`], for a field that is put together by `write`.
    pub(super) fn set_unescaped(&mut self, column: usize, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let cell = self.unescape(kind, write);
        self.set_cell(column, cell);
    }

    fn set_cell(&mut self, column: usize, cell: Cell) {
        self.cells[self.rows * self.width + column] = cell;
    }

    /// Ends the row under way; gives back its number of fields, and drops it, when that is not the width.
    pub(super) fn end_row(&mut self) -> Result<(), usize> {
        let start = self.rows * self.width;
        let fields = self.cells.len() - start;
        if fields != self.width {
            self.cells.truncate(start);
            return Err(fields);
        }
        self.rows += 1;
        Ok(())
    }

    /// Tells the fields of the last row that are missing, by these words, from those that are not.
    pub(super) fn mark_missing(&mut self, words: &NullWords) {
        for at in (self.rows - 1) * self.width..self.rows * self.width {
            let cell = self.cells[at];
            if cell.kind() == Kind::Bare {
                let stated = Cell { kind_and_length: cell.kind_and_length | (3 << KIND_SHIFT), ..cell };
                self.cells[at] = if words.has(self.field(cell)) { Cell::MISSING } else { stated };
            }
        }
    }

    /// Takes the last row off.
    pub(super) fn drop_row(&mut self) {
        self.rows -= 1;
        self.cells.truncate(self.rows * self.width);
    }

    /// Field `column` of the last row.
    pub(super) fn last(&self, column: usize) -> (Kind, &[u8]) {
        let cell = self.cells[(self.rows - 1) * self.width + column];
        (cell.kind(), self.field(cell))
    }

    /// The fields of `column`, row by row.
    #[inline]
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = (Kind, &[u8])> {
        self.places(column).map(|cell| (cell.kind(), self.field(cell)))
    }

    /// Where the fields of `column` lie, row by row.
    #[inline]
    pub(super) fn places(&self, column: usize) -> impl Iterator<Item = Cell> {
        self.cells[..self.rows * self.width].iter().skip(column).step_by(self.width.max(1)).copied()
    }

    /// The text of one field.
    #[inline]
    pub(super) fn field(&self, cell: Cell) -> &[u8] {
        let (at, length) = (cell.at as usize, (cell.kind_and_length & LENGTH_MASK) as usize);
        match at.checked_sub(self.bytes.len()) {
            None => &self.bytes[at..at + length],
            Some(at) => &self.unescaped[at..at + length],
        }
    }

    /// The number in a bare field of at most eight bytes, or that it is empty; nothing where that takes a closer look.
    #[inline]
    pub(super) fn short(&self, cell: Cell) -> Option<Short> {
        match cell.kind_and_length.wrapping_sub(Kind::BARE << KIND_SHIFT) {
            0 => Some(Short::MISSING),
            1 => Short::digit(*self.bytes.get(cell.at as usize)?),
            length @ 2..=8 => number::short(words::word_at(self.bytes, cell.at as usize)?, length),
            _ => None,
        }
    }
}
