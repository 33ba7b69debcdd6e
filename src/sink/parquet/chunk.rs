//! A column chunk: pages as they are completed, and, when the row group is full, the bytes and the metadata of all.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::compression::{Codec, CodecOptionsBuilder, create_codec};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::source::parquet::copy::StoredChunk;

/// One column of a row group, encoded.
pub enum EncodedChunk {
    /// By our encoder.
    Pages {
        /// The pages with their headers, the dictionary's first.
        pages: Vec<Bytes>,
        /// What the footer says of them; offsets count from the first page.
        close: Box<ColumnCloseResult>,
    },
    /// By the library's encoder.
    Library(Box<ArrowColumnChunk>),
    /// By whoever wrote the shard.
    Stored(StoredChunk),
}

impl EncodedChunk {
    /// Rows in it.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Pages { close, .. } => close.rows_written,
            Self::Library(chunk) => chunk.close().rows_written,
            Self::Stored(chunk) => chunk.rows(),
        }
    }

    /// Makes it the next column of a row group.
    ///
    /// # Errors
    /// When it is not of the column that is next, or the file cannot be written.
    pub fn append_to<W: Write + Send>(self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<()> {
        match self {
            Self::Pages { pages, close } => group.append_column(&Pages(pages), *close),
            Self::Library(chunk) => chunk.append_to_row_group(group),
            Self::Stored(chunk) => group.append_column(&chunk, chunk.close()),
        }
    }
}

/// Pages one after the other, as a source of bytes.
struct Pages(Vec<Bytes>);

impl Length for Pages {
    fn len(&self) -> u64 {
        self.0.iter().map(|page| page.len() as u64).sum()
    }
}

impl ChunkReader for Pages {
    type T = PagesFrom;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        if start != 0 {
            return Err(ParquetError::General("a chunk is copied from its start".into()));
        }
        Ok(PagesFrom(self.0.clone().into_iter().collect()))
    }

    fn get_bytes(&self, _: u64, _: usize) -> Result<Bytes> {
        Err(ParquetError::General("a chunk is copied as a whole".into()))
    }
}

struct PagesFrom(std::collections::VecDeque<Bytes>);

impl Read for PagesFrom {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(page) = self.0.front_mut() else { return Ok(0) };
        let read = page.as_ref().read(buffer)?;
        bytes::Buf::advance(page, read);
        if page.is_empty() {
            self.0.pop_front();
        }
        Ok(read)
    }
}

/// Compresses pages; one serves many chunks.
pub struct Compressor {
    compression: Compression,
    codec: Option<Box<dyn Codec>>,
}

impl Compressor {
    /// A compressor of this kind.
    ///
    /// # Errors
    /// When the library lacks it.
    pub fn new(compression: Compression) -> Result<Self> {
        let codec = create_codec(compression, &CodecOptionsBuilder::default().build())?;
        Ok(Self { compression, codec })
    }

    fn compress(&mut self, body: &[u8]) -> Result<Bytes> {
        let Some(codec) = &mut self.codec else { return Ok(Bytes::copy_from_slice(body)) };
        let mut compressed = Vec::new();
        codec.compress(body, &mut compressed)?;
        Ok(compressed.into())
    }
}

/// The pages of an open row group, compressed.
#[derive(Default)]
pub struct OpenChunk {
    pages: Vec<Bytes>,
    rows: u64,
    missing: u64,
    uncompressed_bytes: usize,
    /// Bytes of all texts and byte strings, without their lengths.
    pub value_bytes: i64,
}

impl OpenChunk {
    /// Adds a data page of so many rows.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub fn add_page(
        &mut self,
        compressor: &mut Compressor,
        encoding: Encoding,
        rows: usize,
        missing: usize,
        body: &[u8],
    ) -> Result<()> {
        let page = Page::DataPage {
            buf: compressor.compress(body)?,
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.rows += rows as u64;
        self.missing += missing as u64;
        let page = self.with_header(page, body.len())?;
        self.pages.push(page);
        Ok(())
    }

    fn with_header(&mut self, page: Page, uncompressed: usize) -> Result<Bytes> {
        let mut bytes = Vec::with_capacity(page.buffer().len() + 64);
        let mut sink = TrackedWrite::new(&mut bytes);
        let written = SerializedPageWriter::new(&mut sink).write_page(CompressedPage::new(page, uncompressed))?;
        sink.flush()?;
        drop(sink);
        self.uncompressed_bytes += written.uncompressed_size;
        Ok(bytes.into())
    }

    /// The complete chunk; begins again. `dictionary` is the number of values and the body of the dictionary page.
    ///
    /// # Errors
    /// When the dictionary cannot be compressed.
    pub fn finish(
        &mut self,
        compressor: &mut Compressor,
        column: &ColumnDescPtr,
        dictionary: Option<(usize, &[u8])>,
        statistics: impl FnOnce(u64) -> Statistics,
    ) -> Result<EncodedChunk> {
        let data_pages = self.pages.len() as i32;
        let stats = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let mut encodings = vec![Encoding::RLE];
        let mut page_stats = Vec::new();
        let mut data_offset = 0;
        if let Some((values, body)) = dictionary {
            let page = Page::DictionaryPage {
                buf: compressor.compress(body)?,
                num_values: values as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let page = self.with_header(page, body.len())?;
            data_offset = page.len() as i64;
            self.pages.insert(0, page);
            encodings.extend([Encoding::PLAIN, Encoding::RLE_DICTIONARY]);
            page_stats.push(stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
            page_stats.push(stats(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, data_pages));
        } else {
            encodings.push(Encoding::PLAIN);
            page_stats.push(stats(PageType::DATA_PAGE, Encoding::PLAIN, data_pages));
        }
        let OpenChunk { pages, rows, missing, uncompressed_bytes, value_bytes } = std::mem::take(self);
        let compressed: i64 = pages.iter().map(|page| page.len() as i64).sum();
        let is_bytes = column.physical_type() == parquet::basic::Type::BYTE_ARRAY;
        let metadata = ColumnChunkMetaData::builder(Arc::clone(column))
            .set_compression(compressor.compression)
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(page_stats)
            .set_total_compressed_size(compressed)
            .set_total_uncompressed_size(uncompressed_bytes as i64)
            .set_num_values(rows as i64)
            .set_data_page_offset(data_offset)
            .set_dictionary_page_offset(dictionary.map(|_| 0))
            .set_statistics(statistics(missing))
            .set_unencoded_byte_array_data_bytes(is_bytes.then_some(value_bytes))
            .set_definition_level_histogram(Some(vec![missing as i64, (rows - missing) as i64].into()))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: compressed as u64,
            rows_written: rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok(EncodedChunk::Pages { pages, close: Box::new(close) })
    }
}
