//! Which rows of a page have a value, as definition levels of 0 and 1.

/// The definition levels of an open page.
#[derive(Default)]
pub struct Levels {
    rows: usize,
    missing: usize,
    /// A bit a row, lowest first; empty until a row is missing.
    bits: Vec<u64>,
}

impl Levels {
    /// Adds so many rows, all with a value.
    pub fn extend_valid(&mut self, rows: usize) {
        if self.missing == 0 {
            self.rows += rows;
            return;
        }
        let mut left = rows;
        while left > 0 {
            let count = left.min(64);
            self.push_bits(u64::MAX >> (64 - count), count);
            left -= count;
        }
    }

    /// Adds rows, of which those with `true` have a value.
    pub fn extend(&mut self, valid: &[bool]) {
        for run in valid.chunks(64) {
            let bits = run.iter().enumerate().fold(0, |bits, (at, valid)| bits | u64::from(*valid) << at);
            let values = bits.count_ones() as usize;
            if values == run.len() && self.missing == 0 {
                self.rows += run.len();
                continue;
            }
            self.begin_bits();
            self.push_bits(bits, run.len());
            self.missing += run.len() - values;
        }
    }

    fn begin_bits(&mut self) {
        if self.missing == 0 && self.bits.is_empty() {
            self.bits = vec![u64::MAX; self.rows / 64];
            if !self.rows.is_multiple_of(64) {
                self.bits.push(u64::MAX >> (64 - self.rows % 64));
            }
        }
    }

    fn push_bits(&mut self, bits: u64, count: usize) {
        let used = self.rows % 64;
        match self.bits.last_mut() {
            Some(last) if used > 0 => {
                *last |= bits << used;
                if used + count > 64 {
                    self.bits.push(bits >> (64 - used));
                }
            }
            _ => self.bits.push(bits),
        }
        self.rows += count;
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows without a value.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Appends the levels as the run-length hybrid of width 1 with its length before it, and begins again: one run
    /// where all rows are alike, else one of packed bits.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        if self.missing == 0 || self.missing == self.rows {
            super::codes::put_varint((self.rows as u64) << 1, out);
            out.push(u8::from(self.missing == 0));
        } else {
            let groups = self.rows.div_ceil(8);
            super::codes::put_varint((groups as u64) << 1 | 1, out);
            out.extend(self.bits.iter().flat_map(|word| word.to_le_bytes()).take(groups));
        }
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.rows = 0;
        self.missing = 0;
        self.bits.clear();
    }
}
