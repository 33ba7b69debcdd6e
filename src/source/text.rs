//! Text shards: delimited values and JSON lines. A shard is cut into [`Block`]s of whole records serially; each block is
//! then read by itself, on any thread, under the types the caller wants.
//!
//! Types are never guessed from the first rows. A block either holds only values of the wanted types, or says to which
//! types the columns must widen, and is read again under those. The wider type is a function of the set of values alone
//! ([`Seen`]), so whatever the first guess, the order of blocks and their size, reading ends at the same types.
//!
//! What a field is: missing when empty or one of pandas' words for it; a truth value; an integer of 64 bits; a decimal
//! number; a date or timestamp of ISO 8601; else text. Leading zeros, integers beyond 64 bits, magnitudes beyond
//! float64's and integers that a float column would round stay text, digit by digit. Quotes around a field change
//! nothing. JSON's kinds are taken at their word: strings are text, though dates and timestamps are recognised in them,
//! and only `null` and absent keys are missing.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

use crate::error::{Error, Result, Site};
use crate::schema::ShardFields;
use crate::source::compression;

mod cells;
mod column;
mod delimited;
mod flat;
mod json;
mod marks;
mod number;
mod observe;
mod read;
mod seen;
mod split;
mod validity;
pub(crate) mod value;
mod words;

pub use observe::Observed;
pub use seen::Seen;
pub use split::{Block, Blocks, RECORD_LIMIT};

/// Records of a JSON shard that its first list of columns is from.
const JSON_SAMPLE_ROWS: u64 = 1000;
/// Size of the blocks a sample is taken from, in bytes.
const SAMPLE_BYTES: usize = 256 << 10;

/// How records and fields are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Fields between delimiters, quoted where they hold one, one record a line.
    Delimited {
        /// An ASCII character that is neither a quote nor a line end.
        delimiter: u8,
    },
    /// One flat JSON object a line.
    JsonLines,
}

/// How a text shard is read.
#[derive(Debug, Clone)]
pub struct TextOptions {
    /// Its format.
    pub format: TextFormat,
    /// Names of a delimited shard's columns; the shard has no header line then. JSON carries its own names.
    pub names: Option<Arc<[String]>>,
}

/// A text shard whose column names are known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TextShard {
    path: Arc<Path>,
    options: TextOptions,
    names: Arc<[String]>,
}

/// A column that a block is read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name; a column the shard lacks is null.
    pub name: String,
    /// Its type; with `Null`, any value widens it.
    pub data_type: DataType,
    /// The recipe sets the type: a value that does not fit is an error, and nothing widens.
    pub forced: bool,
}

/// What one block gave.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The wanted columns, in their order; nothing when one of them widened.
    pub batch: Option<RecordBatch>,
    /// Wanted columns, by position, with values that do not fit, and the narrowest type that holds those values and all
    /// that fit the type wanted: always a wider one.
    pub widened: Vec<(usize, DataType)>,
    /// JSON: columns that are not among the shard's names, and what they hold in this block. Those that were wanted by
    /// name are in the batch all the same.
    pub new_columns: ShardFields,
}

impl TextShard {
    /// Opens the shard for its column names: a delimited shard's header, the keys of a JSON shard's first 1,000 objects
    /// in order of first appearance. An empty file has no columns.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened; [`Error::Data`] when its header, or a JSON shard's sample, cannot be
    /// read, or a name stands twice in the header.
    pub fn open(path: &Path, options: &TextOptions) -> Result<Self> {
        let mut shard = Self { path: path.into(), options: options.clone(), names: Arc::new([]) };
        let names: Arc<[String]> = match (options.format, &options.names) {
            (TextFormat::JsonLines, _) => shard.observe_first(JSON_SAMPLE_ROWS)?.into_names().into(),
            (TextFormat::Delimited { .. }, Some(names)) => Arc::clone(names),
            (TextFormat::Delimited { delimiter }, None) => match shard.records(SAMPLE_BYTES)?.header()? {
                Some(header) => delimited::header(&header, delimiter)?.into(),
                None => Arc::new([]),
            },
        };
        shard.names = names;
        Ok(shard)
    }

