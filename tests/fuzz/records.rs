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
use twopass::store::{Identity, LedgerReader, PartRecord, ShardRecord, ShardStamp, SideFile};
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
    let (mut at, mut first_row) = (8, 0_u64);
    while at + 24 <= bytes.len() {
        let rows = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let end = at + 24 + rows.saturating_mul(usize::from(bytes[at + 4]) + 8);
        if end > bytes.len() {
            return;
        }
        let mut digest = Xxh3::new();
        digest.update(&first_row.to_le_bytes());
        digest.update(&bytes[at..at + 8]);
        digest.update(&bytes[at + 24..end]);
        bytes[at + 8..at + 24].copy_from_slice(&digest.digest128().to_le_bytes());
        (at, first_row) = (end, first_row + rows as u64);
    }
}

fn anything(numbers: &mut Numbers) -> Vec<u8> {
    let length = place(numbers, 4096);
    (0..length).map(|_| numbers.next() as u8).collect()
}

#[test]
fn a_damaged_ledger_is_damage_or_rows() {
    let kept = ["shard-0.ledger", "shard-1.ledger"].map(corpus::kept);
    let place = Place::new();
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
