use super::*;

fn steps(steps: &[&str]) -> String {
    format!(
        "transform = [{}]",
        steps.iter().map(|step| format!("{{ columns = 'x', {step} }}")).collect::<Vec<_>>().join(", ")
    )
}

const MEAN: &str = "op = 'simple_imputer', strategy = 'mean'";
const FREQUENT: &str = "op = 'simple_imputer', strategy = 'most_frequent'";
const CONSTANT: &str = "op = 'simple_imputer', strategy = 'constant'";
const STANDARD: &str = "op = 'standard_scaler'";
const MIN_MAX: &str = "op = 'min_max_scaler'";
const ORDINAL: &str = "op = 'ordinal_encoder'";
const ONE_HOT: &str = "op = 'one_hot_encoder'";

/// Steps in one pipeline are as exact as one pipeline after the other, each fitted on the whole result of the one before.
#[test]
fn steps_together_are_steps_one_after_the_other() {
    let numbers = || floats([Some(1.5), None, Some(-3.0), Some(f64::NAN), Some(1.5), Some(80.25), None]);
    let integers = || ints([Some(7), None, Some(7), Some(-2), None, Some(1 << 40)]);
    let words = || texts([Some("b"), None, Some("a"), Some("b"), Some("é"), None, None]);
    let cases: [(&[&str], ArrayRef); 14] = [
        (&[MEAN, STANDARD], numbers()),
        (&[MEAN, STANDARD], integers()),
        (&[MEAN, MIN_MAX], integers()),
        (&[CONSTANT, STANDARD], numbers()),
        (&[CONSTANT, MIN_MAX], integers()),
        (&[FREQUENT, STANDARD], numbers()),
        (&[FREQUENT, STANDARD, MIN_MAX], integers()),
        (&[MEAN, STANDARD, MIN_MAX], numbers()),
        (&[STANDARD, MIN_MAX], numbers()),
        (&[STANDARD, CONSTANT, MIN_MAX], numbers()),
        (&[MIN_MAX, "op = 'simple_imputer', strategy = 'constant', fill_value = -5", MIN_MAX], numbers()),
        (&[CONSTANT, ORDINAL], words()),
        (&[FREQUENT, "op = 'ordinal_encoder', order = 'frequency', min_frequency = 2"], words()),
        (&[FREQUENT, "op = 'one_hot_encoder', min_frequency = 2"], words()),
    ];
    for (chain, array) in cases {
        for float in ["float64", "float32"] {
            let output = format!("\noutput.float = '{float}'");
            let together =
                transformed(&(steps(chain) + &output), &[("x", Arc::clone(&array))]).expect("steps together");
            let mut apart = vec![("x".to_string(), Arc::clone(&array))];
            for step in chain {
                let table = [("x", Arc::clone(&apart[0].1))];
                apart = transformed(&(steps(&[step]) + &output), &table).expect("one step");
            }
            assert_eq!(together.len(), apart.len());
            for ((name, one), (other_name, other)) in together.iter().zip(&apart) {
                assert_eq!(name, other_name);
                // Bits, so that NaN equals NaN.
                assert_eq!(one.to_data().buffers(), other.to_data().buffers(), "{chain:?} {float}");
                assert_eq!(one.nulls(), other.nulls());
            }
        }
    }
}

