//! Exactness of sums, mean and variance.

use super::*;

/// Σ over the values as integer · 2^exponent, by definition.
fn big(value: f64) -> BigInt {
    // In units of 2^-1074.
    let bits = value.to_bits();
    let field = bits >> 52 & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let magnitude =
        if field == 0 { BigInt::from(fraction) } else { BigInt::from(fraction | 1 << 52) << (field - 1) as u32 };
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

fn oracle_mean(values: &[f64]) -> f64 {
    let sum: BigInt = values.iter().map(|value| big(*value)).sum();
    ratio_to_f64(&sum, -1074, &BigUint::from(values.len()))
}

fn oracle_variance(values: &[f64], ddof: u64) -> f64 {
    let n = BigInt::from(values.len());
    let sum: BigInt = values.iter().map(|value| big(*value)).sum();
    let deviations: BigInt = values.iter().map(|value| &n * big(*value) - &sum).map(|d| &d * &d).sum();
    // Σ(n·x − Σx)² = n² · Σ(x − mean)².
    let count = values.len() as u64;
    let denominator = BigUint::from(count) * BigUint::from(count) * BigUint::from(count - ddof);
    ratio_to_f64(&deviations, -2148, &denominator)
}

fn moments(values: &[f64]) -> Moments {
    number(&Float64Array::from(values.to_vec())).moments
}

fn number(array: &dyn Array) -> NumberState {
    match scanned(array, COUNT).values {
        Values::Number(state) => state,
        other => panic!("not a number column: {other:?}"),
    }
}

fn assert_exact(values: &[f64]) {
    let found = moments(values);
    assert_eq!(found.mean(), Some(oracle_mean(values)));
    for ddof in [0, 1] {
        if values.len() as u64 > ddof {
            assert_eq!(found.variance(ddof), Some(oracle_variance(values, ddof)));
        }
    }
}

/// NIST StRD, univariate summary statistics: certified mean and standard deviation.
#[test]
fn the_certified_values_of_numacc_come_out() {
    let numacc = |middle: f64, low: f64, high: f64| {
        let mut values = vec![middle];
        values.extend([low, high].repeat(500));
        values
    };
    let sets = [
        (vec![10_000_001.0, 10_000_003.0, 10_000_002.0], 10_000_002.0, 1.0, 0.0),
        (numacc(1.2, 1.1, 1.3), 1.2, 0.1, 1e-15),
        (numacc(1_000_000.2, 1_000_000.1, 1_000_000.3), 1_000_000.2, 0.1, 1e-9),
        // The nearest doubles to the certified data have a standard deviation 5.6e-9 off, relatively.
        (numacc(10_000_000.2, 10_000_000.1, 10_000_000.3), 10_000_000.2, 0.1, 6e-9),
    ];
    for (values, mean, std, tolerance) in sets {
        let found = moments(&values);
        assert_eq!(found.mean(), Some(mean));
        let relative = (found.std(1).unwrap() - std).abs() / std;
        assert!(relative <= tolerance, "std of {mean}: {relative:e} off");
        assert_exact(&values);
    }
}

#[test]
fn small_noise_on_a_large_mean_loses_nothing() {
    let mut random = Random(7);
    let values: Vec<f64> = (0..10_000).map(|_| 1e9 + random.unit() - 0.5).collect();
    assert_exact(&values);
    assert!((moments(&values).variance(0).unwrap() - 1.0 / 12.0).abs() < 2e-3);
}

#[test]
fn the_whole_range_of_doubles_is_exact() {
    let tiny = f64::from_bits(1);
    assert_exact(&[tiny, tiny, -tiny, f64::MIN_POSITIVE, 3.0 * tiny]);
    assert_exact(&[f64::MAX, tiny, -f64::MAX, 1.0]);
    assert_exact(&[f64::MAX, -1e-300, 1e300, 0.0, -0.0]);
    assert_eq!(moments(&[f64::MAX; 3]).mean(), Some(f64::MAX));
    assert_eq!(moments(&[f64::MAX; 3]).total(), f64::INFINITY);
    assert_eq!(moments(&[f64::MAX; 3]).variance(1), Some(0.0));
    assert_eq!(moments(&[f64::MAX, -f64::MAX]).variance(0), Some(f64::INFINITY));
    assert_eq!(moments(&[tiny, 2.0 * tiny]).mean(), Some(2.0 * tiny), "half to even");
}

#[test]
fn infinities_follow_ieee_and_nan_is_apart() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let up = moments(&[1.0, inf, nan]);
    assert_eq!((up.count, up.nan, up.pos_inf, up.neg_inf), (1, 1, 1, 0));
    assert_eq!((up.mean(), up.min(), up.max()), (Some(inf), Some(1.0), Some(inf)));
    assert!(up.variance(0).unwrap().is_nan());
    assert_eq!(moments(&[-inf, 3.0]).mean(), Some(-inf));
    assert!(moments(&[-inf, inf]).mean().unwrap().is_nan());
    let none = moments(&[nan, nan]);
    assert_eq!((none.mean(), none.variance(0), none.min(), none.max()), (None, None, None, None));
    // The table is clean again after a batch with specials.
    assert_exact(&[1.5, 2.5]);
}

