use std::fs;
use std::path::Path;

use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

use super::{AppendFile, Disk, temporary_name};
use crate::error::Error;

fn names(dir: &Path) -> Vec<String> {
    Disk::default().list_if_any(dir).unwrap().unwrap()
}

#[test]
fn a_file_has_its_name_only_once_it_is_complete() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("part-00000.parquet");
    let mut file = AppendFile::create(&Disk::default(), &path).unwrap();
    file.append(b"ab").unwrap();
    std::io::Write::write_all(&mut file, b"c").unwrap();
    assert_eq!(names(dir.path()), [".part-00000.parquet.tmp"]);
    let finished = file.finish().unwrap();
    assert_eq!(names(dir.path()), [".part-00000.parquet.tmp"]);
    let sealed = finished.publish().unwrap();
    assert_eq!(names(dir.path()), ["part-00000.parquet"]);
    assert_eq!((sealed.bytes, sealed.xxh3), (3, xxh3_128(b"abc")));
    assert_eq!(Disk::default().read(&sealed.path).unwrap(), b"abc");
}

#[test]
fn a_file_given_up_is_gone_and_a_leftover_is_replaced() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("plan");
    let mut file = AppendFile::create(&Disk::default(), &path).unwrap();
    file.append(b"x").unwrap();
    drop(file.finish().unwrap());
    assert!(names(dir.path()).is_empty());
    fs::write(temporary_name(&path), b"left over and longer").unwrap();
    Disk::default().write_durably(&path, b"new").unwrap();
    Disk::default().write_durably(&path, b"newer").unwrap();
    assert_eq!(Disk::default().read(&path).unwrap(), b"newer");
    assert_eq!(names(dir.path()), ["plan"]);
}

#[test]
fn a_staged_directory_replaces_nothing_but_an_empty_one() {
    let dir = TempDir::new().unwrap();
    let (staged, target) = (dir.path().join("staged"), dir.path().join("a/b/out"));
    Disk::default().create_dir_all(&staged.join("train")).unwrap();
    Disk::default().create_dir_all(&target).unwrap();
    fs::write(target.join("mine"), b"").unwrap();
    assert!(matches!(Disk::default().publish_dir(&staged, &target), Err(Error::Io { .. })));
    Disk::default().remove_file(&target.join("mine")).unwrap();
    Disk::default().publish_dir(&staged, &target).unwrap();
    assert_eq!(names(&target), ["train"]);
    assert!(!staged.exists());
}

#[test]
fn what_is_not_there_is_removed_already() {
    let dir = TempDir::new().unwrap();
    let absent = dir.path().join("absent");
    Disk::default().remove_file(&absent).unwrap();
    Disk::default().remove_dir_all(&absent).unwrap();
    assert_eq!(Disk::default().read_if_any(&absent).unwrap(), None);
    assert_eq!(Disk::default().length_if_any(&absent).unwrap(), None);
    assert_eq!(Disk::default().list_if_any(&absent).unwrap(), None);
    let error = Disk::default().read(&absent).unwrap_err().to_string();
    assert_eq!(error, format!("cannot read {}", absent.display()));
}

#[test]
fn a_file_in_the_way_of_a_directory_is_an_error() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(Disk::default().create_dir_all(&file), Err(Error::Io { .. })));
    assert!(matches!(Disk::default().create_dir_all(&file.join("below")), Err(Error::Io { .. })));
}
