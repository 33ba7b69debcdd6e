//! Which row goes where, by docs/splits.md and nothing else: all rows in memory, every question answered the long way.
//! Nothing of the engine is called. Two things have more than one right answer, and are the caller's to give or to judge:
//! the quotas of strata, and which whole groups balance the classes best (`balance.rs`).

pub mod balance;
pub mod cuts;
pub mod recipe;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128, xxh3_128_with_seed};

use super::calendar;
use super::oracle::{key_hash, rank_hash};
use super::table::{Cell, Table};

use cuts::{ends_after_floors, ends_at_nearest, totals};
use recipe::{Keep, Kind, Settings};

/// Where a row ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// In the split at this place of [`Answer::names`].
    Split(usize),
    /// In none, for this reason.
    Dropped(&'static str),
}

/// Where every row ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The splits in their order; with a fold column, the folds.
    pub names: Vec<String>,
    pub fates: Vec<Fate>,
}

impl Answer {
    pub fn rows_of(&self, split: usize) -> Vec<usize> {
        (0..self.fates.len()).filter(|row| self.fates[*row] == Fate::Split(split)).collect()
    }

    /// Rows by reason, as the manifest has them.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        let mut dropped = BTreeMap::new();
        for fate in &self.fates {
            if let Fate::Dropped(reason) = fate {
                *dropped.entry((*reason).to_string()).or_default() += 1;
            }
        }
        dropped
    }
}

/// A table that lies in shards: every row's shard and number there, in the order of shards and rows.
pub struct Data<'a> {
    pub table: &'a Table,
    pub places: &'a [(String, u64)],
}

/// The quotas of each stratum, by its name: rows of each split, a last one for the rest.
pub type Quotas = BTreeMap<String, Vec<u64>>;

