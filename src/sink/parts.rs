//! The files of the output, written one piece after the other in row order by a thread of their own, so that neither the
//! disk nor an fsync stops the columns' work.

use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parquet::file::writer::SerializedFileWriter;
use serde::{Deserialize, Serialize};

use super::{parquet as columns, text};
use crate::disk::{AppendFile, Disk};
use crate::error::{Error, Result};
use crate::plan::PlannedPart;

/// A file of the output, complete and durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPart {
    /// Path relative to the output directory, with `/`.
    pub path: String,
    /// Paths of files with the same bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// Rows in it.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Hex XXH3-128 of all its bytes.
    pub xxh3: String,
}

/// The next rows of a split, encoded.
pub enum Piece {
    /// A row group: a chunk of every column.
    RowGroup {
        /// Position of the split.
        split: usize,
        /// The columns, in order.
        chunks: Vec<columns::EncodedChunk>,
    },
    /// Lines.
    Lines {
        /// Position of the split.
        split: usize,
        /// How many rows they are.
        rows: u64,
        /// Their bytes.
        bytes: Vec<u8>,
    },
}

/// How parts are written.
pub enum Format {
    /// Apache Parquet.
    Parquet(columns::Format),
    /// CSV, TSV or JSON lines.
    Text(text::Format),
}

/// Where parts go.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    /// The file system.
    pub disk: &'a Disk,
    /// Where the file of a path is written.
    pub staged: &'a (dyn Fn(&str) -> PathBuf + Sync),
    /// Told of each part once it is durable; what it fails with ends the writing.
    pub sealed: &'a (dyn Fn(&SealedPart) -> Result<()> + Sync),
}

enum Open {
    Parquet(Box<SerializedFileWriter<BufWriter<AppendFile>>>),
    Text(Box<BufWriter<AppendFile>>),
}

struct OpenPart {
    number: usize,
    rows: u64,
    file: Open,
}

const BUFFER_BYTES: usize = 1 << 20;

/// Writes the pieces of `receiver` to `parts`; returns the sealed parts in the same order.
///
/// # Errors
/// [`Error::Io`] and [`Error::Failed`] that name the part, and what [`Destination::sealed`] fails with.
pub fn write(
    destination: Destination<'_>,
    format: &Format,
    parts: &[PlannedPart],
    receiver: &Receiver<Piece>,
) -> Result<Vec<SealedPart>> {
    std::thread::scope(|scope| {
        let (to_seal, sealing) = sync_channel::<(usize, u64, AppendFile)>(2);
        let sealer = scope.spawn(move || seal(destination, parts, &sealing));
        let written = Writer::new(destination, format, parts).and_then(|writer| writer.run(receiver, to_seal));
        let sealed = sealer.join().unwrap_or_else(|_| Err(Error::failed("sealing a part", "the thread panicked")));
        written.and(sealed)
    })
}

fn seal(
    destination: Destination<'_>,
    parts: &[PlannedPart],
    sealing: &Receiver<(usize, u64, AppendFile)>,
) -> Result<Vec<SealedPart>> {
    let mut sealed: Vec<Option<SealedPart>> = vec![None; parts.len()];
    for (number, rows, file) in sealing {
        let file = file.seal()?;
        let PlannedPart { path, copies, .. } = parts[number].clone();
        let part = SealedPart { path, copies, rows, bytes: file.bytes, xxh3: format!("{:032x}", file.xxh3) };
        (destination.sealed)(&part)?;
        sealed[number] = Some(part);
    }
    Ok(sealed.into_iter().flatten().collect())
}

struct Writer<'a> {
    destination: Destination<'a>,
    format: &'a Format,
    parts: &'a [PlannedPart],
    /// For each split the number of its next part, and the part that is open.
    splits: Vec<(usize, Option<OpenPart>)>,
}

impl<'a> Writer<'a> {
    fn new(destination: Destination<'a>, format: &'a Format, parts: &'a [PlannedPart]) -> Result<Self> {
        let count = parts.last().map_or(0, |part| part.split + 1);
        let first = |split| parts.iter().position(|part| part.split == split).unwrap_or(parts.len());
        Ok(Self { destination, format, parts, splits: (0..count).map(|split| (first(split), None)).collect() })
    }

