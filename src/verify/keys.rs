//! The checks of a split by key: that every stratum is cut in the order of the hash contract, and that no key is on both
//! sides of a cut.
//!
//! The first needs the smallest and largest rank of each stratum in each split. The second compares all keys as 128-bit
//! hashes.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::DataType;
use xxhash_rust::xxh3::xxh3_128;

use super::hashes::Hashes;
use super::places::{NOWHERE, Places};
use super::strata::Strata;
use super::values::{self, Column, Untold};
use super::{Check, Status, Subject};
use crate::error::Result;
use crate::hash;
use crate::spec::SplitKind;

/// The key columns when their values are the input's, or why they are not; nothing when the split has no key.
fn key_columns<'a>(job: &'a Subject<'a>) -> Option<Untold<Vec<Column<'a>>>> {
    let key = job.recipe.split.key.as_ref().filter(|_| job.is_split())?;
    Some(values::columns(job, key, Column::exact))
}

/// Whether rows go to splits by the rank of their key.
fn is_by_key(job: &Subject<'_>) -> bool {
    let split = &job.recipe.split;
    match split.kind {
        SplitKind::Random | SplitKind::Stratified => true,
        SplitKind::Kfold => split.groups.is_none(),
        _ => false,
    }
}

/// The ranks of the rows on either side of each cut.
pub(super) struct Ranks<'a> {
    job: &'a Subject<'a>,
    columns: Option<Untold<Vec<Column<'a>>>>,
    /// Smallest and largest rank, by stratum, then place.
    ranges: Vec<Option<(u64, u64)>>,
    places: usize,
    unclear: bool,
}

impl<'a> Ranks<'a> {
    pub(super) fn new(job: &'a Subject<'a>, strata: &Strata<'_>, places: &Places<'_>) -> Self {
        let columns = key_columns(job).filter(|_| is_by_key(job));
        let columns =
            columns.map(
                |columns| {
                    if strata.is_provable() { columns } else { Err("the rows' strata are not provable".into()) }
                },
            );
        Self { job, columns, ranges: Vec::new(), places: places.names.len(), unclear: false }
    }

    pub(super) fn add(&mut self, places: &[u8], batch: &RecordBatch, strata: &[u32]) -> Result<()> {
        let Some(Ok(columns)) = &self.columns else { return Ok(()) };
        let (hashes, unclear) = values::key_hashes(self.job, columns, batch)?;
        self.unclear |= unclear;
        for ((stratum, place), hash) in strata.iter().zip(places).zip(hashes) {
            let rank = hash::rank(hash, self.job.recipe.split.random_state);
            if *place == NOWHERE || *stratum == u32::MAX {
                continue;
            }
            let at = *stratum as usize * self.places + usize::from(*place);
            if at >= self.ranges.len() {
                self.ranges.resize((*stratum as usize + 1) * self.places, None);
            }
            let range = &mut self.ranges[at];
            *range = Some(range.map_or((rank, rank), |(low, high)| (low.min(rank), high.max(rank))));
        }
        Ok(())
    }

    pub(super) fn check(&self, complete: bool) -> Option<Check> {
        const NAME: &str = "hash order";
        let columns = self.columns.as_ref()?;
        Some(match columns {
            Err(why) => Check::not_provable(NAME, why),
            Ok(_) if !complete => Check::incomplete(NAME),
            Ok(_) if self.unclear => {
                Check::not_provable(NAME, "the key has missing values, which the parts do not tell from others")
            }
            Ok(_) => {
                let cuts = self.ranges.chunks(self.places).map(|ranges| {
                    let held: Vec<_> = ranges.iter().flatten().collect();
                    held.windows(2).filter(|pair| pair[0].1 > pair[1].0).count()
                });
                let wrong: usize = cuts.sum();
                if wrong > 0 {
                    Check::failed(
                        NAME,
                        format!("{wrong} cuts between splits are not where the hash of the key puts them"),
                    )
                } else {
                    Check::ok(NAME, format!("every row is where {} of its key puts it", hash::CONTRACT))
                }
            }
        })
    }
}

