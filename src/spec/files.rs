//! Where the files of an output are: what `output.files`, `output.signature_file` and `output.metadata_file` say, or their
//! defaults, as paths. The one place where such paths are made; it never looks at a disk.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{Compression, Layout, MetadataFormat, OneOrMany, OutputFormat, Publish, Recipe};
use crate::error::{Error, Result, did_you_mean};

/// Written last: with it, an output is whole.
pub const SUCCESS: &str = "_SUCCESS";
/// What an output of ours has at its top.
pub const MANIFEST: &str = "_manifest.json";
/// The list of what could not be read, if there was anything.
pub const SKIPPED: &str = "_skipped.jsonl";

/// A directory for files that are not published yet.
pub const STAGING: &str = ".twopass-staging";

const PLACEHOLDERS: [&str; 3] = ["split", "part", "ext"];
/// Digits of a part's number, at least.
const DIGITS: usize = 5;

/// The files of an output. Paths are relative to its directory, with `/`, or absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    root: PathBuf,
    publish: Publish,
    names: Vec<String>,
    /// For each split where its parts are, and then where copies of them are.
    splits: Vec<Vec<Pattern>>,
    signature: String,
    metadata: Option<String>,
}

/// A path, with the number of a part somewhere in its file name or without.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    before: String,
    after: Option<String>,
}

/// Where the state of an output is when no recipe says it: beside it. A path without a name of its own, such as `.`, is
/// known by the directory that it leads to.
pub fn default_state(output: &Path) -> PathBuf {
    let mut path = output.to_path_buf();
    if path.file_name().is_none()
        && let Ok(absolute) = std::path::absolute(output)
    {
        path = PathBuf::new();
        for component in absolute.components() {
            match component {
                Component::ParentDir => drop(path.pop()),
                other => path.push(other),
            }
        }
    }
    let name = path.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy());
    path.with_file_name(format!("{name}.state"))
}

impl Files {
    /// The files of the recipe's output.
    ///
    /// # Errors
    /// [`Error::Recipe`] for paths that cannot be, and for two that may be the same file.
    pub fn of(recipe: &Recipe) -> Result<Self> {
        let output = &recipe.output;
        let names = recipe.split.names();
        if let Some(unknown) = output.files.keys().find(|name| !names.contains(name)) {
            let near = did_you_mean(unknown, names.iter().map(String::as_str));
            return refuse(format!(
                "output.files: there is no split `{unknown}`{near}; there are {}",
                names.join(", ")
            ));
        }
        let splits = names.iter().map(|name| patterns(recipe, name)).collect::<Result<_>>()?;
        check_path("output.signature_file", &output.signature_file, output.publish)?;
        check_path("output.metadata_file", &output.metadata_file, output.publish)?;
        let metadata = (output.metadata != MetadataFormat::None).then(|| output.metadata_file.clone());
        let (publish, signature) = (output.publish, output.signature_file.clone());
        let files = Self { root: PathBuf::new(), publish, names, splits, signature, metadata };
        let files = files.at(Path::new(&output.path));
        files.check_distinct()?;
        Ok(files)
    }

    /// The same files below another directory.
    #[must_use]
    pub fn at(mut self, root: &Path) -> Self {
        // A path that leads out and in again, or an absolute one, is known for the file that it is.
        let absolute = || std::path::absolute(root).ok().filter(|_| self.publish == Publish::InPlace);
        self.root = absolute().unwrap_or_else(|| root.to_path_buf());
        self
    }

    /// The directory of the output.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How they get to their places.
    pub fn publish(&self) -> Publish {
        self.publish
    }

    /// Where a part of the split at a position is.
    pub fn part(&self, split: usize, number: u64) -> String {
        self.splits[split][0].path(number)
    }

    /// Where copies of it are.
    pub fn copies(&self, split: usize, number: u64) -> Vec<String> {
        self.splits[split][1..].iter().map(|pattern| pattern.path(number)).collect()
    }

    /// Position of a split.
    pub fn split(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// Where the names of the columns are.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// Where the metadata are, if they are written.
    pub fn metadata(&self) -> Option<&str> {
        self.metadata.as_deref()
    }

    /// The path of a file in the file system.
    pub fn resolve(&self, path: &str) -> PathBuf {
        join(&self.root, path)
    }

    /// All paths that are known before the parts are counted, of each numbered one the first.
    fn paths(&self) -> impl Iterator<Item = String> {
        let parts = self.splits.iter().flatten().map(|pattern| pattern.path(0));
        let others = [self.signature.clone(), MANIFEST.to_string()];
        parts.chain(others).chain(self.metadata.clone())
    }

    /// The directories in the file system that have files of the output in them.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let directory = |path: String| self.resolve(&path).parent().map_or_else(PathBuf::new, Path::to_path_buf);
        self.paths().map(directory).collect()
    }

