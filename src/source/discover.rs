//! Which shards there are: files, directories and globs become one list, ordered by name, each name relative to the
//! input's root, so that a moved directory names its shards alike. Reads names, sizes and the first bytes only.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::error::{Error, Result, Site};
use crate::spec::{Input, InputFormat};

/// One file of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Path relative to the input's root, with `/` between its parts.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// Modification time: nanoseconds since the epoch.
    pub modified: i64,
    /// How it is read.
    pub format: ShardFormat,
}

impl Shard {
    /// Checks that the file is still of the size and time that discovery saw.
    ///
    /// # Errors
    /// [`Error::Data`] that names the shard when it is not, or is gone.
    pub fn check_unchanged(&self) -> Result<()> {
        let found = fs::metadata(&self.path).map_err(|e| Error::io("look at", &self.path, e));
        match found {
            Ok(found) if found.len() == self.bytes && modified(&found) == self.modified => Ok(()),
            Ok(_) => Err(self.changed()),
            Err(gone) => Err(Error::unreadable(Site::shard(&self.name), "the shard is gone while the job runs", gone)),
        }
    }

    /// The error of a shard that is not the one it was.
    pub fn changed(&self) -> Error {
        let message = "the shard changed while the job ran; leave the input alone, then run again";
        Error::data(Site::shard(&self.name), message)
    }
}

/// Modification time in nanoseconds since the epoch; 0 where there is none.
fn modified(meta: &fs::Metadata) -> i64 {
    let since = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos() as i64)
}

/// How a shard is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardFormat {
    /// Apache Parquet.
    Parquet,
    /// Values between delimiters, one record a line.
    Delimited {
        /// `,` or a tab.
        delimiter: u8,
    },
    /// One JSON object a line.
    JsonLines,
}

/// Lists the shards of `input`, in the order of their names.
///
/// # Errors
/// [`Error::Data`] when a path is not there, nothing is found, or a file's format cannot be told.
pub fn shards(input: &Input) -> Result<Vec<Shard>> {
    let asked = input.path.as_slice();
    let mut found: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut roots = Vec::new();
    for path in asked {
        let (root, files) = files_of(path)?;
        roots.push(root);
        for file in files {
            let canonical = fs::canonicalize(&file).map_err(|e| Error::io("find", &file, e))?;
            found.entry(canonical).or_insert(file);
        }
    }
    let root = common_root(&roots);
    let mut shards = Vec::with_capacity(found.len());
    for path in found.into_values() {
        let name = relative_name(&path, &root);
        let meta = fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?;
        let format = format_of(&path, &name, input.format)?;
        shards.push(Shard { name, bytes: meta.len(), modified: modified(&meta), path, format });
    }
    shards.sort_by(|a, b| a.name.cmp(&b.name));
    if shards.is_empty() {
        let message = format!("No CSV/JSON/Parquet shards found in {}", asked.join(", "));
        return Err(Error::data(Site::default(), message));
    }
    Ok(shards)
}

/// The root that names are relative to, and the files, of one entry of `input.path`.
fn files_of(entry: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
    let path = Path::new(entry);
    if path.is_dir() {
        return Ok((path.to_path_buf(), walk(path)?));
    }
    if path.exists() {
        return Ok((path.parent().unwrap_or(Path::new("")).to_path_buf(), vec![path.to_path_buf()]));
    }
    if !entry.contains(['*', '?', '[']) {
        let message = format!("there is no file or directory {entry}; check input.path");
        return Err(Error::data(Site::default(), message));
    }
    let matches = glob::glob(entry).map_err(|e| Error::Recipe(format!("input.path {entry}: {e}")))?;
    let mut files = Vec::new();
    for path in matches {
        let path = path.map_err(|e| {
            let place = e.path().to_path_buf();
            Error::io("list", &place, e.into())
        })?;
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else if !is_leftover(&path) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::data(Site::default(), format!("No CSV/JSON/Parquet shards found for {entry}")));
    }
    let fixed = path.components().take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']));
    Ok((fixed.collect(), files))
}

fn walk(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = walkdir::WalkDir::new(directory).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_leftover(entry.path())) {
        let entry = entry.map_err(|e| {
            let path = e.path().unwrap_or(directory).to_path_buf();
            Error::io("list", &path, e.into())
        })?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Hidden files and what Spark leaves beside its parts.
fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    name.starts_with(['.', '_']) || name.ends_with(".crc")
}

/// The deepest directory that all roots are in.
fn common_root(roots: &[PathBuf]) -> PathBuf {
    let mut common: Vec<Component<'_>> = roots.first().map_or_else(Vec::new, |root| root.components().collect());
    for root in roots {
        let shared = common.iter().zip(root.components()).take_while(|(a, b)| **a == *b).count();
        common.truncate(shared);
    }
    common.iter().collect()
}

fn relative_name(path: &Path, root: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

fn format_of(path: &Path, name: &str, wanted: InputFormat) -> Result<ShardFormat> {
    match wanted {
        InputFormat::Parquet => return Ok(ShardFormat::Parquet),
        InputFormat::Csv => return Ok(ShardFormat::Delimited { delimiter: b',' }),
        InputFormat::Tsv => return Ok(ShardFormat::Delimited { delimiter: b'\t' }),
        InputFormat::Json | InputFormat::Jsonl => return Ok(ShardFormat::JsonLines),
        InputFormat::Auto => {}
    }
    let lower = name.to_lowercase();
    let bare = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
    let by_name = match bare.rsplit_once('.').map(|(_, extension)| extension) {
        Some("parquet" | "pq" | "parq") => Some(ShardFormat::Parquet),
        Some("csv") => Some(ShardFormat::Delimited { delimiter: b',' }),
        Some("tsv" | "tab") => Some(ShardFormat::Delimited { delimiter: b'\t' }),
        Some("json" | "jsonl" | "ndjson") => Some(ShardFormat::JsonLines),
        _ => None,
    };
    if let Some(format) = by_name {
        return Ok(format);
    }
    let first = first_bytes(path).map_err(|e| e.in_shard(name))?;
    match first.iter().find(|byte| !byte.is_ascii_whitespace()) {
        _ if first.starts_with(b"PAR1") => Ok(ShardFormat::Parquet),
        Some(b'{') => Ok(ShardFormat::JsonLines),
        _ => {
            let message =
                "neither its name nor its first bytes tell its format; set input.format, or move the file away";
            Err(Error::data(Site::shard(name), message))
        }
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut first = Vec::new();
    let reader = super::compression::open(path)?;
    reader.take(64).read_to_end(&mut first).map_err(|e| Error::io("read", path, e))?;
    Ok(first)
}
