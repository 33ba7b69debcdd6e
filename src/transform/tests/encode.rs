use super::*;

fn ordinal(more: &str) -> String {
    format!("transform = [{{ op = 'ordinal_encoder', columns = 'x', {more} }}]")
}

fn one_hot(more: &str) -> String {
    format!("transform = [{{ op = 'one_hot_encoder', columns = 'x', {more} }}]")
}

/// Names and columns of a one-hot encoded column.
fn hot(more: &str, array: ArrayRef) -> Vec<(String, Vec<u8>)> {
    let got = transformed(&one_hot(more), &[("x", array)]).expect("a table");
    got.into_iter().map(|(name, array)| (name, u8s(&array))).collect()
}

fn hot_names(more: &str, array: ArrayRef) -> Vec<String> {
    hot(more, array).into_iter().map(|(name, _)| name).collect()
}

/// a × 5, b × 20, c × 10, d × 3, one missing: the example of scikit-learn's OrdinalEncoder.
fn letters() -> Vec<Option<&'static str>> {
    let of = |letter, times| std::iter::repeat_n(letter, times);
    of(Some("a"), 5).chain(of(Some("b"), 20)).chain(of(Some("c"), 10)).chain(of(Some("d"), 3)).chain([None]).collect()
}

/// The codes of a, b, c, d and missing.
fn letter_codes(more: &str) -> Vec<Option<i32>> {
    let codes = i32s(&one(&ordinal(more), texts(letters())));
    [0, 5, 25, 35, 38].map(|row| codes[row]).to_vec()
}

#[test]
fn ordinal_codes_are_lexical_and_missing_is_null() {
    assert_eq!(letter_codes(""), [Some(0), Some(1), Some(2), Some(3), None]);
    assert_eq!(letter_codes("encoded_missing_value = -1"), [Some(0), Some(1), Some(2), Some(3), Some(-1)]);
}

#[test]
fn by_frequency_ties_are_lexical() {
    assert_eq!(letter_codes("order = 'frequency'"), [Some(2), Some(0), Some(1), Some(3), None]);
    let got = i32s(&one(&ordinal("order = 'frequency'"), texts(["z", "b", "a", "z", "b", "c"])));
    assert_eq!(got, [1, 0, 2, 1, 0, 3].map(Some));
}

#[test]
fn infrequent_categories_share_the_last_code() {
    for (more, expected) in [
        ("max_categories = 1", [0, 0, 0, 0]),
        ("max_categories = 2", [1, 0, 1, 1]),
        ("max_categories = 3", [2, 0, 1, 2]),
        ("max_categories = 4", [0, 1, 2, 3]),
        ("min_frequency = 5", [0, 1, 2, 3]),
        ("min_frequency = 6", [2, 0, 1, 2]),
        ("min_frequency = 0.13", [2, 0, 1, 2]),
        ("min_frequency = 5, max_categories = 2", [1, 0, 1, 1]),
        ("min_frequency = 100", [0, 0, 0, 0]),
        ("max_categories = 3, order = 'frequency'", [2, 0, 1, 2]),
        ("max_categories = 2, order = 'frequency'", [1, 0, 1, 1]),
    ] {
        let expected: Vec<Option<i32>> = expected.into_iter().map(Some).chain([None]).collect();
        assert_eq!(letter_codes(more), expected, "{more}");
    }
    // All equally frequent: the first are infrequent, as numpy's stable argsort has it.
    let got = i32s(&one(&ordinal("max_categories = 2"), texts(["a", "b", "c"])));
    assert_eq!(got, [1, 1, 0].map(Some));
}

#[test]
fn codes_that_collide_are_refused_but_for_the_infrequent_one() {
    let refused = |more: &str| message(fitted(&ordinal(more), &[("x", texts(letters()))]));
    let use_value = "handle_unknown = 'use_encoded_value'";
    assert!(
        refused(&format!("{use_value}, unknown_value = 3")).contains("unknown_value = 3 is the code of a category")
    );
    assert!(refused("encoded_missing_value = 0").contains("encoded_missing_value = 0"));
    let allowed = |more: &str| fitted(&ordinal(more), &[("x", texts(letters()))]).is_ok();
    assert!(allowed(&format!("{use_value}, unknown_value = 4")));
    assert!(allowed(&format!("{use_value}, unknown_value = -1, encoded_missing_value = -1")));
    assert!(allowed(&format!("{use_value}, unknown_value = 2, max_categories = 3")));
    assert!(refused(use_value).contains("needs an unknown_value"));
    assert!(refused("unknown_value = 9").contains("only used with handle_unknown"));
}

#[test]
fn unknown_categories_are_errors_with_row_and_column_or_the_unknown_value() {
    let fit_on = [("x", texts(["a", "b"]))];
    let new = [("x", texts([Some("b"), Some("ü-new"), None]))];
    let pipeline = fitted(&ordinal(""), &fit_on).expect("fitted");
    let error = applied(&pipeline, &new).expect_err("refused");
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("row 1, column `x`: category `ü-new`"), "{error}");
    let error = applied(&pipeline, &[("x", texts([None::<&str>]))]).expect_err("refused");
    assert!(error.to_string().contains("a missing value, and the fit saw none"), "{error}");
    let lenient = ordinal("handle_unknown = 'use_encoded_value', unknown_value = 9");
    let pipeline = fitted(&lenient, &fit_on).expect("fitted");
    assert_eq!(i32s(&applied(&pipeline, &new).expect("applied")[0].1), [1, 9, 9].map(Some));
}

