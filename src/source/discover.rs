//! Which shards there are: files, directories and globs become one list, ordered by name, each name relative to the
//! input's root, so that a moved directory names its shards alike. Reads names, sizes and the first bytes only.

mod format;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use hashbrown::{HashMap, HashSet};

use crate::error::{Error, Result, Site};
use crate::spec::Input;

pub use format::ShardFormat;
use format::format_of;

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
    /// Relative to its root.
    name: String,
    path: PathBuf,
    meta: fs::Metadata,
}

/// Lists the shards of `input`, in the order of their names. A file that is found twice, by links or by several entries of
/// the list, is one shard, under the name it was found by first. Files of 0 bytes are none.
///
/// # Errors
/// [`Error::Data`] when a path is not there, nothing is found, or a file's format cannot be told or is not read.
pub fn shards(input: &Input) -> Result<Found> {
    let names = Names::new(input.names.as_slice())?;
    let asked = input.path.as_slice();
    let mut listing = Listing::default();
    listing.add(asked, &names)?;
    let primary = listing.files.len();
    if !listing.files.iter().any(File::is_shard) {
        let why: String = listing.notes().into_iter().map(|note| format!(": {note}")).collect();
        let message = format!("No CSV/JSON/Parquet shards found in {}{why}", asked.join(", "));
        return Err(Error::data(Site::default(), message));
    }
    if let Some(secondary) = &input.secondary {
        let path = Path::new(secondary);
        if path.is_file() {
            let message = format!("input.secondary {secondary} is no directory; name one, or leave it out");
            return Err(Error::data(Site::default(), message));
        }
        if path.try_exists().map_err(|e| Error::io("look at", path, e))? {
            listing.add(std::slice::from_ref(secondary), &names)?;
        }
    }
    let mut notes = listing.notes();
    let mut shards = Vec::with_capacity(listing.files.len());
    let mut known: HashSet<String> = HashSet::new();
    let mut twice = Tally::default();
    for (at, File { name, path, meta }) in listing.files.into_iter().enumerate().filter(|(_, file)| file.is_shard()) {
        if at < primary && input.secondary.is_some() {
            known.insert(name.clone());
        } else if known.contains(&name) {
            twice.add(&name);
            continue;
        }
        let format = format_of(&path, &name, input)?;
        shards.push(Shard { name, bytes: meta.len(), modified: modified(&meta), path, format });
    }
    shards.sort_by(|a, b| a.name.cmp(&b.name));
    notes.extend(twice.note(
        "is in input.path too, and is not read from input.secondary",
        "shards are in input.path too, and are not read from input.secondary",
    ));
    notes.extend(passed_over_keys(&shards));
    Ok(Found { shards, notes })
}

impl File {
    fn is_shard(&self) -> bool {
        self.meta.len() > 0
    }
}

/// Files that are told of together: how many, and the first by name.
#[derive(Default)]
struct Tally {
    count: usize,
    first: String,
}

impl Tally {
    fn add(&mut self, name: &str) {
        if self.count == 0 || name < self.first.as_str() {
            self.first = name.to_string();
        }
        self.count += 1;
    }

    fn note(&self, one: &str, several: &str) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(format!("{} {one}", self.first)),
            count => Some(format!("{count} {several}; the first: {}", self.first)),
        }
    }
}

/// What `input.names` asks of a file in a directory.
struct Names(Vec<glob::Pattern>);

impl Names {
    const HOW: glob::MatchOptions = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };

    fn new(globs: &[String]) -> Result<Self> {
        let pattern = |glob: &String| {
            glob::Pattern::new(glob).map_err(|e| Error::Recipe(format!("input.names: `{glob}` is not a glob: {e}")))
        };
        Ok(Self(globs.iter().map(pattern).collect::<Result<_>>()?))
    }

    /// Whether it is a shard by its path relative to the directory.
    fn ask_for(&self, relative: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches_with(relative, Self::HOW))
    }
}

/// The files that were found, each once.
#[derive(Default)]
struct Listing {
    /// In the order they were found; those of 0 bytes too.
    files: Vec<File>,
    by_inode: HashMap<(u64, u64), usize>,
    /// Further names of files.
    again: Vec<(String, usize)>,
    /// Files that `input.names` passes over.
    unnamed: Tally,
}

impl Listing {
    /// Adds the files of these entries, which have one root.
    fn add(&mut self, entries: &[String], names: &Names) -> Result<()> {
        let found = entries.iter().map(|entry| files_of(entry)).collect::<Result<Vec<Entry>>>()?;
        let root = common_root(found.iter().map(|entry| entry.root.as_path()));
        for Entry { root: own, is_directory, files } in found {
            for path in files {
                let name = relative_name(&path, &root);
                if is_directory && !names.ask_for(&relative_name(&path, &own)) {
                    self.unnamed.add(&name);
                    continue;
                }
                let meta = fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?;
                match self.by_inode.entry((meta.dev(), meta.ino())) {
                    hashbrown::hash_map::Entry::Occupied(first) => self.again.push((name, *first.get())),
                    hashbrown::hash_map::Entry::Vacant(new) => {
                        new.insert(self.files.len());
                        self.files.push(File { name, path, meta });
                    }
                }
            }
        }
        Ok(())
    }

    /// What is to be told of how they were found.
    fn notes(&self) -> Vec<String> {
        let mut empty = Tally::default();
        self.files.iter().filter(|file| !file.is_shard()).for_each(|file| empty.add(&file.name));
        let unnamed = self.unnamed.note(
            "matches none of input.names and is passed over",
            "files match none of input.names and are passed over",
        );
        let empty = empty.note("has 0 bytes and is skipped", "files have 0 bytes and are skipped");
        unnamed.into_iter().chain(self.read_once()).chain(empty).collect()
    }

    /// The note about files that were found twice under different names.
    fn read_once(&self) -> Option<String> {
        let mut pairs: Vec<(&str, &str)> = self
            .again
            .iter()
            .map(|(name, first)| (name.as_str(), &self.files[*first]))
            .filter(|(name, first)| *name != first.name && first.is_shard())
            .map(|(name, first)| (name, first.name.as_str()))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        let (name, first) = pairs.first()?;
        Some(match pairs.len() {
            1 => format!("{name} is the same file as {first} and is read once"),
            more => format!("{name} is the same file as {first}, and so are {} more; each is read once", more - 1),
        })
    }
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

/// An entry of `input.path`: the root that names are relative to, and the files.
struct Entry {
    root: PathBuf,
    is_directory: bool,
    files: Vec<PathBuf>,
}

fn files_of(entry: &str) -> Result<Entry> {
    let path = Path::new(entry);
    if path.is_dir() {
        return Ok(Entry { root: path.to_path_buf(), is_directory: true, files: walk(path)? });
    }
    if path.exists() {
        let root = path.parent().unwrap_or(Path::new("")).to_path_buf();
        return Ok(Entry { root, is_directory: false, files: vec![path.to_path_buf()] });
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
    Ok(Entry { root: fixed.collect(), is_directory: false, files })
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
fn common_root<'a>(mut roots: impl Iterator<Item = &'a Path>) -> PathBuf {
    let mut common: Vec<Component<'_>> = roots.next().map_or_else(Vec::new, |root| root.components().collect());
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
