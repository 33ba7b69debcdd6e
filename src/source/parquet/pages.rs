//! The pages of a column chunk, found and decompressed, taken apart into levels and values. What is
//! read here is columns without nesting whose pages are plain or refer to a dictionary; any other page is left alone.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::encodings::rle::RleDecoder;
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::RowGroupRange;
use super::levels::{Levels, Runs};
use super::stored::StoredPages;

/// The widest index of a dictionary, in bits.
const WIDEST_INDEX: u8 = 32;

/// A column chunk's pages, one after the other.
pub(super) struct Pages {
    pages: StoredPages,
    nullable: bool,
}

/// The next page.
pub(super) enum Next {
    /// The values of the dictionary, plain.
    Dictionary { values: Bytes, count: usize },
    /// Rows.
    Data(DataPage),
    /// A page that only the library reads.
    Foreign,
    /// There is none.
    End,
}

/// The rows of a page that are not read yet.
pub(super) struct DataPage {
    pub(super) rows: usize,
    pub(super) levels: Levels,
    pub(super) values: PageValues,
}

/// The values of a page, without the missing ones.
pub(super) enum PageValues {
    Codes(RleDecoder),
    Plain(Bytes),
}

impl Pages {
    pub(super) fn new(range: &RowGroupRange, column: usize, nullable: bool) -> ParquetResult<Self> {
        Ok(Self { pages: StoredPages::new(range, column)?, nullable })
    }

    /// Passes over the next page without decompressing it, if it has rows and at most `most`; returns how many.
    pub(super) fn skip(&mut self, most: usize) -> ParquetResult<Option<usize>> {
        let Some(next) = self.pages.peek_next_page()? else { return Ok(None) };
        match next.num_levels.or(next.num_rows) {
            Some(rows) if !next.is_dict && rows <= most => {
                self.pages.skip_next_page()?;
                Ok(Some(rows))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn next(&mut self) -> ParquetResult<Next> {
        let Some(page) = self.pages.get_next_page()? else { return Ok(Next::End) };
        let rows = page.num_values() as usize;
        let (levels, bytes, encoding) = match page {
            Page::DictionaryPage { buf, encoding: Encoding::PLAIN | Encoding::PLAIN_DICTIONARY, .. } => {
                return Ok(Next::Dictionary { values: buf, count: rows });
            }
            Page::DictionaryPage { .. } => return Ok(Next::Foreign),
            Page::DataPage { buf, encoding, def_level_encoding, .. } => {
                if !self.nullable {
                    (Levels::Required, buf, encoding)
                } else if def_level_encoding == Encoding::RLE {
                    let (levels, values) = cut_levels(&buf)?;
                    (Levels::Optional(Runs::new(levels)), values, encoding)
                } else {
                    return Ok(Next::Foreign);
                }
            }
            Page::DataPageV2 { buf, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let start = rep_levels_byte_len as usize;
                let end = start + def_levels_byte_len as usize;
                if end > buf.len() {
                    return Err(ParquetError::EOF("the levels of a page reach beyond its end".into()));
                }
                let levels = Levels::Optional(Runs::new(buf.slice(start..end)));
                (if self.nullable { levels } else { Levels::Required }, buf.slice(end..), encoding)
            }
        };
        let values = match encoding {
            Encoding::PLAIN => PageValues::Plain(bytes),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => codes(bytes)?,
            _ => return Ok(Next::Foreign),
        };
        Ok(Next::Data(DataPage { rows, levels, values }))
    }
}

/// The levels of a page of version 1, which stand behind their length, and what follows them.
fn cut_levels(page: &Bytes) -> ParquetResult<(Bytes, Bytes)> {
    let end = levels_end(page)?;
    Ok((page.slice(4..end), page.slice(end..)))
}

/// Where the values of a page of version 1 begin that has levels.
pub(super) fn levels_end(page: &Bytes) -> ParquetResult<usize> {
    let length = page.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize);
    let end = length.and_then(|length| length.checked_add(4)).filter(|end| *end <= page.len());
    end.ok_or_else(|| ParquetError::EOF("the levels of a page reach beyond its end".into()))
}

/// Indices of the dictionary: their width in bits, then runs. A page without any value may have no bytes at all.
fn codes(bytes: Bytes) -> ParquetResult<PageValues> {
    let width = bytes.first().copied().unwrap_or(0);
    if width > WIDEST_INDEX {
        return Err(ParquetError::General(format!("indices of {width} bits")));
    }
    let mut codes = RleDecoder::new(width);
    codes.set_data(bytes.slice(bytes.len().min(1)..))?;
    Ok(PageValues::Codes(codes))
}
