//! The one rounding of every statistic: an exact ratio to the nearest double.

use num_bigint::{BigInt, BigUint, Sign};

/// Bits kept of a quotient: more than a double's 53 and a rounding bit, few enough for 128-bit arithmetic.
const QUOTIENT_BITS: i64 = 66;

/// `numerator` · 2^`exponent` / `denominator`, correctly rounded (half to even); beyond the largest double it is infinite,
/// below the smallest normal it is rounded to a subnormal or to zero. NaN when the denominator is zero.
pub fn ratio_to_f64(numerator: &BigInt, exponent: i32, denominator: &BigUint) -> f64 {
    if denominator.bits() == 0 {
        return f64::NAN;
    }
    if numerator.sign() == Sign::NoSign {
        return 0.0;
    }
    // A quotient of 66 or 67 bits, and whether anything is left below it, decide every rounding.
    let shift = QUOTIENT_BITS - (numerator.bits() as i64 - denominator.bits() as i64);
    let (quotient, rest) = if shift >= 0 {
        let scaled = numerator.magnitude() << shift as u64;
        (&scaled / denominator, &scaled % denominator)
    } else {
        let scaled = denominator << (-shift) as u64;
        (numerator.magnitude() / &scaled, numerator.magnitude() % &scaled)
    };
    let quotient = quotient.iter_u64_digits().rev().fold(0u128, |high, digit| high << 64 | u128::from(digit));
    let magnitude = round(quotient, i64::from(exponent) - shift, rest.bits() != 0);
    if numerator.sign() == Sign::Minus { -magnitude } else { magnitude }
}

/// `integer` · 2^`exponent`, correctly rounded; `sticky` says that the true value is a little above.
/// The integer must have more than 54 bits.
fn round(integer: u128, exponent: i64, sticky: bool) -> f64 {
    let top = 127 - i64::from(integer.leading_zeros()) + exponent;
    let unit = (top - 52).max(-1074);
    let drop = unit - exponent;
    if drop > 127 {
        return 0.0;
    }
    let (kept, dropped) = (integer >> drop, integer & ((1 << drop) - 1));
    let half = 1u128 << (drop - 1);
    let up = dropped > half || dropped == half && (sticky || kept & 1 == 1);
    let mantissa = kept as u64 + u64::from(up);
    if unit > 1023 - 52 {
        return f64::INFINITY;
    }
    // A mantissa without the implicit bit (subnormal) and one that rounded up to 2^53 both come out right:
    // the exponent field takes the carry.
    f64::from_bits((((unit + 1074) as u64) << 52) + mantissa)
}
