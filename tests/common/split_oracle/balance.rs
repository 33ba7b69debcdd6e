//! How well whole groups keep the classes' shares: what a placement of groups is worth, and whether another is better.
//! The deviation of class c in split s is |n_cs / n_c − r_s|.

use super::cuts::Shares;

/// Groups by their rows of each class, and the share of each split.
pub struct Balance {
    pub groups: Vec<Vec<u64>>,
    pub shares: Vec<f64>,
    /// Rows of each class.
    rows: Vec<u64>,
}

/// The largest deviation, then the sum of the squared ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    pub largest: f64,
    pub squares: f64,
}

/// Sums of a few doubles below 1 that are equal in exact numbers differ by less, others by more at these sizes.
const NOISE: f64 = 1e-10;

impl Worth {
    pub fn is_better_than(self, other: Self) -> bool {
        self.largest < other.largest - NOISE
            || (self.largest < other.largest + NOISE && self.squares < other.squares - NOISE)
    }
}

impl Balance {
    pub fn new(groups: Vec<Vec<u64>>, shares: &Shares) -> Self {
        let classes = groups.first().map_or(0, Vec::len);
        let rows = (0..classes).map(|class| groups.iter().map(|group| group[class]).sum()).collect();
        let shares = (0..shares.parts.len()).map(|at| shares.share(at)).collect();
        Self { groups, shares, rows }
    }

    /// Rows of each class in each split.
    fn counts(&self, splits: &[usize]) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.rows.len()]; self.shares.len()];
        for (group, split) in self.groups.iter().zip(splits) {
            counts[*split].iter_mut().zip(group).for_each(|(count, rows)| *count += rows);
        }
        counts
    }

    /// The deviation of every class in every split, by split.
    pub fn deviations(&self, splits: &[usize]) -> Vec<Vec<f64>> {
        let of = |(counts, share): (Vec<u64>, &f64)| {
            counts.iter().zip(&self.rows).map(|(count, rows)| (*count as f64 / *rows as f64 - share).abs()).collect()
        };
        self.counts(splits).into_iter().zip(&self.shares).map(of).collect()
    }

    pub fn worth(&self, splits: &[usize]) -> Worth {
        let deviations = self.deviations(splits);
        let all = deviations.iter().flatten();
        Worth {
            largest: all.clone().copied().fold(0.0, f64::max),
            squares: all.map(|deviation| deviation * deviation).sum(),
        }
    }

    /// A group that is better elsewhere, or two that are better exchanged, if there are any.
    pub fn improvement(&self, splits: &[usize]) -> Option<String> {
        let worth = self.worth(splits);
        let mut tried = splits.to_vec();
        for a in 0..splits.len() {
            for split in 0..self.shares.len() {
                tried[a] = split;
                let new = self.worth(&tried);
                if new.is_better_than(worth) {
                    return Some(format!("group {a} from split {} to {split}: {worth:?} to {new:?}", splits[a]));
                }
            }
            for b in a + 1..splits.len() {
                (tried[a], tried[b]) = (splits[b], splits[a]);
                let new = self.worth(&tried);
                if new.is_better_than(worth) {
                    return Some(format!("group {a} for group {b}: {worth:?} to {new:?}"));
                }
                tried[b] = splits[b];
            }
            tried[a] = splits[a];
        }
        None
    }

    /// The best of all placements.
    pub fn best(&self) -> Worth {
        let splits = self.shares.len();
        let mut tried = vec![0; self.groups.len()];
        let mut best = self.worth(&tried);
        loop {
            let Some(next) = tried.iter().position(|split| split + 1 < splits) else { return best };
            tried[next] += 1;
            tried[..next].fill(0);
            let worth = self.worth(&tried);
            if worth.is_better_than(best) {
                best = worth;
            }
        }
    }
}
