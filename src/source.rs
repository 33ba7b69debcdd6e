//! Where the rows come from: shards are discovered, opened, and read in chunks whose columns are decoded one by one.
//! Nothing above this layer opens a shard; nothing here knows what the columns are for.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use xxhash_rust::xxh3::Xxh3;

use crate::disk::Disk;
use crate::error::{Error, RAISE_MEMORY, Result, Site};
use crate::panics;
use crate::schema::{self, ShardFields};
use crate::spec::{Input, OnBad};

/// Files as streams of plain bytes.
pub mod compression;
pub mod discover;
/// Formats that are not read.
pub mod foreign;
pub mod parquet;
pub mod text;

pub use discover::{Shard, ShardFormat};

/// Rows that are decoded from a column at once: small enough that a column's values stay in cache between the steps.
pub const BATCH_ROWS: usize = 8_192;

/// What the recipe says of reading shards of any format.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// How text is read, whatever its kind.
    text: text::TextOptions,
    disk: Disk,
    limits: Limits,
    /// Where files without names are made.
    scratch: PathBuf,
}

/// The first name that is empty or stands there twice.
fn wrong_name(names: &[String]) -> Option<usize> {
    let mut known = hashbrown::HashSet::with_capacity(names.len());
    names.iter().position(|name| name.is_empty() || !known.insert(name.as_str()))
}

/// What a shard may ask for at once: what its header says is checked against it before anything is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a page of a Parquet file, as it is read.
    pub page_bytes: u64,
    /// Bytes that a shard's description of its columns may take in memory.
    pub header_bytes: u64,
}

impl Limits {
    /// Of a process that may take `memory` bytes and has so many threads, each with a page of its own.
    pub fn of(memory: u64, threads: usize) -> Self {
        Self {
            page_bytes: (memory / 3 / threads.max(1) as u64).max(16 << 20),
            header_bytes: (memory / 4).max(16 << 20),
        }
    }
}

/// What a column takes in memory at the least, in bytes: its description and its statistics.
const COLUMN_BYTES: u64 = 4 << 10;

impl Limits {
    /// Checks that there is room for so many columns.
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn check_columns(&self, columns: u64) -> Result<()> {
        if columns.saturating_mul(COLUMN_BYTES) <= self.header_bytes {
            return Ok(());
        }
        let message = format!("{columns} columns are more than there is room for: {RAISE_MEMORY}");
        Err(Error::data(Site::default(), message))
    }
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            text: text::TextOptions::default(),
            disk: Disk::default(),
            limits: Limits::of(2 << 30, 1),
            scratch: std::env::temp_dir(),
        }
    }
}

impl SourceOptions {
    /// The options of `input`; reads the signature file, if one is named.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Recipe`] when it names no columns or one twice.
    pub fn new(input: &Input) -> Result<Self> {
        let text = text::TextOptions {
            null_values: input.null_values.as_deref().map(text::NullWords::new),
            encoding_errors: input.encoding_errors,
            bad_rows: match input.bad_rows {
                OnBad::Raise => text::BadRows::Raise,
                OnBad::Skip => text::BadRows::Skip,
            },
            forced: input.schema.iter().map(|(name, named)| (name.clone(), schema::named(*named))).collect(),
            ..text::TextOptions::default()
        };
        let Some(path) = &input.signature else { return Ok(Self { text, ..Self::default() }) };
        let path = std::path::Path::new(path);
        let signature = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        let signature = signature.strip_prefix('\u{feff}').unwrap_or(&signature);
        let names: Vec<String> = signature.trim().split(',').map(|name| name.trim().to_string()).collect();
        if let Some(at) = wrong_name(&names) {
            let message = format!(
                "signature {}: name {} (`{}`) is empty or stands there twice",
                path.display(),
                at + 1,
                names[at]
            );
            return Err(Error::Recipe(message));
        }
        Ok(Self { text: text::TextOptions { names: Some(names.into()), ..text }, ..Self::default() })
    }

    /// The same options, with shards opened on `disk`.
    #[must_use]
    pub fn on_disk(self, disk: Disk) -> Self {
        Self { disk, ..self }
    }

    /// The same options, with what has to be inflated put into files in `scratch`.
    #[must_use]
    pub fn inflating_in(self, scratch: PathBuf) -> Self {
        Self { scratch, ..self }
    }

    /// The same options, with shards that may ask for this much.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Checks that there is room for so many columns.
    ///
    /// # Errors
    /// As [`Limits::check_columns`].
    pub fn check_columns(&self, columns: usize) -> Result<()> {
        self.limits.check_columns(columns as u64)
    }

