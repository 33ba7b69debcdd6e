//! A column of numbers. Never rounds, and never looks at a value twice outside the cache.

use arrow::array::Array;
use serde::{Deserialize, Serialize};

use super::Summary;
use super::codes::Counted;
use super::column::{VocabularyNeed, other_need, unexpected};
use super::dense::{self, PlainArray, SCRATCH};
use super::distinct::Distinct;
use super::kernel::Tables;
use super::moments::Moments;
use super::number::{self, EXACT_INTEGER, Number, NumberKind};
use super::number_vocabulary::NumberVocabulary;
use crate::error::{Error, Result, Site};

/// A column of numbers. NaN counts as missing for everything but [`Moments::nan`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberState {
    /// How the column is read.
    pub kind: NumberKind,
    /// Count, range, mean, variance.
    pub moments: Moments,
    /// The number of distinct values.
    pub distinct: Distinct,
    /// The values themselves, where a step needs them.
    pub vocabulary: Option<NumberVocabulary>,
    /// Smallest and largest key of integers, which doubles cannot hold; (MAX, 0) for floats and for no values.
    extremes: (u64, u64),
    /// Whether 32-bit floats hold every number exactly; false also where nobody asked.
    fits_f32: bool,
}

impl NumberState {
    /// The state of a column of numbers before the first row.
    pub fn new(kind: NumberKind, need: VocabularyNeed) -> Self {
        let vocabulary = match need {
            VocabularyNeed::Count => None,
            VocabularyNeed::Exact { limit } => Some(NumberVocabulary::with_limit(kind, limit)),
        };
        let (moments, distinct) = (Moments::default(), Distinct::default());
        Self { kind, moments, distinct, vocabulary, extremes: NO_EXTREMES, fits_f32: false }
    }

    /// The same before the first row, to find out of floats whether 32 bits hold them exactly.
    pub(super) fn asking_f32(self) -> Self {
        Self { fits_f32: self.kind == NumberKind::Float, ..self }
    }

    /// The same numbers, had nobody asked.
    pub(super) fn without_f32(self) -> Self {
        Self { fits_f32: false, ..self }
    }

    /// Whether 32-bit floats are known to hold every number exactly, the sign of zero included.
    pub fn fits_f32(&self) -> bool {
        self.fits_f32
    }

    /// Whether all counts are those of at most so many values, NaN included.
    pub(super) fn fits(&self, values: u64) -> bool {
        let Moments { count, nan, pos_inf, neg_inf, .. } = self.moments;
        number::sum_is_at_most(values, [count, nan, pos_inf, neg_inf])
            && self.vocabulary.as_ref().is_none_or(|vocabulary| vocabulary.fits(self.kind, values))
    }

    /// The same numbers without the values themselves.
    pub(super) fn without_vocabulary(self) -> Self {
        Self { vocabulary: None, ..self }
    }

    /// Smallest and largest number without loss, infinities included; nothing without numbers.
    pub fn range(&self) -> Option<(Number, Number)> {
        if self.kind == NumberKind::Float {
            return Some((Number::Float(self.moments.min()?), Number::Float(self.moments.max()?)));
        }
        let (low, high) = self.extremes;
        (self.moments.count > 0).then(|| (Number::of_key(self.kind, low), Number::of_key(self.kind, high)))
    }

    /// The same column read as doubles: how integer shards join float shards of one column.
    ///
    /// # Errors
    /// [`Error::Data`] when an integer is beyond 2^53 and would have to be rounded.
    pub fn widen(self) -> Result<Self> {
        if self.kind == NumberKind::Float {
            return Ok(self);
        }
        if self.moments.min < -(EXACT_INTEGER as f64) || self.moments.max > EXACT_INTEGER as f64 || self.rounds() {
            let message = "the column has integers beyond 2^53 in one shard and floats in another; \
                           set its type under `input.schema`";
            return Err(Error::data(Site::default(), message));
        }
        let vocabulary = self.vocabulary.map(NumberVocabulary::into_floats);
        Ok(Self { kind: NumberKind::Float, vocabulary, extremes: NO_EXTREMES, ..self })
    }

    /// Whether an integer just beyond 2^53 hides behind a range rounded to 2^53.
    fn rounds(&self) -> bool {
        let beyond = |number| match number {
            Number::Int(value) => value.unsigned_abs() > EXACT_INTEGER,
            Number::UInt(value) => value > EXACT_INTEGER,
            Number::Float(_) => false,
        };
        self.range().is_some_and(|(low, high)| beyond(low) || beyond(high))
    }

    fn update_floats(&mut self, values: &[f64], scratch: (&mut Tables, &mut Vec<f64>)) {
        let (tables, buffer) = scratch;
        self.fits_f32 = self.fits_f32 && number::all_fit_f32(values);
        let nan = self.moments.nan;
        self.moments.update_floats(values, tables);
        let mut values = values;
        if self.moments.nan > nan {
            buffer.clear();
            buffer.extend(values.iter().filter(|value| !value.is_nan()));
            values = buffer;
        }
        self.distinct.update(values, number::float_identity);
        if let Some(vocabulary) = &mut self.vocabulary {
            vocabulary.update(values, number::float_key);
        }
    }

