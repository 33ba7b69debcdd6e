//! Columns of every type, under every cutting.

use arrow::datatypes::TimeUnit;

use super::*;

fn number(array: &dyn Array, need: VocabularyNeed) -> NumberState {
    match scanned(array, need).values {
        Values::Number(state) => state,
        other => panic!("not a number column: {other:?}"),
    }
}

#[test]
fn every_type_obeys_the_laws() {
    let base: ArrayRef =
        Arc::new(Int64Array::from((0..400).map(|i| (i % 7 != 0).then_some(i * 37 % 50)).collect::<Vec<_>>()));
    let as_text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let types = [
        DataType::Boolean,
        DataType::Int8,
        DataType::UInt16,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(12, 3),
        DataType::Utf8,
        DataType::Utf8View,
        as_text,
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int64)),
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Date64,
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Duration(TimeUnit::Second),
    ];
    for to in types {
        let array = arrow::compute::cast(&base, &to).unwrap();
        let state = scanned(&array, COUNT);
        assert_eq!((state.rows, state.nulls), (400, 58), "{to}");
        let expected = if to == DataType::Boolean { 2 } else { 50 };
        assert_eq!(state.distinct(), (expected, false), "{to}");
        for need in [COUNT, VocabularyNeed::Exact { limit: 20 }, VocabularyNeed::Exact { limit: 100 }] {
            assert_laws(&array, need, 11);
        }
    }
    let text = arrow::compute::cast(&base, &DataType::Utf8).unwrap();
    for to in [DataType::Binary, DataType::LargeBinary, DataType::BinaryView] {
        let array = arrow::compute::cast(&text, &to).unwrap();
        assert_eq!(scanned(&array, COUNT).distinct(), (50, false), "{to}");
        assert_laws(&array, COUNT, 12);
    }
}

#[test]
fn times_keep_their_range() {
    let array = TimestampSecondArray::from(vec![Some(5), None, Some(-3)]);
    let Values::Time(state) = scanned(&array, COUNT).values else { panic!("not a time column") };
    assert_eq!((state.min, state.max, state.distinct.count()), (-3, 5, (2, false)));
    let dates = scanned(&Date32Array::from(vec![19_000, 19_001, 19_000]), COUNT);
    assert_eq!(dates.distinct(), (2, false));
}

#[test]
fn columns_without_values_have_no_statistics() {
    let nulls = Float64Array::from(vec![None, None, None]);
    let state = scanned(&nulls, COUNT);
    assert_eq!((state.rows, state.nulls, state.distinct()), (3, 3, (0, false)));
    let found = number(&nulls, COUNT);
    assert_eq!((found.range(), found.moments.mean()), (None, None));
    assert_eq!(number(&Int64Array::from(vec![None, None]), COUNT).range(), None);
    let array: ArrayRef = Arc::new(NullArray::new(4));
    let mut state = scanned(&array, COUNT);
    assert_eq!((state.rows, state.nulls), (4, 4));
    state.merge(scanned(&Int32Array::from(vec![1, 2]), COUNT)).unwrap();
    assert_eq!((state.rows, state.nulls, state.distinct()), (6, 4, (2, false)));
}

#[test]
fn values_under_nulls_are_never_read() {
    let values = arrow::buffer::ScalarBuffer::from(vec![f64::NAN; 300]);
    let valid = (0..300).map(|i| i % 3 == 5).collect::<Vec<_>>();
    let array = Float64Array::new(values, Some(valid.into()));
    assert_eq!(number(&array, COUNT).moments, Moments::default());
    for share in [2, 3, 10, 64] {
        let all: Vec<_> = (0..1000).map(|i| (i % share == 0).then_some(f64::from(i))).collect();
        let there: Vec<_> = all.iter().flatten().copied().collect();
        let sliced = Float64Array::from(all).slice(0, 1000);
        assert_eq!(number(&sliced, COUNT), number(&Float64Array::from(there), COUNT));
    }
}

