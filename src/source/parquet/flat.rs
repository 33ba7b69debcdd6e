//! Columns of numbers, dates and times without nesting, decoded page by page to arrays of a given length. Where the pages
//! refer to a dictionary, what comes out is its codes: the dictionary's values are converted once, and shared by all
//! arrays of the chunk. A page that is not read here ends the decoding; the library's reader goes on from there.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, PrimitiveArray};
use arrow::datatypes::{DataType, Int32Type};
use parquet::basic::{Repetition, Type as Physicals};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::schema::types::Type;

use super::RowGroupRange;
use super::levels::Validity;
use super::pages::{DataPage, Next, PageValues, Pages};
use super::physical::{self, Physical};
use crate::error::{Error, Result, Site};

/// How a column is decoded here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flat {
    physical: Physicals,
    nullable: bool,
}

impl Flat {
    /// Nothing for a column that only the library reads; `found` is its type as the file has it.
    pub(super) fn new(node: &Type, found: &DataType) -> Option<Self> {
        let physical = node.get_physical_type();
        let nullable = match node.get_basic_info().repetition() {
            Repetition::REQUIRED => false,
            Repetition::OPTIONAL => true,
            Repetition::REPEATED => return None,
        };
        physical::is_as_stored(physical, found).then_some(Self { physical, nullable })
    }

    /// Hands over the arrays of column `column` of `range`, stored as `found`, up to the first that has a page which is
    /// not read here; returns how many rows they have.
    pub(super) fn for_each_array(
        self,
        range: &RowGroupRange,
        column: usize,
        types: Types<'_>,
        visit: &mut dyn FnMut(usize, ArrayRef) -> Result<()>,
    ) -> Result<usize> {
        match self.physical {
            Physicals::INT32 => Reader::<i32>::new(self, range, column, types)?.run(range, visit),
            Physicals::INT64 => Reader::<i64>::new(self, range, column, types)?.run(range, visit),
            Physicals::FLOAT => Reader::<f32>::new(self, range, column, types)?.run(range, visit),
            Physicals::DOUBLE => Reader::<f64>::new(self, range, column, types)?.run(range, visit),
            _ => Ok(0),
        }
    }
}

/// A column's type in the file, and the one that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Types<'a> {
    pub(super) found: &'a DataType,
    pub(super) wanted: &'a DataType,
}

struct Reader<'a, T> {
    pages: Pages,
    /// The page being read.
    page: Option<DataPage>,
    dictionary: Option<Dictionary<T>>,
    types: Types<'a>,
    /// The largest dictionary whose codes are worth handing over.
    most_codes: usize,
    // Values of a page that also has missing ones, and codes that are looked up here.
    values: Vec<T>,
    codes: Vec<i32>,
}

struct Dictionary<T> {
    values: Vec<T>,
    /// As the wanted type, for arrays of codes; nothing where values are handed over.
    shared: Option<ArrayRef>,
}

/// The rows of one array, missing ones included.
enum Rows<T> {
    Codes(Vec<i32>),
    Values(Vec<T>),
}

impl<'a, T: Physical> Reader<'a, T> {
    fn new(how: Flat, range: &RowGroupRange, column: usize, types: Types<'a>) -> Result<Self> {
        Ok(Self {
            pages: Pages::new(range, column, how.nullable).map_err(super::unreadable)?,
            page: None,
            dictionary: None,
            types,
            // Whoever gets codes works on the dictionary once an array: it has to be much smaller than the array.
            most_codes: (range.rows.min(range.batch_rows()) / 4).max(64),
            values: Vec::new(),
            codes: Vec::new(),
        })
    }

    fn run(mut self, range: &RowGroupRange, visit: &mut dyn FnMut(usize, ArrayRef) -> Result<()>) -> Result<usize> {
        let mut first = 0;
        if !self.skip(range.start).map_err(super::unreadable)? {
            return Ok(first);
        }
        for rows in range.batches() {
            let mut validity = Validity::default();
            let Some(decoded) = self.read(rows, &mut validity).map_err(super::unreadable)? else { return Ok(first) };
            let array = self.array(decoded, validity, range.first_row() + first as u64)?;
            visit(first, array)?;
            first += rows;
        }
        if range.start + range.rows == range.meta().num_rows().max(0) as usize {
            // Rows beyond those of the row group are an error.
            self.open().map_err(super::unreadable)?;
        }
        Ok(first)
    }

