use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

use super::ledger::{BLOCK_ROWS, LedgerReader, LedgerWriter};
use super::record::SideFile;
use crate::disk::Disk;
use crate::error::{Error, Result};

fn write(dir: &Path, codes: &[u32], hashes: &[u64], step: usize) -> (PathBuf, SideFile) {
    let path = dir.join("one.ledger");
    let mut writer = LedgerWriter::create(&Disk::default(), &path).unwrap();
    for (codes, hashes) in codes.chunks(step).zip(hashes.chunks(step)) {
        writer.append(codes, hashes).unwrap();
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
        assert!(block.codes.len() <= BLOCK_ROWS);
        codes.extend_from_slice(block.codes);
        hashes.extend_from_slice(block.hashes);
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
    let mut writer = LedgerWriter::create(&Disk::default(), &dir.path().join("one.ledger")).unwrap();
    writer.append(&[1], &[2]).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
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
}
