//! What comes by code is what would come row by row.

use arrow::array::{UInt32Array, new_null_array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::TimeUnit;
use proptest::prelude::*;

use super::super::LaneRun;
use super::*;

/// Dictionary values of every plain type: repeated, null, and special where the type has such.
fn values_of(data_type: &DataType) -> ArrayRef {
    let numbers = ints([Some(3), Some(0), None, Some(7), Some(3), Some(1), Some(100), Some(0)]);
    match data_type {
        DataType::Float64 => {
            floats([Some(1.5), Some(-0.0), None, Some(f64::NAN), Some(0.0), Some(1e300), Some(1.5), Some(-2.25)])
        }
        DataType::Float32 => {
            cast(&floats([Some(1.5), Some(f64::NAN), None, Some(-0.0), Some(0.1)]), data_type).unwrap()
        }
        DataType::Utf8 => texts([Some("é"), Some(""), None, Some("é"), Some("nan"), Some("x y")]),
        other => cast(&numbers, other).unwrap(),
    }
}

fn plain_types() -> Vec<DataType> {
    use DataType as T;
    vec![
        T::Boolean,
        T::Int8,
        T::Int32,
        T::Int64,
        T::UInt16,
        T::UInt64,
        T::Float32,
        T::Float64,
        T::Decimal128(12, 2),
        T::Utf8,
        T::Date32,
        T::Timestamp(TimeUnit::Microsecond, None),
    ]
}

const STEPS: [&str; 11] = [
    "",
    "op = 'standard_scaler'",
    "op = 'min_max_scaler', clip = true",
    "op = 'simple_imputer', strategy = 'mean', add_indicator = true",
    "op = 'simple_imputer', strategy = 'most_frequent'",
    "op = 'simple_imputer', strategy = 'constant', add_indicator = true",
    "op = 'ordinal_encoder'",
    "op = 'ordinal_encoder', encoded_missing_value = -1, max_categories = 3",
    "op = 'one_hot_encoder'",
    "op = 'one_hot_encoder', min_frequency = 2, drop = 'first'",
    "label",
];

fn toml(step: &str) -> String {
    match step {
        "" => String::new(),
        "label" => "label.column = 'x'".to_string(),
        step => format!("transform = [{{ columns = 'x', {step} }}]"),
    }
}

/// Equal bit for bit where there is a value, and null in the same rows.
fn assert_same(one: &ArrayRef, other: &ArrayRef, what: &str) {
    assert_eq!(one.data_type(), other.data_type(), "{what}");
    let valid = |array: &ArrayRef| (0..array.len()).map(|row| array.is_valid(row)).collect::<Vec<_>>();
    assert_eq!(valid(one), valid(other), "{what}");
    let rows: UInt32Array = (0..one.len() as u32).filter(|row| one.is_valid(*row as usize)).collect();
    let there = |array: &ArrayRef| take(array, &rows, None).unwrap().to_data();
    assert_eq!(there(one).buffers(), there(other).buffers(), "{what}");
}

proptest! {
    #[test]
    fn codes_and_values_come_out_the_same(
        codes in prop::collection::vec(prop::option::weighted(0.8, 0usize..8), 1..60),
        cut: prop::sample::Index,
    ) {
        for data_type in plain_types() {
            let values = values_of(&data_type);
            // The last value is never used.
            let most = values.len() - 1;
            let keys: Int32Array = codes.iter().map(|code| code.map(|code| (code % most) as i32)).collect();
            let coded = DictionaryArray::<Int32Type>::new(keys, Arc::clone(&values));
            let coded: ArrayRef = Arc::new(coded);
            let expanded = plain_of(&coded);
            for step in STEPS {
                let what = format!("{data_type}: {step}");
                let of_values = fitted(&toml(step), &[("x", Arc::clone(&expanded))]);
                let of_codes = fitted(&toml(step), &[("x", Arc::clone(&coded))]);
                let (Ok(pipeline), Ok(same)) = (&of_values, &of_codes) else {
                    prop_assert_eq!(message(of_values), message(of_codes));
                    continue;
                };
                prop_assert_eq!(pipeline, same);
                let lane = &pipeline.lanes[0];
                let expected = lane.apply(&expanded).unwrap();
                let at = cut.index(codes.len() + 1);
                let mut run = LaneRun::new(lane);
                let first = run.apply(&coded.slice(0, at)).unwrap();
                let second = run.apply(&coded.slice(at, codes.len() - at)).unwrap();
                for (slot, expected) in expected.iter().enumerate() {
                    let (first, second) = (plain(&first[slot]), plain(&second[slot]));
                    let both = concat(&[&first, &second]).unwrap();
                    assert_same(&both, expected, &what);
                }
            }
        }
    }
}

fn plain_of(coded: &ArrayRef) -> ArrayRef {
    let DataType::Dictionary(_, values) = coded.data_type() else { panic!("a dictionary") };
    cast(coded, values).unwrap()
}

#[test]
fn a_dictionary_without_values_has_nulls_only() {
    for data_type in plain_types() {
        let array = values_of(&data_type);
        let keys = Int32Array::from(vec![None, None, None]);
        let empty: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, array.slice(0, 0)));
        for step in STEPS {
            let Ok(pipeline) = fitted(&toml(step), &[("x", Arc::clone(&array))]) else { continue };
            let expected = pipeline.lanes[0].apply(&new_null_array(&data_type, 3)).unwrap();
            let got = pipeline.lanes[0].apply(&empty).unwrap();
            for (got, expected) in got.iter().zip(&expected) {
                assert_same(&plain(got), expected, &format!("{data_type}: {step}"));
            }
        }
    }
}

