//! Text that cannot be read, and compressed files that do not keep what they promise.

use std::io::Write;

use flate2::write::GzEncoder;
use serde_json::json;

use crate::{Case, bad};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// A Zstandard frame whose header claims a window, or a content, that is not to be had.
fn zstd_claiming(descriptor: u8, claim: &[u8]) -> Vec<u8> {
    // One raw block, the last, of four bytes.
    [&[0x28, 0xb5, 0x2f, 0xfd, descriptor], claim, &[0x21, 0, 0], b"x\n1\n"].concat()
}

fn rows(count: usize) -> Vec<u8> {
    let mut text = b"x,y\n".to_vec();
    (0..count).for_each(|row| text.extend(format!("{row},{}\n", row * 7).bytes()));
    text
}

fn cut(mut bytes: Vec<u8>, end: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - end);
    bytes
}

fn flipped(mut bytes: Vec<u8>, from_end: usize) -> Vec<u8> {
    let at = bytes.len() - from_end;
    bytes[at] ^= 0x40;
    bytes
}

pub fn cases() -> Vec<Case> {
    let late = |line: &str| [rows(5000), line.as_bytes().to_vec()].concat();
    let typed = |types: serde_json::Value| json!({ "input": { "schema": types } });
    vec![
        bad("a record with a field too many", "a.csv", "x,y\n1,2\n3,4,5\n", &["row 1", "line 3"]),
        bad("a record with a field too few", "a.csv", "x,y\n1,2\n3\n", &["row 1", "line 3"]),
        bad("a field too many, late", "a.csv", late("1,2,3\n"), &["row 5000", "line 5002"]),
        bad("an open quote", "a.csv", "x,y\n1,\"2\n3,4\n", &["quote"]),
        bad("an open quote in the header", "a.csv", "x,\"y\n1,2\n", &["quote"]),
        bad("no UTF-8", "a.csv", b"x,y\na,\xff\xfe\n".to_vec(), &["UTF-8"]),
        bad("no UTF-8, late", "a.csv", [rows(5000), b"a,\xff\n".to_vec()].concat(), &["UTF-8"]),
        bad("no UTF-8 in the header", "a.csv", b"x,\xff\n1,2\n".to_vec(), &["UTF-8"]),
        bad("a name that stands twice in a header", "a.csv", "x,x\n1,2\n", &["`x`", "twice"]),
        bad("a TSV with a field too many", "a.tsv", "x\ty\n1\t2\t3\n", &["row 0", "line 2"]),
        bad(
            "a record beyond 64 MiB",
            "a.csv.gz",
            gzip(&[b"x\n\"", &vec![b'a'; 65 << 20][..], b"\"\n"].concat()),
            &["64 MiB"],
        ),
        bad(
            "a record beyond 64 MiB that has no end",
            "a.csv.zst",
            zstd(&[b"x\n", &vec![b'a'; 80 << 20][..]].concat()),
            &["64 MiB"],
        ),
        bad("a header beyond 64 MiB", "a.csv.zst", zstd(&vec![b'a'; 80 << 20]), &["64 MiB"]),
        bad("JSON that is cut", "a.jsonl", "{\"x\": 1}\n{\"x\": \n", &["row 1"]),
        bad("JSON with a list", "a.jsonl", "{\"x\": 1}\n{\"x\": [1, 2]}\n", &["`x`"]),
        bad("JSON that is not JSON", "a.jsonl", "x,y\n1,2\n", &[]),
        bad("JSON of a number a line", "a.jsonl", "1\n2\n", &[]),
        bad("JSON that goes on behind its object", "a.jsonl", "{\"x\": 1} {\"x\": 2\n", &[]),
        bad("JSON with a key twice", "a.jsonl", "{\"x\": 1, \"x\": 2}\n", &["`x`"]),
        bad("JSON without UTF-8", "a.jsonl", b"{\"x\": \"\xff\"}\n".to_vec(), &[]),
        bad("a number that does not fit its type", "a.csv", "x\n1\ntwo\n", &["row 1", "`x`"])
            .with(typed(json!({ "x": "int64" }))),
        bad("a number beyond 32 bits", "a.csv", "x\n1\n3000000000\n", &["row 1", "`x`"])
            .with(typed(json!({ "x": "int32" }))),
        bad("a fraction as an integer", "a.csv", "x\n1\n2.5\n", &["row 1", "`x`"]).with(typed(json!({ "x": "int64" }))),
        bad("a date that is none", "a.csv", "x\n2024-02-29\n2023-02-29\n", &["row 1", "`x`"])
            .with(typed(json!({ "x": "date" }))),
        bad("a timestamp that is none", "a.csv", "x\n2024-02-29T25:00\n", &["row 0", "`x`"])
            .with(typed(json!({ "x": "timestamp" }))),
        bad("a truth that is none", "a.csv", "x\ntrue\nmaybe\n", &["row 1", "`x`"]).with(typed(json!({ "x": "bool" }))),
        bad("JSON that does not fit its type", "a.jsonl", "{\"x\": 1}\n{\"x\": \"one\"}\n", &["row 1", "`x`"])
            .with(typed(json!({ "x": "int64" }))),
        bad("gzip that is cut", "a.csv.gz", cut(gzip(&rows(5000)), 40), &["gzip", "cut or damaged"]),
        bad("gzip cut by one byte", "a.csv.gz", cut(gzip(&rows(5000)), 1), &["gzip", "cut or damaged"]),
        bad("gzip cut in its header", "a.csv.gz", gzip(&rows(5000))[..6].to_vec(), &["gzip", "cut or damaged"]),
        bad("gzip with another checksum", "a.csv.gz", flipped(gzip(&rows(5000)), 6), &["gzip", "cut or damaged"]),
        bad("gzip with another length", "a.csv.gz", flipped(gzip(&rows(5000)), 2), &["gzip", "cut or damaged"]),
        bad("gzip with a byte flipped", "a.csv.gz", flipped(gzip(&rows(5000)), 2000), &["gzip", "cut or damaged"]),
        bad(
            "gzip with something behind it",
            "a.csv.gz",
            [gzip(&rows(10)), b"and more".to_vec()].concat(),
            &["gzip", "cut or damaged"],
        ),
        bad(
            "gzip whose second member is cut",
            "a.csv.gz",
            [gzip(&rows(10)), cut(gzip(b"1,2\n"), 3)].concat(),
            &["gzip", "cut or damaged"],
        ),
        bad("a name that promises gzip", "a.csv.gz", rows(3), &["named as a gzip file"]),
        bad("a name that promises Zstandard", "a.csv.zst", gzip(&rows(3)), &["named as a Zstandard file"]),
        bad("Zstandard that is cut", "a.csv.zst", cut(zstd(&rows(5000)), 40), &["Zstandard", "cut or damaged"]),
        bad("Zstandard with a byte flipped", "a.csv.zst", flipped(zstd(&rows(5000)), 200), &[]),
        bad(
            "Zstandard with something behind it",
            "a.csv.zst",
            [zstd(&rows(10)), b"and more".to_vec()].concat(),
            &["Zstandard", "cut or damaged"],
        ),
        // A window of 2^41 bytes; contents of 2^60.
        bad(
            "a Zstandard window beyond all memory",
            "a.csv.zst",
            zstd_claiming(0x00, &[0xf8]),
            &["Zstandard", "cut or damaged"],
        ),
        bad(
            "a Zstandard content beyond all memory",
            "a.csv.zst",
            zstd_claiming(0xe0, &(1_u64 << 60).to_le_bytes()),
            &["Zstandard", "cut or damaged"],
        ),
        bad(
            "JSON in gzip that is cut",
            "a.jsonl.gz",
            cut(gzip(&b"{\"x\": 1}\n".repeat(999)), 9),
            &["gzip", "cut or damaged"],
        ),
        bad("Parquet under the name of gzip", "a.csv.gz", crate::claims::sound().bytes(), &["named as a gzip file"]),
    ]
}
