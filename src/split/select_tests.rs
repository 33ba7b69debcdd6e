//! The boundaries against a sort, with room for everything and with hardly any.

use std::cell::Cell;

use proptest::prelude::*;

use super::super::search::{Search, fixed_bytes};
use super::*;
use crate::error::Error;

/// Rows of a ledger, in the order of positions.
#[derive(Debug, Clone)]
struct Ledger {
    strata: Vec<u32>,
    hashes: Vec<u64>,
    first: u64,
}

impl Ledger {
    fn scan(&self, run: usize) -> impl Fn(&Visit<'_>) -> Result<()> {
        move |visit| {
            let runs = self.strata.chunks(run).zip(self.hashes.chunks(run));
            for (index, (strata, hashes)) in runs.enumerate() {
                visit(strata, hashes, self.first + (index * run) as u64);
            }
            Ok(())
        }
    }

    fn key(&self, row: usize) -> Key {
        Key { hash: self.hashes[row], position: self.first + row as u64 }
    }

    /// The split of every row, by sorting.
    fn sorted(&self, quotas: &Quotas) -> Vec<u8> {
        let mut splits = vec![DROPPED; self.strata.len()];
        for stratum in 0..quotas.strata() {
            let mut rows: Vec<usize> = (0..self.strata.len()).filter(|&r| self.strata[r] as usize == stratum).collect();
            rows.sort_by_key(|&row| self.key(row));
            let quota = quotas.of(stratum).iter().enumerate();
            let wanted = quota.flat_map(|(split, &rows)| std::iter::repeat_n(split as u8, rows as usize));
            rows.into_iter().zip(wanted).for_each(|(row, split)| splits[row] = split);
        }
        splits
    }

    fn route(&self, boundaries: &Boundaries) -> Vec<u8> {
        let mut out = vec![0; self.strata.len()];
        boundaries.route(&self.strata, &self.hashes, self.first, &mut out);
        out
    }
}

/// A ledger of few or many different hashes, and quotas that cut each of its strata at arbitrary ranks.
fn ledger_and_quotas() -> impl Strategy<Value = (Ledger, Quotas)> {
    let hash = prop_oneof![
        any::<u64>().boxed(),
        prop::sample::select(vec![0, 1, 7 << 40, u64::MAX - 1, u64::MAX]).boxed(),
        Just(42).boxed(),
    ];
    let row = (prop_oneof![8 => 0_u32..4, 1 => Just(NO_STRATUM)], hash);
    let rows = prop_oneof![
        prop::collection::vec(row, 0..120).boxed(),
        prop::collection::vec((0_u32..2, Just(u64::MAX)), 0..120).boxed()
    ];
    (rows, 1_usize..8, prop::collection::vec(any::<prop::sample::Index>(), 5 * 6), 0_u64..1 << 41).prop_map(
        |(rows, splits, cuts, first)| {
            let (strata, hashes): (Vec<u32>, Vec<u64>) = rows.into_iter().unzip();
            let mut table = Vec::new();
            for stratum in 0..5 {
                let count = strata.iter().filter(|&&code| code == stratum).count();
                let cuts = &cuts[stratum as usize * 6..][..splits.min(7) - 1];
                let mut ranks: Vec<usize> = cuts.iter().map(|cut| cut.index(count + 1)).collect();
                ranks.sort_unstable();
                ranks.push(count);
                let mut before = 0;
                table.extend(ranks.into_iter().map(|rank| (rank - std::mem::replace(&mut before, rank)) as u64));
            }
            (Ledger { strata, hashes, first }, Quotas::new(splits, table))
        },
    )
}

/// A budget in which nothing can be collected, and each boundary has next to no counters.
fn tight(quotas: &Quotas, counters: u64) -> Arc<Budget> {
    Budget::new(fixed_bytes(quotas) + 8 * counters)
}

proptest! {
    #[test]
    fn every_row_goes_where_a_sort_puts_it((ledger, quotas) in ledger_and_quotas(), run in 1_usize..50) {
        let budget = Budget::new(1 << 30);
        let found = boundaries(&quotas, &budget, ledger.scan(run)).unwrap();
        let expected = ledger.sorted(&quotas);
        prop_assert_eq!(ledger.route(&found), &expected[..]);
        prop_assert_eq!(budget.used(), 0);
        for row in (0..expected.len()).filter(|&row| expected[row] != DROPPED) {
            prop_assert_eq!(found.split_of(ledger.strata[row], ledger.key(row)), usize::from(expected[row]));
        }
    }

    /// Two counters for each boundary are the least; more of them, and then collecting, change nothing.
    #[test]
    fn any_budget_gives_the_same_boundaries((ledger, quotas) in ledger_and_quotas(), more in 0_u64..200) {
        let roomy = boundaries(&quotas, &Budget::new(1 << 30), ledger.scan(64)).unwrap();
        let least = 2 * (quotas.strata() * (quotas.splits() - 1)) as u64;
        let budget = tight(&quotas, least + more);
        prop_assert_eq!(boundaries(&quotas, &budget, ledger.scan(64)).unwrap(), roomy);
        prop_assert!(budget.peak() <= budget.limit());
    }

    #[test]
    fn narrowing_alone_finds_the_boundaries((ledger, quotas) in ledger_and_quotas()) {
        let mut search = Search::new(&quotas);
        let budget = Budget::new(1 << 30);
        let mut readings = 0;
        while !search.is_over() {
            search = search.narrow(&budget, &ledger.scan(64)).unwrap();
            readings += 1;
        }
        let upper = search.into_keys();
        prop_assert_eq!(ledger.route(&Boundaries { splits: quotas.splits(), upper }), ledger.sorted(&quotas));
        prop_assert!(readings <= 10, "{} readings", readings);
    }
}

