//! Columns of numbers, dates, times and text without nesting, decoded page by page to arrays of a given length. Where the
//! pages refer to a dictionary, what comes out is its codes: the dictionary's values are converted once, and shared by all
//! arrays of the chunk. A page that is not read here, such as one of plain text, ends the decoding; the library's reader
//! goes on from there.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, PrimitiveArray};
use arrow::datatypes::{DataType, Int32Type};
use parquet::basic::{Repetition, Type as Physicals};
use parquet::encodings::rle::RleDecoder;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::schema::types::Type;

use super::RowGroupRange;
use super::levels::Validity;
use super::library;
use super::pages::{DataPage, Next, PageValues, Pages};
use super::physical::{self, Int96, Physical, Text};
use crate::error::{Error, Result, Site};

/// How a column is decoded here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flat {
    physical: Physicals,
    nullable: bool,
}

impl Flat {
    /// Nothing for a column that only the library reads; `found` is its type as the file has it, `plain` that as it has it
    /// here.
    pub(super) fn new(node: &Type, found: &DataType, plain: &DataType) -> Option<Self> {
        let physical = node.get_physical_type();
        // Where the two types differ, there is more to do than to read values; but text is text in every layout, and
        // timestamps of 96 bits are read to any unit.
        let same = found == plain || matches!(physical, Physicals::BYTE_ARRAY | Physicals::INT96);
        let nullable = match node.get_basic_info().repetition() {
            Repetition::REQUIRED => false,
            Repetition::OPTIONAL => true,
            Repetition::REPEATED => return None,
        };
        (same && physical::is_as_stored(physical, plain)).then_some(Self { physical, nullable })
    }

    /// Whether the library's reader must not go on: it takes timestamps beyond 64 bits of nanoseconds for others.
    pub(super) fn is_alone(self) -> bool {
        self.physical == Physicals::INT96
    }

    /// Hands over the arrays of column `column` of `range`, up to the first that has a page which is
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
            Physicals::INT96 => {
                // Straight to the unit that is wanted: a value that only that one holds is no error.
                let plain = if matches!(types.wanted, DataType::Timestamp(..)) { types.wanted } else { types.plain };
                Reader::<Int96>::new(self, range, column, Types { plain, ..types })?.run(range, visit)
            }
            Physicals::FLOAT => Reader::<f32>::new(self, range, column, types)?.run(range, visit),
            Physicals::DOUBLE => Reader::<f64>::new(self, range, column, types)?.run(range, visit),
            // Texts that only some pages have a dictionary for cost more in codes than they save.
            Physicals::BYTE_ARRAY if library::is_dictionary_encoded(range.meta().column(column)) => {
                Reader::<Text>::new(self, range, column, types)?.run(range, visit)
            }
            _ => Ok(0),
        }
    }
}

