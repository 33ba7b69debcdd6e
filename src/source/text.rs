//! CSV, TSV and JSON-lines shards: the bytes are cut into blocks of whole records, each block is tokenised into cells, and
//! each column's cells are parsed as the type that is wanted of it. Cutting is serial and fast; everything after it is a
//! function of one block, so blocks are parsed in parallel.
//!
//! The type of a column is never a matter of the first rows: a sample makes the first guess, and a value that does not fit
//! it widens the column (see [`Parsed::widened`]), until the type is the narrowest that all values of all shards fit.

mod blocks;
mod cells;
mod types;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};
use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::discover::{Shard, ShardFormat};
use super::{Chunk, Decoded, SourceOptions, compression};
use crate::error::{Error, Result, Site};
use crate::schema::{self, ShardFields};

pub use blocks::Blocks;
use cells::Cells;

/// Rows that the first guess of the types is made from.
const SAMPLE_ROWS: usize = 1000;
/// Bytes that the sample is taken from.
const SAMPLE_BYTES: usize = 1 << 20;
/// Bytes at either end of a shard that tell it from another.
const TELLING_BYTES: usize = 64 << 10;

/// A text shard whose header and first rows have been read.
pub struct TextShard {
    shard: Shard,
    has_header: bool,
    fields: ShardFields,
    fingerprint: u128,
}

/// One block, parsed.
pub struct Parsed {
    /// Its rows, in the columns of the schema that was wanted.
    pub columns: Vec<ArrayRef>,
    /// Number of rows.
    pub rows: usize,
    /// Columns with values that do not fit the wanted type, or that the shard was not known to have, with the narrowest
    /// type that holds what this block has of them. `columns` is of no use when there are any.
    pub widened: ShardFields,
}

impl TextShard {
    /// Reads the header and a sample of `shard`. `known` are the columns found by reading more of it before.
    ///
    /// # Errors
    /// [`Error::Data`] that names the shard when it cannot be read, is no text, or does not match the signature.
    pub fn open(shard: &Shard, options: &SourceOptions, known: Option<&ShardFields>) -> Result<Self> {
        let mut opened = Self {
            shard: shard.clone(),
            has_header: matches!(shard.format, ShardFormat::Delimited { .. }) && options.signature_names().is_none(),
            fields: Vec::new(),
            fingerprint: fingerprint(shard)?,
        };
        if let Some(known) = known {
            opened.fields.clone_from(known);
            return Ok(opened);
        }
        opened.fields = opened.sample(options).map_err(|e| e.in_shard(&shard.name))?;
        Ok(opened)
    }

    /// The columns' names, and the narrowest types that hold the rows read so far.
    pub fn fields(&self) -> ShardFields {
        self.fields.clone()
    }