#[test]
fn an_unused_dictionary_value_is_not_unknown() {
    let pipeline = fitted(&ordinal(""), &[("x", texts([Some("a"), Some("b"), None]))]).expect("fitted");
    let got = applied(&pipeline, &[("x", dictionary([Some("b"), None, Some("b"), None, Some("a")]))]).expect("applied");
    assert_eq!(i32s(&got[0].1), [Some(1), None, Some(1), None, Some(0)]);
}

#[test]
fn dictionaries_and_plain_text_give_the_same() {
    let values = [Some("é"), None, Some(""), Some("日本"), None, Some("é"), Some("nan"), Some("a b")];
    for toml in [
        ordinal(""),
        ordinal("order = 'frequency', encoded_missing_value = -2"),
        ordinal("max_categories = 2"),
        one_hot("drop = 'first', min_frequency = 1, handle_unknown = 'ignore', max_categories = 4"),
        "label.column = 'x'".to_string(),
    ] {
        let expected = transformed(&toml, &[("x", texts(values))]).expect("a table");
        let coded = transformed(&toml, &[("x", dictionary(values))]).expect("a table");
        assert_eq!(expected, coded, "{toml}");
        let pipeline = fitted(&toml, &[("x", dictionary(values))]).expect("fitted");
        for at in 0..values.len() {
            let part = pipeline.lanes[0].apply(&dictionary(values).slice(at, 1)).expect("applied");
            for (part, (_, whole)) in part.iter().zip(&expected) {
                assert_eq!(plain(part).as_ref(), whole.slice(at, 1).as_ref());
            }
        }
    }
}

#[test]
fn numbers_and_booleans_are_categories_by_value() {
    assert_eq!(i32s(&one(&ordinal(""), ints([10, -1, 9, 10]))), [2, 0, 1, 2].map(Some));
    assert_eq!(i32s(&one(&ordinal(""), ints([i64::MAX, i64::MIN, 0]))), [2, 0, 1].map(Some));
    let floats = floats([Some(0.5), Some(-0.0), None, Some(0.0), Some(f64::NAN), Some(-2.0)]);
    assert_eq!(i32s(&one(&ordinal(""), floats)), [Some(2), Some(1), None, Some(1), None, Some(0)]);
    let bools: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![Some(true), None, Some(false)]));
    assert_eq!(i32s(&one(&ordinal(""), bools)), [Some(1), None, Some(0)]);
    let unsigned: ArrayRef = Arc::new(arrow::array::UInt64Array::from(vec![u64::MAX, 0, 7]));
    assert_eq!(i32s(&one(&ordinal(""), unsigned)), [2, 0, 1].map(Some));
    let small: ArrayRef = Arc::new(arrow::array::Int8Array::from(vec![Some(-128), Some(127), None]));
    assert_eq!(i32s(&one(&ordinal(""), small)), [Some(0), Some(1), None]);
    let error = fitted(&ordinal(""), &[("x", Arc::new(arrow::array::Date32Array::from(vec![1])) as ArrayRef)]);
    assert_eq!(error.expect_err("refused").exit_code(), 2);
}

#[test]
fn integers_around_a_dense_range_are_unknown() {
    let lenient = ordinal("handle_unknown = 'use_encoded_value', unknown_value = -9");
    let pipeline = fitted(&lenient, &[("x", ints([5, 7, 8]))]).expect("fitted");
    let new = [("x", ints([i64::MIN, 4, 5, 6, 7, 8, 9, i64::MAX]))];
    assert_eq!(i32s(&applied(&pipeline, &new).expect("applied")[0].1), [-9, -9, 0, -9, 1, 2, -9, -9].map(Some));
}

#[test]
fn one_hot_columns_are_named_as_scikit_learns() {
    assert_eq!(hot_names("", texts([Some("b"), None, Some("a")])), ["x_a", "x_b", "x_nan"]);
    assert_eq!(hot_names("", ints([3, -1])), ["x_-1", "x_3"]);
    let bools: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![true, false]));
    assert_eq!(hot_names("", bools), ["x_False", "x_True"]);
    let numbers = floats([1.0, 2.5, 1e20, 1e-7, 1e16, 123456.789, 1e-4, 1.5e-5, -2e15, f64::NAN]);
    assert_eq!(
        hot_names("", numbers),
        [
            "x_-2000000000000000.0",
            "x_1e-07",
            "x_1.5e-05",
            "x_0.0001",
            "x_1.0",
            "x_2.5",
            "x_123456.789",
            "x_1e+16",
            "x_1e+20",
            "x_nan"
        ]
    );
    let narrow: ArrayRef = Arc::new(arrow::array::Float32Array::from(vec![0.1]));
    assert_eq!(hot_names("", narrow), ["x_0.1"]);
}

