use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::frame::{self, Kind};
use super::ledger::{Layout, Rows};
use super::{Identity, Opened, PartRecord, ShardRecord, ShardStamp, StateStore};
use crate::disk::Disk;
use crate::error::{Error, Result};

pub(super) fn identity() -> Identity {
    Identity {
        format: 1,
        version: "0.1.0".to_string(),
        scan_fingerprint: "00ff".to_string(),
        input: "data/".to_string(),
        description: "{}".to_string(),
    }
}

fn stamp(name: &str) -> ShardStamp {
    ShardStamp {
        name: name.to_string(),
        bytes: 100,
        modified_seconds: -1,
        modified_nanos: 999_999_999,
        fingerprint: u128::MAX - 1,
    }
}

pub(super) fn fresh(path: &Path) -> StateStore {
    match StateStore::open_or_create(&Disk::default(), path, &identity()).unwrap() {
        Opened::Fresh(store) => store,
        Opened::Existing(..) => panic!("the state is not fresh"),
    }
}

pub(super) fn existing(path: &Path) -> StateStore {
    let open =
        || StateStore::open_or_create(&Disk::default(), path, &Identity { version: "other".to_string(), ..identity() });
    // A child that another test has just forked shares the lock until it becomes a program of its own.
    let mut attempts = 200;
    let opened = loop {
        match open() {
            Err(Error::Conflict(_)) if attempts > 0 => std::thread::sleep(Duration::from_millis(10)),
            opened => break opened.unwrap(),
        }
        attempts -= 1;
    };
    match opened {
        Opened::Existing(store, found) => {
            assert_eq!(found, identity());
            store
        }
        Opened::Fresh(_) => panic!("the state is lost"),
    }
}

/// A shard whose summary is its name and whose ledger has as many rows as the name has bytes.
pub(super) fn commit(store: &StateStore, name: &str) -> ShardRecord {
    let rows = name.len();
    let mut ledger = store.create_ledger(name, Layout::default()).unwrap();
    ledger.append(Rows::plain(&vec![7; rows], &vec![u64::MAX; rows])).unwrap();
    let summary = frame::encode(Kind::Summary, name).unwrap();
    store.commit_shard(stamp(name), &summary, ledger.seal().unwrap()).unwrap()
}

pub(super) fn assert_intact(store: &StateStore, names: &[&str]) {
    let records = store.shard_records();
    assert_eq!(records.iter().map(|record| record.stamp.name.as_str()).collect::<Vec<_>>(), names);
    for record in records {
        assert_eq!(record.stamp, stamp(&record.stamp.name));
        assert_eq!(store.read_summary::<String>(&record).unwrap(), record.stamp.name);
        let mut ledger = store.open_ledger(&record).unwrap();
        let block = ledger.next_block().unwrap().unwrap();
        assert_eq!((block.rows.codes.len(), block.rows.codes[0]), (record.stamp.name.len(), 7));
        assert_eq!(ledger.next_block().unwrap(), None);
    }
}

fn shard_files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(path.join("shards")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn is_conflict<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Conflict(_)))
}

#[test]
fn what_is_committed_is_there_after_reopening() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("deep/out.state");
    let store = fresh(&path);
    commit(&store, "b.csv");
    commit(&store, "a.csv");
    assert_intact(&store, &["a.csv", "b.csv"]);
    drop(store);
    for _ in 0..3 {
        let store = existing(&path);
        assert_intact(&store, &["a.csv", "b.csv"]);
        assert_eq!(*store.recovery(), super::Recovery::default());
    }
    assert!(fs::read_to_string(path.join("README")).unwrap().starts_with("State of a twopass job"));
}

#[test]
fn a_forgotten_shard_stays_forgotten_and_can_come_back() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    let first = commit(&store, "a");
    commit(&store, "b");
    store.forget_shard("a").unwrap();
    store.forget_shard("never seen").unwrap();
    assert_intact(&store, &["b"]);
    assert_eq!(shard_files(dir.path()).len(), 2);
    drop(store);
    let store = existing(dir.path());
    assert_intact(&store, &["b"]);
    let again = commit(&store, "a");
    assert_ne!(first.summary.path, again.summary.path);
    commit(&store, "a");
    assert_eq!(shard_files(dir.path()).len(), 4);
    drop(store);
    assert_intact(&existing(dir.path()), &["a", "b"]);
}

