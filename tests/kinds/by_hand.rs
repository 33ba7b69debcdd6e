//! The oracle itself, on cases small enough to work out on paper.

use serde_json::{Value, json};

use super::common::calendar;
use super::common::split_oracle::balance::Balance;
use super::common::split_oracle::cuts::{Shares, ends_after_floors, ends_at_nearest, totals};
use super::common::split_oracle::{Data, Fate, settings};
use super::common::table::{Cell, Kind, Table};

fn shares(parts: &[u64], whole: u64) -> Shares {
    Shares { parts: parts.to_vec(), whole }
}

#[test]
fn totals_are_by_largest_remainder_and_the_earlier_of_two() {
    assert_eq!(totals(1003, &shares(&[70, 15, 15], 100)), [702, 151, 150]);
    assert_eq!(totals(10, &shares(&[1; 4], 4)), [3, 3, 2, 2]);
    assert_eq!(totals(0, &shares(&[1; 4], 4)), [0; 4]);
    assert_eq!(totals(7, &shares(&[3, 4], 7)), [3, 4]);
}

#[test]
fn a_split_ends_where_the_rows_before_are_nearest() {
    // Before the groups: 0, 1, 10. Nearest to 9 is 10, nearest to 10 is 10.
    assert_eq!(ends_at_nearest(&[1, 9], &[9, 1]), [2, 2]);
    // 0, 4, 6, 8: 5 is as near to 4 as to 6, and the earlier counts.
    assert_eq!(ends_at_nearest(&[4, 2, 2], &[5, 3]), [1, 3]);
    assert_eq!(ends_at_nearest(&[5], &[2, 2, 1]), [0, 1, 1]);
    assert_eq!(ends_at_nearest(&[], &[0, 0]), [0, 0]);
}

#[test]
fn customers_are_cut_after_floors_and_the_last_takes_the_others() {
    // 10 customers: 0.55 of them are 5, 0.8 are 8.
    assert_eq!(ends_after_floors(10, &shares(&[55, 25, 20], 100)), [5, 8, 10]);
    assert_eq!(ends_after_floors(3, &shares(&[1; 4], 4)), [0, 1, 2, 3]);
}

#[test]
fn the_calendar_knows_leap_years_zones_and_decimals() {
    assert_eq!(calendar::day(1970, 1, 1), 0);
    assert_eq!(calendar::day(2000, 3, 1) - calendar::day(2000, 2, 28), 2);
    assert_eq!(calendar::parse("2024-11-01"), 1_730_419_200_000_000);
    assert_eq!(calendar::parse("2024-11-01T12:00:00+01:00"), calendar::parse("2024-11-01 11:00"));
    assert_eq!(calendar::parse("1969-12-31T23:59:59.5Z"), -500_000);
    assert_eq!(calendar::parse("2024-11-01T12:00:00-0730"), calendar::parse("2024-11-01T19:30"));
    assert_eq!(calendar::span("36h"), calendar::DAY * 3 / 2);
    for text in ["1969-02-28", "2000-02-29", "2024-12-31", "1904-01-01"] {
        assert_eq!(calendar::date(calendar::parse(text) / calendar::DAY), text);
    }
    assert_eq!(calendar::time(-500_000), "1969-12-31T23:59:59.500000");
}

#[test]
fn worth_is_the_largest_deviation_and_then_the_squares() {
    // Class 0 has 4 rows, class 1 has 2; split 0 gets 3 and 2 of them, its share is a half.
    let balance = Balance::new(vec![vec![3, 2], vec![1, 0]], &shares(&[1, 1], 2));
    let worth = balance.worth(&[0, 1]);
    assert_eq!(worth.largest, 0.5);
    assert_eq!(worth.squares, 2.0 * (0.0625 + 0.25));
    let balance = Balance::new(vec![vec![2], vec![1], vec![1]], &shares(&[1, 1], 2));
    assert_eq!(balance.worth(&[0, 1, 1]).largest, 0.0);
    assert_eq!(balance.best().largest, 0.0);
    assert!(balance.improvement(&[0, 1, 1]).is_none());
    assert!(balance.improvement(&[0, 0, 1]).is_some());
}

/// Rows in one shard: a customer, a day and an amount.
fn table(rows: &[(Option<&str>, Option<i64>, Option<f64>)]) -> Table {
    let row = |(customer, day, amount): &(Option<&str>, Option<i64>, Option<f64>)| {
        vec![
            customer.map_or(Cell::Missing, Cell::text),
            day.map_or(Cell::Missing, Cell::Int),
            amount.map_or(Cell::Missing, Cell::Float),
        ]
    };
    let columns = [("customer", Kind::Text), ("day", Kind::Int), ("amount", Kind::Float)];
    let columns = columns.map(|(name, kind)| (name.to_string(), kind)).to_vec();
    Table { columns, rows: rows.iter().map(row).collect() }
}

