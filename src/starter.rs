//! A starter recipe for some data: guesses from names and types alone, each with a comment that says what to change.

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::Result;
use crate::schema;
use crate::source::{Opened, SourceOptions, discover};
use crate::spec::{ExtraColumns, Input, OneOrMany};

/// Columns and shards that the comment at the top names.
const SHOWN: usize = 40;
/// Shards whose columns are looked at.
const LOOKED_AT: usize = 20;

/// The recipe's text.
///
/// # Errors
/// [`crate::error::Error::Data`] when nothing is found at `path` or a shard cannot be opened.
pub fn recipe(path: &str) -> Result<String> {
    let mut input = Input { path: OneOrMany::One(path.into()), ..Input::default() };
    let shards = discover::shards(&input)?.shards;
    let options = SourceOptions::default();
    let mut fields = Vec::new();
    for shard in shards.iter().take(LOOKED_AT) {
        fields.push((shard.name.clone(), Opened::open(shard, &options, None)?.fields()));
    }
    let named = || fields.iter().map(|(name, fields)| (name.as_str(), fields));
    let agree = schema::unify(named(), &input).is_ok();
    input.extra_columns = ExtraColumns::Ignore;
    let schema = schema::unify(named(), &input)?;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = heading(&mut text, path, &shards, &schema);
    let dotted = dotted(&schema);
    let _ = body(&mut text, path, (agree, dotted.is_some()), dotted.as_ref().unwrap_or(&schema));
    Ok(text)
}

fn heading(text: &mut String, path: &str, shards: &[discover::Shard], schema: &SchemaRef) -> std::fmt::Result {
    let bytes: u64 = shards.iter().map(|shard| shard.bytes).sum();
    writeln!(text, "# A recipe for twopass. `twopass check` shows what it does, `twopass run` does it.\n#")?;
    writeln!(text, "# {} shards with {bytes} bytes in {}:", shards.len(), one_line(path))?;
    for shard in shards.iter().take(5) {
        writeln!(text, "#   {}", one_line(&shard.name))?;
    }
    if shards.len() > 5 {
        writeln!(text, "#   … and {} more", shards.len() - 5)?;
    }
    writeln!(text, "# {} columns:", schema.fields().len())?;
    for field in schema.fields().iter().take(SHOWN) {
        writeln!(text, "#   {:<30} {}", one_line(field.name()), field.data_type())?;
    }
    if schema.fields().len() > SHOWN {
        writeln!(text, "#   … and {} more", schema.fields().len() - SHOWN)?;
    }
    Ok(())
}

