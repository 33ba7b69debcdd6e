//! What the jobs are tried on: visits of customers, in shards of any format.

use std::collections::BTreeMap;
use std::io::Write;

use super::common::table::{Cell, Kind, Table, write_csv, write_shard};
use super::common::{Numbers, calendar};
use super::container::{Container, Rows};

/// How shards are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    CsvGz,
    Tsv,
    /// An object a line.
    JsonLines,
    /// One array of objects, compressed.
    JsonArrayGz,
    Parquet,
    /// Parquet that is compressed as a whole.
    ParquetGz,
    /// A format a shard.
    Mixed,
}

pub const FORMATS: [Format; 8] = [
    Format::Csv,
    Format::CsvGz,
    Format::Tsv,
    Format::JsonLines,
    Format::JsonArrayGz,
    Format::Parquet,
    Format::ParquetGz,
    Format::Mixed,
];

/// Rows a shard; the first has no `maybe` for a label, so that mapping a shard's own labels would be another mapping.
const SHARDS: [usize; 4] = [30, 41, 1, 48];

/// The names that the columns have in the shards.
pub const COLUMNS: [&str; 9] =
    ["id", "customer", "when", "label", "amount", "tenth", "note__DOT__text", "task_a", "task_b"];

/// The rows: `id` counts them, `label` is missing in some, `amount` has quarters and is missing in some, `tenth` has what
/// a float of 32 bits cannot hold, `task_a` and `task_b` are 0 and 1.
pub fn table() -> Table {
    let mut numbers = Numbers(7);
    let kinds =
        [Kind::Int, Kind::Text, Kind::Text, Kind::Text, Kind::Float, Kind::Float, Kind::Text, Kind::Int, Kind::Int];
    let columns = COLUMNS.iter().map(ToString::to_string).zip(kinds).collect();
    let rows = (0..SHARDS.iter().sum::<usize>() as i64).map(|id| {
        let customer = numbers.below(30);
        let day = calendar::day(2024, 10, 1) + numbers.below(60) as i64;
        let label = match numbers.below(if id < SHARDS[0] as i64 { 7 } else { 10 }) {
            0 => Cell::Missing,
            1..=3 => Cell::text("yes"),
            4..=6 => Cell::text("no"),
            _ => Cell::text("maybe"),
        };
        let amount =
            if numbers.below(5) == 0 { Cell::Missing } else { Cell::Float(numbers.below(400) as f64 / 4.0 + 0.25) };
        let note = ["plain", "with, comma", "with \"quotes\"", "tab\tand line\nend", "übergroß 漢字"];
        vec![
            Cell::Int(id),
            Cell::Text(format!("c{customer:02}")),
            Cell::Text(calendar::date(day)),
            label,
            amount,
            Cell::Float(id as f64 / 10.0 + 0.05),
            Cell::text(note[numbers.below(5) as usize]),
            Cell::Int(numbers.below(2) as i64),
            Cell::Int(numbers.below(2) as i64),
        ]
    });
    Table { columns, rows: rows.collect() }
}

/// The rows as they are read back, by id, under the names of the output.
pub fn expected() -> BTreeMap<String, BTreeMap<String, String>> {
    let table = table();
    let text = |cell: &Cell| match cell {
        Cell::Int(value) => Some(value.to_string()),
        Cell::Float(value) => Some(value.to_string()),
        Cell::Text(text) => Some(text.clone()),
        _ => None,
    };
    let row = |cells: &Vec<Cell>| {
        let named =
            cells.iter().zip(COLUMNS).filter_map(|(cell, name)| Some((name.replace("__DOT__", "."), text(cell)?)));
        named.collect::<BTreeMap<String, String>>()
    };
    table.rows.iter().map(row).map(|row| (row["id"].clone(), row)).collect()
}

/// The same under the names of the shards.
pub fn as_written() -> Rows {
    let rename = |(name, value): (String, String)| (name.replace("note.text", "note__DOT__text"), value);
    let mut rows: Rows = expected().into_values().map(|row| row.into_iter().map(rename).collect()).collect();
    rows.sort_by_key(|row| row["id"].parse::<u64>().unwrap());
    rows
}

/// Writes the shards into `directory` of a container, with an empty one among them.
pub fn write(container: &Container, directory: &str, format: Format) {
    let table = table();
    let mut first = 0;
    for (at, rows) in SHARDS.into_iter().enumerate() {
        let part = Table { columns: table.columns.clone(), rows: table.rows[first..first + rows].to_vec() };
        first += rows;
        let formats = [Format::JsonLines, Format::Parquet, Format::Csv, Format::Tsv];
        let format = if format == Format::Mixed { formats[at] } else { format };
        let (extension, bytes) = bytes(container, &part, format);
        container.write(&format!("{directory}/part-{at:05}.{extension}"), bytes);
    }
    container.write(&format!("{directory}/part-00002a.csv"), "");
    container.write(&format!("{directory}/_SUCCESS"), "");
}

fn bytes(container: &Container, part: &Table, format: Format) -> (&'static str, Vec<u8>) {
    let scratch = container.path("scratch");
    let read = || std::fs::read(&scratch).unwrap();
    match format {
        Format::Csv => {
            write_csv(&scratch, part);
            ("csv", read())
        }
        Format::CsvGz => ("csv.gz", gzip(&bytes(container, part, Format::Csv).1)),
        Format::Tsv => ("tsv", tsv(part).into_bytes()),
        Format::JsonLines => {
            ("json", objects(part).iter().map(|object| format!("{object}\n")).collect::<String>().into())
        }
        Format::JsonArrayGz => ("json.gz", gzip(format!("[{}]", objects(part).join(",\n")).as_bytes())),
        Format::Parquet => {
            write_shard(&scratch, &part.batch(), &[10]);
            ("snappy.parquet", read())
        }
        Format::ParquetGz => ("parquet.gz", gzip(&bytes(container, part, Format::Parquet).1)),
        Format::Mixed => unreachable!("each shard has one"),
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tsv(part: &Table) -> String {
    let line = |cells: Vec<String>| cells.join("\t") + "\n";
    let quoted = |cell: &Cell| match cell {
        Cell::Text(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        other => other.canonical().unwrap_or_default(),
    };
    let header = line(part.columns.iter().map(|(name, _)| name.clone()).collect());
    header + &part.rows.iter().map(|row| line(row.iter().map(quoted).collect())).collect::<String>()
}

fn objects(part: &Table) -> Vec<String> {
    let value = |cell: &Cell| match cell {
        Cell::Int(value) => serde_json::json!(value),
        Cell::Float(value) => serde_json::json!(value),
        Cell::Text(text) => serde_json::json!(text),
        _ => serde_json::Value::Null,
    };
    let object = |row: &Vec<Cell>| {
        let pairs = row.iter().zip(&part.columns).map(|(cell, (name, _))| (name.clone(), value(cell)));
        serde_json::Value::Object(pairs.collect()).to_string()
    };
    part.rows.iter().map(object).collect()
}
