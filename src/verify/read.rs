//! Reads the rows of a part, whatever its format, for the columns that a check asks for. The other columns are looked at as
//! far as counting and the schema need.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::Subject;
use crate::error::{Error, Result};
use crate::spec::{Compression, OutputFormat, Recipe};

const BATCH_ROWS: usize = 8192;

/// What reading a part found.
pub(super) struct Found {
    /// Rows that were read.
    pub rows: u64,
    /// How its columns are not those of the manifest.
    pub schema_error: Option<String>,
}

/// How parts are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartFormat(OutputFormat, Compression);

/// Gets batches with the columns asked for, named as in the manifest.
pub(super) type Visit<'a> = dyn FnMut(&RecordBatch) -> Result<()> + 'a;

impl PartFormat {
    /// The format of the recipe's output.
    pub(super) fn new(recipe: &Recipe) -> Self {
        Self(recipe.output.format, recipe.output.compression())
    }

    /// Whether a column of this type can be read back as it was.
    pub(super) fn reads_back(recipe: &Recipe, data_type: &DataType) -> bool {
        let plain = data_type.is_numeric()
            || matches!(
                data_type,
                DataType::Boolean | DataType::Utf8 | DataType::Date32 | DataType::Timestamp(_, None)
            );
        recipe.output.format == OutputFormat::Parquet || (plain && *data_type != DataType::Float16)
    }

    /// Reads the part at `path`; `visit` gets the columns at these positions of the manifest's schema.
    ///
    /// # Errors
    /// When the part cannot be read as what the manifest says it is, and what `visit` returns.
    pub(super) fn read(
        self,
        job: &Subject<'_>,
        path: &Path,
        columns: &[usize],
        visit: &mut Visit<'_>,
    ) -> Result<Found> {
        match self.0 {
            OutputFormat::Parquet => parquet(job, path, columns, visit),
            OutputFormat::Csv => delimited(job, &|| self.text(path), b',', columns, visit),
            OutputFormat::Tsv => delimited(job, &|| self.text(path), b'\t', columns, visit),
            OutputFormat::Jsonl => json_lines(job, self.text(path)?, columns, visit),
        }
    }

    /// The bytes of a part of text: its name may say nothing of how it is compressed.
    fn text(self, path: &Path) -> Result<Box<dyn Read>> {
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        Ok(match self.1 {
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Compression::Zstd => Box::new(zstd::Decoder::new(file).map_err(failed)?),
            _ => Box::new(file),
        })
    }
}

fn failed(e: impl Into<crate::error::Cause>) -> Error {
    Error::failed("it is not what was written", e)
}

fn parquet(job: &Subject<'_>, path: &Path, columns: &[usize], visit: &mut Visit<'_>) -> Result<Found> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let found: Vec<_> =
        builder.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect();
    let schema_error = difference(&found, &job.manifest.schema);
    if schema_error.is_some() {
        return Ok(Found { rows: builder.metadata().file_metadata().num_rows().max(0) as u64, schema_error });
    }
    let footer = builder.metadata().file_metadata().num_rows().max(0) as u64;
    // Without a column of interest, the first one is decoded to count the rows.
    let wanted = if columns.is_empty() { &[0][..] } else { columns };
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(failed)?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(failed)?;
        rows += batch.num_rows() as u64;
        visit(&batch)?;
    }
    if rows != footer {
        return Err(Error::failed("it is damaged", format!("its footer says {footer} rows, and it has {rows}")));
    }
    Ok(Found { rows, schema_error: None })
}

/// The first column that is not the expected one.
fn difference(found: &[(String, String)], expected: &[(String, String)]) -> Option<String> {
    if let Some((at, (found, expected))) =
        found.iter().zip(expected).enumerate().find(|(_, (found, expected))| found != expected)
    {
        return Some(format!(
            "column {at} is `{}` {}, the manifest says `{}` {}",
            found.0, found.1, expected.0, expected.1
        ));
    }
    (found.len() != expected.len()).then(|| format!("{} columns, the manifest says {}", found.len(), expected.len()))
}

fn delimited(
    job: &Subject<'_>,
    open: &dyn Fn() -> Result<Box<dyn Read>>,
    delimiter: u8,
    columns: &[usize],
    visit: &mut Visit<'_>,
) -> Result<Found> {
    let format = arrow::csv::reader::Format::default().with_header(true).with_delimiter(delimiter);
    let (header, _) = format.infer_schema(open()?, Some(0)).map_err(failed)?;
    let found: Vec<_> = header.fields().iter().map(|field| (field.name().clone(), String::new())).collect();
    let expected: Vec<_> = job.manifest.schema.iter().map(|(name, _)| (name.clone(), String::new())).collect();
    let schema_error = difference(&found, &expected);
    // Only columns of interest are read as what they are: the others need no more than to be there.
    let data_type = |at: usize| if columns.contains(&at) { job.types[at].clone() } else { DataType::Utf8 };
    let fields: Vec<Field> = (0..found.len())
        .map(|at| Field::new(&found[at].0, if schema_error.is_some() { DataType::Utf8 } else { data_type(at) }, true))
        .collect();
    let projection = if columns.is_empty() || schema_error.is_some() { vec![0] } else { columns.to_vec() };
    let reader = arrow::csv::ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_format(format)
        .with_projection(projection)
        .with_batch_size(BATCH_ROWS)
        .build(open()?)
        .map_err(failed)?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(failed)?;
        rows += batch.num_rows() as u64;
        if schema_error.is_none() {
            visit(&batch)?;
        }
    }
    Ok(Found { rows, schema_error })
}

fn json_lines(job: &Subject<'_>, text: Box<dyn Read>, columns: &[usize], visit: &mut Visit<'_>) -> Result<Found> {
    let names: Vec<&str> = job.manifest.schema.iter().map(|(name, _)| name.as_str()).collect();
    let field = |at: &usize| Field::new(names[*at], job.types[*at].clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let mut decoder =
        arrow::json::ReaderBuilder::new(schema).with_batch_size(BATCH_ROWS).build_decoder().map_err(failed)?;
    let mut lines = BufReader::with_capacity(1 << 20, text);
    let (mut line, mut rows, mut schema_error) = (Vec::new(), 0, None);
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let wrong = Keys(&names).deserialize(&mut serde_json::Deserializer::from_slice(&line)).map_err(failed)?;
        schema_error = schema_error.or_else(|| wrong.map(|wrong| format!("line {}: {wrong}", rows + 1)));
        rows += 1;
        if columns.is_empty() || schema_error.is_some() {
            continue;
        }
        decoder.decode(&line).map_err(failed)?;
        if decoder.len() >= BATCH_ROWS
            && let Some(batch) = decoder.flush().map_err(failed)?
        {
            visit(&batch)?;
        }
    }
    if let Some(batch) = decoder.flush().map_err(failed)? {
        visit(&batch)?;
    }
    Ok(Found { rows, schema_error })
}

/// Reads an object's keys and says how they are not these names, in this order; its values are passed over.
struct Keys<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with the columns of the manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let (mut at, mut wrong) = (0, None);
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            map.next_value::<IgnoredAny>()?;
            if wrong.is_none() && self.0.get(at).is_none_or(|name| *name != key) {
                wrong = Some(format!(
                    "key {at} is `{key}`, the manifest says {}",
                    self.0.get(at).map_or_else(|| "no more".into(), |name| format!("`{name}`"))
                ));
            }
            at += 1;
        }
        Ok(wrong.or_else(|| (at < self.0.len()).then(|| format!("key `{}` is missing", self.0[at]))))
    }
}
