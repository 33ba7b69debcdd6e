//! Disks that fail where a test wants them to.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::process::{Signal, getpid, kill_process};
use twopass::disk::{Action, Disk, Operation};

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed before it.
    Die,
    /// The process is killed when half of the bytes are written.
    DieHalfway,
    /// It fails, once.
    Fail(i32),
    /// It fails, and so does every operation after it.
    FailFromHere(i32),
    /// Half of the bytes are written, once.
    Short,
    /// Half of the bytes are written, and then the disk is full.
    ShortThenFull,
}

pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;

/// An operation of a run. Threads take turns differently each time, so a name says more than a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The n-th of all, from 0.
    Number(usize),
    /// Action, path within the place, and which of several that are the same, from 0.
    Name(String),
}

/// What a disk saw.
#[derive(Default)]
pub struct Seen {
    /// The names of all operations, in order.
    pub names: Vec<String>,
    counts: BTreeMap<String, usize>,
    hit: bool,
    failing: Option<i32>,
}

impl Seen {
    pub fn hit(&self) -> bool {
        self.hit
    }
}

/// A disk that fails as `fault` says; none only looks.
pub fn disk(place: &Path, fault: Option<(At, Fault)>) -> (Disk, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let shared = Arc::clone(&seen);
    let place = place.to_path_buf();
    let watch = move |operation: &Operation<'_>| {
        let mut seen = shared.lock().unwrap();
        let name = name(&place, operation, &mut seen.counts);
        let number = seen.names.len();
        seen.names.push(name);
        let Some((at, fault)) = &fault else { return Ok(usize::MAX) };
        let here = match at {
            At::Number(wanted) => *wanted == number,
            At::Name(wanted) => *wanted == seen.names[number],
        };
        if !here {
            return seen.failing.map_or(Ok(usize::MAX), |code| Err(io::Error::from_raw_os_error(code)));
        }
        seen.hit = true;
        match *fault {
            Fault::Die => die(),
            Fault::DieHalfway => {
                // Done by the test itself, for nothing comes after it.
                write_half(operation);
                die()
            }
            Fault::Fail(code) => Err(io::Error::from_raw_os_error(code)),
            Fault::FailFromHere(code) => {
                seen.failing = Some(code);
                Err(io::Error::from_raw_os_error(code))
            }
            Fault::Short => Ok(operation.bytes.len().div_ceil(2)),
            Fault::ShortThenFull => {
                seen.failing = Some(ENOSPC);
                Ok(operation.bytes.len().div_ceil(2))
            }
        }
    };
    (Disk::watched(watch), seen)
}

fn name(place: &Path, operation: &Operation<'_>, counts: &mut BTreeMap<String, usize>) -> String {
    // An error of a rename names where it should have gone.
    let path = operation.to.unwrap_or(operation.path);
    let path = path.strip_prefix(place).unwrap_or(path).display();
    let step = match operation.action {
        Action::Step(step) => step.to_string(),
        action => format!("{action:?}"),
    };
    let name = format!("{step} {path}");
    let count = counts.entry(name.clone()).or_insert(0);
    *count += 1;
    format!("{name} #{}", *count - 1)
}

fn write_half(operation: &Operation<'_>) {
    use std::io::Write;
    let file = std::fs::OpenOptions::new().append(true).open(operation.path);
    let half = &operation.bytes[..operation.bytes.len() / 2];
    file.and_then(|mut file| file.write_all(half)).unwrap();
}

/// As a power cut to the process: nothing is unwound, no other thread goes on.
fn die() -> ! {
    kill_process(getpid(), Signal::KILL).unwrap();
    loop {
        std::thread::park();
    }
}

/// The action and the path in an operation's name.
pub fn parts_of(name: &str) -> (&str, &Path) {
    let (name, _) = name.rsplit_once(" #").unwrap();
    let (action, path) = name.rsplit_once(' ').unwrap();
    (action, Path::new(path))
}