#[test]
fn what_one_pass_cannot_know_is_refused_by_name() {
    let numbers = || floats([Some(1.0), None, Some(3.0)]);
    for (chain, array) in [
        ([MIN_MAX, STANDARD], numbers()),
        ([STANDARD, STANDARD], numbers()),
        ([STANDARD, MEAN], numbers()),
        ([STANDARD, FREQUENT], numbers()),
        ([STANDARD, ORDINAL], numbers()),
        ([MEAN, ONE_HOT], numbers()),
        ([ORDINAL, STANDARD], texts(["a", "b"])),
        ([ORDINAL, MIN_MAX], numbers()),
        ([ORDINAL, ONE_HOT], texts(["a", "b"])),
        ([ONE_HOT, CONSTANT], texts(["a", "b"])),
    ] {
        let error = fitted(&steps(&chain), &[("x", array)]).expect_err("refused");
        assert_eq!(error.exit_code(), 2, "{chain:?}");
        let op = |step: &str| step.split('\'').nth(1).expect("an op").to_string();
        let text = error.to_string();
        assert!(text.contains("column `x`") && text.contains(&op(chain[0])) && text.contains(&op(chain[1])), "{text}");
    }
    assert_eq!(fitted(&steps(&[STANDARD]), &[("x", texts(["a"]))]).expect_err("refused").exit_code(), 2);
}

#[test]
fn an_imputer_after_an_imputer_changes_nothing() {
    let array = || ints([Some(4), None]);
    let once = transformed(&steps(&[CONSTANT]), &[("x", array())]).expect("a table");
    assert_eq!(transformed(&steps(&[CONSTANT, MEAN]), &[("x", array())]).expect("a table"), once);
}

#[test]
fn output_is_in_input_order_with_indicators_last() {
    let toml = "
        label.column = 'y'
        [[transform]]
        op = 'simple_imputer'
        columns = ['n', 'c']
        strategy = 'most_frequent'
        add_indicator = true
        [[transform]]
        op = 'one_hot_encoder'
        columns = 'c'
        [[transform]]
        op = 'standard_scaler'
        columns = '@numeric'
    ";
    let table = [
        ("id", texts(["p", "q", "r"])),
        ("c", texts([Some("u"), None, Some("v")])),
        ("n", ints([Some(1), None, Some(3)])),
        ("y", texts(["no", "yes", "no"])),
    ];
    let pipeline = fitted(toml, &table).expect("fitted");
    let schema = pipeline.output_schema();
    let got: Vec<(&str, &DataType)> = schema.fields().iter().map(|f| (f.name().as_str(), f.data_type())).collect();
    assert_eq!(
        got,
        [
            ("id", &DataType::Utf8),
            ("c_u", &DataType::UInt8),
            ("c_v", &DataType::UInt8),
            ("n", &DataType::Float64),
            ("y", &DataType::Int64),
            ("missingindicator_c", &DataType::UInt8),
            ("missingindicator_n", &DataType::UInt8),
        ]
    );
    let columns = applied(&pipeline, &table).expect("applied");
    assert_eq!(u8s(&columns[1].1), [1, 1, 0]);
    assert_eq!(u8s(&columns[5].1), [0, 1, 0]);
    assert!(pipeline.lanes[0].steps.is_empty());
    assert!(Arc::ptr_eq(&columns[0].1, &table[0].1), "an untouched column is handed on");
}

#[test]
fn two_output_columns_of_one_name_are_refused() {
    let table = [("x", texts(["a"])), ("x_a", ints([1]))];
    let text = message(fitted(&steps(&[ONE_HOT]), &table));
    assert!(text.contains("`x_a`: one from column `x`, one from column `x_a`"), "{text}");
    let text = message(fitted(&steps(&[ONE_HOT]), &[("x", texts([Some("nan"), None]))]));
    assert!(text.contains("`x_nan`"), "{text}");
}

#[test]
fn needs_are_vocabularies_of_what_goes_by_value() {
    let toml = "
        label.column = 'y'
        [[transform]]
        op = 'ordinal_encoder'
        columns = 'a'
        [[transform]]
        op = 'simple_imputer'
        columns = 'b'
        strategy = 'most_frequent'
        [[transform]]
        op = 'standard_scaler'
        columns = ['b', 'c']
    ";
    let types = [("a", DataType::Utf8), ("b", DataType::Int8), ("c", DataType::Float64), ("y", DataType::Utf8)];
    let schema = Schema::new(types.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec());
    use Need::{Count, Vocabulary};
    assert_eq!(needs(&recipe(toml), &schema).expect("needs"), [Vocabulary, Vocabulary, Count, Vocabulary]);
    let missing = recipe("label.column = 'z'");
    assert_eq!(needs(&missing, &schema).expect_err("refused").exit_code(), 3);
    let date = Schema::new(vec![Field::new("z", DataType::Date32, true)]);
    assert_eq!(needs(&missing, &date).expect_err("refused").exit_code(), 2);
}

