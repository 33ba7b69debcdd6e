//! What was decided of single rows: a byte for each row of the input, written from all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::fate::OPEN;
use crate::error::Result;
use crate::memory::{Budget, Reservation};

/// A split or a reason for each row, or [`OPEN`].
#[derive(Debug)]
pub struct Marks {
    bytes: Vec<AtomicU8>,
    _held: Reservation,
}

impl Marks {
    /// All open.
    ///
    /// # Errors
    /// [`Error::Memory`](crate::error::Error::Memory) when a byte a row does not fit the budget.
    pub fn new(rows: u64, budget: &Arc<Budget>) -> Result<Self> {
        let held = budget.reserve("the splits of single rows, a byte each", rows)?;
        let bytes = std::iter::repeat_with(|| AtomicU8::new(OPEN)).take(rows as usize).collect();
        Ok(Self { bytes, _held: held })
    }

    /// Decides about the row at a position of the input.
    pub fn set(&self, position: u64, fate: u8) {
        self.bytes[position as usize].store(fate, Ordering::Relaxed);
    }

    /// What was decided about the row at a position of the input.
    pub fn get(&self, position: u64) -> u8 {
        self.bytes[position as usize].load(Ordering::Relaxed)
    }
}