    fn update_ints(&mut self, values: &[i64]) {
        let Some((min, max)) = self.moments.update_integers(values) else { return };
        self.stretch(number::int_key(min), number::int_key(max));
        self.distinct.update(values, number::int_identity);
        if let Some(vocabulary) = &mut self.vocabulary {
            vocabulary.update(values, number::int_key);
        }
    }

    fn update_uints(&mut self, values: &[u64]) {
        let Some((min, max)) = self.moments.update_integers(values) else { return };
        self.stretch(min, max);
        self.distinct.update(values, number::uint_identity);
        if let Some(vocabulary) = &mut self.vocabulary {
            vocabulary.update(values, |value| value);
        }
    }

    /// Adds each value as often as it was counted.
    pub(super) fn update_counted(&mut self, counted: &Counted) -> Result<()> {
        let plain = PlainArray::new(counted.values())?;
        let counts = counted.counts();
        SCRATCH.with_borrow_mut(|scratch| {
            match self.kind {
                NumberKind::Float => {
                    let values = dense::floats(&plain, &mut scratch.floats);
                    let values = values.ok_or_else(|| unexpected("floats", counted.values()))?;
                    self.fits_f32 = self.fits_f32 && number::all_fit_f32(values);
                    let nan = self.moments.nan;
                    self.moments.update_counted_floats(values, counts, &mut scratch.tables);
                    let (mut values, mut counts) = (values, counts);
                    if self.moments.nan > nan {
                        (scratch.more_floats, scratch.counts) =
                            values.iter().zip(counts).filter(|(value, _)| !value.is_nan()).unzip();
                        (values, counts) = (&scratch.more_floats, &scratch.counts);
                    }
                    self.take_counted(values, counts, number::float_identity, number::float_key);
                }
                NumberKind::Int => {
                    let values = dense::ints(&plain, &mut scratch.ints);
                    let values = values.ok_or_else(|| unexpected("signed integers", counted.values()))?;
                    if let Some((min, max)) = self.moments.update_counted_integers(values, counts) {
                        self.stretch(number::int_key(min), number::int_key(max));
                    }
                    self.take_counted(values, counts, number::int_identity, number::int_key);
                }
                NumberKind::UInt => {
                    let values = dense::uints(&plain, &mut scratch.uints);
                    let values = values.ok_or_else(|| unexpected("unsigned integers", counted.values()))?;
                    if let Some((min, max)) = self.moments.update_counted_integers(values, counts) {
                        self.stretch(min, max);
                    }
                    self.take_counted(values, counts, number::uint_identity, |value| value);
                }
            }
            Ok(())
        })
    }

    fn take_counted<T: Copy>(
        &mut self,
        values: &[T],
        counts: &[u32],
        identity: impl Fn(T) -> u64,
        key: impl Fn(T) -> u64,
    ) {
        self.distinct.update(values, identity);
        if let Some(vocabulary) = &mut self.vocabulary {
            vocabulary.update_counted(values, counts, key);
        }
    }

    fn stretch(&mut self, low: u64, high: u64) {
        self.extremes = (self.extremes.0.min(low), self.extremes.1.max(high));
    }
}

/// The extremes of no keys.
const NO_EXTREMES: (u64, u64) = (u64::MAX, 0);

impl Summary for NumberState {
    fn update(&mut self, array: &dyn Array) -> Result<()> {
        let plain = PlainArray::new(array)?;
        SCRATCH.with_borrow_mut(|scratch| {
            match self.kind {
                NumberKind::Float => {
                    let values = dense::floats(&plain, &mut scratch.floats);
                    let values = values.ok_or_else(|| unexpected("floats", array))?;
                    self.update_floats(values, (&mut scratch.tables, &mut scratch.more_floats));
                }
                NumberKind::Int => {
                    let values = dense::ints(&plain, &mut scratch.ints);
                    self.update_ints(values.ok_or_else(|| unexpected("signed integers", array))?);
                }
                NumberKind::UInt => {
                    let values = dense::uints(&plain, &mut scratch.uints);
                    self.update_uints(values.ok_or_else(|| unexpected("unsigned integers", array))?);
                }
            }
            Ok(())
        })
    }

    /// Integers and floats merge as floats.
    ///
    /// # Errors
    /// [`Error::Data`] when the two cannot be read as one type; [`Error::Conflict`] when they were collected for
    /// different needs.
    fn merge(&mut self, later: Self) -> Result<()> {
        let mut later = later;
        if self.kind != later.kind {
            if self.kind != NumberKind::Float && later.kind != NumberKind::Float {
                let message = "the column has signed integers in one shard and unsigned in another; \
                               set its type under `input.schema`";
                return Err(Error::data(Site::default(), message));
            }
            later = later.widen()?;
            *self = self.clone().widen()?;
        }
        match (&mut self.vocabulary, &later.vocabulary) {
            (None, None) => {}
            (Some(vocabulary), Some(other)) if vocabulary.limit() == other.limit() => vocabulary.merge(other),
            _ => return Err(other_need()),
        }
        self.moments.merge(&later.moments);
        self.distinct.merge(&later.distinct);
        self.stretch(later.extremes.0, later.extremes.1);
        self.fits_f32 &= later.fits_f32;
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        let vocabulary = self.vocabulary.as_ref().map_or(0, NumberVocabulary::heap_bytes);
        self.moments.heap_bytes() + self.distinct.heap_bytes() + vocabulary
    }
}