#[test]
fn one_row_has_a_mean_and_no_sample_variance() {
    let one = moments(&[2.5]);
    assert_eq!((one.mean(), one.variance(0), one.variance(1)), (Some(2.5), Some(0.0), None));
    let empty = Moments::default();
    assert_eq!((empty.mean(), empty.variance(0), empty.min()), (None, None, None));
}

#[test]
fn zero_has_one_sign() {
    for zeros in [[0.0, -0.0], [-0.0, 0.0], [-0.0, -0.0]] {
        let found = number(&Float64Array::from(zeros.to_vec()));
        assert!(found.moments.min.is_sign_positive() && found.moments.max.is_sign_positive());
        assert_eq!(found.distinct.count(), (1, false));
    }
}

#[test]
fn integers_are_exact_over_64_bits() {
    let low = number(&Int64Array::from(vec![i64::MIN, i64::MIN, i64::MAX, 0]));
    assert_eq!(low.range(), Some((Number::Int(i64::MIN), Number::Int(i64::MAX))));
    let sum = BigInt::from(i64::MIN) * 2 + BigInt::from(i64::MAX);
    assert_eq!(low.moments.mean(), Some(ratio_to_f64(&sum, 0, &BigUint::from(4u8))));

    let high = number(&UInt64Array::from(vec![u64::MAX; 5000]));
    assert_eq!(high.range(), Some((Number::UInt(u64::MAX), Number::UInt(u64::MAX))));
    assert_eq!((high.moments.mean(), high.moments.variance(1)), (Some(u64::MAX as f64), Some(0.0)));
    let square = BigInt::from(u64::MAX) * BigInt::from(u64::MAX) * 5000;
    let (found, exponent) = high.moments.squares.to_big();
    assert_eq!(found << exponent as u32, square);
}

#[test]
fn every_width_of_integers_and_floats_has_the_same_moments() {
    let values = [-3i8, 0, 7, 100, -128, 127];
    let wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    let expected = moments(&wide);
    let array: ArrayRef = Arc::new(PrimitiveArray::<Int8Type>::from(values.to_vec()));
    for to in [DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64, DataType::Float32, DataType::Float16]
    {
        let cast = arrow::compute::cast(&array, &to).unwrap();
        assert_eq!(number(&cast).moments, expected, "{to}");
        assert_eq!(number(&cast).distinct.count(), (6, false), "{to}");
    }
    let decimal = arrow::compute::cast(&array, &DataType::Decimal128(10, 2)).unwrap();
    assert_eq!(number(&decimal).moments, expected);
}

#[test]
fn filled_columns_have_the_moments_of_the_filling() {
    let values = [1.25, -7.5, 1e300, 3e-310];
    for fill in [0.1, -0.0, 1e200, f64::from_bits(3)] {
        let mut filled = values.to_vec();
        filled.extend([fill; 1000]);
        assert_eq!(moments(&values).with_repeated(fill, 1000), moments(&filled));
    }
    let huge = moments(&[1.0]).with_repeated(f64::MAX, u64::MAX - 1);
    assert_eq!(huge.mean(), Some(f64::MAX));
    assert_eq!(moments(&[2.0]).with_repeated(f64::INFINITY, 2), moments(&[2.0, f64::INFINITY, f64::INFINITY]));
}

#[test]
fn whole_numbers_are_noticed() {
    assert!(moments(&[1.0, -3.0, 1e300, f64::NAN, 4_503_599_627_370_497.0]).all_integers);
    assert!(!moments(&[1.0, 0.5]).all_integers);
    assert!(!moments(&[2_251_799_813_685_248.5, 1.0]).all_integers);
    let mut long = vec![1.0; 5000];
    long[4998] = 1e-320;
    assert!(!moments(&long).all_integers);
}

