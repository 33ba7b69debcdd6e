//! The pages of a column chunk: found, checked against what the footer says, and decompressed to no more than they
//! claim. A page is refused before anything is allocated for it that its bytes or the budget do not account for. What is
//! checked here is what the decoders behind, the one here and the library's, would take on trust.

use std::io::Read;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::compression::{Codec, CodecOptions, create_codec};
use parquet::data_type::Int32Type;
use parquet::encodings::decoding::{Decoder, DeltaBitPackDecoder};
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::RowGroupRange;
use super::bytes::ChunkBytes;
use super::header::{self, DataHeader, Header, Kind, Version};

/// Bytes in which a header is looked for first; statistics may make it longer.
const HEADER_BYTES: usize = 512;
/// Bytes that a Brotli decoder reads at once.
const BROTLI_BUFFER: usize = 4096;
/// How a frame of the old LZ4 framing begins.
const LZ4_FRAME: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// A column chunk's pages, one after the other.
pub(super) struct StoredPages {
    bytes: ChunkBytes,
    at: u64,
    end: u64,
    codec: Decompressor,
    /// Bytes of a value of fixed length.
    width: usize,
    nullable: bool,
    /// Rows of the row group that no page has brought yet.
    rows_left: u64,
    /// Bytes that a page may have.
    most: u64,
    /// The header of the page at `at`, when it was read already: `at` is then behind it.
    ahead: Option<Header>,
}

impl StoredPages {
    pub(super) fn new(range: &RowGroupRange, column: usize) -> ParquetResult<Self> {
        let meta = range.meta().column(column);
        let bytes = ChunkBytes::new(&range.shard, meta)?;
        Self::over(bytes, range.shard.most_page_bytes, meta, range.meta().num_rows())
    }

    /// The pages in `bytes` of a chunk of `rows` rows, each of at most `most` bytes.
    pub(super) fn over(
        bytes: ChunkBytes,
        most: u64,
        meta: &parquet::file::metadata::ColumnChunkMetaData,
        rows: i64,
    ) -> ParquetResult<Self> {
        let (start, length) = meta.byte_range();
        let descriptor = meta.column_descr();
        Ok(Self {
            bytes,
            at: start,
            end: start + length,
            codec: Decompressor::new(meta.compression())?,
            width: match meta.column_type() {
                Type::FIXED_LEN_BYTE_ARRAY => descriptor.type_length().max(1) as usize,
                Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
                Type::INT64 | Type::DOUBLE => 8,
                Type::INT96 => 12,
                Type::BOOLEAN => 1,
            },
            nullable: descriptor.max_def_level() > 0,
            rows_left: rows.max(0) as u64,
            most,
            ahead: None,
        })
    }

    /// The header of the next page that has rows or a dictionary; nothing after the last.
    fn header(&mut self) -> ParquetResult<Option<Header>> {
        while self.ahead.is_none() {
            if self.at >= self.end {
                return Ok(None);
            }
            let header = self.read_header()?;
            self.at += header.length as u64;
            let left = self.end - self.at;
            if header.compressed as u64 > left {
                let message = format!("a page of {} bytes, where its column chunk has {left} left", header.compressed);
                return Err(ParquetError::General(message));
            }
            match header.kind {
                Kind::Other => self.at += header.compressed as u64,
                Kind::Data(data) => {
                    self.claim(data)?;
                    self.ahead = Some(header);
                }
                Kind::Dictionary { .. } => self.ahead = Some(header),
            }
        }
        Ok(self.ahead)
    }

    fn read_header(&self) -> ParquetResult<Header> {
        let mut length = HEADER_BYTES;
        loop {
            let left = self.end - self.at;
            let bytes = self.bytes.get(self.at, left.min(length as u64) as usize)?;
            if let Some(header) = header::parse(&bytes)? {
                return Ok(header);
            }
            if length as u64 >= left.min(self.most) {
                return Err(ParquetError::EOF("a page header goes on behind its column chunk".into()));
            }
            length *= 8;
        }
    }

    /// Checks the rows that a page says it has against those that the row group has left.
    fn claim(&mut self, data: DataHeader) -> ParquetResult<()> {
        let values = u64::from(data.values);
        if let Version::Two { rows, nulls, .. } = data.version
            && (rows != data.values || nulls > data.values)
        {
            let message = format!("a page of {rows} rows with {values} values and {nulls} missing ones");
            return Err(ParquetError::General(message));
        }
        self.rows_left = self.rows_left.checked_sub(values).ok_or_else(|| {
            ParquetError::General(format!("a page of {values} rows, where the row group has {} left", self.rows_left))
        })?;
        Ok(())
    }

