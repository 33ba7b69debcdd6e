//! The row ledger of a shard: what the splits need of each row, in row order, streamed both ways in bounded memory.
//! Never knows what a code, a hash, a word or a text means.
//!
//! ```text
//! file   =  "2PSL", version u16, words u8, texts u8 (0 or 1), block*, end
//! block  =  rows u32 (1 to 65,536), width u8 (1, 2 or 4), zero u8 × 3, [bytes of texts u64], checksum u128,
//!           codes (rows × width bytes), hashes (rows × 8 bytes), words times: a word a row (rows × 8 bytes),
//!           [lengths of texts (rows × 4 bytes), texts]
//! end    =  rows 0, width 0, zero u8 × 3, [zero u64], checksum u128
//! ```
//!
//! All integers are little-endian. What is in brackets is there if `texts` is 1; a ledger without words and texts is of version 1,
//! any other of version 2. A block stores its codes in the narrowest width that holds its largest. Its
//! checksum is XXH3-128 of the number of the block's first row (u64), what is before the checksum, and what is after it:
//! blocks cannot trade places, and the end proves the number of rows.

use std::io::Read;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::record::SideFile;
use crate::disk::{AppendFile, Disk, FinishedFile, OpenFile};
use crate::error::{Error, Result};

const MAGIC: [u8; 4] = *b"2PSL";
const HEADER_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 16;

/// Rows of a block; only a ledger's last may have fewer, and one that texts fill.
pub const BLOCK_ROWS: usize = 65_536;

/// Bytes of texts that end a block, after the row that reaches them.
const BLOCK_TEXT_BYTES: usize = 4 << 20;

/// Longest text of a row, in bytes.
pub const LONGEST_TEXT: usize = crate::split::order::MOST_BYTES;

/// Most words of a row.
pub const MOST_WORDS: usize = 8;

/// What a ledger has of each row besides a code and a hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// Further numbers of 64 bits.
    pub words: usize,
    /// A byte string.
    pub texts: bool,
}

impl Layout {
    /// Memory that a [`LedgerWriter`] or a [`LedgerReader`] holds, at most, in bytes.
    pub fn buffer_bytes(self) -> u64 {
        let texts = if self.texts { BLOCK_ROWS * 12 + BLOCK_TEXT_BYTES + LONGEST_TEXT } else { 0 };
        ((BLOCK_ROWS * (4 + 8 + self.words * 8) + texts) * 2) as u64
    }

    fn header(self) -> [u8; HEADER_BYTES] {
        let version = if self == Self::default() { 1 } else { 2 };
        let [a, b, c, d] = MAGIC;
        [a, b, c, d, version, 0, self.words as u8, u8::from(self.texts)]
    }

    /// The layout that a file's header states; nothing when it is of another version.
    fn of_header(header: [u8; HEADER_BYTES]) -> Option<Self> {
        let layout = Self { words: usize::from(header[6]), texts: header[7] == 1 };
        (layout.words <= MOST_WORDS && layout.header() == header).then_some(layout)
    }

    /// Bytes of a block before its checksum.
    fn start_bytes(self) -> usize {
        if self.texts { 16 } else { 8 }
    }
}

/// Byte strings, one a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts<'a> {
    /// Where each ends; the first begins at 0.
    pub ends: &'a [usize],
    /// All of them.
    pub bytes: &'a [u8],
}

impl<'a> Texts<'a> {
    /// Of rows without any.
    pub const NONE: Self = Texts { ends: &[], bytes: &[] };

    /// The text of a row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, row: usize) -> &'a [u8] {
        &self.bytes[self.start(row)..self.ends[row]]
    }

    fn start(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.ends[row - 1] }
    }
}

/// Some consecutive rows, column by column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows<'a> {
    /// One code a row.
    pub codes: &'a [u32],
    /// One hash a row.
    pub hashes: &'a [u64],
    /// As many words a row as the layout says, word by word.
    pub words: &'a [Vec<u64>],
    /// One text a row, if the layout says so.
    pub texts: Texts<'a>,
}

impl<'a> Rows<'a> {
    /// Rows of a code and a hash alone.
    pub fn plain(codes: &'a [u32], hashes: &'a [u64]) -> Self {
        Self { codes, hashes, words: &[], texts: Texts::NONE }
    }