/// A column's own type, and the one that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Types<'a> {
    pub(super) plain: &'a DataType,
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
            // Whoever gets codes works on the dictionary once a chunk: it has to be smaller than the chunk, unless its values
            // are large themselves.
            most_codes: if T::PLAIN { (range.rows / 2).max(64) } else { usize::MAX },
            values: Vec::new(),
            codes: Vec::new(),
        })
    }

    fn run(mut self, range: &RowGroupRange, visit: &mut dyn FnMut(usize, ArrayRef) -> Result<()>) -> Result<usize> {
        let mut first = 0;
        if !self.skip(range.start).map_err(super::unreadable)? {
            return Ok(first);
        }
        for rows in range.batch_lengths() {
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
                Next::Data(page) if T::PLAIN || (self.has_codes() && matches!(page.values, PageValues::Codes(_))) => {
                    self.page = Some(page);
                }
                Next::Data(_) | Next::Foreign => return Ok(Opened::Foreign),
                Next::End => return Ok(Opened::End),
            }
        }
        Ok(Opened::Page)
    }

    fn set_dictionary(&mut self, bytes: &[u8], count: usize) -> ParquetResult<()> {
        if self.dictionary.is_some() {
            return Err(ParquetError::General("a second dictionary in one column chunk".into()));
        }
        let (values, array) = T::dictionary(bytes, count, self.types.plain)?;
        // A value that does not fit may stand in the dictionary and in no row: then the rows decide.
        let shared = (1..=self.most_codes)
            .contains(&count)
            .then(|| super::super::conform(array, self.types.wanted, 0).ok())
            .flatten();
        self.dictionary = Some(Dictionary { values, shared });
        Ok(())
    }

    /// Whether the dictionary's codes are handed over.
    fn has_codes(&self) -> bool {
        self.dictionary.as_ref().is_some_and(|dictionary| dictionary.shared.is_some())
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
                PageValues::Plain(bytes) => T::skip(bytes, with_value)?,
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
            let as_codes = self.has_codes();
            let Some(page) = &mut self.page else { continue };
            let taken = (rows - filled).min(page.rows);
            page.rows -= taken;
            let part = Part { first: filled, with_value: page.levels.read(taken, validity)?, validity };
            filled += taken;
            let dictionary = self.dictionary.as_ref();
            decoded = Some(match (decoded, &mut page.values) {
                (None, PageValues::Codes(indices)) if as_codes => {
                    let mut out = vec![0; rows];
                    part.fill(&mut out[part.first..filled], &mut self.codes, |out| read_codes(indices, out))?;
                    Rows::Codes(out)
                }
                (Some(Rows::Codes(mut out)), PageValues::Codes(indices)) => {
                    part.fill(&mut out[part.first..filled], &mut self.codes, |out| read_codes(indices, out))?;
                    Rows::Codes(out)
                }
                (before, PageValues::Codes(indices)) => {
                    let mut out = into_values(before, part.first, rows, dictionary)?;
                    part.fill(&mut out[part.first..filled], &mut self.values, |out| {
                        self.codes.resize(out.len(), 0);
                        read_codes(indices, &mut self.codes)?;
                        look_up(&self.codes, dictionary, out)
                    })?;
                    Rows::Values(out)
                }
                (before, PageValues::Plain(bytes)) => {
                    let mut out = into_values(before, part.first, rows, dictionary)?;
                    part.fill(&mut out[part.first..filled], &mut self.values, |out| T::read(bytes, out))?;
                    Rows::Values(out)
                }
            });
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
                let array = T::array(values, nulls, self.types.plain).map_err(super::unreadable)?;
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

/// Some rows of an array, all of one page.
struct Part<'a> {
    /// The first of them, in the array.
    first: usize,
    /// How many of them have a value.
    with_value: usize,
    /// Of the array up to here.
    validity: &'a Validity,
}

impl Part<'_> {
    /// Reads the part's values to those of its rows that have one.
    fn fill<V: Copy + Default>(
        &self,
        rows: &mut [V],
        scratch: &mut Vec<V>,
        read: impl FnOnce(&mut [V]) -> ParquetResult<()>,
    ) -> ParquetResult<()> {
        if self.with_value == rows.len() {
            return read(rows);
        }
        scratch.resize(self.with_value, V::default());
        read(scratch)?;
        self.validity.spread(self.first, scratch, rows);
        Ok(())
    }
}

/// The rows read so far, and room for the others, as values.
fn into_values<T: Physical>(
    before: Option<Rows<T>>,
    filled: usize,
    rows: usize,
    dictionary: Option<&Dictionary<T>>,
) -> ParquetResult<Vec<T>> {
    if let Some(Rows::Values(values)) = before {
        return Ok(values);
    }
    let mut values = vec![T::default(); rows];
    if let Some(Rows::Codes(codes)) = before {
        look_up(&codes[..filled], dictionary, &mut values)?;
    }
    Ok(values)
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

/// Reads as many codes as `out` has room for.
fn read_codes(indices: &mut RleDecoder, out: &mut [i32]) -> ParquetResult<()> {
    enough(indices.get_batch(out)?, out.len())
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
