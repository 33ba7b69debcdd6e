use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

use super::ledger::{BLOCK_ROWS, Layout, LedgerReader, LedgerWriter, Rows, Texts};
use super::record::SideFile;
use crate::disk::Disk;
use crate::error::{Error, Result};

fn write(dir: &Path, codes: &[u32], hashes: &[u64], step: usize) -> (PathBuf, SideFile) {
    let path = dir.join("one.ledger");
    let mut writer = LedgerWriter::create(&Disk::default(), &path, Layout::default()).unwrap();
    for (codes, hashes) in codes.chunks(step).zip(hashes.chunks(step)) {
        writer.append(Rows::plain(codes, hashes)).unwrap();
    }
    assert_eq!(writer.rows(), codes.len() as u64);
    let sealed = writer.seal().unwrap().into_file().publish().unwrap();
    assert_eq!(sealed.xxh3, xxh3_128(&std::fs::read(&path).unwrap()));
    (path, SideFile::of("one.ledger".to_string(), &sealed))
}

fn read(path: &Path, file: &SideFile, rows: usize) -> Result<(Vec<u32>, Vec<u64>)> {
    let (mut codes, mut hashes) = (Vec::new(), Vec::new());
    let mut reader = LedgerReader::open(&Disk::default(), path, file, rows as u64)?;
    while let Some(block) = reader.next_block()? {
        assert_eq!(block.first_row, codes.len() as u64);
        assert!(block.rows.codes.len() <= BLOCK_ROWS);
        codes.extend_from_slice(block.rows.codes);
        hashes.extend_from_slice(block.rows.hashes);
    }
    assert_eq!(reader.next_block()?, None);
    Ok((codes, hashes))
}

/// As if the bytes were what had been recorded, so that the ledger's own checks are on their own.
fn read_as_recorded(path: &Path, bytes: &[u8], rows: usize) -> Result<(Vec<u32>, Vec<u64>)> {
    std::fs::write(path, bytes).unwrap();
    let file = SideFile { path: String::new(), bytes: bytes.len() as u64, xxh3: xxh3_128(bytes) };
    read(path, &file, rows)
}

fn is_damage<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Damaged { .. }))
}

#[test]
fn the_bytes_of_a_ledger_are_frozen() {
    let dir = TempDir::new().unwrap();
    let (path, _) = write(dir.path(), &[1, 0x102], &[3, u64::MAX], 1);
    let hex: String = std::fs::read(path).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        concat!(
            "3250534c01000000",
            "0200000002000000",
            "b9e31dbec7a23c78949b48b59e4cdbc2",
            "01000201",
            "0300000000000000ffffffffffffffff",
            "0000000000000000",
            "7828d46840665abef30e5571d4dda2ea",
        )
    );
}

#[test]
fn ledgers_of_whole_and_broken_blocks_come_back() {
    for rows in [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS] {
        let codes: Vec<u32> = (0..rows as u32).map(|row| row % 7).collect();
        let hashes: Vec<u64> = (0..rows as u64).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let dir = TempDir::new().unwrap();
        let (path, file) = write(dir.path(), &codes, &hashes, 10_000);
        assert!(file.bytes <= 32 + rows as u64 * 9 + 24 * 3, "{rows} rows take {} bytes", file.bytes);
        assert_eq!(read(&path, &file, rows).unwrap(), (codes, hashes));
    }
}

#[test]
fn a_ledger_cut_anywhere_is_damage() {
    let dir = TempDir::new().unwrap();
    let (path, file) = write(dir.path(), &[1, 2, 70_000], &[4, 5, 6], 3);
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        assert!(is_damage(&read_as_recorded(&path, &bytes[..length], 3)), "cut at {length}");
        assert!(is_damage(&read(&path, &file, 3)), "cut at {length}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(is_damage(&read(&path, &file, 3)));
}

#[test]
fn a_flipped_byte_in_a_ledger_is_damage() {
    let dir = TempDir::new().unwrap();
    let (path, _) = write(dir.path(), &[1, 2, 300], &[4, 5, 6], 3);
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x41;
        let result = read_as_recorded(&path, &flipped, 3);
        // A block's padding is under its checksum too; nothing is exempt.
        assert!(is_damage(&result), "flipped at {at}");
    }
}

#[test]
fn another_ledger_or_row_count_is_not_the_recorded_one() {
    let dir = TempDir::new().unwrap();
    let (path, first) = write(dir.path(), &[1, 2], &[4, 5], 2);
    assert!(is_damage(&read(&path, &first, 3)));
    let (path, second) = write(dir.path(), &[1, 2], &[4, 6], 2);
    assert_eq!(first.bytes, second.bytes);
    assert!(is_damage(&read(&path, &first, 2)));
    assert!(read(&path, &second, 2).is_ok());
}

