//! One schema over all shards: which types are read, how two shards' types for one column become one, and how an array
//! of the narrower becomes one of the wider. Pure; it never opens a shard.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result, Site, did_you_mean};
use crate::spec::{ExtraColumns, Input, MissingColumns, TypeName};

/// Types within types, at the most: arrow's parser takes a stack frame for each.
const MOST_NESTED: usize = 64;

/// The type that arrow prints as `name`, of columns that were read or written; nothing when there is none.
pub fn of_name(name: &str) -> Option<DataType> {
    let mut depth = 0_usize;
    for byte in name.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MOST_NESTED {
            return None;
        }
    }
    name.parse().ok()
}

/// The type a column of `found` has inside twopass, or nothing when it is not a plain type: text of every layout is
/// `Utf8`, binary of every layout is `Binary`, and dates are `Date32`.
pub fn plain(found: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match found {
        T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::Binary | T::LargeBinary | T::BinaryView => T::Binary,
        T::Dictionary(_, values) => plain(values)?,
        T::Null
        | T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::UInt8
        | T::UInt16
        | T::UInt32
        | T::UInt64
        | T::Float16
        | T::Float32
        | T::Float64
        | T::Decimal128(..)
        | T::Decimal256(..)
        | T::FixedSizeBinary(_)
        | T::Date32
        | T::Time32(_)
        | T::Time64(_)
        | T::Timestamp(..)
        | T::Duration(_) => found.clone(),
        T::Date64 => T::Date32,
        T::Decimal32(p, s) | T::Decimal64(p, s) => T::Decimal128(*p, *s),
        _ => return None,
    })
}

/// Whether statistics and scalers treat a column of this type as numbers.
pub fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Whether `@timestamp` selects a column of this type.
pub fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// The narrowest type that holds every value of both, or nothing when only text could:
/// null < bool < integers < float64, date < timestamp. Integers of 64 bits meet floats at float64.
pub fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (T::Null, other) | (other, T::Null) => Some(other.clone()),
        (T::Boolean, number) | (number, T::Boolean) if number.is_numeric() => Some(number.clone()),
        (x, y) if x.is_integer() && y.is_integer() => Some(wider_integer(x, y)),
        (x, y) if x.is_floating() && y.is_floating() => Some(if float_bits(x) > float_bits(y) { x } else { y }.clone()),
        (float, integer) | (integer, float) if float.is_floating() && integer.is_integer() => {
            let exact = (*float == T::Float32 && bits(integer) <= 16) || (*float == T::Float16 && bits(integer) <= 8);
            Some(if exact { float.clone() } else { T::Float64 })
        }
        (x, y) if x.is_numeric() && y.is_numeric() => Some(T::Float64),
        (T::Date32, T::Date64) | (T::Date64, T::Date32) => Some(T::Date64),
        (T::Date32 | T::Date64, T::Timestamp(unit, zone)) | (T::Timestamp(unit, zone), T::Date32 | T::Date64) => {
            Some(T::Timestamp(*unit, zone.clone()))
        }
        (T::Timestamp(a_unit, a_zone), T::Timestamp(b_unit, b_zone)) if a_zone.is_some() == b_zone.is_some() => {
            let zone = if a_zone == b_zone { a_zone.clone() } else { Some("UTC".into()) };
            Some(T::Timestamp(finer(*a_unit, *b_unit), zone))
        }
        _ => None,
    }
}

fn wider_integer(a: &DataType, b: &DataType) -> DataType {
    use DataType as T;
    let signed = a.is_signed_integer() || b.is_signed_integer();
    let need = |t: &DataType| bits(t) + u32::from(signed && !t.is_signed_integer());
    match (signed, need(a).max(need(b))) {
        (true, ..=8) => T::Int8,
        (true, ..=16) => T::Int16,
        (true, ..=32) => T::Int32,
        (true, ..=64) => T::Int64,
        (true, _) => T::Float64,
        (false, ..=8) => T::UInt8,
        (false, ..=16) => T::UInt16,
        (false, ..=32) => T::UInt32,
        (false, _) => T::UInt64,
    }
}

fn bits(integer: &DataType) -> u32 {
    integer.primitive_width().map_or(64, |bytes| bytes as u32 * 8)
}

fn float_bits(float: &DataType) -> u32 {
    float.primitive_width().unwrap_or(8) as u32
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    let rank = |unit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}

/// The arrow type a recipe's `input.schema` names.
pub fn named(name: TypeName) -> DataType {
    match name {
        TypeName::Bool => DataType::Boolean,
        TypeName::Int32 => DataType::Int32,
        TypeName::Int64 => DataType::Int64,
        TypeName::Float32 => DataType::Float32,
        TypeName::Float64 => DataType::Float64,
        TypeName::String => DataType::Utf8,
        TypeName::Date => DataType::Date32,
        TypeName::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
    }
}

