//! One column of a row group by the library's own reader: any type, any encoding, arrays of the column's own type; text
//! whose pages all refer to a dictionary comes out as one.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use parquet::arrow::array_reader::RowGroups;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelector};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Encoding;
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::{SchemaDescriptor, Type};

use super::RowGroupRange;
use super::stored::StoredPages;

/// How the library decodes one column of a shard.
pub(super) struct Library {
    /// To arrays of the column's own type.
    plain: FieldLevels,
    /// To dictionaries, for text.
    dictionary: Option<FieldLevels>,
}

impl Library {
    pub(super) fn new(field: &Field, node: &Arc<Type>, target: &DataType) -> ParquetResult<Self> {
        let root = Type::group_type_builder("schema").with_fields(vec![Arc::clone(node)]).build()?;
        let alone = SchemaDescriptor::new(Arc::new(root));
        let levels = |data_type: DataType| {
            let hint = Fields::from(vec![field.clone().with_data_type(data_type)]);
            parquet_to_arrow_field_levels(&alone, ProjectionMask::all(), Some(&hint))
        };
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let dictionary = (*target == DataType::Utf8).then(|| levels(dictionary)).transpose()?;
        // Dates of 64 bits are decoded as such, and become dates of 32 bits like every other narrower type.
        let decoded = if *field.data_type() == DataType::Date64 { DataType::Date64 } else { target.clone() };
        Ok(Self { plain: levels(decoded)?, dictionary })
    }

    /// The rows of `range` from `skip` on, of column `column`, in arrays of [`RowGroupRange::batch_rows`].
    pub(super) fn reader(
        &self,
        range: &RowGroupRange,
        column: usize,
        skip: usize,
    ) -> ParquetResult<ParquetRecordBatchReader> {
        let meta = range.meta().column(column);
        let levels = self.dictionary.as_ref().filter(|_| is_dictionary_encoded(meta)).unwrap_or(&self.plain);
        let group_rows = range.meta().num_rows() as usize;
        let (start, rows) = (range.start + skip, range.rows - skip);
        let selection = (rows != group_rows).then(|| {
            RowSelection::from(vec![
                RowSelector::skip(start),
                RowSelector::select(rows),
                RowSelector::skip(group_rows - start - rows),
            ])
        });
        let alone = OneColumn { range, column };
        ParquetRecordBatchReader::try_new_with_row_groups(levels, &alone, range.batch_rows(), selection)
    }
}

/// Whether every data page of the chunk refers to its dictionary, as far as the footer says.
pub(super) fn is_dictionary_encoded(meta: &ColumnChunkMetaData) -> bool {
    let has_dictionary = meta.dictionary_page_offset().is_some();
    let only = |encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY | Encoding::RLE);
    match meta.page_encoding_stats_mask() {
        Some(mask) => has_dictionary && mask.encodings().all(only),
        None => {
            has_dictionary
                && meta.encodings().filter(|e| *e != Encoding::PLAIN).all(only)
                && meta.uncompressed_size() < meta.num_values() * 5
        }
    }
}

/// A row group reduced to one column, which the decoder knows as column 0.
struct OneColumn<'a> {
    range: &'a RowGroupRange,
    column: usize,
}

impl RowGroups for OneColumn<'_> {
    fn num_rows(&self) -> usize {
        self.range.meta().num_rows().max(0) as usize
    }

    fn column_chunks(&self, _: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let pages = StoredPages::new(self.range, self.column)?;
        Ok(Box::new(OneChunk(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.range.meta()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.range.shard.metadata
    }
}

/// The pages of the one column chunk.
struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}
