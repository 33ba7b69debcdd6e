//! Page headers, in thrift's compact protocol. Read here and not by the library because what a header claims has to be
//! known before anything is allocated for it. Statistics and other fields are passed over.

use parquet::basic::Encoding;
use parquet::errors::{ParquetError, Result as ParquetResult};

/// Structs within structs, at the most.
const MOST_NESTED: u8 = 16;

/// What stands before a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Its own length.
    pub(super) length: usize,
    /// Bytes of the page as it is stored.
    pub(super) compressed: usize,
    /// Bytes of the page as it is read.
    pub(super) uncompressed: usize,
    pub(super) kind: Kind,
}

/// What a page holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Dictionary {
        values: u32,
        encoding: Encoding,
    },
    Data(DataHeader),
    /// Anything else, such as an index.
    Other,
}

/// What is said of a page of rows, in either version.
#[derive(Debug, Clone, Copy)]
pub(super) struct DataHeader {
    /// Values, missing ones included.
    pub(super) values: u32,
    pub(super) encoding: Encoding,
    pub(super) version: Version,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Version {
    /// Levels stand before the values, each behind its length, compressed with them.
    One { definition: Encoding, repetition: Encoding },
    /// Levels of so many bytes stand before the values and are not compressed.
    Two { nulls: u32, rows: u32, definition_bytes: usize, repetition_bytes: usize, compressed: bool },
}

/// The header at the front of `bytes`, or nothing when it goes on behind them.
pub(super) fn parse(bytes: &[u8]) -> ParquetResult<Option<Header>> {
    let mut thrift = Thrift { bytes, at: 0 };
    match read(&mut thrift) {
        Ok(header) => Ok(Some(header)),
        Err(Failed::Ended) => Ok(None),
        Err(Failed::Refused(why)) => Err(ParquetError::General(format!("a page header {why}"))),
    }
}

/// The number of columns and groups that a footer describes, as far as its beginning can be read.
pub(super) fn schema_elements(footer: &[u8]) -> Option<u64> {
    let mut thrift = Thrift { bytes: footer, at: 0 };
    let mut last = 0;
    while let Ok(Some(field)) = thrift.field(&mut last) {
        if let (2, Field::List) = (last, field) {
            let head = thrift.byte().ok()?;
            return if head >> 4 == 15 { thrift.varint().ok() } else { Some(u64::from(head >> 4)) };
        }
        thrift.skip(field, MOST_NESTED).ok()?;
    }
    None
}

enum Failed {
    Ended,
    Refused(&'static str),
}

type Read<T> = Result<T, Failed>;

fn read(thrift: &mut Thrift<'_>) -> Read<Header> {
    let (mut kind, mut uncompressed, mut compressed) = (None, None, None);
    let (mut one, mut two, mut dictionary) = (None, None, None);
    let mut last = 0;
    while let Some(field) = thrift.field(&mut last)? {
        match (last, field) {
            (1, Field::Integer) => kind = Some(thrift.integer()?),
            (2, Field::Integer) => uncompressed = Some(thrift.size()?),
            (3, Field::Integer) => compressed = Some(thrift.size()?),
            (5, Field::Struct) => one = Some(page_of_version_1(thrift)?),
            (7, Field::Struct) => dictionary = Some(dictionary_page(thrift)?),
            (8, Field::Struct) => two = Some(page_of_version_2(thrift)?),
            (_, field) => thrift.skip(field, MOST_NESTED)?,
        }
    }
    let lacks = || Failed::Refused("lacks a field that every page has");
    let kind = match kind.ok_or_else(lacks)? {
        0 => Kind::Data(one.ok_or_else(lacks)?),
        2 => dictionary.ok_or_else(lacks)?,
        3 => Kind::Data(two.ok_or_else(lacks)?),
        _ => Kind::Other,
    };
    let (compressed, uncompressed) = (compressed.ok_or_else(lacks)?, uncompressed.ok_or_else(lacks)?);
    Ok(Header { length: thrift.at, compressed: compressed as usize, uncompressed: uncompressed as usize, kind })
}

fn page_of_version_1(thrift: &mut Thrift<'_>) -> Read<DataHeader> {
    let (mut values, mut encoding, mut definition, mut repetition) = (None, None, Encoding::RLE, Encoding::RLE);
    let mut last = 0;
    while let Some(field) = thrift.field(&mut last)? {
        match (last, field) {
            (1, Field::Integer) => values = Some(thrift.size()?),
            (2, Field::Integer) => encoding = Some(thrift.encoding()?),
            (3, Field::Integer) => definition = thrift.encoding()?,
            (4, Field::Integer) => repetition = thrift.encoding()?,
            (_, field) => thrift.skip(field, MOST_NESTED)?,
        }
    }
    data(values, encoding, Version::One { definition, repetition })
}

fn page_of_version_2(thrift: &mut Thrift<'_>) -> Read<DataHeader> {
    let (mut values, mut encoding, mut nulls, mut rows) = (None, None, 0, 0);
    let (mut definition, mut repetition, mut compressed) = (0, 0, true);
    let mut last = 0;
    while let Some(field) = thrift.field(&mut last)? {
        match (last, field) {
            (1, Field::Integer) => values = Some(thrift.size()?),
            (2, Field::Integer) => nulls = thrift.size()?,
            (3, Field::Integer) => rows = thrift.size()?,
            (4, Field::Integer) => encoding = Some(thrift.encoding()?),
            (5, Field::Integer) => definition = thrift.size()? as usize,
            (6, Field::Integer) => repetition = thrift.size()? as usize,
            (7, Field::Bool(value)) => compressed = value,
            (_, field) => thrift.skip(field, MOST_NESTED)?,
        }
    }
    let version = Version::Two { nulls, rows, definition_bytes: definition, repetition_bytes: repetition, compressed };
    data(values, encoding, version)
}

fn data(values: Option<u32>, encoding: Option<Encoding>, version: Version) -> Read<DataHeader> {
    let (Some(values), Some(encoding)) = (values, encoding) else {
        return Err(Failed::Refused("does not say what values the page has"));
    };
    Ok(DataHeader { values, encoding, version })
}

fn dictionary_page(thrift: &mut Thrift<'_>) -> Read<Kind> {
    let (mut values, mut encoding) = (None, None);
    let mut last = 0;
    while let Some(field) = thrift.field(&mut last)? {
        match (last, field) {
            (1, Field::Integer) => values = Some(thrift.size()?),
            (2, Field::Integer) => encoding = Some(thrift.encoding()?),
            (_, field) => thrift.skip(field, MOST_NESTED)?,
        }
    }
    match (values, encoding) {
        (Some(values), Some(encoding)) => Ok(Kind::Dictionary { values, encoding }),
        _ => Err(Failed::Refused("does not say what the dictionary has")),
    }
}

/// A field's type, as far as its value is told apart here.
#[derive(Debug, Clone, Copy)]
enum Field {
    Bool(bool),
    Byte,
    Integer,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    fn byte(&mut self) -> Read<u8> {
        let byte = *self.bytes.get(self.at).ok_or(Failed::Ended)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, bytes: u64) -> Read<()> {
        let left = (self.bytes.len() - self.at) as u64;
        if bytes > left {
            return Err(Failed::Ended);
        }
        self.at += bytes as usize;
        Ok(())
    }

