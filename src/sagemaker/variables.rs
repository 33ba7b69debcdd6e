//! The variables of the jobs' environments: what each is called, may be, is without a word, and means. The table that is
//! read to parse them is the one that is printed as the contract.

use std::collections::BTreeMap;

use crate::error::{Error, Result, did_you_mean};
use crate::instant;

/// One variable of a job.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is where it is not set.
    pub default: Default,
    /// What it does, in a sentence without its full stop.
    pub meaning: &'static str,
}

/// What a variable is where it is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// As if this were written.
    Is(&'static str),
    /// Nothing: what it is for is not done.
    None,
    /// An error.
    Required,
}

/// What a variable may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The name of a column.
    Column,
    /// Names of columns: `a,b,c` or `['a','b','c']`.
    Columns,
    /// `true` or `false`, in any case.
    Boolean,
    /// A whole number, from this one on.
    Whole(u64),
    /// A share between 0 and 1, both excluded.
    Ratio,
    /// A share from 0 to 1.
    RatioOrEnd,
    /// A date, or a date and a time.
    Time,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// One of these words, in any case; any other is taken for the first, with a warning.
    ChoiceOrFirst(&'static [&'static str]),
}

impl Kind {
    /// The name of its type in the contract.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Column => "string",
            Self::Columns => "list",
            Self::Boolean => "boolean",
            Self::Whole(_) => "integer",
            Self::Ratio | Self::RatioOrEnd => "number",
            Self::Time => "timestamp",
            Self::Choice(_) | Self::ChoiceOrFirst(_) => "choice",
        }
    }

    /// The values it may have, for a person; those of a choice as a list.
    pub fn allowed(self) -> Vec<String> {
        let one = |text: &str| vec![text.to_string()];
        match self {
            Self::Column => one("the name of a column"),
            Self::Columns => one("a,b,c or ['a','b','c']"),
            Self::Boolean => vec!["true".into(), "false".into()],
            Self::Whole(least) => one(&format!("a whole number from {least} on")),
            Self::Ratio => one("a number above 0 and below 1"),
            Self::RatioOrEnd => one("a number from 0 to 1"),
            Self::Time => one("YYYY-MM-DD, or a timestamp in ISO 8601"),
            Self::Choice(words) | Self::ChoiceOrFirst(words) => words.iter().map(ToString::to_string).collect(),
        }
    }

    fn read(self, text: &str) -> Option<Value> {
        let word = |words: &[&'static str]| words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied();
        match self {
            Self::Column => Some(Value::Text(column(text))),
            Self::Columns => columns(text).map(Value::Columns),
            Self::Boolean => word(&["true", "false"]).map(|word| Value::Boolean(word == "true")),
            Self::Whole(least) => text.parse().ok().filter(|number| (least..=MOST).contains(number)).map(Value::Whole),
            Self::Ratio => text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0).map(Value::Ratio),
            Self::RatioOrEnd => text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(Value::Ratio),
            Self::Time => {
                let is_time = instant::date(text.as_bytes()).is_some() || instant::stamp(text.as_bytes()).is_some();
                is_time.then(|| Value::Text(text.into()))
            }
            Self::Choice(words) => word(words).map(|word| Value::Text(word.into())),
            Self::ChoiceOrFirst(words) => Some(Value::Text(word(words).unwrap_or(words[0]).into())),
        }
    }
}

/// The largest whole number: a recipe has none above it.
const MOST: u64 = i64::MAX as u64;

/// What a variable was found to be.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Columns(Vec<String>),
    Boolean(bool),
    Whole(u64),
    Ratio(f64),
}

impl Variable {
    /// What it is where it is not set, of its type; null where that is nothing.
    pub fn default_as_json(&self) -> serde_json::Value {
        use serde_json::json;
        let Default::Is(text) = self.default else { return serde_json::Value::Null };
        match self.kind.read(text) {
            None => serde_json::Value::Null,
            Some(Value::Text(text)) => json!(text),
            Some(Value::Columns(names)) => json!(names),
            Some(Value::Boolean(truth)) => json!(truth),
            Some(Value::Whole(number)) => json!(number),
            Some(Value::Ratio(share)) => json!(share),
        }
    }
}