#[test]
fn a_plan_and_its_parts_last_until_the_shards_change() {
    let part = |n: u64| PartRecord { path: format!("train/part-{n:05}"), rows: n, bytes: 10, xxh3: 1 };
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    commit(&store, "a");
    assert_eq!(store.load_plan::<String>().unwrap(), None);
    store.save_plan("the plan").unwrap();
    store.commit_part(part(1)).unwrap();
    store.commit_part(part(0)).unwrap();
    store.save_plan("the plan").unwrap();
    drop(store);
    let store = existing(dir.path());
    assert_eq!(store.load_plan::<String>().unwrap().as_deref(), Some("the plan"));
    assert_eq!(store.part_records(), [part(1), part(0)]);
    store.save_plan("another plan").unwrap();
    assert_eq!(store.part_records(), []);
    commit(&store, "b");
    assert_eq!(store.load_plan::<String>().unwrap(), None);
    store.save_plan("plan of two").unwrap();
    drop(store);

    let bytes = fs::read(dir.path().join("plan")).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        fs::write(dir.path().join("plan"), flipped).unwrap();
        let store = (at % 16 == 0).then(|| existing(dir.path()));
        assert!(store.is_none_or(|store| store.load_plan::<String>().unwrap().is_none()));
    }
    let store = existing(dir.path());
    store.save_plan("plan of two").unwrap();
    assert_eq!(store.load_plan::<String>().unwrap().as_deref(), Some("plan of two"));
}

#[test]
fn a_lost_index_is_rebuilt_from_the_side_files() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    let names: Vec<String> = (0..12).map(|n| format!("shard-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.iter().for_each(|name| drop(commit(&store, name)));
    store.save_plan("plan").unwrap();
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = existing(dir.path());
    assert_eq!(store.recovery().adopted, names);
    assert_eq!(store.load_plan::<String>().unwrap(), None);
    assert_intact(&store, &names);
    drop(store);
    let store = existing(dir.path());
    assert_eq!(store.recovery().adopted, [""; 0]);
    assert_intact(&store, &names);
}

#[test]
fn a_corrupted_index_never_loses_a_shard_nor_panics() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    let names = ["a", "b", "c", "d", "e"];
    names.iter().for_each(|name| drop(commit(&store, name)));
    drop(store);
    drop(existing(dir.path()));
    let files: Vec<PathBuf> = fs::read_dir(dir.path().join("index"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    let saved: Vec<(PathBuf, Vec<u8>)> =
        files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let mut rebuilt = 0;
    for (path, bytes) in &saved {
        let middle = bytes.len().min(3000) / 2;
        let garbage: Vec<u8> = (0..bytes.len()).map(|at| (at * 31 + 7) as u8).collect();
        let mut flipped = bytes.clone();
        flipped[middle] ^= 0xff;
        let mut early = bytes.clone();
        early[..bytes.len().min(24)].iter_mut().for_each(|byte| *byte ^= 0x5a);
        for damage in [Vec::new(), bytes[..middle].to_vec(), garbage, flipped, early] {
            fs::remove_dir_all(dir.path().join("index")).unwrap();
            fs::create_dir(dir.path().join("index")).unwrap();
            for (other, bytes) in &saved {
                fs::write(other, if other == path { &damage } else { bytes }).unwrap();
            }
            let store = existing(dir.path());
            rebuilt += usize::from(store.recovery().index_rebuilt.is_some());
            assert_intact(&store, &names);
            drop(store);
            assert_intact(&existing(dir.path()), &names);
        }
    }
    assert!(rebuilt > 0);
}

/// The hazard and the guard: sled takes the unfinished snapshot for the newest one.
#[test]
fn an_unfinished_snapshot_of_sled_does_not_stop_an_opening() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    commit(&store, "a");
    drop(store);
    let index = dir.path().join("index");
    let unfinished = index.join("snap.00000000FFFFFFFF.generating");
    fs::write(&unfinished, b"cut").unwrap();
    assert!(sled::Config::new().path(&index).flush_every_ms(None).open().is_err(), "the guard is needed no more");
    let store = existing(dir.path());
    assert!(!unfinished.exists());
    assert_eq!(*store.recovery(), super::Recovery::default());
    assert_intact(&store, &["a"]);
}

#[test]
fn a_shard_with_a_missing_or_cut_file_is_not_committed() {
    for (at, cut) in [(0, false), (1, false), (0, true), (1, true)] {
        let dir = TempDir::new().unwrap();
        let store = fresh(dir.path());
        commit(&store, "a");
        commit(&store, "b");
        store.save_plan("plan").unwrap();
        drop(store);
        let file = &shard_files(dir.path())[at];
        if cut {
            fs::write(file, &fs::read(file).unwrap()[1..]).unwrap();
        } else {
            fs::remove_file(file).unwrap();
        }
        let store = existing(dir.path());
        assert_eq!(store.recovery().lost, ["a"]);
        assert_intact(&store, &["b"]);
        assert_eq!(store.load_plan::<String>().unwrap(), None);
        assert_eq!(shard_files(dir.path()).len(), 2);
        commit(&store, "a");
        drop(store);
        assert_intact(&existing(dir.path()), &["a", "b"]);
    }
}

#[test]
fn a_flipped_byte_in_a_side_file_is_damage_and_is_not_adopted() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    let record = commit(&store, "a");
    for file in [&record.summary, &record.ledger] {
        let path = dir.path().join(&file.path);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, flipped).unwrap();
            let summary = store.read_summary::<String>(&record).map(drop);
            let ledger = store.open_ledger(&record).and_then(crate::store::LedgerReader::verify);
            let result = summary.and(ledger);
            assert!(matches!(result, Err(Error::Damaged { .. })), "flipped at {at}: {result:?}");
        }
    }
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = existing(dir.path());
    assert_intact(&store, &[]);
    assert!(shard_files(dir.path()).is_empty());
}

