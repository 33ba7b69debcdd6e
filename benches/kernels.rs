//! The inner loops of both passes, each on one thread.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use twopass::hash;
use twopass::memory::Budget;
use twopass::source::parquet::ParquetShard;
use twopass::source::text::{Delimiter, TextKind, TextOptions, TextShard, Wanted};
use twopass::source::{BATCH_ROWS, Chunk, Limits, Shard, ShardFormat};
use twopass::split::{self, Boundaries, Quotas, Shares};
use twopass::state::{ColumnState, Summary, VocabularyNeed};

const ROWS: usize = 30_000;

/// Numbers without a pattern, the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn dense_floats() -> ArrayRef {
    let mut random = Random(1);
    Arc::new((0..ROWS).map(|_| Some(random.unit() * 2.0 - 1.0)).collect::<Float64Array>())
}

fn money_with_nulls() -> ArrayRef {
    let mut random = Random(2);
    let money = |x: f64| (x > 0.05).then(|| (x * 1e5).round() / 100.0);
    Arc::new((0..ROWS).map(|_| money(random.unit())).collect::<Float64Array>())
}

fn counts() -> ArrayRef {
    let mut random = Random(3);
    Arc::new((0..ROWS).map(|_| Some((random.next() % 12) as i64)).collect::<Int64Array>())
}

/// Texts, of which `distinct` are different.
fn texts(distinct: u64) -> StringArray {
    let mut random = Random(4);
    (0..ROWS).map(|_| Some(format!("category_{}", random.next() % distinct))).collect()
}

fn as_dictionary(texts: &StringArray) -> ArrayRef {
    Arc::new(texts.iter().collect::<DictionaryArray<Int32Type>>())
}