/// `array` as `target`: the same array when it has that type, nulls for a column of nulls, a checked cast otherwise.
/// `first_row` is the row of the shard that `array` starts at.
///
/// # Errors
/// [`Error::Data`] with the row when a value does not fit.
pub fn conform(array: &ArrayRef, target: &DataType, first_row: u64) -> Result<ArrayRef> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    if *array.data_type() == DataType::Null {
        return Ok(new_null_array(target, array.len()));
    }
    if array.data_type().is_floating() && *target == DataType::Utf8 {
        return float_texts(array);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = cast_with_options(array, target, &strict);
    let lossless = |wide: &ArrayRef| !loses_integers(array, wide);
    match cast {
        Ok(wide) if lossless(&wide) => Ok(wide),
        outcome => {
            let row = first_refused(array, target).map(|row| first_row + row as u64);
            let message = format!(
                "a value of type {} does not fit {target}; set the column's type in `input.schema`",
                array.data_type()
            );
            Err(Error::Data { site: Site { row, ..Site::default() }, message, source: outcome.err().map(Into::into) })
        }
    }
}

/// Floats as text, whole ones without a point: what is an integer in one shard, a float in another and text in a third is
/// one value. A group that is `1` and `1.0` would else be two.
fn float_texts(array: &ArrayRef) -> Result<ArrayRef> {
    let text = cast_with_options(array, &DataType::Utf8, &CastOptions::default())
        .map_err(|e| Error::failed("writing floats as text", e))?;
    let whole = |text: &'_ str| match text.strip_suffix(".0") {
        Some("-0") => "0".to_string(),
        Some(whole) => whole.to_string(),
        None => text.to_string(),
    };
    let texts: StringArray = text.as_string::<i32>().iter().map(|text| text.map(whole)).collect();
    Ok(Arc::new(texts))
}

/// Whether 64-bit integers were rounded on their way to float64.
fn loses_integers(array: &ArrayRef, wide: &ArrayRef) -> bool {
    let wide_float = matches!(wide.data_type(), DataType::Float64 | DataType::Float32);
    if !(wide_float && matches!(array.data_type(), DataType::Int64 | DataType::UInt64)) {
        return false;
    }
    cast_with_options(wide, array.data_type(), &CastOptions::default())
        .map_or(true, |back| back.as_ref() != array.as_ref())
}

fn first_refused(array: &ArrayRef, target: &DataType) -> Option<usize> {
    let lenient = cast_with_options(array, target, &CastOptions::default()).ok()?;
    let refused = (0..array.len()).find(|&row| array.is_valid(row) && lenient.is_null(row));
    refused.or_else(|| {
        let back = cast_with_options(&lenient, array.data_type(), &CastOptions::default()).ok()?;
        (0..array.len()).find(|&row| array.is_valid(row) && array.slice(row, 1).as_ref() != back.slice(row, 1).as_ref())
    })
}

/// What one shard says of its columns: plain types by name, in the shard's order.
pub type ShardFields = Vec<(String, DataType)>;

/// The columns all shards share: those of the first shard that has any, and where the recipe inserts further ones these behind
/// them, in the order of the shards; each of the narrowest type that holds every shard's, text when nothing else does; null
/// where no value is known yet.
///
/// # Errors
/// [`Error::Data`] that names shard and column for a duplicate name, and for a missing or extra column when the recipe
/// raises on it; [`Error::Recipe`] when `input.schema` names a column that is not there.
pub fn unify<'a>(shards: impl IntoIterator<Item = (&'a str, &'a ShardFields)>, input: &Input) -> Result<SchemaRef> {
    let mut merged: Vec<(String, DataType)> = Vec::new();
    let mut index: hashbrown::HashMap<String, usize> = hashbrown::HashMap::new();
    let mut first_shard = "";
    let mut of_first = 0;
    let mut last: Option<&ShardFields> = None;
    for (shard, fields) in shards.into_iter().filter(|(_, fields)| !fields.is_empty()) {
        // Shards that agree share one list, and it says nothing new.
        if last.replace(fields).is_some_and(|last| std::ptr::eq(last, fields)) {
            continue;
        }
        let is_first = merged.is_empty();
        let mut seen = vec![false; merged.len()];
        for (name, data_type) in fields {
            match index.get(name) {
                Some(&at) if seen[at] => {
                    let message = "the name stands twice in the shard; rename one of the columns";
                    return Err(Error::data(Site::shard(shard).in_column(&merged[at].0), message));
                }
                Some(&at) => {
                    seen[at] = true;
                    merged[at].1 = wider(&merged[at].1, data_type).unwrap_or(DataType::Utf8);
                }
                None if is_first || input.extra_columns == ExtraColumns::Insert => {
                    index.insert(name.clone(), merged.len());
                    merged.push((name.clone(), data_type.clone()));
                    seen.push(true);
                }
                None if input.extra_columns == ExtraColumns::Ignore => {}
                None => {
                    let twin = merged.iter().find(|(known, _)| known.to_lowercase() == name.to_lowercase());
                    let twin = twin.map_or_else(String::new, |(known, _)| {
                        format!(", which has `{known}`: rename one if they are the same")
                    });
                    let message = format!(
                        "not a column of the first shard, {first_shard}{twin}; set input.extra_columns = \"ignore\" to pass over it, or \"insert\" to add it"
                    );
                    return Err(Error::data(Site::shard(shard).in_column(name), message));
                }
            }
        }
        if is_first {
            (first_shard, of_first) = (shard, merged.len());
        } else if input.missing_columns == MissingColumns::Raise
            && let Some(at) = seen[..of_first].iter().position(|seen| !seen)
        {
            let message = format!(
                "missing here, but a column of the first shard, {first_shard}; set input.missing_columns = \"insert\" to read it as null"
            );
            return Err(Error::data(Site::shard(shard).in_column(&merged[at].0), message));
        }
    }
    for (name, type_name) in &input.schema {
        let Some(&at) = index.get(name) else {
            let near = did_you_mean(name, merged.iter().map(|(name, _)| name.as_str()));
            return Err(Error::Recipe(format!("input.schema names column `{name}`, which no shard has{near}")));
        };
        merged[at].1 = named(*type_name);
    }
    let fields = merged.into_iter().map(|(name, data_type)| Field::new(name, data_type, true));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// A note about columns whose names differ only by case, in one shard or in several: mostly they are meant to be one.
