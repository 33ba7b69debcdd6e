//! The columns' summaries within a shard's summary: numbers, texts, vocabularies and sketches. What is decoded is used as
//! a job uses it.

use arrow::datatypes::{DataType, Field};
use serde::Serialize;
use serde::de::DeserializeOwned;
use twopass::error::Error;
use twopass::facts::ColumnFacts;
use twopass::scan::{ColumnSummary, ShardSummary};
use twopass::split::Quotas;
use twopass::state::{ExactSum, HyperLogLog, NumberVocabulary, Summary, TextValues, Values};
use twopass::store::frame::{self, Kind};

use crate::corpus;
use crate::mutate::{damaged, fuzz, peak_kib, pick};

fn summaries() -> Vec<ShardSummary> {
    let files = ["shard-0.summary", "shard-1.summary"];
    files.map(|name| frame::decode(Kind::Summary, &corpus::records(name)[1].framed).unwrap()).to_vec()
}

#[test]
fn columns_that_can_be_decoded_can_be_used() {
    let kept = summaries();
    fuzz("columns", |numbers| {
        let (like, other) = (pick(numbers, &kept), pick(numbers, &kept));
        let columns = damaged(numbers, &like.columns, &other.columns);
        let Ok(columns) = (ShardSummary { columns, ..like.clone() }).decode_columns() else { return };
        let encoded = bincode::serde::encode_to_vec(&columns, bincode::config::standard()).unwrap();
        let again = ShardSummary { columns: encoded.clone(), ..like.clone() }.decode_columns().unwrap();
        // Compared as bytes: a NaN is not itself.
        assert!(encoded == bincode::serde::encode_to_vec(&again, bincode::config::standard()).unwrap());
        let known = other.decode_columns().unwrap();
        for (((name, data_type), mut column), known) in like.read_as.iter().zip(columns).zip(known) {
            let field = Field::new(name, data_type.parse::<DataType>().unwrap(), true);
            let _ = ColumnFacts::new(&field, &column.state, column.value_bytes);
            if column.merge(known.clone()).is_ok() {
                let _ = ColumnFacts::new(&field, &column.state, column.value_bytes);
                assert!(column.state.heap_bytes() < 1 << 24);
            }
            let mut known = known;
            if known.merge(column).is_ok() {
                let _ = ColumnFacts::new(&field, &known.state, known.value_bytes);
            }
        }
    });
}

/// A text's length is the one place where what is claimed could be allocated at once.
#[test]
fn no_length_within_a_column_asks_for_memory() {
    let before = peak_kib();
    for summary in summaries() {
        for at in 0..summary.columns.len() {
            for claimed in [1_u64 << 31, 3 << 30, 1 << 40] {
                let mut columns = summary.columns.clone();
                columns.splice(at..=at, [&[253][..], &claimed.to_le_bytes()].concat());
                let _ = ShardSummary { columns, ..summary.clone() }.decode_columns();
            }
            if at > 3000 {
                break;
            }
        }
    }
    assert!(peak_kib() - before < 1 << 20, "{} KiB", peak_kib() - before);
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).unwrap()
}

#[track_caller]
fn assert_refused<T: DeserializeOwned>(stored: &impl Serialize) {
    let read = bincode::serde::decode_from_slice::<T, _>(&encoded(stored), bincode::config::standard());
    assert!(read.is_err(), "{}", std::any::type_name::<T>());
}

/// Each would add up beyond 64 bits, or index beyond a table, where it is used.
#[test]
fn what_no_summary_writes_is_not_read() {
    let twice = ("aa", vec![1_u32, 1], vec![u64::MAX, u64::MAX]);
    assert_refused::<TextValues>(&(0_u32, 9_u64, twice.0, &twice.1, &twice.2));
    assert_refused::<TextValues>(&(0_u32, 9_u64, "ba", &twice.1, &[1_u64, 1]));
    assert_refused::<NumberVocabulary>(&(0_u32, 9_u64, false, vec![(7_u64, u64::MAX), (7, 1)]));
    assert_refused::<ExactSum>(&(u16::MAX, vec![1_u64]));
    assert_refused::<ExactSum>(&(0_u16, vec![0_u64, 1]));
    assert_refused::<ExactSum>(&(0_u16, vec![1_u64, 0]));
    assert_refused::<Quotas>(&(0_u64, vec![1_u64]));
    assert_refused::<Quotas>(&(2_u64, vec![1_u64; 3]));
}

#[test]
fn counts_beyond_the_rows_are_damage() {
    let summary = summaries().remove(0);
    let columns = summary.decode_columns().unwrap();
    let refused = |what: &str, change: &dyn Fn(&mut ColumnSummary)| {
        for at in 0..columns.len() {
            let mut changed = columns.clone();
            change(&mut changed[at]);
            if changed[at] != columns[at] {
                let read = ShardSummary { columns: encoded(&changed), ..summary.clone() }.decode_columns();
                assert!(matches!(read, Err(Error::Damaged { .. })), "{what} of column {at}");
            }
        }
    };
    refused("rows", &|column| column.state.rows = summary.rows + 1);
    refused("nulls", &|column| column.state.nulls = column.state.rows + 1);
    refused("bytes", &|column| column.value_bytes = u64::MAX);
    refused("numbers", &|column| {
        if let Values::Number(number) = &mut column.state.values {
            (number.moments.count, number.moments.nan) = (u64::MAX, 1);
        }
    });
    refused("truths", &|column| {
        if let Values::Bool { r#true, .. } = &mut column.state.values {
            *r#true = u64::MAX;
        }
    });
    refused("limit", &|column| {
        if let Values::Text(text) = &mut column.state.values {
            *text = TextValues::Sketch { limit: u64::MAX, hashes: HyperLogLog::default() };
        }
    });
    let more = [columns.as_slice(), &columns[..1]].concat();
    assert!(ShardSummary { columns: encoded(&more), ..summary.clone() }.decode_columns().is_err());
    let after = [summary.columns.as_slice(), b"x"].concat();
    assert!(ShardSummary { columns: after, ..summary.clone() }.decode_columns().is_err());
}
