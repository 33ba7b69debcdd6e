//! What both passes work with: the threads, the memory budget, the observer, the disk. Owns no data.

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::memory::Budget;
use crate::observe::Observer;
use crate::spec::Run;

/// Threads, budget, observer and disk of a run.
pub struct Engine<'a> {
    /// The worker threads.
    pub pool: rayon::ThreadPool,
    /// What every growing buffer is counted against.
    pub budget: Arc<Budget>,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// Where state and output are.
    pub disk: Disk,
}

/// Share of the memory ceiling that buffers may take; the rest is for what cannot be counted: the allocator's own,
/// decoders' and encoders' scratch, code and stacks.
const COUNTED_SHARE: f64 = 0.75;

impl<'a> Engine<'a> {
    /// An engine as `[run]` asks for.
    ///
    /// # Errors
    /// [`Error::Failed`] when the threads cannot be started.
    pub fn new(run: &Run, observer: &'a dyn Observer) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(run.threads)
            .thread_name(|at| format!("twopass-{at}"))
            .build()
            .map_err(|e| Error::failed("starting the worker threads", e))?;
        Ok(Self {
            pool,
            budget: Budget::new((run.memory.0 as f64 * COUNTED_SHARE) as u64),
            observer,
            disk: Disk::default(),
        })
    }

    /// Whether the work may go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the observer says stop.
    pub fn go_on(&self) -> Result<()> {
        if self.observer.stop() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Number of worker threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Decoded bytes that a pass works on at once.
    pub fn window_bytes(&self) -> u64 {
        (self.budget.limit() / 6).clamp(4 << 20, 1 << 30)
    }
}