fn body(text: &mut String, path: &str, (agree, dotted): (bool, bool), schema: &SchemaRef) -> std::fmt::Result {
    let label = guess_label(schema);
    let key = guess_key(schema, label);
    let has = |class: fn(&DataType) -> bool| {
        schema.fields().iter().any(|field| {
            class(field.data_type()) && Some(field.name().as_str()) != label && Some(field.name().as_str()) != key
        })
    };
    writeln!(text, "\n[input]\npath = {}          # file, directory, glob, or a list of them", quoted(path))?;
    writeln!(text, "missing_columns = \"insert\"   # a column that a shard lacks is null there; \"raise\": an error")?;
    let (extra, why) = if agree {
        ("raise", "a column that the first shard lacks is an error; \"ignore\": passed over; \"insert\": added")
    } else {
        ("ignore", "some shards have columns that the first one lacks; \"insert\": added; \"raise\": an error")
    };
    writeln!(text, "extra_columns = \"{extra}\"      # {why}")?;
    writeln!(
        text,
        "# schema = {{ zip = \"string\" }}  # types to read columns as: bool int32 int64 float32 float64 string date timestamp"
    )?;

    match label {
        Some(label) => {
            writeln!(
                text,
                "\n# What is to be predicted: a guess from the name. Text is mapped to 0..k-1; rows without a label are dropped."
            )?;
            writeln!(text, "[label]\ncolumn = {}", quoted(label))?;
        }
        None => {
            writeln!(text, "\n# What is to be predicted. No column has a name that says so: put it here.")?;
            writeln!(text, "# [label]\n# column = \"label\"")?;
        }
    }

    let kind = if label.is_some() { "stratified" } else { "random" };
    writeln!(
        text,
        "\n[split]\nkind = \"{kind}\"   # none | random | stratified: every class has its share in every split, exactly"
    )?;
    writeln!(text, "sizes = {{ train = 0.7, test = 0.15, val = 0.15 }}   # names and shares, in order; they sum to 1")?;
    writeln!(
        text,
        "# stratify = [\"label\", \"country\"]   # columns whose combinations keep their shares; default the label"
    )?;
    match key {
        Some(key) => writeln!(
            text,
            "key = {}   # identifies a row, whatever shard it is in: a guess from the name",
            quoted(key)
        )?,
        None => writeln!(
            text,
            "# key = \"id\"   # identifies a row, whatever shard it is in; default its shard and number"
        )?,
    }
    writeln!(text, "random_state = 42   # another number, another split")?;

    if dotted {
        writeln!(text, "\n# Comes first: [label], [split] and all steps after it know the new names.")?;
        writeln!(text, "[[transform]]\nop = \"rename\"\npattern = \"{DOT}\"\nreplacement = \".\"")?;
    }
    if has(schema::is_number) {
        writeln!(
            text,
            "\n# Steps work in this order. `columns`: a name, a glob (\"num_*\"), a class (@numeric @categorical @boolean @timestamp), or a list."
        )?;
        writeln!(text, "# Classes and globs never select the label or the key.\n")?;
        writeln!(
            text,
            "[[transform]]\nop = \"simple_imputer\"   # missing numbers become the mean; take this out if none are missing"
        )?;
        writeln!(
            text,
            "columns = \"@numeric\"\nstrategy = \"mean\"   # mean | most_frequent | constant (with fill_value)"
        )?;
        writeln!(text, "# add_indicator = true   # a column missingindicator_NAME says what was missing")?;
        writeln!(
            text,
            "\n[[transform]]\nop = \"standard_scaler\"   # (x - mean) / std over all rows; or min_max_scaler\ncolumns = \"@numeric\""
        )?;
    }
    if has(|data_type| *data_type == DataType::Utf8) {
        writeln!(
            text,
            "\n[[transform]]\nop = \"ordinal_encoder\"   # text becomes 0..k-1; or one_hot_encoder: a 0/1 column for each category"
        )?;
        writeln!(
            text,
            "columns = \"@categorical\"\n# min_frequency = 10   # rarer categories share one code\n# max_categories = 1000   # at most so many codes"
        )?;
    }

    writeln!(text, "\n[output]\npath = \"out\"            # appears whole or not at all")?;
    writeln!(
        text,
        "format = \"parquet\"      # parquet | csv | tsv | jsonl\nlayout = \"shards\"       # shards: SPLIT/part-00000.parquet …  | single: one file a split"
    )?;
    writeln!(
        text,
        "shard_rows = 100000     # rows a part\ncompression = \"snappy\"  # parquet: snappy zstd lz4 none; text: none gzip zstd"
    )?;
    writeln!(
        text,
        "float = \"float64\"       # type of scaled columns: float32 | float64\nmetadata = \"json\"       # json | mods | none"
    )?;
    writeln!(
        text,
        "\n[run]\nmemory = \"2GiB\"         # ceiling for the process\nthreads = 0             # 0: all cores"
    )
}

const LABELS: [&str; 8] = ["label", "target", "y", "class", "outcome", "labels", "is_fraud", "category_label"];

/// A column whose name says that it is the label.
/// What stands for a dot in names of columns that had to do without.
const DOT: &str = "__DOT__";

/// The columns with dots in their names where a stand-in is; nothing when there is none, or when that would be two columns
/// of one name.
fn dotted(schema: &SchemaRef) -> Option<SchemaRef> {
    let named = |field: &Arc<Field>| field.as_ref().clone().with_name(field.name().replace(DOT, "."));
    let fields: Vec<Field> = schema.fields().iter().map(named).collect();
    let mut names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let stands = schema.fields().iter().any(|field| field.name().contains(DOT));
    (stands && names.len() == fields.len()).then(|| Arc::new(Schema::new(fields)))
}

fn guess_label(schema: &SchemaRef) -> Option<&str> {
    let can_be =
        |data_type: &DataType| schema::is_number(data_type) || matches!(data_type, DataType::Utf8 | DataType::Boolean);
    let names = || schema.fields().iter().filter(|field| can_be(field.data_type())).map(|field| field.name().as_str());
    let exact = LABELS.iter().find_map(|label| names().find(|name| name.to_lowercase() == *label));
    let ending = || names().find(|name| ["_label", "_target"].iter().any(|end| name.to_lowercase().ends_with(end)));
    let mut is = names().filter(|name| name.to_lowercase().starts_with("is_"));
    // One `is_…` is likely the label; several are features.
    exact.or_else(ending).or_else(|| is.next().filter(|_| is.next().is_none()))
}

/// A column whose name says that it identifies the row.
fn guess_key<'a>(schema: &'a SchemaRef, label: Option<&str>) -> Option<&'a str> {
    let can_be = |data_type: &DataType| data_type.is_integer() || matches!(data_type, DataType::Utf8);
    let names = || {
        schema
            .fields()
            .iter()
            .filter(|field| can_be(field.data_type()))
            .map(|field| field.name().as_str())
            .filter(|name| Some(*name) != label)
    };
    let exact = ["id", "uuid", "guid", "row_id", "rowid", "key", "record_id", "order_id", "transaction_id"];
    let is_id = |name: &&str| name.to_lowercase().ends_with("_id") || name.ends_with("Id") || name.ends_with("ID");
    exact.iter().find_map(|id| names().find(|name| name.to_lowercase() == *id)).or_else(|| names().find(is_id))
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

/// A text that cannot end its comment.
fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
