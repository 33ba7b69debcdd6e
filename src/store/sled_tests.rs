//! What is known to go wrong with sled, each with the hazard shown and the guard against it. More in `tests.rs`: unfinished
//! snapshots, and panics of sled over a corrupted file.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::tests::{assert_intact, commit, existing, fresh, identity};
use super::{Opened, StateStore};
use crate::disk::{Action, Disk};
use crate::error::Error;

/// Copies a directory of files and empty directories.
fn copy_index(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            fs::create_dir_all(&target).unwrap();
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

fn sled_at(path: &Path) -> sled::Result<sled::Db> {
    sled::Config::new().path(path).flush_every_ms(None).open()
}

/// The hazard: large values are files of their own, and without them sled opens as if the values had never been.
/// The guard: no value is that large.
#[test]
fn no_entry_is_large_enough_to_become_a_file_of_sled() {
    let dir = TempDir::new().unwrap();
    let alone = dir.path().join("alone");
    let db = sled_at(&alone).unwrap();
    db.insert(b"large", vec![7; 200 << 10]).unwrap();
    db.flush().unwrap();
    drop(db);
    let blobs: Vec<_> = fs::read_dir(alone.join("blobs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!blobs.is_empty(), "large values are no files any more: the guard is needed no more");

    let store = fresh(&dir.path().join("state"));
    let name: String =
        (0..8192_u32).map(|at| char::from(33 + (at.wrapping_mul(2_654_435_761) >> 25) as u8 % 90)).collect();
    commit(&store, &name);
    (0..40).for_each(|at| drop(commit(&store, &format!("{at}"))));
    assert_eq!(fs::read_dir(dir.path().join("state/index/blobs")).unwrap().count(), 0);
    let mut log = store.log();
    let mut seed = 1_u64;
    let noise = (0..60_000).map(|_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(33 + (seed >> 57) as u8 % 90)
    });
    let refused = log.append(super::record::Event::Forgotten(noise.collect()));
    assert!(matches!(refused, Err(Error::Failed { .. })));
}

/// The hazard: sled never syncs `conf`, and may refuse to open when it is cut. The guards: it is synced for sled when the
/// log is opened, and where sled refuses, the log is made anew from the side files.
#[test]
fn a_lost_conf_file_of_sled_loses_no_shard() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    commit(&store, "a");
    drop(store);
    let index = dir.path().join("index");
    let bytes = fs::read(index.join("conf")).unwrap();
    for length in [0, bytes.len() / 2] {
        let other = TempDir::new().unwrap();
        copy_index(&index, other.path());
        fs::write(other.path().join("conf"), &bytes[..length]).unwrap();
        let refused = sled_at(other.path()).is_err();
        fs::write(index.join("conf"), &bytes[..length]).unwrap();
        let store = existing(dir.path());
        assert_eq!(store.recovery().index_rebuilt.is_some(), refused);
        assert_intact(&store, &["a"]);
    }
}

/// The hazard: sled's `flush` leaves out the file's length. The guard: nothing happens between it and a full sync.
#[test]
fn every_flush_of_sled_is_followed_by_a_sync_of_its_file() {
    let dir = TempDir::new().unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let shared = std::sync::Arc::clone(&seen);
    let disk = Disk::watched(move |operation| {
        shared.lock().unwrap().push((operation.action, operation.path.to_path_buf()));
        Ok(usize::MAX)
    });
    let Opened::Fresh(store) = StateStore::open_or_create(&disk, dir.path(), &identity()).unwrap() else { panic!() };
    commit(&store, "a");
    store.forget_shard("a").unwrap();
    store.save_plan("plan").unwrap();
    drop(store);
    let seen = seen.lock().unwrap();
    let synced = |name: &str| (Action::SyncFile, dir.path().join("index").join(name));
    let flushes: Vec<usize> = (0..seen.len()).filter(|at| seen[*at].0 == Action::Step("flush")).collect();
    assert_eq!(flushes.len(), 3);
    assert!(flushes.iter().all(|at| seen[at + 1] == synced("db")));
    assert!(seen.contains(&synced("conf")));
}

/// The hazard: sled recovers by dropping what it cannot read, at the end or in between. The guards: a gap in the numbers
/// shows it, and what is missing at the end is found in the side files.
#[test]
fn entries_that_sled_dropped_are_found_again() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    ["a", "b"].iter().for_each(|name| drop(commit(&store, name)));
    drop(store);
    let index = dir.path().join("index");
    let early = TempDir::new().unwrap();
    copy_index(&index, early.path());
    let store = existing(dir.path());
    ["c", "d"].iter().for_each(|name| drop(commit(&store, name)));
    drop(store);
    let late = TempDir::new().unwrap();
    copy_index(&index, late.path());

    fs::remove_dir_all(&index).unwrap();
    copy_index(early.path(), &index);
    let store = existing(dir.path());
    assert_eq!(store.recovery().index_rebuilt, None);
    assert_eq!(store.recovery().adopted, ["c", "d"]);
    assert_intact(&store, &["a", "b", "c", "d"]);
    drop(store);

    fs::remove_dir_all(&index).unwrap();
    copy_index(late.path(), &index);
    let db = sled_at(&index).unwrap();
    db.remove(1_u64.to_be_bytes()).unwrap();
    db.flush().unwrap();
    drop(db);
    let store = existing(dir.path());
    assert!(store.recovery().index_rebuilt.as_ref().unwrap().contains("has lost an entry"));
    assert_intact(&store, &["a", "b", "c", "d"]);
}

/// A full disk is not damage: the log stays where it is, and what is in it is there when there is room again.
#[test]
fn a_disk_that_refuses_is_not_taken_for_a_damaged_log() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    commit(&store, "a");
    store.save_plan("plan").unwrap();
    drop(store);
    for step in ["open", "replay"] {
        let full = Disk::watched(move |operation| match operation.action {
            Action::Step(name) if name == step => Err(std::io::Error::from_raw_os_error(28)),
            _ => Ok(usize::MAX),
        });
        let refused = StateStore::open_or_create(&full, dir.path(), &identity()).map(drop);
        assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
    }
    let store = existing(dir.path());
    assert_eq!(*store.recovery(), super::Recovery::default());
    assert_eq!(store.load_plan::<String>().unwrap().as_deref(), Some("plan"));
}
