//! One output column of all splits. Rows are gathered from their array straight into the open page of their split, in blocks
//! that stay in cache; codes of a dictionary stay codes where the output has a dictionary too.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, ToByteSlice};
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use super::Cut;
use super::bounds::Bounds;
use super::cells::{Cells, Source, byte_string};
use super::chunk::{Compressor, EncodedChunk, OpenChunk};
use super::codes;
use super::dictionary::{Dictionary, Entries, put_bytes};
use super::levels::Levels;

/// Rows that are gathered at once.
const BLOCK: usize = 1024;
/// A page of texts or byte strings ends after the value that fills it so far, in bytes.
const PAGE_BYTES: usize = 1 << 20;
/// A code of the source that has no code of ours yet.
const UNKNOWN: u32 = u32::MAX;

/// The rows of a source that go to a split.
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    /// Consecutive ones.
    Range(usize, usize),
    /// These, ascending.
    Picked(&'a [u32]),
}

impl Rows<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Range(start, end) => end - start,
            Self::Picked(rows) => rows.len(),
        }
    }

    fn slice(&self, start: usize, count: usize) -> Self {
        match self {
            Self::Range(first, _) => Self::Range(first + start, first + start + count),
            Self::Picked(rows) => Self::Picked(&rows[start..start + count]),
        }
    }

    /// Puts the values that `from` has for these rows at the front of `out`.
    fn gather<T: Copy>(&self, from: &[T], out: &mut [T]) {
        match self {
            Self::Range(start, end) => out[..end - start].copy_from_slice(&from[*start..*end]),
            Self::Picked(rows) => {
                for (slot, row) in out.iter_mut().zip(*rows) {
                    *slot = from[*row as usize];
                }
            }
        }
    }

    fn for_each(&self, mut visit: impl FnMut(usize)) {
        match self {
            Self::Range(start, end) => (*start..*end).for_each(visit),
            Self::Picked(rows) => rows.iter().for_each(|row| visit(*row as usize)),
        }
    }
}

/// What gathering needs for a moment; one serves many columns.
pub struct Scratch {
    compressor: Compressor,
    valid: Box<[bool; BLOCK]>,
    four: Box<[u32; BLOCK]>,
    eight: Box<[u64; BLOCK]>,
    source_codes: Box<[i32; BLOCK]>,
    body: Vec<u8>,
}

impl Scratch {
    /// Room for one thread's work.
    ///
    /// # Errors
    /// When the library lacks the compression.
    pub fn new(compression: parquet::basic::Compression) -> Result<Self> {
        Ok(Self {
            compressor: Compressor::new(compression)?,
            valid: Box::new([true; BLOCK]),
            four: Box::new([0; BLOCK]),
            eight: Box::new([0; BLOCK]),
            source_codes: Box::new([0; BLOCK]),
            body: Vec::new(),
        })
    }
}

/// From the codes of a source's dictionary to ours, for one split, as far as they have come.
#[derive(Default)]
pub struct Recode {
    of: Option<ArrayRef>,
    codes: Vec<u32>,
}

impl Recode {
    fn begin(&mut self, dictionary: &ArrayRef) {
        if self.of.as_ref().is_some_and(|of| ArrayRef::ptr_eq(of, dictionary)) {
            return;
        }
        self.codes.clear();
        self.codes.resize(dictionary.len(), UNKNOWN);
        self.of = Some(ArrayRef::clone(dictionary));
    }

    fn forget(&mut self) {
        self.of = None;
    }
}

/// The open row group of one split.
pub struct SplitColumn {
    cut: Cut,
    at: u64,
    page_rows: usize,
    levels: Levels,
    /// Values of the open page as they will be written; codes of it where there is a dictionary.
    values: Vec<u8>,
    codes: Vec<u32>,
    /// Bits of the last byte of `values`, for booleans.
    bits: usize,
    dictionary: Option<Dictionary>,
    bounds: Bounds,
    chunk: OpenChunk,
}

impl SplitColumn {
    /// Nothing written yet of a column of this type; `page_rows` is the most a page has.
    pub fn new(data_type: &DataType, dictionary: bool, cut: Cut, page_rows: usize) -> Self {
        let entries = match data_type {
            DataType::Utf8 | DataType::Binary => Some(Entries::Bytes(Vec::new(), Vec::new())),
            DataType::Boolean => None,
            wide if wide.primitive_width() == Some(8) => Some(Entries::Eight(Vec::new())),
            _ => Some(Entries::Four(Vec::new())),
        };
        Self {
            cut,
            at: 0,
            page_rows,
            levels: Levels::default(),
            values: Vec::new(),
            codes: Vec::new(),
            bits: 0,
            dictionary: entries.filter(|_| dictionary).map(Dictionary::new),
            bounds: Bounds::new(data_type),
            chunk: OpenChunk::default(),
        }
    }

