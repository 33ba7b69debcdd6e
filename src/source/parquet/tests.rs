//! The decoder here against the library's own, on files of every shape.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, new_empty_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use proptest::prelude::*;

use super::*;
use crate::source::{Chunk, ShardFormat};

const LIMITS: Limits = Limits { page_bytes: 64 << 20, header_bytes: 64 << 20 };

/// A file that is gone with it.
struct Written {
    _dir: tempfile::TempDir,
    shard: Shard,
}

fn shard_of(bytes: &[u8]) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shard");
    std::fs::write(&path, bytes).unwrap();
    let shard =
        Shard { name: "shard".into(), path, bytes: bytes.len() as u64, modified: 0, format: ShardFormat::Parquet };
    Written { _dir: dir, shard }
}

fn bytes_of(columns: &[(&str, ArrayRef, bool)], properties: WriterPropertiesBuilder) -> Vec<u8> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array, nullable)| Field::new(*name, array.data_type().clone(), *nullable)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.iter().map(|(_, array, _)| Arc::clone(array)).collect();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties.build())).unwrap();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.into_inner().unwrap()
}

/// The types read here, each with types it becomes where other shards have these.
fn types() -> Vec<(DataType, Vec<DataType>)> {
    use DataType as T;
    let at = |unit, zone: Option<&str>| T::Timestamp(unit, zone.map(Into::into));
    vec![
        (T::Int8, vec![T::Int64, T::Float64]),
        (T::Int16, vec![T::Int32, T::Float32]),
        (T::Int32, vec![T::Int64, T::Float64, T::Utf8]),
        (T::Int64, vec![T::Int32, T::Float64, T::Utf8]),
        (T::UInt8, vec![T::Int16]),
        (T::UInt16, vec![T::UInt32]),
        (T::UInt32, vec![T::Int64]),
        (T::UInt64, vec![T::Int64, T::Float64]),
        (T::Float32, vec![T::Float64]),
        (T::Float64, vec![T::Int64, T::Utf8]),
        (T::Date32, vec![at(TimeUnit::Microsecond, None), at(TimeUnit::Nanosecond, None)]),
        (at(TimeUnit::Second, None), vec![at(TimeUnit::Nanosecond, None)]),
        (at(TimeUnit::Millisecond, Some("UTC")), vec![at(TimeUnit::Microsecond, Some("Europe/Berlin"))]),
        (at(TimeUnit::Microsecond, Some("+02:00")), vec![at(TimeUnit::Nanosecond, Some("UTC"))]),
        (at(TimeUnit::Nanosecond, None), vec![T::Utf8]),
        (T::Utf8, vec![T::Int64]),
        (T::LargeUtf8, vec![]),
        (T::Utf8View, vec![]),
        (T::Boolean, vec![T::Int64]),
    ]
}

/// Numbers without a pattern, of which `distinct` are different, as values of `data_type`.
fn values(data_type: &DataType, rows: usize, distinct: u64, null_every: u64, seed: u64) -> ArrayRef {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let raw: Int64Array = (0..rows)
        .map(|row| {
            let value = (next() % distinct) as i64;
            // Runs of one value and of no value, and stretches without a pattern.
            let (value, null) = if row / 500 % 3 == 0 { (row as i64 / 700 % 5, next() % 40) } else { (value, next()) };
            let null = match null_every {
                0 => false,
                1 => true,
                every => null % every == 0,
            };
            (!null).then_some(value)
        })
        .collect();
    let low = |most: i64| -> ArrayRef { Arc::new(raw.unary::<_, arrow::datatypes::Int64Type>(|value| value % most)) };
    match data_type {
        DataType::Int8 | DataType::UInt8 => cast(&low(128), data_type).unwrap(),
        DataType::Int16 | DataType::UInt16 => cast(&low(32_768), data_type).unwrap(),
        DataType::Date32 => cast(&cast(&low(40_000), &DataType::Int32).unwrap(), data_type).unwrap(),
        _ => cast(&raw, data_type).unwrap(),
    }
}

/// The rows of `range`, without dictionaries, and how many of its arrays had one; every array as long as it should be.
fn decoded(range: &RowGroupRange, schema: &SchemaRef, at: usize) -> Result<(ArrayRef, usize)> {
    let wanted = schema.field(at).data_type();
    let batches = range.batches();
    let mut arrays = vec![new_empty_array(wanted)];
    let (mut first_row, mut dictionaries) = (0, 0);
    let mut shared: Option<ArrayRef> = None;
    Chunk::RowGroup(range.clone()).for_each_array(schema, at, &mut |first, array| {
        assert_eq!((first, Some(&array.len())), (first_row, batches.get(arrays.len() - 1)));
        first_row += array.len();
        if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
            dictionaries += 1;
            assert!(dictionary.keys().values().iter().all(|code| (*code as usize) < dictionary.values().len()));
            let known = shared.get_or_insert_with(|| Arc::clone(dictionary.values()));
            assert!(*wanted == DataType::Utf8 || Arc::ptr_eq(known, dictionary.values()));
        }
        assert!(*wanted == DataType::Utf8 || array.nulls().is_none_or(|nulls| nulls.null_count() > 0));
        arrays.push(cast(&array, wanted).unwrap());
        Ok(())
    })?;
    Ok((concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap(), dictionaries))
}

