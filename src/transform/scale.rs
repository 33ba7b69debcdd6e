//! `standard_scaler` and `min_max_scaler`: affine maps of numbers, computed in 64 bits whatever the column's type.
//! Null stays null and NaN stays NaN. Fitting reads moments only; it never sees a row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, PrimitiveArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::spec::FloatType;
use crate::state::Moments;

/// A fitted scaler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The map.
    pub map: Affine,
    /// Type of the result.
    pub output: FloatType,
}

/// The two operations of a scaler, in scikit-learn's order so that every result is rounded as there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Affine {
    /// (x − mean) / scale. Source: scikit-learn 1.9, `StandardScaler.transform`.
    Standard {
        /// Mean of the fit; 0 without `with_mean`.
        mean: f64,
        /// Standard deviation of the fit; 1 for a constant column or without `with_std`.
        scale: f64,
    },
    /// x · scale + min, then clipped. Source: scikit-learn 1.9, `MinMaxScaler.transform`.
    MinMax {
        /// (b − a) / (max − min) for the feature range (a, b).
        scale: f64,
        /// a − min · scale.
        min: f64,
        /// The feature range, when results are kept inside it.
        clip: Option<(f64, f64)>,
    },
}

impl Affine {
    /// The standard scaler of a column with these moments: scale = √(Σ(x − mean)² / (n − ddof)), or 1 where the column is
    /// constant, so that a constant becomes 0. A column without values keeps none: mean 0, scale 1.
    ///
    /// Constant means var ≤ (ε · mean)²: x − mean cannot resolve the deviation in 64 bits. scikit-learn's bound,
    /// n·ε·var + (n·mean·ε)², is the error of *its* sums and grows with n² (10⁷ rows of 10⁹ ± 1 are constant to it);
    /// the moments here are exact, so only the rounding of the result is left to guard against.
    pub fn standard(moments: &Moments, with_mean: bool, with_std: bool, ddof: u8) -> Self {
        let mean = moments.mean().unwrap_or(0.0);
        let variance = moments.variance(u64::from(ddof)).unwrap_or(0.0);
        let resolved = moments.min < moments.max && variance > (f64::EPSILON * mean).powi(2);
        let scale = if with_std && resolved { variance.sqrt() } else { 1.0 };
        Self::Standard { mean: if with_mean { mean } else { 0.0 }, scale }
    }

    /// The min-max scaler of a column whose smallest and largest values are these: a range below 10ε counts as 1.
    ///
    /// Source: scikit-learn 1.9, `MinMaxScaler.partial_fit` and `_handle_zeros_in_scale`.
    pub fn min_max(extremes: Option<(f64, f64)>, (low, high): (f64, f64), clip: bool) -> Self {
        let (least, most) = extremes.unwrap_or((0.0, 0.0));
        let range = most - least;
        let scale = (high - low) / if range < 10.0 * f64::EPSILON { 1.0 } else { range };
        Self::MinMax { scale, min: low - least * scale, clip: clip.then_some((low, high)) }
    }

    /// One value through the map.
    pub fn of(&self, x: f64) -> f64 {
        match *self {
            Self::Standard { mean, scale } => (x - mean) / scale,
            Self::MinMax { scale, min, clip: None } => x * scale + min,
            Self::MinMax { scale, min, clip: Some((low, high)) } => clipped(x * scale + min, low, high),
        }
    }
}

/// `x` inside the range; NaN stays NaN, as with numpy's `clip`.
#[inline(always)]
fn clipped(x: f64, low: f64, high: f64) -> f64 {
    let above = if x < low { low } else { x };
    if above > high { high } else { above }
}

impl Scale {
    /// Type of the result.
    pub fn data_type(&self) -> DataType {
        match self.output {
            FloatType::Float32 => DataType::Float32,
            FloatType::Float64 => DataType::Float64,
        }
    }

    /// One value through the map and the rounding to the result's type. Monotone, so that it maps the extremes of a column
    /// to the extremes of the result.
    pub fn of(&self, x: f64) -> f64 {
        match self.output {
            FloatType::Float32 => f64::from(self.map.of(x) as f32),
            FloatType::Float64 => self.map.of(x),
        }
    }

    /// The scaled array; its null buffer is the array's.
    ///
    /// # Errors
    /// [`Error::Failed`] for an array that is not of numbers.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        Ok(match array.data_type() {
            DataType::Float64 => self.values(array.as_primitive::<Float64Type>(), |x| x),
            DataType::Float32 => self.values(array.as_primitive::<Float32Type>(), f64::from),
            DataType::Int32 => self.values(array.as_primitive::<Int32Type>(), f64::from),
            DataType::Int64 => self.values(array.as_primitive::<Int64Type>(), |x| x as f64),
            _ => {
                let floats = cast(array, &DataType::Float64).map_err(|e| Error::failed("cannot scale a column", e))?;
                self.values(floats.as_primitive::<Float64Type>(), |x| x)
            }
        })
    }

    /// One match per array and one loop per map, so that each loop is plain arithmetic the compiler can vectorise.
    #[inline(always)]
    fn values<T: ArrowPrimitiveType>(&self, array: &PrimitiveArray<T>, wide: impl Fn(T::Native) -> f64) -> ArrayRef {
        match self.map {
            Affine::Standard { mean, scale } => self.collect(array, |x| (wide(x) - mean) / scale),
            Affine::MinMax { scale, min, clip: None } => self.collect(array, |x| wide(x) * scale + min),
            Affine::MinMax { scale, min, clip: Some((low, high)) } => {
                self.collect(array, |x| clipped(wide(x) * scale + min, low, high))
            }
        }
    }

    #[inline(always)]
    fn collect<T: ArrowPrimitiveType>(&self, array: &PrimitiveArray<T>, map: impl Fn(T::Native) -> f64) -> ArrayRef {
        let nulls = array.nulls().cloned();
        match self.output {
            FloatType::Float64 => Arc::new(Float64Array::new(buffer(array, map), nulls)),
            FloatType::Float32 => Arc::new(Float32Array::new(buffer(array, |x| map(x) as f32), nulls)),
        }
    }
}

#[inline(always)]
fn buffer<T: ArrowPrimitiveType, V: ArrowNativeType>(
    array: &PrimitiveArray<T>,
    map: impl Fn(T::Native) -> V,
) -> ScalarBuffer<V> {
    array.values().iter().map(|x| map(*x)).collect::<Vec<V>>().into()
}
