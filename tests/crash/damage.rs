//! Damage of any kind to any file of a state: noticed, and only what is lost is done again.

use std::fs;
use std::path::{Path, PathBuf};

use twopass::disk::Disk;
use twopass::job::Report;
use xxhash_rust::xxh3::Xxh3;

use super::common::{Numbers, chain};
use super::faults::{At, EIO, Fault, disk};
use super::scenario::{Place, Scenario, World, in_parallel, tree};

/// Damaged states; more by hand.
fn states() -> u64 {
    std::env::var("TWOPASS_DAMAGED_STATES").map_or(600, |n| n.parse().unwrap())
}

/// A place whose job was done, and whose output was taken away.
fn done(world: &World) -> Place {
    let place = world.place(Scenario::Fresh);
    place.run(Disk::default()).unwrap();
    fs::remove_dir_all(place.path.join("out")).unwrap();
    place
}

/// A place whose job failed somewhere.
fn interrupted(world: &World, numbers: &mut Numbers) -> Place {
    let place = world.place(Scenario::Fresh);
    let at = 60 + numbers.below(120) as usize;
    let (failing, _) = disk(&place.path, Some((At::Number(at), Fault::FailFromHere(EIO))));
    let _ = place.run(failing);
    if place.output().is_some() {
        fs::remove_dir_all(place.path.join("out")).unwrap();
    }
    place
}

/// The files of the state but the lock, which nobody reads.
fn files(place: &Place) -> Vec<PathBuf> {
    let state = place.path.join("out.state");
    let all = tree(&state).unwrap_or_default();
    all.into_keys().filter(|name| !name.ends_with('/') && name != "lock").map(|name| state.join(name)).collect()
}

/// Does something bad to a file and says what.
fn damage(path: &Path, other: &Path, numbers: &mut Numbers) -> String {
    let mut bytes = fs::read(path).unwrap();
    let at = numbers.below(bytes.len().max(1) as u64) as usize;
    // The beginning is where headers are, and most of a database file is empty.
    let early = at.min(numbers.below(200) as usize);
    let what = match numbers.below(9) {
        0 => {
            fs::remove_file(path).unwrap();
            return format!("{} removed", path.display());
        }
        1 => {
            bytes.truncate(at);
            format!("cut to {at} bytes")
        }
        2 => {
            bytes.truncate(early);
            format!("cut to {early} bytes")
        }
        3 if !bytes.is_empty() => {
            bytes[at] ^= 1 << numbers.below(8);
            format!("a bit flipped at {at}")
        }
        4 if !bytes.is_empty() => {
            bytes[early] ^= 1 << numbers.below(8);
            format!("a bit flipped at {early}")
        }
        5 => {
            let end = (at + 512).min(bytes.len());
            bytes[at..end].fill(0);
            format!("zeros at {at}")
        }
        6 => {
            bytes.iter_mut().for_each(|byte| *byte = numbers.next() as u8);
            "noise".to_string()
        }
        7 => {
            bytes = fs::read(other).unwrap();
            format!("the bytes of {}", other.display())
        }
        _ => {
            bytes.extend((0..1 + early).map(|_| numbers.next() as u8));
            "longer".to_string()
        }
    };
    fs::write(path, bytes).unwrap();
    format!("{} {what}", path.display())
}

#[test]
fn damage_to_any_file_of_a_state_costs_a_scan_at_most() {
    let world = World::new();
    let seeds: Vec<u64> = (0..states()).collect();
    in_parallel(&seeds, |_, seed| {
        let mut numbers = Numbers(*seed);
        let place = if seed % 3 == 0 { interrupted(&world, &mut numbers) } else { done(&world) };
        let mut what = format!("state {seed}");
        for _ in 0..=numbers.below(3) {
            let files = files(&place);
            let Some(path) = files.get(numbers.below(files.len().max(1) as u64) as usize) else { break };
            // Both gone, nothing says that the directory is ours: then it is left alone, which the next test shows.
            let marks = ["identity", "README"];
            if what.contains(marks[0]) && path.ends_with(marks[1])
                || what.contains(marks[1]) && path.ends_with(marks[0])
            {
                continue;
            }
            let other = &files[numbers.below(files.len() as u64) as usize];
            what += &format!("; {}", damage(path, other, &mut numbers));
        }
        place.assert_resumes(&world, &what);
        place.remove();
    });
}

