//! Which shards there are: files, directories and globs become one list, ordered by name, each name relative to the
//! input's root, so that a moved directory names its shards alike. Reads names, sizes and the first bytes only.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use hashbrown::HashMap;

use super::foreign;
use super::text::{Delimiter, looks_delimited};
use crate::error::{Error, Result, Site};
use crate::spec::{self, Input, InputFormat};

/// Bytes of a file that its format is told by, where its name does not.
const TELLING_BYTES: u64 = 64 << 10;

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
    Delimited(Delimiter),
    /// JSON: objects on lines of their own, an array of objects, or a single one.
    Json,
}

/// The shards of an input, and what a person should know of how they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In the order of their names.
    pub shards: Vec<Shard>,
    /// Each a sentence without its full stop.
    pub notes: Vec<String>,
}

/// A file that a walk or a list came upon.
struct File {
    path: PathBuf,
    meta: fs::Metadata,
}

/// Lists the shards of `input`, in the order of their names. A file that is found twice, by links or by several entries of
/// the list, is one shard, under the name it was found by first.
///
/// # Errors
/// [`Error::Data`] when a path is not there, nothing is found, or a file's format cannot be told or is not read.
pub fn shards(input: &Input) -> Result<Found> {
    let asked = input.path.as_slice();
    let mut by_inode: HashMap<(u64, u64), usize> = HashMap::new();
    let mut files: Vec<File> = Vec::new();
    let mut again: Vec<(PathBuf, usize)> = Vec::new();
    let mut roots = Vec::new();
    for path in asked {
        let (root, paths) = files_of(path)?;
        roots.push(root);
        for path in paths {
            let meta = fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?;
            match by_inode.entry((meta.dev(), meta.ino())) {
                hashbrown::hash_map::Entry::Occupied(first) => again.push((path, *first.get())),
                hashbrown::hash_map::Entry::Vacant(new) => {
                    new.insert(files.len());
                    files.push(File { path, meta });
                }
            }
        }
    }
    let root = common_root(&roots);
    let mut notes = Vec::new();
    notes.extend(read_once(&again, &files, &root));
    let mut shards = Vec::with_capacity(files.len());
    for File { path, meta } in files {
        let name = relative_name(&path, &root);
        let format = format_of(&path, &name, input)?;
        shards.push(Shard { name, bytes: meta.len(), modified: modified(&meta), path, format });
    }
    shards.sort_by(|a, b| a.name.cmp(&b.name));
    if shards.is_empty() {
        let message = format!("No CSV/JSON/Parquet shards found in {}", asked.join(", "));
        return Err(Error::data(Site::default(), message));
    }
    notes.extend(passed_over_keys(&shards));
    Ok(Found { shards, notes })
}

/// The note about files that were found twice under different names.
fn read_once(again: &[(PathBuf, usize)], files: &[File], root: &Path) -> Option<String> {
    let mut pairs: Vec<(String, String)> = again
        .iter()
        .map(|(path, first)| (relative_name(path, root), relative_name(&files[*first].path, root)))
        .filter(|(name, first)| name != first)
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let (name, first) = pairs.first()?;
    Some(match pairs.len() {
        1 => format!("{name} is the same file as {first} and is read once"),
        more => format!("{name} is the same file as {first}, and so are {} more; each is read once", more - 1),
    })
}

/// The note about directories whose names say the value of a column, as Hive and Spark write them.
fn passed_over_keys(shards: &[Shard]) -> Option<String> {
    let directories = |shard: &'_ Shard| {
        let (directories, _) = shard.name.rsplit_once('/')?;
        directories
            .split('/')
            .find(|part| part.split_once('=').is_some_and(|(key, _)| !key.is_empty()))
            .map(String::from)
    };
    let first = shards.iter().find_map(directories)?;
    Some(format!(
        "directories are named as partitions ({first}); no column is made of their names: put it into the files if it is needed"
    ))
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
        if is_leftover(&path) {
            continue;
        }
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else {
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
        let entry = match entry {
            Ok(entry) => entry,
            // A link to a directory that it is in: what is there is found without it.
            Err(e) if e.loop_ancestor().is_some() => continue,
            Err(e) => {
                let path = e.path().unwrap_or(directory).to_path_buf();
                return Err(Error::io("list", &path, e.into()));
            }
        };
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

fn format_of(path: &Path, name: &str, input: &Input) -> Result<ShardFormat> {
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
    let mut reader = super::compression::open(path)?;
    reader.by_ref().take(TELLING_BYTES).read_to_end(&mut first).map_err(|e| reader.failure(e))?;
    Ok(first)
}