#[test]
fn integer_shards_join_float_shards() {
    let need = VocabularyNeed::Exact { limit: 100 };
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![3, -4, 3, 1 << 53]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 3.0, f64::NAN]));
    let as_floats = arrow::compute::cast(&ints, &DataType::Float64).unwrap();
    let mut expected = scanned(&as_floats, need);
    expected.update(&floats).unwrap();
    for (first, second) in [(&ints, &floats), (&floats, &ints)] {
        let mut state = scanned(first, need);
        state.merge(scanned(second, need)).unwrap();
        assert_eq!(bytes(&state), bytes(&expected));
    }
    for beyond in [vec![(1i64 << 53) + 1], vec![-(1i64 << 53) - 1], vec![i64::MIN]] {
        let mut state = scanned(&floats, need);
        assert!(state.merge(scanned(&Int64Array::from(beyond), need)).is_err());
    }
}

#[test]
fn integer_and_float_sketches_meet() {
    let ints: Vec<i64> = (0..5000).map(|i| i * 3 - 7000).collect();
    let int = scanned(&Int64Array::from(ints.clone()), COUNT);
    let float = scanned(&Float64Array::from_iter_values(ints.iter().map(|value| *value as f64)), COUNT);
    let mut both = int;
    both.merge(float.clone()).unwrap();
    assert_eq!(both.distinct(), float.distinct());
}

#[test]
fn different_types_and_needs_do_not_merge() {
    let text = scanned(&StringArray::from(vec!["a"]), COUNT);
    let int = scanned(&Int64Array::from(vec![1]), COUNT);
    assert!(text.clone().merge(int.clone()).is_err());
    assert!(int.clone().merge(scanned(&UInt64Array::from(vec![1]), COUNT)).is_err());
    let other = VocabularyNeed::Exact { limit: 3 };
    assert!(int.clone().merge(scanned(&Int64Array::from(vec![1]), other)).is_err());
    assert!(text.clone().merge(scanned(&StringArray::from(vec!["a"]), other)).is_err());
    assert!(int.clone().update(&StringArray::from(vec!["a"])).is_err());
    assert!(text.clone().update(&Int64Array::from(vec![1])).is_err());
}

/// Values near each other, far apart, special, and repeated.
fn doubles() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        4 => (-1e3..1e3f64).prop_map(Some),
        2 => (-50i32..50).prop_map(|value| Some(f64::from(value))),
        1 => any::<f64>().prop_map(Some),
        1 => prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, -0.0, 5e-324]).prop_map(Some),
        1 => Just(None),
    ]
}

proptest! {
    #[test]
    fn any_sharding_of_doubles_gives_the_same_state(values in prop::collection::vec(doubles(), 0..4000), seed: u64) {
        let array: ArrayRef = Arc::new(Float64Array::from(values));
        assert_laws(&array, COUNT, seed);
    }

    #[test]
    fn any_sharding_of_integers_gives_the_same_state(values in prop::collection::vec(any::<i64>(), 0..4000), seed: u64) {
        let array: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        assert_laws(&array, COUNT, seed);
        let array: ArrayRef = Arc::new(UInt64Array::from_iter_values(values.iter().map(|value| *value as u64)));
        assert_laws(&array, COUNT, seed);
    }
}

/// The rows of `values` that `codes` name; a null value may have a code, and a null code stands for no value.
fn coded(values: &ArrayRef, codes: &[Option<usize>]) -> ArrayRef {
    let valid: Vec<bool> = codes.iter().map(Option::is_some).collect();
    // Under a null there is any code.
    let keys = codes.iter().enumerate().map(|(row, code)| (code.unwrap_or(row) % values.len()) as i32);
    let keys = Int32Array::new(keys.collect(), Some(valid.into()));
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::clone(values)))
}