    fn varint(&mut self) -> Read<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Failed::Refused("has a number without an end"))
    }

    fn integer(&mut self) -> Read<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count or a number of bytes: 31 bits.
    fn size(&mut self) -> Read<u32> {
        let value = i32::try_from(self.integer()?).ok().and_then(|value| u32::try_from(value).ok());
        value.ok_or(Failed::Refused("has a negative or impossible count"))
    }

    fn encoding(&mut self) -> Read<Encoding> {
        Ok(match self.integer()? {
            0 => Encoding::PLAIN,
            2 => Encoding::PLAIN_DICTIONARY,
            3 => Encoding::RLE,
            4 => {
                #[expect(deprecated, reason = "old files have levels in it")]
                let packed = Encoding::BIT_PACKED;
                packed
            }
            5 => Encoding::DELTA_BINARY_PACKED,
            6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            7 => Encoding::DELTA_BYTE_ARRAY,
            8 => Encoding::RLE_DICTIONARY,
            9 => Encoding::BYTE_STREAM_SPLIT,
            _ => return Err(Failed::Refused("names an encoding that does not exist")),
        })
    }

    /// The next field of a struct, its number in `last`; nothing at the struct's end.
    fn field(&mut self, last: &mut i64) -> Read<Option<Field>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        let kind = field_type(byte & 0x0f)?;
        *last = match byte >> 4 {
            0 => self.integer()?,
            step => last.saturating_add(i64::from(step)),
        };
        Ok(Some(kind))
    }

    fn skip(&mut self, field: Field, nested: u8) -> Read<()> {
        let Some(nested) = nested.checked_sub(1) else { return Err(Failed::Refused("is nested too deeply")) };
        match field {
            Field::Bool(_) => Ok(()),
            Field::Byte => self.pass(1),
            Field::Integer => self.varint().map(drop),
            Field::Double => self.pass(8),
            Field::Binary => {
                let length = self.varint()?;
                self.pass(length)
            }
            Field::List => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                (0..count).try_for_each(|_| self.skip_element(head & 0x0f, nested))
            }
            Field::Map => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, nested)?;
                    self.skip_element(kinds & 0x0f, nested)
                })
            }
            Field::Struct => {
                let mut last = 0;
                while let Some(field) = self.field(&mut last)? {
                    self.skip(field, nested)?;
                }
                Ok(())
            }
        }
    }

    /// Within lists and maps a boolean has a byte of its own.
    fn skip_element(&mut self, kind: u8, nested: u8) -> Read<()> {
        match field_type(kind)? {
            Field::Bool(_) => self.pass(1),
            field => self.skip(field, nested),
        }
    }
}

fn field_type(kind: u8) -> Read<Field> {
    Ok(match kind {
        1 => Field::Bool(true),
        2 => Field::Bool(false),
        3 => Field::Byte,
        4..=6 => Field::Integer,
        7 => Field::Double,
        8 => Field::Binary,
        9 | 10 => Field::List,
        11 => Field::Map,
        12 => Field::Struct,
        _ => return Err(Failed::Refused("has a field of a type that does not exist")),
    })
}
