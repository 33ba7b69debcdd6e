//! Every operation is refused, once and for good, as a failing disk and as a full one; every write is cut short.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use super::common::chain;
use super::faults::{At, EIO, ENOSPC, Fault, disk, parts_of};
use super::scenario::{Place, Scenario, World, in_parallel};

/// What a job may pass over in silence: action, how the path ends, and why it is right to.
const PASSED_OVER: [(&str, &str, &str); 4] = [
    ("Look", "out.state/plan", "it was frozen again all the same, and is saved again"),
    ("Read", "out.state/plan", "likewise"),
    ("Look", ".parquet", "a sealed part that cannot be read is written again"),
    ("RemoveFile", "twopass-lock", "nobody holds it any more, and the next job takes the file that is left"),
];

#[test]
fn an_error_at_any_operation_ends_a_fresh_job_and_the_next_goes_on() {
    errors(Scenario::Fresh);
}

#[test]
fn an_error_at_any_operation_ends_a_job_over_a_changed_input_and_the_next_goes_on() {
    errors(Scenario::Changed);
}

#[test]
fn an_error_at_any_operation_ends_a_job_in_place_of_another_and_the_next_goes_on() {
    errors(Scenario::OtherRecipe);
}

#[test]
fn an_error_at_any_operation_ends_a_job_from_a_complete_state_and_the_next_goes_on() {
    errors(Scenario::Again);
}

#[test]
fn an_error_at_any_operation_ends_a_job_that_splits_groups_and_the_next_goes_on() {
    errors(Scenario::Grouped);
}

#[test]
fn an_error_at_any_operation_ends_a_job_that_is_fitted_on_train_and_the_next_goes_on() {
    errors(Scenario::OnTrain);
}

#[test]
fn an_error_at_any_operation_ends_a_job_that_publishes_in_place_and_the_next_goes_on() {
    errors(Scenario::InPlace);
}

#[test]
fn an_error_at_any_operation_ends_a_job_that_replaces_an_output_in_place_and_the_next_goes_on() {
    errors(Scenario::InPlaceOver);
}

fn errors(scenario: Scenario) {
    let world = World::new();
    let place = world.place(scenario);
    let (watched, seen) = disk(&place.path, None);
    place.run(watched).unwrap();
    place.remove();
    let names = std::mem::take(&mut seen.lock().unwrap().names);
    let points: Vec<(String, Fault)> =
        names.iter().flat_map(|name| faults_for(name).into_iter().map(|fault| (name.clone(), fault))).collect();
    let passed_over = Mutex::new(BTreeSet::new());
    in_parallel(&points, |_, (name, fault)| {
        let place = world.place(scenario);
        let what = format!("{scenario:?}, {fault:?} at {name}");
        let (watched, seen) = disk(&place.path, Some((At::Name(name.clone()), *fault)));
        let result = catch_unwind(AssertUnwindSafe(|| place.run(watched)));
        let result = result.unwrap_or_else(|_| panic!("{what}: a panic"));
        assert!(seen.lock().unwrap().hit(), "{what}: not reached");
        match result {
            // The system may write less than it was asked to; the rest is written then.
            Ok(_) if *fault == Fault::Short => {}
            Ok(_) => {
                passed_over.lock().unwrap().insert(name.clone());
                assert_eq!(place.output().as_ref(), Some(world.expected(scenario)), "{what}");
            }
            Err(error) => assert_named(&place, name, *fault, &chain(&error), &what),
        }
        place.assert_whole(&world, &what);
        place.assert_resumes(&world, &what);
        place.remove();
    });
    let passed_over = passed_over.into_inner().unwrap();
    let unexplained: Vec<_> = passed_over.iter().filter(|name| !is_explained(name)).collect();
    assert!(unexplained.is_empty(), "passed over in silence: {unexplained:#?}");
    eprintln!("{scenario:?}: {} errors at {} operations", points.len(), names.len());
}

fn faults_for(name: &str) -> Vec<Fault> {
    let mut faults = vec![Fault::Fail(EIO), Fault::FailFromHere(EIO)];
    if ["Create", "CreateDir", "Write", "Rename", "append to", "flush"].contains(&parts_of(name).0) {
        faults.extend([Fault::Fail(ENOSPC), Fault::FailFromHere(ENOSPC)]);
    }
    if parts_of(name).0 == "Write" {
        faults.extend([Fault::Short, Fault::ShortThenFull]);
    }
    faults
}

fn is_explained(name: &str) -> bool {
    let (action, path) = parts_of(name);
    PASSED_OVER.iter().any(|(a, end, _)| *a == action && path.to_str().unwrap().ends_with(end))
}

/// An error that happens once names its file; of those that follow each other, any may be told.
fn assert_named(place: &Place, name: &str, fault: Fault, message: &str, what: &str) {
    assert!(!message.contains("panicked"), "{what}: {message}");
    let root = place.path.parent().unwrap();
    assert!(message.contains(root.to_str().unwrap()), "{what}: the error names no path: {message}");
    if let Fault::Fail(code) = fault {
        let system = if code == EIO { "(os error 5)" } else { "(os error 28)" };
        assert!(message.contains(system), "{what}: the cause is lost: {message}");
        let path = place.path.join(parts_of(name).1);
        let named = |path: &Path| message.contains(path.to_str().unwrap());
        assert!(named(&path) || named(&final_name(&path)), "{what}: the error names another path: {message}");
    }
}

/// A file under its temporary name is known by its final one.
fn final_name(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().map(|name| name.to_str().unwrap()).unwrap_or_default();
    let name = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")).unwrap_or(name);
    path.with_file_name(name)
}
