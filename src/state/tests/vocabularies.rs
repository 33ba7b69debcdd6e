//! Distinct counts, sketches and vocabularies.

use super::*;

#[test]
fn sketches_stay_within_their_error() {
    // Standard error 1.6 %: five of them are never met by chance in this many trials.
    let mut random = Random(3);
    let mut sketch = HyperLogLog::default();
    let mut worst = 0.0f64;
    let mut squared = 0.0;
    let mut trials = 0.0;
    for size in 1..=1_000_000u64 {
        sketch.insert(random.next());
        if size % 20_000 == 0 || size < 100_000 && size % 1000 == 0 {
            let error = sketch.estimate() as f64 / size as f64 - 1.0;
            worst = worst.max(error.abs());
            squared += error * error;
            trials += 1.0;
        }
    }
    assert!(worst < 0.08, "worst error {worst}");
    assert!((squared / trials).sqrt() < 0.04, "typical error {}", (squared / trials).sqrt());

    for size in [0u64, 1, 10, 100, 1000] {
        let mut small = HyperLogLog::default();
        (0..size).for_each(|_| small.insert(random.next()));
        let error = (small.estimate() as f64 - size as f64).abs();
        assert!(error <= 0.08 * size as f64, "{size} estimated as {}", small.estimate());
    }
}

#[test]
fn regular_keys_are_spread_like_random_ones() {
    for stride in [1u64, 256, 1 << 32, 1 << 44] {
        let mut distinct = Distinct::default();
        let keys: Vec<u64> = (0..200_000u64).map(|i| i.wrapping_mul(stride)).collect();
        let size = keys.iter().collect::<std::collections::BTreeSet<_>>().len() as f64;
        distinct.update(&keys, |key| key);
        let (found, _) = distinct.count();
        assert!((found as f64 / size - 1.0).abs() < 0.06, "stride {stride}: {found} of {size}");
    }
    let mut floats = Distinct::default();
    let values: Vec<f64> = (0..500_000).map(|i| f64::from(i) * 0.25).collect();
    floats.update(&values, float_identity);
    assert!((floats.count().0 as f64 / 500_000.0 - 1.0).abs() < 0.06);
}

#[test]
fn a_distinct_count_is_exact_up_to_the_limit_and_not_beyond() {
    let mut distinct = Distinct::default();
    let keys: Vec<u64> = (0..EXACT_LIMIT as u64).rev().collect();
    distinct.update(&keys, |key| key);
    distinct.update(&keys, |key| key);
    assert_eq!(distinct.count(), (EXACT_LIMIT as u64, false));
    let before = distinct.clone();
    distinct.merge(&before);
    assert_eq!(distinct, before);
    distinct.update(&[u64::MAX], |key| key);
    let (count, estimated) = distinct.count();
    assert!(estimated && count > EXACT_LIMIT as u64);
    assert_eq!(reread(&distinct), distinct);
}

#[test]
fn identities_of_integers_never_meet() {
    let exact = 1i64 << 53;
    let mut values = vec![0, 1, -1, exact, -exact, exact + 1, -exact - 1, i64::MIN, i64::MAX];
    for value in [0.0, 1.0, -1.0, 2.5, 1e15, -3.0, 9_007_199_254_740_992.0, 9_007_199_254_740_994.0, -0.0] {
        values.push(f64::to_bits(value) as i64);
    }
    values.sort_unstable();
    values.dedup();
    let keys: std::collections::BTreeSet<u64> = values.iter().map(|value| int_identity(*value)).collect();
    assert_eq!(keys.len(), values.len());
    let keys: std::collections::BTreeSet<u64> = values.iter().map(|value| uint_identity(*value as u64)).collect();
    assert_eq!(keys.len(), values.len());
    assert_eq!(int_identity(-12), float_identity(-12.0));
    assert_eq!(uint_identity(12), float_identity(12.0));
}

fn exact(limit: usize) -> VocabularyNeed {
    VocabularyNeed::Exact { limit }
}

fn text_of(state: &ColumnState) -> &TextValues {
    match &state.values {
        Values::Text(text) => text,
        other => panic!("not a text column: {other:?}"),
    }
}

fn numbers_of(state: &ColumnState) -> &NumberVocabulary {
    match &state.values {
        Values::Number(number) => number.vocabulary.as_ref().unwrap(),
        other => panic!("not a number column: {other:?}"),
    }
}

#[test]
fn every_text_encoding_has_the_same_vocabulary() {
    let values = [Some("b"), None, Some("a"), Some("b"), Some(""), Some("é"), None, Some("b")];
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let expected = scanned(&array, exact(10));
    assert_eq!((expected.rows, expected.nulls, expected.distinct()), (8, 2, (4, false)));
    let text = text_of(&expected).vocabulary().unwrap();
    assert_eq!(text.sorted(), [("", 1), ("a", 1), ("b", 3), ("é", 1)]);
    assert_eq!(text.by_frequency(9), [("b", 3), ("", 1), ("a", 1), ("é", 1)]);
    assert_eq!((text.most_frequent(), text.count_of("b"), text.count_of("c")), (Some(("b", 3)), 3, 0));
    let dictionary = |key, value| DataType::Dictionary(Box::new(key), Box::new(value));
    for to in [
        DataType::LargeUtf8,
        DataType::Utf8View,
        dictionary(DataType::Int32, DataType::Utf8),
        dictionary(DataType::UInt8, DataType::Utf8),
        dictionary(DataType::Int64, DataType::LargeUtf8),
    ] {
        let encoded = arrow::compute::cast(&array, &to).unwrap();
        assert_eq!(bytes(&scanned(&encoded, exact(10))), bytes(&expected), "{to}");
        assert_eq!(bytes(&scanned(&encoded.slice(0, 8), exact(10))), bytes(&expected), "{to}");
    }
}

