//! Marks of some bytes, such as their delimiters and line ends, one after the other. Fields are a few bytes long: a
//! search that starts anew for each costs more than the search itself, so 64 bytes are compared at once and the marks
//! found among them are kept.

use super::words;

/// Where the bytes of two values stand.
pub(super) struct Marks<'a> {
    bytes: &'a [u8],
    one: u8,
    other: u8,
    /// A bit for each byte behind `start` that is a mark and was not handed out.
    found: u64,
    start: usize,
    /// Where the next 64 bytes start.
    next: usize,
}

impl<'a> Marks<'a> {
    /// The bytes that are `one` or `other`, from the first of `bytes` on.
    pub(super) fn new(bytes: &'a [u8], one: u8, other: u8) -> Self {
        Self { bytes, one, other, found: 0, start: 0, next: 0 }
    }

    /// Where the next mark is; the end of the bytes when there is none.
    #[inline]
    pub(super) fn next(&mut self) -> usize {
        while self.found == 0 {
            if self.next >= self.bytes.len() {
                return self.bytes.len();
            }
            self.look(self.next);
        }
        let at = self.start + self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        at
    }

    /// Passes over the marks before byte `at`, which is not before the last one handed out.
    #[inline]
    pub(super) fn skip_to(&mut self, at: usize) {
        if at < self.next {
            self.found &= u64::MAX.unbounded_shl((at - self.start) as u32);
        } else {
            self.found = 0;
            self.next = at;
        }
    }

    #[inline]
    fn look(&mut self, start: usize) {
        let rest = &self.bytes[start..];
        self.found = match rest.first_chunk::<64>() {
            Some(block) => words::marks(block, self.one, self.other),
            None => {
                // Bytes that are made up are no marks.
                let mut block = [0; 64];
                block[..rest.len()].copy_from_slice(rest);
                words::marks(&block, self.one, self.other) & !u64::MAX.unbounded_shl(rest.len() as u32)
            }
        };
        self.start = start;
        self.next = start + rest.len().min(64);
    }
}