#[test]
fn ratios_round_half_to_even_down_to_subnormals() {
    let one = BigUint::from(1u8);
    let ratio = |numerator: i128, exponent, denominator: u64| {
        ratio_to_f64(&BigInt::from(numerator), exponent, &BigUint::from(denominator))
    };
    assert_eq!(ratio(1, 0, 3), 1.0 / 3.0);
    assert_eq!(ratio(-2, 0, 3), -2.0 / 3.0);
    assert_eq!(ratio((1 << 53) + 1, 0, 1), 9_007_199_254_740_992.0);
    assert_eq!(ratio((1 << 53) + 3, 0, 1), 9_007_199_254_740_996.0);
    assert_eq!(ratio((1 << 54) - 1, 0, 1), 18_014_398_509_481_984.0);
    assert_eq!(ratio(1, -1075, 1), 0.0);
    assert_eq!(ratio(3, -1076, 1), f64::from_bits(1));
    assert_eq!(ratio(3, -1075, 1), f64::from_bits(2));
    assert_eq!(ratio((1 << 53) - 1, -1075, 1), f64::MIN_POSITIVE);
    assert_eq!(ratio((1 << 53) - 1, 971, 1), f64::MAX);
    assert_eq!(ratio((1 << 54) - 1, 970, 1), f64::INFINITY);
    assert_eq!(ratio(1, -5000, 1), 0.0);
    assert_eq!(ratio_to_f64(&BigInt::from(0), 5, &one), 0.0);
    assert!(ratio_to_f64(&BigInt::from(1), 0, &BigUint::from(0u8)).is_nan());
}

proptest! {
    #[test]
    fn any_bits_of_doubles_are_summed_exactly(bits in prop::collection::vec(any::<u64>(), 1..60)) {
        let values: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|value| value.is_finite()).collect();
        prop_assume!(!values.is_empty());
        assert_exact(&values);
    }

    #[test]
    fn any_moderate_doubles_are_summed_exactly(values in prop::collection::vec(-1e6..1e6f64, 1..3000)) {
        assert_exact(&values);
    }

    #[test]
    fn whole_numbers_take_the_short_way_to_the_same_sums(values in prop::collection::vec(-(1i64 << 21)..1 << 21, 1..5000)) {
        let floats: Vec<f64> = values.iter().map(|value| *value as f64).collect();
        let found = moments(&floats);
        prop_assert_eq!(&number(&Int64Array::from(values)).moments, &found);
        prop_assert_eq!(found.variance(0), Some(oracle_variance(&floats, 0)));
    }

    #[test]
    fn any_integers_are_summed_exactly(values in prop::collection::vec(any::<i64>(), 1..300), shift in 0u32..63) {
        let values: Vec<i64> = values.into_iter().map(|value| value >> shift).collect();
        let found = number(&Int64Array::from(values.clone())).moments;
        let (sum, exponent) = found.sum.to_big();
        prop_assert_eq!(sum << exponent.max(0) as u32, values.iter().map(|v| BigInt::from(*v)).sum::<BigInt>());
        let (squares, exponent) = found.squares.to_big();
        prop_assert_eq!(squares << exponent.max(0) as u32, values.iter().map(|v| BigInt::from(*v).pow(2)).sum::<BigInt>());
    }

    #[test]
    fn sums_do_not_remember_their_past(terms in prop::collection::vec((any::<i128>(), -2148i32..1900), 0..30)) {
        let mut there_and_back = ExactSum::default();
        let mut expected = BigInt::from(0);
        for (multiple, exponent) in &terms {
            there_and_back.add_i128(*multiple, *exponent);
            expected += BigInt::from(*multiple) << (exponent + 2148) as u32;
        }
        let (found, exponent) = there_and_back.to_big();
        prop_assert_eq!((found << (exponent + 2176) as u32) >> 28, expected.clone());
        prop_assert_eq!(there_and_back.is_negative(), expected.sign() == num_bigint::Sign::Minus);
        let mut negated = ExactSum::default();
        for (multiple, exponent) in terms.iter().filter(|term| term.0 != i128::MIN) {
            negated.add_i128(-multiple, *exponent);
        }
        let mut rest = ExactSum::default();
        terms.iter().filter(|term| term.0 == i128::MIN).for_each(|(multiple, exponent)| rest.add_i128(*multiple, *exponent));
        there_and_back.merge(&negated);
        prop_assert_eq!(there_and_back, rest);
    }
}