    /// Adds `rows` of `source`; the chunks of row groups that they complete go to `finished`.
    ///
    /// # Errors
    /// When a page cannot be compressed.
    pub fn push(
        &mut self,
        column: &ColumnDescPtr,
        source: &Source,
        rows: Rows<'_>,
        recode: &mut Recode,
        scratch: &mut Scratch,
        finished: &mut Vec<EncodedChunk>,
    ) -> Result<()> {
        let mut done = 0;
        while done < rows.len() {
            let left = self.cut.left(self.at);
            let room = (self.page_rows - self.levels.rows()).min(BLOCK).min(rows.len() - done);
            let count = room.min(usize::try_from(left).unwrap_or(usize::MAX));
            if let (Some(_), Source::Codes { dictionary, .. }) = (&self.dictionary, source) {
                recode.begin(dictionary);
            }
            let added = self.add(source, rows.slice(done, count), recode, scratch);
            done += added;
            self.at += added as u64;
            let complete = added as u64 == left;
            if complete || self.levels.rows() == self.page_rows || self.values.len() >= PAGE_BYTES {
                self.finish_page(scratch)?;
            }
            if complete {
                finished.push(self.finish_chunk(column, scratch)?);
                recode.forget();
            }
        }
        Ok(())
    }

    /// Adds rows to the open page, all of them unless they are texts that fill it; returns how many.
    fn add(&mut self, source: &Source, rows: Rows<'_>, recode: &mut Recode, scratch: &mut Scratch) -> usize {
        let cells = match source {
            Source::Values(cells, _) | Source::Codes { cells, .. } => cells,
        };
        if self.dictionary.is_none() && matches!(cells, Cells::Bits(_) | Cells::Bytes(..)) {
            return self.add_one_by_one(source, cells, rows);
        }
        let count = rows.len();
        let valid = if let Some(nulls) = source.nulls() {
            let mut at = 0;
            rows.for_each(|row| {
                scratch.valid[at] = nulls.is_valid(row);
                at += 1;
            });
            self.levels.extend(&scratch.valid[..count]);
            Some(&scratch.valid[..count])
        } else {
            self.levels.extend_valid(count);
            None
        };
        match (source, cells, &mut self.dictionary) {
            (Source::Codes { codes, .. }, _, Some(dictionary)) => {
                rows.gather(codes, scratch.source_codes.as_mut_slice());
                let kept = compact(scratch.source_codes.as_mut_slice(), valid, count);
                for code in &scratch.source_codes[..kept] {
                    let ours = &mut recode.codes[*code as usize];
                    if *ours == UNKNOWN {
                        *ours = code_of(dictionary, cells, *code as usize);
                    }
                    self.codes.push(*ours);
                }
            }
            (Source::Values(..), Cells::Bytes(offsets, bytes), Some(dictionary)) => {
                let mut at = 0;
                rows.for_each(|row| {
                    if valid.is_none_or(|valid| valid[at]) {
                        self.codes.push(dictionary.code_of_bytes(byte_string(offsets, bytes, row)));
                    }
                    at += 1;
                });
            }
            (_, Cells::Four(slots), dictionary) => {
                let four = scratch.four.as_mut_slice();
                gather(source, slots, rows, scratch.source_codes.as_mut_slice(), four);
                let kept = compact(four, valid, count);
                match dictionary {
                    Some(dictionary) => {
                        self.codes.extend(four[..kept].iter().map(|bits| dictionary.code_of_slot(u64::from(*bits))));
                    }
                    None => {
                        self.bounds.add_four(&four[..kept]);
                        self.values.extend_from_slice(four[..kept].to_byte_slice());
                    }
                }
            }
            (_, Cells::Eight(slots), dictionary) => {
                let eight = scratch.eight.as_mut_slice();
                gather(source, slots, rows, scratch.source_codes.as_mut_slice(), eight);
                let kept = compact(eight, valid, count);
                match dictionary {
                    Some(dictionary) => {
                        self.codes.extend(eight[..kept].iter().map(|bits| dictionary.code_of_slot(*bits)));
                    }
                    None => {
                        self.bounds.add_eight(&eight[..kept]);
                        self.values.extend_from_slice(eight[..kept].to_byte_slice());
                    }
                }
            }
            // Both were seen to above.
            (_, Cells::Bits(_) | Cells::Bytes(..), _) => {}
        }
        count
    }

