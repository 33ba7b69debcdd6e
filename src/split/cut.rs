//! Where one split ends and the next begins, when rows of one rank stay together: at the rank that is nearest to the rows that the
//! splits are to have.

/// Finds the ends of the splits; ranks are pushed in their order.
#[derive(Debug)]
pub struct Cuts {
    /// For each split but the last, how much it and those before it are to have.
    targets: Vec<u64>,
    ends: Vec<Option<u64>>,
    /// For each end, how many groups are before it.
    groups: Vec<u64>,
    /// Weight and number of all groups before the open rank.
    before: (u64, u64),
    /// The rank that is being added to, its weight and its groups.
    open: Option<(u64, u64, u64)>,
    /// Targets that end where the rank that comes begins.
    at_next: usize,
}

/// Where the splits end.
#[derive(Debug, PartialEq, Eq)]
pub struct Ends {
    /// For each split but the last, the first rank that is beyond it; nothing where none is.
    pub ranks: Vec<Option<u64>>,
    /// Groups of each split.
    pub groups: Vec<u64>,
}

impl Cuts {
    /// For splits that together with those before them are to have `targets`, all but the last.
    pub fn new(targets: Vec<u64>) -> Self {
        Self { targets, ends: Vec::new(), groups: Vec::new(), before: (0, 0), open: None, at_next: 0 }
    }

    /// Adds a group with its weight; ranks never fall.
    pub fn push(&mut self, rank: u64, weight: u64) {
        if let Some((open, sum, groups)) = &mut self.open
            && *open == rank
        {
            (*sum, *groups) = (*sum + weight, *groups + 1);
            return;
        }
        self.close();
        for _ in 0..std::mem::take(&mut self.at_next) {
            self.end(Some(rank));
        }
        self.open = Some((rank, weight, 1));
    }

    /// Decides about the targets that the open rank reaches.
    fn close(&mut self) {
        let Some((rank, weight, groups)) = self.open.take() else { return };
        let (before, after) = (self.before.0, self.before.0 + weight);
        while let Some(&target) = self.targets.get(self.ends.len() + self.at_next).filter(|target| **target < after) {
            // Of two that are as near, the earlier.
            if target.saturating_sub(before) <= after - target && self.at_next == 0 {
                self.end(Some(rank));
            } else {
                self.at_next += 1;
            }
        }
        self.before = (after, self.before.1 + groups);
    }

    fn end(&mut self, rank: Option<u64>) {
        self.ends.push(rank);
        self.groups.push(self.before.1);
    }

    /// Where they end, once all groups were pushed.
    pub fn finish(mut self) -> Ends {
        self.close();
        while self.ends.len() < self.targets.len() {
            self.end(None);
        }
        let starts = std::iter::once(0).chain(self.groups.iter().copied());
        let groups = starts.zip(self.groups.iter().copied().chain([self.before.1]));
        Ends { groups: groups.map(|(start, end)| end - start).collect(), ranks: self.ends }
    }
}

/// The split of a rank.
pub fn split_of(ends: &[Option<u64>], rank: u64) -> usize {
    ends.iter().filter(|end| end.is_some_and(|end| end <= rank)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_split_ends_where_it_is_nearest_to_its_target(
            weights in prop::collection::vec(1_u64..20, 0..30),
            mut targets in prop::collection::vec(0_u64..300, 0..5),
        ) {
            targets.sort_unstable();
            let total: u64 = weights.iter().sum();
            targets.iter_mut().for_each(|target| *target = (*target).min(total));
            let mut cuts = Cuts::new(targets.clone());
            for (at, weight) in weights.iter().enumerate() {
                // In pieces: a rank may come several times.
                cuts.push(at as u64 * 3, weight - weight / 2);
                cuts.push(at as u64 * 3, weight / 2);
            }
            let Ends { ranks: ends, groups } = cuts.finish();
            prop_assert_eq!(groups.iter().sum::<u64>(), 2 * weights.len() as u64);
            for (target, end) in targets.iter().zip(&ends) {
                let before = |ranks: usize| weights[..ranks].iter().sum::<u64>();
                let nearest = (0..=weights.len()).min_by_key(|ranks| (before(*ranks).abs_diff(*target), *ranks));
                let found = end.map_or(weights.len(), |end| (end / 3) as usize);
                prop_assert_eq!(Some(found), nearest);
            }
        }
    }
}
