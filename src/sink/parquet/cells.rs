//! An array as the encoder sees it: slots of the column's physical type, or codes into a dictionary of such slots.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

/// Values as they stand in a page: by their bits.
pub enum Cells {
    /// 32-bit integers, dates, floats.
    Four(ScalarBuffer<u32>),
    /// 64-bit integers, timestamps, floats.
    Eight(ScalarBuffer<u64>),
    /// Booleans.
    Bits(BooleanBuffer),
    /// Texts and byte strings.
    Bytes(OffsetBuffer<i32>, Buffer),
}

/// One array of a column.
pub enum Source {
    /// A value a row.
    Values(Cells, Option<NullBuffer>),
    /// A code a row; codes of missing rows mean nothing.
    Codes {
        /// Positions in the dictionary.
        codes: ScalarBuffer<i32>,
        /// Which rows have a value.
        nulls: Option<NullBuffer>,
        /// The dictionary.
        cells: Cells,
        /// The array that the dictionary is of: the same one means the same dictionary.
        dictionary: ArrayRef,
    },
}

/// Whether [`Cells`] can hold a column of this type; others are left to the library's encoder.
pub fn holds(data_type: &DataType) -> bool {
    use DataType as T;
    let integers = data_type.is_integer() || matches!(data_type, T::Date32 | T::Time32(_) | T::Time64(_));
    integers
        || matches!(data_type, T::Boolean | T::Float32 | T::Float64 | T::Timestamp(..) | T::Duration(_))
        || matches!(data_type, T::Utf8 | T::Binary)
}

impl Source {
    /// The rows of `array`, of a type that [`holds`] or a dictionary of such.
    ///
    /// # Errors
    /// When the array is of another type.
    pub fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        if let DataType::Dictionary(_, plain) = array.data_type() {
            let coded = array.as_dictionary_opt::<Int32Type>().filter(|coded| coded.values().null_count() == 0);
            let Some(coded) = coded else { return Self::new(&cast(array, plain)?) };
            return Ok(Self::Codes {
                codes: coded.keys().values().clone(),
                nulls: coded.keys().nulls().filter(|nulls| nulls.null_count() > 0).cloned(),
                cells: Cells::new(coded.values())?,
                dictionary: ArrayRef::clone(coded.values()),
            });
        }
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        Ok(Self::Values(Cells::new(array)?, nulls))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Values(cells, _) => cells.len(),
            Self::Codes { codes, .. } => codes.len(),
        }
    }

    /// Which rows have a value; nothing when all have.
    pub fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Values(_, nulls) | Self::Codes { nulls, .. } => nulls.as_ref(),
        }
    }
}

impl Cells {
    fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        use DataType as T;
        match array.data_type() {
            T::Int8 | T::Int16 | T::UInt8 | T::UInt16 => Self::new(&cast(array, &T::Int32)?),
            T::Boolean => Ok(Self::Bits(array.as_boolean().values().clone())),
            T::Utf8 => {
                let texts = array.as_string::<i32>();
                Ok(Self::Bytes(texts.offsets().clone(), texts.values().clone()))
            }
            T::Binary => {
                let strings = array.as_binary::<i32>();
                Ok(Self::Bytes(strings.offsets().clone(), strings.values().clone()))
            }
            data_type => {
                let data = array.to_data();
                let slots = || (data.buffers()[0].clone(), data.offset(), data.len());
                match data_type.primitive_width() {
                    Some(4) => {
                        let (buffer, offset, length) = slots();
                        Ok(Self::Four(ScalarBuffer::new(buffer, offset, length)))
                    }
                    Some(8) => {
                        let (buffer, offset, length) = slots();
                        Ok(Self::Eight(ScalarBuffer::new(buffer, offset, length)))
                    }
                    _ => Err(ArrowError::NotYetImplemented(format!("encoding {data_type}"))),
                }
            }
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Four(slots) => slots.len(),
            Self::Eight(slots) => slots.len(),
            Self::Bits(bits) => bits.len(),
            Self::Bytes(offsets, _) => offsets.len() - 1,
        }
    }
}

/// The byte string at `at`.
pub fn byte_string<'a>(offsets: &OffsetBuffer<i32>, bytes: &'a Buffer, at: usize) -> &'a [u8] {
    &bytes[offsets[at] as usize..offsets[at + 1] as usize]
}
