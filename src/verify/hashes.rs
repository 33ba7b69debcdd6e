//! 128-bit hashes of rows with the place of each, a partition of the hash space at a time: the parts are read again for every
//! partition, so that memory stays the same whatever their size. Rows of one hash and place take no more room than one.

/// Different hashes of one partition of all tables together, at the most on average: 192 MiB, and half as much again until rows of
/// one hash are put together.
const PARTITION_ROWS: u64 = 1 << 23;
/// A hash gives its lowest byte to the number of the row's place.
const PLACE_BITS: u32 = 8;

/// How many partitions so many rows are looked at in, by so many tables at once.
pub(super) fn partitions(rows: u64, tables: usize) -> u64 {
    rows.div_ceil(PARTITION_ROWS / tables.max(1) as u64).max(1)
}

/// Rows of one hash in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    high: u64,
    /// With the place in its lowest bits.
    low: u64,
    rows: u64,
}

impl Entry {
    fn key(&self) -> (u64, u64) {
        (self.high, self.low)
    }

    fn hash(&self) -> (u64, u64) {
        (self.high, self.low >> PLACE_BITS)
    }
}

/// The hashes of one partition.
pub(super) struct Hashes {
    partitions: u64,
    partition: u64,
    entries: Vec<Entry>,
    /// Entries at which those of one hash are put together.
    limit: usize,
}

impl Hashes {
    pub(super) fn new() -> Self {
        Self::with_limit(PARTITION_ROWS as usize * 3 / 2)
    }

    fn with_limit(limit: usize) -> Self {
        Self { partitions: 1, partition: 0, entries: Vec::new(), limit }
    }

    /// Begins with the first of so many partitions, for one of so many tables.
    pub(super) fn part(&mut self, partitions: u64, tables: usize) {
        self.partitions = partitions;
        self.limit /= tables.max(1);
    }

    /// Whether the first partition is looked at: what is counted row by row is counted now.
    pub(super) fn is_first(&self) -> bool {
        self.partition == 0
    }

    /// Adds a row, if it is of this partition.
    pub(super) fn add(&mut self, hash: u128, place: u8) {
        let high = (hash >> 64) as u64;
        if self.partitions > 1 && high % self.partitions != self.partition {
            return;
        }
        if self.entries.len() == self.limit {
            self.put_together();
            // Hashes are even, so a partition that is larger than it should be is that by a little.
            self.limit = self.limit.max(self.entries.len() + self.entries.len() / 4 + 1);
        }
        self.entries.push(Entry { high, low: hash as u64 >> PLACE_BITS << PLACE_BITS | u64::from(place), rows: 1 });
    }

    fn put_together(&mut self) {
        self.entries.sort_unstable_by_key(Entry::key);
        self.entries.dedup_by(|next, kept| {
            let is_same = next.key() == kept.key();
            kept.rows += if is_same { next.rows } else { 0 };
            is_same
        });
    }

    /// Visits the rows of each hash, as places, rising, with their rows, and goes on to the next partition.
    pub(super) fn finish(&mut self, mut visit: impl FnMut(&mut dyn Iterator<Item = (u8, u64)>)) {
        self.put_together();
        for run in self.entries.chunk_by(|a, b| a.hash() == b.hash()) {
            visit(&mut run.iter().map(|entry| (entry.low as u8, entry.rows)));
        }
        self.entries.clear();
        self.partition += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Hashes;

    #[test]
    fn every_hash_is_visited_once_with_all_its_rows_in_any_number_of_partitions() {
        let rows: Vec<(u128, u8)> = (0..1000_u128).map(|row| ((row % 37) << 66, (row % 5) as u8)).collect();
        for (partitions, limit) in [(1, 2000), (2, 2000), (7, 2000), (1, 1), (1, 100), (3, 64)] {
            let mut hashes = Hashes::with_limit(limit);
            hashes.part(partitions, 1);
            let (mut runs, mut seen) = (0, 0);
            for _ in 0..partitions {
                rows.iter().for_each(|(hash, place)| hashes.add(*hash, *place));
                assert!(hashes.entries.len() <= limit.max(37 * 5 + 37 * 5 / 4 + 1));
                hashes.finish(|places| {
                    let (places, rows): (Vec<u8>, Vec<u64>) = places.unzip();
                    assert_eq!(places, [0, 1, 2, 3, 4]);
                    (runs, seen) = (runs + 1, seen + rows.iter().sum::<u64>());
                });
            }
            assert_eq!((runs, seen), (37, 1000), "{partitions} partitions, {limit} at once");
        }
    }
}
