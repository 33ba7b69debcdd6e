//! 128-bit hashes of rows with the place of each, a partition of the hash space at a time: the parts are read again for every
//! partition, so that memory stays the same whatever their size.

/// Rows of one partition of all tables, at the most on average: 256 MiB of hashes.
const PARTITION_ROWS: u64 = 1 << 24;
/// A hash gives its lowest byte to the number of the row's place.
const PLACE_BITS: u32 = 8;

/// How many partitions so many rows are looked at in, by so many tables at once.
pub(super) fn partitions(rows: u64, tables: usize) -> u64 {
    rows.div_ceil(PARTITION_ROWS / tables.max(1) as u64).max(1)
}

/// The hashes of one partition.
pub(super) struct Hashes {
    partitions: u64,
    partition: u64,
    entries: Vec<u128>,
}

impl Hashes {
    pub(super) fn new() -> Self {
        Self { partitions: 1, partition: 0, entries: Vec::new() }
    }

    /// Begins with the first of so many partitions.
    pub(super) fn part(&mut self, partitions: u64) {
        self.partitions = partitions;
    }

    /// Whether the first partition is looked at: what is counted row by row is counted now.
    pub(super) fn is_first(&self) -> bool {
        self.partition == 0
    }

    /// Adds a row, if it is of this partition.
    pub(super) fn add(&mut self, hash: u128, place: u8) {
        if self.partitions == 1 || (hash >> 64) as u64 % self.partitions == self.partition {
            self.entries.push(hash >> PLACE_BITS << PLACE_BITS | u128::from(place));
        }
    }

    /// Visits the rows of each hash, their places rising, and goes on to the next partition.
    pub(super) fn finish(&mut self, mut visit: impl FnMut(&mut dyn Iterator<Item = u8>)) {
        self.entries.sort_unstable();
        for run in self.entries.chunk_by(|a, b| a >> PLACE_BITS == b >> PLACE_BITS) {
            visit(&mut run.iter().map(|entry| *entry as u8));
        }
        self.entries.clear();
        self.partition += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Hashes;

    #[test]
    fn every_hash_is_visited_once_with_all_its_places_in_any_number_of_partitions() {
        let rows: Vec<(u128, u8)> = (0..1000_u128).map(|row| ((row % 37) << 66, (row % 5) as u8)).collect();
        for partitions in [1, 2, 7] {
            let mut hashes = Hashes::new();
            hashes.part(partitions);
            let (mut runs, mut seen) = (0, 0);
            for _ in 0..partitions {
                rows.iter().for_each(|(hash, place)| hashes.add(*hash, *place));
                hashes.finish(|places| {
                    let places: Vec<u8> = places.collect();
                    assert!(places.is_sorted() && places.len() >= 27);
                    (runs, seen) = (runs + 1, seen + places.len());
                });
            }
            assert_eq!((runs, seen), (37, 1000));
        }
    }
}
