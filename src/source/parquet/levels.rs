//! Definition levels of columns without nesting: one bit a row. Runs of rows that all have a value, or all have none,
//! are handled as runs; packed bits are copied as bits. Nothing is taken on trust: levels that end early are an error.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::util::bit_chunk_iterator::{BitChunks, UnalignedBitChunk};
use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};

/// Which rows of a page have a value.
pub(super) enum Levels {
    /// All: the column has no missing values.
    Required,
    /// As the page's runs say.
    Optional(Runs),
}

impl Levels {
    /// Reads the levels of the next `rows` rows into `validity`; returns how many have a value.
    pub(super) fn read(&mut self, rows: usize, validity: &mut Validity) -> ParquetResult<usize> {
        match self {
            Self::Required => {
                validity.append(rows, true);
                Ok(rows)
            }
            Self::Optional(runs) => runs.read(rows, validity),
        }
    }
}

/// Levels of one bit in the hybrid of runs and packed bits, not yet read.
pub(super) struct Runs {
    bytes: Bytes,
    at: usize,
    run: Run,
}

/// The run being read.
enum Run {
    /// So many rows that are alike.
    Alike { left: usize, valid: bool },
    /// Bits of `bytes`.
    Packed { bits: std::ops::Range<usize> },
}

impl Runs {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, run: Run::Packed { bits: 0..0 } }
    }

    fn read(&mut self, rows: usize, validity: &mut Validity) -> ParquetResult<usize> {
        let (mut left, mut with_value) = (rows, 0);
        while left > 0 {
            match &mut self.run {
                Run::Alike { left: alike, valid } if *alike > 0 => {
                    let taken = left.min(*alike);
                    *alike -= taken;
                    left -= taken;
                    validity.append(taken, *valid);
                    with_value += if *valid { taken } else { 0 };
                }
                Run::Packed { bits } if bits.start < bits.end => {
                    let taken = bits.start..bits.start + left.min(bits.len());
                    bits.start = taken.end;
                    left -= taken.len();
                    with_value += validity.append_packed(taken, &self.bytes);
                }
                _ => self.run = self.next_run()?,
            }
        }
        Ok(with_value)
    }

    fn next_run(&mut self) -> ParquetResult<Run> {
        let header = self.header()?;
        // The last packed run may be cut where no row needs its bits any more.
        let left = self.bytes.len() - self.at;
        if header & 1 == 1 {
            let bytes = usize::try_from(header >> 1).unwrap_or(usize::MAX).min(left);
            let start = self.at;
            self.at += bytes;
            return Ok(Run::Packed { bits: start * 8..self.at * 8 });
        }
        let value = *self.bytes.get(self.at).ok_or_else(ended)?;
        self.at += 1;
        if value > 1 {
            return Err(ParquetError::General(format!("a definition level of {value}, where 1 is the highest")));
        }
        Ok(Run::Alike { left: usize::try_from(header >> 1).unwrap_or(usize::MAX), valid: value == 1 })
    }

    /// A run's header: an integer in groups of seven bits.
    fn header(&mut self) -> ParquetResult<u64> {
        let mut header = 0;
        for shift in (0..35).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(ended)?;
            self.at += 1;
            header |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(header);
            }
        }
        Err(ParquetError::General("a run of levels with an impossible length".into()))
    }
}

fn ended() -> ParquetError {
    ParquetError::EOF("the definition levels of a page end early".into())
}

/// The validity of rows, as a bitmap from the first missing value on.
#[derive(Default)]
pub(super) struct Validity {
    rows: usize,
    bits: Option<BooleanBufferBuilder>,
}

impl Validity {
    fn append(&mut self, rows: usize, valid: bool) {
        if !valid || self.bits.is_some() {
            self.bits().append_n(rows, valid);
        }
        self.rows += rows;
    }

    /// Appends bits `range` of `bytes`; returns how many are set.
    fn append_packed(&mut self, range: std::ops::Range<usize>, bytes: &[u8]) -> usize {
        let set = UnalignedBitChunk::new(bytes, range.start, range.len()).count_ones();
        if set == range.len() {
            self.append(set, true);
        } else {
            let rows = range.len();
            self.bits().append_packed_range(range, bytes);
            self.rows += rows;
        }
        set
    }

    fn bits(&mut self) -> &mut BooleanBufferBuilder {
        let rows = self.rows;
        self.bits.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(rows.max(1024));
            bits.append_n(rows, true);
            bits
        })
    }

    /// Copies `values` to the rows from `first` on that have a value; the other rows stay as they are.
    pub(super) fn spread<T: Copy>(&self, first: usize, mut values: &[T], out: &mut [T]) {
        let Some(bits) = &self.bits else {
            out.copy_from_slice(values);
            return;
        };
        let mut words = BitChunks::new(bits.as_slice(), first, out.len()).iter_padded();
        for rows in out.chunks_mut(64) {
            let word = words.next().unwrap_or(0);
            let (here, rest) = values.split_at(word.count_ones() as usize);
            values = rest;
            if here.len() + FEW < rows.len() {
                spread_values(word, here, rows);
            } else {
                spread_runs(word, here, rows);
            }
        }
    }

    /// As arrow keeps it: nothing where every row has a value.
    pub(super) fn finish(self) -> Option<NullBuffer> {
        let bits: BooleanBuffer = self.bits?.build();
        Some(NullBuffer::new(bits)).filter(|nulls| nulls.null_count() > 0)
    }
}

/// Missing values in 64 rows, up to which whole runs of values are copied.
const FEW: usize = 8;

fn spread_values<T: Copy>(mut word: u64, values: &[T], rows: &mut [T]) {
    for value in values {
        rows[word.trailing_zeros() as usize] = *value;
        word &= word - 1;
    }
}

fn spread_runs<T: Copy>(mut word: u64, mut values: &[T], rows: &mut [T]) {
    let mut at = 0;
    while !values.is_empty() {
        let gap = word.trailing_zeros() as usize;
        let run = (!(word >> gap)).trailing_zeros() as usize;
        let (copied, rest) = values.split_at(run);
        rows[at + gap..at + gap + run].copy_from_slice(copied);
        values = rest;
        at += gap + run;
        word = word.checked_shr((gap + run) as u32).unwrap_or(0);
    }
}
