//! `stratified_grouped`: more than one answer is right, so the answer is judged. Groups are whole, the deviation that is
//! told is the true one, nothing that the search may do makes it better, and on tiny tables nothing at all does.

use proptest::prelude::*;
use serde_json::{Value, json};
use twopass::allot::WorstShare;

use super::common::split_oracle::balance::Balance;
use super::common::split_oracle::cuts::Shares;
use super::common::split_oracle::recipe::Settings;
use super::common::split_oracle::{Answer, Data, Fate, settings};
use super::common::table::{Cell, Kind, Table, write_shards};
use super::common::{Place, run};
use super::judge::Output;
use super::random_tables::{case, check};

/// Of so many groups every move and exchange is tried again.
const SMALL: usize = 40;

/// Judges an output, and what the job says of the worst deviation. Says the largest one.
pub fn judge(data: &Data, settings: &Settings, output: &Output, shares: &Shares, told: Option<&WorstShare>) -> f64 {
    let before = data.dropped_before(settings);
    let rows: Vec<usize> = (0..before.len()).filter(|row| before[*row].is_none()).collect();
    let rest = settings.rest_dropped.then_some(settings.sizes.len());
    let groups: Vec<Vec<usize>> = data.groups(&rows, settings).into_values().collect();
    let place_of = |group: &Vec<usize>| {
        let place = output.splits[group[0]].or(rest).expect("a split");
        assert!(group.iter().all(|row| output.splits[*row].or(rest) == Some(place)), "a group is in two splits");
        place
    };
    let splits: Vec<usize> = groups.iter().map(place_of).collect();
    let mut fates: Vec<Fate> = before.iter().map(|why| why.map_or(Fate::Split(0), Fate::Dropped)).collect();
    for (group, split) in groups.iter().zip(&splits) {
        let fate = if rest == Some(*split) { Fate::Dropped("rest") } else { Fate::Split(*split) };
        group.iter().for_each(|row| fates[*row] = fate);
    }
    output.assert_is(&Answer { names: settings.names(), fates });

    let mut classes: Vec<String> = rows.iter().map(|row| data.stratum(*row, &settings.stratify)).collect();
    classes.sort_unstable();
    classes.dedup();
    let count = |group: &Vec<usize>| {
        let mut counts = vec![0; classes.len()];
        for row in group {
            counts[classes.binary_search(&data.stratum(*row, &settings.stratify)).unwrap()] += 1;
        }
        counts
    };
    let balance = Balance::new(groups.iter().map(count).collect(), shares);
    // Groups are in the order of their rank: of those that are alike the first are in the first split.
    for (a, of_a) in balance.groups.iter().enumerate() {
        for (b, of_b) in balance.groups.iter().enumerate().skip(a + 1) {
            assert!(
                of_a != of_b || splits[a] <= splits[b],
                "groups {a} and {b} are alike and not in the order of rank"
            );
        }
    }
    let worth = balance.worth(&splits);
    if groups.len() <= SMALL {
        let improvement = balance.improvement(&splits);
        assert!(improvement.is_none(), "better: {improvement:?}");
    }
    if groups.len() <= 8 && shares.parts.len() <= 3 && !groups.is_empty() {
        let best = balance.best();
        assert!(!best.is_better_than(worth), "{worth:?} where {best:?} can be had");
    }
    match told {
        Some(told) => {
            let names: Vec<&str> = settings.sizes.iter().map(|(name, _)| name.as_str()).chain(["rest"]).collect();
            let split = names.iter().position(|name| *name == told.split).expect("a split");
            // A class of which every row was dropped is off by nothing.
            let class = classes.iter().position(|class| *class == told.class);
            let true_one = class.map_or(0.0, |class| balance.deviations(&splits)[split][class]);
            assert!((told.deviation.abs() - true_one).abs() < 1e-12, "{told:?}, but it is {true_one}");
            assert!((true_one - worth.largest).abs() < 1e-12, "{told:?}, but the worst is {}", worth.largest);
        }
        None => assert!(groups.is_empty(), "the worst deviation is not told"),
    }
    worth.largest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn whole_groups_are_balanced_as_well_as_moves_and_exchanges_can(case in case(&["stratified_grouped"])) {
        check(&case);
    }
}

/// Tiny tables, for which every placement can be tried.
fn tiny() -> impl Strategy<Value = (Vec<Vec<u64>>, Vec<u64>)> {
    let group = prop::collection::vec(prop_oneof![2 => 0u64..5, 1 => 0u64..30], 2..=2);
    let shares =
        prop::sample::select(vec![vec![50, 50], vec![70, 30], vec![60, 20, 20], vec![34, 33, 33], vec![70, 15, 15]]);
    (prop::collection::vec(group, 1..=8), shares)
}

fn split_tiny(groups: &[Vec<u64>], shares: &[u64]) {
    let place = Place::in_memory();
    let mut rows = Vec::new();
    for (group, classes) in groups.iter().enumerate() {
        for (class, count) in classes.iter().enumerate() {
            for _ in 0..*count {
                rows.push(vec![Cell::Int(rows.len() as i64), Cell::Int(group as i64), Cell::Int(class as i64)]);
            }
        }
    }
    let columns = ["row", "group", "class"].map(|name| (name.to_string(), Kind::Int)).to_vec();
    let table = Table { columns, rows };
    write_shards(&place.path("in"), &table.batch(), &[], 1000);
    let sizes = shares.iter().enumerate().map(|(at, share)| (format!("s{at}"), json!(*share as f64 / 100.0)));
    let recipe = json!({
        "input": { "path": place.text("in") },
        "split": { "kind": "stratified_grouped", "groups": "group", "stratify": "class", "sizes": Value::Object(sizes.collect()) },
        "output": { "path": place.text("out") },
    });
    let report = run(&recipe);
    let places: Vec<_> = (0..table.rows.len()).map(|row| ("part-000.parquet".to_string(), row as u64)).collect();
    let settings = settings(&recipe);
    let output = Output::read(&place.path("out"), &settings, places.len());
    let shares = Shares { parts: shares.to_vec(), whole: 100 };
    judge(&Data { table: &table, places: &places }, &settings, &output, &shares, report.worst.as_ref());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn tiny_tables_are_balanced_as_well_as_can_be((groups, shares) in tiny()) {
        split_tiny(&groups, &shares);
    }
}
