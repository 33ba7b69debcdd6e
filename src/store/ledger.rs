//! The row ledger of a shard: what the splits need of each row, in row order, streamed both ways in bounded memory.
//! Never knows what a code or a hash means.
//!
//! ```text
//! file   =  "2PSL", version u16, zero u16, block*, end
//! block  =  rows u32 (1 to 65,536), width u8 (1, 2 or 4), zero u8 × 3, checksum u128,
//!           codes (rows × width bytes), hashes (rows × 8 bytes)
//! end    =  rows 0, width 0, zero u8 × 3, checksum u128
//! ```
//!
//! All integers are little-endian. A block stores its codes in the narrowest width that holds its largest. Its
//! checksum is XXH3-128 of the number of the block's first row (u64), its first 8 bytes, its codes and its hashes:
//! blocks cannot trade places, and the end proves the number of rows.

use std::io::Read;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::record::SideFile;
use crate::disk::{AppendFile, Disk, FinishedFile, OpenFile};
use crate::error::{Error, Result};

const HEADER: [u8; 8] = *b"2PSL\x01\0\0\0";
const BLOCK_HEADER: usize = 24;

/// Rows of a block; only a ledger's last may have fewer.
pub const BLOCK_ROWS: usize = 65_536;

/// Memory that a [`LedgerWriter`] or a [`LedgerReader`] holds, at most, in bytes.
pub const LEDGER_BUFFER_BYTES: u64 = (BLOCK_ROWS * (4 + 8) * 2) as u64;

/// Writes a ledger block by block, under a temporary name. Dropped before it is sealed, it leaves nothing behind.
pub struct LedgerWriter {
    file: AppendFile,
    /// Of the rows not written yet, fewer than a block.
    codes: Vec<u32>,
    hashes: Vec<u64>,
    rows: u64,
    buffer: Vec<u8>,
}

impl LedgerWriter {
    /// Begins the ledger that will be `path`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(disk: &Disk, path: &Path) -> Result<Self> {
        let mut file = AppendFile::create(disk, path)?;
        file.append(&HEADER)?;
        Ok(Self { file, codes: Vec::new(), hashes: Vec::new(), rows: 0, buffer: Vec::new() })
    }

    /// Appends rows: one code and one hash each. How rows are cut into calls leaves no trace in the file.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// # Panics
    /// When there are not as many codes as hashes.
    pub fn append(&mut self, mut codes: &[u32], mut hashes: &[u64]) -> Result<()> {
        assert_eq!(codes.len(), hashes.len(), "a ledger row is one code and one hash");
        while !codes.is_empty() {
            let taken = codes.len().min(BLOCK_ROWS - self.codes.len());
            self.codes.extend_from_slice(&codes[..taken]);
            self.hashes.extend_from_slice(&hashes[..taken]);
            (codes, hashes) = (&codes[taken..], &hashes[taken..]);
            if self.codes.len() == BLOCK_ROWS {
                self.write_block()?;
            }
        }
        Ok(())
    }

    /// Rows appended so far.
    pub fn rows(&self) -> u64 {
        self.rows + self.codes.len() as u64
    }

    /// Ends the ledger and makes its bytes durable; it gets its name when its shard is committed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn seal(mut self) -> Result<SealedLedger> {
        if !self.codes.is_empty() {
            self.write_block()?;
        }
        // A block without rows is the end.
        self.write_block()?;
        Ok(SealedLedger { rows: self.rows, file: self.file.finish()? })
    }

    fn write_block(&mut self) -> Result<()> {
        let rows = self.codes.len();
        let width = match self.codes.iter().max() {
            None => 0,
            Some(0..=0xff) => 1,
            Some(0x100..=0xffff) => 2,
            Some(_) => 4,
        };
        self.buffer.clear();
        self.buffer.reserve_exact(BLOCK_HEADER + rows * (usize::from(width) + 8));
        // Fewer than 2^32: a block has at most BLOCK_ROWS rows.
        self.buffer.extend_from_slice(&(rows as u32).to_le_bytes());
        self.buffer.extend_from_slice(&[width, 0, 0, 0]);
        self.buffer.resize(BLOCK_HEADER, 0);
        match width {
            1 => self.buffer.extend(self.codes.iter().map(|code| *code as u8)),
            2 => self.buffer.extend(self.codes.iter().flat_map(|code| (*code as u16).to_le_bytes())),
            _ => self.buffer.extend(self.codes.iter().flat_map(|code| code.to_le_bytes())),
        }
        let start = self.buffer.len();
        self.buffer.resize(start + rows * 8, 0);
        let (places, _) = self.buffer[start..].as_chunks_mut::<8>();
        places.iter_mut().zip(&self.hashes).for_each(|(place, hash)| *place = hash.to_le_bytes());
        let checksum = block_checksum(self.rows, &self.buffer[..8], &self.buffer[BLOCK_HEADER..]);
        self.buffer[8..BLOCK_HEADER].copy_from_slice(&checksum.to_le_bytes());
        self.file.append(&self.buffer)?;
        self.rows += rows as u64;
        self.codes.clear();
        self.hashes.clear();
        Ok(())
    }
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
    rows: u64,
    ended: bool,
    /// Of all bytes so far: the record's checksum is of the whole file.
    digest: Box<Xxh3>,
    buffer: Vec<u8>,
    codes: Vec<u32>,
    hashes: Vec<u64>,
}

