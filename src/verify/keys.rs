//! The checks of a split by key: that every stratum is cut in the order of the hash contract, and that no key is on both
//! sides of a cut.
//!
//! The first needs the smallest and largest rank of each stratum in each split. The second compares all keys as 128-bit
//! hashes, partition by partition: the parts are read again for each, so that memory stays the same whatever their size.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::DataType;
use xxhash_rust::xxh3::xxh3_128;

use super::read::PartFormat;
use super::strata::{Strata, by_name};
use super::touched::untouched;
use super::{Check, Status, Subject, parts};
use crate::error::Result;
use crate::hash;
use crate::spec::{OneOrMany, OutputFormat};

/// Keys of one partition, at the most on average: 256 MiB of hashes.
const PARTITION_ROWS: u64 = 1 << 24;
/// A key's hash gives its lowest byte to the number of the split: there are at most 100.
const SPLIT_BITS: u32 = 8;

/// The key columns' positions when their values are the input's, or why they are not.
fn key_columns(job: &Subject<'_>, key: &OneOrMany) -> std::result::Result<Vec<usize>, String> {
    let column = |name: &String| {
        let at = untouched(job, name)?;
        if !PartFormat::reads_back(job.recipe, &job.types[at]) {
            return Err(format!("`{name}` is {}, which text parts do not give back exactly", job.types[at]));
        }
        Ok(at)
    };
    key.as_slice().iter().map(column).collect()
}

/// The ranks of the rows on either side of each cut.
pub(super) struct Ranks<'a> {
    job: &'a Subject<'a>,
    columns: Option<std::result::Result<Vec<usize>, String>>,
    /// Smallest and largest rank, by stratum, then split.
    ranges: Vec<Option<(u64, u64)>>,
    unclear: bool,
}

impl<'a> Ranks<'a> {
    pub(super) fn new(job: &'a Subject<'a>, strata: &Strata<'_>) -> Self {
        let key = job.recipe.split.key.as_ref().filter(|_| job.is_split());
        let columns = key.map(|key| {
            if strata.is_provable() { key_columns(job, key) } else { Err("the rows' strata are not provable".into()) }
        });
        Self { job, columns, ranges: vec![None; strata.len() * job.manifest.splits.len()], unclear: false }
    }

    pub(super) fn add(&mut self, split: usize, batch: &RecordBatch, strata: &[u32]) -> Result<()> {
        let Some(Ok(columns)) = &self.columns else { return Ok(()) };
        let mut fields = Vec::with_capacity(columns.len());
        for &at in columns {
            let array = by_name(self.job, batch, at)?;
            let text = matches!(self.job.recipe.output.format, OutputFormat::Csv | OutputFormat::Tsv)
                && *array.data_type() == DataType::Utf8;
            self.unclear |= text && array.null_count() > 0;
            let mut hashes = Vec::with_capacity(array.len());
            hash::fields(array, &mut hashes)?;
            fields.push(hashes);
        }
        let hashes = match fields.as_slice() {
            [one] => one.clone(),
            several => hash::combine(several),
        };
        let splits = self.job.manifest.splits.len();
        for (stratum, hash) in strata.iter().zip(hashes) {
            let rank = hash::rank(hash, self.job.recipe.split.random_state);
            if let Some(range) = self.ranges.get_mut(*stratum as usize * splits + split) {
                *range = Some(range.map_or((rank, rank), |(low, high)| (low.min(rank), high.max(rank))));
            }
        }
        Ok(())
    }