fn statistics(c: &mut Criterion) {
    let mut group = c.benchmark_group("statistics");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, array) in
        [("dense floats", dense_floats()), ("money with nulls", money_with_nulls()), ("small integers", counts())]
    {
        group.bench_function(name, |b| {
            let empty = || ColumnState::new(array.data_type(), VocabularyNeed::Count);
            b.iter_batched_ref(empty, |state| state.update(black_box(&array)), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// Numbers of which `distinct` are different, by code.
fn coded_numbers(distinct: usize) -> DictionaryArray<Int32Type> {
    let mut random = Random(7);
    let values: Float64Array = (0..distinct).map(|_| Some((random.unit() * 1e5).round() / 100.0)).collect();
    // Few values are frequent, as in data.
    let skewed = |unit: f64| (unit * unit * distinct as f64) as i32;
    let keys: Int32Array = (0..ROWS).map(|_| Some(skewed(random.unit()))).collect();
    DictionaryArray::new(keys, Arc::new(values))
}

fn codes(c: &mut Criterion) {
    let mut group = c.benchmark_group("codes");
    group.throughput(Throughput::Elements(ROWS as u64));
    for distinct in [20, 700, 10_000] {
        let codes = coded_numbers(distinct);
        let plain = cast(&codes, &DataType::Float64).expect("numbers");
        let mut run = |layout: &str, update: &dyn Fn(&mut ColumnState)| {
            group.bench_function(format!("{distinct} numbers, {layout}"), |b| {
                let empty = || ColumnState::new(&DataType::Float64, VocabularyNeed::Count);
                b.iter_batched_ref(empty, update, BatchSize::SmallInput);
            });
        };
        run("plain", &|state| state.update(black_box(&plain)).expect("numbers"));
        run("by code", &|state| state.update(black_box(&codes)).expect("numbers"));
        run("expanded", &|state| {
            let plain = cast(black_box(&codes), &DataType::Float64).expect("numbers");
            state.update(&plain).expect("numbers");
        });
    }
    group.finish();
}

fn vocabulary(c: &mut Criterion) {
    let mut group = c.benchmark_group("vocabulary");
    group.throughput(Throughput::Elements(ROWS as u64));
    for distinct in [50, 5000] {
        let plain: ArrayRef = Arc::new(texts(distinct));
        let dictionary = as_dictionary(&texts(distinct));
        for (layout, array) in [("plain", plain), ("dictionary", dictionary)] {
            group.bench_function(format!("{distinct} texts, {layout}"), |b| {
                let empty = || ColumnState::new(&DataType::Utf8, VocabularyNeed::Exact { limit: usize::MAX });
                b.iter_batched_ref(empty, |state| state.update(black_box(&array)), BatchSize::SmallInput);
            });
        }
    }
    group.finish();
}

fn hashing(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    group.throughput(Throughput::Elements(ROWS as u64));
    let keys: ArrayRef = Arc::new((0..ROWS).map(|row| Some(format!("O{row:010}"))).collect::<StringArray>());
    for (name, array) in
        [("text keys", keys), ("dictionary keys", as_dictionary(&texts(50))), ("integer keys", counts())]
    {
        group.bench_function(name, |b| {
            b.iter_batched_ref(Vec::new, |out| hash::fields(black_box(&array), out), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// A table of strata, a ledger that has their rows, and what parts them.
fn ledger(rows: usize, strata: u64) -> (Vec<u32>, Vec<u64>, Quotas) {
    let mut random = Random(5);
    let codes: Vec<u32> = (0..rows).map(|_| (random.next() % strata) as u32).collect();
    let hashes = (0..rows).map(|_| random.next()).collect();
    let mut counts = vec![0; strata as usize];
    codes.iter().for_each(|code| counts[*code as usize] += 1);
    (codes, hashes, split::quotas(&counts, &shares()))
}

fn shares() -> Shares {
    Shares::new(&[0.7, 0.15, 0.15]).expect("the sizes sum to 1")
}

fn boundaries(codes: &[u32], hashes: &[u64], quotas: &Quotas) -> Boundaries {
    let scan = |visit: &split::select::Visit<'_>| {
        visit(codes, hashes, 0);
        Ok(())
    };
    split::boundaries(quotas, &Budget::new(1 << 30), scan).expect("the ledger has the rows of the quotas")
}

fn splitting(c: &mut Criterion) {
    const LEDGER_ROWS: usize = 100_000;
    let mut group = c.benchmark_group("split");
    for strata in [3, 1000] {
        let (codes, hashes, quotas) = ledger(LEDGER_ROWS, strata);
        let parted = boundaries(&codes, &hashes, &quotas);
        let mut out = vec![0; LEDGER_ROWS];
        group.throughput(Throughput::Elements(LEDGER_ROWS as u64));
        group.bench_function(format!("route 100,000 rows of {strata} strata"), |b| {
            b.iter(|| parted.route(black_box(&codes), black_box(&hashes), 0, &mut out));
        });
        group.bench_function(format!("boundaries of 100,000 rows of {strata} strata"), |b| {
            b.iter(|| boundaries(black_box(&codes), black_box(&hashes), &quotas));
        });
    }
    let mut random = Random(6);
    let strata: Vec<u64> = (0..100_000).map(|_| random.next() % 50).collect();
    group.throughput(Throughput::Elements(strata.len() as u64));
    group.bench_function("controlled rounding of 100,000 strata", |b| {
        b.iter(|| split::quotas(black_box(&strata), &shares()));
    });
    group.finish();
}

/// A Parquet shard of one column, `x`, in one row group.
fn parquet_of(array: &ArrayRef, dictionary: bool) -> Bytes {
    let schema = Arc::new(Schema::new(vec![Field::new("x", array.data_type().clone(), true)]));
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_dictionary_enabled(dictionary).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).expect("a plain type");
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(array)]).expect("one column");
    writer.write(&batch).expect("written to memory");
    writer.into_inner().expect("written to memory").into()
}

/// One column of a row group from its bytes to arrays, here and by the library's reader.
fn decoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(ROWS as u64));
    let mut random = Random(7);
    let mut floats = |distinct: u64, nulls: f64| -> ArrayRef {
        let mut value = || (random.unit() >= nulls).then(|| (random.next() % distinct) as f64 / 8.0);
        Arc::new((0..ROWS).map(|_| value()).collect::<Float64Array>())
    };
    let columns: [(&str, ArrayRef, bool); 7] = [
        ("dense floats, plain", dense_floats(), false),
        ("floats with nulls, plain", money_with_nulls(), false),
        ("12 integers", counts(), true),
        ("200 floats", floats(200, 0.0), true),
        ("200 floats, 5% null", floats(200, 0.05), true),
        ("20,000 floats, 5% null", floats(20_000, 0.05), true),
        ("50 texts", Arc::new(texts(50)), true),
    ];
    for (name, array, dictionary) in columns {
        let bytes = parquet_of(&array, dictionary);
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), &bytes).expect("a temporary file can be written");
        let shard = Shard {
            name: "shard".into(),
            path: file.path().into(),
            bytes: bytes.len() as u64,
            modified: 0,
            format: ShardFormat::Parquet,
        };
        let shard =
            Arc::new(ParquetShard::open(&shard, Limits::of(2 << 30, 1), &std::env::temp_dir()).expect("a sound file"));
        let chunk = Chunk::RowGroup(shard.chunks(u64::MAX, usize::MAX).swap_remove(0));
        let schema = Arc::new(Schema::new(vec![Field::new("x", array.data_type().clone(), true)]));
        group.bench_function(name, |b| {
            b.iter(|| {
                chunk.for_each_array(&schema, 0, &mut |_, array| {
                    black_box(array);
                    Ok(())
                })
            });
        });
        let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()).expect("a sound file");
        group.bench_function(format!("{name}, by the library"), |b| {
            b.iter(|| {
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata.clone());
                let reader = builder.with_batch_size(BATCH_ROWS).build().expect("a sound file");
                reader.for_each(|batch| drop(black_box(batch)));
            });
        });
    }
    group.finish();
}

