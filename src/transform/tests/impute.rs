use super::*;

fn imputed(more: &str, array: ArrayRef) -> ArrayRef {
    one(&format!("transform = [{{ op = 'simple_imputer', columns = 'x', {more} }}]"), array)
}

fn refused(more: &str, array: ArrayRef) -> Error {
    fitted(&format!("transform = [{{ op = 'simple_imputer', columns = 'x', {more} }}]"), &[("x", array)])
        .expect_err("refused")
}

#[test]
fn the_mean_fills_null_and_nan() {
    let got = imputed("strategy = 'mean'", floats([Some(1.0), None, Some(f64::NAN), Some(4.0)]));
    assert_eq!(f64s(&got), [Some(1.0), Some(2.5), Some(2.5), Some(4.0)]);
}

#[test]
fn the_mean_makes_integers_float64_and_keeps_float32() {
    assert_eq!(f64s(&imputed("strategy = 'mean'", ints([Some(1), None, Some(2)]))), [Some(1.0), Some(1.5), Some(2.0)]);
    let narrow: ArrayRef = Arc::new(arrow::array::Float32Array::from(vec![Some(0.1), None, Some(0.2), Some(0.4)]));
    let mean = (f64::from(0.1_f32) + f64::from(0.2_f32) + f64::from(0.4_f32)) / 3.0;
    assert_eq!(f32s(&imputed("strategy = 'mean'", narrow))[1], Some(mean as f32));
}

#[test]
fn the_most_frequent_is_the_smallest_of_ties_and_keeps_the_type() {
    let frequent = "strategy = 'most_frequent'";
    assert_eq!(i64s(&imputed(frequent, ints([Some(7), Some(-3), None]))), [Some(7), Some(-3), Some(-3)]);
    let got = imputed(frequent, floats([Some(2.0), Some(-0.0), Some(0.0), Some(f64::NAN), None]));
    assert_eq!(f64s(&got)[3..], [Some(0.0), Some(0.0)]);
    let bools: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![Some(true), None, Some(false)]));
    assert_eq!(
        imputed(frequent, bools).as_boolean().iter().collect::<Vec<_>>(),
        [Some(true), Some(false), Some(false)]
    );
    for layout in [texts, dictionary] {
        let got = imputed(frequent, layout([Some("é"), None, None, Some("z"), Some("é")]));
        assert_eq!(strings(&got), ["é", "é", "é", "z", "é"].map(|x| Some(x.to_string())));
    }
}

#[test]
fn the_default_constants_are_zero_false_and_missing_value() {
    let constant = "strategy = 'constant'";
    assert_eq!(i64s(&imputed(constant, ints([None, Some(1)]))), [Some(0), Some(1)]);
    assert_eq!(f64s(&imputed(constant, floats([None, Some(1.0)]))), [Some(0.0), Some(1.0)]);
    assert_eq!(strings(&imputed(constant, texts([None, Some("a")]))), [Some("missing_value".into()), Some("a".into())]);
    let bools: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![Some(true), None]));
    assert_eq!(
        imputed(constant, Arc::clone(&bools)).as_boolean().iter().collect::<Vec<_>>(),
        [Some(true), Some(false)]
    );
    let got = imputed("strategy = 'constant', fill_value = true", bools);
    assert_eq!(got.as_boolean().iter().collect::<Vec<_>>(), [Some(true), Some(true)]);
}

#[test]
fn a_constant_that_is_no_value_of_the_column_is_refused() {
    for (value, array) in [
        ("0.5", ints([1])),
        ("'a'", ints([1])),
        ("true", ints([1])),
        ("1", texts(["a"])),
        ("300", Arc::new(arrow::array::UInt8Array::from(vec![1])) as ArrayRef),
        ("-1", Arc::new(arrow::array::UInt8Array::from(vec![1])) as ArrayRef),
        ("nan", floats([1.0])),
        ("1e39", Arc::new(arrow::array::Float32Array::from(vec![1.0])) as ArrayRef),
    ] {
        let error = refused(&format!("strategy = 'constant', fill_value = {value}"), array);
        assert_eq!(error.exit_code(), 2, "{value}");
        assert!(error.to_string().contains("`x`"), "{error}");
    }
    assert_eq!(i64s(&imputed("strategy = 'constant', fill_value = 3.0", ints([None::<i64>]))), [Some(3)]);
    assert_eq!(f64s(&imputed("strategy = 'constant', fill_value = 3", floats([None::<f64>]))), [Some(3.0)]);
}

#[test]
fn there_is_nothing_to_impute_from_in_a_column_without_values() {
    for more in ["strategy = 'mean'", "strategy = 'most_frequent'"] {
        let error = refused(more, floats([None, Some(f64::NAN)]));
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("no row has a value"), "{error}");
    }
    assert_eq!(refused("strategy = 'mean'", texts(["a"])).exit_code(), 2);
}

#[test]
fn indicators_stand_at_the_end_for_columns_that_had_missing_values() {
    let toml = "transform = [{ op = 'simple_imputer', columns = '*', add_indicator = true, strategy = 'constant' }]";
    let table = [
        ("a", floats([Some(1.0), None, Some(f64::NAN)])),
        ("b", ints([1, 2, 3])),
        ("c", dictionary([Some("x"), None, None])),
    ];
    let got = transformed(toml, &table).expect("a table");
    assert_eq!(names(&got), ["a", "b", "c", "missingindicator_a", "missingindicator_c"]);
    assert_eq!(u8s(&got[3].1), [0, 1, 1]);
    assert_eq!(u8s(&got[4].1), [0, 1, 1]);
}

#[test]
fn a_full_column_is_handed_on_uncopied() {
    let array = texts(["a", "b"]);
    let got = imputed("strategy = 'constant'", Arc::clone(&array));
    assert_eq!(got.as_string::<i32>().value_data().as_ptr(), array.as_string::<i32>().value_data().as_ptr());
}

#[test]
fn only_values_in_use_are_looked_at_in_a_sliced_array() {
    let toml =
        "transform = [{ op = 'simple_imputer', columns = 'x', strategy = 'most_frequent', add_indicator = true }]";
    for array in [
        texts([Some("b"), None, Some("a"), None, Some("b")]),
        dictionary([Some("b"), None, Some("a"), None, Some("b")]),
    ] {
        let pipeline = fitted(toml, &[("x", Arc::clone(&array))]).expect("fitted");
        let got = pipeline.lanes[0].apply(&array.slice(2, 2)).expect("applied");
        assert_eq!(strings(&got[0]), [Some("a".into()), Some("b".into())]);
        assert_eq!(u8s(&plain(&got[1])), [0, 1]);
    }
}
