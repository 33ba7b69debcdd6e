//! Text shards: delimited values and JSON. A shard is cut into [`Block`]s of whole records serially; each block is
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
//! and only `null` and absent keys are missing; objects within objects are flattened.
//!
//! What a shard is, beyond delimited or JSON, its first records tell (`sniff.rs`): delimiter, and layout of JSON.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

use crate::error::{Error, Result, Site};
use crate::schema::ShardFields;
use crate::source::compression::{self, Plain};
use crate::spec::EncodingErrors;

mod cells;
mod column;
mod delimited;
mod elements;
mod flat;
mod json;
mod marks;
mod number;
mod observe;
mod read;
mod seen;
mod skip;
mod sniff;
mod split;
mod validity;
pub(crate) mod value;
mod words;

pub use observe::Observed;
pub use seen::Seen;
pub use skip::{BadRows, MOST_TOLD, Skipped};
pub use sniff::looks_delimited;
pub use split::{Block, Blocks, RECORD_LIMIT};
pub use value::NullWords;

use skip::Fault;

/// Records of a JSON shard that its first list of columns is from.
const JSON_SAMPLE_ROWS: u64 = 1000;
/// Size of the blocks a sample is taken from, in bytes.
const SAMPLE_BYTES: usize = 256 << 10;

/// What stands between the fields of a delimited shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// This ASCII character, that is neither a quote nor a line end.
    Is(u8),
    /// What the shard's first records tell.
    Sniffed {
        /// What its name says: taken where it fits, and where nothing does.
        first: u8,
    },
}

/// What a text shard is by its name, or by the recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// Fields between delimiters, quoted where they hold one, one record a line.
    Delimited(Delimiter),
    /// JSON objects.
    Json,
}

/// How records and fields are told apart in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextFormat {
    /// Fields between delimiters.
    Delimited {
        /// An ASCII character that is neither a quote nor a line end.
        delimiter: u8,
    },
    /// One object a line.
    JsonLines,
    /// An array of objects.
    JsonArray,
    /// A single object over several lines, or several of them.
    JsonObjects,
}

/// How a text shard is read.
#[derive(Debug, Clone)]
pub struct TextOptions {
    /// What it is.
    pub kind: TextKind,
    /// Names of a delimited shard's columns; a first record that says the same is a header line, and else there is none.
    /// JSON carries its own names.
    pub names: Option<Arc<[String]>>,
    /// Words that say in a delimited shard that a value is missing; none for those of pandas.
    pub null_values: Option<NullWords>,
    /// What becomes of bytes that are no UTF-8.
    pub encoding_errors: EncodingErrors,
    /// What becomes of records that cannot be read.
    pub bad_rows: BadRows,
    /// Columns whose type the recipe sets: where bad rows are skipped, a record with another value is one.
    pub forced: Arc<[(String, DataType)]>,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            kind: TextKind::Json,
            names: None,
            null_values: None,
            encoding_errors: EncodingErrors::Raise,
            bad_rows: BadRows::Raise,
            forced: Arc::new([]),
        }
    }
}

/// A text shard whose column names are known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TextShard {
    path: Arc<Path>,
    options: TextOptions,
    format: TextFormat,
    names: Arc<[String]>,
    /// Whether the first record names the columns.
    has_header: bool,
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
///
/// Where bad rows are skipped, a row's number is the number of records read before it in the shard: the sum of the rows of
/// the batches of all blocks before, not [`Block::first_row`], which counts the skipped ones too. What is skipped is a
/// function of the record and of the types that the recipe sets alone: it is the same for any cut into blocks, and in
/// every reading, also one that widens.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The wanted columns, in their order, of the records that could be read; nothing when one of them widened.
    pub batch: Option<RecordBatch>,
    /// Wanted columns, by position, with values that do not fit, and the narrowest type that holds those values and all
    /// that fit the type wanted: always a wider one.
    pub widened: Vec<(usize, DataType)>,
    /// JSON: columns that are not among the shard's names, and what they hold in this block. Those that were wanted by
    /// name are in the batch all the same.
    pub new_columns: ShardFields,
    /// The records that were left out, in their order; none unless bad rows are skipped.
    pub skipped: Vec<Skipped>,
    /// How many more were left out behind the first [`MOST_TOLD`].
    pub untold: u64,
}

