//! The fast way through a JSON object: one that is flat, has its keys in the order of the last, and is written without
//! frills is walked byte by byte with no parser's machinery. Whatever else it meets it leaves to the parser: it never
//! refuses an object, and it never accepts one that the parser would refuse.

use super::cells::Kind;
use super::json::{Keys, Value};
use super::words;

/// Hands position and value of every key of the object `line` to `visit`, in order; false when the object is for the
/// parser to read, all of it: what was handed out so far it will hand out again.
pub(super) fn object<'a>(line: &'a str, keys: &mut Keys, visit: &mut impl FnMut(usize, Value<'a>)) -> bool {
    walk(line, keys, visit).is_some()
}

fn walk<'a>(line: &'a str, keys: &mut Keys, visit: &mut impl FnMut(usize, Value<'a>)) -> Option<()> {
    let bytes = line.as_bytes();
    let mut at = spaces(bytes, 0);
    at = expect(bytes, at, b'{')?;
    at = spaces(bytes, at);
    if bytes.get(at) == Some(&b'}') {
        return ends(bytes, at + 1);
    }
    loop {
        let (column, behind) = key(line, at, keys)?;
        at = expect(bytes, spaces(bytes, behind), b':')?;
        let start = spaces(bytes, at);
        let (value, behind) = value(line, start)?;
        visit(column, value);
        at = spaces(bytes, behind);
        match bytes.get(at)? {
            b',' => at = spaces(bytes, at + 1),
            b'}' => return ends(bytes, at + 1),
            _ => return None,
        }
    }
}

/// Where the text goes on behind the blanks from `at` on.
#[inline]
fn spaces(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(b' ' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

#[inline]
fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

/// Nothing but blanks may follow an object.
fn ends(bytes: &[u8], at: usize) -> Option<()> {
    (spaces(bytes, at) == bytes.len()).then_some(())
}

/// The position of the key at `at`, and where it ends; nothing for one that stands twice.
#[inline]
fn key(line: &str, at: usize, keys: &mut Keys) -> Option<(usize, usize)> {
    let bytes = line.as_bytes();
    let start = expect(bytes, at, b'"')?;
    if let Some((position, likely)) = keys.likely()
        && bytes[start..].starts_with(likely.as_bytes())
        && bytes.get(start + likely.len()) == Some(&b'"')
    {
        let end = start + likely.len() + 1;
        return Some((keys.meet_at(position)?, end));
    }
    let end = plain_run(bytes, start)?;
    expect(bytes, end, b'"')?;
    Some((keys.meet(&line[start..end])?, end + 1))
}

/// The value at `at`, and where it ends.
#[inline]
fn value(line: &str, at: usize) -> Option<(Value<'_>, usize)> {
    let bytes = line.as_bytes();
    match bytes.get(at)? {
        b'"' => {
            let end = plain_run(bytes, at + 1)?;
            match bytes.get(end)? {
                b'"' => Some((Value::Plain(Kind::Quoted, &line[at + 1..end]), end + 1)),
                b'\\' => escaped(line, at, end),
                _ => None,
            }
        }
        b'-' | b'0'..=b'9' => {
            let end = number(bytes, at)?;
            Some((Value::Plain(Kind::Bare, &line[at..end]), end))
        }
        b'n' => word(bytes, at, b"null").map(|end| (Value::Null, end)),
        b't' => word(bytes, at, b"true").map(|end| (Value::Plain(Kind::Bare, &line[at..end]), end)),
        b'f' => word(bytes, at, b"false").map(|end| (Value::Plain(Kind::Bare, &line[at..end]), end)),
        _ => None,
    }
}

#[inline]
fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes[at..].starts_with(word).then_some(at + word.len())
}

/// Where the run of a string's bytes from `at` on ends that stand for themselves: at a quote, a backslash or a control
/// character. Nothing when the line ends before.
#[inline]
fn plain_run(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    while let Some(word) = words::word_at(bytes, at) {
        let stop = words::json_stop(word);
        at += stop as usize;
        if stop < 8 {
            return Some(at);
        }
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|step| at + step)
}

/// The string that opens at `at` and has its first escape at `escape`. Its end is easily found; whether the escapes are
/// right, the parser says.
fn escaped(line: &str, at: usize, escape: usize) -> Option<(Value<'_>, usize)> {
    let bytes = line.as_bytes();
    let mut end = escape;
    while bytes.get(end)? == &b'\\' {
        end = plain_run(bytes, end + 2)?;
    }
    let raw = line.get(at..expect(bytes, end, b'"')?)?;
    serde_json::from_str::<&serde_json::value::RawValue>(raw).ok()?;
    Some((Value::Escaped(raw), end + 1))
}

/// Where the number at `at` ends, by JSON's grammar.
#[inline]
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let start = at + usize::from(bytes[at] == b'-');
    let mut at = digits(bytes, start);
    let whole = at - start;
    if whole == 0 || (whole > 1 && bytes[start] == b'0') {
        return None;
    }
    if bytes.get(at) == Some(&b'.') {
        let point = at;
        at = digits(bytes, point + 1);
        if at == point + 1 {
            return None;
        }
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let first = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(bytes, first);
        if at == first {
            return None;
        }
    }
    Some(at)
}

/// Where the digits from `at` on end.
#[inline]
fn digits(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(word) = words::word_at(bytes, at) {
        let count = words::leading_digits(word);
        at += count as usize;
        if count < 8 {
            return at;
        }
    }
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}