pub fn alike_note<'a>(shards: impl IntoIterator<Item = (&'a str, &'a ShardFields)>) -> Option<String> {
    let mut first: hashbrown::HashMap<String, (&str, &str)> = hashbrown::HashMap::new();
    let mut pairs: Vec<[(&str, &str); 2]> = Vec::new();
    let mut last: Option<&ShardFields> = None;
    for (shard, fields) in shards {
        if last.replace(fields).is_some_and(|last| std::ptr::eq(last, fields) || last == fields) {
            continue;
        }
        for (name, _) in fields {
            let known = *first.entry(name.to_lowercase()).or_insert((name, shard));
            if known.0 != name && !pairs.iter().any(|[one, other]| (one.0, other.0) == (known.0, name.as_str())) {
                pairs.push([known, (name, shard)]);
            }
        }
    }
    let [one, other] = pairs.first()?;
    let more = if pairs.len() > 1 { format!(", and so do {} more pairs", pairs.len() - 1) } else { String::new() };
    Some(format!(
        "columns `{}` (shard {}) and `{}` (shard {}) differ only by case{more}; they are read as different columns",
        one.0, one.1, other.0, other.1
    ))
}

/// Key of a field's metadata: the column is not of the output.
const HIDDEN: &str = "twopass.hidden";

/// The same column, of which only the split knows.
pub fn hidden(field: Field) -> Field {
    field.with_metadata([(HIDDEN.to_string(), String::new())])
}

/// Whether only the split knows of the column: it is read, and neither transformed nor written.
pub fn is_hidden(field: &Field) -> bool {
    field.metadata().contains_key(HIDDEN)
}

/// The schema once all values were seen: a column that has none is text.
pub fn settled(schema: &Schema) -> SchemaRef {
    let settle = |field: &Arc<Field>| match field.data_type() {
        DataType::Null => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(settle).collect::<Vec<_>>()))
}

/// Columns that a message lists.
const SHOWN: usize = 20;

/// A name as Python's lists show it.
fn quoted(name: &str) -> String {
    let quote = if name.contains('\'') && !name.contains('"') { '"' } else { '\'' };
    let mut text = String::from(quote);
    for letter in name.chars() {
        match letter {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            _ => {
                if letter == quote || letter == '\\' {
                    text.push('\\');
                }
                text.push(letter);
            }
        }
    }
    text.push(quote);
    text
}

/// Position of column `name` in `schema`.
///
/// # Errors
/// [`Error::Data`] that says what asked for it, as `Label field 'X' not found in columns: ['a', 'b']`, and names the nearest
/// column.
pub fn position(schema: &Schema, name: &str, asked_by: &str) -> Result<usize> {
    schema.fields().iter().position(|field| field.name() == name).ok_or_else(|| {
        let near = did_you_mean(name, schema.fields().iter().map(|field| field.name().as_str()));
        let shown: Vec<String> = schema.fields().iter().take(SHOWN).map(|field| quoted(field.name())).collect();
        let more = schema.fields().len().saturating_sub(shown.len());
        let more = if more > 0 { format!(", … and {more} more") } else { String::new() };
        Error::data(
            Site::default(),
            format!("{asked_by} '{name}' not found in columns: [{}{more}]{near}", shown.join(", ")),
        )
    })
}
