//! Parquet files whose parts claim what is not so, each forged in one place.

use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::compression::{CodecOptions, create_codec};

use crate::common::forged::*;
use crate::{Case, bad};

const NUMBERS: [i64; 4] = [1, 2, 3, 4];

/// Four numbers of 64 bits in one plain page.
pub fn sound() -> Forged {
    Forged::new(INT64, 4, page(4, PLAIN, 32, &plain(&NUMBERS)))
}

fn codes(width: u8, runs: &[u8]) -> Vec<u8> {
    [&[width], runs].concat()
}

/// Four indices into a dictionary of the four numbers.
fn coded(entries: i64, body: &[u8]) -> Forged {
    let dictionary = dictionary(entries, &plain(&NUMBERS));
    let pages = [dictionary.clone(), page(4, RLE_DICTIONARY, body.len() as i64, body)].concat();
    let data = 4 + dictionary.len() as i64;
    Forged::new(INT64, 4, pages).with(|file| (file.dictionary, file.offset) = (Some(4), data))
}

/// Four values, any of which may be missing.
fn optional(levels: &[u8]) -> Forged {
    let body = with_levels(levels, &plain(&NUMBERS));
    Forged::new(INT64, 4, page(4, PLAIN, body.len() as i64, &body)).with(|file| file.repetition = 1)
}

fn of_texts(encoding: i64, body: &[u8]) -> Forged {
    Forged::new(BYTE_ARRAY, 4, page(4, encoding, body.len() as i64, body))
}

/// Numbers in delta encoding: a header that claims `count`, the first, and one block without any bits.
fn delta(count: u64, first: u64, step: u64) -> Vec<u8> {
    [varint(128), varint(4), varint(count), varint(first), varint(step), vec![0; 4]].concat()
}

/// The numbers of the codecs in footers, with their names.
pub fn codecs() -> Vec<(&'static str, i64, Compression)> {
    vec![
        ("snappy", 1, Compression::SNAPPY),
        ("gzip", 2, Compression::GZIP(GzipLevel::default())),
        ("brotli", 4, Compression::BROTLI(BrotliLevel::default())),
        ("lz4", 5, Compression::LZ4),
        ("zstd", 6, Compression::ZSTD(ZstdLevel::default())),
        ("lz4 raw", 7, Compression::LZ4_RAW),
    ]
}

pub fn compressed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    create_codec(compression, &CodecOptions::default()).unwrap().unwrap().compress(bytes, &mut out).unwrap();
    out
}

/// A page that becomes `real` bytes and claims `claimed`.
pub fn bomb(codec: i64, compression: Compression, real: usize, claimed: i64) -> Vec<u8> {
    let body = compressed(compression, &vec![0; real]);
    Forged::new(INT64, 4, page(4, PLAIN, claimed, &body)).with(|file| file.codec = codec).bytes()
}

fn claim(name: &'static str, file: Forged, says: &[&'static str]) -> Case {
    bad(name, "x.parquet", file.bytes(), says)
}

