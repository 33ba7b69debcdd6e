//! The encoder against the library's reader and writer: what is pushed is read back, and the bytes depend on rows alone.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    UInt64Array,
};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{Field, Int32Type, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding as PageEncoding;
use parquet::column::page::Page;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use proptest::prelude::*;

use super::*;

/// One split of so many rows in one part.
fn cut(rows: usize, row_group_rows: usize) -> Cut {
    Cut { rows: rows as u64, shard_rows: u64::MAX, row_group_rows: row_group_rows as u64 }
}

#[derive(Debug)]
struct Way {
    dictionary: bool,
    row_group_rows: usize,
    page_rows: usize,
    compression: Compression,
}

impl Way {
    fn plain() -> Self {
        Self { dictionary: false, row_group_rows: 1000, page_rows: 300, compression: Compression::Snappy }
    }
}

/// The file of one column whose rows arrive in these batches, each with the rows that are taken of it.
fn file(way: &Way, batches: &[(ArrayRef, Option<UInt32Array>)]) -> Bytes {
    let plain = match batches[0].0.data_type() {
        arrow::datatypes::DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    let schema = Arc::new(Schema::new(vec![Field::new("a", plain, true)]));
    let mut format = Format::new(Arc::clone(&schema), way.compression, &[way.dictionary], 1).unwrap();
    format.page_rows = way.page_rows;
    let rows = batches.iter().map(|(array, rows)| rows.as_ref().map_or(array.len(), Array::len)).sum();
    let mut encoder = ColumnEncoder::new(&format, 0, &[cut(rows, way.row_group_rows)]).unwrap();
    let mut encoding = format.encoding().unwrap();
    let mut finished = vec![Vec::new()];
    for (array, rows) in batches {
        encoder.push(array, std::slice::from_ref(rows), &mut encoding, &mut finished).unwrap();
    }
    let root = format.descriptor().root_schema_ptr();
    let mut writer = SerializedFileWriter::new(Vec::new(), root, Arc::clone(&format.properties)).unwrap();
    for chunk in finished.remove(0) {
        let mut group = writer.next_row_group().unwrap();
        chunk.append_to(&mut group).unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap().into()
}

fn read(file: &Bytes) -> ArrayRef {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    let arrays: Vec<ArrayRef> = reader.map(|batch| Arc::clone(batch.unwrap().column(0))).collect();
    concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap()
}

fn groups(file: &Bytes) -> Vec<RowGroupMetaData> {
    SerializedFileReader::new(file.clone()).unwrap().metadata().row_groups().to_vec()
}

/// The encodings of the data pages of the first row group.
fn data_pages(file: &Bytes) -> Vec<PageEncoding> {
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    let pages = reader.get_row_group(0).unwrap().get_column_page_reader(0).unwrap();
    pages.map(Result::unwrap).filter(Page::is_data_page).map(|page| page.encoding()).collect()
}

/// The same rows as dictionary codes, with values that no row uses in front.
fn coded(array: &ArrayRef) -> ArrayRef {
    let unused = array.slice(0, array.len().min(3));
    let unused = take(&unused, &(0..unused.len() as u32).rev().collect::<UInt32Array>(), None).unwrap();
    let values = concat(&[unused.as_ref(), array.as_ref()]).unwrap();
    let valid: UInt32Array = (0..values.len() as u32).filter(|at| values.is_valid(*at as usize)).collect();
    let place = |row: usize| valid.values().iter().position(|at| *at as usize == row + unused.len());
    let keys: Int32Array = (0..array.len()).map(|row| place(row).map(|at| at as i32)).collect();
    Arc::new(DictionaryArray::<Int32Type>::try_new(keys, take(&values, &valid, None).unwrap()).unwrap())
}

fn some<T: Copy>(seeds: &[Option<u16>], of: impl Fn(u16) -> T) -> impl Iterator<Item = Option<T>> {
    seeds.iter().map(move |seed| seed.map(&of)).collect::<Vec<_>>().into_iter()
}

fn double(seed: u16) -> f64 {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, f64::MIN_POSITIVE, f64::MAX, f64::MIN];
    odd.get(seed as usize).copied().unwrap_or(f64::from(seed % 97) / 8.0 - 5.0)
}

fn text(seed: u16) -> String {
    ["", "ä", "\u{10FFFF}", "日本語"].get(seed as usize).map_or_else(|| format!("v{}", seed % 61), ToString::to_string)
}

fn array(kind: usize, seeds: &[Option<u16>]) -> ArrayRef {
    let seed = i64::from;
    match kind {
        0 => Arc::new(some(seeds, double).collect::<Float64Array>()),
        1 => Arc::new(some(seeds, |s| double(s) as f32).collect::<Float32Array>()),
        2 => Arc::new(some(seeds, |s| seed(s).wrapping_mul(i64::MAX / 7)).collect::<Int64Array>()),
        3 => Arc::new(some(seeds, |s| i32::from(s % 300) - 150).collect::<Int32Array>()),
        4 => Arc::new(some(seeds, |s| s as i8).collect::<Int8Array>()),
        5 => Arc::new(some(seeds, |s| u64::MAX - u64::from(s)).collect::<UInt64Array>()),
        6 => Arc::new(some(seeds, |s| u32::MAX / 2 + u32::from(s)).collect::<UInt32Array>()),
        7 => Arc::new(some(seeds, |s| s % 3 == 0).collect::<BooleanArray>()),
        8 => Arc::new(seeds.iter().map(|s| s.map(text)).collect::<StringArray>()),
        9 => Arc::new(seeds.iter().map(|s| s.map(|s| s.to_be_bytes().to_vec())).collect::<BinaryArray>()),
        10 => Arc::new(some(seeds, |s| i32::from(s) - 9000).collect::<Date32Array>()),
        11 => Arc::new(
            some(seeds, |s| seed(s) * 1_000_003).collect::<TimestampMicrosecondArray>().with_timezone("Europe/Berlin"),
        ),
        _ => {
            let decimals = some(seeds, |s| i128::from(s) - 500).collect::<Decimal128Array>();
            Arc::new(decimals.with_precision_and_scale(20, 3).unwrap())
        }
    }
}

const KINDS: usize = 13;

/// Rows in runs: with values, without, few and many alike.
fn seeds() -> impl Strategy<Value = Vec<Option<u16>>> {
    let run = (prop_oneof![Just(None), any::<u16>().prop_map(Some)], 1_usize..120, any::<bool>());
    prop::collection::vec(run, 0..25).prop_map(|runs| {
        let spread = |(seed, rows, alike): (Option<u16>, usize, bool)| {
            (0..rows).map(move |row| seed.map(|seed| if alike { seed } else { seed.wrapping_add(row as u16 * 7) }))
        };
        runs.into_iter().flat_map(spread).collect()
    })
}

fn way() -> impl Strategy<Value = Way> {
    let compression = prop_oneof![
        Just(Compression::None),
        Just(Compression::Snappy),
        Just(Compression::Zstd),
        Just(Compression::Lz4)
    ];
    (any::<bool>(), 1_usize..1500, 1_usize..400, compression).prop_map(
        |(dictionary, row_group_rows, page_rows, compression)| Way {
            dictionary,
            row_group_rows,
            page_rows,
            compression,
        },
    )
}

/// Cuts an array into batches of these lengths, repeated.
fn batches(array: &ArrayRef, lengths: &[usize]) -> Vec<(ArrayRef, Option<UInt32Array>)> {
    let mut batches = Vec::new();
    let mut at = 0;
    for length in lengths.iter().cycle() {
        let rows = (*length).min(array.len() - at);
        batches.push((array.slice(at, rows), None));
        at += rows;
        if at == array.len() {
            return batches;
        }
    }
    batches
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_pushed_is_read_back(kind in 0..KINDS, seeds in seeds(), way in way(), lengths in prop::collection::vec(1_usize..700, 1..4)) {
        let expected = array(kind, &seeds);
        prop_assume!(!expected.is_empty());
        let written = file(&way, &batches(&expected, &lengths));
        prop_assert_eq!(&read(&written), &expected);
        let rows: Vec<i64> = groups(&written).iter().map(RowGroupMetaData::num_rows).collect();
        prop_assert!(rows.iter().rev().skip(1).all(|rows| *rows == way.row_group_rows as i64));
    }

    #[test]
    fn bytes_depend_on_the_rows_alone(kind in 0..KINDS, seeds in seeds(), way in way(), lengths in prop::collection::vec(1_usize..700, 1..4)) {
        let whole = array(kind, &seeds);
        prop_assume!(!whole.is_empty());
        let expected = file(&way, &[(Arc::clone(&whole), None)]);
        prop_assert_eq!(&file(&way, &batches(&whole, &lengths)), &expected);
        // The rows picked out of others.
        let doubled: UInt32Array = (0..whole.len() as u32).flat_map(|row| [row, row]).collect();
        let among = take(&whole, &doubled, None).unwrap();
        let picked: UInt32Array = (0..whole.len() as u32).map(|row| row * 2 + row % 2).collect();
        prop_assert_eq!(&file(&way, &[(among, Some(picked))]), &expected);
        // As codes of one dictionary, and of one a batch.
        if cells::holds(whole.data_type()) && whole.len() < 400 {
            prop_assert_eq!(&file(&way, &batches(&coded(&whole), &lengths)), &expected);
            let each: Vec<_> = batches(&whole, &lengths).iter().map(|(array, _)| (coded(array), None)).collect();
            prop_assert_eq!(&file(&way, &each), &expected);
        }
    }

    #[test]
    fn statistics_are_those_of_the_library(kind in 0..KINDS, seeds in seeds(), dictionary in any::<bool>()) {
        let values = array(kind, &seeds);
        prop_assume!(!values.is_empty());
        let way = Way { dictionary, row_group_rows: usize::MAX, ..Way::plain() };
        let ours = groups(&file(&way, &[(Arc::clone(&values), None)]));
        let batch = RecordBatch::try_from_iter_with_nullable([("a", Arc::clone(&values), true)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let theirs = groups(&writer.into_inner().unwrap().into());
        let (ours, theirs) = (ours[0].column(0), theirs[0].column(0));
        let (mine, other) = (ours.statistics().unwrap(), theirs.statistics().unwrap());
        prop_assert_eq!(mine.null_count_opt(), other.null_count_opt());
        prop_assert_eq!(mine.nan_count_opt().unwrap_or(0), other.nan_count_opt().unwrap_or(0));
        prop_assert_eq!(ours.unencoded_byte_array_data_bytes(), theirs.unencoded_byte_array_data_bytes());
        prop_assert_eq!(ours.definition_level_histogram(), theirs.definition_level_histogram());
        match (mine, other) {
            // Zeros have a sign here, and a chunk of nothing but NaN no bounds.
            (Statistics::Double(a), Statistics::Double(b)) => {
                let real = b.min_opt().filter(|min| !min.is_nan());
                prop_assert_eq!(a.min_opt(), real);
                prop_assert_eq!(a.max_opt(), b.max_opt().filter(|max| !max.is_nan()));
            }
            (Statistics::Float(a), Statistics::Float(b)) => {
                prop_assert_eq!(a.min_opt(), b.min_opt().filter(|min| !min.is_nan()));
                prop_assert_eq!(a.max_opt(), b.max_opt().filter(|max| !max.is_nan()));
            }
            _ => prop_assert_eq!((mine.min_bytes_opt(), mine.max_bytes_opt()), (other.min_bytes_opt(), other.max_bytes_opt())),
        }
    }

    #[test]
    fn long_texts_are_bounded_in_statistics(start in "[a-zé日\u{10FFFF}]{50,90}", other in "[a-zé日\u{10FFFF}]{50,90}") {
        let values: ArrayRef = Arc::new(StringArray::from(vec![start.clone(), other.clone()]));
        let groups = groups(&file(&Way::plain(), &[(values, None)]));
        let statistics = groups[0].column(0).statistics().unwrap().clone();
        let (least, most) = (start.as_bytes().min(other.as_bytes()), start.as_bytes().max(other.as_bytes()));
        if let (Some(low), Some(high)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt()) {
            prop_assert!(low <= least && high >= most && low.len() <= 64 && high.len() <= 64);
            prop_assert_eq!(statistics.min_is_exact(), low == least);
            prop_assert_eq!(statistics.max_is_exact(), high == most);
        }
    }

    #[test]
    fn codes_are_read_back(codes in prop::collection::vec((0_u32..5000, 1_usize..40), 0..60), bits in 0_u32..14) {
        let codes: Vec<u32> = codes.iter().flat_map(|(code, times)| vec![code & ((1 << bits) - 1); *times]).collect();
        let width = codes::width(1 << bits);
        let mut bytes = Vec::new();
        codes::encode(&codes, width, &mut bytes);
        let mut decoder = parquet::encodings::rle::RleDecoder::new(width as u8);
        let mut back = vec![0_i32; codes.len()];
        if !codes.is_empty() {
            decoder.set_data(bytes.into()).unwrap();
            prop_assert_eq!(decoder.get_batch(&mut back).unwrap(), codes.len());
        }
        prop_assert!(back.iter().zip(&codes).all(|(back, code)| *back as u32 == *code));
    }
}

#[test]
fn a_dictionary_is_used_where_it_is_asked_for() {
    let values = array(0, &(0..2000).map(|row| Some(row % 50)).collect::<Vec<_>>());
    for (dictionary, expected) in [(true, PageEncoding::RLE_DICTIONARY), (false, PageEncoding::PLAIN)] {
        let way = Way { dictionary, ..Way::plain() };
        assert!(data_pages(&file(&way, &[(Arc::clone(&values), None)])).iter().all(|encoding| *encoding == expected));
    }
}

#[test]
fn a_page_of_texts_ends_with_the_value_that_fills_it() {
    let long = "x".repeat(400 << 10);
    let values: ArrayRef = Arc::new(StringArray::from_iter((0..10).map(|row| (row % 4 != 3).then_some(&long))));
    let way = Way { page_rows: 1000, compression: Compression::None, ..Way::plain() };
    let expected = file(&way, &[(Arc::clone(&values), None)]);
    assert_eq!(file(&way, &batches(&values, &[1])), expected);
    assert_eq!(read(&expected).as_ref(), values.as_ref());
    // Three of 400 KiB make more than 1 MiB; eight texts are three pages.
    assert_eq!(data_pages(&expected).len(), 3);
}

#[test]
fn columns_that_share_a_dictionary_do_not_share_codes() {
    let keys = Int32Array::from(vec![0, 1, 1, 0]);
    let values: ArrayRef = Arc::new(Int64Array::from(vec![7, 9]));
    let array: ArrayRef = Arc::new(DictionaryArray::try_new(keys, values).unwrap());
    let schema = Arc::new(Schema::new(
        ["a", "b"].map(|name| Field::new(name, arrow::datatypes::DataType::Int64, true)).to_vec(),
    ));
    let format = Format::new(schema, Compression::None, &[true, true], 1).unwrap();
    let mut encoding = format.encoding().unwrap();
    let mut encoders: Vec<_> = (0..2).map(|at| ColumnEncoder::new(&format, at, &[cut(4, 4)]).unwrap()).collect();
    let mut finished = vec![Vec::new()];
    for (rows, encoder) in [vec![0, 1, 2, 3], vec![2, 1, 0, 3]].into_iter().zip(&mut encoders) {
        let rows = [Some(UInt32Array::from(rows))];
        encoder.push(&array, &rows, &mut encoding, &mut finished).unwrap();
    }
    let root = format.descriptor().root_schema_ptr();
    let mut writer = SerializedFileWriter::new(Vec::new(), root, Arc::clone(&format.properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    finished.remove(0).into_iter().for_each(|chunk| chunk.append_to(&mut group).unwrap());
    group.close().unwrap();
    let file: Bytes = writer.into_inner().unwrap().into();
    let batch = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
    assert_eq!(
        cast(batch.column(0), &arrow::datatypes::DataType::Int64).unwrap().as_ref(),
        &Int64Array::from(vec![7, 9, 9, 7])
    );
    assert_eq!(
        cast(batch.column(1), &arrow::datatypes::DataType::Int64).unwrap().as_ref(),
        &Int64Array::from(vec![9, 9, 7, 7])
    );
}