    fn fit(&self, layout: Layout) -> bool {
        let rows = self.codes.len();
        self.hashes.len() == rows
            && self.words.len() == layout.words
            && self.words.iter().all(|words| words.len() == rows)
            && self.texts.ends.len() == if layout.texts { rows } else { 0 }
    }
}

/// Rows in memory.
#[derive(Default)]
struct Held {
    codes: Vec<u32>,
    hashes: Vec<u64>,
    words: Vec<Vec<u64>>,
    ends: Vec<usize>,
    texts: Vec<u8>,
}

impl Held {
    fn of(layout: Layout) -> Self {
        Self { words: vec![Vec::new(); layout.words], ..Self::default() }
    }

    fn rows(&self) -> Rows<'_> {
        let texts = Texts { ends: &self.ends, bytes: &self.texts };
        Rows { codes: &self.codes, hashes: &self.hashes, words: &self.words, texts }
    }

    fn clear(&mut self) {
        self.codes.clear();
        self.hashes.clear();
        self.words.iter_mut().for_each(Vec::clear);
        self.ends.clear();
        self.texts.clear();
    }
}

/// Writes a ledger block by block, under a temporary name. Dropped before it is sealed, it leaves nothing behind.
pub struct LedgerWriter {
    file: AppendFile,
    layout: Layout,
    /// Not written yet, less than a block.
    held: Held,
    rows: u64,
    buffer: Vec<u8>,
}

impl LedgerWriter {
    /// Begins the ledger that will be `path`.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// # Panics
    /// When `layout` has more than [`MOST_WORDS`] words.
    pub fn create(disk: &Disk, path: &Path, layout: Layout) -> Result<Self> {
        assert!(layout.words <= MOST_WORDS, "a ledger of too many words");
        let mut file = AppendFile::create(disk, path)?;
        file.append(&layout.header())?;
        Ok(Self { file, layout, held: Held::of(layout), rows: 0, buffer: Vec::new() })
    }

    /// What the ledger has of each row.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Appends rows. How rows are cut into calls leaves no trace in the file.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// # Panics
    /// When the rows are not of the ledger's layout, or a text is longer than [`LONGEST_TEXT`].
    pub fn append(&mut self, rows: Rows<'_>) -> Result<()> {
        assert!(rows.fit(self.layout), "ledger rows of another layout");
        let mut first = 0;
        while first < rows.codes.len() {
            let most = (rows.codes.len() - first).min(BLOCK_ROWS - self.held.codes.len());
            let end = first + self.hold_texts(&rows.texts, first, most);
            let held = &mut self.held;
            held.codes.extend_from_slice(&rows.codes[first..end]);
            held.hashes.extend_from_slice(&rows.hashes[first..end]);
            for (held, words) in held.words.iter_mut().zip(rows.words) {
                held.extend_from_slice(&words[first..end]);
            }
            if self.held.codes.len() == BLOCK_ROWS || self.held.texts.len() >= BLOCK_TEXT_BYTES {
                self.write_block()?;
            }
            first = end;
        }
        Ok(())
    }

    /// Takes the texts of at most `most` rows, fewer where they fill a block; says of how many.
    fn hold_texts(&mut self, texts: &Texts<'_>, first: usize, most: usize) -> usize {
        if !self.layout.texts {
            return most;
        }
        for row in first..first + most {
            let text = texts.get(row);
            assert!(text.len() <= LONGEST_TEXT, "a text of {} bytes", text.len());
            self.held.texts.extend_from_slice(text);
            self.held.ends.push(self.held.texts.len());
            if self.held.texts.len() >= BLOCK_TEXT_BYTES {
                return row + 1 - first;
            }
        }
        most
    }

    /// Rows appended so far.
    pub fn rows(&self) -> u64 {
        self.rows + self.held.codes.len() as u64
    }