    /// Opens the next page with rows, unless one is open; says no where there is none that is read here.
    fn open(&mut self) -> ParquetResult<Opened> {
        while self.page.as_ref().is_none_or(|page| page.rows == 0) {
            match self.pages.next()? {
                Next::Dictionary { values, count } => self.set_dictionary(&values, count)?,
                Next::Data(page) => self.page = Some(page),
                Next::Foreign => return Ok(Opened::Foreign),
                Next::End => return Ok(Opened::End),
            }
        }
        Ok(Opened::Page)
    }

    fn set_dictionary(&mut self, bytes: &[u8], count: usize) -> ParquetResult<()> {
        if self.dictionary.is_some() {
            return Err(ParquetError::General("a second dictionary in one column chunk".into()));
        }
        if count > bytes.len() / T::BYTES {
            return Err(ParquetError::EOF(format!("a dictionary of {count} values in {} bytes", bytes.len())));
        }
        let mut values = vec![T::default(); count];
        T::copy(bytes, &mut values);
        let mut shared = None;
        if (1..=self.most_codes).contains(&count) {
            let array = physical::array(values.clone(), None, self.types.found)?;
            // A value that does not fit may stand in the dictionary and in no row: then the rows decide.
            shared = super::super::conform(array, self.types.wanted, 0).ok();
        }
        self.dictionary = Some(Dictionary { values, shared });
        Ok(())
    }

    /// Passes over `rows` rows; says no where a page is not read here.
    fn skip(&mut self, mut rows: usize) -> ParquetResult<bool> {
        while rows > 0 {
            if self.page.is_none()
                && let Some(skipped) = self.pages.skip(rows)?
            {
                rows -= skipped;
                continue;
            }
            match self.open()? {
                Opened::Page => {}
                Opened::Foreign => return Ok(false),
                Opened::End => return Err(ended(rows)),
            }
            let Some(page) = &mut self.page else { continue };
            let taken = rows.min(page.rows);
            let with_value = page.levels.read(taken, &mut Validity::default())?;
            match &mut page.values {
                PageValues::Plain(bytes) => drop(cut::<T>(bytes, with_value)?),
                PageValues::Codes(codes) => enough(codes.skip(with_value)?, with_value)?,
            }
            page.rows -= taken;
            rows -= taken;
            self.page.take_if(|page| page.rows == 0);
        }
        Ok(true)
    }

    /// The next `rows` rows, or nothing where a page is not read here.
    fn read(&mut self, rows: usize, validity: &mut Validity) -> ParquetResult<Option<Rows<T>>> {
        let mut decoded = None;
        let mut filled = 0;
        while filled < rows {
            match self.open()? {
                Opened::Page => {}
                Opened::Foreign => return Ok(None),
                Opened::End => return Err(ended(rows - filled)),
            }
            let Some(page) = &mut self.page else { continue };
            let taken = (rows - filled).min(page.rows);
            let with_value = page.levels.read(taken, validity)?;
            page.rows -= taken;
            let room = filled..filled + taken;
            filled += taken;
            let shared = self.dictionary.as_ref().is_some_and(|dictionary| dictionary.shared.is_some());
            let decoded = decoded.get_or_insert_with(|| match page.values {
                PageValues::Codes(_) if shared => Rows::Codes(vec![0; rows]),
                _ => Rows::Values(vec![T::default(); rows]),
            });
            if let (Rows::Codes(codes), PageValues::Plain(_)) = (&mut *decoded, &page.values) {
                let mut values = vec![T::default(); rows];
                look_up(&codes[..room.start], self.dictionary.as_ref(), &mut values)?;
                *decoded = Rows::Values(values);
            }
            match (decoded, &mut page.values) {
                (Rows::Codes(out), PageValues::Codes(codes)) => {
                    let read = |out: &mut [i32]| enough(codes.get_batch(out)?, out.len());
                    fill(&mut out[room.clone()], room.start, with_value, validity, &mut self.codes, read)?;
                }
                (Rows::Values(out), PageValues::Codes(codes)) => {
                    self.codes.resize(with_value, 0);
                    enough(codes.get_batch(&mut self.codes)?, with_value)?;
                    let (codes, dictionary) = (&self.codes, self.dictionary.as_ref());
                    let read = |out: &mut [T]| look_up(codes, dictionary, out);
                    fill(&mut out[room.clone()], room.start, with_value, validity, &mut self.values, read)?;
                }
                (Rows::Values(out), PageValues::Plain(bytes)) => {
                    let bytes = cut::<T>(bytes, with_value)?;
                    let read = |out: &mut [T]| {
                        T::copy(&bytes, out);
                        Ok(())
                    };
                    fill(&mut out[room.clone()], room.start, with_value, validity, &mut self.values, read)?;
                }
                (Rows::Codes(_), PageValues::Plain(_)) => {}
            }
        }
        Ok(Some(decoded.unwrap_or(Rows::Values(Vec::new()))))
    }