/// The same by the library alone.
fn by_library(range: &RowGroupRange, schema: &SchemaRef, at: usize) -> Result<ArrayRef> {
    let wanted = schema.field(at).data_type();
    let mut arrays = vec![new_empty_array(wanted)];
    let column = range.shard.by_name[schema.field(at).name()];
    range.by_library(column, wanted, 0, &mut |_, array| {
        arrays.push(cast(&array, wanted).unwrap());
        Ok(())
    })?;
    Ok(concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap())
}

/// How a file is written.
#[derive(Debug, Clone)]
struct Shape {
    kind: usize,
    rows: usize,
    distinct: u64,
    null_every: u64,
    nullable: bool,
    dictionary: bool,
    dictionary_bytes: usize,
    fallback: Option<Encoding>,
    version: WriterVersion,
    codec: Compression,
    page_rows: usize,
    group_rows: usize,
    seed: u64,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let rows = prop_oneof![1..300usize, 16_000..40_000usize];
    let codec = prop::sample::select(vec![
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ]);
    let fallback = prop::sample::select(vec![None, None, None, Some(Encoding::DELTA_BINARY_PACKED)]);
    let version = prop::sample::select(vec![WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0]);
    let pages =
        (version, codec, prop_oneof![50..3000usize, Just(20_000)], prop_oneof![100..20_000usize, Just(1 << 20)]);
    let content = (
        0..types().len(),
        rows,
        prop_oneof![1..5u64, 5..300u64, Just(100_000)],
        prop_oneof![Just(0u64), Just(1), Just(2), Just(30), Just(5000)],
        any::<bool>(),
    );
    let dictionary = (prop::bool::weighted(0.8), prop_oneof![Just(1 << 20), 100..5000usize], fallback);
    (content, dictionary, pages, any::<u64>()).prop_map(|(content, dictionary, pages, seed)| Shape {
        kind: content.0,
        rows: content.1,
        distinct: content.2,
        null_every: if content.4 { content.3 } else { 0 },
        nullable: content.4,
        dictionary: dictionary.0,
        dictionary_bytes: dictionary.1,
        fallback: dictionary.2,
        version: pages.0,
        codec: pages.1,
        page_rows: pages.2,
        group_rows: pages.3,
        seed,
    })
}

impl Shape {
    fn write(&self) -> Written {
        let (data_type, _) = &types()[self.kind];
        let array = values(data_type, self.rows, self.distinct, self.null_every, self.seed);
        let mut properties = WriterProperties::builder()
            .set_writer_version(self.version)
            .set_compression(self.codec)
            .set_dictionary_enabled(self.dictionary)
            .set_dictionary_page_size_limit(self.dictionary_bytes)
            .set_write_batch_size(self.page_rows.min(1024))
            .set_data_page_row_count_limit(self.page_rows)
            .set_max_row_group_row_count(Some(self.group_rows));
        if let Some(encoding) = self.fallback
            && data_type.is_integer()
        {
            properties = properties.set_encoding(encoding);
        }
        shard_of(&bytes_of(&[("x", array, self.nullable)], properties))
    }
}

