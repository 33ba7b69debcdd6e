//! Framed records of every kind, and ledgers: as stored, and under a checksum that fits the damage.

use std::fs;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use twopass::disk::Disk;
use twopass::error::Error;
use twopass::plan::Plan;
use twopass::scan::ShardSummary;
use twopass::store::frame::{self, Kind};
use twopass::store::ledger::{Rows, Texts};
use twopass::store::{Identity, Layout, LedgerReader, LedgerWriter, PartRecord, ShardRecord, ShardStamp, SideFile};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::common::{Numbers, Place};
use crate::corpus::{self, Record};
use crate::mutate::{damaged, fuzz, pick, place};

/// The layout of the store's own entry of the log, which is not public.
#[derive(Debug, Serialize, serde::Deserialize)]
pub enum Event {
    Shard(ShardRecord),
    Forgotten(String),
    Plan(SideFile),
    Part(PartRecord),
}

/// The layout of what a summary file begins with.
#[derive(Debug, Serialize, serde::Deserialize)]
struct ShardHeader {
    stamp: ShardStamp,
    rows: u64,
    ledger: SideFile,
}

/// All kept records with their kinds.
fn kept() -> Vec<(Kind, Record)> {
    let files = [("identity", vec![Kind::Identity]), ("plan", vec![Kind::Plan]), ("events", vec![Kind::Event; 99])];
    let shards = ["shard-0.summary", "shard-1.summary"].map(|name| (name, vec![Kind::ShardHeader, Kind::Summary]));
    let all = files.into_iter().chain(shards);
    all.flat_map(|(name, kinds)| kinds.into_iter().zip(corpus::records(name))).collect()
}

/// Decodes `record`; what comes out can be encoded, and decodes to itself.
fn decode(kind: Kind, record: &[u8]) -> Result<(), Error> {
    fn of<T: Serialize + DeserializeOwned>(kind: Kind, record: &[u8]) -> Result<(), Error> {
        let value: T = frame::decode(kind, record)?;
        let encoded = frame::encode(kind, &value).unwrap();
        let again: T = frame::decode(kind, &encoded).unwrap();
        assert!(frame::encode(kind, &again).unwrap() == encoded, "{kind}");
        Ok(())
    }
    match kind {
        Kind::Identity => of::<Identity>(kind, record),
        Kind::Event => of::<Event>(kind, record),
        Kind::ShardHeader => of::<ShardHeader>(kind, record),
        Kind::Summary => of::<ShardSummary>(kind, record),
        Kind::Plan => of::<Plan>(kind, record),
    }
}

#[test]
fn a_damaged_record_is_called_damaged() {
    let kept = kept();
    kept.iter().for_each(|(kind, record)| decode(*kind, &record.framed).unwrap());
    fuzz("records", |numbers| {
        let ((kind, record), (_, other)) = (pick(numbers, &kept), pick(numbers, &kept));
        let bytes = damaged(numbers, &record.framed, &other.framed);
        let checked = frame::check(*kind, &bytes);
        match decode(*kind, &bytes) {
            Ok(()) => assert!(checked.is_ok() && kept.iter().any(|(_, record)| record.framed == bytes)),
            Err(error) => assert!(matches!(error, Error::Damaged { .. }), "{error}"),
        }
    });
}

#[test]
fn a_damaged_payload_under_a_fitting_checksum_is_damage_or_a_value() {
    let kept = kept();
    fuzz("payloads", |numbers| {
        let ((kind, record), (_, other)) = (pick(numbers, &kept), pick(numbers, &kept));
        let payload = damaged(numbers, &record.payload, &other.payload);
        let sealed = corpus::sealed(&record.framed, &payload);
        frame::check(*kind, &sealed).unwrap();
        if let Err(error) = decode(*kind, &sealed) {
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
        }
    });
}

#[test]
fn a_compressed_payload_under_a_fitting_checksum_is_damage_or_a_value() {
    let mut kept = kept();
    kept.retain(|(_, record)| record.framed[5] != 0);
    assert!(!kept.is_empty());
    fuzz("compressed payloads", |numbers| {
        let (kind, record) = pick(numbers, &kept);
        let stored = &record.framed[frame::HEADER_BYTES..];
        let mut sealed = corpus::sealed(&record.framed, &damaged(numbers, stored, &record.payload));
        sealed[5] = 1;
        // What it says it gives: as much as it did, or anything.
        let raw = if numbers.below(2) == 0 { record.payload.len() as u64 } else { numbers.next() >> numbers.below(64) };
        sealed[16..24].copy_from_slice(&raw.to_le_bytes());
        let mut digest = Xxh3::new();
        digest.update(&sealed[..24]);
        digest.update(&sealed[frame::HEADER_BYTES..]);
        sealed[24..40].copy_from_slice(&digest.digest128().to_le_bytes());
        if let Err(error) = decode(*kind, &sealed) {
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
        }
    });
}