impl TextShard {
    /// Opens the shard for what its first records tell, and for its column names: a delimited shard's header, the keys of a
    /// JSON shard's first 1,000 objects in order of first appearance. An empty file has no columns.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened; [`Error::Data`] when it is no UTF-8 text, when its header, or a JSON
    /// shard's sample, cannot be read, or a name stands twice in the header.
    pub fn open(path: &Path, options: &TextOptions) -> Result<Self> {
        let mut plain = compression::open(path)?;
        let format = format(&mut plain, options)?;
        let mut shard =
            Self { path: path.into(), options: options.clone(), format, names: Arc::new([]), has_header: false };
        let names: Arc<[String]> = match (format, &options.names) {
            (TextFormat::Delimited { delimiter }, Some(names)) => {
                shard.has_header = match shard.records(SAMPLE_BYTES)?.header() {
                    Ok(Some(first)) if delimited::says(&first, delimiter, names) => true,
                    Ok(Some(first)) if delimited::almost_says(&first, delimiter, names) => {
                        return Err(Error::data(Site::default(), ALMOST_SIGNATURE));
                    }
                    Ok(_) => false,
                    // What is wrong with the record is told, or skipped, where it is read.
                    Err(Error::Data { .. }) => false,
                    Err(error) => return Err(error),
                };
                Arc::clone(names)
            }
            (TextFormat::Delimited { delimiter }, None) => match shard.records(SAMPLE_BYTES)?.header()? {
                Some(header) => {
                    shard.has_header = true;
                    delimited::header(&header, delimiter, options.encoding_errors)?.into()
                }
                None => Arc::new([]),
            },
            _ => shard.observe_first(JSON_SAMPLE_ROWS)?.into_names().into(),
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
            observed.merge(&self.observe_rows(&block, left, &self.options.forced)?);
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
        if self.has_header {
            blocks.header()?;
        }
        Ok(blocks)
    }

    fn records(&self, block_bytes: usize) -> Result<Blocks> {
        Ok(Blocks::new(compression::open(&self.path)?, self.format, block_bytes, self.options.bad_rows))
    }

    /// The block as UTF-8, and the records that are none and are to be skipped.
    ///
    /// # Errors
    /// [`Error::Data`] with row, column, line and byte of the first that is none and is not to be skipped.
    fn decoded<'b>(&self, block: &'b Block) -> Result<(Cow<'b, Block>, Vec<Fault>)> {
        if std::str::from_utf8(&block.bytes).is_ok() {
            return Ok((Cow::Borrowed(block), Vec::new()));
        }
        let broken = match (self.options.encoding_errors, self.options.bad_rows) {
            (EncodingErrors::Replace, _) => Vec::new(),
            (EncodingErrors::Raise, BadRows::Skip) => self.broken(block, usize::MAX),
            (EncodingErrors::Raise, BadRows::Raise) => {
                let first = self.broken(block, 1).pop();
                return Err(first.map_or_else(|| Error::data(Site::default(), NOT_UTF8), |fault| fault.error(block)));
            }
        };
        // Line ends, quotes and delimiters stay where they are between the same records.
        let bytes = String::from_utf8_lossy(&block.bytes).into_owned().into_bytes();
        Ok((Cow::Owned(Block { bytes, ..block.clone() }), broken))
    }

    /// The first `most` records of `block` that are no UTF-8.
    fn broken(&self, block: &Block, most: usize) -> Vec<Fault> {
        let mut broken = Vec::new();
        let bytes = &block.bytes[..];
        let mut walk = Walk::new(bytes, self.format, self.names.len());
        let mut record = 0;
        while broken.len() < most
            && let Some((start, end)) = walk.next()
        {
            if let Err(error) = std::str::from_utf8(&bytes[start..end]) {
                let at = start + error.valid_up_to();
                let column = walk.broken_column().map(|column| self.names[column].clone());
                let byte = bytes.get(at).copied().unwrap_or_default();
                let message = format!(
                    "{NOT_UTF8}: byte {byte:#04x} at byte {} of the record; convert the file, or set input.encoding_errors = \"replace\"",
                    at - start
                );
                broken.push(Fault { at: start, record, column, message, source: None });
            }
            record += 1;
        }
        broken
    }

