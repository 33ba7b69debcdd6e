//! A state directory whose files are anything: it opens, repaired, or the error says what is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use twopass::disk::Disk;
use twopass::error::Error;
use twopass::inspect;
use twopass::plan::Plan;
use twopass::scan::ShardSummary;
use twopass::store::frame::{self, Kind};
use twopass::store::{SideFile, StateStore};
use xxhash_rust::xxh3::xxh3_128;

use crate::common::{Numbers, Place};
use crate::corpus;
use crate::mutate::{damaged, fuzz, pick};
use crate::records::Event;

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn read_all(root: &Path) -> Files {
    let entries = walkdir::WalkDir::new(root).sort_by_file_name();
    let files = entries.into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| (entry.path().strip_prefix(root).unwrap().to_path_buf(), fs::read(entry.path()).unwrap()))
        .collect()
}

fn write_all(root: &Path, files: &Files) {
    if root.exists() {
        fs::remove_dir_all(root).unwrap();
    }
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A small state as a job left it.
fn state(place: &Place) -> Files {
    corpus::job(&place.path("job"), [8, 8]);
    read_all(&place.path("job/out.state"))
}

/// Reads all that a state has to say; errors are for the caller to judge.
fn read(root: &Path) -> Result<(), Error> {
    let (store, _) = StateStore::open_existing(&Disk::default(), root)?;
    let _: Option<Plan> = store.load_plan()?;
    for record in store.shard_records() {
        store.read_summary::<ShardSummary>(&record)?.decode_columns()?;
        store.open_ledger(&record)?.verify()?;
    }
    Ok(())
}

fn assert_said(result: Result<(), Error>) {
    match result {
        Ok(()) | Err(Error::Damaged { .. } | Error::Conflict(_)) => {}
        // Damage may make a file of a directory's name: the system's word is the clearest then.
        Err(Error::Io { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_state_of_damaged_files_opens_or_says_why_not() {
    let place = Place::new();
    let (files, root) = (state(&place), place.path("state"));
    let names: Vec<&PathBuf> = files.keys().collect();
    fuzz("state files", |numbers| {
        let mut files = files.clone();
        for _ in 0..=numbers.below(2) {
            let (name, other) = (*pick(numbers, &names), *pick(numbers, &names));
            match numbers.below(8) {
                0 => drop(files.remove(name)),
                1 => drop(files.insert(name.clone(), files.get(other).cloned().unwrap_or_default())),
                2 => drop(files.insert(name.clone(), vec![numbers.next() as u8; numbers.below(5000) as usize])),
                _ => {
                    let bytes = damaged(numbers, files.get(name).map_or(&[], Vec::as_slice), b"2PSF\x00\xff");
                    files.insert(name.clone(), bytes);
                }
            }
        }
        write_all(&root, &files);
        assert_said(read(&root));
        // Opened once, it is repaired: what is left is sound, or said to be damaged as before.
        assert_said(read(&root));
    });
}

/// A sound record of damaged content: what a log, a summary or a plan would be that another version or a mistake wrote.
#[test]
fn a_state_of_sound_records_with_damaged_content_is_read_or_refused() {
    let place = Place::new();
    let (files, root) = (state(&place), place.path("state"));
    let plan = corpus::records("plan").remove(0);
    let summaries = ["shard-0.summary", "shard-1.summary"].map(|name| corpus::records(name).remove(1));
    fuzz("state records", |numbers| {
        write_all(&root, &files);
        let (store, _) = StateStore::open_existing(&Disk::default(), &root).unwrap();
        if numbers.below(2) == 0 {
            let Some(plan) = valid(numbers, |n| {
                let payload = damaged(n, &plan.payload, &plan.payload);
                frame::decode::<Plan>(Kind::Plan, &corpus::sealed(&plan.framed, &payload)).ok()
            }) else {
                return;
            };
            store.save_plan(&plan).unwrap();
        } else {
            let record = pick(numbers, &summaries);
            let Some(summary) = valid(numbers, |n| {
                let payload = damaged(n, &record.payload, &record.payload);
                let sealed = corpus::sealed(&record.framed, &payload);
                frame::decode::<ShardSummary>(Kind::Summary, &sealed).is_ok().then_some(sealed)
            }) else {
                return;
            };
            let known = store.shard_records().remove(0);
            let ledger =
                store.create_ledger(&known.stamp.name, twopass::store::Layout::default()).unwrap().seal().unwrap();
            store.commit_shard(known.stamp, &summary, ledger).unwrap();
        }
        drop(store);
        assert_said(inspect::look(&root).map(drop));
    });
}

/// The first of some attempts that gives something: opening a state costs more than a hundred of them.
fn valid<T>(numbers: &mut Numbers, mut attempt: impl FnMut(&mut Numbers) -> Option<T>) -> Option<T> {
    (0..100).find_map(|_| attempt(numbers))
}

/// The log's entries, in the database itself: it is opened anew, with other entries, as any version could have left it.
#[test]
fn a_log_of_damaged_entries_is_replayed_or_rebuilt() {
    let place = Place::new();
    let (files, root) = (state(&place), place.path("state"));
    let events = corpus::records("events");
    fuzz("log entries", |numbers| {
        let mut files = files.clone();
        files.retain(|name, _| !name.starts_with("index"));
        write_all(&root, &files);
        let log = sled::Config::new().path(root.join("index")).flush_every_ms(None).open().unwrap();
        for at in 0..=numbers.below(4) {
            let (event, other) = (pick(numbers, &events), pick(numbers, &events));
            let sealed = corpus::sealed(&event.framed, &damaged(numbers, &event.payload, &other.payload));
            log.insert(at.to_be_bytes(), sealed).unwrap();
        }
        log.flush().unwrap();
        drop(log);
        assert_said(read(&root));
    });
}

#[test]
fn a_record_that_leads_out_of_the_state_takes_nothing_with_it() {
    let place = Place::new();
    let (mut files, root) = (state(&place), place.path("state"));
    files.retain(|name, _| !name.starts_with("index"));
    write_all(&root, &files);
    let mine = place.path("mine");
    fs::write(&mine, b"mine").unwrap();
    let (store, _) = StateStore::open_existing(&Disk::default(), &root).unwrap();
    let mut record = store.shard_records().remove(0);
    drop(store);
    fs::remove_dir_all(root.join("index")).unwrap();
    record.summary = SideFile { path: "../mine".to_string(), bytes: 4, xxh3: xxh3_128(b"mine") };
    let name = record.stamp.name.clone();
    let log = sled::Config::new().path(root.join("index")).flush_every_ms(None).open().unwrap();
    log.insert(0_u64.to_be_bytes(), frame::encode(Kind::Event, &Event::Shard(record)).unwrap()).unwrap();
    log.flush().unwrap();
    drop(log);
    let (store, _) = StateStore::open_existing(&Disk::default(), &root).unwrap();
    assert_eq!(store.recovery().lost, std::slice::from_ref(&name));
    store.forget_shard(&name).unwrap();
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
}