    /// Ends the ledger and makes its bytes durable; it gets its name when its shard is committed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn seal(mut self) -> Result<SealedLedger> {
        if !self.held.codes.is_empty() {
            self.write_block()?;
        }
        // A block without rows is the end.
        self.write_block()?;
        Ok(SealedLedger { rows: self.rows, file: self.file.finish()? })
    }

    fn write_block(&mut self) -> Result<()> {
        let Self { layout, held, buffer, .. } = self;
        let rows = held.codes.len();
        let width = match held.codes.iter().max() {
            None => 0,
            Some(0..=0xff) => 1,
            Some(0x100..=0xffff) => 2,
            Some(_) => 4,
        };
        let start_bytes = layout.start_bytes();
        buffer.clear();
        buffer.reserve_exact(start_bytes + CHECKSUM_BYTES + payload_bytes(*layout, rows, width, held.texts.len()));
        // Fewer than 2^32: a block has at most BLOCK_ROWS rows.
        buffer.extend_from_slice(&(rows as u32).to_le_bytes());
        buffer.extend_from_slice(&[width as u8, 0, 0, 0]);
        if layout.texts {
            buffer.extend_from_slice(&(held.texts.len() as u64).to_le_bytes());
        }
        buffer.resize(start_bytes + CHECKSUM_BYTES, 0);
        match width {
            1 => buffer.extend(held.codes.iter().map(|code| *code as u8)),
            2 => buffer.extend(held.codes.iter().flat_map(|code| (*code as u16).to_le_bytes())),
            _ => buffer.extend(held.codes.iter().flat_map(|code| code.to_le_bytes())),
        }
        for words in std::iter::once(&held.hashes).chain(&held.words) {
            let start = buffer.len();
            buffer.resize(start + rows * 8, 0);
            let (places, _) = buffer[start..].as_chunks_mut::<8>();
            places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_le_bytes());
        }
        let texts = Texts { ends: &held.ends, bytes: &held.texts };
        buffer.extend((0..held.ends.len()).flat_map(|row| (texts.get(row).len() as u32).to_le_bytes()));
        buffer.extend_from_slice(&held.texts);
        let payload = start_bytes + CHECKSUM_BYTES;
        let checksum = block_checksum(self.rows, &buffer[..start_bytes], &buffer[payload..]);
        buffer[start_bytes..payload].copy_from_slice(&checksum.to_le_bytes());
        self.file.append(buffer)?;
        self.rows += rows as u64;
        held.clear();
        Ok(())
    }
}

/// Bytes of a block after its checksum.
fn payload_bytes(layout: Layout, rows: usize, width: usize, text_bytes: usize) -> usize {
    rows * (width + 8 + layout.words * 8) + if layout.texts { rows * 4 + text_bytes } else { 0 }
}

/// A complete, durable ledger, still under its temporary name. Dropped, it is gone.
pub struct SealedLedger {
    rows: u64,
    file: FinishedFile,
}

impl SealedLedger {
    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The file underneath, to be published.
    pub(super) fn into_file(self) -> FinishedFile {
        self.file
    }

    /// The file underneath.
    pub(super) fn file(&self) -> &FinishedFile {
        &self.file
    }
}

/// Reads a ledger block by block into buffers that are reused.
pub struct LedgerReader {
    file: OpenFile,
    path: PathBuf,
    expected: SideFile,
    expected_rows: u64,
    layout: Layout,
    rows: u64,
    ended: bool,
    /// Of all bytes so far: the record's checksum is of the whole file.
    digest: Box<Xxh3>,
    buffer: Vec<u8>,
    held: Held,
}

/// Some consecutive rows of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerBlock<'a> {
    /// Number of the first row within the shard, from 0.
    pub first_row: u64,
    /// The rows.
    pub rows: Rows<'a>,
}