/// What all variables of a job were found to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Reads the variables of `table` in `environment`. One that is not there, empty, `None` or `null` has its default.
    /// What a person should know comes back with them.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names the variable, for one that is required and not there, and for one that cannot be read.
    pub fn read(table: &[Variable], environment: &BTreeMap<String, String>) -> Result<(Self, Vec<String>)> {
        let mut values = BTreeMap::new();
        let mut notes = Vec::new();
        for variable in table {
            let Variable { name, kind, default, .. } = *variable;
            let set = environment.get(name).map(|text| text.trim()).filter(|text| !means_nothing(text));
            let text = match (set, default) {
                (Some(text), _) => text,
                (None, Default::Is(text)) => text,
                (None, Default::None) => continue,
                (None, Default::Required) => {
                    return Err(Error::Recipe(format!("{name} environment variable must be set.")));
                }
            };
            let Some(value) = kind.read(text) else { return Err(refused(variable, text)) };
            if let (Kind::ChoiceOrFirst(words), Value::Text(word)) = (kind, &value)
                && !word.eq_ignore_ascii_case(text)
            {
                notes.push(format!("warning: {name}={text} is none of {}; it is taken for {word}", words.join(", ")));
            }
            values.insert(name, value);
        }
        Ok((Self(values), notes))
    }

    /// A text, where there is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Names of columns, where there are some.
    pub fn columns(&self, name: &str) -> Option<&[String]> {
        match self.0.get(name) {
            Some(Value::Columns(names)) => Some(names),
            _ => None,
        }
    }

    /// Whether it is `true`, where it is either.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(Value::Boolean(truth)) => Some(*truth),
            _ => None,
        }
    }

    /// A whole number, where there is one.
    pub fn whole(&self, name: &str) -> Option<u64> {
        match self.0.get(name) {
            Some(Value::Whole(number)) => Some(*number),
            _ => None,
        }
    }

    /// A share, where there is one.
    pub fn ratio(&self, name: &str) -> Option<f64> {
        match self.0.get(name) {
            Some(Value::Ratio(share)) => Some(*share),
            _ => None,
        }
    }
}

/// What pipelines write where they mean nothing.
fn means_nothing(text: &str) -> bool {
    ["", "none", "null"].iter().any(|nothing| nothing.eq_ignore_ascii_case(text))
}

fn refused(variable: &Variable, text: &str) -> Error {
    let allowed = variable.kind.allowed();
    let near = match variable.kind {
        Kind::Choice(words) => did_you_mean(text, words.iter().copied()),
        _ => String::new(),
    };
    Error::Recipe(format!("cannot read {}={text}: write {}{near}", variable.name, allowed.join(" or ")))
}

/// The name that a column has after `__DOT__` became a dot.
pub fn column(name: &str) -> String {
    name.replace("__DOT__", ".")
}

/// `a,b,c`, or a list as Python and JSON write it. Nothing where a quote or a bracket is left open, or a name is empty.
fn columns(text: &str) -> Option<Vec<String>> {
    let inner = match (text.strip_prefix('['), text.strip_prefix('(')) {
        (Some(rest), _) => rest.strip_suffix(']')?,
        (_, Some(rest)) => rest.strip_suffix(')')?,
        _ => text,
    };
    let mut names = vec![String::new()];
    let mut quote = None;
    for c in inner.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ',') => names.push(String::new()),
            _ => names.last_mut()?.push(c),
        }
    }
    let names: Vec<String> = names.iter().map(|name| column(name.trim())).collect();
    (quote.is_none() && names.iter().all(|name| !name.is_empty())).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Option<Value> {
        kind.read(text)
    }

    #[test]
    fn lists_are_read_as_pipelines_write_them() {
        let names = |text| columns(text).map(|names| names.join("/"));
        assert_eq!(names("a,b,c").as_deref(), Some("a/b/c"));
        assert_eq!(names(" a , 'b' ").as_deref(), Some("a/b"));
        assert_eq!(names("['a', 'b,c', \"d\"]").as_deref(), Some("a/b,c/d"));
        assert_eq!(names("[x__DOT__y]").as_deref(), Some("x.y"));
        assert_eq!(names("('a', 'b')").as_deref(), Some("a/b"));
        for wrong in ["[a", "['a]", "a,,b", "[]", "a,"] {
            assert_eq!(names(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_what_can_be_read_is_read() {
        assert_eq!(read(Kind::Boolean, "TRUE"), Some(Value::Boolean(true)));
        assert_eq!(read(Kind::Boolean, "yes"), None);
        assert_eq!(read(Kind::RatioOrEnd, "1"), Some(Value::Ratio(1.0)));
        assert_eq!(read(Kind::RatioOrEnd, "1.01"), None);
        assert_eq!(read(Kind::Whole(1), "0"), None);
        assert_eq!(read(Kind::Whole(0), "0"), Some(Value::Whole(0)));
        assert_eq!(read(Kind::Whole(0), "-1"), None);
        assert_eq!(read(Kind::Whole(0), "1.5"), None);
        assert_eq!(read(Kind::Ratio, ".7"), Some(Value::Ratio(0.7)));
        for wrong in ["0", "1", "nan", "inf", "-0.5", "70%"] {
            assert_eq!(read(Kind::Ratio, wrong), None, "{wrong}");
        }
        for time in ["2024-11-01", "2024-11-01 12:00:00", "2024-11-01T12:00:00+01:00"] {
            assert_eq!(read(Kind::Time, time), Some(Value::Text(time.into())));
        }
        assert_eq!(read(Kind::Time, "01/11/2024"), None);
    }
}