#[test]
fn every_row_has_one_one() {
    let got = hot("", texts([Some("b"), None, Some("a"), Some("b")]));
    assert_eq!(got[0].1, [0, 0, 1, 0]);
    assert_eq!(got[1].1, [1, 0, 0, 1]);
    assert_eq!(got[2].1, [0, 1, 0, 0]);
}

#[test]
fn missing_can_be_infrequent_as_in_scikit_learn() {
    let got = hot("min_frequency = 2", texts([Some("a"), Some("b"), None, Some("b"), Some("c")]));
    assert_eq!(got, [("x_b".into(), vec![0, 1, 0, 1, 0]), ("x_infrequent_sklearn".into(), vec![1, 0, 1, 0, 1])]);
}

#[test]
fn one_category_is_dropped() {
    let array = || texts([Some("a"), Some("b"), None]);
    assert_eq!(hot("drop = 'first'", array()), [("x_b".into(), vec![0, 1, 0]), ("x_nan".into(), vec![0, 0, 1])]);
    assert_eq!(hot_names("drop = 'if_binary'", array()), ["x_a", "x_b", "x_nan"]);
    assert_eq!(hot("drop = 'if_binary'", texts(["a", "b"])), [("x_b".into(), vec![0, 1])]);
    assert_eq!(hot_names("drop = 'if_binary', max_categories = 2", array()), ["x_infrequent_sklearn"]);
    assert!(hot("drop = 'first'", texts(["a", "a"])).is_empty());
    assert_eq!(hot_names("drop = 'if_binary'", texts(["a", "a"])), ["x_a"]);
}

#[test]
fn unknown_categories_are_refused_ignored_or_infrequent() {
    let fit_on = [("x", texts(["a", "b", "b", "b", "c", "c"]))];
    let new = [("x", texts([Some("b"), Some("new"), None]))];
    let new_rows = |more: &str| {
        let pipeline = fitted(&one_hot(more), &fit_on).expect("fitted");
        let got = applied(&pipeline, &new)?;
        Ok(got.iter().map(|(_, array)| u8s(array)).collect::<Vec<_>>())
    };
    assert!(message(new_rows("")).contains("row 1, column `x`: category `new` was never seen"));
    assert_eq!(new_rows("handle_unknown = 'ignore'").expect("applied"), [[0, 0, 0], [1, 0, 0], [0, 0, 0]]);
    let infrequent = "handle_unknown = 'infrequent_if_exist'";
    assert_eq!(new_rows(infrequent).expect("applied"), [[0, 0, 0], [1, 0, 0], [0, 0, 0]]);
    assert_eq!(new_rows(&format!("{infrequent}, min_frequency = 2")).expect("applied")[2], [0, 1, 1]);
}

#[test]
fn a_column_of_nulls_only_is_one_column_and_one_without_rows_is_none() {
    assert_eq!(hot("", texts([None::<&str>, None])), [("x_nan".into(), vec![1, 1])]);
    assert!(hot("", texts([None::<&str>; 0])).is_empty());
    assert_eq!(i32s(&one(&ordinal(""), texts([None::<&str>]))), [None]);
}

#[test]
fn too_many_one_hot_columns_are_refused_before_they_are_made() {
    let many: Vec<String> = (0..10_001).map(|at| at.to_string()).collect();
    let array = || texts(many.iter().map(String::as_str));
    assert!(message(fitted(&one_hot(""), &[("x", array())])).contains("would make 10001 columns"));
    assert_eq!(hot_names("max_categories = 3", array()).len(), 3);
}

#[test]
fn a_million_categories_have_a_million_codes() {
    let many: Vec<String> = (0..1_000_000).map(|at| format!("{at:07}")).collect();
    let array = texts(many.iter().rev().map(String::as_str));
    let codes = i32s(&one(&ordinal(""), array));
    assert_eq!((codes[0], codes[999_999]), (Some(999_999), Some(0)));
}

#[test]
fn label_classes_are_sorted_and_numbers_are_left_alone() {
    let got = transformed("label.column = 'x'", &[("x", texts([Some("yes"), None, Some("no")]))]).expect("a table");
    assert_eq!(i64s(&got[0].1), [Some(1), None, Some(0)]);
    let bools: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![true, false]));
    let pipeline = fitted("label.column = 'x'", &[("x", bools)]).expect("fitted");
    let super::super::Step::Label(label) = &pipeline.lanes[0].steps[0] else { panic!("a label") };
    assert_eq!(label.classes(), ["false", "true"]);
    let numbers = ints([3, 5]);
    let got = transformed("label.column = 'x'", &[("x", Arc::clone(&numbers))]).expect("a table");
    assert_eq!(got[0].1.as_ref(), numbers.as_ref());
    let pipeline = fitted("label.column = 'x'", &[("x", texts(["a"]))]).expect("fitted");
    assert!(message(applied(&pipeline, &[("x", texts(["z"]))])).contains("labels must be among"));
}