    /// What is wrong with a record that has another number of fields than the shard has columns.
    fn wrong_width(&self, record: u64, wrong: &delimited::WrongWidth) -> Fault {
        let (found, expected) = (wrong.fields, self.names.len());
        let source = if self.options.names.is_some() { "the signature" } else { "the header" };
        let advice = if found > expected { "quote fields that hold the delimiter" } else { "complete the record" };
        let message = format!("{found} fields, where {source} has {expected}; {advice}, or take it out");
        Fault { at: wrong.at, record, column: None, message, source: None }
    }
}

const ALMOST_SIGNATURE: &str = "its first record has the signature's names, but in another order or case: no row has such values, so it is a header, and the two disagree; mend one of them, or leave input.signature out";
const NOT_UTF8: &str = "the text is not UTF-8";

/// How the shard is read whose first bytes `plain` gives.
fn format(plain: &mut Plain, options: &TextOptions) -> Result<TextFormat> {
    let mut first = Vec::new();
    let mut wanted = sniff::SAMPLE_BYTES;
    let mut more = plain.fill(&mut first, wanted)?;
    sniff::check(&first)?;
    let mark = if first.starts_with(split::UTF8_BOM) { split::UTF8_BOM.len() } else { 0 };
    let preferred = match options.kind {
        TextKind::Json => return Ok(sniff::json(&first[mark..], !more)),
        TextKind::Delimited(Delimiter::Is(delimiter)) => return Ok(TextFormat::Delimited { delimiter }),
        TextKind::Delimited(Delimiter::Sniffed { first }) => first,
    };
    let width = options.names.as_ref().map(|names| names.len());
    loop {
        if let Some(delimiter) = sniff::delimiter(&first[mark..], !more, preferred, width) {
            return Ok(TextFormat::Delimited { delimiter });
        }
        wanted = (wanted * 4).min(sniff::MOST_BYTES + mark);
        more = plain.fill(&mut first, wanted)?;
    }
}

/// The records of one block as ranges of its bytes, in any format.
enum Walk<'a> {
    Delimited { records: delimited::Records<'a>, cells: cells::Cells<'a>, width: usize },
    Json { bytes: &'a [u8], format: TextFormat, at: usize },
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], format: TextFormat, width: usize) -> Self {
        match format {
            TextFormat::Delimited { delimiter } => Self::Delimited {
                records: delimited::Records::new(bytes, delimiter, None),
                cells: cells::Cells::new(bytes, width),
                width,
            },
            _ => Self::Json { bytes, format, at: 0 },
        }
    }

    fn next(&mut self) -> Option<(usize, usize)> {
        match self {
            Self::Delimited { records, cells, .. } => {
                cells.clear();
                match records.read(cells) {
                    Ok(false) => None,
                    Ok(true) | Err(_) => Some((records.start(), records.position().min(records.bytes().len()))),
                }
            }
            Self::Json { bytes, format: TextFormat::JsonLines, at } => {
                while *at < bytes.len()
                    && let Some(end) = split::blank_line(bytes, *at, true, TextFormat::JsonLines)
                {
                    *at = end;
                }
                let start = *at;
                let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
                let end = memchr::memchr(b'\n', rest).map_or(bytes.len(), |end| start + end);
                *at = end + 1;
                Some((start, end))
            }
            Self::Json { bytes, format, at } => {
                let start = elements::next(bytes, *at, *format == TextFormat::JsonArray)?;
                *at = elements::end_of(bytes, start).unwrap_or(bytes.len());
                Some((start, *at))
            }
        }
    }

    /// The first column of the record gone to last that is no UTF-8.
    fn broken_column(&self) -> Option<usize> {
        let Self::Delimited { cells, width, .. } = self else { return None };
        let is_broken = |column: &usize| cells.column(*column).any(|(_, field)| std::str::from_utf8(field).is_err());
        (0..*width).find(is_broken)
    }
}

#[cfg(test)]
mod tests;