/// Some consecutive rows of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerBlock<'a> {
    /// Number of the first row within the shard, from 0.
    pub first_row: u64,
    /// One code a row.
    pub codes: &'a [u32],
    /// One hash a row.
    pub hashes: &'a [u64],
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
            rows: 0,
            ended: false,
            digest: Box::default(),
            buffer: Vec::new(),
            codes: Vec::new(),
            hashes: Vec::new(),
        };
        reader.fill(HEADER.len())?;
        if reader.buffer[..4] != HEADER[..4] {
            return Err(reader.damaged("does not begin as a twopass ledger"));
        }
        if reader.buffer != HEADER {
            return Err(reader.damaged("has another version than this twopass reads"));
        }
        Ok(reader)
    }

    /// The next rows in order, or nothing after the last. Nothing means that every byte of the file was checked.
    ///
    /// # Errors
    /// [`Error::Damaged`] that says what is wrong; [`Error::Io`].
    pub fn next_block(&mut self) -> Result<Option<LedgerBlock<'_>>> {
        if self.ended {
            return Ok(None);
        }
        self.fill(BLOCK_HEADER)?;
        let mut header = [0; BLOCK_HEADER];
        header.copy_from_slice(&self.buffer);
        let (start, checksum) = header.split_at(8);
        let rows = u32::from_le_bytes([start[0], start[1], start[2], start[3]]) as usize;
        let width = usize::from(start[4]);
        // Checked before anything is allocated or read by them.
        if rows > BLOCK_ROWS || !matches!((rows, width), (0, 0) | (1.., 1 | 2 | 4)) {
            return Err(self.damaged("is damaged: a block header makes no sense"));
        }
        self.fill(rows * (width + 8))?;
        if block_checksum(self.rows, start, &self.buffer).to_le_bytes() != checksum {
            return Err(self.damaged("is damaged: a block's checksum does not match"));
        }
        if rows == 0 {
            self.check_end()?;
            self.ended = true;
            return Ok(None);
        }
        self.unpack(rows, width);
        let first_row = self.rows;
        self.rows += rows as u64;
        Ok(Some(LedgerBlock { first_row, codes: &self.codes, hashes: &self.hashes }))
    }

    /// Reads to the end, for the checks alone.
    ///
    /// # Errors
    /// As [`LedgerReader::next_block`].
    pub fn verify(mut self) -> Result<()> {
        while self.next_block()?.is_some() {}
        Ok(())
    }

    fn unpack(&mut self, rows: usize, width: usize) {
        let (codes, hashes) = self.buffer.split_at(rows * width);
        self.codes.clear();
        match width {
            1 => self.codes.extend(codes.iter().map(|byte| u32::from(*byte))),
            2 => self.codes.extend(codes.as_chunks().0.iter().map(|bytes| u32::from(u16::from_le_bytes(*bytes)))),
            _ => self.codes.extend(codes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))),
        }
        self.hashes.clear();
        let (hashes, _) = hashes.as_chunks::<8>();
        self.hashes.extend(hashes.iter().map(|bytes| u64::from_le_bytes(*bytes)));
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
