//! The laws of the rounding, and its totals against every table there is.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Sizes that sum to 1 by construction, from whole weights.
fn shares(weights: &[u64]) -> Shares {
    Shares::reduced(weights.to_vec())
}

fn floor_and_rest(shares: &Shares, split: usize, rows: u64) -> (u64, u64) {
    let product = u128::from(rows) * u128::from(shares.parts[split]);
    ((product / u128::from(shares.whole)) as u64, (product % u128::from(shares.whole)) as u64)
}

fn obeys_the_laws(strata: &[u64], shares: &Shares, quotas: &Quotas) {
    assert_eq!(quotas.strata(), strata.len());
    for (&rows, quota) in strata.iter().zip(quotas.iter()) {
        assert_eq!(quota.iter().sum::<u64>(), rows, "a stratum's rows");
        for (split, &taken) in quota.iter().enumerate() {
            let (floor, rest) = floor_and_rest(shares, split, rows);
            assert!(taken == floor || (rest > 0 && taken == floor + 1), "{taken} is no rounding of {floor} + {rest}");
        }
    }
    let all = strata.iter().sum();
    for (split, total) in quotas.totals().into_iter().enumerate() {
        let (floor, rest) = floor_and_rest(shares, split, all);
        assert!(total == floor || (rest > 0 && total == floor + 1), "total {total} is no rounding of {floor} + {rest}");
    }
}

/// Splits in the order in which they are rounded up.
fn order(shares: &Shares, rows: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..shares.splits()).collect();
    order.sort_by_key(|&split| std::cmp::Reverse(floor_and_rest(shares, split, rows).1));
    order
}

fn largest_remainder(shares: &Shares, rows: u64) -> Vec<u64> {
    let mut totals: Vec<u64> = (0..shares.splits()).map(|split| floor_and_rest(shares, split, rows).0).collect();
    let left = rows - totals.iter().sum::<u64>();
    order(shares, rows).into_iter().take(left as usize).for_each(|split| totals[split] += 1);
    totals
}

/// The totals of every table whose cells are roundings and whose strata are whole.
fn all_totals(strata: &[u64], shares: &Shares) -> BTreeSet<Vec<u64>> {
    let mut all = BTreeSet::from([vec![0; shares.splits()]]);
    for &rows in strata {
        let mut grown = BTreeSet::new();
        for up in 0_u32..1 << shares.splits() {
            let cell = |split| {
                let (floor, rest) = floor_and_rest(shares, split, rows);
                let more = u64::from(up >> split & 1);
                (more == 0 || rest > 0).then_some(floor + more)
            };
            let Some(quota) = (0..shares.splits()).map(cell).collect::<Option<Vec<u64>>>() else { continue };
            if quota.iter().sum::<u64>() == rows {
                grown
                    .extend(all.iter().map(|totals| totals.iter().zip(&quota).map(|(a, b)| a + b).collect::<Vec<_>>()));
            }
        }
        all = grown;
    }
    all
}

/// Of all possible totals that are roundings, those that round up the splits that come first in order.
fn best_totals(strata: &[u64], shares: &Shares) -> Vec<u64> {
    let rows = strata.iter().sum();
    let order = order(shares, rows);
    let up = |totals: &Vec<u64>| -> Option<Vec<u64>> {
        let ups = order.iter().map(|&split| {
            let (floor, rest) = floor_and_rest(shares, split, rows);
            totals[split].checked_sub(floor).filter(|&more| more <= u64::from(rest > 0))
        });
        ups.collect()
    };
    all_totals(strata, shares).into_iter().filter(|totals| up(totals).is_some()).max_by_key(up).unwrap()
}

fn distance(shares: &Shares, totals: &[u64]) -> u128 {
    let rows: u64 = totals.iter().sum();
    let exact = |split: usize| u128::from(rows) * u128::from(shares.parts[split]);
    totals.iter().enumerate().map(|(s, &n)| (u128::from(n) * u128::from(shares.whole)).abs_diff(exact(s))).sum()
}

/// Gives the units of every stratum to the first splits that can hold them.
fn pile_up(units: &mut Units) {
    units.held.fill(0);
    for cells in units.cells.chunks_exact_mut(units.splits) {
        let mut left = cells.iter().filter(|cell| **cell == Cell::Held).count();
        for (cell, held) in cells.iter_mut().zip(&mut units.held).filter(|(cell, _)| **cell != Cell::Whole) {
            *cell = if left > 0 { Cell::Held } else { Cell::Free };
            *held += u64::from(left > 0);
            left = left.saturating_sub(1);
        }
    }
}

