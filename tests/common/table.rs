//! A table as plain rows, and the way from there to Parquet shards of any cut and back.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::compute_leaves;

use super::calendar;

/// One value.
#[derive(Debug, Clone)]
pub enum Cell {
    Missing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01 UTC.
    Time(i64),
}

impl PartialEq for Cell {
    /// Floats by their bits, so that −0.0 is not 0.0; every NaN is the same.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            _ => false,
        }
    }
}

impl Cell {
    pub fn text(value: &str) -> Self {
        Self::Text(value.to_string())
    }

    /// Missing, or no number.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing) || matches!(self, Self::Float(x) if x.is_nan())
    }

    /// The value as a scaler takes it.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Missing | Self::Text(_) | Self::Date(_) | Self::Time(_) => None,
        }
    }

    /// The canonical text of the hash contract; nothing for a missing value. For floats of few digits only: Rust and the
    /// contract write others differently.
    pub fn canonical(&self) -> Option<String> {
        match self {
            cell if cell.is_missing() => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Float(value) if value.fract() == 0.0 => Some((*value as i64).to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.clone()),
            Self::Date(days) => Some((i128::from(*days) * 86_400_000_000_000).to_string()),
            Self::Time(micros) => Some((i128::from(*micros) * 1000).to_string()),
            Self::Missing => None,
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Date,
    /// A timestamp of this unit, in this zone.
    Time(TimeUnit, Option<&'static str>),
}

impl Kind {
    pub fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Time(unit, zone) => DataType::Timestamp(unit, zone.map(Into::into)),
        }
    }
}

/// Rows and the columns they have.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub columns: Vec<(String, Kind)>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn position(&self, name: &str) -> usize {
        self.columns.iter().position(|(column, _)| column == name).unwrap_or_else(|| panic!("no column {name}"))
    }

    pub fn column(&self, name: &str) -> Vec<Cell> {
        let at = self.position(name);
        self.rows.iter().map(|row| row[at].clone()).collect()
    }

    pub fn batch(&self) -> RecordBatch {
        let array = |(at, (_, kind)): (usize, &(String, Kind))| -> ArrayRef {
            let cells = self.rows.iter().map(|row| &row[at]);
            match kind {
                Kind::Bool => Arc::new(
                    cells.map(|c| if let Cell::Bool(v) = c { Some(*v) } else { None }).collect::<BooleanArray>(),
                ),
                Kind::Int => {
                    Arc::new(cells.map(|c| if let Cell::Int(v) = c { Some(*v) } else { None }).collect::<Int64Array>())
                }
                Kind::Float => Arc::new(
                    cells.map(|c| if let Cell::Float(v) = c { Some(*v) } else { None }).collect::<Float64Array>(),
                ),
                Kind::Text => {
                    Arc::new(cells.map(|c| if let Cell::Text(v) = c { Some(v) } else { None }).collect::<StringArray>())
                }
                Kind::Date => Arc::new(
                    cells.map(|c| if let Cell::Date(v) = c { Some(*v) } else { None }).collect::<Date32Array>(),
                ),
                Kind::Time(unit, _) => {
                    let in_unit = |micros: i64| match unit {
                        TimeUnit::Second => micros.div_euclid(1_000_000),
                        TimeUnit::Millisecond => micros.div_euclid(1000),
                        TimeUnit::Microsecond => micros,
                        TimeUnit::Nanosecond => micros * 1000,
                    };
                    let whole = cells.map(|c| if let Cell::Time(v) = c { Some(in_unit(*v)) } else { None });
                    cast(&whole.collect::<Int64Array>(), &kind.data_type()).unwrap()
                }
            }
        };
        let field = |(name, kind): &(String, Kind)| Field::new(name, kind.data_type(), true);
        let schema = Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()));
        let arrays = self.columns.iter().enumerate().map(array).collect();
        let rows = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        RecordBatch::try_new_with_options(schema, arrays, &rows).unwrap()
    }

    pub fn of_batch(batch: &RecordBatch) -> Self {
        let mut columns = Vec::new();
        let mut rows = vec![Vec::new(); batch.num_rows()];
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let (kind, cells) = cells(array);
            columns.push((field.name().clone(), kind));
            rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
        }
        Self { columns, rows }
    }
}