#[test]
fn leftovers_of_a_killed_commit_are_adopted_or_removed() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    commit(&store, "a");
    drop(store);
    let shards = dir.path().join("shards");
    fs::write(shards.join(".00009-0000000000000000.ledger.tmp"), b"half").unwrap();
    fs::write(shards.join("00009-0000000000000000.ledger"), b"alone").unwrap();
    // Killed between the renames and the log entry: a log that knows less than the files say.
    let kept: Vec<(PathBuf, Vec<u8>)> =
        shard_files(dir.path()).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    StateStore::discard(&Disk::default(), dir.path()).unwrap();
    drop(fresh(dir.path()));
    kept.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    let store = existing(dir.path());
    assert_eq!(store.recovery().adopted, ["a"]);
    assert_intact(&store, &["a"]);
    assert_eq!(shard_files(dir.path()).len(), 2);
}

#[test]
fn a_state_in_use_is_refused_with_the_process_that_has_it() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    let refused = [
        StateStore::open_or_create(&Disk::default(), dir.path(), &identity()).map(drop),
        StateStore::open_existing(&Disk::default(), dir.path()).map(drop),
        StateStore::discard(&Disk::default(), dir.path()),
    ];
    for result in refused {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(&format!("in use by process {};", std::process::id())), "{message}");
    }
    drop(store);
    let (store, found) = StateStore::open_existing(&Disk::default(), dir.path()).unwrap();
    assert_eq!(found, identity());
    drop(store);
}

#[test]
fn only_a_state_is_ever_discarded() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state");
    StateStore::discard(&Disk::default(), &path).unwrap();
    assert!(is_conflict(&StateStore::open_existing(&Disk::default(), &path)));
    assert!(!path.exists());

    fs::create_dir(&path).unwrap();
    StateStore::discard(&Disk::default(), &path).unwrap();
    assert!(path.exists());
    for mine in ["thesis.tex", "plan", "README", "identity"] {
        fs::write(path.join(mine), b"mine").unwrap();
        assert!(is_conflict(&StateStore::discard(&Disk::default(), &path)), "{mine}");
        assert!(is_conflict(&StateStore::open_or_create(&Disk::default(), &path, &identity())), "{mine}");
        assert_eq!(fs::read(path.join(mine)).unwrap(), b"mine");
        fs::remove_file(path.join(mine)).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }
    drop(fresh(&path));
    fs::write(path.join("thesis.tex"), b"mine").unwrap();
    assert!(is_conflict(&StateStore::discard(&Disk::default(), &path)));
    fs::remove_file(path.join("thesis.tex")).unwrap();
    StateStore::discard(&Disk::default(), &path).unwrap();
    assert!(!path.exists());
    fs::write(&path, b"a file").unwrap();
    assert!(is_conflict(&StateStore::discard(&Disk::default(), &path)));
    assert!(is_conflict(&StateStore::open_existing(&Disk::default(), &path)));
}

