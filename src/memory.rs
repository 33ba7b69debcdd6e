//! One memory budget for the whole process: every buffer that grows with the data holds a [`Reservation`] on it.
//! It counts; it never allocates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// A ceiling in bytes that reservations are counted against.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0), peak: AtomicU64::new(0) })
    }

    /// The ceiling, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes reserved now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes that were ever reserved at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Bytes still free.
    pub fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used())
    }

    /// Reserves `bytes`, or nothing when they would not fit.
    pub fn try_reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut reservation = Reservation { budget: Arc::clone(self), bytes: 0 };
        reservation.try_resize(bytes).then_some(reservation)
    }

    /// Reserves `bytes`.
    ///
    /// # Errors
    /// [`Error::Memory`] that names `what` when they do not fit.
    pub fn reserve(self: &Arc<Self>, what: &str, bytes: u64) -> Result<Reservation> {
        self.try_reserve(bytes).ok_or_else(|| self.refusal(what, bytes))
    }

    fn refusal(&self, what: &str, needed: u64) -> Error {
        Error::Memory { what: what.to_string(), needed, limit: self.limit, advice: String::new() }
    }
}

/// Bytes held of a [`Budget`]; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` from now on, more or fewer than before; false, and nothing changes, when they do not fit.
    #[must_use]
    pub fn try_resize(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes {
            self.budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
            return true;
        }
        let more = bytes - self.bytes;
        let grown = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(more).filter(|total| *total <= self.budget.limit)
        });
        let Ok(before) = grown else { return false };
        self.budget.peak.fetch_max(before + more, Ordering::Relaxed);
        self.bytes = bytes;
        true
    }

    /// As [`Reservation::try_resize`].
    ///
    /// # Errors
    /// [`Error::Memory`] that names `what` when they do not fit.
    pub fn resize(&mut self, what: &str, bytes: u64) -> Result<()> {
        if self.try_resize(bytes) { Ok(()) } else { Err(self.budget.refusal(what, bytes)) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
