//! Pass one's results while shards are added, in any order: nothing here depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use hashbrown::HashMap;

use crate::engine::Engine;
use crate::error::Result;
use crate::memory::Reservation;
use crate::plan::Merged;
use crate::roles::Roles;
use crate::scan::{Collect, ColumnSummary, ShardSummary};
use crate::source::text::Skipped;
use crate::state::VocabularyNeed;
use crate::strata::{self, Stratum};

/// Strata of single shards that are kept over all shards; more are read from the state again.
const MOST_KEPT_STRATA: usize = 1 << 24;

/// What the shards that were added have in all.
#[derive(Default)]
pub(super) struct Merging {
    schema: Option<SchemaRef>,
    columns: Vec<ColumnSummary>,
    /// For each column, whether the plan will hold all its values.
    encoded: Vec<bool>,
    /// Number of every stratum, in order of arrival, and its rows at that number.
    strata: HashMap<Vec<Option<String>>, u32>,
    strata_rows: Vec<u64>,
    /// Bytes of the strata's values.
    strata_bytes: usize,
    missing_label: u64,
    /// Of each shard that has some: how many records were left out, and the first.
    skipped: BTreeMap<usize, (u64, Skipped)>,
    /// Rows of each shard that was added, by position, the hash of its file where it is known, and what its ledger has.
    rows: BTreeMap<usize, (u64, Option<u128>, Roles)>,
    /// The numbers of each shard's strata, by position; none once they are too many to be kept.
    shard_codes: Option<BTreeMap<usize, Vec<u32>>>,
    kept_codes: usize,
    /// For the columns and strata: what was merged stays until the plan is frozen.
    held: Option<Reservation>,
}

impl Merging {
    pub(super) fn restart_if_other(&mut self, schema: &SchemaRef, collect: &Collect) {
        if self.schema.as_ref() != Some(schema) {
            *self = Self {
                shard_codes: Some(BTreeMap::new()),
                schema: Some(Arc::clone(schema)),
                columns: collect.empty_columns(),
                encoded: collect.needs.iter().map(|need| *need != VocabularyNeed::Count).collect(),
                ..Self::default()
            };
        }
    }

    pub(super) fn has(&self, shard: usize) -> bool {
        self.rows.contains_key(&shard)
    }

    /// Adds what was learned of a shard; [`Merging::hold`] says whether there is room for it.
    pub(super) fn add(&mut self, shard: usize, summary: &ShardSummary, columns: Vec<ColumnSummary>) -> Result<()> {
        for (merged, column) in self.columns.iter_mut().zip(columns) {
            merged.merge(column)?;
        }
        let codes: Vec<u32> = summary.strata.iter().map(|stratum| self.add_stratum(stratum)).collect();
        self.missing_label += summary.missing_label;
        if let Some(first) = summary.skipped.first() {
            self.skipped.insert(shard, (summary.skipped.len() as u64 + summary.untold, first.clone()));
        }
        self.kept_codes += codes.len();
        match &mut self.shard_codes {
            Some(kept) if self.kept_codes <= MOST_KEPT_STRATA => {
                kept.insert(shard, codes);
            }
            _ => (self.shard_codes, self.kept_codes) = (None, 0),
        }
        self.rows.insert(shard, (summary.rows, summary.content, summary.basis.roles()));
        Ok(())
    }

    fn add_stratum(&mut self, stratum: &Stratum) -> u32 {
        let Stratum { values, rows } = stratum;
        let next = self.strata_rows.len() as u32;
        let number = *self.strata.entry_ref(values.as_slice()).or_insert(next);
        if number == next {
            self.strata_rows.push(0);
            self.strata_bytes += values.iter().map(|value| value.as_ref().map_or(0, String::len) + 64).sum::<usize>();
        }
        self.strata_rows[number as usize] += rows;
        number
    }

    /// Counts what was merged against the budget, and what the plan will make of it: categories with their codes, and the
    /// tables that find them, take half as much again as the vocabulary that they come from.
    pub(super) fn hold(&mut self, engine: &Engine<'_>) -> Result<()> {
        let bytes = |(column, encoded): (&ColumnSummary, &bool)| match encoded {
            true => column.heap_bytes() * 5 / 2,
            false => column.heap_bytes(),
        };
        let columns: usize = self.columns.iter().zip(&self.encoded).map(bytes).sum();
        // Twice the strata: they are ordered once all are known.
        let bytes = (columns + 2 * self.strata_bytes + self.kept_codes * size_of::<u32>()) as u64;
        let what = "the statistics of all shards";
        match &mut self.held {
            Some(held) => held.resize(what, bytes),
            None => engine.budget.reserve(what, bytes).map(|held| self.held = Some(held)),
        }
    }

    /// The hashes of the shards' files, and all that was merged: the strata in order, and all codes of them.
    pub(super) fn finish(self, collect: &Collect) -> (Vec<Option<u128>>, Merged) {
        let types: Vec<DataType> =
            collect.stratify.iter().map(|&at| collect.schema.field(at).data_type().clone()).collect();
        let number = |(values, number): (Vec<Option<String>>, u32)| {
            (Stratum { values, rows: self.strata_rows[number as usize] }, number)
        };
        // Sorted below, by an order without ties.
        let mut strata: Vec<(Stratum, u32)> = self.strata.into_iter().map(number).collect();
        let order = strata::order(&types);
        strata.sort_unstable_by(|(a, _), (b, _)| order(a, b));
        let mut positions = vec![0; strata.len()];
        strata.iter().zip(0..).for_each(|((_, number), position)| positions[*number as usize] = position);
        let positioned = |mut codes: Vec<u32>| {
            codes.iter_mut().for_each(|code| *code = positions[*code as usize]);
            codes
        };
        let contents = self.rows.values().map(|(_, content, _)| *content).collect();
        let (shard_rows, shard_roles): (Vec<u64>, Vec<Roles>) =
            self.rows.into_values().map(|(rows, _, roles)| (rows, roles)).unzip();
        let merged = Merged {
            columns: self.columns,
            strata: strata.into_iter().map(|(stratum, _)| stratum).collect(),
            stratify: types.clone(),
            missing_label: self.missing_label,
            skipped: self.skipped,
            rows: shard_rows.iter().sum(),
            shard_rows,
            shard_roles,
            shard_codes: self.shard_codes.map(|codes| codes.into_values().map(positioned).collect()),
            _held: self.held,
        };
        (contents, merged)
    }
}
