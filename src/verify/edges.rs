//! Splits that are cut out of an order, of group ranks or of times: the smallest and the largest key of each, with its rows, say
//! whether the splits overlap, and whether each ends where it is nearest to its target.

/// A key and how many rows have it.
type Edge = Option<(u64, u64)>;

/// The edges of the splits.
pub(super) struct Edges {
    low: Vec<Edge>,
    high: Vec<Edge>,
}

impl Edges {
    pub(super) fn new(places: usize) -> Self {
        Self { low: vec![None; places], high: vec![None; places] }
    }

    /// Adds a row.
    pub(super) fn add(&mut self, place: usize, key: u64) {
        let meet = |edge: &mut Edge, is_beyond: fn(&u64, &u64) -> bool| match edge {
            Some((known, rows)) if *known == key => *rows += 1,
            Some((known, _)) if !is_beyond(&key, known) => {}
            _ => *edge = Some((key, 1)),
        };
        meet(&mut self.low[place], u64::lt);
        meet(&mut self.high[place], u64::gt);
    }

    /// Splits that begin before, or at, the end of one before them; as positions.
    pub(super) fn overlaps(&self) -> Vec<usize> {
        let mut end: Option<u64> = None;
        let mut overlaps = Vec::new();
        for (place, (low, high)) in self.low.iter().zip(&self.high).enumerate() {
            let (Some((low, _)), Some((high, _))) = (low, high) else { continue };
            if end.is_some_and(|end| end >= *low) {
                overlaps.push(place);
            }
            end = Some(end.map_or(*high, |end| end.max(*high)));
        }
        overlaps
    }

    /// Of splits of so many rows, those that could end nearer to their target (the rows up to and with them), or earlier and as
    /// near; as positions.
    pub(super) fn misplaced(&self, rows: &[u64], targets: &[u64]) -> Vec<usize> {
        let mut before = 0;
        let mut misplaced = Vec::new();
        for (place, target) in targets.iter().enumerate() {
            before += rows[place];
            let off = before.abs_diff(*target);
            let last = self.high[..=place].iter().rev().flatten().next();
            let next = self.low[place + 1..].iter().flatten().next();
            let earlier = last.is_some_and(|(_, rows)| before.saturating_sub(*rows).abs_diff(*target) <= off);
            let later = next.is_some_and(|(_, rows)| (before + rows).abs_diff(*target) < off);
            if earlier || later {
                misplaced.push(place);
            }
        }
        misplaced
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Edges;
    use crate::split::cut::{Cuts, split_of};

    proptest! {
        /// What the cuts say is right, and moving any end by one group is not.
        #[test]
        fn only_the_nearest_ends_are_right(
            weights in prop::collection::vec(1_u64..9, 1..20), mut targets in prop::collection::vec(0_u64..90, 1..4),
            moved in any::<prop::sample::Index>(), back in any::<bool>(), rest in any::<bool>(),
        ) {
            targets.sort_unstable();
            let total: u64 = weights.iter().sum();
            targets.iter_mut().for_each(|target| *target = (*target).min(total));
            let mut cuts = Cuts::new(targets.clone());
            weights.iter().enumerate().for_each(|(rank, weight)| cuts.push(rank as u64, *weight));
            let mut ends = cuts.finish().ranks;
            let places = targets.len() + usize::from(!rest);
            let judged = |ends: &[Option<u64>]| {
                let (mut edges, mut rows) = (Edges::new(places), vec![0; places]);
                for (rank, weight) in weights.iter().enumerate() {
                    let place = split_of(ends, rank as u64);
                    if place < places {
                        rows[place] += weight;
                        (0..*weight).for_each(|_| edges.add(place, rank as u64));
                    }
                }
                assert!(edges.overlaps().is_empty());
                edges.misplaced(&rows, &targets)
            };
            prop_assert_eq!(judged(&ends), Vec::<usize>::new());
            let at = moved.index(ends.len());
            let was = ends[at].unwrap_or(weights.len() as u64);
            let now = if back { was.checked_sub(1) } else { (was < weights.len() as u64).then_some(was + 1) };
            // Only the end itself moves, and the ones that stand there already keep their order; beyond the rest nothing is seen.
            let low = if at == 0 { 0 } else { ends[at - 1].unwrap_or(weights.len() as u64) };
            let high = ends.get(at + 1).map_or(weights.len() as u64, |end| end.unwrap_or(weights.len() as u64));
            if let Some(now) = now.filter(|now| (low..=high).contains(now) && !(rest && back)) {
                ends[at] = Some(now);
                prop_assert!(judged(&ends).contains(&at));
            }
        }

        #[test]
        fn a_key_in_two_splits_is_an_overlap(keys in prop::collection::vec((0_usize..3, 0_u64..9), 0..30)) {
            let mut edges = Edges::new(3);
            keys.iter().for_each(|(place, key)| edges.add(*place, *key));
            let ordered = keys.iter().all(|(a, x)| keys.iter().all(|(b, y)| a >= b || x < y));
            prop_assert_eq!(edges.overlaps().is_empty(), ordered);
        }
    }
}
