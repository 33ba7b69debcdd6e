//! What can go wrong, with the place it went wrong at. Never prints, never exits.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of every fallible operation of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any cause that a lower layer reports.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The place in the input an error is about; every part is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// Name of the shard, relative to the input's root.
    pub shard: Option<String>,
    /// Row within the shard, from 0.
    pub row: Option<u64>,
    /// Name of the column.
    pub column: Option<String>,
}

impl Site {
    /// The place "somewhere in this shard".
    pub fn shard(name: impl Into<String>) -> Self {
        Self { shard: Some(name.into()), ..Self::default() }
    }

    /// The place "somewhere in this column".
    pub fn column(name: impl Into<String>) -> Self {
        Self { column: Some(name.into()), ..Self::default() }
    }

    /// The same place, narrowed to a row (from 0).
    #[must_use]
    pub fn at_row(mut self, row: u64) -> Self {
        self.row = Some(row);
        self
    }

    /// The same place, narrowed to a column.
    #[must_use]
    pub fn in_column(mut self, name: impl Into<String>) -> Self {
        self.column = Some(name.into());
        self
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(shard) = &self.shard {
            write!(f, "shard {shard}")?;
            separator = ", ";
        }
        if let Some(row) = self.row {
            write!(f, "{separator}row {row}")?;
            separator = ", ";
        }
        if let Some(column) = &self.column {
            write!(f, "{separator}column `{column}`")?;
            separator = ", ";
        }
        if separator.is_empty() {
            f.write_str("input")?;
        }
        Ok(())
    }
}

/// An error of the engine. The variants are the classes a caller acts on; the binary maps them to exit codes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recipe or the usage is wrong; no data was touched. Exit code 2.
    #[error("{0}")]
    Recipe(String),

    /// The input holds what the recipe cannot accept. Exit code 3.
    #[error("{site}: {message}")]
    Data {
        /// Where in the input.
        site: Site,
        /// What is wrong and what to do about it.
        message: String,
        /// What the reader underneath said.
        source: Option<Cause>,
    },

    /// The state or the output belongs to another job. Exit code 4.
    #[error("{0}")]
    Conflict(String),

    /// The memory budget does not hold what the job needs. Exit code 1.
    #[error("{what} needs {needed} bytes, and `run.memory` ({limit} bytes) has no room for it; raise --memory{advice}")]
    Memory {
        /// What asked for the memory.
        what: String,
        /// How much it asked for, in bytes.
        needed: u64,
        /// The budget, in bytes.
        limit: u64,
        /// What else would help; empty, or starting with " or ".
        advice: String,
    },

    /// The operating system refused a file operation. Exit code 1.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// There is no room to inflate a shard to, or no right to. Exit code 1. It says nothing of the shard: none is ever left out for it.
    #[error(
        "cannot inflate a shard to a file in {}; make room there, or have such files elsewhere: a job has them beside its state \
         (--state), all else where TMPDIR says",
        path.display()
    )]
    Scratch {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// Something persisted is damaged or of another version. Exit code 1.
    #[error("{what}")]
    Damaged {
        /// What is damaged.
        what: String,
        /// The cause underneath, if any.
        source: Option<Cause>,
    },

    /// The observer asked the engine to stop. What was done is in the state. Exit code 130.
    #[error("interrupted; what was done is kept, and running again goes on")]
    Interrupted,

    /// An encoder or another part of the engine failed. Exit code 1.
    #[error("{what}")]
    Failed {
        /// What was being done.
        what: String,
        /// The cause underneath.
        source: Cause,
    },
}

/// What every error advises that would be none with more memory.
pub const RAISE_MEMORY: &str = "raise --memory";

impl Error {
    /// Input data that cannot be accepted, without a deeper cause.
    pub fn data(site: Site, message: impl Into<String>) -> Self {
        Self::Data { site, message: message.into(), source: None }
    }

    /// Input data that a reader underneath could not read.
    pub fn unreadable(site: Site, message: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Data { site, message: message.into(), source: Some(source.into()) }
    }

    /// A refused file operation: `action` is a verb, as in "cannot open PATH".
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// A directory that a shard cannot be inflated in.
    pub fn scratch(path: &Path, source: std::io::Error) -> Self {
        Self::Scratch { path: path.to_path_buf(), source }
    }

    /// A failure of the engine itself while doing `what`.
    pub fn failed(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }

    /// The process exit code of this class of error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Recipe(_) => 2,
            Self::Data { .. } => 3,
            Self::Conflict(_) => 4,
            Self::Interrupted => 130,
            Self::Memory { .. }
            | Self::Io { .. }
            | Self::Scratch { .. }
            | Self::Damaged { .. }
            | Self::Failed { .. } => 1,
        }
    }

    /// The same error with the shard filled in where it was not known below.
    #[must_use]
    pub fn in_shard(mut self, name: &str) -> Self {
        if let Self::Data { site, .. } = &mut self {
            site.shard.get_or_insert_with(|| name.to_string());
        }
        self
    }

    /// The same error with its row counted from `first` on, where it has one.
    #[must_use]
    pub fn offset_rows(mut self, first: u64) -> Self {
        if let Self::Data { site: Site { row: Some(row), .. }, .. } = &mut self {
            *row += first;
        }
        self
    }

    /// Whether it would be none with more memory: what such an error leaves undone is never to depend on the machine.
    pub fn is_for_lack_of_memory(&self) -> bool {
        match self {
            Self::Memory { .. } => true,
            Self::Data { message, .. } => message.contains(RAISE_MEMORY),
            _ => false,
        }
    }

    /// The error with all its causes, on one line.
    pub fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |chain, cause| format!("{chain}: {cause}"))
    }

    /// The same error with the column filled in where it was not known below.
    #[must_use]
    pub fn in_column(mut self, name: &str) -> Self {
        if let Self::Data { site, .. } = &mut self {
            site.column.get_or_insert_with(|| name.to_string());
        }
        self
    }
}

/// `", did you mean `X`?"` for the known name nearest to `name`, or nothing when none is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 4)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!(", did you mean `{candidate}`?"))
}
