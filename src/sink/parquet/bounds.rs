//! The smallest and the largest value of a column chunk, for its statistics.

use arrow::datatypes::DataType;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::dictionary::{Dictionary, Entries, string_at};

/// Bytes of a text or byte string that statistics keep.
const TRUNCATED: usize = 64;
/// Slots compared side by side.
const LANES: usize = 8;

/// Smallest and largest value so far; NaN is neither, and counted.
pub enum Bounds {
    /// Signed 32-bit integers.
    I32(Option<(i32, i32)>),
    /// Unsigned 32-bit integers.
    U32(Option<(u32, u32)>),
    /// Signed 64-bit integers.
    I64(Option<(i64, i64)>),
    /// Unsigned 64-bit integers.
    U64(Option<(u64, u64)>),
    /// 32-bit floats.
    F32(Option<(f32, f32)>, u64),
    /// 64-bit floats.
    F64(Option<(f64, f64)>, u64),
    /// Booleans.
    Bool(Option<(bool, bool)>),
    /// Texts and byte strings.
    Bytes {
        /// Smallest and largest.
        range: Option<(Vec<u8>, Vec<u8>)>,
        /// Whether they are UTF-8, which is cut between characters only.
        text: bool,
    },
}

impl Bounds {
    /// Nothing seen yet of a column of this type.
    pub fn new(data_type: &DataType) -> Self {
        use DataType as T;
        match data_type {
            T::Int64 | T::Time64(_) | T::Timestamp(..) | T::Duration(_) => Self::I64(None),
            T::UInt64 => Self::U64(None),
            T::UInt8 | T::UInt16 | T::UInt32 => Self::U32(None),
            T::Float32 => Self::F32(None, 0),
            T::Float64 => Self::F64(None, 0),
            T::Boolean => Self::Bool(None),
            T::Utf8 => Self::Bytes { range: None, text: true },
            T::Binary => Self::Bytes { range: None, text: false },
            _ => Self::I32(None),
        }
    }

    /// Adds slots of 4 bytes.
    pub fn add_four(&mut self, slots: &[u32]) {
        match self {
            Self::I32(range) => widen(range, integers(slots.iter().map(|bits| *bits as i32))),
            Self::U32(range) => widen(range, integers(slots.iter().copied())),
            Self::F32(range, nans) => {
                let (found, nan) = floats(slots, f32::from_bits, f32::INFINITY, f32::is_nan);
                widen(range, found);
                *nans += nan;
            }
            _ => {}
        }
    }

    /// Adds slots of 8 bytes.
    pub fn add_eight(&mut self, slots: &[u64]) {
        match self {
            Self::I64(range) => widen(range, integers(slots.iter().map(|bits| *bits as i64))),
            Self::U64(range) => widen(range, integers(slots.iter().copied())),
            Self::F64(range, nans) => {
                let (found, nan) = floats(slots, f64::from_bits, f64::INFINITY, f64::is_nan);
                widen(range, found);
                *nans += nan;
            }
            _ => {}
        }
    }

    /// Adds a boolean.
    pub fn add_bool(&mut self, value: bool) {
        if let Self::Bool(range) = self {
            widen(range, Some((value, value)));
        }
    }

    /// Adds a text or a byte string.
    pub fn add_bytes(&mut self, value: &[u8]) {
        let Self::Bytes { range, .. } = self else { return };
        match range {
            None => *range = Some((value.to_vec(), value.to_vec())),
            Some((low, _)) if value < low.as_slice() => value.clone_into(low),
            Some((_, high)) if value > high.as_slice() => value.clone_into(high),
            Some(_) => {}
        }
    }

    /// Adds all values of a dictionary.
    pub fn add_dictionary(&mut self, dictionary: &Dictionary) {
        match dictionary.entries() {
            Entries::Four(slots) => self.add_four(slots),
            Entries::Eight(slots) => self.add_eight(slots),
            Entries::Bytes(ends, bytes) => (0..ends.len()).for_each(|at| self.add_bytes(string_at(ends, bytes, at))),
        }
    }