#[test]
fn a_dictionary_with_null_and_unused_values_counts_rows() {
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("used"), None, Some("unused")]));
    let keys = PrimitiveArray::<Int32Type>::from(vec![Some(0), Some(1), None, Some(0)]);
    let state = scanned(&DictionaryArray::new(keys, values), exact(10));
    assert_eq!((state.rows, state.nulls), (4, 2));
    assert_eq!(text_of(&state).vocabulary().unwrap().sorted(), [("used", 2)]);
}

#[test]
fn a_million_texts_fit() {
    let mut state = ColumnState::new(&DataType::Utf8, exact(2_000_000));
    for shard in 0..10 {
        let values = (0..100_000).map(|i| format!("category_{}", shard * 100_000 + i));
        state.update(&StringArray::from_iter_values(values)).unwrap();
    }
    assert_eq!(state.distinct(), (1_000_000, false));
    assert!(state.heap_bytes() < 90 << 20, "{} bytes", state.heap_bytes());
    assert_eq!(reread(&state), state);
}

proptest! {
    #[test]
    fn text_vocabularies_follow_the_oracle(
        values in prop::collection::vec(prop::option::of("[a-c]{0,3}"), 0..300),
        limit in 0usize..50,
        seed: u64,
    ) {
        let mut oracle: BTreeMap<&str, u64> = BTreeMap::new();
        values.iter().flatten().for_each(|value| *oracle.entry(value).or_default() += 1);
        let array: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let state = scanned(&array, exact(limit));
        match text_of(&state).vocabulary() {
            Some(found) => prop_assert_eq!(found.sorted(), oracle.into_iter().collect::<Vec<_>>()),
            None => prop_assert!(oracle.len() > limit),
        }
        assert_laws(&array, exact(limit), seed);
    }

    #[test]
    fn number_vocabularies_follow_the_oracle(
        values in prop::collection::vec(prop::option::of(-20i64..20), 0..300),
        limit in 0usize..50,
        seed: u64,
    ) {
        let mut oracle: BTreeMap<i64, u64> = BTreeMap::new();
        values.iter().flatten().for_each(|value| *oracle.entry(*value).or_default() += 1);
        let array: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        let state = scanned(&array, exact(limit));
        match numbers_of(&state).sorted() {
            Some(found) => {
                let oracle: Vec<_> = oracle.iter().map(|(value, count)| (Number::Int(*value), *count)).collect();
                prop_assert_eq!(found, oracle);
            }
            None => prop_assert!(oracle.len() > limit),
        }
        assert_laws(&array, exact(limit), seed);
        let floats: Vec<_> = values.iter().map(|value| value.map(|value| value as f64 / 2.0)).collect();
        let array: ArrayRef = Arc::new(Float64Array::from(floats));
        prop_assert_eq!(numbers_of(&scanned(&array, exact(limit))).exceeded(), oracle.len() > limit);
        assert_laws(&array, exact(limit), seed);
    }

    #[test]
    fn number_keys_keep_their_order(a: f64, b: f64, c: i64, d: i64) {
        prop_assert_eq!(Number::Float(a).key() < Number::Float(b).key(), a < b);
        prop_assert_eq!(Number::Int(c).key().cmp(&Number::Int(d).key()), c.cmp(&d));
        prop_assert_eq!(Number::of_key(NumberKind::Float, Number::Float(a).key()), Number::Float(a));
        prop_assert_eq!(Number::of_key(NumberKind::Int, Number::Int(c).key()), Number::Int(c));
    }
}

proptest! {
    /// Values that begin alike, that hold zero bytes, that end where others go on.
    #[test]
    fn values_come_in_the_order_of_their_bytes(
        values in prop::collection::vec("(abcdefgh)?[\\x00\\x01a\u{e9}]{0,12}", 0..60), most in 0_usize..8,
    ) {
        let mut text = TextValues::with_limit(1000);
        values.iter().for_each(|value| text.add(value, 1));
        let vocabulary = text.vocabulary().unwrap();
        let mut counts = BTreeMap::new();
        values.iter().for_each(|value| *counts.entry(value.as_str()).or_insert(0) += 1);
        let mut expected: Vec<(&str, u64)> = counts.into_iter().collect();
        prop_assert_eq!(vocabulary.sorted(), &expected[..]);
        expected.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        expected.truncate(most);
        prop_assert_eq!(vocabulary.by_frequency(most), expected);
    }
}