#[test]
fn an_unsealed_ledger_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let mut writer = LedgerWriter::create(&Disk::default(), &dir.path().join("one.ledger"), Layout::default()).unwrap();
    writer.append(Rows::plain(&[1], &[2])).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Rows of two words and a text each, as (code, hash, words, text).
type WideRow = (u32, u64, (u64, u64), Vec<u8>);

fn write_wide(dir: &Path, rows: &[WideRow], step: usize) -> (PathBuf, SideFile) {
    let path = dir.join("wide.ledger");
    let layout = Layout { words: 2, texts: true };
    let mut writer = LedgerWriter::create(&Disk::default(), &path, layout).unwrap();
    for rows in rows.chunks(step) {
        let codes: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let hashes: Vec<u64> = rows.iter().map(|row| row.1).collect();
        let words = [rows.iter().map(|row| row.2.0).collect(), rows.iter().map(|row| row.2.1).collect()];
        let bytes: Vec<u8> = rows.iter().flat_map(|row| row.3.clone()).collect();
        let ends: Vec<usize> = rows
            .iter()
            .scan(0, |end, row| {
                *end += row.3.len();
                Some(*end)
            })
            .collect();
        let texts = Texts { ends: &ends, bytes: &bytes };
        writer.append(Rows { codes: &codes, hashes: &hashes, words: &words, texts }).unwrap();
    }
    let sealed = writer.seal().unwrap().into_file().publish().unwrap();
    (path, SideFile::of("wide.ledger".to_string(), &sealed))
}

fn read_wide(path: &Path, file: &SideFile, rows: usize) -> Result<Vec<WideRow>> {
    let mut found = Vec::new();
    let mut reader = LedgerReader::open(&Disk::default(), path, file, rows as u64)?;
    while let Some(block) = reader.next_block()? {
        let rows = block.rows;
        found.extend((0..rows.codes.len()).map(|row| {
            let words = (rows.words[0][row], rows.words[1][row]);
            (rows.codes[row], rows.hashes[row], words, rows.texts.get(row).to_vec())
        }));
    }
    Ok(found)
}

#[test]
fn the_bytes_of_a_ledger_with_words_and_texts_are_frozen() {
    let dir = TempDir::new().unwrap();
    let rows = [(1, 3, (5, 6), b"ab".to_vec()), (2, 4, (7, 8), b"".to_vec())];
    let (path, _) = write_wide(dir.path(), &rows, 1);
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes[..16], *b"2PSL\x02\0\x02\x01\x02\0\0\0\x01\0\0\0");
    assert_eq!(bytes.len(), 8 + 32 + 2 * (1 + 8 + 16 + 4) + 2 + 32);
    let hash = format!("{:032x}", xxh3_128(&bytes));
    assert_eq!(hash, "a42203c6fbcaab1889e848d660a08351");
}

#[test]
fn long_texts_end_a_block_early_and_come_back() {
    let rows: Vec<WideRow> = (0..20_u8).map(|row| (0, u64::from(row), (1, 2), vec![row; 1 << 19])).collect();
    let dir = TempDir::new().unwrap();
    let (path, file) = write_wide(dir.path(), &rows, 7);
    assert_eq!(read_wide(&path, &file, 20).unwrap(), rows);
    let (_, other) = write_wide(dir.path(), &rows, 1);
    assert_eq!(file, other);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_cutting_into_calls_gives_the_same_file(
        rows in prop::collection::vec((prop_oneof![0_u32..3, 0_u32..1000, any::<u32>()], any::<u64>()), 0..500),
        step in 1_usize..600,
    ) {
        let (codes, hashes): (Vec<u32>, Vec<u64>) = rows.into_iter().unzip();
        let dir = TempDir::new().unwrap();
        let (path, file) = write(dir.path(), &codes, &hashes, step);
        prop_assert_eq!(read(&path, &file, codes.len()).unwrap(), (codes.clone(), hashes.clone()));
        let (_, whole) = write(dir.path(), &codes, &hashes, 1000);
        prop_assert_eq!(file, whole);
    }

    #[test]
    fn words_and_texts_come_back_and_damage_is_seen(
        rows in prop::collection::vec(
            (0_u32..300, any::<u64>(), any::<(u64, u64)>(), prop::collection::vec(any::<u8>(), 0..9)),
            0..60,
        ),
        step in 1_usize..70,
        at in any::<prop::sample::Index>(),
    ) {
        let dir = TempDir::new().unwrap();
        let (path, file) = write_wide(dir.path(), &rows, step);
        prop_assert_eq!(&read_wide(&path, &file, rows.len()).unwrap(), &rows);
        let (_, whole) = write_wide(dir.path(), &rows, 1000);
        prop_assert_eq!(&file, &whole);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 0x41;
        std::fs::write(&path, &bytes).unwrap();
        let recorded = SideFile { path: String::new(), bytes: bytes.len() as u64, xxh3: xxh3_128(&bytes) };
        prop_assert!(is_damage(&read_wide(&path, &recorded, rows.len())), "flipped at {}", at);
    }
}
