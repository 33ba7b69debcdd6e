//! JSON that is not one object a line: the elements of an array, or objects that go over several lines. They are cut by
//! their brackets; what stands between them is checked here, so that a reader of a block finds whole elements only.

use memchr::memchr2;

use super::split::{Cut, RECORD_LIMIT, Stop, Why};

/// Where in the file the bytes start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before the bracket that opens the array.
    Before,
    /// Behind it.
    Opened,
    /// Behind a comma.
    Comma,
    /// Behind an element.
    Element,
    /// Behind the bracket that closes the array.
    Closed,
    /// Between objects that no array holds.
    Loose,
}

/// The fault of an array that has no end.
pub(super) const CUT: &str = "the file ends inside its array: it is cut; restore it";
const BLANKS: [u8; 4] = *b" \t\r\n";

/// Where the whole elements of `bytes` lie, of the first `most`, between what stands before and behind them. With `last` the
/// bytes end the file.
pub(super) fn cut(bytes: &[u8], place: Place, last: bool, most: u64) -> Result<Cut, Stop> {
    let mut cut = Cut { start: 0, end: 0, consumed: 0, rows: 0, place };
    while cut.rows < most {
        let at = blanks(bytes, cut.consumed);
        cut.consumed = at;
        if cut.rows == 0 {
            (cut.start, cut.end) = (at, at);
        }
        let Some(&byte) = bytes.get(at) else { return Ok(cut) };
        let passed = match (cut.place, byte) {
            (Place::Before, b'[') => Some(Place::Opened),
            (Place::Opened | Place::Element, b']') => Some(Place::Closed),
            (Place::Element, b',') => Some(Place::Comma),
            (Place::Element, _) => {
                return stop(cut, at, Why::Array("a comma is missing between two elements of the array"));
            }
            (Place::Comma, b',' | b']') => return stop(cut, at, Why::Array("an element is missing behind a comma")),
            (Place::Opened, b',') => return stop(cut, at, Why::Array("an element is missing before a comma")),
            (Place::Closed, _) => return stop(cut, at, Why::Array("there is more behind the end of the array")),
            (Place::Before, _) => return stop(cut, at, Why::Array("the array does not begin with a bracket")),
            (Place::Opened | Place::Comma | Place::Loose, _) => None,
        };
        if let Some(place) = passed {
            cut.place = place;
            cut.consumed = at + 1;
            continue;
        }
        let end = end_of(bytes, at);
        // A number may go on behind the bytes that are there.
        let whole = end.filter(|end| last || *end < bytes.len() || matches!(byte, b'{' | b'[' | b'"'));
        if whole.unwrap_or(bytes.len()) - at > RECORD_LIMIT {
            return stop(cut, at, Why::Long);
        }
        match whole {
            Some(end) => (cut.consumed, cut.end) = (end, end),
            None if last => {
                let why = if cut.place == Place::Loose { Why::Open } else { Why::Array(CUT) };
                return stop(cut, at, why);
            }
            None => return Ok(cut),
        }
        cut.rows += 1;
        if cut.place != Place::Loose {
            cut.place = Place::Element;
        }
    }
    Ok(cut)
}

/// What cannot be cut off is told once it comes first.
fn stop(cut: Cut, at: usize, why: Why) -> Result<Cut, Stop> {
    if cut.rows > 0 { Ok(cut) } else { Err(Stop { record: at, why }) }
}

/// Where the text goes on behind the blanks from `at` on.
fn blanks(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| !BLANKS.contains(byte)).map_or(bytes.len(), |step| at + step)
}

/// Where the next element of a block starts: blanks stand between them, and in an array a comma. Nothing when there is
/// none.
pub(super) fn next(bytes: &[u8], at: usize, in_array: bool) -> Option<usize> {
    let between = |byte: &u8| BLANKS.contains(byte) || (in_array && *byte == b',');
    Some(at + bytes.get(at..)?.iter().position(|byte| !between(byte))?)
}

/// Where the value ends that starts at `at`: a bracket closes with the last one that was opened in it, whatever their
/// kinds. Nothing when it goes on beyond the bytes.
pub(super) fn end_of(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'{' | b'[' => {}
        b'"' => return end_of_string(bytes, at),
        _ => {
            let rest = &bytes[at + 1..];
            return Some(at + 1 + rest.iter().position(ends_word).unwrap_or(rest.len()));
        }
    }
    let (mut at, mut depth) = (at, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = end_of_string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Whether a number or a word ends before this byte.
pub(super) fn ends_word(byte: &u8) -> bool {
    BLANKS.contains(byte) || matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b'"')
}

fn end_of_string(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}