    /// The names of the columns of text shards, when a signature gives them.
    pub fn signature_names(&self) -> Option<&[String]> {
        self.text.names.as_deref()
    }
}

/// A shard whose header or footer has been read.
pub enum Opened {
    /// Apache Parquet.
    Parquet(Arc<parquet::ParquetShard>),
    /// CSV, TSV or JSON.
    Text(OpenedText),
}

impl Opened {
    /// Opens `shard` and reads what it says of its columns; `known` is what is known of them from reading it before.
    ///
    /// # Errors
    /// [`Error::Data`] that names the shard when it cannot be read; [`Error::Io`].
    pub fn open(shard: &Shard, options: &SourceOptions, known: Option<&ShardFields>) -> Result<Self> {
        options.disk.step("open", &shard.path)?;
        match shard.format {
            ShardFormat::Parquet => {
                Ok(Self::Parquet(Arc::new(parquet::ParquetShard::open(shard, options.limits, &options.scratch)?)))
            }
            ShardFormat::Delimited(_) | ShardFormat::Json => {
                OpenedText::open(shard, options, known).map(Self::Text).map_err(|e| e.in_shard(&shard.name))
            }
        }
    }

    /// The columns' names and types, as far as they are known without reading all rows.
    pub fn fields(&self) -> ShardFields {
        match self {
            Self::Parquet(shard) => shard.fields(),
            Self::Text(text) => text.fields.clone(),
        }
    }

    /// Hash of the content's telling part: another one means another file.
    pub fn fingerprint(&self) -> u128 {
        match self {
            Self::Parquet(shard) => shard.footer_hash(),
            Self::Text(text) => text.fingerprint,
        }
    }

    /// How a Parquet shard's row groups lie.
    pub fn layout(&self) -> Option<parquet::copy::Layout> {
        match self {
            Self::Parquet(shard) => Some(shard.layout()),
            Self::Text(_) => None,
        }
    }

    /// Number of rows, when it is known without reading them.
    pub fn rows(&self) -> Option<u64> {
        match self {
            Self::Parquet(shard) => Some(shard.rows()),
            Self::Text(_) => None,
        }
    }
}

/// A text shard whose header and first rows have been read.
pub struct OpenedText {
    /// Its records.
    pub text: text::TextShard,
    fields: ShardFields,
    fingerprint: u128,
}

/// Rows of a text shard that the first guess of its types is made from.
const SAMPLE_ROWS: u64 = 1000;
/// Bytes at either end of a text shard that tell it from another.
const TELLING_BYTES: u64 = 64 << 10;

impl OpenedText {
    fn open(shard: &Shard, options: &SourceOptions, known: Option<&ShardFields>) -> Result<Self> {
        let kind = match shard.format {
            ShardFormat::Delimited(delimiter) => text::TextKind::Delimited(delimiter),
            ShardFormat::Json | ShardFormat::Parquet => text::TextKind::Json,
        };
        let opened = text::TextShard::open(&shard.path, &text::TextOptions { kind, ..options.text.clone() })?;
        options.limits.check_columns(opened.names().len() as u64).map_err(|e| e.in_shard(&shard.name))?;
        let (text, fields) = match known {
            Some(known) => (opened.with_new_columns(known.iter().map(|(name, _)| name.as_str())), known.clone()),
            None => {
                let fields = opened.sample(SAMPLE_ROWS)?;
                (opened, fields)
            }
        };
        Ok(Self { text, fields, fingerprint: ends_hash(shard)? })
    }
}

/// XXH3-128 of a file's length and both its ends.
fn ends_hash(shard: &Shard) -> Result<u128> {
    let io = |e| Error::io("read", &shard.path, e);
    let file = File::open(&shard.path).map_err(|e| Error::io("open", &shard.path, e))?;
    let mut bytes = vec![0; TELLING_BYTES.min(shard.bytes) as usize];
    let mut digest = Xxh3::new();
    digest.update(&shard.bytes.to_le_bytes());
    for start in [0, shard.bytes - bytes.len() as u64] {
        file.read_exact_at(&mut bytes, start).map_err(io)?;
        digest.update(&bytes);
    }
    Ok(digest.digest128())
}

/// A run of consecutive rows of one shard, whose columns can be decoded independently of each other.
#[derive(Clone)]
pub enum Chunk {
    /// Rows of a Parquet row group, still on disk.
    RowGroup(parquet::RowGroupRange),
    /// Rows that are decoded already, in batches.
    Decoded(Decoded),
}

