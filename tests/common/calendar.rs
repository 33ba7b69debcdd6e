//! Dates and times as text and back, by the proleptic Gregorian calendar: days since 1970-01-01, microseconds since its
//! midnight in UTC.

pub const DAY: i64 = 86_400_000_000;

/// Day of a date (H. Hinnant, "chrono-compatible low-level date algorithms", 2013).
pub fn day(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A day as `YYYY-MM-DD`, found by looking.
pub fn date(days: i64) -> String {
    let mut year = 1970 + days.div_euclid(366).min(days.div_euclid(365));
    while day(year + 1, 1, 1) <= days {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| day(year, *month, 1) <= days).unwrap();
    format!("{year:04}-{month:02}-{:02}", days - day(year, month, 1) + 1)
}

/// A time as `YYYY-MM-DDTHH:MM:SS`, with decimals where it has any.
pub fn time(micros: i64) -> String {
    let (days, left) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (seconds, decimals) = (left / 1_000_000, left % 1_000_000);
    let decimals = if decimals > 0 { format!(".{decimals:06}") } else { String::new() };
    format!("{}T{:02}:{:02}:{:02}{decimals}", date(days), seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Microseconds of a date or a time in ISO 8601; without a zone it is UTC.
pub fn parse(text: &str) -> i64 {
    let (date, rest) = text.split_at(10);
    let date: Vec<i64> = date.split('-').map(|part| part.parse().unwrap()).collect();
    let midnight = day(date[0], date[1], date[2]) * DAY;
    let Some(rest) = rest.strip_prefix(['T', ' ']) else { return midnight };
    let (clock, offset) = match rest.find(['Z', '+', '-']) {
        Some(at) => (&rest[..at], minutes(rest[at..].trim_start_matches('Z'))),
        None => (rest, 0),
    };
    let (clock, decimals) = clock.split_once('.').unwrap_or((clock, ""));
    let clock: Vec<i64> = clock.split(':').map(|part| part.parse().unwrap()).collect();
    let seconds = clock[0] * 3600 + clock[1] * 60 + clock.get(2).copied().unwrap_or(0) - offset * 60;
    midnight + seconds * 1_000_000 + format!("{decimals:0<6}").parse::<i64>().unwrap()
}

/// An offset such as `+02:00` or `-0730`, in minutes.
fn minutes(offset: &str) -> i64 {
    let digits: String = offset.chars().filter(char::is_ascii_digit).collect();
    let part = |range: std::ops::Range<usize>| digits.get(range).map_or(0, |part| part.parse::<i64>().unwrap());
    (part(0..2) * 60 + part(2..4)) * if offset.starts_with('-') { -1 } else { 1 }
}

/// Microseconds of `36h`, `10s`, `2w`.
pub fn span(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => panic!("{text}"),
    };
    number.parse::<i64>().unwrap() * seconds * 1_000_000
}