#[test]
fn a_refused_value_is_named_by_its_row_and_only_if_a_row_has_it() {
    let pipeline = fitted(&toml("op = 'ordinal_encoder'"), &[("x", ints([4, 5, 6]))]).unwrap();
    let array = |keys: Vec<Option<i32>>| -> ArrayRef {
        Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(keys), ints([4, 99, 6, 5])))
    };
    let got = pipeline.lanes[0].apply(&array(vec![Some(0), Some(2), Some(3)])).unwrap();
    assert_eq!(i32s(&plain(&got[0])), [0, 2, 1].map(Some));
    let error = message(pipeline.lanes[0].apply(&array(vec![Some(0), Some(2), Some(1)])));
    assert!(error.contains("row 2, column `x`: category `99`"), "{error}");
    let error = message(pipeline.lanes[0].apply(&array(vec![Some(0), None, Some(3)])));
    assert!(error.contains("row 1, column `x`: a missing value"), "{error}");
}

#[test]
fn the_arrays_of_a_dictionary_become_arrays_of_a_dictionary() {
    let pipeline = fitted(&toml("op = 'simple_imputer', strategy = 'constant'"), &[("x", ints([4, 5]))]).unwrap();
    let values = ints([4, 5]);
    let array = |keys: [Option<i32>; 3]| -> ArrayRef {
        Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(keys.to_vec()), Arc::clone(&values)))
    };
    let mut run = LaneRun::new(&pipeline.lanes[0]);
    let mut dictionary = |keys| run.apply(&array(keys)).unwrap().remove(0).as_dictionary::<Int32Type>().clone();
    let (full, holed) = (dictionary([Some(1), Some(0), Some(1)]), dictionary([Some(1), None, Some(1)]));
    let (full_again, holed_again) = (dictionary([Some(0); 3]), dictionary([None; 3]));
    assert!(Arc::ptr_eq(full.values(), full_again.values()) && Arc::ptr_eq(holed.values(), holed_again.values()));
    assert_eq!((full.values().len(), holed.values().len(), holed.null_count()), (2, 3, 0));
}