#[test]
fn a_ledger_without_rows_has_boundaries() {
    let ledger = Ledger { strata: vec![], hashes: vec![], first: 0 };
    for quotas in [Quotas::new(3, vec![]), Quotas::new(3, vec![0; 6]), Quotas::new(1, vec![0])] {
        let found = boundaries(&quotas, &Budget::new(1 << 20), ledger.scan(1)).unwrap();
        assert_eq!(ledger.route(&found), [0_u8; 0]);
    }
}

#[test]
fn strata_of_one_row_and_more_splits_than_that() {
    let ledger = Ledger { strata: vec![0, 1, 2, 3], hashes: vec![u64::MAX, 0, 9, 9], first: 0 };
    let quotas = Quotas::new(4, vec![1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
    let reads = Cell::new(0);
    let scan = ledger.scan(2);
    let found = boundaries(&quotas, &Budget::new(1 << 20), |visit: &Visit<'_>| {
        reads.set(reads.get() + 1);
        scan(visit)
    });
    assert_eq!(ledger.route(&found.unwrap()), [0, 1, 2, 3]);
    assert_eq!(reads.get(), 0, "no boundary lies amid a stratum's rows");
}

#[test]
fn a_budget_for_nothing_is_a_memory_error() {
    let ledger = Ledger { strata: vec![0; 100], hashes: (0..100).collect(), first: 0 };
    let quotas = Quotas::new(2, vec![70, 30]);
    for budget in [Budget::new(10), tight(&quotas, 1)] {
        let error = boundaries(&quotas, &budget, ledger.scan(8)).unwrap_err();
        assert!(matches!(error, Error::Memory { .. }), "{error}");
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn another_ledger_than_the_counted_is_an_error() {
    let quotas = Quotas::new(2, vec![70, 30]);
    let ledgers = [
        Ledger { strata: vec![0; 99], hashes: (0..99).collect(), first: 0 },
        Ledger { strata: vec![0; 101], hashes: (0..101).collect(), first: 0 },
        Ledger { strata: [vec![0; 100], vec![1]].concat(), hashes: (0..101).collect(), first: 0 },
    ];
    for ledger in ledgers {
        for budget in [Budget::new(1 << 20), tight(&quotas, 4)] {
            let error = boundaries(&quotas, &budget, ledger.scan(8)).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
        }
    }
}

#[test]
fn boundaries_survive_serialisation() {
    let found = Boundaries { splits: 2, upper: vec![Key::FIRST, Key { hash: 3, position: 9 }, Key::END] };
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Boundaries>(&text).unwrap(), found);
}

/// A ledger of so many rows of so many strata, its quotas, and how often finding their boundaries reads it.
fn readings(rows: u64, strata: u64, hash: impl Fn(u64) -> u64) -> usize {
    let hashes = (0..rows).map(hash).collect();
    let ledger = Ledger { strata: (0..rows).map(|row| (row % strata) as u32).collect(), hashes, first: 0 };
    let count = |stratum| rows / strata + u64::from(stratum < rows % strata);
    let quotas = Quotas::new(3, (0..strata).flat_map(|c| [count(c) / 2, 5, count(c) - count(c) / 2 - 5]).collect());
    let reads = Cell::new(0);
    let scan = ledger.scan(65_536);
    let found = boundaries(&quotas, &Budget::new(1 << 29), |visit: &Visit<'_>| {
        reads.set(reads.get() + 1);
        scan(visit)
    });
    assert_eq!(ledger.route(&found.unwrap()), ledger.sorted(&quotas));
    reads.get()
}

/// A bijection that spreads numbers evenly, but not as evenly as a multiple of them.
fn even(row: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&row.to_le_bytes())
}

#[test]
fn even_hashes_are_read_once_however_many_rows_and_strata() {
    assert_eq!(readings(5_000_000, 3, even), 1);
    assert_eq!(readings(1_000_000, 500, even), 1);
    assert_eq!(readings(20_000, 3, even), 1);
}

#[test]
fn hashes_where_nobody_guesses_them_are_narrowed_and_then_collected() {
    assert_eq!(readings(5_000_000, 3, |row| even(row) >> 8), 3);
    assert_eq!(readings(100_000, 3, |row| even(row) >> 8), 2);
}

proptest! {
    /// Runs that arrive in any order leave the same boundaries.
    #[test]
    fn any_order_of_runs_gives_the_same_boundaries(
        (ledger, quotas) in ledger_and_quotas(), run in 1_usize..50, turn in any::<prop::sample::Index>(), even in any::<bool>(),
    ) {
        let hashes = ledger.hashes.iter().map(|hash| if even { self::even(*hash) } else { *hash }).collect();
        let ledger = Ledger { hashes, ..ledger };
        let turned = |visit: &Visit<'_>| {
            let runs: Vec<_> = ledger.strata.chunks(run).zip(ledger.hashes.chunks(run)).enumerate().collect();
            let turn = if runs.is_empty() { 0 } else { turn.index(runs.len()) };
            for (index, (strata, hashes)) in runs[turn..].iter().chain(&runs[..turn]) {
                visit(strata, hashes, ledger.first + (index * run) as u64);
            }
            Ok(())
        };
        let found = boundaries(&quotas, &Budget::new(1 << 30), turned).unwrap();
        prop_assert_eq!(ledger.route(&found), ledger.sorted(&quotas));
    }
}