    pub(super) fn check(&self, complete: bool) -> Option<Check> {
        const NAME: &str = "hash order";
        let columns = self.columns.as_ref()?;
        Some(match columns {
            Err(why) => Check::not_provable(NAME, why),
            Ok(_) if !complete => Check::not_provable(NAME, "not all rows could be read"),
            Ok(_) if self.unclear => {
                Check::not_provable(NAME, "the key has missing values, which CSV does not tell from empty texts")
            }
            Ok(_) => {
                let splits = self.job.manifest.splits.len();
                let cuts = self.ranges.chunks(splits).map(|ranges| {
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

/// All keys, a partition at a time.
pub(super) struct Keys<'a> {
    job: &'a Subject<'a>,
    columns: Option<std::result::Result<Vec<usize>, String>>,
    partitions: u64,
    partition: u64,
    hashes: Vec<u128>,
    buffer: Vec<u8>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(job: &'a Subject<'a>) -> Self {
        // Of the parts: theirs are counted before a second partition is read, so that no figure alone asks for more of them.
        let rows: u64 = parts(job.manifest).map(|(_, part)| part.rows).sum();
        let key = job.recipe.split.key.as_ref().filter(|_| job.is_split());
        let columns = key.map(|key| key_columns(job, key));
        let partitions = rows.div_ceil(PARTITION_ROWS).max(1);
        Self { job, columns, partitions, partition: 0, hashes: Vec::new(), buffer: Vec::new() }
    }

    /// Columns whose values are needed.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.columns.iter().flatten().flatten().copied()
    }

    /// Adds the keys of a batch that are of this partition. A row without any key value has none.
    pub(super) fn add(&mut self, split: usize, batch: &RecordBatch) -> Result<()> {
        let Some(Ok(columns)) = &self.columns else { return Ok(()) };
        let arrays = columns.iter().map(|at| by_name(self.job, batch, *at)).collect::<Result<Vec<_>>>()?;
        let values = arrays.iter().map(|array| key_text(array)).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
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
            let hash = xxh3_128(&self.buffer);
            if (hash >> 64) as u64 % self.partitions == self.partition {
                self.hashes.push(hash >> SPLIT_BITS << SPLIT_BITS | split as u128);
            }
        }
        Ok(())
    }

    /// The check, when the split is by key. `order` is how the check of the hash order ended.
    ///
    /// # Errors
    /// What reading the parts again for the other partitions finds.
    pub(super) fn check(mut self, format: PartFormat, complete: bool, order: Option<Status>) -> Result<Option<Check>> {
        const NAME: &str = "keys";
        let columns = match &self.columns {
            None => return Ok(None),
            Some(Err(why)) => return Ok(Some(Check::not_provable(NAME, why))),
            Some(Ok(_)) if !complete => return Ok(Some(Check::not_provable(NAME, "not all rows could be read"))),
            Some(Ok(columns)) => {
                let mut columns = columns.clone();
                columns.sort_unstable();
                columns.dedup();
                columns
            }
        };
        let (mut distinct, mut shared) = (0, 0);
        loop {
            let (more, both) = count(&mut self.hashes);
            distinct += more;
            shared += both;
            self.partition += 1;
            if self.partition == self.partitions {
                break;
            }
            self.hashes.clear();
            let job = self.job;
            for (split, part) in parts(job.manifest) {
                format.read(job, &part.path, &columns, &mut |batch| self.add(split, batch))?;
            }
        }
        if shared == 0 {
            return Ok(Some(Check::ok(NAME, format!("{distinct} keys, none in two splits"))));
        }
        // Exact counts have to cut between rows of one key, and strata are cut each for itself: the contract allows both.
        let found = format!("{shared} of {distinct} keys are in two splits");
        Ok(Some(match order {
            Some(Status::Ok) => Check::ok(
                NAME,
                format!(
                    "{found}: several rows have them, and exact counts or other strata part these as the hash order says"
                ),
            ),
            Some(Status::Failed) => Check::failed(NAME, found),
            _ => Check::not_provable(NAME, format!("{found}, and whether the hash order says so is not provable")),
        }))
    }
}

/// The values as bytes: the canonical text, and byte strings as they are.
fn key_text(array: &ArrayRef) -> Result<BinaryArray> {
    Ok(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().clone(),
        _ => BinaryArray::from(hash::canonical_text(array)?.into_owned()),
    })
}

/// How many distinct keys there are, and how many of them in more than one split.
fn count(hashes: &mut [u128]) -> (u64, u64) {
    hashes.sort_unstable();
    let runs = hashes.chunk_by(|a, b| a >> SPLIT_BITS == b >> SPLIT_BITS);
    runs.fold((0, 0), |(distinct, shared), run| (distinct + 1, shared + u64::from(run.first() != run.last())))
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_key_counts_as_shared_once_however_often_it_comes() {
        let hash = |key: u128, split: u128| key << 8 | split;
        let mut hashes = vec![hash(9, 0), hash(7, 1), hash(9, 1), hash(9, 2), hash(7, 1), hash(8, 0)];
        assert_eq!(count(&mut hashes), (3, 1));
    }
}