fn rescanned(place: &Place) -> (Report, usize) {
    let report = place.run(Disk::default()).unwrap_or_else(|e| panic!("{}", chain(&e)));
    let again = report.shards - report.reused_shards;
    (report, again)
}

#[test]
fn damage_to_the_files_of_one_shard_costs_the_scan_of_that_shard() {
    let world = World::new();
    for end in ["summary", "ledger"] {
        for kind in 0..4 {
            let place = done(&world);
            let path = files(&place).into_iter().find(|path| path.extension().is_some_and(|e| e == end)).unwrap();
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            match kind {
                0 => bytes.truncate(middle),
                1 => bytes[middle] ^= 1,
                2 => bytes.clear(),
                _ => bytes = other_version(&bytes),
            }
            fs::write(&path, bytes).unwrap();
            assert_eq!(rescanned(&place).1, 1, "{end}, damage {kind}");
            assert_eq!(place.output().as_ref(), Some(world.expected(Scenario::Fresh)));
            place.remove();
        }
    }
}

/// A file as a later version would have written it: its first record or header is intact, and of another version.
fn other_version(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.starts_with(b"2PSL") {
        bytes[4] += 1;
        return bytes;
    }
    assert!(bytes.starts_with(b"2PSF"));
    bytes[6] += 1;
    let stored = u64::from_le_bytes(bytes[8..16].try_into().unwrap()) as usize;
    let mut digest = Xxh3::new();
    digest.update(&bytes[..24]);
    digest.update(&bytes[40..40 + stored]);
    let checksum = digest.digest128().to_le_bytes();
    bytes[24..40].copy_from_slice(&checksum);
    bytes
}

#[test]
fn records_of_another_version_are_not_taken_for_ours() {
    let world = World::new();
    for (name, again) in [("identity", 4), ("plan", 0)] {
        let place = done(&world);
        let path = place.path.join("out.state").join(name);
        fs::write(&path, other_version(&fs::read(&path).unwrap())).unwrap();
        assert_eq!(rescanned(&place).1, again, "{name}");
        assert_eq!(place.output().as_ref(), Some(world.expected(Scenario::Fresh)));
        place.remove();
    }
}

#[test]
fn a_lost_index_costs_no_scan() {
    let world = World::new();
    let place = done(&world);
    let index = place.path.join("out.state/index");
    for way in 0..3 {
        match way {
            0 => fs::remove_dir_all(&index).unwrap(),
            1 => fs::write(index.join("db"), b"not a database").unwrap(),
            _ => {
                fs::remove_dir_all(&index).unwrap();
                fs::write(&index, b"in the way").unwrap();
            }
        }
        assert_eq!(rescanned(&place).1, 0, "{way}");
        assert_eq!(place.output().as_ref(), Some(world.expected(Scenario::Fresh)));
        fs::remove_dir_all(place.path.join("out")).unwrap();
    }
}

/// `scan` does not read ledgers: what `write` finds damaged, it takes out of the state, so that `scan` scans it again.
#[test]
fn what_write_finds_damaged_scan_scans_again() {
    let world = World::new();
    let place = done(&world);
    let path = files(&place).into_iter().find(|path| path.extension().is_some_and(|e| e == "ledger")).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[60] ^= 1;
    fs::write(&path, bytes).unwrap();
    let silent = &twopass::observe::Silent;
    let refused = place.job().write(silent).unwrap_err();
    assert!(chain(&refused).contains("run `twopass scan` first"), "{}", chain(&refused));
    assert_eq!(place.job().scan(silent).unwrap().reused_shards, 3);
    place.job().write(silent).unwrap();
    assert_eq!(place.output().as_ref(), Some(world.expected(Scenario::Fresh)));
}

#[test]
fn what_nothing_marks_as_ours_is_left_alone() {
    let world = World::new();
    let place = done(&world);
    let state = place.path.join("out.state");
    fs::write(state.join("identity"), b"noise").unwrap();
    fs::write(state.join("README"), b"noise").unwrap();
    let before = tree(&state).unwrap();
    let refused = place.run(Disk::default()).unwrap_err();
    assert_eq!(refused.exit_code(), 4, "{refused}");
    assert!(tree(&state).unwrap() == before);
}