/// What becomes of each row: the name of its split, or in brackets why it is in none.
fn fates(table: &Table, recipe: &Value) -> Vec<String> {
    let places: Vec<(String, u64)> = (0..table.rows.len()).map(|row| ("one.csv".into(), row as u64)).collect();
    let answer = Data { table, places: &places }.decide(&settings(recipe), |_| panic!("no strata")).unwrap();
    let show = |fate: &Fate| match fate {
        Fate::Split(at) => answer.names[*at].clone(),
        Fate::Dropped(reason) => format!("({reason})"),
    };
    answer.fates.iter().map(show).collect()
}

#[test]
fn of_a_key_the_first_in_order_is_kept_and_a_row_without_order_only_if_it_is_alone() {
    let table = table(&[
        (Some("a"), Some(3), None),
        (Some("a"), Some(1), None),
        (Some("a"), Some(1), None),
        (Some("a"), None, None),
        (Some("b"), None, None),
        (Some("b"), None, None),
        (None, Some(1), None),
        (None, Some(1), None),
    ]);
    let with = |dedupe: Value| fates(&table, &json!({ "split": { "kind": "none" }, "dedupe": dedupe }));
    let kept = |rows: &[usize]| -> Vec<String> {
        (0..8).map(|row| if rows.contains(&row) { "data" } else { "(duplicate)" }.to_string()).collect()
    };
    assert_eq!(with(json!({ "key": "customer", "order_by": "day" })), kept(&[1, 4, 6, 7]));
    assert_eq!(with(json!({ "key": "customer", "order_by": "day", "keep": "last" })), kept(&[0, 5, 6, 7]));
    assert_eq!(with(json!({ "key": "customer" })), kept(&[0, 4, 6, 7]));
    assert_eq!(with(json!({ "key": "customer", "keep": "last" })), kept(&[3, 5, 6, 7]));
    // 1 comes twice: the last of them in the order of rows.
    let equal = super::by_hand::table(&[(Some("a"), Some(1), None), (Some("a"), Some(1), None)]);
    let recipe = json!({ "dedupe": { "key": "customer", "order_by": "day", "keep": "last" } });
    assert_eq!(fates(&equal, &recipe), ["(duplicate)", "data"]);
}

#[test]
fn times_are_cut_whole_at_the_place_that_is_nearest() {
    // Days 1, 1, 2, 2, 2, 3: 0, 2, 5 or 6 rows are older; a half of six is three, nearest to two.
    let rows: Vec<_> = [2, 1, 3, 2, 1, 2].map(|day| (None, Some(day), None)).to_vec();
    let recipe =
        json!({ "split": { "kind": "temporal_quantile", "time": "day", "sizes": { "old": 0.5, "new": 0.5 } } });
    assert_eq!(fates(&table(&rows), &recipe), ["new", "old", "new", "new", "old", "new"]);
}

#[test]
fn customers_of_train_are_not_in_oot_and_the_gap_is_in_nothing() {
    let table = table(&[
        (Some("a"), Some(1), None),
        (Some("b"), Some(1), None),
        (Some("a"), Some(8), None),
        (Some("c"), Some(8), None),
        (Some("a"), Some(10), None),
        (Some("b"), Some(10), None),
        (Some("c"), Some(11), None),
        (None, Some(11), None),
        (Some("c"), None, None),
    ]);
    let mut recipe = json!({ "split": {
        "kind": "temporal", "groups": "customer", "time": "day", "cutoff": 10, "gap": 3, "sizes": { "train": 0.5, "val": 0.5 },
    } });
    let fates_of = |recipe: &Value| fates(&table, recipe);
    let got = fates_of(&recipe);
    // One of a and b is in train, as their hashes want it.
    let (train, val) = if got[0] == "train" { (0, 1) } else { (1, 0) };
    assert_eq!((got[train].as_str(), got[val].as_str()), ("train", "val"));
    assert_eq!((got[4 + train].as_str(), got[4 + val].as_str()), ("(oot_excluded)", "oot"));
    let others: Vec<&str> = [2, 3, 6, 7, 8].map(|row| got[row].as_str()).to_vec();
    assert_eq!(others, ["(gap)", "(gap)", "oot", "(missing_group)", "(missing_time)"]);
    recipe["split"]["missing_groups"] = json!("own");
    recipe["split"]["oot_exclude"] = json!(["train", "val"]);
    let got = fates_of(&recipe);
    assert_eq!(got[4..8], ["(oot_excluded)", "(oot_excluded)", "oot", "oot"]);
}

#[test]
fn a_whole_group_goes_where_its_hash_says() {
    let rows: Vec<_> = ["a", "b", "a", "c", "b", "a"].map(|customer| (Some(customer), None, None)).to_vec();
    let recipe = json!({ "split": { "kind": "grouped", "groups": "customer", "sizes": { "x": 0.5, "y": 0.5 } } });
    let got = fates(&table(&rows), &recipe);
    // XXH3_64 with seed 42 of the little-endian XXH3_128 of the letters, by the package xxhash of Python: 2239888460704466035
    // for c, 10560253945813503877 for a, 11731169321121460860 for b. None, one, four and six rows are before these places;
    // three are wanted.
    assert_eq!(got, ["x", "y", "x", "x", "y", "x"]);
}
