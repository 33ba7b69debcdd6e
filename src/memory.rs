//! One memory budget for the whole process: every buffer that grows with the data holds a [`Reservation`] on it.
//! It counts; it never allocates. And what the system lets the process have.

use std::fs;
use std::path::{Component, Path};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// A ceiling in bytes that reservations are counted against.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0), peak: AtomicU64::new(0) })
    }

    /// The ceiling, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes reserved now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes that were ever reserved at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Bytes still free.
    pub fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used())
    }

    /// Reserves `bytes`, or nothing when they would not fit.
    pub fn try_reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut reservation = Reservation { budget: Arc::clone(self), bytes: 0 };
        reservation.try_resize(bytes).then_some(reservation)
    }

    /// Reserves `bytes`.
    ///
    /// # Errors
    /// [`Error::Memory`] that names `what` when they do not fit.
    pub fn reserve(self: &Arc<Self>, what: &str, bytes: u64) -> Result<Reservation> {
        self.try_reserve(bytes).ok_or_else(|| self.refusal(what, bytes))
    }

    fn refusal(&self, what: &str, needed: u64) -> Error {
        Error::Memory { what: what.to_string(), needed, limit: self.limit, advice: String::new() }
    }
}

/// Bytes held of a [`Budget`]; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` from now on, more or fewer than before; false, and nothing changes, when they do not fit.
    #[must_use]
    pub fn try_resize(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes {
            self.budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
            return true;
        }
        let more = bytes - self.bytes;
        let grown = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(more).filter(|total| *total <= self.budget.limit)
        });
        let Ok(before) = grown else { return false };
        self.budget.peak.fetch_max(before + more, Ordering::Relaxed);
        self.bytes = bytes;
        true
    }

    /// As [`Reservation::try_resize`].
    ///
    /// # Errors
    /// [`Error::Memory`] that names `what` when they do not fit.
    pub fn resize(&mut self, what: &str, bytes: u64) -> Result<()> {
        if self.try_resize(bytes) { Ok(()) } else { Err(self.budget.refusal(what, bytes)) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A limit of so many bytes is none: what version 1 shows where nobody set one is the largest multiple of a page.
const NO_LIMIT: u64 = 1 << 60;

/// Bytes that the control groups of this process, one within the other, let it have, the least of them; nothing where none
/// has a limit. `root` is the root of the file system. A container mostly sees its own group as the root of all, whatever
/// its path is outside: directories that are not there say nothing.
pub fn cgroup_limit(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
                .into_iter()
                .filter_map(|mount| least_limit(&root.join(mount), path, "memory.max"))
                .min(),
            _ if controllers.split(',').any(|name| name == "memory") => {
                least_limit(&root.join("sys/fs/cgroup/memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.min()
}

/// The least number in files of this name, from the group at `path` up to `mount`.
fn least_limit(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let parts = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_)));
    let group = mount.join(parts.collect::<std::path::PathBuf>());
    let groups = group.ancestors().take_while(|group| group.starts_with(mount));
    let limit = |group: &Path| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    groups.filter_map(limit).filter(|limit| *limit < NO_LIMIT).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system with these files.
    fn limit_of(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        cgroup_limit(root.path())
    }

    #[test]
    fn the_least_limit_from_the_group_up_to_the_root_counts() {
        let group = ("proc/self/cgroup", "0::/a/b\n");
        let of = |a: &str, b: &str| {
            limit_of(&[group, ("sys/fs/cgroup/a/memory.max", a), ("sys/fs/cgroup/a/b/memory.max", b)])
        };
        assert_eq!(of("max\n", "1000\n"), Some(1000));
        assert_eq!(of("500\n", "1000\n"), Some(500));
        assert_eq!(of("500\n", "max\n"), Some(500));
        assert_eq!(of("max\n", "max\n"), None);
        let beside = ("sys/fs/cgroup/other/memory.max", "7");
        assert_eq!(limit_of(&[group, beside]), None);
    }

    #[test]
    fn in_a_container_the_group_is_the_root() {
        let limit = ("sys/fs/cgroup/memory.max", "4096\n");
        for path in ["0::/\n", "0::/docker/0123\n", "0::/../..\n"] {
            assert_eq!(limit_of(&[("proc/self/cgroup", path), limit]), Some(4096), "{path}");
        }
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "8192\n");
        assert_eq!(limit_of(&[("proc/self/cgroup", "4:memory:/docker/0123\n0::/\n"), limit]), Some(8192));
    }

    #[test]
    fn the_older_version_has_a_number_for_no_limit() {
        let group = ("proc/self/cgroup", "5:cpu:/x\n4:cpuset,memory:/a\n0::/\n");
        let of = |all: &str, own: &str| {
            let all = ("sys/fs/cgroup/memory/memory.limit_in_bytes", all);
            limit_of(&[group, all, ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", own)])
        };
        assert_eq!(of("9223372036854771712\n", "9223372036854771712\n"), None);
        assert_eq!(of("9223372036854771712\n", "12345\n"), Some(12345));
        // Both versions at once: whichever is less.
        let both =
            [group, ("sys/fs/cgroup/unified/memory.max", "99"), ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9")];
        assert_eq!(limit_of(&both), Some(9));
    }

    #[test]
    fn what_cannot_be_read_is_no_limit() {
        assert_eq!(limit_of(&[]), None);
        assert_eq!(limit_of(&[("proc/self/cgroup", "nothing\n\n4:memory\n"), ("sys/fs/cgroup/memory.max", "9")]), None);
        assert_eq!(limit_of(&[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "-1")]), None);
    }
}