#[test]
fn a_damaged_identity_is_named_and_can_be_discarded() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    commit(&store, "of another job");
    drop(store);
    let path = dir.path().join("identity");
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 2;
        fs::write(&path, flipped).unwrap();
        let opened = StateStore::open_existing(&Disk::default(), dir.path()).map(drop);
        assert!(matches!(opened, Err(Error::Damaged { .. })), "flipped at {at}");
    }
    // As a removal that was killed leaves it: nothing of the earlier job may come back.
    fs::remove_file(&path).unwrap();
    assert_intact(&fresh(dir.path()), &[]);
    fs::write(&path, &bytes[..10]).unwrap();
    StateStore::discard(&Disk::default(), dir.path()).unwrap();
    assert!(!dir.path().exists());
}

#[test]
fn threads_commit_at_once() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    let names: Vec<String> = (0..24).map(|n| format!("shard-{n:02}")).collect();
    std::thread::scope(|scope| {
        for part in names.chunks(6) {
            let store = &store;
            scope.spawn(move || part.iter().for_each(|name| drop(commit(store, name))));
        }
    });
    drop(store);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_intact(&existing(dir.path()), &names);
}

#[test]
fn a_name_of_any_length_is_committed_or_refused_at_once() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    // Nothing that compresses: letters from a linear congruential generator.
    let mut seed = 1_u32;
    let mut letter = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(33 + (seed >> 24) as u8 % 90)
    };
    let name: String = (0..8192).map(|_| letter()).collect();
    commit(&store, &name);
    assert!(matches!(store.create_ledger(&(name.clone() + "x"), Layout::default()), Err(Error::Data { .. })));
    drop(store);
    assert_intact(&existing(dir.path()), &[&name]);
}

#[test]
#[should_panic(expected = "the ledger of another shard")]
fn a_ledger_is_committed_for_its_own_shard_only() {
    let dir = TempDir::new().unwrap();
    let store = fresh(dir.path());
    let ledger = store.create_ledger("a", Layout::default()).unwrap().seal().unwrap();
    let _ = store.commit_shard(stamp("b"), &frame::encode(Kind::Summary, "b").unwrap(), ledger);
}

const CHILD_STATE: &str = "TWOPASS_TEST_CHILD_STATE";

#[test]
#[ignore = "the process that the next test kills"]
fn child_commits_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_STATE).map(PathBuf::from) else { return };
    let (store, _) = StateStore::open_existing(&Disk::default(), &path).unwrap();
    for n in store.shard_records().len().. {
        eprintln!("committed {}", commit(&store, &format!("shard-{n:04}")).stamp.name);
    }
}

#[test]
fn what_a_killed_process_committed_is_there() {
    let dir = TempDir::new().unwrap();
    drop(fresh(dir.path()));
    let mut committed = 0;
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::child_commits_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
            .env(CHILD_STATE, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = lines.map_while(|line| line.ok()?.strip_prefix("committed ").map(str::to_string));
        if round % 2 == 0 {
            // In the middle of opening, or soon after.
            std::thread::sleep(Duration::from_millis(3 + 2 * round));
        } else {
            assert!(said.by_ref().take(5 + round as usize).count() > 0);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let last = said.last().map(|name| name["shard-".len()..].parse::<usize>().unwrap() + 1);
        committed = last.unwrap_or(0).max(committed);

        let store = existing(dir.path());
        let names: Vec<String> = (0..store.shard_records().len()).map(|n| format!("shard-{n:04}")).collect();
        assert!(names.len() >= committed, "{committed} were committed, {} are there", names.len());
        assert_intact(&store, &names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(store.recovery().index_rebuilt, None);
        committed = names.len();
    }
    assert!(committed > 0);
}

#[test]
#[ignore = "a measurement: prints the cost of 1000 commits"]
fn measure_a_thousand_commits() {
    let base = std::env::var_os("TWOPASS_MEASURE_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = TempDir::new_in(base).unwrap();
    let start = std::time::Instant::now();
    let store = fresh(dir.path());
    let opened = start.elapsed();
    (0..1000).for_each(|n| drop(commit(&store, &format!("data/part-{n:05}.parquet"))));
    let committed = start.elapsed() - opened;
    drop(store);
    let start = std::time::Instant::now();
    let store = existing(dir.path());
    eprintln!("create {opened:?}, 1000 commits {committed:?}, reopen {:?}", start.elapsed());
    assert_eq!(store.shard_records().len(), 1000);
}