    fn next_page(&mut self) -> ParquetResult<Option<Page>> {
        let Some(header) = self.header()? else { return Ok(None) };
        self.check_size(header.compressed.max(header.uncompressed) as u64)?;
        let stored = self.bytes.get(self.at, header.compressed)?;
        let page = self.page(header, stored)?;
        self.at += header.compressed as u64;
        self.ahead = None;
        Ok(Some(page))
    }

    fn page(&mut self, header: Header, stored: Bytes) -> ParquetResult<Page> {
        match header.kind {
            Kind::Dictionary { values, encoding } => {
                let buf = self.codec.decompress(stored, 0, header.uncompressed)?;
                let most = buf.len() / self.width;
                if values as usize > most {
                    let message = format!("a dictionary of {values} values in {} bytes", buf.len());
                    return Err(ParquetError::General(message));
                }
                Ok(Page::DictionaryPage { buf, num_values: values, encoding, is_sorted: false })
            }
            Kind::Data(DataHeader { values, encoding, version: Version::One { definition, repetition } }) => {
                let buf = self.codec.decompress(stored, 0, header.uncompressed)?;
                self.check_values(&buf, if self.nullable { None } else { Some(0) }, values, encoding)?;
                Ok(Page::DataPage {
                    buf,
                    num_values: values,
                    encoding,
                    def_level_encoding: definition,
                    rep_level_encoding: repetition,
                    statistics: None,
                })
            }
            Kind::Data(DataHeader {
                values,
                encoding,
                version: Version::Two { nulls, rows, definition_bytes, repetition_bytes, compressed },
            }) => {
                let levels = definition_bytes + repetition_bytes;
                if levels > stored.len() || levels > header.uncompressed {
                    return Err(ParquetError::EOF("the levels of a page reach beyond its end".into()));
                }
                let buf = match compressed {
                    true => self.codec.decompress(stored, levels, header.uncompressed)?,
                    false => stored,
                };
                self.check_values(&buf, Some(levels), values, encoding)?;
                Ok(Page::DataPageV2 {
                    buf,
                    num_values: values,
                    encoding,
                    num_nulls: nulls,
                    num_rows: rows,
                    def_levels_byte_len: definition_bytes as u32,
                    rep_levels_byte_len: repetition_bytes as u32,
                    is_compressed: compressed,
                    statistics: None,
                })
            }
            Kind::Other => Err(ParquetError::General("a page of no known kind".into())),
        }
    }

    /// Lengths of texts in delta encodings are decoded at once, as many as they say: checked here, with what the texts add
    /// up to once their common beginnings are repeated.
    fn check_values(&self, page: &Bytes, start: Option<usize>, values: u32, encoding: Encoding) -> ParquetResult<()> {
        if !matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
            return Ok(());
        }
        let start = match start {
            Some(start) => start,
            None => super::pages::levels_end(page)?,
        };
        let (lengths, end) = self.lengths(&page.slice(start..), values)?;
        let mut total: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        if encoding == Encoding::DELTA_BYTE_ARRAY {
            let (suffixes, _) = self.lengths(&page.slice((start + end).min(page.len())..), values)?;
            if suffixes.len() != lengths.len() {
                return Err(ParquetError::General("texts whose beginnings and ends differ in number".into()));
            }
            let mut previous = 0;
            for (prefix, suffix) in lengths.iter().zip(&suffixes) {
                if u64::from(*prefix) > previous {
                    return Err(ParquetError::General(
                        "a text that begins with more than the one before it has".into(),
                    ));
                }
                previous = u64::from(*prefix) + u64::from(*suffix);
                total += u64::from(*suffix);
            }
        }
        self.check_size(total)
    }

    fn check_size(&self, size: u64) -> ParquetResult<()> {
        if size > self.most {
            return Err(ParquetError::External(Box::new(TooLarge { size, most: self.most })));
        }
        Ok(())
    }

    /// Lengths in delta encoding, at most `values`, and where they end.
    fn lengths(&self, bytes: &Bytes, values: u32) -> ParquetResult<(Vec<u32>, usize)> {
        let mut decoder = DeltaBitPackDecoder::<Int32Type>::new();
        decoder.set_data(bytes.clone(), 0)?;
        let count = decoder.values_left();
        if count > values as usize {
            return Err(ParquetError::General(format!("{count} lengths in a page of {values} values")));
        }
        self.check_size(count as u64 * 8)?;
        let mut lengths = vec![0; count];
        let read = decoder.get(&mut lengths)?;
        let lengths: Vec<u32> = lengths.into_iter().map_while(|length| u32::try_from(length).ok()).collect();
        if read < count || lengths.len() < count {
            return Err(ParquetError::General("lengths that end early, or negative ones".into()));
        }
        Ok((lengths, decoder.get_offset()))
    }
}

