use super::*;

const STANDARD: &str = "transform = [{ op = 'standard_scaler', columns = 'x' }]";
const MIN_MAX: &str = "transform = [{ op = 'min_max_scaler', columns = 'x' }]";

#[test]
fn a_standard_scaled_column_is_scikit_learns() {
    // StandardScaler().fit_transform([[1.], [2.], [4.]])
    let expected = [-1.0690449676496976, -0.2672612419124245, 1.3363062095621219];
    let got = f64s(&one(STANDARD, floats([1.0, 2.0, 4.0])));
    for (got, expected) in got.iter().zip(expected) {
        assert!((got.expect("a value") - expected).abs() <= 1e-15);
    }
    assert_eq!(got, f64s(&one(STANDARD, ints([1, 2, 4]))));
}

#[test]
fn null_stays_null_and_nan_stays_nan_and_neither_counts() {
    let got = f64s(&one(STANDARD, floats([Some(0.0), None, Some(f64::NAN), Some(2.0)])));
    assert_eq!((got[0], got[1], got[3]), (Some(-1.0), None, Some(1.0)));
    assert!(got[2].expect("not null").is_nan());
    let got = f64s(&one(MIN_MAX, floats([Some(0.0), None, Some(f64::NAN), Some(2.0)])));
    assert_eq!((got[0], got[1], got[3]), (Some(0.0), None, Some(1.0)));
    assert!(got[2].expect("not null").is_nan());
}

#[test]
fn a_constant_column_becomes_zero() {
    for value in [0.0, 0.1, -1e300, 1e-300, 5e-324, 9_007_199_254_740_993.0] {
        assert_eq!(f64s(&one(STANDARD, floats([value; 7]))), [Some(0.0); 7]);
    }
    assert_eq!(f64s(&one(STANDARD, floats([-0.0, 0.0]))), [Some(0.0); 2].map(|x| x.map(|x: f64| x + 0.0)));
    assert_eq!(f64s(&one(MIN_MAX, floats([3.5; 3]))), [Some(0.0); 3]);
    // A range below 10ε counts as 1.
    assert_eq!(f64s(&one(MIN_MAX, floats([1.0, 1.0 + f64::EPSILON]))), [Some(0.0), Some(f64::EPSILON)]);
}

#[test]
fn small_noise_on_a_large_mean_is_not_constant_at_any_number_of_rows() {
    let rows = (0..200_000).map(|row| 1e9 + f64::from(row % 2));
    assert_eq!(f64s(&one(STANDARD, floats(rows)))[..2], [Some(-1.0), Some(1.0)]);
    assert_eq!(f64s(&one(STANDARD, floats([1e16, 1e16 + 2.0]))), [Some(0.0), Some(2.0)]);
}

#[test]
fn ddof_with_mean_and_with_std_are_kept() {
    let scaled = |more: &str| {
        f64s(&one(&format!("transform = [{{ op = 'standard_scaler', columns = 'x', {more} }}]"), floats([1.0, 3.0])))
    };
    assert_eq!(scaled("with_mean = false"), [Some(1.0), Some(3.0)]);
    assert_eq!(scaled("with_std = false"), [Some(-1.0), Some(1.0)]);
    assert_eq!(scaled("ddof = 1"), [Some(-1.0 / 2f64.sqrt()), Some(1.0 / 2f64.sqrt())]);
    assert_eq!(scaled("ddof = 2"), [Some(-1.0), Some(1.0)], "no degree of freedom left: not divided");
}

#[test]
fn min_max_follows_range_and_clips_what_the_fit_never_saw() {
    let toml = "transform = [{ op = 'min_max_scaler', columns = 'x', feature_range = [-1.0, 1.0], clip = true }]";
    let pipeline = fitted(toml, &[("x", ints([10, 20]))]).expect("fitted");
    let got = applied(&pipeline, &[("x", ints([Some(0), Some(10), Some(15), None, Some(99)]))]).expect("applied");
    assert_eq!(f64s(&got[0].1), [Some(-1.0), Some(-1.0), Some(0.0), None, Some(1.0)]);
}

#[test]
fn float32_is_rounded_from_the_64_bit_result() {
    let toml = format!("{STANDARD}\noutput.float = 'float32'");
    let (narrow, wide) = (one(&toml, floats([1.0, 2.0, 4.0])), one(STANDARD, floats([1.0, 2.0, 4.0])));
    assert_eq!(f32s(&narrow), f64s(&wide).iter().map(|x| x.map(|x| x as f32)).collect::<Vec<_>>());
}

#[test]
fn booleans_and_decimals_are_numbers() {
    let bools: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![Some(true), None, Some(false)]));
    assert_eq!(f64s(&one(STANDARD, bools)), [Some(1.0), None, Some(-1.0)]);
    let decimals = arrow::array::Decimal128Array::from(vec![Some(150), None, Some(250)]);
    let decimals: ArrayRef = Arc::new(decimals.with_precision_and_scale(10, 2).expect("decimals"));
    assert_eq!(f64s(&one(STANDARD, decimals)), [Some(-1.0), None, Some(1.0)]);
}

#[test]
fn infinities_are_refused_with_their_counts() {
    let infinite = floats([1.0, f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY]);
    for toml in [STANDARD, MIN_MAX] {
        let error = fitted(toml, &[("x", Arc::clone(&infinite))]).expect_err("refused");
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("column `x`"), "{error}");
        assert!(error.to_string().contains("2 times +inf and 1 times -inf"), "{error}");
    }
}

#[test]
fn columns_without_values_and_without_rows_stay_as_they_are() {
    for toml in [STANDARD, MIN_MAX] {
        assert_eq!(f64s(&one(toml, floats([None::<f64>, None]))), [None, None]);
        assert_eq!(f64s(&one(toml, floats([0.0; 0]))), []);
    }
}

#[test]
fn a_sliced_array_gives_the_slice_of_the_result() {
    let array = floats([Some(1.0), None, Some(4.0), Some(7.0)]);
    let pipeline = fitted(STANDARD, &[("x", Arc::clone(&array))]).expect("fitted");
    let whole = pipeline.lanes[0].apply(&array).expect("applied").remove(0);
    let part = pipeline.lanes[0].apply(&array.slice(1, 2)).expect("applied").remove(0);
    assert_eq!(part.as_ref(), whole.slice(1, 2).as_ref());
}
