//! Which format a file is of: what the recipe says, else its name, else its first bytes.

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result, Site};
use crate::source::text::{Delimiter, looks_delimited};
use crate::source::{compression, foreign};
use crate::spec::{self, Input, InputFormat};

/// Bytes of a file that its format is told by, where its name does not.
const TELLING_BYTES: u64 = 64 << 10;

/// How a shard is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardFormat {
    /// Apache Parquet.
    Parquet,
    /// Values between delimiters, one record a line.
    Delimited(Delimiter),
    /// JSON: objects on lines of their own, an array of objects, or a single one.
    Json,
}

/// The format of the file at `path`, which is called `name`.
///
/// # Errors
/// [`Error::Data`] that names the shard when it cannot be told, or is one that is not read.
pub(super) fn format_of(path: &Path, name: &str, input: &Input) -> Result<ShardFormat> {
    let delimited = |first: u8| {
        ShardFormat::Delimited(match input.delimiter {
            spec::Delimiter::Auto => Delimiter::Sniffed { first },
            spec::Delimiter::Is(delimiter) => Delimiter::Is(delimiter),
        })
    };
    match input.format {
        InputFormat::Parquet => return Ok(ShardFormat::Parquet),
        InputFormat::Csv => return Ok(delimited(b',')),
        InputFormat::Tsv if input.delimiter == spec::Delimiter::Auto => {
            return Ok(ShardFormat::Delimited(Delimiter::Is(b'\t')));
        }
        InputFormat::Tsv => return Ok(delimited(b'\t')),
        InputFormat::Json | InputFormat::Jsonl => return Ok(ShardFormat::Json),
        InputFormat::Auto => {}
    }
    let refuse = |message: String| Err(Error::data(Site::shard(name), message));
    let lower = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let bare = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
    let extension = bare.rsplit_once('.').map(|(_, extension)| extension);
    match extension {
        Some("parquet" | "pq" | "parq") => return Ok(ShardFormat::Parquet),
        Some("csv") => return Ok(delimited(b',')),
        Some("tsv" | "tab") => return Ok(delimited(b'\t')),
        Some("json" | "jsonl" | "ndjson") => return Ok(ShardFormat::Json),
        _ => {}
    }
    if let Some(foreign) = extension.and_then(foreign::by_extension) {
        return refuse(foreign.refusal());
    }
    let first = first_bytes(path).map_err(|e| e.in_shard(name))?;
    if let Some(foreign) = foreign::by_content(&first) {
        return refuse(foreign.refusal());
    }
    let mark = if first.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    match first[mark..].iter().find(|byte| !byte.is_ascii_whitespace()) {
        _ if first.starts_with(b"PAR1") => Ok(ShardFormat::Parquet),
        Some(b'{' | b'[') => Ok(ShardFormat::Json),
        // Names that say nothing, or that it is text.
        _ if matches!(extension, None | Some("txt")) && looks_delimited(&first) => Ok(delimited(b',')),
        _ => refuse(
            "neither its name nor its first bytes tell its format; set input.format, or move the file away".into(),
        ),
    }
}

/// Enough of a file to tell its format.
fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut first = Vec::new();
    let mut reader = compression::open(path)?;
    reader.by_ref().take(TELLING_BYTES).read_to_end(&mut first).map_err(|e| reader.failure(e))?;
    Ok(first)
}
