//! Where a job's files are: SageMaker's directories, which every flag may put elsewhere. Looks at the file system only for
//! whether directories are there, which file a signature is, and how many machines there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::{JobName, JobType};
use crate::error::{Error, Result};

/// Where SageMaker's directories are in a container.
pub const ROOT: &str = "/opt/ml";

/// Directories below the root that are uploaded, of processing jobs and of training jobs.
const UPLOADED: [&str; 3] = ["processing/output", "model", "output"];

/// A directory that a job reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What it is called.
    pub name: &'static str,
    /// The flag that puts it elsewhere.
    pub flag: &'static str,
    /// Where it is, below the root.
    pub path: &'static str,
    /// Whether it has to be there.
    pub required: bool,
    /// What it holds, in a sentence without its full stop.
    pub holds: &'static str,
}

/// The directories of one run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Where SageMaker's directories are.
    pub root: PathBuf,
    /// Directories that are elsewhere, by flag.
    pub given: BTreeMap<&'static str, PathBuf>,
    /// The state's directory, where it was said.
    pub state: Option<PathBuf>,
}

impl Directories {
    /// Where a directory is.
    pub fn of(&self, place: &Place) -> PathBuf {
        self.given.get(place.flag).cloned().unwrap_or_else(|| self.root.join(place.path))
    }

    /// Where a directory that may be missing is, if it is there.
    pub fn of_optional(&self, place: &Place) -> Option<PathBuf> {
        Some(self.of(place)).filter(|path| path.exists())
    }

    /// The first file of a directory, in the order of names, but for hidden ones and those that begin with `_`.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory is there and cannot be listed.
    pub fn first_file(&self, place: &Place) -> Result<Option<PathBuf>> {
        let Some(path) = self.of_optional(place) else { return Ok(None) };
        if path.is_file() {
            return Ok(Some(path));
        }
        let listed: std::io::Result<Vec<PathBuf>> =
            fs::read_dir(&path).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
        let files = listed.map_err(|e| Error::io("list", &path, e))?;
        let is_told = |file: &PathBuf| {
            let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            !name.starts_with(['.', '_']) && file.is_file()
        };
        Ok(files.into_iter().filter(is_told).min())
    }

    /// Where the state is: as it was said; among the checkpoints, if SageMaker keeps some; else beside the directory that
    /// is uploaded, or beside the output.
    pub fn state(&self, job: JobName, job_type: JobType) -> PathBuf {
        if let Some(state) = &self.state {
            return state.clone();
        }
        let name = match job {
            JobName::DummyDataLoading => job.name().to_string(),
            _ => format!("{}-{}", job.name(), job_type.name()),
        };
        let checkpoints = self.root.join("checkpoints");
        if checkpoints.is_dir() {
            return checkpoints.join(format!("{name}.state"));
        }
        let first = normal(&self.of(&job.outputs()[0]));
        let mut uploaded = UPLOADED.iter().map(|directory| self.root.join(directory));
        if let Some(directory) = uploaded.find(|directory| first.starts_with(normal(directory))) {
            return directory.with_file_name(format!("{name}.state"));
        }
        let name = first.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy());
        first.with_file_name(format!("{name}.state"))
    }
}

/// An absolute path without `.` and `..`, by its words alone.
fn normal(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut normal = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

/// The path of `file` of `directory`, as seen from `from`.
pub fn from(from: &Path, directory: &Path, file: &str) -> String {
    let (from, directory) = (normal(from), normal(directory));
    let shared = from.components().zip(directory.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| "..".to_string());
    let down = directory.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).chain([file.to_string()]).collect::<Vec<_>>().join("/")
}

/// Refuses a job that was given several machines: each would do all of it.
///
/// # Errors
/// [`Error::Recipe`] that says how many there are; [`Error::Io`] and [`Error::Recipe`] when SageMaker's description cannot be read.
pub fn check_hosts(root: &Path) -> Result<()> {
    // Of a processing job, and of a training job.
    for path in ["config/resourceconfig.json", "input/config/resourceconfig.json"] {
        let path = root.join(path);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let tree: Value =
            serde_json::from_str(&text).map_err(|e| Error::Recipe(format!("{} is no JSON: {e}", path.display())))?;
        let hosts = tree.get("hosts").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
        if hosts.len() > 1 {
            let names: Vec<&str> = hosts.iter().filter_map(Value::as_str).collect();
            return Err(Error::Recipe(format!(
                "{} names {} hosts ({}), and twopass works on one machine: set the job's instance count to 1, and choose a larger instance if it has to be faster",
                path.display(),
                hosts.len(),
                names.join(", ")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_directories_are_seen_from_the_output() {
        let seen = |from_: &str, directory: &str| from(Path::new(from_), Path::new(directory), "f");
        assert_eq!(seen("/o/training_data", "/o/oot_data"), "../oot_data/f");
        assert_eq!(seen("/o/data", "/elsewhere/x"), "../../elsewhere/x/f");
        assert_eq!(seen("/o", "/o/in/it"), "in/it/f");
        assert_eq!(seen("/o/./a/../data", "/o/data"), "f");
    }

    #[test]
    fn the_state_is_beside_what_is_uploaded() {
        let state = |output: &str| {
            let given = BTreeMap::from([("--output-training-data", PathBuf::from(output))]);
            let directories = Directories { root: "/nowhere/ml".into(), given, state: None };
            directories.state(JobName::TemporalSplitPreprocessing, JobType::Training).display().to_string()
        };
        let named = "temporal-split-preprocessing-training.state";
        assert_eq!(state("/nowhere/ml/processing/output/x"), format!("/nowhere/ml/processing/{named}"));
        assert_eq!(state("/nowhere/ml/model/training_data"), format!("/nowhere/ml/{named}"));
        assert_eq!(state("/nowhere/ml/output/data/"), format!("/nowhere/ml/{named}"));
        assert_eq!(state("/elsewhere/out/"), "/elsewhere/out.state");
    }
}