    /// Names of its columns, in the shard's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The same shard with `names` of columns that turned up later ([`Parsed::new_columns`]) behind its own.
    #[must_use]
    pub fn with_new_columns<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = self.names.to_vec();
        for name in names {
            if !all.iter().any(|known| known == name) {
                all.push(name.to_string());
            }
        }
        self.names = all.into();
        self
    }

    /// Names and types of the columns in the first `rows` rows; `Null` for one that is missing in all of them.
    ///
    /// # Errors
    /// [`Error::Data`] with the row when one of them is no record of this shard.
    pub fn sample(&self, rows: u64) -> Result<ShardFields> {
        Ok(self.observe_first(rows)?.fields())
    }

    fn observe_first(&self, rows: u64) -> Result<Observed> {
        let mut observed = Observed::nothing(&self.names);
        let mut left = rows;
        let mut blocks = self.blocks(SAMPLE_BYTES)?;
        while left > 0
            && let Some(block) = blocks.next().transpose()?
        {
            observed.merge(&self.observe_rows(&block, left)?);
            left = left.saturating_sub(block.rows);
        }
        Ok(observed)
    }

    /// Cuts the shard, from its first row on, into blocks of about `block_bytes` bytes; a longer record is a block by
    /// itself, up to [`RECORD_LIMIT`].
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened. The blocks are errors when the file cannot be read on, when it ends
    /// inside a quoted field, or when a record is beyond the limit.
    pub fn blocks(&self, block_bytes: usize) -> Result<Blocks> {
        let mut blocks = self.records(block_bytes)?;
        if self.options.names.is_none() && self.options.format != TextFormat::JsonLines {
            blocks.header()?;
        }
        Ok(blocks)
    }

    fn records(&self, block_bytes: usize) -> Result<Blocks> {
        Ok(Blocks::new(compression::open(&self.path)?, self.options.format, block_bytes))
    }

    /// The text of `block`.
    fn text<'a>(&self, block: &'a Block) -> Result<&'a str> {
        std::str::from_utf8(&block.bytes).map_err(|error| {
            let (row, column) = self.place_of(block, error.valid_up_to());
            let line = block.line_of(error.valid_up_to());
            let message = format!("line {line}: the text is not UTF-8; convert the file");
            Error::unreadable(Site { row: Some(row), column, ..Site::default() }, message, error)
        })
    }

    /// Row and, in a delimited shard, column of the text at byte `at` of `block`.
    fn place_of(&self, block: &Block, at: usize) -> (u64, Option<String>) {
        let bytes = &block.bytes[..];
        match self.options.format {
            TextFormat::Delimited { delimiter } => {
                let mut records = delimited::Records::new(bytes, delimiter);
                let mut cells = cells::Cells::new(bytes, self.names.len());
                let mut row = block.first_row;
                while let Ok(true) = records.read(&mut cells)
                    && records.position() <= at
                {
                    cells.clear();
                    row += 1;
                }
                let is_broken =
                    |column: &usize| cells.column(*column).any(|(_, field)| std::str::from_utf8(field).is_err());
                (row, (0..self.names.len()).find(is_broken).map(|column| self.names[column].clone()))
            }
            TextFormat::JsonLines => {
                let lines = bytes[..at].split(|byte| *byte == b'\n');
                let rows = lines.filter(|line| !line.trim_ascii().is_empty()).count() as u64;
                let is_first_of_line =
                    bytes[..at].rsplit(|byte| *byte == b'\n').next().is_none_or(|line| line.trim_ascii().is_empty());
                (block.first_row + rows - u64::from(rows > 0 && !is_first_of_line), None)
            }
        }
    }

    /// The error of a record that has another number of fields than the shard has columns.
    fn wrong_width(&self, block: &Block, row: u64, wrong: &delimited::WrongWidth) -> Error {
        let line = block.line_of(wrong.at);
        let (found, expected) = (wrong.fields, self.names.len());
        let source = if self.options.names.is_some() { "the signature" } else { "the header" };
        let advice = if found > expected { "quote fields that hold the delimiter" } else { "complete the record" };
        let message = format!("line {line}: {found} fields, where {source} has {expected}; {advice}, or take it out");
        Error::data(Site::default().at_row(row), message)
    }
}

#[cfg(test)]
mod tests;