proptest! {
    #[test]
    fn every_table_obeys_the_laws(
        strata in prop::collection::vec(prop_oneof![0_u64..40, 0_u64..1_000_000], 0..60),
        weights in prop::collection::vec(1_u64..60, 1..13),
    ) {
        let shares = shares(&weights);
        obeys_the_laws(&strata, &shares, &quotas(&strata, &shares));
    }

    #[test]
    fn totals_are_the_best_of_all_tables(
        strata in prop::collection::vec(0_u64..25, 0..5),
        weights in prop::collection::vec(prop_oneof![1_u64..4, 1_u64..20], 1..7),
    ) {
        let shares = shares(&weights);
        let found = quotas(&strata, &shares);
        obeys_the_laws(&strata, &shares, &found);
        prop_assert_eq!(found.totals(), best_totals(&strata, &shares));
    }

    #[test]
    fn no_possible_total_is_nearer(
        strata in prop::collection::vec(0_u64..25, 0..5),
        weights in prop::collection::vec(1_u64..12, 4..7),
    ) {
        let shares = shares(&weights);
        let ours = distance(&shares, &quotas(&strata, &shares).totals());
        let rounded = |totals: &Vec<u64>| {
            let rows = totals.iter().sum();
            totals.iter().enumerate().all(|(split, &total)| {
                let (floor, rest) = floor_and_rest(&shares, split, rows);
                total == floor || (rest > 0 && total == floor + 1)
            })
        };
        for totals in all_totals(&strata, &shares).iter().filter(|totals| rounded(totals)) {
            prop_assert!(ours <= distance(&shares, totals));
        }
    }

    /// The hand-out is nearly always within the bounds by itself, so the repair is given a table that is far from them.
    #[test]
    fn any_start_is_repaired_to_the_same_totals(
        strata in prop::collection::vec(0_u64..500, 0..40),
        weights in prop::collection::vec(1_u64..30, 2..9),
    ) {
        let shares = shares(&weights);
        let mut floors = Vec::new();
        let mut units = Units::hand_out(&strata, &shares, &mut floors);
        pile_up(&mut units);
        units.settle_totals();
        units.favour_largest_remainders();
        let more = units.cells.iter().map(|cell| u64::from(*cell == Cell::Held));
        let repaired = Quotas::new(shares.splits(), floors.iter().zip(more).map(|(floor, more)| floor + more).collect());
        obeys_the_laws(&strata, &shares, &repaired);
        prop_assert_eq!(repaired.totals(), quotas(&strata, &shares).totals());
    }

    #[test]
    fn three_splits_are_always_the_largest_remainder(
        strata in prop::collection::vec(0_u64..1000, 0..40),
        weights in prop::collection::vec(1_u64..30, 1..4),
    ) {
        let shares = shares(&weights);
        prop_assert_eq!(quotas(&strata, &shares).totals(), largest_remainder(&shares, strata.iter().sum()));
    }

    #[test]
    fn one_stratum_is_the_largest_remainder(rows in 0_u64..1 << 40, weights in prop::collection::vec(1_u64..99, 1..12)) {
        let shares = shares(&weights);
        prop_assert_eq!(quotas(&[rows], &shares).totals(), largest_remainder(&shares, rows));
    }
}

#[test]
fn strata_can_forbid_the_largest_remainder() {
    let shares = Shares::new(&[0.4, 0.4, 0.05, 0.05, 0.05, 0.05]).unwrap();
    let strata = [1, 5];
    assert_eq!(largest_remainder(&shares, 6), [3, 3, 0, 0, 0, 0]);
    let found = quotas(&strata, &shares);
    obeys_the_laws(&strata, &shares, &found);
    assert_eq!(found.totals(), [3, 2, 1, 0, 0, 0]);
}

#[test]
fn decimals_are_exact() {
    assert_eq!(Shares::new(&[0.7, 0.2, 0.1]).unwrap(), shares(&[7, 2, 1]));
    assert_eq!(Shares::new(&[1.0 - 0.3, 0.1 + 0.2]).unwrap(), shares(&[7, 3]), "a float's noise is no share");
    assert_eq!(Shares::new(&[0.3333333333; 3]).unwrap(), shares(&[1, 1, 1]));
    assert_eq!(Shares::new(&[1.0 / 3.0, 2.0 / 3.0]).unwrap().whole, 1_000_000_000_000_000);
    assert_eq!(Shares::new(&[0.333_333, 0.333_333, 0.333_334]).unwrap(), shares(&[333_333, 333_333, 333_334]));
    assert_eq!(Shares::new(&[1.0]).unwrap(), Shares::equal(1).unwrap());
    assert_eq!(quotas(&[10], &Shares::new(&[1.0, 0.0]).unwrap()).of(0), [10, 0]);
}

#[test]
fn bad_shares_are_refused() {
    for sizes in [&[][..], &[0.5], &[0.7, 0.4], &[-0.5, 1.5], &[f64::NAN, 1.0], &[f64::INFINITY], &[0.5, 0.500_000_002]]
    {
        assert!(matches!(Shares::new(sizes), Err(Error::Recipe(_))), "{sizes:?}");
    }
    assert!(Shares::equal(0).is_err());
    assert!(Shares::equal(200).is_ok());
    assert!(Shares::equal(256).is_err());
}

#[test]
fn the_largest_counts_do_not_overflow() {
    let shares = Shares::new(&[0.123_456_789_012_345, 0.876_543_210_987_655]).unwrap();
    let strata = [u64::MAX / 2, u64::MAX / 2];
    obeys_the_laws(&strata, &shares, &quotas(&strata, &shares));
}

#[test]
fn a_hundred_thousand_strata_come_out_exact() {
    let shares = shares(&[30, 25, 20, 10, 5, 4, 2, 1, 1, 1, 1]);
    let strata: Vec<u64> = (0..100_000_u64).map(|c| c.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54).collect();
    let found = quotas(&strata, &shares);
    obeys_the_laws(&strata, &shares, &found);
    assert_eq!(found.totals(), largest_remainder(&shares, strata.iter().sum()));
    assert_eq!(found, quotas(&strata, &shares));
}