    fn run(
        mut self,
        receiver: &Receiver<Piece>,
        to_seal: SyncSender<(usize, u64, AppendFile)>,
    ) -> Result<Vec<SealedPart>> {
        for piece in receiver {
            match piece {
                Piece::RowGroup { split, chunks } => self.row_group(split, chunks, &to_seal)?,
                Piece::Lines { split, rows, bytes } => self.lines(split, rows, &bytes, &to_seal)?,
            }
        }
        for split in 0..self.splits.len() {
            let (next, open) = &self.splits[split];
            if open.is_none() && self.parts.get(*next).is_some_and(|part| part.split == split && part.rows == 0) {
                self.open(split)?;
                self.advance(split, 0, &to_seal)?;
            }
        }
        Ok(Vec::new())
    }

    fn row_group(
        &mut self,
        split: usize,
        chunks: Vec<columns::EncodedChunk>,
        to_seal: &SyncSender<(usize, u64, AppendFile)>,
    ) -> Result<()> {
        let rows = chunks.first().map_or(0, columns::EncodedChunk::rows);
        let path = self.path(split);
        let failed = |e| Error::failed(format!("writing {}", path.display()), e);
        let Open::Parquet(writer) = &mut self.open(split)?.file else { return Ok(()) };
        let mut group = writer.next_row_group().map_err(failed)?;
        for chunk in chunks {
            chunk.append_to(&mut group).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.advance(split, rows, to_seal)
    }

    fn lines(
        &mut self,
        split: usize,
        rows: u64,
        bytes: &[u8],
        to_seal: &SyncSender<(usize, u64, AppendFile)>,
    ) -> Result<()> {
        let path = self.path(split);
        if let Open::Text(writer) = &mut self.open(split)?.file {
            std::io::Write::write_all(writer, bytes).map_err(|e| Error::io("write", &path, e))?;
        }
        self.advance(split, rows, to_seal)
    }

    fn path(&self, split: usize) -> PathBuf {
        (self.destination.staged)(&self.parts[self.splits[split].0].path)
    }

    fn open(&mut self, split: usize) -> Result<&mut OpenPart> {
        let path = self.path(split);
        let (number, open) = &mut self.splits[split];
        if open.is_none() {
            let mut file = BufWriter::with_capacity(BUFFER_BYTES, AppendFile::create(self.destination.disk, &path)?);
            let file = match self.format {
                Format::Parquet(format) => {
                    let root = format.descriptor().root_schema_ptr();
                    let writer = SerializedFileWriter::new(file, root, Arc::clone(&format.properties));
                    Open::Parquet(Box::new(
                        writer.map_err(|e| Error::failed(format!("opening {}", path.display()), e))?,
                    ))
                }
                Format::Text(format) => {
                    let header = format.header()?;
                    std::io::Write::write_all(&mut file, &header).map_err(|e| Error::io("write", &path, e))?;
                    Open::Text(Box::new(file))
                }
            };
            *open = Some(OpenPart { number: *number, rows: 0, file });
        }
        open.as_mut().ok_or_else(|| Error::failed("opening a part", "it is not there"))
    }

    /// Counts rows into the open part and hands it over when it is complete.
    fn advance(&mut self, split: usize, rows: u64, to_seal: &SyncSender<(usize, u64, AppendFile)>) -> Result<()> {
        let path = self.path(split);
        let (next, open) = &mut self.splits[split];
        let Some(part) = open else { return Ok(()) };
        part.rows += rows;
        if part.rows < self.parts[part.number].rows {
            return Ok(());
        }
        let Some(part) = open.take() else { return Ok(()) };
        *next += 1;
        let unwrap =
            |writer: BufWriter<AppendFile>| writer.into_inner().map_err(|e| Error::io("write", &path, e.into_error()));
        let file = match part.file {
            Open::Parquet(writer) => {
                let buffered =
                    writer.into_inner().map_err(|e| Error::failed(format!("closing {}", path.display()), e))?;
                unwrap(buffered)?
            }
            Open::Text(writer) => unwrap(*writer)?,
        };
        // The sealer is gone only when it failed, and then its error is the one to tell.
        let _ = to_seal.send((part.number, part.rows, file));
        Ok(())
    }
}