    /// Whether a file of the output may have this path.
    pub fn may_give(&self, path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        self.places().iter().any(|place| path.parent() == Some(&place.directory) && place.name.gives(&name))
    }

    /// All files, with what names them.
    fn places(&self) -> Vec<Place> {
        let root = &self.root;
        let literal = |key: &str, path: &str| Place::new(key.into(), root, &Pattern::literal(path));
        let mut places = vec![literal("output.signature_file", &self.signature)];
        places.extend(self.metadata.iter().map(|path| literal("output.metadata_file", path)));
        places.extend([SUCCESS, MANIFEST, SKIPPED].map(|name| literal(name, name)));
        for (name, patterns) in self.names.iter().zip(&self.splits) {
            let key = || format!("output.files.{name}");
            places.extend(patterns.iter().map(|pattern| Place::new(key(), root, pattern)));
        }
        places
    }

    /// No two files have one name, and none has the name of a directory of another.
    fn check_distinct(&self) -> Result<()> {
        let places = self.places();
        for (at, one) in places.iter().enumerate() {
            if let Some(other) = places[..at].iter().find(|other| other.meets(one)) {
                let path = one.directory.join(one.name.path(0));
                let (one, other) = (&one.key, &other.key);
                return refuse(format!("{other} and {one} may give the same file, {}", path.display()));
            }
            if let Some(within) = places.iter().find(|other| one.is_directory_of(other)) {
                let path = within.directory.join(within.name.path(0));
                return refuse(format!("{} is a file, and {} needs a directory of its name", one.key, path.display()));
            }
        }
        Ok(())
    }
}

impl Pattern {
    fn literal(path: &str) -> Self {
        Self { before: path.to_string(), after: None }
    }

    fn path(&self, number: u64) -> String {
        match &self.after {
            None => self.before.clone(),
            Some(after) => format!("{}{number:0DIGITS$}{after}", self.before),
        }
    }

    /// Whether it may give this name.
    fn gives(&self, name: &str) -> bool {
        let Some(after) = &self.after else { return self.before == name };
        let number = name.strip_prefix(&self.before).and_then(|rest| rest.strip_suffix(after.as_str()));
        number.is_some_and(|number| number.len() >= DIGITS && are_digits(number))
    }

    /// Whether both may give one name: never said of none that do, and of few that do not.
    fn meets(&self, other: &Self) -> bool {
        let (Some(after), Some(other_after)) = (&self.after, &other.after) else {
            return match self.after {
                None => other.gives(&self.before),
                Some(_) => self.gives(&other.before),
            };
        };
        let (a, b) = (&self.before, &other.before);
        let heads = a.strip_prefix(b.as_str()).or_else(|| b.strip_prefix(a.as_str()));
        let tails = after.strip_suffix(other_after.as_str()).or_else(|| other_after.strip_suffix(after.as_str()));
        heads.is_some_and(are_digits) && tails.is_some_and(are_digits)
    }
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A pattern in the file system, to be told from others.
struct Place {
    key: String,
    directory: PathBuf,
    name: Pattern,
}

impl Place {
    fn new(key: String, root: &Path, pattern: &Pattern) -> Self {
        let full = join(root, &pattern.before);
        // Before the number there may be nothing but a directory.
        let (directory, before) = match pattern.before.ends_with('/') || pattern.before.is_empty() {
            true => (full, String::new()),
            false => {
                let name = full.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                (full.parent().map(Path::to_path_buf).unwrap_or_default(), name)
            }
        };
        Self { key, directory, name: Pattern { before, after: pattern.after.clone() } }
    }

    fn meets(&self, other: &Self) -> bool {
        self.directory == other.directory && self.name.meets(&other.name)
    }