/// A wide table as text: counts, money with gaps, flags, dense floats and quoted words.
fn text_cells() -> Vec<Vec<Option<String>>> {
    let mut random = Random(7);
    let mut row = || {
        let cells = (0..200).map(|column| match column % 5 {
            0 => Some((random.next() % 12).to_string()),
            1 => Some(random.unit()).filter(|x| *x > 0.3).map(|x| format!("{:.2}", x * 300.0)),
            2 => Some((random.next() % 2).to_string()),
            3 => Some(format!("{:?}", random.unit() * 4.0 - 2.0)),
            _ => Some(format!("\"word_{}\"", random.next() % 50)),
        });
        cells.collect()
    };
    (0..2000).map(|_| row()).collect()
}

fn as_csv(cells: &[Vec<Option<String>>]) -> String {
    let header: Vec<String> = (0..cells[0].len()).map(|at| format!("column_{at}")).collect();
    let line = |row: &Vec<Option<String>>| row.iter().map(|c| c.as_deref().unwrap_or("")).collect::<Vec<_>>().join(",");
    std::iter::once(header.join(",")).chain(cells.iter().map(line)).map(|line| line + "\n").collect()
}

fn as_json(cells: &[Vec<Option<String>>]) -> String {
    let line = |row: &Vec<Option<String>>| {
        let pairs = row.iter().enumerate();
        let pairs = pairs.map(|(at, cell)| format!("\"column_{at}\":{}", cell.as_deref().unwrap_or("null")));
        format!("{{{}}}\n", pairs.collect::<Vec<_>>().join(","))
    };
    cells.iter().map(line).collect()
}

fn reading_text(c: &mut Criterion) {
    let mut group = c.benchmark_group("text");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cells = text_cells();
    let formats = [
        ("csv", TextKind::Delimited(Delimiter::Is(b',')), as_csv(&cells)),
        ("json lines", TextKind::Json, as_json(&cells)),
    ];
    for (name, kind, content) in formats {
        let path = directory.path().join(name);
        std::fs::write(&path, &content).expect("a file");
        let shard = TextShard::open(&path, &TextOptions { kind, ..TextOptions::default() }).expect("a shard");
        let fields = shard.sample(2000).expect("a sample");
        let wanted: Vec<Wanted> =
            fields.into_iter().map(|(name, data_type)| Wanted { name, data_type, forced: false }).collect();
        let cut = || shard.blocks(1 << 20).expect("blocks").collect::<Result<Vec<_>, _>>().expect("blocks");
        let blocks = cut();
        group.throughput(Throughput::Bytes(content.len() as u64));
        group.bench_function(format!("cut {name}"), |b| b.iter(cut));
        group.bench_function(format!("parse {name}"), |b| {
            b.iter(|| {
                for block in &blocks {
                    let parsed = shard.parse(black_box(block), &wanted).expect("a batch");
                    assert!(black_box(parsed).batch.is_some());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(kernels, statistics, codes, vocabulary, hashing, splitting, decoding, reading_text);
criterion_main!(kernels);
