//! Which row goes to which split, decided exactly and by the data alone.
//!
//! [`rounding`] says how many rows of every stratum each split takes; [`select`] finds the keys at which, with a
//! stratum's rows in key order, one split ends and the next begins. Where groups stay whole, [`groups`] adds up what each has, and
//! [`cut`] and [`balance`] say which go where. [`fate`] is what becomes of a row.
//!
//! All are functions of their arguments: no I/O of their own, no clock, no random numbers, and floating point only where groups are
//! balanced, in one thread and a fixed order. A ledger of rows is read through the closure that the caller passes in.

pub mod balance;
pub mod cut;
pub mod fate;
pub mod groups;
mod guess;
pub mod marks;
pub mod order;
pub mod rounding;
mod search;
pub mod select;
pub mod time;

pub use fate::Reason;
pub use marks::Marks;
pub use rounding::{MAX_SPLITS, Quotas, Shares, quotas};
pub use select::{Boundaries, DROPPED, Key, NO_STRATUM, boundaries};
