//! From text to a [`Recipe`]: TOML or JSON is read to one tree, `--set` is laid over it, every key is held against the
//! recipe's JSON Schema, and only then do the types read it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Recipe;
use crate::error::{Error, Result, did_you_mean};

/// The JSON Schema of a recipe.
pub fn json_schema() -> Value {
    schemars::schema_for!(Recipe).to_value()
}

/// Reads a recipe's text, TOML or JSON, to a tree.
///
/// # Errors
/// [`Error::Recipe`] that names `origin` and the line.
pub fn parse(text: &str, origin: &str) -> Result<Value> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|e| Error::Recipe(format!("{origin}: {e}")));
    }
    let table: toml::Table = toml::from_str(text).map_err(|e| Error::Recipe(format!("{origin}: {e}")))?;
    Ok(from_toml(toml::Value::Table(table)))
}

/// The same tree; a date is text, as it is in JSON.
fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(integer) => Value::from(integer),
        toml::Value::Float(float) => Value::from(float),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(at) => Value::String(at.to_string()),
        toml::Value::Array(values) => values.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, v)| (key, from_toml(v))).collect()),
    }
}

/// Lays `KEY=VALUE` over a tree: the key is dotted, the value TOML; what is no TOML value is taken as text.
///
/// # Errors
/// [`Error::Recipe`] when there is no `=`, or a key on the way is no table.
pub fn set(tree: &mut Value, assignment: &str) -> Result<()> {
    let (key, text) = assignment.split_once('=').ok_or_else(|| {
        Error::Recipe(format!("--set {assignment}: write KEY=VALUE, as in --set output.shard_rows=50000"))
    })?;
    let value = toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value").map(from_toml))
        .unwrap_or_else(|| Value::String(text.to_string()));
    put(tree, key.trim(), value)
}

/// Puts `value` at a dotted key.
///
/// # Errors
/// [`Error::Recipe`] when a key on the way is no table.
pub fn put(tree: &mut Value, dotted: &str, value: Value) -> Result<()> {
    let mut node = tree;
    let mut keys = dotted.split('.').peekable();
    while let Some(key) = keys.next() {
        let Value::Object(table) = node else {
            return Err(Error::Recipe(format!("`{dotted}`: what stands before `.{key}` is no table")));
        };
        if keys.peek().is_none() {
            table.insert(key.to_string(), value);
            return Ok(());
        }
        node = table.entry(key).or_insert_with(|| Value::Object(Map::new()));
    }
    Ok(())
}

/// Checks every key of a tree against the recipe's types and reads it.
///
/// # Errors
/// [`Error::Recipe`] that names the key: unknown (with the nearest known one), or of a wrong type.
pub fn read(tree: &Value) -> Result<Recipe> {
    let schema = json_schema();
    check_keys(tree, &schema, &schema, "")?;
    read_sections(tree)
}

/// Every object's keys must be among the schema's properties at that place.
fn check_keys(value: &Value, node: &Value, root: &Value, path: &str) -> Result<()> {
    match value {
        Value::Object(table) => {
            let Some(known) = properties(node, root, value) else { return Ok(()) };
            for (key, inner) in table {
                let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let Some((_, schema)) = known.iter().find(|(name, _)| name == key) else {
                    let near = did_you_mean(key, known.iter().map(|(name, _)| name.as_str()));
                    return Err(Error::Recipe(format!("unknown key `{here}`{near}")));
                };
                check_keys(inner, schema, root, &here)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            let item_schema = resolve(node, root).get("items").cloned().unwrap_or(Value::Null);
            items
                .iter()
                .enumerate()
                .try_for_each(|(at, item)| check_keys(item, &item_schema, root, &format!("{path}[{at}]")))
        }
        _ => Ok(()),
    }
}

fn resolve<'a>(node: &'a Value, root: &'a Value) -> &'a Value {
    match node.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => node,
    }
}

/// The properties that an object may have under a schema node; nothing when it may have any.
fn properties(node: &Value, root: &Value, value: &Value) -> Option<Vec<(String, Value)>> {
    let mut found: Vec<(String, Value)> = Vec::new();
    for part in [node, resolve(node, root)] {
        if part.get("additionalProperties").is_some_and(|any| any.as_bool() != Some(false)) {
            return None;
        }
        if let Some(table) = part.get("properties").and_then(Value::as_object) {
            found.extend(table.iter().map(|(name, schema)| (name.clone(), schema.clone())));
        }
        let variants = ["oneOf", "anyOf"].iter().filter_map(|key| part.get(key)?.as_array()).flatten();
        for variant in variants.filter(|variant| fits_tag(variant, value)) {
            found.extend(properties(variant, root, value).unwrap_or_default());
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Whether a variant of a tagged enum is the one whose tag the value carries; a value with an unknown tag fits all.
fn fits_tag(variant: &Value, value: &Value) -> bool {
    match (variant.pointer("/properties/op/const"), value.get("op")) {
        (Some(tag), Some(op)) => tag == op,
        _ => true,
    }
}

/// Reads the sections one by one, so that an error says which one it is in.
fn read_sections(tree: &Value) -> Result<Recipe> {
    fn section<T: serde::de::DeserializeOwned + Default>(tree: &Value, name: &str) -> Result<T> {
        match tree.get(name) {
            None => Ok(T::default()),
            Some(value) => T::deserialize(value).map_err(|e| wrong(name, &e)),
        }
    }
    fn wrong(place: &str, e: &serde_json::Error) -> Error {
        Error::Recipe(format!("[{place}] {e}"))
    }
    let steps = match tree.get("transform") {
        None => Vec::new(),
        Some(Value::Array(steps)) => steps
            .iter()
            .enumerate()
            .map(|(at, step)| {
                super::Transform::deserialize(step).map_err(|e| wrong(&format!("transform {}", at + 1), &e))
            })
            .collect::<Result<_>>()?,
        Some(_) => {
            return Err(Error::Recipe("`transform` is a list of tables: write [[transform]] for each step".into()));
        }
    };
    Ok(Recipe {
        input: section(tree, "input")?,
        label: section(tree, "label")?,
        split: section(tree, "split")?,
        dedupe: section(tree, "dedupe")?,
        fit: section(tree, "fit")?,
        transform: steps,
        output: section(tree, "output")?,
        run: section(tree, "run")?,
    })
}