fn schema_of(data_type: &DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("x", data_type.clone(), true)]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 96 } else { 512 }))]

    #[test]
    fn any_file_is_read_as_the_library_reads_it(shape in shapes(), cut in (0.0..1.0f64, 0.0..1.0f64)) {
        let written = shape.write();
        let shard = Arc::new(ParquetShard::open(&written.shard, LIMITS, &std::env::temp_dir()).unwrap());
        let (found, wider) = types().swap_remove(shape.kind);
        for wanted in wider.iter().chain([&schema::plain(&found).unwrap()]) {
            let schema = schema_of(wanted);
            for chunk in shard.chunks(u64::MAX, usize::MAX) {
                let start = (cut.0 * chunk.rows as f64) as usize;
                let rows = ((cut.1 * (chunk.rows - start) as f64) as usize).max(1);
                let part = RowGroupRange { start, rows, ..chunk.clone() };
                for range in [chunk, part] {
                    match (decoded(&range, &schema, 0), by_library(&range, &schema, 0)) {
                        (Ok((here, _)), Ok(there)) => prop_assert_eq!(&here, &there),
                        (Err(here), Err(there)) => {
                            let there = there.in_shard("shard").in_column("x");
                            prop_assert_eq!(here.to_string(), there.to_string());
                        }
                        (here, there) => prop_assert!(false, "{here:?} is not {there:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn few_values_come_as_codes_and_many_as_values() {
    let column = |distinct| values(&DataType::Float64, 20_000, distinct, 7, 1);
    let schema = schema_of(&DataType::Float64);
    let arrays = 20_000_usize.div_ceil(BATCH_ROWS);
    for (distinct, dictionaries) in [(10, arrays), (2000, arrays), (100_000, 0)] {
        let file = bytes_of(&[("x", column(distinct), true)], WriterProperties::builder());
        let written = shard_of(&file);
        let shard = Arc::new(ParquetShard::open(&written.shard, LIMITS, &std::env::temp_dir()).unwrap());
        for range in shard.chunks(u64::MAX, usize::MAX) {
            let (array, found) = decoded(&range, &schema, 0).unwrap();
            assert_eq!((&array, found), (&column(distinct), dictionaries), "{distinct}");
        }
    }
}

#[test]
fn a_value_of_the_dictionary_that_no_row_of_a_range_has_is_not_refused() {
    let mut numbers = vec![1i64; 1000];
    numbers[999] = i64::MAX;
    let file = bytes_of(&[("x", Arc::new(Int64Array::from(numbers)), true)], WriterProperties::builder());
    let written = shard_of(&file);
    let shard = Arc::new(ParquetShard::open(&written.shard, LIMITS, &std::env::temp_dir()).unwrap());
    let schema = schema_of(&DataType::Int32);
    let [whole] = shard.chunks(u64::MAX, usize::MAX).try_into().ok().unwrap();
    let without = RowGroupRange { rows: 999, ..whole.clone() };
    assert_eq!(decoded(&without, &schema, 0).unwrap().0.len(), 999);
    let refused = decoded(&whole, &schema, 0).unwrap_err().to_string();
    assert!(
        refused.starts_with("shard shard, row 999, column `x`: a value of type Int64 does not fit Int32"),
        "{refused}"
    );
}

/// Reads every column of a file that may be damaged; how it ended.
fn outcomes(file: &[u8], schema: &SchemaRef) -> Vec<std::result::Result<usize, String>> {
    let written = shard_of(file);
    let shard = match ParquetShard::open(&written.shard, LIMITS, &std::env::temp_dir()) {
        Ok(shard) => Arc::new(shard),
        Err(e) => return vec![Err(e.to_string())],
    };
    let mut outcomes = Vec::new();
    for range in shard.chunks(u64::MAX, usize::MAX) {
        // A footer may claim any number of rows.
        for at in 0..schema.fields().len() {
            let chunk = Chunk::RowGroup(range.clone());
            let mut rows = 0;
            let read = chunk.for_each_array(schema, at, &mut |_, array| {
                rows += array.len();
                if rows > 1 << 20 {
                    return Err(Error::data(Site::default(), "more rows than were written"));
                }
                Ok(())
            });
            outcomes.push(read.map(|()| rows).map_err(|e| e.to_string()));
        }
    }
    outcomes
}

#[test]
fn a_changed_byte_is_another_value_or_an_error_that_names_its_place() {
    let columns = || {
        vec![
            ("a", values(&DataType::Int64, 400, 20, 9, 1), true),
            ("b", values(&DataType::Float64, 400, 300, 0, 2), false),
            ("c", values(&DataType::Int32, 400, 3, 2, 3), true),
            ("d", values(&DataType::Utf8, 400, 30, 5, 4), true),
        ]
    };
    let fields: Vec<Field> =
        columns().iter().map(|(name, array, _)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut endings = BTreeMap::new();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_page_size_limit(1000)
            .set_write_batch_size(64)
            .set_data_page_row_count_limit(128);
        let file = bytes_of(&columns(), properties);
        assert_eq!(outcomes(&file, &schema), vec![Ok(400); 4]);
        let footer = file.len() - 8 - u32::from_le_bytes(file[file.len() - 8..][..4].try_into().unwrap()) as usize;
        for at in 4..footer {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= change;
                for outcome in outcomes(&damaged, &schema) {
                    match outcome {
                        Ok(rows) => assert_eq!(rows, 400),
                        Err(e) => {
                            assert!(e.starts_with("shard shard, column `"), "{e}");
                            let gave_up = e.contains("gave up");
                            *endings.entry(gave_up).or_insert(0) += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(endings[&false] > 100, "{endings:?}");
    assert!(!endings.contains_key(&true), "no decoder may panic: {endings:?}");
}
