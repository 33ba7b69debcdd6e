//! A stream of bytes cut into blocks of whole records. Only quotes and line ends are looked at.

use std::io::Read;

use crate::error::{Error, Result, Site};
use crate::source::discover::ShardFormat;

/// Longest record.
const LONGEST_RECORD: usize = 64 << 20;

/// The blocks of one shard, in order.
pub struct Blocks {
    reader: Box<dyn Read + Send>,
    format: ShardFormat,
    block_bytes: usize,
    /// Bytes read and not yet handed out; they begin at a record.
    rest: Vec<u8>,
    skip_header: bool,
    at_start: bool,
    ended: bool,
    shard: String,
}

impl Blocks {
    pub(super) fn new(
        reader: Box<dyn Read + Send>,
        format: ShardFormat,
        block_bytes: usize,
        skip_header: bool,
        shard: &str,
    ) -> Self {
        Self {
            reader,
            format,
            block_bytes,
            rest: Vec::new(),
            skip_header,
            at_start: true,
            ended: false,
            shard: shard.to_string(),
        }
    }

    /// Reads until a block's worth is there or the stream ends.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        while !self.ended && self.rest.len() < wanted {
            let missing = (wanted - self.rest.len()) as u64;
            let read = self.reader.by_ref().take(missing).read_to_end(&mut self.rest).map_err(|e| {
                Error::unreadable(Site::shard(&self.shard), "cannot be read to its end; it may be cut or damaged", e)
            })?;
            self.ended = read == 0;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        self.at_start = false;
        if self.rest.starts_with(&[0xff, 0xfe]) || self.rest.starts_with(&[0xfe, 0xff]) {
            let message =
                "is UTF-16 text; twopass reads UTF-8: convert it, for example with `iconv -f UTF-16 -t UTF-8`";
            return Err(Error::data(Site::shard(&self.shard), message));
        }
        if self.rest.starts_with(&[0xef, 0xbb, 0xbf]) {
            self.rest.drain(..3);
        }
        Ok(())
    }

    fn next_block(&mut self) -> Result<Option<Vec<u8>>> {
        let mut wanted = self.block_bytes.max(4);
        loop {
            self.fill(wanted)?;
            if self.at_start {
                self.start()?;
            }
            if self.rest.is_empty() {
                return Ok(None);
            }
            let mut end = if self.ended { self.rest.len() } else { last_record_end(&self.rest, self.format) };
            if self.skip_header && end > 0 {
                let header = first_record_end(&self.rest, self.format).unwrap_or(self.rest.len());
                self.rest.drain(..header);
                end -= header.min(end);
                self.skip_header = false;
                if self.rest.is_empty() {
                    return Ok(None);
                }
            }
            if end > 0 {
                let tail = self.rest.split_off(end);
                return Ok(Some(std::mem::replace(&mut self.rest, tail)));
            }
            if self.rest.len() >= LONGEST_RECORD {
                let message =
                    format!("has a record longer than {} MiB; a quote may never be closed", LONGEST_RECORD >> 20);
                return Err(Error::data(Site::shard(&self.shard), message));
            }
            wanted = (self.rest.len() * 2).max(wanted);
        }
    }
}

impl Iterator for Blocks {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.next_block();
        if block.is_err() {
            self.ended = true;
            self.rest.clear();
        }
        block.transpose()
    }
}

/// Where the last complete record of `bytes` ends, its line end included; 0 when none does.
fn last_record_end(bytes: &[u8], format: ShardFormat) -> usize {
    match format {
        ShardFormat::Delimited { delimiter } if memchr::memchr(b'"', bytes).is_some() => {
            RecordEnds { bytes, delimiter, at: 0 }.last().unwrap_or(0)
        }
        _ => memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1),
    }
}

fn first_record_end(bytes: &[u8], format: ShardFormat) -> Option<usize> {
    match format {
        ShardFormat::Delimited { delimiter } => {
            let mut start = 0;
            // Blank lines before the header are no header.
            while let Some(b'\n' | b'\r') = bytes.get(start) {
                start += 1;
            }
            RecordEnds { bytes, delimiter, at: start }.next()
        }
        _ => memchr::memchr(b'\n', bytes).map(|at| at + 1),
    }
}

/// The ends of the complete records of CSV: line ends outside quotes. A quote opens a field only at its start.
struct RecordEnds<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    at: usize,
}

impl Iterator for RecordEnds<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let found = self.at + memchr::memchr2(b'"', b'\n', self.bytes.get(self.at..)?)?;
            self.at = found + 1;
            if self.bytes[found] == b'\n' {
                return Some(self.at);
            }
            let opens =
                found == 0 || matches!(self.bytes[found - 1], b'\n' | b'\r') || self.bytes[found - 1] == self.delimiter;
            if opens {
                self.at = self.closing_quote(self.at)?;
            }
        }
    }
}

impl RecordEnds<'_> {
    /// The place behind the quote that closes a field.
    fn closing_quote(&self, mut at: usize) -> Option<usize> {
        loop {
            at += memchr::memchr(b'"', self.bytes.get(at..)?)? + 1;
            // A quote as the last byte may be half of a doubled one: more bytes will tell.
            if *self.bytes.get(at)? != b'"' {
                return Some(at);
            }
            at += 1;
        }
    }
}