    /// The statistics of a chunk with so many missing rows; begins again.
    pub fn finish(&mut self, missing: u64) -> Statistics {
        fn of<T>(range: Option<(T, T)>, missing: u64) -> ValueStatistics<T> {
            let (low, high) = range.unzip();
            ValueStatistics::new(low, high, None, Some(missing), false)
        }
        match self {
            Self::I32(range) => Statistics::from(of(range.take(), missing).with_backwards_compatible_min_max(true)),
            Self::I64(range) => Statistics::from(of(range.take(), missing).with_backwards_compatible_min_max(true)),
            Self::U32(range) => of(range.take().map(|(low, high)| (low as i32, high as i32)), missing).into(),
            Self::U64(range) => of(range.take().map(|(low, high)| (low as i64, high as i64)), missing).into(),
            Self::F32(range, nans) => {
                let nans = Some(std::mem::take(nans));
                let range = range.take().map(|(low, high)| (signed_zero(low, -0.0), signed_zero(high, 0.0)));
                Statistics::from(of(range, missing).with_backwards_compatible_min_max(true).with_nan_count(nans))
            }
            Self::F64(range, nans) => {
                let nans = Some(std::mem::take(nans));
                let range = range.take().map(|(low, high)| (signed_zero(low, -0.0), signed_zero(high, 0.0)));
                Statistics::from(of(range, missing).with_backwards_compatible_min_max(true).with_nan_count(nans))
            }
            Self::Bool(range) => of(range.take(), missing).into(),
            Self::Bytes { range, text } => {
                let Some((low, high)) = range.take() else { return of::<ByteArray>(None, missing).into() };
                let whole = (low.len() <= TRUNCATED, high.len() <= TRUNCATED);
                let high = if whole.1 { Some(high) } else { above(&high, *text) };
                let low = cut(low, *text);
                // Without an upper bound of a few bytes there is none at all, and a lower one alone says little.
                let range = high.map(|high| (ByteArray::from(low), ByteArray::from(high)));
                Statistics::from(of(range, missing).with_min_is_exact(whole.0).with_max_is_exact(whole.1))
            }
        }
    }
}

fn widen<T: PartialOrd + Copy>(range: &mut Option<(T, T)>, found: Option<(T, T)>) {
    let Some((low, high)) = found else { return };
    *range = Some(match *range {
        None => (low, high),
        Some((lowest, highest)) => {
            (if low < lowest { low } else { lowest }, if high > highest { high } else { highest })
        }
    });
}

/// The format's rule: a zero that bounds floats from below is negative, from above positive, for either may be meant.
fn signed_zero<T: PartialEq + Default>(bound: T, zero: T) -> T {
    if bound == T::default() { zero } else { bound }
}

fn integers<T: Ord + Copy>(mut values: impl Iterator<Item = T>) -> Option<(T, T)> {
    let first = values.next()?;
    Some(values.fold((first, first), |(low, high), value| (low.min(value), high.max(value))))
}

/// Smallest and largest number and the count of NaN, in lanes that do not wait for each other.
fn floats<B: Copy, T: PartialOrd + Copy + std::ops::Neg<Output = T>>(
    slots: &[B],
    value: impl Fn(B) -> T,
    infinity: T,
    is_nan: impl Fn(T) -> bool,
) -> (Option<(T, T)>, u64) {
    let mut low = [infinity; LANES];
    let mut high = [-infinity; LANES];
    let mut nans = [0_u32; LANES];
    for run in slots.chunks(LANES) {
        for (lane, bits) in run.iter().enumerate() {
            let number = value(*bits);
            low[lane] = if number < low[lane] { number } else { low[lane] };
            high[lane] = if number > high[lane] { number } else { high[lane] };
            nans[lane] += u32::from(is_nan(number));
        }
    }
    let nans: u64 = nans.iter().map(|count| u64::from(*count)).sum();
    let range = (nans < slots.len() as u64).then(|| {
        let lowest = low.into_iter().fold(infinity, |a, b| if b < a { b } else { a });
        (lowest, high.into_iter().fold(-infinity, |a, b| if b > a { b } else { a }))
    });
    (range, nans)
}

/// At most [`TRUNCATED`] bytes of `value`, which are no larger than it.
fn cut(mut value: Vec<u8>, text: bool) -> Vec<u8> {
    value.truncate(cut_at(&value, text));
    value
}

fn cut_at(value: &[u8], text: bool) -> usize {
    let mut end = value.len().min(TRUNCATED);
    while text && end > 0 && value.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
        end -= 1;
    }
    end
}

/// At most [`TRUNCATED`] bytes that are larger than `value`: cut, and the last that can be is raised by one.
fn above(value: &[u8], text: bool) -> Option<Vec<u8>> {
    let mut cut = value[..cut_at(value, text)].to_vec();
    if !text {
        while let Some(last) = cut.pop() {
            if last < u8::MAX {
                cut.push(last + 1);
                return Some(cut);
            }
        }
        return None;
    }
    let mut characters: Vec<char> = String::from_utf8(cut).ok()?.chars().collect();
    while let Some(last) = characters.pop() {
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        // A character of more bytes might not be larger in bytes of the whole; one of as many is.
        if let Some(next) = next.filter(|next| next.len_utf8() == last.len_utf8()) {
            characters.push(next);
            return Some(characters.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}