    /// Booleans, and texts without a dictionary: a page of texts may be full at any row.
    fn add_one_by_one(&mut self, source: &Source, cells: &Cells, rows: Rows<'_>) -> usize {
        let mut added = 0;
        let mut one = |row: usize| {
            if self.values.len() >= PAGE_BYTES {
                return;
            }
            added += 1;
            if let Some(nulls) = source.nulls() {
                let valid = nulls.is_valid(row);
                self.levels.extend(&[valid]);
                if !valid {
                    return;
                }
            }
            let slot = match source {
                Source::Values(..) => row,
                Source::Codes { codes, .. } => codes[row] as usize,
            };
            match cells {
                Cells::Bytes(offsets, bytes) => {
                    let value = byte_string(offsets, bytes, slot);
                    self.bounds.add_bytes(value);
                    self.chunk.value_bytes += value.len() as i64;
                    put_bytes(value, &mut self.values);
                }
                Cells::Bits(bits) => {
                    let value = bits.value(slot);
                    self.bounds.add_bool(value);
                    if self.bits == 0 {
                        self.values.push(0);
                    }
                    if let Some(last) = self.values.last_mut() {
                        *last |= u8::from(value) << self.bits;
                    }
                    self.bits = (self.bits + 1) % 8;
                }
                Cells::Four(_) | Cells::Eight(_) => {}
            }
        };
        rows.for_each(&mut one);
        if source.nulls().is_none() {
            self.levels.extend_valid(added);
        }
        added
    }

    fn finish_page(&mut self, scratch: &mut Scratch) -> Result<()> {
        let (rows, missing) = (self.levels.rows(), self.levels.missing());
        let body = &mut scratch.body;
        body.clear();
        self.levels.finish(body);
        let encoding = match &self.dictionary {
            Some(dictionary) => {
                let width = codes::width(dictionary.len());
                body.push(width as u8);
                codes::encode(&self.codes, width, body);
                if let Entries::Bytes(..) = dictionary.entries() {
                    let bytes: usize = self.codes.iter().map(|code| dictionary.byte_length(*code)).sum();
                    self.chunk.value_bytes += bytes as i64;
                }
                Encoding::RLE_DICTIONARY
            }
            None => {
                body.extend_from_slice(&self.values);
                Encoding::PLAIN
            }
        };
        self.codes.clear();
        self.values.clear();
        self.bits = 0;
        self.chunk.add_page(&mut scratch.compressor, encoding, rows, missing, body)
    }

    fn finish_chunk(&mut self, column: &ColumnDescPtr, scratch: &mut Scratch) -> Result<EncodedChunk> {
        let bounds = &mut self.bounds;
        let body = &mut scratch.body;
        body.clear();
        let dictionary = self.dictionary.as_mut().map(|dictionary| {
            bounds.add_dictionary(dictionary);
            let values = dictionary.len();
            dictionary.finish(body);
            values
        });
        let dictionary = dictionary.map(|values| (values, body.as_slice()));
        self.chunk.finish(&mut scratch.compressor, column, dictionary, |missing| bounds.finish(missing))
    }
}

/// Puts the slots of `rows` at the front of `out`, from a dictionary through its codes.
fn gather<T: Copy>(source: &Source, slots: &[T], rows: Rows<'_>, codes: &mut [i32], out: &mut [T]) {
    match source {
        Source::Values(..) => rows.gather(slots, out),
        Source::Codes { codes: all, .. } => {
            rows.gather(all, codes);
            for (slot, code) in out.iter_mut().zip(&codes[..rows.len()]) {
                // The code of a missing row means nothing, and its dictionary may be empty.
                if let Some(value) = slots.get(*code as usize) {
                    *slot = *value;
                }
            }
        }
    }
}

/// Moves the values of rows that have one to the front; returns how many. No branch depends on the data.
fn compact<T: Copy>(values: &mut [T], valid: Option<&[bool]>, count: usize) -> usize {
    let Some(valid) = valid else { return count };
    let mut kept = 0;
    for (at, valid) in valid.iter().enumerate() {
        values[kept] = values[at];
        kept += usize::from(*valid);
    }
    kept
}

fn code_of(dictionary: &mut Dictionary, cells: &Cells, at: usize) -> u32 {
    match cells {
        Cells::Four(slots) => dictionary.code_of_slot(u64::from(slots[at])),
        Cells::Eight(slots) => dictionary.code_of_slot(slots[at]),
        Cells::Bytes(offsets, bytes) => dictionary.code_of_bytes(byte_string(offsets, bytes, at)),
        // A column of booleans has no dictionary.
        Cells::Bits(_) => 0,
    }
}
