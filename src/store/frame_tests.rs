use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{HEADER_BYTES, Kind, check, decode, decode_first, encode};
use crate::error::Error;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    count: u64,
    mean: f64,
    name: Option<String>,
    values: Vec<u32>,
}

fn sample() -> Sample {
    Sample { count: 3, mean: 0.5, name: Some("zip".to_string()), values: vec![1, 2] }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[track_caller]
fn assert_damaged<T: std::fmt::Debug>(result: Result<T, Error>, saying: &str) {
    match result {
        Err(Error::Damaged { what, .. }) => assert!(what.contains(saying), "{what:?} does not say {saying:?}"),
        other => panic!("expected damage, got {other:?}"),
    }
}

const GOLDEN: &str = concat!(
    "32505346 04 00 0300 2c00000000000000 2c00000000000000",
    "afab2af834d3cb73199807bda92dd8f3",
    "0300000000000000 000000000000e03f 01 0300000000000000 7a6970 0200000000000000 01000000 02000000",
);

#[test]
fn the_bytes_of_a_record_are_frozen() {
    let record = encode(Kind::Summary, &sample()).unwrap();
    assert_eq!(hex(&record), GOLDEN.replace(" ", ""));
    assert_eq!(decode::<Sample>(Kind::Summary, &unhex(GOLDEN)).unwrap(), sample());
}

#[test]
fn a_record_cut_anywhere_is_called_cut() {
    let record = encode(Kind::Plan, &sample()).unwrap();
    for length in 0..record.len() {
        assert_damaged(decode::<Sample>(Kind::Plan, &record[..length]), "is cut");
    }
}

#[test]
fn any_flipped_bit_is_damage() {
    let record = encode(Kind::Plan, &sample()).unwrap();
    for at in 0..record.len() {
        for bit in 0..8 {
            let mut flipped = record.clone();
            flipped[at] ^= 1 << bit;
            assert_damaged(decode::<Sample>(Kind::Plan, &flipped), "");
            assert_damaged(check(Kind::Plan, &flipped), "");
        }
    }
}

#[test]
fn an_intact_record_of_another_kind_or_version_is_called_that() {
    let record = encode(Kind::Plan, &sample()).unwrap();
    assert_damaged(decode::<Sample>(Kind::Summary, &record), "another kind (5)");
    let mut newer = record;
    newer[6] = 9;
    reseal(&mut newer);
    assert_damaged(decode::<Sample>(Kind::Plan, &newer), "has version 9");
}

#[test]
fn bytes_after_a_record_are_refused_or_given_back() {
    let mut record = encode(Kind::Plan, &sample()).unwrap();
    record.extend_from_slice(b"more");
    assert_damaged(decode::<Sample>(Kind::Plan, &record), "followed by 4 bytes");
    let (value, rest) = decode_first::<Sample>(Kind::Plan, &record).unwrap();
    assert_eq!((value, rest), (sample(), &b"more"[..]));
}

#[test]
fn a_record_of_another_type_is_refused() {
    let record = encode(Kind::Plan, &7_u64).unwrap();
    assert_damaged(decode::<Sample>(Kind::Plan, &record), "cannot be decoded");
    assert_damaged(decode::<u32>(Kind::Plan, &record), "4 bytes after its value");
}

/// Resealed records pass the checksum, so that what comes after it is on its own.
#[test]
fn a_length_inside_a_payload_cannot_ask_for_memory() {
    for claimed in [1_u64 << 20, 1 << 40, u64::MAX] {
        let mut record = encode(Kind::Plan, "text").unwrap();
        record[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&claimed.to_le_bytes());
        reseal(&mut record);
        assert_damaged(decode::<String>(Kind::Plan, &record), "cannot be decoded");
    }
}

#[test]
fn a_compressed_record_must_give_what_it_claims() {
    let zeros = vec![0_u64; 10_000];
    let record = encode(Kind::Summary, &zeros).unwrap();
    assert!(record.len() < 1000, "{} bytes", record.len());
    assert_eq!(decode::<Vec<u64>>(Kind::Summary, &record).unwrap(), zeros);
    for claimed in [79_000_u64, 81_000, u64::MAX] {
        let mut other = record.clone();
        other[16..24].copy_from_slice(&claimed.to_le_bytes());
        reseal(&mut other);
        assert_damaged(decode::<Vec<u64>>(Kind::Summary, &other), "claim");
    }
    let mut plain = record;
    plain[5] = 0;
    reseal(&mut plain);
    assert_damaged(decode::<Vec<u64>>(Kind::Summary, &plain), "flags");
}

fn reseal(record: &mut [u8]) {
    let checked = [&record[..24], &record[HEADER_BYTES..]].concat();
    record[24..HEADER_BYTES].copy_from_slice(&xxhash_rust::xxh3::xxh3_128(&checked).to_le_bytes());
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        count: u64, mean in -1e300..1e300, name: Option<String>, values in prop::collection::vec(any::<u32>(), 0..3000),
    ) {
        let value = Sample { count, mean, name, values };
        let record = encode(Kind::Summary, &value).unwrap();
        prop_assert_eq!(decode::<Sample>(Kind::Summary, &record).unwrap(), value);
    }

    #[test]
    fn random_bytes_are_never_a_record(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode::<Sample>(Kind::Plan, &bytes).is_err());
        let resealable = [&b"2PSF"[..], &bytes].concat();
        prop_assert!(decode::<Sample>(Kind::Plan, &resealable).is_err());
    }
}
