//! What pass one learns of the columns: mergeable summaries, exact wherever exact is possible.
//!
//! A summary depends on the multiset of the values it has seen and on nothing else: not on their order, on how they were
//! cut into batches and shards, or on which thread saw them. Sums are integers ([`ExactSum`]) and round once, when asked
//! for a result; sets become sketches by their size alone. Equal content serialises to equal bytes.

mod codes;
mod column;
mod dense;
mod distinct;
mod exact_sum;
mod hyperloglog;
mod kernel;
mod moments;
mod number;
mod number_vocabulary;
mod numeric;
mod ratio;
mod text;
mod time;
mod vocabulary;

#[cfg(test)]
mod tests;

use arrow::array::Array;

use crate::error::Result;

pub(crate) use codes::is_same;
pub use codes::{CodeCounts, Counted};
pub use column::{ColumnState, Values, VocabularyNeed};
pub use distinct::{Distinct, EXACT_LIMIT};
pub use exact_sum::ExactSum;
pub use hyperloglog::HyperLogLog;
pub use moments::Moments;
pub use number::{EXACT_INTEGER, Number, NumberKind};
pub(crate) use number::{all_fit_f32, fits_f32};
pub use number_vocabulary::NumberVocabulary;
pub use numeric::NumberState;
pub use ratio::ratio_to_f64;
pub use time::TimeState;
pub use vocabulary::{TextValues, Vocabulary};

/// What is known of the values seen so far. The state before the first value is the identity of `merge`.
pub trait Summary {
    /// Adds the values of an array.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] when the array is of another type than the summary was made for.
    fn update(&mut self, array: &dyn Array) -> Result<()>;

    /// Adds what another summary has seen.
    ///
    /// # Errors
    /// When the two were made for different types or needs.
    fn merge(&mut self, later: Self) -> Result<()>
    where
        Self: Sized;

    /// Bytes held on the heap.
    fn heap_bytes(&self) -> usize;
}
