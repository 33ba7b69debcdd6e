//! What a text shard's first records tell: its delimiter, how its JSON is laid out, and that it is no text that is read here.
//! A function of the shard's first bytes alone, so that every reading of it decides alike.

use memchr::memchr;

use super::TextFormat;
use super::cells::Cells;
use super::delimited::Records;
use super::elements;
use super::split::{UTF8_BOM, records};
use crate::error::{Error, Result, Site};
use crate::source::foreign;

/// Bytes that are looked at.
pub(super) const SAMPLE_BYTES: usize = 64 << 10;
/// Bytes that are looked at where no record ends before.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// Records that are looked at.
const SAMPLE_RECORDS: u64 = 100;
/// Delimiters that are tried, in this order.
const TRIED: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Refuses first bytes that are no UTF-8 text, and says which they are.
///
/// # Errors
/// [`Error::Data`].
pub(super) fn check(first: &[u8]) -> Result<()> {
    let refuse = |message: String| Err(Error::data(Site::default(), message));
    let encoding = match first {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        // Without a mark, the zeros between Latin letters tell.
        [a, b, c, d, ..] => match [*a == 0, *b == 0, *c == 0, *d == 0] {
            [true, true, true, false] | [false, true, true, true] => Some("UTF-32"),
            [true, false, true, false] | [false, true, false, true] => Some("UTF-16"),
            _ => None,
        },
        _ => None,
    };
    if let Some(encoding) = encoding {
        return refuse(format!("the text is {encoding}; convert the file to UTF-8"));
    }
    if first.starts_with(b"PAR1") {
        return refuse("the content is Parquet, whatever its name says; correct the name".into());
    }
    foreign::by_content(first).map_or(Ok(()), |foreign| refuse(foreign.refusal()))
}

/// The delimiter of a shard that begins with `first`, which are all its bytes if `last`; `preferred` is what its name
/// says, `width` the number of its columns where a signature says it. Nothing when no record ends in them.
///
/// A delimiter fits when the first record has several fields by it (as many as the signature, if there is one) and
/// every other record that is looked at has as many. The first that fits, the preferred one before the others, is it;
/// where none fits, the one by which most records have as many fields as the first, which are at least half of them;
/// and else the preferred one.
pub(super) fn delimiter(first: &[u8], last: bool, preferred: u8, width: Option<usize>) -> Option<u8> {
    let others = TRIED.into_iter().filter(|delimiter| *delimiter != preferred);
    let mut best: Option<(u64, u64, u8)> = None;
    for delimiter in [preferred].into_iter().chain(others) {
        let (fit, all) = fitting(first, last, delimiter, width)?;
        // Shares compared as products; of equal ones the earlier stays.
        if fit * 2 >= all && fit > 0 && best.is_none_or(|(most, of, _)| fit * of > most * all) {
            best = Some((fit, all, delimiter));
        }
    }
    Some(best.map_or(preferred, |(.., delimiter)| delimiter))
}

/// How many of the first records have as many fields as the first one has, and how many there are; 0 of them where that is
/// one field. Nothing when no record ends.
fn fitting(first: &[u8], last: bool, delimiter: u8, width: Option<usize>) -> Option<(u64, u64)> {
    let format = TextFormat::Delimited { delimiter };
    // A quote that is open at the end makes no record: what is before it counts.
    let whole = records(format, first, last, SAMPLE_RECORDS).map_or(0, |cut| cut.end);
    let sample = match whole {
        0 if !last && first.len() < MOST_BYTES => return None,
        0 => first,
        end => &first[..end],
    };
    let mut walk = Records::new(sample, delimiter, None);
    // Of no width: every record says how many fields it has.
    let mut cells = Cells::new(sample, usize::MAX);
    let (mut expected, mut fit, mut all) = (width, 0, 0);
    while let Err(record) = walk.read(&mut cells) {
        all += 1;
        let expected = *expected.get_or_insert(record.fields);
        fit += u64::from(expected > 1 && record.fields == expected);
    }
    Some((fit, all))
}

/// Whether a file whose name says nothing is taken for delimited text: two records or more, all of the same number of
/// fields, and several of them.
pub fn looks_delimited(first: &[u8]) -> bool {
    let text = first.strip_prefix(UTF8_BOM).unwrap_or(first);
    check(text).is_ok()
        && !text.contains(&0)
        && TRIED.iter().any(|delimiter| {
            fitting(text, first.len() < SAMPLE_BYTES, *delimiter, None).is_some_and(|(fit, all)| fit == all && all > 1)
        })
}

/// How the JSON is laid out that begins with `first`, which are all its bytes if `last`: an array where a bracket comes
/// first; objects over several lines where the first object goes on beyond its line, and the line after that one is no
/// whole object; else a line each.
pub(super) fn json(first: &[u8], last: bool) -> TextFormat {
    let begins = first.iter().position(|byte| !byte.is_ascii_whitespace());
    let Some(begins) = begins else { return TextFormat::JsonLines };
    match first[begins] {
        b'[' => return TextFormat::JsonArray,
        b'{' => {}
        _ => return TextFormat::JsonLines,
    }
    let line_end = memchr(b'\n', &first[begins..]).map(|end| begins + end);
    let Some(line_end) = line_end else { return TextFormat::JsonLines };
    if elements::end_of(first, begins).is_some_and(|end| end <= line_end) {
        return TextFormat::JsonLines;
    }
    // The first line may be a damaged one: the next that ends in these bytes tells.
    let mut lines = first[line_end + 1..].split(|byte| *byte == b'\n');
    if !last {
        lines.next_back();
    }
    match lines.map(<[u8]>::trim_ascii).find(|line| !line.is_empty()) {
        Some(line) if line.starts_with(b"{") && elements::end_of(line, 0) == Some(line.len()) => TextFormat::JsonLines,
        None if last => TextFormat::JsonLines,
        _ => TextFormat::JsonObjects,
    }
}
