//! Which rows of a column under construction have a value: a bit a row, without a branch on it.

use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};

/// Grows by a row at a time.
pub(super) struct Validity {
    /// Of 64 rows each, the first lowest.
    words: Vec<u64>,
    /// The rows that do not fill a word yet.
    open: u64,
    rows: usize,
    nulls: usize,
}

impl Validity {
    /// Without rows; `rows` are expected.
    pub(super) fn new(rows: usize) -> Self {
        Self { words: Vec::with_capacity(rows.div_ceil(64)), open: 0, rows: 0, nulls: 0 }
    }

    /// Appends a row.
    #[inline]
    pub(super) fn push(&mut self, valid: bool) {
        self.open |= u64::from(valid) << (self.rows % 64);
        self.nulls += usize::from(!valid);
        self.rows += 1;
        if self.rows.is_multiple_of(64) {
            self.words.push(self.open);
            self.open = 0;
        }
    }

    /// The rows without a value; nothing when there are none.
    pub(super) fn finish(mut self) -> Option<NullBuffer> {
        if self.nulls == 0 {
            return None;
        }
        self.words.push(self.open);
        Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(self.words), 0, self.rows)))
    }
}