/// Makes the checksums of all blocks new that still look like blocks.
fn reseal_blocks(bytes: &mut [u8]) {
    let [_, _, _, _, _, _, words, texts, ..] = *bytes else { return };
    let (words, texts) = (usize::from(words), texts == 1);
    let start = if texts { 16 } else { 8 };
    let (mut at, mut first_row) = (8, 0_u64);
    while at + start + 16 <= bytes.len() {
        let rows = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let row_bytes = usize::from(bytes[at + 4]) + 8 + words * 8 + if texts { 4 } else { 0 };
        let of_texts = if texts { u64::from_le_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize } else { 0 };
        let payload = at + start + 16;
        let end = payload.saturating_add(rows.saturating_mul(row_bytes)).saturating_add(of_texts);
        if end > bytes.len() {
            return;
        }
        let mut digest = Xxh3::new();
        digest.update(&first_row.to_le_bytes());
        digest.update(&bytes[at..at + start]);
        digest.update(&bytes[payload..end]);
        bytes[at + start..payload].copy_from_slice(&digest.digest128().to_le_bytes());
        (at, first_row) = (end, first_row + rows as u64);
    }
}

/// A ledger of 1,200 rows with words and texts.
fn wide_ledger(place: &Place) -> Vec<u8> {
    let path = place.path("wide");
    let mut writer = LedgerWriter::create(&Disk::default(), &path, Layout { words: 3, texts: true }).unwrap();
    let codes: Vec<u32> = (0..1200).map(|row| row % 300).collect();
    let hashes: Vec<u64> = (0..1200).map(|row| row << 40).collect();
    let ends: Vec<usize> = (1..=1200).map(|row| row * 7).collect();
    let rows = Rows {
        codes: &codes,
        hashes: &hashes,
        words: &[hashes.clone(), hashes.clone(), hashes.clone()],
        texts: Texts { ends: &ends, bytes: &vec![b'x'; 1200 * 7] },
    };
    writer.append(rows).unwrap();
    // It has its name only once it is committed; until then it lies beside that.
    let sealed = writer.seal().unwrap();
    let lies = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let bytes = lies.filter(|path| path.to_string_lossy().contains("wide")).map(|path| fs::read(path).unwrap());
    let bytes = bytes.last().expect("a ledger under a temporary name");
    drop(sealed);
    bytes
}

fn anything(numbers: &mut Numbers) -> Vec<u8> {
    let length = place(numbers, 4096);
    (0..length).map(|_| numbers.next() as u8).collect()
}

#[test]
fn a_damaged_ledger_is_damage_or_rows() {
    let place = Place::new();
    let kept = [corpus::kept("shard-0.ledger"), corpus::kept("shard-1.ledger"), wide_ledger(&place)];
    let path = place.path("ledger");
    fuzz("ledgers", |numbers| {
        let (ledger, other) = (pick(numbers, &kept), pick(numbers, &kept));
        let mut bytes = if numbers.below(16) == 0 { anything(numbers) } else { damaged(numbers, ledger, other) };
        if numbers.below(2) == 0 {
            reseal_blocks(&mut bytes);
        }
        fs::write(&path, &bytes).unwrap();
        let expected = SideFile { path: "ledger".to_string(), bytes: bytes.len() as u64, xxh3: xxh3_128(&bytes) };
        let rows = pick(numbers, &[24, 1200, 0]);
        let read = || -> Result<u64, Error> {
            let mut reader = LedgerReader::open(&Disk::default(), &path, &expected, *rows)?;
            let mut read = 0;
            while let Some(block) = reader.next_block()? {
                assert_eq!((block.first_row, block.rows.codes.len()), (read, block.rows.hashes.len()));
                read += block.rows.codes.len() as u64;
                (0..block.rows.texts.ends.len())
                    .for_each(|row| assert!(block.rows.texts.get(row).len() <= bytes.len()));
            }
            Ok(read)
        };
        match read() {
            Ok(read) => assert_eq!(read, *rows),
            Err(error) => assert!(matches!(error, Error::Damaged { .. }), "{error}"),
        }
    });
}

#[test]
fn the_corpus_has_every_kind() {
    let events: Vec<Event> =
        corpus::records("events").iter().map(|r| frame::decode(Kind::Event, &r.framed).unwrap()).collect();
    assert!(events.iter().any(|event| matches!(event, Event::Shard(_))), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Plan(_))), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Part(_))), "{events:?}");
    let manifest: Value = serde_json::from_slice(&corpus::kept("manifest.json")).unwrap();
    assert_eq!(manifest["format"], 1);
}
