//! `[dedupe]`: one row a key. Which of two rows stays is decided by their order alone, so it does not matter in which order they are met.

use super::router::Rows;
use crate::error::Result;
use crate::hash::NO_GROUP;
use crate::spec::Keep;
use crate::split::Marks;
use crate::split::fate::{OPEN, Reason};
use crate::split::groups::{Block, Groups};

/// The best row of a key so far.
#[derive(Default)]
struct Best {
    row: Option<(Box<[u8]>, u64)>,
}

impl Best {
    /// Takes a row if it comes before the best one; returns the position of the one that is a duplicate, and by how much it grew.
    fn meet(&mut self, keep: Keep, order: &[u8], position: u64) -> (Option<u64>, usize) {
        let Some((best, best_position)) = &mut self.row else {
            self.row = Some((order.into(), position));
            return (None, order.len());
        };
        // A row without an order stays only where there is no other.
        let key = |order: &[u8]| order.is_empty();
        let before = match keep {
            Keep::First => (key(order), order, position) < (key(best), &**best, *best_position),
            Keep::Last => {
                let has = |order: &[u8]| !key(order);
                (has(order), order, position) > (has(best), &**best, *best_position)
            }
        };
        if !before {
            return (Some(position), 0);
        }
        let duplicate = *best_position;
        let grown = order.len().saturating_sub(best.len());
        *best_position = position;
        if **best != *order {
            *best = order.into();
        }
        (Some(duplicate), grown)
    }
}

/// Marks all but one row of each key.
pub(super) fn mark(rows: &mut Rows<'_>) -> Result<()> {
    let Some(dedupe) = &rows.inputs.recipe.dedupe else { return Ok(()) };
    let marks = Marks::new(rows.count(), rows.inputs.budget)?;
    let read = |visit: &(dyn Fn(&Block<'_>) + Sync)| rows.read(visit);
    let select = |block: &Block<'_>, row: usize| {
        let unique = block.keys.unique(row);
        (block.fates[row] == OPEN && unique != NO_GROUP).then_some(unique)
    };
    let add = |best: &mut Best, block: &Block<'_>, row: usize| {
        let (duplicate, grown) = best.meet(dedupe.keep, block.keys.order(row), block.first + row as u64);
        if let Some(position) = duplicate {
            marks.set(position, Reason::Duplicate.code());
        }
        grown
    };
    // In the order of their highest bits, for these are hashes.
    let mut groups = Groups::new(rows.inputs.budget, &read, select, |unique: u128| (unique >> 64) as u64, add);
    groups.for_each_slice(|_| Ok(()))?;
    drop(groups);
    rows.marks = Some(marks);
    Ok(())
}
