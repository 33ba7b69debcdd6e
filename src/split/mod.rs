//! Which row goes to which split, decided exactly and by the data alone.
//!
//! [`rounding`] says how many rows of every stratum each split takes; [`select`] finds the keys at which, with a
//! stratum's rows in key order, one split ends and the next begins.
//!
//! Both are functions of their arguments: no I/O of their own, no threads, no clock, no random numbers and no
//! floating point. A ledger of rows is read through the closure that the caller passes in.

mod guess;
pub mod rounding;
mod search;
pub mod select;

pub use rounding::{MAX_SPLITS, Quotas, Shares, quotas};
pub use select::{Boundaries, DROPPED, Key, NO_STRATUM, boundaries};