#[test]
fn bad_parameters_are_refused_before_any_data() {
    for (step, expected) in [
        ("op = 'min_max_scaler', feature_range = [1.0, 1.0]", "feature_range"),
        ("op = 'ordinal_encoder', min_frequency = 0", "min_frequency"),
        ("op = 'one_hot_encoder', min_frequency = 1.0", "min_frequency"),
        ("op = 'one_hot_encoder', max_categories = 0", "max_categories"),
    ] {
        let error = super::super::check(&recipe(&steps(&[STANDARD, step]))).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("transform 2") && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_pipeline_survives_its_plan() {
    let toml = "
        label.column = 'y'
        [[transform]]
        op = 'simple_imputer'
        columns = '*'
        strategy = 'most_frequent'
        add_indicator = true
        [[transform]]
        op = 'min_max_scaler'
        columns = 'n'
        clip = true
        [[transform]]
        op = 'ordinal_encoder'
        columns = 'c'
        [[transform]]
        op = 'one_hot_encoder'
        columns = ['h', 'f', 'u', 'b']
    ";
    let table = [
        ("c", texts([Some("u"), None, Some("v")])),
        ("n", ints([Some(1), None, Some(3)])),
        ("h", texts(["p", "q", "p"])),
        ("f", floats([0.1, 0.2, 0.3])),
        ("u", Arc::new(arrow::array::UInt16Array::from(vec![1, 2, 3])) as ArrayRef),
        ("b", Arc::new(arrow::array::BooleanArray::from(vec![true, true, false])) as ArrayRef),
        ("y", texts(["no", "yes", "no"])),
    ];
    let pipeline = fitted(toml, &table).expect("fitted");
    let before = applied(&pipeline, &table).expect("applied");
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(&pipeline, config).expect("encoded");
    let (again, _): (Pipeline, _) = bincode::serde::decode_from_slice(&bytes, config).expect("decoded");
    assert_eq!(again, pipeline);
    assert_eq!(
        bincode::serde::encode_to_vec(&again, config).expect("encoded"),
        bytes,
        "tables are not part of the bytes"
    );
    assert_eq!(applied(&again, &table).expect("applied"), before);
    let json = serde_json::to_string(&pipeline).expect("encoded");
    assert_eq!(serde_json::from_str::<Pipeline>(&json).expect("decoded"), pipeline);
}

#[test]
fn every_plain_type_survives_by_its_name() {
    use arrow::datatypes::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let mut types = vec![
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::Binary,
        DataType::FixedSizeBinary(16),
        DataType::Date32,
        DataType::Decimal128(38, 10),
        DataType::Decimal256(70, -3),
        DataType::Time32(Second),
        DataType::Time32(Millisecond),
        DataType::Time64(Microsecond),
        DataType::Time64(Nanosecond),
    ];
    for unit in [Second, Millisecond, Microsecond, Nanosecond] {
        types.push(DataType::Duration(unit));
        types.push(DataType::Timestamp(unit, None));
        types.push(DataType::Timestamp(unit, Some("Europe/Berlin".into())));
    }
    assert_eq!(crate::schema::plain(&DataType::Date64), Some(DataType::Date32));
    for data_type in types {
        assert_eq!(crate::schema::plain(&data_type).as_ref(), Some(&data_type));
        let column = super::super::OutputColumn { name: "x".into(), data_type, lane: 0, slot: 0 };
        let json = serde_json::to_string(&column).expect("encoded");
        assert_eq!(serde_json::from_str::<super::super::OutputColumn>(&json).expect("decoded"), column);
    }
}