    fn array(&self, rows: Rows<T>, validity: Validity, first_row: u64) -> Result<ArrayRef> {
        let nulls = validity.finish();
        let shared = self.dictionary.as_ref().and_then(|dictionary| dictionary.shared.as_ref());
        match (rows, shared) {
            (Rows::Codes(codes), Some(shared)) => {
                let keys = PrimitiveArray::<Int32Type>::new(codes.into(), nulls);
                // This checks every code.
                let array =
                    DictionaryArray::try_new(keys, Arc::clone(shared)).map_err(|e| super::unreadable(e.into()))?;
                Ok(Arc::new(array))
            }
            (Rows::Values(values), _) => {
                let array = physical::array(values, nulls, self.types.found).map_err(super::unreadable)?;
                super::super::conform(array, self.types.wanted, first_row)
            }
            (Rows::Codes(_), None) => Err(Error::data(Site::default(), "codes without a dictionary")),
        }
    }
}

/// Whether there is a page to read.
enum Opened {
    Page,
    Foreign,
    End,
}

/// Reads `with_value` values to the rows of `out` that have one; the first of them is row `first` of `validity`.
fn fill<V: Copy + Default>(
    out: &mut [V],
    first: usize,
    with_value: usize,
    validity: &Validity,
    scratch: &mut Vec<V>,
    read: impl FnOnce(&mut [V]) -> ParquetResult<()>,
) -> ParquetResult<()> {
    if with_value == out.len() {
        return read(out);
    }
    scratch.resize(with_value, V::default());
    read(scratch)?;
    validity.spread(first, scratch, out);
    Ok(())
}

/// The values that `codes` stand for.
fn look_up<T: Physical>(codes: &[i32], dictionary: Option<&Dictionary<T>>, out: &mut [T]) -> ParquetResult<()> {
    let values = dictionary.map_or(&[][..], |dictionary| &dictionary.values);
    let highest = codes.iter().fold(0, |highest: u32, code| highest.max(*code as u32)) as usize;
    if highest >= values.len() && !codes.is_empty() {
        let message = format!("index {highest} of a dictionary of {} values", values.len());
        return Err(ParquetError::General(message));
    }
    for (slot, code) in out.iter_mut().zip(codes) {
        *slot = values[*code as usize];
    }
    Ok(())
}

/// Takes the bytes of `count` values off the front.
fn cut<T: Physical>(bytes: &mut bytes::Bytes, count: usize) -> ParquetResult<bytes::Bytes> {
    if count > bytes.len() / T::BYTES {
        return Err(ParquetError::EOF("the values of a page end early".into()));
    }
    Ok(bytes.split_to(count * T::BYTES))
}

fn enough(read: usize, wanted: usize) -> ParquetResult<()> {
    if read < wanted {
        return Err(ParquetError::EOF("the indices of a page end early".into()));
    }
    Ok(())
}

fn ended(missing: usize) -> ParquetError {
    ParquetError::EOF(format!("the pages end {missing} rows before the row group does"))
}
