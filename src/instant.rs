//! Dates and instants as ISO 8601 writes them. Every reader is exact: it gives what was written, or nothing.

const SECONDS_A_DAY: i64 = 86_400;

/// `YYYY-MM-DD` as days since 1970-01-01.
pub fn date(field: &[u8]) -> Option<i32> {
    let &[a, b, c, d, b'-', e, f, b'-', g, h] = field else { return None };
    let year = two(a, b)? * 100 + two(c, d)?;
    days(year, two(e, f)?, two(g, h)?)
}

/// An instant, or a time of some calendar without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Since 1970-01-01T00:00:00, in UTC when zoned.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
    /// Whether a zone was written.
    pub zoned: bool,
}

impl Stamp {
    /// Midnight of a day.
    pub fn midnight(days: i32) -> Self {
        Self { seconds: i64::from(days) * SECONDS_A_DAY, nanos: 0, zoned: false }
    }

    /// As a count of units of which a second has `per_second`, or nothing where that would round or overflow.
    pub fn count(self, per_second: i64) -> Option<i64> {
        let nanos_a_unit = 1_000_000_000 / per_second;
        let (units, rest) = (i64::from(self.nanos) / nanos_a_unit, i64::from(self.nanos) % nanos_a_unit);
        if rest != 0 {
            return None;
        }
        // Toward zero first, so that the earliest representable instants do not overflow on the way.
        if self.seconds < 0 && units > 0 {
            return (self.seconds + 1).checked_mul(per_second)?.checked_add(units - per_second);
        }
        self.seconds.checked_mul(per_second)?.checked_add(units)
    }
}

/// `YYYY-MM-DD`, `T` or a space, `HH:MM`, then optionally `:SS`, a fraction, and `Z`, `±HH`, `±HHMM` or `±HH:MM`.
/// Digits beyond the ninth decimal must be zeros; leap seconds and hour 24 are not read.
pub fn stamp(field: &[u8]) -> Option<Stamp> {
    let (day, rest) = field.split_at_checked(10)?;
    let [b'T' | b' ', hour0, hour1, b':', minute0, minute1, rest @ ..] = rest else { return None };
    let days = date(day)?;
    let (hour, minute) = (below(24, *hour0, *hour1)?, below(60, *minute0, *minute1)?);
    let (second, nanos, zone) = match rest {
        [b':', second0, second1, b'.', rest @ ..] => {
            let (nanos, zone) = fraction(rest)?;
            (below(60, *second0, *second1)?, nanos, zone)
        }
        [b':', second0, second1, zone @ ..] => (below(60, *second0, *second1)?, 0, zone),
        zone => (0, 0, zone),
    };
    let offset = match *zone {
        [] => None,
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1] => Some(offset(sign, h0, h1, b'0', b'0')?),
        [sign @ (b'+' | b'-'), h0, h1, m0, m1] => Some(offset(sign, h0, h1, m0, m1)?),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => Some(offset(sign, h0, h1, m0, m1)?),
        _ => return None,
    };
    let of_day = i64::from((hour * 60 + minute) * 60 + second);
    let seconds = i64::from(days) * SECONDS_A_DAY + of_day - offset.unwrap_or(0);
    Some(Stamp { seconds, nanos, zoned: offset.is_some() })
}

fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    let (kept, beyond) = digits.split_at(length.min(9));
    if kept.is_empty() || beyond.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let value = kept.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
    Some((value * 10_u32.pow(9 - kept.len() as u32), rest))
}

fn offset(sign: u8, h0: u8, h1: u8, m0: u8, m1: u8) -> Option<i64> {
    let seconds = i64::from((below(24, h0, h1)? * 60 + below(60, m0, m1)?) * 60);
    Some(if sign == b'-' { -seconds } else { seconds })
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

fn below(limit: u32, tens: u8, ones: u8) -> Option<u32> {
    two(tens, ones).filter(|value| *value < limit)
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Hinnant, `days_from_civil`).
fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    let year = year as i32 - i32::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = ((153 * ((month + 9) % 12) + 2) / 5 + day - 1) as i32;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}