/// All keys.
pub(super) struct Keys<'a> {
    job: &'a Subject<'a>,
    columns: Option<Untold<Vec<Column<'a>>>>,
    hashes: Hashes,
    buffer: Vec<u8>,
    distinct: u64,
    shared: u64,
}

impl<'a> Keys<'a> {
    pub(super) fn new(job: &'a Subject<'a>) -> Self {
        let columns = key_columns(job);
        Self { job, columns, hashes: Hashes::new(), buffer: Vec::new(), distinct: 0, shared: 0 }
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.columns.iter().flatten().flatten().map(|column| column.at)
    }

    /// The hashes that it keeps, if any.
    pub(super) fn hashes(&mut self) -> Option<&mut Hashes> {
        matches!(self.columns, Some(Ok(_))).then_some(&mut self.hashes)
    }

    /// Adds the keys of a batch. A row without any key value has none.
    pub(super) fn add(&mut self, places: &[u8], batch: &RecordBatch) -> Result<()> {
        let Some(Ok(columns)) = &self.columns else { return Ok(()) };
        let arrays = columns.iter().map(|column| column.array(self.job, batch)).collect::<Result<Vec<_>>>()?;
        let values = arrays.iter().map(key_text).collect::<Result<Vec<_>>>()?;
        for (row, place) in places.iter().enumerate() {
            if values.iter().all(|array| array.is_null(row)) {
                continue;
            }
            self.buffer.clear();
            for array in &values {
                let value = if array.is_valid(row) { array.value(row) } else { &[] };
                self.buffer.push(u8::from(array.is_valid(row)));
                self.buffer.extend_from_slice(&(value.len() as u64).to_le_bytes());
                self.buffer.extend_from_slice(value);
            }
            self.hashes.add(xxh3_128(&self.buffer), *place);
        }
        Ok(())
    }

    /// Counts the keys of a partition once it was read.
    pub(super) fn finish_partition(&mut self) {
        let Self { hashes, distinct, shared, .. } = self;
        hashes.finish(|places| {
            *distinct += 1;
            *shared += u64::from(places.nth(1).is_some());
        });
    }

    /// The check, when the split is by key. `order` is how the check of the hash order ended.
    pub(super) fn check(&self, complete: bool, order: Option<Status>) -> Option<Check> {
        const NAME: &str = "keys";
        match self.columns.as_ref()? {
            Err(why) => return Some(Check::not_provable(NAME, why)),
            Ok(_) if !complete => return Some(Check::incomplete(NAME)),
            Ok(_) => {}
        }
        let Self { distinct, shared, .. } = self;
        if *shared == 0 {
            return Some(Check::ok(NAME, format!("{distinct} keys, none in two splits")));
        }
        // Exact counts have to cut between rows of one key, and strata are cut each for itself: the contract allows both.
        let found = format!("{shared} of {distinct} keys are in two splits");
        Some(match order {
            _ if !is_by_key(self.job) => Check::not_provable(
                NAME,
                format!("{found}: several rows have them, and rows go to splits by group or time, not by key"),
            ),
            Some(Status::Ok) => Check::ok(
                NAME,
                format!(
                    "{found}: several rows have them, and exact counts or other strata part these as the hash order says"
                ),
            ),
            Some(Status::Failed) => Check::failed(NAME, found),
            _ => Check::not_provable(NAME, format!("{found}, and whether the hash order says so is not provable")),
        })
    }
}

/// The values as bytes: the canonical text, and byte strings as they are.
fn key_text(array: &ArrayRef) -> Result<BinaryArray> {
    Ok(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().clone(),
        _ => BinaryArray::from(hash::canonical_text(array)?.into_owned()),
    })
}