    fn is_directory_of(&self, other: &Self) -> bool {
        let name = |path: &Path| path.file_name().is_some_and(|name| self.name.gives(&name.to_string_lossy()));
        other.directory.ancestors().any(|above| above.parent() == Some(&self.directory) && name(above))
    }
}

/// The patterns of a split: the recipe's, or the layout's.
fn patterns(recipe: &Recipe, split: &str) -> Result<Vec<Pattern>> {
    let layout = recipe.output.layout;
    let key = format!("output.files.{split}");
    let usual = match layout {
        Layout::Shards => "{split}/part-{part}.{ext}",
        Layout::Single => "{split}/{split}_processed_data.{ext}",
    };
    let usual = OneOrMany::One(usual.into());
    let written = recipe.output.files.get(split).unwrap_or(&usual).as_slice();
    if written.is_empty() {
        return refuse(format!("{key} names no file"));
    }
    let extension = extension(recipe);
    written
        .iter()
        .map(|text| {
            let pattern = read(&key, text, split, &extension)?;
            check_path(&key, &pattern.path(0), recipe.output.publish)?;
            match (&pattern.after, layout) {
                (None, Layout::Shards) => refuse(format!(
                    "{key} = {text:?}: with output.layout = \"shards\" it needs {{part}} in the file name"
                )),
                (Some(_), Layout::Single) => {
                    refuse(format!("{key} = {text:?}: with output.layout = \"single\" there is no {{part}}"))
                }
                (Some(after), Layout::Shards) if after.contains('/') => {
                    refuse(format!("{key} = {text:?}: {{part}} belongs into the file name, not into a directory's"))
                }
                _ => Ok(pattern),
            }
        })
        .collect()
}

/// Reads a pattern; all placeholders but the number have their values.
fn read(key: &str, text: &str, split: &str, extension: &str) -> Result<Pattern> {
    let mut pattern = Pattern { before: String::new(), after: None };
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        push(&mut pattern, &rest[..at]);
        let Some((name, behind)) = rest[at..].strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
            return refuse(format!("{key} = {text:?}: a brace without its other half"));
        };
        match name {
            "split" => push(&mut pattern, split),
            "ext" => push(&mut pattern, extension),
            "part" if pattern.after.is_none() => pattern.after = Some(String::new()),
            "part" => return refuse(format!("{key} = {text:?}: {{part}} stands in it twice")),
            other => {
                let near = did_you_mean(other, PLACEHOLDERS);
                return refuse(format!(
                    "{key} = {text:?}: unknown placeholder `{other}`{near}; there are {{split}}, {{part}} and {{ext}}"
                ));
            }
        }
        rest = behind;
    }
    push(&mut pattern, rest);
    Ok(pattern)
}

fn push(pattern: &mut Pattern, text: &str) {
    pattern.after.as_mut().unwrap_or(&mut pattern.before).push_str(text);
}

/// Whether a file may be there.
fn check_path(key: &str, path: &str, publish: Publish) -> Result<()> {
    let wrong = |why: &str| refuse(format!("{key}: {path:?} {why}"));
    if path.is_empty() {
        return wrong("is empty; write the path of a file");
    }
    if path.contains(['{', '}']) {
        return wrong("has a brace; only output.files has placeholders");
    }
    if path.chars().any(char::is_control) {
        return wrong("has a control character");
    }
    let inner = inner(path);
    if inner.len() != path.len() && publish != Publish::InPlace {
        return wrong("leads out of the output, which can be with output.publish = \"in_place\" only");
    }
    for name in inner.split('/') {
        match name {
            "" => return wrong("has an empty name; write the path of a file"),
            "." | ".." => return wrong("goes through `.` or `..`; only `../` at the beginning may stand"),
            STAGING => return wrong("goes through the directory for files that are not published yet"),
            _ => {}
        }
    }
    let name = inner.rsplit('/').next().unwrap_or_default();
    if name.starts_with(['_', '.']) {
        return wrong("has a file name that readers pass over; do not begin it with `_` or `.`");
    }
    Ok(())
}

/// What comes after the way out of the output, if the path leads out.
fn inner(path: &str) -> &str {
    match path.strip_prefix('/') {
        Some(inner) => inner,
        None => path.trim_start_matches("../"),
    }
}

/// Joins by names alone: a root that is a link is left by the name that it was given by.
fn join(root: &Path, path: &str) -> PathBuf {
    let inner = inner(path);
    if path.starts_with('/') {
        return PathBuf::from(path);
    }
    let mut directory = root.to_path_buf();
    for _ in 0..(path.len() - inner.len()) / "../".len() {
        match directory.components().next_back() {
            Some(Component::Normal(_)) => drop(directory.pop()),
            Some(Component::RootDir | Component::Prefix(_)) => {}
            Some(Component::CurDir | Component::ParentDir) | None => directory.push(".."),
        }
    }
    directory.join(inner)
}

/// What the names of parts end with.
fn extension(recipe: &Recipe) -> String {
    let format = match recipe.output.format {
        OutputFormat::Parquet => return "parquet".into(),
        OutputFormat::Csv => "csv",
        OutputFormat::Tsv => "tsv",
        OutputFormat::Jsonl => "jsonl",
    };
    match recipe.output.compression() {
        Compression::Gzip => format!("{format}.gz"),
        Compression::Zstd => format!("{format}.zst"),
        _ => format.into(),
    }
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::Recipe(message))
}
