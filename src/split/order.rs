//! Values of rows as bytes that compare like them: numbers by value, text by bytes, false before true, dates and times by time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, is_not_null};
use arrow::datatypes::{DataType, Field, Float64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use crate::error::{Error, Result, Site};

/// Most bytes of a row.
pub const MOST_BYTES: usize = 1 << 20;

/// Makes the bytes of rows with columns of certain types.
#[derive(Debug)]
pub struct Order {
    types: Vec<DataType>,
    converter: RowConverter,
}

impl Order {
    /// For columns of these types.
    ///
    /// # Errors
    /// [`Error::Recipe`] for a type that has no order.
    pub fn new(columns: &[&Field]) -> Result<Self> {
        let types: Vec<DataType> = columns.iter().map(|field| comparable(field.data_type())).collect();
        let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
        let converter = RowConverter::new(fields)
            .map_err(|e| Error::Recipe(format!("dedupe.order_by: no order for these columns: {e}")))?;
        Ok(Self { types, converter })
    }

    /// Appends the bytes of every row to `bytes`, and where each ends to `ends`; a row that lacks a value of any column has none.
    ///
    /// # Errors
    /// [`Error::Data`] with the row for one that is too long.
    pub fn append(&self, columns: &[ArrayRef], ends: &mut Vec<usize>, bytes: &mut Vec<u8>) -> Result<()> {
        let failed = |e: ArrowError| Error::failed("ordering rows", e);
        let columns = columns
            .iter()
            .zip(&self.types)
            .map(|(array, data_type)| normal(array, data_type))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        let rows = self.converter.convert_columns(&columns).map_err(failed)?;
        let present = columns.iter().map(|array| is_not_null(array)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        for (at, row) in rows.iter().enumerate() {
            if present.iter().all(|present| present.value(at)) {
                let row = row.as_ref();
                if row.len() > MOST_BYTES {
                    let message = format!("dedupe.order_by: a value of {} bytes; {MOST_BYTES} are the most", row.len());
                    return Err(Error::data(Site { row: Some(at as u64), ..Site::default() }, message));
                }
                bytes.extend_from_slice(row);
            }
            ends.push(bytes.len());
        }
        Ok(())
    }
}

/// The type whose order is taken: that of floats is one for all widths.
fn comparable(data_type: &DataType) -> DataType {
    if data_type.is_floating() { DataType::Float64 } else { data_type.clone() }
}

/// Without dictionaries, NaN and the sign of zero.
fn normal(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let plain = if array.data_type() == data_type { Arc::clone(array) } else { cast(array, data_type)? };
    Ok(match plain.as_primitive_opt::<Float64Type>() {
        Some(floats) => Arc::new(floats.unary_opt::<_, Float64Type>(|value| (!value.is_nan()).then_some(value + 0.0))),
        None => plain,
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Float32Array, Int32Array, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn of(array: ArrayRef, data_type: &DataType) -> Vec<Vec<u8>> {
        let order = Order::new(&[&Field::new("o", data_type.clone(), true)]).expect("an order");
        let (mut ends, mut bytes) = (Vec::new(), Vec::new());
        order.append(&[array], &mut ends, &mut bytes).expect("rows");
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(&ends).map(|(start, end)| bytes[start..*end].to_vec()).collect()
    }

    #[test]
    fn bytes_compare_like_values() {
        let values = [f32::NEG_INFINITY, -1.5, -0.0, 0.0, 1.0, f32::INFINITY, f32::NAN];
        let found = of(Arc::new(Float32Array::from(values.to_vec())), &DataType::Float32);
        assert!(found[..6].is_sorted());
        assert_eq!(found[2], found[3]);
        assert!(found[6].is_empty());
        let texts = Arc::new(StringArray::from(vec![Some("é"), Some(""), None, Some("z"), Some("za")]));
        let codes = Int32Array::from(vec![1, 3, 4, 0, 2]);
        let found = of(Arc::new(DictionaryArray::<Int32Type>::new(codes, texts)), &DataType::Utf8);
        assert!(found[..4].is_sorted_by(|a, b| a < b));
        assert!(!found[0].is_empty() && found[4].is_empty());
    }
}