impl LedgerReader {
    /// Opens the ledger at `path`, which must be the file that `expected` describes and hold `rows` rows.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not there, of another length, or not a ledger; [`Error::Io`].
    pub fn open(disk: &Disk, path: &Path, expected: &SideFile, rows: u64) -> Result<Self> {
        expected.check_length(disk, path)?;
        let mut reader = Self {
            file: disk.open(path)?,
            path: path.to_path_buf(),
            expected: expected.clone(),
            expected_rows: rows,
            layout: Layout::default(),
            rows: 0,
            ended: false,
            digest: Box::default(),
            buffer: Vec::new(),
            held: Held::default(),
        };
        reader.fill(HEADER_BYTES)?;
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&reader.buffer);
        if header[..4] != MAGIC {
            return Err(reader.damaged("does not begin as a twopass ledger"));
        }
        let Some(layout) = Layout::of_header(header) else {
            return Err(reader.damaged("has another version than this twopass reads"));
        };
        reader.layout = layout;
        reader.held = Held::of(layout);
        Ok(reader)
    }

    /// What the ledger has of each row.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The next rows in order, or nothing after the last. Nothing means that every byte of the file was checked.
    ///
    /// # Errors
    /// [`Error::Damaged`] that says what is wrong; [`Error::Io`].
    pub fn next_block(&mut self) -> Result<Option<LedgerBlock<'_>>> {
        if self.ended {
            return Ok(None);
        }
        let start_bytes = self.layout.start_bytes();
        self.fill(start_bytes + CHECKSUM_BYTES)?;
        let mut header = [0; 16 + CHECKSUM_BYTES];
        header[..self.buffer.len()].copy_from_slice(&self.buffer);
        let (start, rest) = header.split_at(start_bytes);
        let rows = u32::from_le_bytes([start[0], start[1], start[2], start[3]]) as usize;
        let width = usize::from(start[4]);
        let text_bytes = start.get(8..16).map_or(0, |bytes| bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)));
        // Checked before anything is allocated or read by them.
        if rows > BLOCK_ROWS
            || !matches!((rows, width), (0, 0) | (1.., 1 | 2 | 4))
            || text_bytes > (BLOCK_TEXT_BYTES + LONGEST_TEXT) as u64
        {
            return Err(self.damaged("is damaged: a block header makes no sense"));
        }
        let text_bytes = text_bytes as usize;
        self.fill(payload_bytes(self.layout, rows, width, text_bytes))?;
        if block_checksum(self.rows, start, &self.buffer).to_le_bytes() != rest[..CHECKSUM_BYTES] {
            return Err(self.damaged("is damaged: a block's checksum does not match"));
        }
        if rows == 0 {
            self.check_end()?;
            self.ended = true;
            return Ok(None);
        }
        self.unpack(rows, width, text_bytes)?;
        let first_row = self.rows;
        self.rows += rows as u64;
        Ok(Some(LedgerBlock { first_row, rows: self.held.rows() }))
    }

    /// Reads to the end, for the checks alone.
    ///
    /// # Errors
    /// As [`LedgerReader::next_block`].
    pub fn verify(mut self) -> Result<()> {
        while self.next_block()?.is_some() {}
        Ok(())
    }

    fn unpack(&mut self, rows: usize, width: usize, text_bytes: usize) -> Result<()> {
        let Self { held, buffer, layout, .. } = self;
        held.clear();
        let (codes, mut rest) = buffer.split_at(rows * width);
        match width {
            1 => held.codes.extend(codes.iter().map(|byte| u32::from(*byte))),
            2 => held.codes.extend(codes.as_chunks().0.iter().map(|bytes| u32::from(u16::from_le_bytes(*bytes)))),
            _ => held.codes.extend(codes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))),
        }
        for words in std::iter::once(&mut held.hashes).chain(&mut held.words) {
            let (of_words, after) = rest.split_at(rows * 8);
            words.extend(of_words.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)));
            rest = after;
        }
        if layout.texts {
            let (lengths, texts) = rest.split_at(rows * 4);
            let mut end = 0;
            held.ends.extend(lengths.as_chunks().0.iter().map(|bytes| {
                end += u32::from_le_bytes(*bytes) as usize;
                end
            }));
            held.texts.extend_from_slice(texts);
            if end != text_bytes {
                return Err(self.damaged("is damaged: a block's texts are not as long as it says"));
            }
        }
        Ok(())
    }

    fn check_end(&mut self) -> Result<()> {
        if self.rows != self.expected_rows {
            let what = format!("holds {} rows where {} were recorded", self.rows, self.expected_rows);
            return Err(self.damaged(&what));
        }
        // Length was checked at the start; the file ends here exactly if the checksum of all bytes so far is right.
        if self.digest.digest128() != self.expected.xxh3 {
            return Err(self.damaged("is not the file that was recorded: its checksum does not match"));
        }
        Ok(())
    }

    /// Reads exactly `length` bytes into the buffer.
    fn fill(&mut self, length: usize) -> Result<()> {
        self.buffer.resize(length, 0);
        match self.file.read_exact(&mut self.buffer) {
            Ok(()) => {
                self.digest.update(&self.buffer);
                Ok(())
            }
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.damaged("is cut")),
            Err(e) => Err(Error::io("read", &self.path, e)),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Damaged { what: format!("the ledger {} {what}", self.path.display()), source: None }
    }
}

fn block_checksum(first_row: u64, start: &[u8], payload: &[u8]) -> u128 {
    let mut digest = Xxh3::new();
    digest.update(&first_row.to_le_bytes());
    digest.update(start);
    digest.update(payload);
    digest.digest128()
}