fn cells(array: &ArrayRef) -> (Kind, Vec<Cell>) {
    let cell = |value: Option<Cell>| value.unwrap_or(Cell::Missing);
    match array.data_type() {
        DataType::Boolean => (Kind::Bool, array.as_boolean().iter().map(|v| cell(v.map(Cell::Bool))).collect()),
        data_type if data_type.is_integer() => {
            let wide = cast(array, &DataType::Int64).unwrap();
            (Kind::Int, wide.as_primitive::<Int64Type>().iter().map(|v| cell(v.map(Cell::Int))).collect())
        }
        data_type if data_type.is_floating() => {
            let wide = cast(array, &DataType::Float64).unwrap();
            (Kind::Float, wide.as_primitive::<Float64Type>().iter().map(|v| cell(v.map(Cell::Float))).collect())
        }
        _ => {
            let text = cast(array, &DataType::Utf8).unwrap();
            (Kind::Text, text.as_string::<i32>().iter().map(|v| cell(v.map(Cell::text))).collect())
        }
    }
}

/// A value as CSV has it.
fn csv_text(cell: &Cell, kind: Kind) -> String {
    match (cell, kind) {
        (Cell::Text(text), _) => format!("\"{}\"", text.replace('"', "\"\"")),
        (Cell::Date(days), _) => calendar::date(i64::from(*days)),
        (Cell::Time(micros), Kind::Time(_, zone)) => calendar::time(*micros) + zone.map_or("", |_| "Z"),
        _ => cell.canonical().unwrap_or_default(),
    }
}

/// Writes a CSV shard; a text without letters is missing in it.
pub fn write_csv(path: &Path, table: &Table) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut text = table.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",") + "\n";
    for row in &table.rows {
        let cells: Vec<String> =
            row.iter().zip(&table.columns).map(|(cell, (_, kind))| csv_text(cell, *kind)).collect();
        text += &(cells.join(",") + "\n");
    }
    std::fs::write(path, text).unwrap();
}

/// Writes a Parquet shard whose row groups have so many rows; 0 is an empty row group, and the rest goes into a last one.
pub fn write_shard(path: &Path, batch: &RecordBatch, row_groups: &[usize]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    let (mut file, factory) = writer.into_serialized_writer().unwrap();
    let mut first = 0;
    let mut group = 0;
    let mut wanted = row_groups.iter().copied().chain([usize::MAX]);
    while let Some(rows) = wanted.next().map(|rows| rows.min(batch.num_rows() - first)) {
        let slice = batch.slice(first, rows);
        first += rows;
        let mut columns = factory.create_column_writers(group).unwrap();
        for ((column, array), field) in columns.iter_mut().zip(slice.columns()).zip(batch.schema().fields()) {
            for leaf in compute_leaves(field, array).unwrap() {
                column.write(&leaf).unwrap();
            }
        }
        let mut out = file.next_row_group().unwrap();
        for column in columns {
            column.close().unwrap().append_to_row_group(&mut out).unwrap();
        }
        out.close().unwrap();
        group += 1;
    }
    file.close().unwrap();
}

/// Writes the rows as `shards.len() + 1` shards into `directory`: so many rows each, and the rest; in row groups of
/// `row_group` rows.
pub fn write_shards(directory: &Path, batch: &RecordBatch, shards: &[usize], row_group: usize) {
    let mut first = 0;
    for (at, rows) in shards.iter().copied().chain([usize::MAX]).enumerate() {
        let rows = rows.min(batch.num_rows() - first);
        let row_groups = vec![row_group; rows / row_group];
        write_shard(&directory.join(format!("part-{at:03}.parquet")), &batch.slice(first, rows), &row_groups);
        first += rows;
    }
}

pub fn read_parquet(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}
