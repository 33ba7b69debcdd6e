use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::Int32Type;

use super::*;

fn of(array: &dyn Array) -> Vec<u64> {
    let mut out = Vec::new();
    fields(array, &mut out).unwrap();
    out
}

#[test]
fn the_contract_is_frozen() {
    assert_eq!(of(&StringArray::from(vec![Some("a"), Some(""), None, Some("é")])), GOLDEN_TEXT);
    assert_eq!(of_positions("part-00000.parquet", 0..2), GOLDEN_POSITIONS);
    assert_eq!(rank(1, 42), GOLDEN_RANK);
    assert_eq!(combine(&[vec![1], vec![2]]), [GOLDEN_PAIR]);
}

/// As the reference implementation of XXH3 gives them.
const GOLDEN_TEXT: [u64; 4] = [16629034431890738719, 3244421341483603138, 5604079703740606211, 17839895020865391795];
const GOLDEN_POSITIONS: [u64; 2] = [12173972927764721519, 17594788811684258571];
const GOLDEN_RANK: u64 = 16405722695416140795;
const GOLDEN_PAIR: u64 = 571542372673154031;

#[test]
fn a_value_hashes_alike_in_every_type_that_holds_it() {
    let text = of(&StringArray::from(vec!["7", "-12", "0"]));
    assert_eq!(of(&Int8Array::from(vec![7, -12, 0])), text);
    assert_eq!(of(&Int64Array::from(vec![7, -12, 0])), text);
    assert_eq!(of(&Float32Array::from(vec![7.0, -12.0, -0.0])), text);
    assert_eq!(of(&Float64Array::from(vec![7.0, -12.0, 0.0])), text);
    let dictionary: DictionaryArray<Int32Type> = vec!["7", "-12", "0"].into_iter().collect();
    assert_eq!(of(&dictionary), text);
}

#[test]
fn a_time_hashes_alike_in_every_unit() {
    let days = of(&Date32Array::from(vec![1]));
    assert_eq!(of(&Date64Array::from(vec![86_400_000])), days);
    assert_eq!(of(&TimestampSecondArray::from(vec![86_400])), days);
    assert_eq!(of(&TimestampNanosecondArray::from(vec![86_400_000_000_000]).with_timezone("UTC")), days);
}

#[test]
fn missing_is_no_value() {
    let absent = missing();
    assert_eq!(of(&StringArray::from(vec![None::<&str>])), [absent]);
    assert_eq!(of(&Float64Array::from(vec![f64::NAN])), [absent]);
    let with_null_value = DictionaryArray::<Int32Type>::new(
        Int32Array::from(vec![Some(0), None, Some(1)]),
        Arc::new(StringArray::from(vec![Some("x"), None])),
    );
    assert_eq!(of(&with_null_value)[1..], [absent, absent]);
    assert_ne!(of(&StringArray::from(vec![""]))[0], absent);
}

#[test]
fn codes_hash_as_their_values_however_long_the_dictionary() {
    let keys = || Int32Array::from(vec![Some(2), None, Some(0), Some(1), Some(3), Some(2)]);
    let floats = Float64Array::from(vec![Some(1.5), Some(f64::NAN), Some(-0.0), None]);
    let longer: Float64Array = floats.iter().chain((0..9).map(|more| Some(f64::from(more)))).collect();
    let expected = of(&Float64Array::from(vec![Some(0.0), None, Some(1.5), None, None, Some(0.0)]));
    for values in [floats, longer] {
        assert_eq!(of(&DictionaryArray::<Int32Type>::new(keys(), Arc::new(values))), expected);
    }
}
