//! The fast way through a JSON object: one that has its keys in the order of the last and is written without frills is
//! walked byte by byte with no parser's machinery. Whatever else it meets it leaves to the parser: it never
//! refuses an object, and it never accepts one that the parser would refuse.

use super::cells::Kind;
use super::json::{Keys, Value};
use super::words;

/// Hands position and value of every key of the object that `text` begins with to `visit`, in order; where it ends.
/// Nothing when the object is for the parser to read, all of it: what was handed out so far it will hand out again.
pub(super) fn object<'a>(text: &'a str, keys: &mut Keys, visit: &mut impl FnMut(usize, Value<'a>)) -> Option<usize> {
    let at = expect(text.as_bytes(), spaces(text.as_bytes(), 0), b'{')?;
    members(text, at, keys, visit)
}

/// Walks an object from behind the bracket that opens it; where it ends.
fn members<'a>(text: &'a str, at: usize, keys: &mut Keys, visit: &mut impl FnMut(usize, Value<'a>)) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = spaces(bytes, at);
    if bytes.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    loop {
        let (likely, behind) = key(bytes, at, keys)?;
        let name = (at + 1, behind - 1);
        at = spaces(bytes, expect(bytes, spaces(bytes, behind), b':')?);
        if bytes.get(at) == Some(&b'{') {
            let outer = keys.enter(&text[name.0..name.1])?;
            at = members(text, at + 1, keys, visit)?;
            keys.leave(outer);
        } else {
            let column = match likely {
                Some(position) => keys.meet_at(position)?,
                None => keys.meet_within(&text[name.0..name.1])?,
            };
            let (value, behind) = value(text, at)?;
            visit(column, value);
            at = behind;
        }
        at = spaces(bytes, at);
        match bytes.get(at)? {
            b',' => at = spaces(bytes, at + 1),
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Where the text goes on behind the blanks from `at` on.
#[inline]
fn spaces(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(at) {
        at += 1;
    }
    at
}

#[inline]
fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

/// Whether nothing but blanks follows an object that ends at `at`.
pub(super) fn ends(text: &str, at: usize) -> bool {
    spaces(text.as_bytes(), at) == text.len()
}

/// The position of the key at `at`, if it is the one that is likely there, and where the key ends, quotes included.
#[inline]
fn key(bytes: &[u8], at: usize, keys: &Keys) -> Option<(Option<usize>, usize)> {
    let start = expect(bytes, at, b'"')?;
    if let Some((position, likely)) = keys.likely()
        && bytes[start..].starts_with(likely.as_bytes())
        && bytes.get(start + likely.len()) == Some(&b'"')
    {
        return Some((Some(position), start + likely.len() + 1));
    }
    let end = plain_run(bytes, start)?;
    Some((None, expect(bytes, end, b'"')?))
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
