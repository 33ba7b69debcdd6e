//! Shares to whole numbers, and whole numbers to cuts between groups.

/// What each split takes of the whole: `parts[s] / whole`, the parts summing to the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    pub parts: Vec<u64>,
    pub whole: u64,
}

impl Shares {
    /// `rows` times the sum of the first shares, below it.
    fn floor_of_first(&self, rows: u64, splits: usize) -> u64 {
        let parts: u64 = self.parts[..splits].iter().sum();
        (u128::from(rows) * u128::from(parts)).checked_div(u128::from(self.whole)).unwrap_or(0) as u64
    }

    /// The exact share of split `at` of `all`, times the whole.
    fn product(&self, all: u64, at: usize) -> u128 {
        u128::from(all) * u128::from(self.parts[at])
    }

    pub fn share(&self, at: usize) -> f64 {
        if self.whole == 0 { 0.0 } else { self.parts[at] as f64 / self.whole as f64 }
    }
}

/// The floor of every share, and one more for the largest remainders, the earlier split of two.
pub fn totals(all: u64, shares: &Shares) -> Vec<u64> {
    let whole = u128::from(shares.whole.max(1));
    let splits = 0..shares.parts.len();
    let mut totals: Vec<u64> = splits.clone().map(|at| (shares.product(all, at) / whole) as u64).collect();
    let mut order: Vec<usize> = splits.collect();
    order.sort_by_key(|at| (std::cmp::Reverse(shares.product(all, *at) % whole), *at));
    let left = all - totals.iter().sum::<u64>();
    order[..left as usize].iter().for_each(|at| totals[*at] += 1);
    totals
}

/// Before which group each split ends, groups having these weights: where what is before is nearest to what the splits so
/// far should have; of two places as near, the earlier.
pub fn ends_at_nearest(weights: &[u64], totals: &[u64]) -> Vec<usize> {
    let before = |end: usize| weights[..end].iter().sum::<u64>();
    let wanted = (1..=totals.len()).map(|splits| totals[..splits].iter().sum::<u64>());
    wanted.map(|wanted| (0..=weights.len()).min_by_key(|end| (before(*end).abs_diff(wanted), *end)).unwrap()).collect()
}

/// After how many of `all` groups each split ends: the floor of the sum of its share and those before; the last takes all
/// others.
pub fn ends_after_floors(all: u64, shares: &Shares) -> Vec<usize> {
    let splits = shares.parts.len();
    let end = |at: usize| if at == splits { all } else { shares.floor_of_first(all, at) };
    (1..=splits).map(|at| end(at) as usize).collect()
}