/// A page beyond what the budget has for one.
#[derive(Debug, thiserror::Error)]
#[error("a page has {size} bytes when it is read, and there is room for {most}")]
pub(super) struct TooLarge {
    size: u64,
    most: u64,
}

impl Iterator for StoredPages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_page().transpose()
    }
}

impl PageReader for StoredPages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        self.next_page()
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        let metadata = |header: Header| match header.kind {
            Kind::Data(DataHeader { values, version, .. }) => PageMetadata {
                num_rows: matches!(version, Version::Two { .. }).then_some(values as usize),
                num_levels: Some(values as usize),
                is_dict: false,
            },
            _ => PageMetadata { num_rows: None, num_levels: None, is_dict: true },
        };
        Ok(self.header()?.map(metadata))
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        if let Some(header) = self.header()? {
            self.at += header.compressed as u64;
            self.ahead = None;
        }
        Ok(())
    }
}

/// How a chunk's pages are decompressed, never to more than they claim.
enum Decompressor {
    None,
    Gzip,
    Brotli,
    /// By the library, which takes the claimed size as a limit; for the old framing of LZ4 it does not.
    Library {
        codec: Box<dyn Codec>,
        framed: bool,
    },
}

impl Decompressor {
    fn new(compression: Compression) -> ParquetResult<Self> {
        Ok(match compression {
            // The library would decompress these to their ends, whatever they claim.
            Compression::GZIP(_) => Self::Gzip,
            Compression::BROTLI(_) => Self::Brotli,
            other => match create_codec(other, &CodecOptions::default())? {
                Some(codec) => Self::Library { codec, framed: other == Compression::LZ4 },
                None => Self::None,
            },
        })
    }

    /// `stored` with all but its first `levels` bytes decompressed: `size` bytes in all.
    fn decompress(&mut self, stored: Bytes, levels: usize, size: usize) -> ParquetResult<Bytes> {
        if matches!(self, Self::None) {
            return Ok(stored);
        }
        let mut plain = Vec::with_capacity(size);
        plain.extend_from_slice(&stored[..levels]);
        let (compressed, wanted) = (&stored[levels..], size - levels);
        // A page without any value may have no bytes at all.
        let read = match self {
            _ if wanted == 0 => 0,
            Self::None => 0,
            Self::Gzip => limited(flate2::bufread::MultiGzDecoder::new(compressed), wanted, &mut plain)?,
            Self::Brotli => limited(brotli::Decompressor::new(compressed, BROTLI_BUFFER), wanted, &mut plain)?,
            Self::Library { codec, framed } => {
                if *framed && compressed.starts_with(&LZ4_FRAME) {
                    check_lz4_frame(compressed, wanted)?;
                }
                codec.decompress(compressed, &mut plain, Some(wanted))?
            }
        };
        if read != wanted || plain.len() != size {
            let message = format!("a page of {wanted} bytes is decompressed to other than that");
            return Err(ParquetError::General(message));
        }
        Ok(plain.into())
    }
}

/// Reads `wanted` bytes, and one more where there are more.
fn limited(reader: impl Read, wanted: usize, plain: &mut Vec<u8>) -> ParquetResult<usize> {
    Ok(reader.take(wanted as u64 + 1).read_to_end(plain)?)
}

/// Checks that the blocks of an LZ4 frame cannot become much more than `wanted` bytes: the last of them may be shorter
/// than it could.
fn check_lz4_frame(frame: &[u8], wanted: usize) -> ParquetResult<()> {
    let cut = || ParquetError::EOF("an LZ4 frame ends early".into());
    let &[_, _, _, _, flags, block, ..] = frame else { return Err(cut()) };
    let most = match (block >> 4) & 7 {
        size @ 4..=7 => 1_usize << (8 + 2 * size),
        _ => return Err(ParquetError::General("an LZ4 frame of a block size that does not exist".into())),
    };
    let (checked, sized, named) = (flags & 0x10 != 0, flags & 0x08 != 0, flags & 0x01 != 0);
    let mut at = 7 + if sized { 8 } else { 0 } + if named { 4 } else { 0 };
    let mut possible = 0_usize;
    loop {
        let head = frame.get(at..at + 4).ok_or_else(cut)?;
        let head = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        if head == 0 {
            return Ok(());
        }
        let stored = (head & 0x7fff_ffff) as usize;
        possible += most.min(stored.saturating_mul(255));
        if possible > wanted.saturating_add(most) {
            return Err(ParquetError::General(format!("an LZ4 frame of more than the {wanted} bytes it claims")));
        }
        at = at + 4 + stored + if checked { 4 } else { 0 };
    }
}