impl Data<'_> {
    fn cells(&self, row: usize, columns: &[String]) -> Vec<&Cell> {
        columns.iter().map(|name| &self.table.rows[row][self.table.position(name)]).collect()
    }

    pub fn key_hash(&self, row: usize, settings: &Settings) -> u64 {
        let (shard, number) = &self.places[row];
        key_hash(&self.cells(row, &settings.key), shard, *number)
    }

    fn lacks(&self, row: usize, columns: &[String]) -> bool {
        self.cells(row, columns).iter().any(|cell| cell.is_missing())
    }

    /// The class or stratum of a row as the manifest names it.
    pub fn stratum(&self, row: usize, columns: &[String]) -> String {
        let shown = self.cells(row, columns).into_iter().map(|cell| cell.canonical().unwrap_or("(missing)".into()));
        shown.collect::<Vec<_>>().join("|")
    }

    /// Hash of the row's group: of its value, of its values, or of its own key.
    pub fn group(&self, row: usize, settings: &Settings) -> u128 {
        if settings.groups.is_empty() || self.lacks(row, &settings.groups) {
            return xxh3_128_with_seed(&self.key_hash(row, settings).to_le_bytes(), 1);
        }
        let field = |cell: &Cell| xxh3_128(cell.canonical().unwrap().as_bytes());
        match self.cells(row, &settings.groups)[..] {
            [one] => field(one),
            ref several => xxh3_128(&several.iter().flat_map(|cell| field(cell).to_le_bytes()).collect::<Vec<_>>()),
        }
    }

    /// The time of a row: nanoseconds, or the integer itself.
    fn time(&self, row: usize, settings: &Settings) -> Option<i128> {
        match self.cells(row, std::slice::from_ref(settings.time.as_ref().unwrap()))[0] {
            Cell::Missing => None,
            Cell::Int(time) => Some(i128::from(*time)),
            Cell::Date(days) => Some(i128::from(*days) * i128::from(calendar::DAY) * 1000),
            Cell::Time(micros) => Some(i128::from(*micros) * 1000),
            Cell::Text(text) => Some(i128::from(calendar::parse(text)) * 1000),
            Cell::Bool(_) | Cell::Float(_) => panic!("no time"),
        }
    }

    /// Of every row, why it is dropped before the split, if it is.
    pub fn dropped_before(&self, settings: &Settings) -> Vec<Option<&'static str>> {
        let by_time = matches!(settings.kind, Kind::Temporal | Kind::TemporalQuantile);
        let reason = |row: usize| {
            if settings.label.as_ref().is_some_and(|label| self.lacks(row, std::slice::from_ref(label))) {
                Some("missing_label")
            } else if by_time && self.time(row, settings).is_none() {
                Some("missing_time")
            } else if settings.is_grouped() && !settings.missing_groups_own && self.lacks(row, &settings.groups) {
                Some("missing_group")
            } else {
                None
            }
        };
        let mut reasons: Vec<_> = (0..self.places.len()).map(reason).collect();
        if let Some(keep) = &settings.dedupe {
            for row in self.duplicates(keep, &reasons) {
                reasons[row] = Some("duplicate");
            }
        }
        reasons
    }

    /// All rows but one of each key.
    fn duplicates(&self, keep: &Keep, reasons: &[Option<&'static str>]) -> Vec<usize> {
        let mut by_key: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        for row in (0..reasons.len()).filter(|row| reasons[*row].is_none() && !self.lacks(*row, &keep.key)) {
            let key = self.cells(row, &keep.key).into_iter().map(|cell| cell.canonical().unwrap()).collect();
            by_key.entry(key).or_default().push(row);
        }
        let mut duplicates = Vec::new();
        for (_, rows) in by_key {
            let ordered: Vec<usize> = rows.iter().copied().filter(|row| !self.lacks(*row, &keep.order_by)).collect();
            // Rows without a value are in the order of shards and rows; so are those with equal values, as sorting keeps it.
            let mut candidates = if ordered.is_empty() { rows.clone() } else { ordered };
            if !self.lacks(candidates[0], &keep.order_by) {
                candidates.sort_by(|a, b| {
                    let pairs = self.cells(*a, &keep.order_by).into_iter().zip(self.cells(*b, &keep.order_by));
                    pairs.map(|(a, b)| compare(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
                });
            }
            let kept = if keep.last { candidates[candidates.len() - 1] } else { candidates[0] };
            duplicates.extend(rows.into_iter().filter(|row| *row != kept));
        }
        duplicates
    }

    /// The groups of these rows by rank.
    pub fn groups(&self, rows: &[usize], settings: &Settings) -> BTreeMap<u64, Vec<usize>> {
        let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut hashes = BTreeSet::new();
        for row in rows {
            let hash = self.group(*row, settings);
            hashes.insert(hash);
            groups.entry(xxh3_64_with_seed(&hash.to_le_bytes(), settings.random_state)).or_default().push(*row);
        }
        assert_eq!(groups.len(), hashes.len(), "two groups of one rank");
        groups
    }

    /// Where every row ends, or why the job is refused. `quotas` is asked for those of a stratified split; the answer for
    /// `stratified_grouped` is not found here.
    pub fn decide(
        &self,
        settings: &Settings,
        quotas: impl FnOnce(&BTreeMap<String, u64>) -> Quotas,
    ) -> Result<Answer, String> {
        let before = self.dropped_before(settings);
        let mut fates: Vec<Fate> = before.iter().map(|why| why.map_or(Fate::Split(0), Fate::Dropped)).collect();
        let rows: Vec<usize> = (0..before.len()).filter(|row| before[*row].is_none()).collect();
        match settings.kind {
            Kind::None => {}
            Kind::Random => {
                let shares = settings.shares(rows.len() as u64)?;
                let totals = BTreeMap::from([(String::new(), totals(rows.len() as u64, &shares))]);
                self.by_rank(&rows, &[], &totals, settings, &mut fates);
            }
            Kind::Stratified => {
                settings.shares(rows.len() as u64)?;
                let mut counts: BTreeMap<String, u64> = BTreeMap::new();
                rows.iter().for_each(|row| *counts.entry(self.stratum(*row, &settings.stratify)).or_default() += 1);
                self.by_rank(&rows, &settings.stratify, &quotas(&counts), settings, &mut fates);
            }
            Kind::Grouped => {
                let groups: Vec<Vec<usize>> = self.groups(&rows, settings).into_values().collect();
                let weights = settings.weights(&groups, false);
                let all = weights.iter().sum();
                let ends = ends_at_nearest(&weights, &totals(all, &settings.shares(all)?));
                put(&groups, &ends, &mut fates);
            }
            Kind::StratifiedGrouped => {
                settings.shares(rows.len() as u64)?;
                panic!("there is more than one answer: see `balance`");
            }
            Kind::Temporal => self.temporal(&rows, settings, &mut fates)?,
            Kind::TemporalQuantile => {
                let mut times: BTreeMap<i128, Vec<usize>> = BTreeMap::new();
                rows.iter().for_each(|row| times.entry(self.time(*row, settings).unwrap()).or_default().push(*row));
                let times: Vec<Vec<usize>> = times.into_values().collect();
                let weights: Vec<u64> = times.iter().map(|rows| rows.len() as u64).collect();
                let totals = totals(rows.len() as u64, &settings.shares(rows.len() as u64)?);
                put(&times, &ends_at_nearest(&weights, &totals), &mut fates);
            }
        }
        let names = settings.names();
        let rest = Fate::Split(settings.sizes.len());
        if settings.rest_dropped {
            fates.iter_mut().filter(|fate| **fate == rest).for_each(|fate| *fate = Fate::Dropped("rest"));
        }
        // After the rest, so that a split of out-of-time rows and the rest are not one.
        fates.iter_mut().filter(|fate| **fate == OOT).for_each(|fate| *fate = Fate::Split(settings.sizes.len()));
        Ok(Answer { names, fates })
    }

    /// Rows of every stratum by rank, the first to the first split.
    fn by_rank(&self, rows: &[usize], stratify: &[String], quotas: &Quotas, settings: &Settings, fates: &mut [Fate]) {
        let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        rows.iter().for_each(|row| members.entry(self.stratum(*row, stratify)).or_default().push(*row));
        for (stratum, mut rows) in members {
            rows.sort_by_key(|row| (rank_hash(self.key_hash(*row, settings), settings.random_state), *row));
            let mut rows = rows.into_iter();
            for (split, quota) in quotas[&stratum].iter().enumerate() {
                rows.by_ref().take(*quota as usize).for_each(|row| fates[row] = Fate::Split(split));
            }
            assert_eq!(rows.next(), None, "stratum {stratum}: more rows than places");
        }
    }

    /// How many rows or groups there are that sizes are shares of.
    pub fn countable(&self, settings: &Settings) -> u64 {
        let before = self.dropped_before(settings);
        let rows: Vec<usize> = (0..before.len()).filter(|row| before[*row].is_none()).collect();
        match settings.kind {
            Kind::Temporal => {
                let groups: Vec<_> = self.groups(&self.before_gap(&rows, settings), settings).into_values().collect();
                settings.weights(&groups, true).iter().sum()
            }
            Kind::Grouped => {
                let groups: Vec<_> = self.groups(&rows, settings).into_values().collect();
                settings.weights(&groups, false).iter().sum()
            }
            _ => rows.len() as u64,
        }
    }

    /// Those of the rows that are older than the cutoff and the gap before it.
    fn before_gap(&self, rows: &[usize], settings: &Settings) -> Vec<usize> {
        let (cutoff, gap) = settings.cutoff.unwrap();
        rows.iter().copied().filter(|row| self.time(*row, settings).unwrap() < cutoff - gap).collect()
    }

    fn temporal(&self, rows: &[usize], settings: &Settings, fates: &mut [Fate]) -> Result<(), String> {
        let (cutoff, gap) = settings.cutoff.unwrap();
        let time = |row: usize| self.time(row, settings).unwrap();
        let old = self.before_gap(rows, settings);
        let customers: Vec<Vec<usize>> = self.groups(&old, settings).into_values().collect();
        let weights = settings.weights(&customers, true);
        let all = weights.iter().sum();
        let shares = settings.shares(all)?;
        let ends = match settings.counts_groups(true) {
            true => ends_after_floors(all, &shares),
            false => ends_at_nearest(&weights, &totals(all, &shares)),
        };
        put(&customers, &ends, fates);
        for (at, (name, _)) in settings.sizes.iter().enumerate() {
            if old.iter().all(|row| fates[*row] != Fate::Split(at)) {
                return Err(format!("{name} has no rows"));
            }
        }
        let excluded: BTreeSet<u128> = match settings.groups.is_empty() {
            true => BTreeSet::new(),
            false => {
                let is_excluded = |row: &&usize| settings.oot_exclude.iter().any(|at| fates[**row] == Fate::Split(*at));
                old.iter().filter(is_excluded).map(|row| self.group(*row, settings)).collect()
            }
        };
        for row in rows.iter().copied().filter(|row| time(*row) >= cutoff - gap) {
            fates[row] = match time(row) {
                early if early < cutoff => Fate::Dropped("gap"),
                _ if excluded.contains(&self.group(row, settings)) => Fate::Dropped("oot_excluded"),
                _ => OOT,
            };
        }
        Ok(())
    }
}

/// Out of time, until the splits before it are known.
const OOT: Fate = Fate::Split(usize::MAX);

/// Puts the rows of the groups before each end into its split.
fn put(groups: &[Vec<usize>], ends: &[usize], fates: &mut [Fate]) {
    let mut first = 0;
    for (split, end) in ends.iter().enumerate() {
        for row in groups[first..*end].iter().flatten() {
            fates[*row] = Fate::Split(split);
        }
        first = *end;
    }
    assert_eq!(first, groups.len(), "a group is in no split");
}

/// Numbers by value, text by bytes, false before true.
fn compare(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
        (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
        (Cell::Float(a), Cell::Float(b)) => a.partial_cmp(b).unwrap(),
        (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
        (Cell::Time(a), Cell::Time(b)) => a.cmp(b),
        _ => panic!("{a:?} and {b:?} in one column"),
    }
}

/// The settings of a recipe.
pub fn settings(recipe: &Value) -> Settings {
    Settings::read(recipe)
}