    /// A hash of the file's ends and length.
    pub fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// The shard's blocks of whole records, of about `block_bytes` each, without the header.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn blocks(&self, block_bytes: usize) -> Result<Blocks> {
        let reader = compression::open(&self.shard.path)?;
        Ok(Blocks::new(reader, self.shard.format, block_bytes, self.has_header, &self.shard.name))
    }

    fn sample(&self, options: &SourceOptions) -> Result<ShardFields> {
        let reader = compression::open(&self.shard.path)?;
        let mut blocks = Blocks::new(reader, self.shard.format, SAMPLE_BYTES, false, &self.shard.name);
        let Some(first) = blocks.next().transpose()? else { return Ok(Vec::new()) };
        let cells = match self.shard.format {
            ShardFormat::Delimited { delimiter } => Cells::delimited(&first, delimiter, None, SAMPLE_ROWS + 1)?,
            _ => Cells::json_lines(&first, &[], SAMPLE_ROWS)?,
        };
        let names: Vec<String> = match (self.shard.format, options.signature_names()) {
            (ShardFormat::Delimited { .. }, Some(names)) => {
                if cells.columns() != names.len() {
                    let message = format!("has {} columns, but the signature names {}", cells.columns(), names.len());
                    return Err(Error::data(Site::default(), message));
                }
                names.to_vec()
            }
            (ShardFormat::Delimited { .. }, None) => {
                (0..cells.columns()).map(|at| header_name(&String::from_utf8_lossy(cells.bytes(0, at)), at)).collect()
            }
            _ => cells.new_names.clone(),
        };
        let skipped = usize::from(self.has_header);
        let observed = (0..names.len()).map(|at| cells.observe(at, skipped));
        Ok(names.iter().cloned().zip(observed).collect())
    }

    /// Parses one block as `schema` wants it. `forced` says for each column whether its type is the recipe's.
    ///
    /// # Errors
    /// [`Error::Data`] with the row within the block: a record of another length, a value that does not fit a forced
    /// type, bytes that are no UTF-8, a nested value.
    pub fn parse(&self, block: &[u8], schema: &SchemaRef, forced: &[bool]) -> Result<Parsed> {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        let cells = match self.shard.format {
            ShardFormat::Delimited { delimiter } => Cells::delimited(block, delimiter, Some(names.len()), usize::MAX)?,
            _ => Cells::json_lines(block, &names, usize::MAX)?,
        };
        let mut widened = ShardFields::new();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (field, forced) in schema.fields().iter().zip(forced) {
            let Some(at) = names.iter().position(|name| name == field.name()) else {
                columns.push(arrow::array::new_null_array(field.data_type(), cells.rows()));
                continue;
            };
            match cells.parse(at, field.data_type()).map_err(|e| e.in_column(field.name()))? {
                Ok(array) => columns.push(array),
                Err(row) if *forced => return Err(does_not_fit(&cells, row, at, field.name(), field.data_type())),
                Err(_) => widened.push((field.name().clone(), wide_enough(field.data_type(), &cells.observe(at, 0)))),
            }
        }
        for (at, name) in cells.new_names.iter().enumerate() {
            widened.push((name.clone(), cells.observe(names.len() + at, 0)));
        }
        Ok(Parsed { rows: cells.rows(), columns, widened })
    }

    /// Parses blocks in parallel; errors come in row order. `first_row` is the row of the first block, and moves on.
    ///
    /// # Errors
    /// As [`TextShard::parse`], with the row within the shard.
    pub fn parse_all(
        &self,
        blocks: &[Vec<u8>],
        schema: &SchemaRef,
        forced: &[bool],
        first_row: &mut u64,
    ) -> Result<(Vec<Chunk>, ShardFields)> {
        let parsed: Vec<Result<Parsed>> = blocks.par_iter().map(|block| self.parse(block, schema, forced)).collect();
        let mut chunks = Vec::with_capacity(blocks.len());
        let mut widened = ShardFields::new();
        for one in parsed {
            let one = one.map_err(|e| e.offset_rows(*first_row).in_shard(&self.shard.name))?;
            join(&mut widened, one.widened);
            chunks.push(Chunk::Decoded(Decoded {
                shard: self.shard.name.as_str().into(),
                first_row: *first_row,
                rows: one.rows,
                columns: one.columns.into_iter().map(|array| vec![array]).collect(),
            }));
            *first_row += one.rows as u64;
        }
        Ok((chunks, widened))
    }
}

/// Adds `more` to `fields`: known columns become wide enough for both.
pub fn join(fields: &mut ShardFields, more: ShardFields) {
    for (name, data_type) in more {
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = widest(known, &data_type),
            None => fields.push((name, data_type)),
        }
    }
}

/// What values of two types are together in a text shard, where `true` is no number.
fn widest(a: &DataType, b: &DataType) -> DataType {
    let bool_and_number = (*a == DataType::Boolean && b.is_numeric()) || (*b == DataType::Boolean && a.is_numeric());
    if bool_and_number { DataType::Utf8 } else { schema::wider(a, b).unwrap_or(DataType::Utf8) }
}

/// A type for a column that was read as `wanted` and holds values of type `observed` that did not fit.
fn wide_enough(wanted: &DataType, observed: &DataType) -> DataType {
    let wide = widest(wanted, observed);
    // Integers that floats would round are numbers both, and only text holds both.
    if wide == *wanted { DataType::Utf8 } else { wide }
}

/// The name of a header cell; one without a name is called as pandas calls it.
fn header_name(cell: &str, at: usize) -> String {
    if cell.is_empty() { format!("Unnamed: {at}") } else { cell.to_string() }
}

fn does_not_fit(cells: &Cells, row: usize, at: usize, name: &str, data_type: &DataType) -> Error {
    let value: String = String::from_utf8_lossy(cells.bytes(row, at)).chars().take(60).collect();
    let site = Site::column(name).at_row(row as u64);
    Error::data(
        site,
        format!("`{value}` is no {data_type}, which input.schema asks for; correct the value, or ask for string"),
    )
}

fn fingerprint(shard: &Shard) -> Result<u128> {
    let io = |e| Error::io("read", &shard.path, e);
    let file = File::open(&shard.path).map_err(|e| Error::io("open", &shard.path, e))?;
    let mut digest = Xxh3::new();
    digest.update(&shard.bytes.to_le_bytes());
    let length = TELLING_BYTES.min(shard.bytes as usize);
    let mut bytes = vec![0; length];
    for start in [0, shard.bytes - length as u64] {
        file.read_exact_at(&mut bytes, start).map_err(io)?;
        digest.update(&bytes);
    }
    Ok(digest.digest128())
}

#[cfg(test)]
mod tests;

/// Shares one opened shard with the thread that reads it ahead.
pub type Shared = Arc<TextShard>;