fn assert_codes_are_values(values: &ArrayRef, codes: &[Option<usize>]) {
    let array = coded(values, codes);
    let expanded = arrow::compute::cast(&array, values.data_type()).unwrap();
    for need in [COUNT, VocabularyNeed::Exact { limit: 5 }, VocabularyNeed::Exact { limit: 100_000 }] {
        let expected = scanned(&expanded, need);
        assert_eq!(bytes(&scanned(&array, need)), bytes(&expected), "{}", values.data_type());
        let mut state = ColumnState::new(array.data_type(), need);
        let mut counts = CodeCounts::default();
        for at in (0..array.len()).step_by(100) {
            let part = array.slice(at, 100.min(array.len() - at));
            assert!(counts.add(part.as_any_dictionary()).unwrap().is_none(), "one dictionary");
        }
        if let Some(counted) = counts.finish().unwrap() {
            state.update_counted(&counted).unwrap();
        }
        assert_eq!(bytes(&state), bytes(&expected), "{}, in parts", values.data_type());
    }
}

proptest! {
    #[test]
    fn codes_and_values_give_the_same_summary(
        doubles in prop::collection::vec(doubles(), 1..40),
        whole in prop::collection::vec(prop::option::weighted(0.9, any::<u64>()), 1..40),
        shift in 0u32..64,
        codes in prop::collection::vec(prop::option::weighted(0.9, 0usize..1000), 0..700),
    ) {
        use DataType as T;
        let small: Vec<Option<u64>> = whole.iter().map(|value| value.map(|value| value >> shift)).collect();
        let to = |array: &ArrayRef, types: &[DataType]| {
            for data_type in types {
                // What does not fit a type is null in it.
                assert_codes_are_values(&arrow::compute::cast(array, data_type).unwrap(), &codes);
            }
        };
        let payload = f64::from_bits(f64::NAN.to_bits() | 77);
        let odd = [Some(payload), Some(-0.0), Some(0.0), None];
        let floats: ArrayRef = Arc::new(doubles.into_iter().chain(odd).collect::<Float64Array>());
        to(&floats, &[T::Float64, T::Float32, T::Float16, T::Boolean, T::Decimal128(20, 3)]);
        let signed = small.iter().map(|value| value.map(|value| value as i64 * if value % 2 == 0 { 1 } else { -1 }));
        let signed: ArrayRef = Arc::new(signed.collect::<Int64Array>());
        to(&signed, &[T::Int64, T::Int32, T::Int16, T::Int8, T::Utf8, T::LargeUtf8, T::Utf8View, T::Binary]);
        to(&signed, &[T::Timestamp(TimeUnit::Nanosecond, None), T::Date32, T::Date64, T::Duration(TimeUnit::Second)]);
        let unsigned: ArrayRef = Arc::new(small.into_iter().collect::<UInt64Array>());
        to(&unsigned, &[T::UInt64, T::UInt32, T::UInt16, T::UInt8]);
        assert_codes_are_values(&(Arc::new(NullArray::new(3)) as ArrayRef), &codes);
    }
}

/// More values than are counted exactly, blocks of more rows than a table entry holds, and tables that fold in between.
#[test]
fn long_dictionaries_and_frequent_codes_give_the_same_summary() {
    let mut random = Random(5);
    let values: ArrayRef = Arc::new(Float64Array::from_iter_values((0..9000).map(|_| random.unit() * 1e4 - 5e3)));
    let spread: Vec<Option<usize>> = (0..20_000).map(|_| Some(random.next() as usize)).collect();
    assert_codes_are_values(&values, &spread);
    let frequent: Vec<Option<usize>> = (0..3 << 20).map(|row| Some(if row % 3 == 0 { row } else { 7 })).collect();
    assert_codes_are_values(&values, &frequent);
    assert_codes_are_values(&values.slice(0, 3000), &frequent[..3 << 18]);
    assert_codes_are_values(&values.slice(0, 10), &spread);
}