const BOMBS: [(&str, &str, &str); 6] = [
    ("a snappy page that becomes more", "a snappy page that is none", "a snappy page of two billion bytes"),
    ("a gzip page that becomes more", "a gzip page that is none", "a gzip page of two billion bytes"),
    ("a brotli page that becomes more", "a brotli page that is none", "a brotli page of two billion bytes"),
    ("an lz4 page that becomes more", "an lz4 page that is none", "an lz4 page of two billion bytes"),
    ("a zstd page that becomes more", "a zstd page that is none", "a zstd page of two billion bytes"),
    ("a raw lz4 page that becomes more", "a raw lz4 page that is none", "a raw lz4 page of two billion bytes"),
];

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        claim("fewer than no rows", sound().with(|f| f.rows = -1), &["claims -1 rows"]),
        claim(
            "rows without end",
            sound().with(|f| (f.rows, f.values) = (i64::MAX, i64::MAX)),
            &["claims 9223372036854775807 rows"],
        ),
        claim(
            "as many rows as indices",
            sound().with(|f| (f.rows, f.values) = (1 << 31, 1 << 31)),
            &["column `x`", "rows before the row group does"],
        ),
        claim("more rows than its row groups", sound().with(|f| f.more_rows = 3), &["claims 7 rows", "have 4"]),
        claim("no rows but those of its row groups", sound().with(|f| f.more_rows = -4), &["claims 0 rows", "have 4"]),
        claim("more values than rows", sound().with(|f| f.values = 5), &["column `x`", "holds 5 of the 4 rows"]),
        claim(
            "more rows than pages have",
            sound().with(|f| (f.rows, f.values) = (5, 5)),
            &["column `x`", "1 rows before"],
        ),
        claim(
            "fewer rows than pages have",
            sound().with(|f| (f.rows, f.values) = (3, 3)),
            &["column `x`", "a page of 4 rows"],
        ),
        claim("a chunk before the file", sound().with(|f| f.offset = -4), &["column `x`", "lies at bytes -4"]),
        claim(
            "a chunk behind the file",
            sound().with(|f| f.offset = 1 << 40),
            &["column `x`", "lies at bytes 1099511627776"],
        ),
        claim(
            "a chunk of fewer than no bytes",
            sound().with(|f| f.compressed = -1),
            &["column `x`", "-1 further ones"],
        ),
        claim(
            "a chunk longer than the file",
            sound().with(|f| f.compressed = i64::MAX),
            &["column `x`", "9223372036854775807 further ones"],
        ),
        claim("fewer than no bytes decompressed", sound().with(|f| f.uncompressed = -1), &["column `x`"]),
        claim(
            "a dictionary before the file",
            sound().with(|f| f.dictionary = Some(-1)),
            &["column `x`", "lies at bytes -1"],
        ),
        claim("a codec that is not there", sound().with(|f| f.codec = 42), &["its footer cannot be read"]),
        claim("a codec that is not read", sound().with(|f| f.codec = 3), &["column `x`", "cannot be decoded", "LZO"]),
        claim("a physical type that is not there", sound().with(|f| f.physical = 42), &["its footer cannot be read"]),
        claim(
            "a type that its bytes cannot be",
            sound().with(|f| f.converted = Some(0)),
            &["its footer cannot be read"],
        ),
        claim(
            "a fixed length of less than nothing",
            Forged::new(FIXED, 4, page(4, PLAIN, 16, &[0; 16])).with(|f| f.type_length = Some(-1)),
            &[],
        ),
        claim("a list without a group", sound().with(|f| f.repetition = 2), &["column `x`", "is not supported"]),
        claim("a schema of more than there is", sound().with(|f| f.elements = 1 << 14), &["its footer cannot be read"]),
        claim(
            "a million columns claimed",
            sound().with(|f| f.elements = 1_000_000),
            &["1000000 columns are more than there is room for"],
        ),
        claim("row groups without end", sound().with(|f| f.groups = (1 << 31) - 1), &["its footer cannot be read"]),
        claim(
            "a page of two billion values",
            Forged::new(INT64, 4, page((1 << 31) - 1, PLAIN, 32, &plain(&NUMBERS))),
            &["column `x`", "a page of 2147483647 rows"],
        ),
        claim(
            "two billion rows, all in one page",
            Forged::new(INT64, (1 << 31) - 1, page((1 << 31) - 1, PLAIN, 32, &plain(&NUMBERS))),
            &["column `x`", "end early"],
        ),
        claim(
            "a page of fewer than no values",
            Forged::new(INT64, 4, page(-4, PLAIN, 32, &plain(&NUMBERS))),
            &["column `x`", "negative"],
        ),
        claim(
            "a page longer than its chunk",
            Forged::new(INT64, 4, page_claiming(4, PLAIN, 32, 1 << 30, &plain(&NUMBERS))),
            &["column `x`", "a page of 1073741824 bytes"],
        ),
        claim(
            "a page of fewer than no bytes",
            Forged::new(INT64, 4, page_claiming(4, PLAIN, 32, -32, &plain(&NUMBERS))),
            &["column `x`", "negative"],
        ),
        claim(
            "a page with values for half its rows",
            Forged::new(INT64, 4, page(4, PLAIN, 16, &plain(&NUMBERS[..2]))),
            &["column `x`", "end early"],
        ),
        claim(
            "an encoding that is not there",
            Forged::new(INT64, 4, page(4, 77, 32, &plain(&NUMBERS))),
            &["column `x`", "an encoding that does not exist"],
        ),
        claim(
            "an encoding that numbers cannot have",
            Forged::new(INT64, 4, page(4, DELTA_BYTE_ARRAY, 9, &delta(4, 0, 0))),
            &["column `x`", "cannot be decoded"],
        ),
        claim("no page header", Forged::new(INT64, 4, vec![0xff; 64]), &["column `x`", "a page header"]),
        claim(
            "a page header that ends early",
            Forged::new(INT64, 4, page(4, PLAIN, 32, &[])[..5].to_vec()),
            &["column `x`", "a page header"],
        ),
        claim("nothing where pages should be", Forged::new(INT64, 4, Vec::new()), &["column `x`", "4 rows before"]),
        claim("zeros where pages should be", Forged::new(INT64, 4, vec![0; 100]), &["column `x`", "a page header"]),
        claim("indices beyond the dictionary", coded(4, &codes(3, &[4 << 1, 7])), &["column `x`"]),
        claim("indices of 255 bits", coded(4, &codes(255, &[4 << 1, 0])), &["column `x`", "indices of 255 bits"]),
        claim("indices that end early", coded(4, &codes(2, &[2 << 1, 0])), &["column `x`", "end early"]),
        claim(
            "indices without a dictionary",
            Forged::new(INT64, 4, page(4, RLE_DICTIONARY, 3, &codes(2, &[4 << 1, 0]))),
            &["column `x`", "dictionary"],
        ),
        claim(
            "a dictionary of two billion values",
            coded((1 << 31) - 1, &codes(2, &[4 << 1, 0])),
            &["column `x`", "a dictionary of 2147483647 values in 32 bytes"],
        ),
        claim(
            "two dictionaries",
            {
                let twice = [
                    dictionary(4, &plain(&NUMBERS)),
                    dictionary(4, &plain(&NUMBERS)),
                    page(4, RLE_DICTIONARY, 3, &codes(2, &[4 << 1, 0])),
                ]
                .concat();
                Forged::new(INT64, 4, twice).with(|f| f.dictionary = Some(4))
            },
            &["column `x`", "a second dictionary"],
        ),
        claim(
            "levels longer than the page",
            {
                let body = [&u32::MAX.to_le_bytes()[..], &plain(&NUMBERS)].concat();
                Forged::new(INT64, 4, page(4, PLAIN, 36, &body)).with(|f| f.repetition = 1)
            },
            &["column `x`", "the levels of a page reach beyond its end"],
        ),
        claim(
            "levels that end early",
            optional(&[2 << 1, 1]),
            &["column `x`", "definition levels of a page end early"],
        ),
        claim("a level above the highest", optional(&[4 << 1, 9]), &["column `x`", "a definition level of 9"]),
        claim("levels of an impossible length", optional(&[0xff; 8]), &["column `x`", "impossible length"]),
        claim(
            "levels in an encoding that is gone",
            {
                let header =
                    Thrift::default().int(1, 4).int(2, DELTA_BINARY_PACKED).int(3, BIT_PACKED).int(4, BIT_PACKED);
                let page = Thrift::default().int(1, 0).int(2, 1).int(3, 1).inner(5, header).end();
                Forged::new(INT64, 4, [page, vec![0]].concat()).with(|f| f.repetition = 1)
            },
            &["column `x`"],
        ),
        claim(
            "more missing values than values",
            Forged::new(INT64, 4, page_v2([4, 9, 4, 0], PLAIN, 32, &plain(&NUMBERS))).with(|f| f.repetition = 1),
            &["column `x`", "9 missing ones"],
        ),
        claim(
            "other rows than values",
            Forged::new(INT64, 4, page_v2([4, 0, 3, 0], PLAIN, 32, &plain(&NUMBERS))),
            &["column `x`", "a page of 3 rows with 4 values"],
        ),
        claim(
            "levels of version 2 beyond the page",
            {
                Forged::new(INT64, 4, page_v2([4, 0, 4, 1 << 30], PLAIN, 32, &plain(&NUMBERS)))
                    .with(|f| f.repetition = 1)
            },
            &["column `x`", "the levels of a page reach beyond its end"],
        ),
        claim("a text longer than its page", of_texts(PLAIN, &u32::MAX.to_le_bytes()), &["column `x`"]),
        claim("a text that is no UTF-8", of_texts(PLAIN, &texts(&[b"a", b"\xff\xfe", b"c", b"d"])), &["column `x`"]),
        claim(
            "a text in a dictionary that is no UTF-8",
            {
                let words = dictionary(2, &texts(&[b"a", b"\xff"]));
                let data = 4 + words.len() as i64;
                let pages = [words, page(4, RLE_DICTIONARY, 3, &codes(1, &[4 << 1, 0]))].concat();
                Forged::new(BYTE_ARRAY, 4, pages).with(|f| (f.dictionary, f.offset) = (Some(4), data))
            },
            &["column `x`", "UTF"],
        ),
        claim(
            "lengths without end",
            of_texts(DELTA_LENGTH_BYTE_ARRAY, &delta((1 << 31) - 1, 0, 0)),
            &["column `x`", "2147483647 lengths in a page of 4 values"],
        ),
        claim("lengths below nothing", of_texts(DELTA_LENGTH_BYTE_ARRAY, &delta(4, 1, 1)), &["column `x`", "negative"]),
        claim(
            "lengths longer than the page",
            of_texts(DELTA_LENGTH_BYTE_ARRAY, &delta(4, 2000, 0)),
            &["column `x`", "cannot be decoded"],
        ),
        claim(
            "beginnings longer than the text before",
            of_texts(DELTA_BYTE_ARRAY, &[delta(4, 2, 0), delta(4, 0, 0)].concat()),
            &["column `x`", "more than the one before it"],
        ),
        claim(
            "texts that grow without bytes",
            {
                let rows = 1 << 20;
                let lengths = |first: u64, step: u64| {
                    let blocks = (rows - 2) / 128 + 1;
                    let head = [varint(128), varint(4), varint(rows), varint(first)].concat();
                    [head, [varint(step), vec![0; 4]].concat().repeat(blocks as usize)].concat()
                };
                // The first has 60 bytes, and every other all of them.
                let suffixes =
                    [varint(128), varint(4), varint(rows), varint(2 << 9), varint((2 << 9) - 1), vec![0; 4]].concat();
                let body = [
                    lengths(0, 0),
                    suffixes,
                    [varint(0), vec![0; 4]].concat().repeat(((rows - 2) / 128) as usize),
                    vec![b'x'; 600],
                ]
                .concat();
                Forged::new(BYTE_ARRAY, rows as i64, page(rows as i64, DELTA_BYTE_ARRAY, body.len() as i64, &body))
            },
            &["column `x`"],
        ),
        claim(
            "deltas of 255 bits",
            Forged::new(
                INT64,
                4,
                page(
                    4,
                    DELTA_BINARY_PACKED,
                    9,
                    &[varint(128), varint(4), varint(4), varint(0), varint(0), vec![255; 4]].concat(),
                ),
            ),
            &["column `x`"],
        ),
        claim(
            "deltas in no blocks",
            Forged::new(
                INT64,
                4,
                page(4, DELTA_BINARY_PACKED, 5, &[varint(128), varint(0), varint(4), varint(0), varint(0)].concat()),
            ),
            &["column `x`"],
        ),
        claim(
            "split bytes that end early",
            Forged::new(DOUBLE, 4, page(4, BYTE_STREAM_SPLIT, 16, &[0; 16])),
            &["column `x`"],
        ),
        claim("truths that end early", Forged::new(BOOLEAN, 400, page(400, PLAIN, 2, &[0; 2])), &["column `x`"]),
        claim(
            "a timestamp that no type holds",
            Forged::new(
                INT96,
                1,
                page(1, PLAIN, 12, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]),
            ),
            &["column `x`", "INT96", "input.schema"],
        ),
        claim(
            "numbers of 32 bits that end early",
            Forged::new(INT32, 4, page(4, PLAIN, 12, &[0; 12])),
            &["column `x`", "end early"],
        ),
    ];
    for ((codec, number, compression), (more, none, large)) in codecs().into_iter().zip(BOMBS) {
        let _ = codec;
        cases.push(bad(
            more,
            "x.parquet",
            bomb(number, compression, 64 << 20, 32),
            &["column `x`", "cannot be decoded"],
        ));
        let garbage = page(4, PLAIN, 32, &[0xee; 40]);
        cases.push(claim(
            none,
            Forged::new(INT64, 4, garbage).with(|f| f.codec = number),
            &["column `x`", "cannot be decoded"],
        ));
        cases.push(bad(
            large,
            "x.parquet",
            bomb(number, compression, 32, (1 << 31) - 1),
            &["column `x`", "2147483647 bytes", "raise --memory"],
        ));
    }
    cases
}
