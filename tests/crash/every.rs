//! The process is killed at every operation, and once more while the next run recovers from it.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use std::os::unix::process::ExitStatusExt;
use twopass::disk::Disk;

use super::common::Numbers;
use super::faults::{At, Fault, disk};
use super::scenario::{FORK, Place, SCENARIOS, Scenario, World, in_parallel};

/// What the child is to do: scenario, place, operation and fault.
const CHILD: &str = "TWOPASS_CRASH_CHILD";

/// Second deaths for each first one; more by hand.
fn second_deaths() -> usize {
    std::env::var("TWOPASS_CRASH_SECOND_DEATHS").map_or(1, |n| n.parse().unwrap())
}

#[test]
#[ignore = "the process that the next test kills"]
fn child_runs_until_it_is_killed() {
    let Ok(orders) = std::env::var(CHILD) else { return };
    let [scenario, place, fault, at] = orders.split('|').collect::<Vec<_>>()[..] else { panic!("{orders}") };
    let scenario = *SCENARIOS.iter().find(|s| s.name() == scenario).unwrap();
    let place = Place::existing(Path::new(place), scenario);
    let at = at.parse().map_or_else(|_| At::Name(at.to_string()), At::Number);
    let fault = if fault == "half" { Fault::DieHalfway } else { Fault::Die };
    let (disk, _) = disk(&place.path, Some((at, fault)));
    place.run(disk).unwrap();
}

/// Runs the job in a process that is killed; says whether it was.
fn run_and_die(place: &Place, at: &At, fault: Fault) -> bool {
    let at = match at {
        At::Number(number) => number.to_string(),
        At::Name(name) => name.clone(),
    };
    let fault = if fault == Fault::DieHalfway { "half" } else { "die" };
    let orders = format!("{}|{}|{fault}|{at}", place.scenario.name(), place.path.display());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["every::child_runs_until_it_is_killed", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, orders)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let fork = FORK.write().unwrap();
    let child = command.spawn().unwrap();
    drop(fork);
    let output = child.wait_with_output().unwrap();
    let killed = |status: ExitStatus| status.signal() == Some(9);
    assert!(output.status.success() || killed(output.status), "{}", String::from_utf8_lossy(&output.stderr));
    killed(output.status)
}

/// Dies at every operation, or at every so many-th.
fn deaths(scenario: Scenario, every: usize) {
    let world = World::new();
    let place = world.place(scenario);
    let (watched, seen) = disk(&place.path, None);
    place.run(watched).unwrap();
    place.remove();
    let names = std::mem::take(&mut seen.lock().unwrap().names);
    let mut points: Vec<(String, Fault)> = names.iter().map(|name| (name.clone(), Fault::Die)).collect();
    points.extend(names.iter().filter(|name| name.starts_with("Write ")).map(|name| (name.clone(), Fault::DieHalfway)));
    let points: Vec<_> = points.into_iter().step_by(every).collect();
    in_parallel(&points, |n, (name, fault)| {
        let place = world.place(scenario);
        let what = format!("{scenario:?}, {fault:?} at {name}");
        assert!(run_and_die(&place, &At::Name(name.clone()), *fault), "{what}: not reached");
        place.assert_whole(&world, &what);
        let mut forks: Vec<Place> = (0..second_deaths()).map(|k| place.fork(&k.to_string())).collect();
        // The recovery itself, watched for how long it is.
        let total = operations_of_resume(&place);
        place.assert_resumes(&world, &what);
        place.remove();
        let mut numbers = Numbers(n as u64);
        for fork in forks.drain(..) {
            let second = numbers.below(total as u64) as usize;
            let what = format!("{what}, then again at {second} of {total}");
            // Threads take turns: the last few may not be reached.
            run_and_die(&fork, &At::Number(second), Fault::Die);
            fork.assert_whole(&world, &what);
            fork.assert_resumes(&world, &what);
            fork.remove();
        }
    });
    eprintln!("{scenario:?}: {} first deaths, {} second ones", points.len(), points.len() * second_deaths());
}

/// Runs the job to its end and counts.
fn operations_of_resume(place: &Place) -> usize {
    let (watched, seen) = disk(&place.path, None);
    // What it returns is judged by the run after it, which changes nothing.
    let _ = place.run(watched);
    let count = seen.lock().unwrap().names.len();
    count.max(1)
}

#[test]
fn killed_at_any_operation_a_fresh_job_goes_on() {
    deaths(Scenario::Fresh, 1);
}

#[test]
fn killed_at_any_operation_a_job_over_a_changed_input_goes_on() {
    deaths(Scenario::Changed, 1);
}

#[test]
fn killed_at_any_operation_a_job_in_place_of_another_goes_on() {
    deaths(Scenario::OtherRecipe, 1);
}

#[test]
fn killed_at_any_operation_a_job_from_a_complete_state_goes_on() {
    deaths(Scenario::Again, 1);
}

#[test]
fn killed_at_any_operation_a_job_that_replaces_an_output_in_place_goes_on() {
    deaths(Scenario::InPlaceOver, 1);
}

/// Most of what these do to a disk the others do as well.
const SOME: usize = 4;

#[test]
fn killed_at_any_fourth_operation_a_job_that_splits_groups_goes_on() {
    deaths(Scenario::Grouped, SOME);
}

#[test]
fn killed_at_any_fourth_operation_a_job_that_is_fitted_on_train_goes_on() {
    deaths(Scenario::OnTrain, SOME);
}

#[test]
fn a_disk_that_only_looks_changes_nothing() {
    let world = World::new();
    for scenario in SCENARIOS {
        let place = world.place(scenario);
        let (watched, seen) = disk(&place.path, None);
        place.run(watched).unwrap();
        assert_eq!(place.output().as_ref(), Some(world.expected(scenario)));
        assert!(seen.lock().unwrap().names.len() > 50);
        let again = world.place(scenario);
        again.run(Disk::default()).unwrap();
        assert_eq!(again.output(), place.output());
    }
}

#[test]
fn killed_at_any_fourth_operation_a_job_that_publishes_in_place_goes_on() {
    deaths(Scenario::InPlace, SOME);
}