/// Decoded rows: for each column, of the source or derived, its arrays, all columns cut at the same rows.
#[derive(Clone)]
pub struct Decoded {
    /// Name of the shard.
    pub shard: Arc<str>,
    /// Row of the shard that the first array starts at.
    pub first_row: u64,
    /// Number of rows.
    pub rows: usize,
    /// Arrays by column.
    pub columns: Vec<Vec<ArrayRef>>,
    /// Whether the columns are those that the recipe makes of the source's.
    pub derived: bool,
}

impl Chunk {
    /// Bytes it holds in memory.
    pub fn held_bytes(&self) -> u64 {
        match self {
            Self::RowGroup(_) => 0,
            Self::Decoded(decoded) => decoded.columns.iter().map(|arrays| array_bytes(arrays)).sum(),
        }
    }

    /// Whether its columns are those that the recipe makes of the source's.
    pub fn is_derived(&self) -> bool {
        matches!(self, Self::Decoded(decoded) if decoded.derived)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::RowGroup(range) => range.rows(),
            Self::Decoded(decoded) => decoded.rows,
        }
    }

    /// Row of the shard that the chunk starts at.
    pub fn first_row(&self) -> u64 {
        match self {
            Self::RowGroup(range) => range.first_row(),
            Self::Decoded(decoded) => decoded.first_row,
        }
    }

    /// Name of the shard the rows are from.
    pub fn shard(&self) -> &str {
        match self {
            Self::RowGroup(range) => range.shard(),
            Self::Decoded(decoded) => &decoded.shard,
        }
    }

    /// Lengths of the arrays that every column of the chunk is decoded in.
    pub fn batches(&self) -> Vec<usize> {
        match self {
            Self::RowGroup(range) => range.batches(),
            Self::Decoded(decoded) => {
                decoded.columns.first().map_or_else(Vec::new, |arrays| arrays.iter().map(Array::len).collect())
            }
        }
    }

    /// Decodes column `column` of `schema` and hands its arrays over in order: each of the schema's type, or of
    /// `Dictionary(Int32, that type)`. Arrays of one chunk may differ in that; its dictionaries are one and the same as a
    /// rule. A dictionary has no missing value, but may have one twice, or one that is in no row; the codes of missing rows
    /// are within it. `visit` gets each array and its first row within the chunk.
    ///
    /// # Errors
    /// [`Error::Data`] that names shard and column when it cannot be decoded, and whatever `visit` returns.
    pub fn for_each_array(
        &self,
        schema: &SchemaRef,
        column: usize,
        visit: &mut dyn FnMut(usize, ArrayRef) -> Result<()>,
    ) -> Result<()> {
        let name = schema.field(column).name();
        let outcome = match self {
            Self::RowGroup(range) => {
                let attempt = panics::caught(|| range.for_each_array(schema, column, visit));
                attempt.unwrap_or_else(|panic| {
                    let message = "the decoder gave up; the shard is probably damaged";
                    Err(Error::unreadable(Site::default(), message, panic))
                })
            }
            Self::Decoded(decoded) => {
                let mut first = 0;
                decoded.columns[column].iter().try_for_each(|array| {
                    let at = first;
                    first += array.len();
                    visit(
                        at,
                        conform(Arc::clone(array), schema.field(column).data_type(), decoded.first_row + at as u64)?,
                    )
                })
            }
        };
        outcome.map_err(|e| e.in_shard(self.shard()).in_column(name))
    }
}

/// `array` as the schema wants it; a dictionary of what is wanted is left one.
fn conform(array: ArrayRef, target: &DataType, first_row: u64) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(key, values) if **key == DataType::Int32 && **values == *target => Ok(array),
        _ => schema::conform(&array, target, first_row),
    }
}

/// What an array takes beyond what it counts itself, in bytes: shared pointers, and what an allocator rounds up. Of a wide text
/// shard, whose blocks have few rows, that is most of it.
const ARRAY_BYTES: usize = 512;

/// Bytes that the arrays of one column take; a dictionary that consecutive arrays share is counted once.
fn array_bytes(arrays: &[ArrayRef]) -> u64 {
    let mut shared: Option<&ArrayRef> = None;
    let mut bytes = 0;
    for array in arrays {
        bytes += array.get_array_memory_size() + ARRAY_BYTES;
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            let values = dictionary.values();
            if shared.is_some_and(|shared| Arc::ptr_eq(shared, values)) {
                bytes -= values.get_array_memory_size();
            }
            shared = Some(values);
        }
    }
    bytes as u64
}

/// Arrays of nulls for a column that a shard lacks, cut as `batches` says.
fn nulls(target: &DataType, batches: &[usize]) -> Vec<ArrayRef> {
    batches.iter().map(|&rows| new_null_array(target, rows)).collect()
}
