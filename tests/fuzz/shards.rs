//! Parquet shards, as other systems wrote them and then damaged: an error that names the shard, or what the library's own
//! reader makes of them.

use std::cell::Cell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Type;
use parquet::file::metadata::ParquetMetaData;
use twopass::error::Error;
use twopass::schema;
use twopass::source::parquet::ParquetShard;
use twopass::source::{Chunk, Limits, Shard, ShardFormat};
use twopass::spec::Input;

use crate::common::{Numbers, Place, forged};
use crate::mutate::{damaged, fuzz, pick, place};

/// Files up to this size are changed: in larger ones, few changes are near anything that counts.
const MOST_BYTES: u64 = 12 << 10;
/// What a shard may ask for here.
const LIMITS: Limits = Limits { page_bytes: 4 << 20, header_bytes: 16 << 20 };

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// A panic that is caught is no news, and printing its backtrace would take most of the time.
fn keep_caught_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !twopass::panics::are_caught() && !EXPECTED.get() {
                hook(panic);
            }
        }));
    });
}

fn fixtures(directory: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let small = || fs::metadata(&path).unwrap().len() <= MOST_BYTES;
        match path.extension().and_then(|ending| ending.to_str()) {
            None if path.is_dir() => fixtures(&path, into),
            Some("parquet") if small() => into.push(path),
            _ => {}
        }
    }
}

/// The small files of `tests/fixtures/parquet`, and some that are written byte by byte.
fn kept() -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    fixtures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet"), &mut paths);
    assert!(paths.len() > 30, "{} files", paths.len());
    let numbers = forged::page(4, forged::PLAIN, 32, &forged::plain(&[1, 2, 3, 4]));
    let version_2 =
        forged::page_v2([4, 0, 4, 2], forged::PLAIN, 34, &[&[8, 1], &forged::plain(&[1, 2, 3, 4])[..]].concat());
    let forged = [
        forged::Forged::new(forged::INT64, 4, numbers).bytes(),
        forged::Forged::new(forged::INT64, 4, version_2).with(|file| file.repetition = 1).bytes(),
    ];
    paths.iter().map(|path| fs::read(path).unwrap()).chain(forged).collect()
}

/// Where the footer begins, if there is one.
fn footer_start(bytes: &[u8]) -> Option<usize> {
    let tail = bytes.len().checked_sub(8)?;
    let length = u32::from_le_bytes(bytes[tail..tail + 4].try_into().unwrap()) as usize;
    tail.checked_sub(length)
}

/// Damage of the whole file, of the footer under a length made right, or of what stands before the footer with all places
/// in it kept: page headers and pages.
fn changed(numbers: &mut Numbers, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let Some(footer) = footer_start(bytes) else { return damaged(numbers, bytes, other) };
    let tail = bytes.len() - 8;
    match numbers.below(4) {
        0 => damaged(numbers, bytes, other),
        1 => forged::framed(&bytes[4..footer], &damaged(numbers, &bytes[footer..tail], other)),
        2 => {
            // A number in the footer or in a page header is another one, of as many bytes.
            let mut bytes = bytes.to_vec();
            for _ in 0..=numbers.below(3) {
                let at = if numbers.below(2) == 0 {
                    numbers.below(tail as u64) as usize
                } else {
                    footer + place(numbers, tail - footer - 1)
                };
                let mark = bytes[at] & 0x80;
                bytes[at] = mark | (numbers.next() as u8 & 0x7f);
            }
            bytes
        }
        _ => {
            let mut bytes = bytes.to_vec();
            for _ in 0..=numbers.below(3) {
                let at = 4 + place(numbers, footer.saturating_sub(5));
                bytes[at] = [0, 1, 0xff, 0x7f, 0x80, numbers.next() as u8][numbers.below(6) as usize];
            }
            bytes
        }
    }
}

/// The columns of a shard as they are read here; nothing where it is refused.
fn ours(shard: &Shard) -> Option<(SchemaRef, Vec<ArrayRef>, Arc<ParquetShard>)> {
    let read = || -> Result<_, Error> {
        let opened = Arc::new(ParquetShard::open(shard, LIMITS, &std::env::temp_dir())?);
        let fields = opened.fields();
        let schema = schema::unify([(shard.name.as_str(), &fields)], &Input::default())?;
        let mut columns = Vec::new();
        for at in 0..schema.fields().len() {
            let mut arrays: Vec<ArrayRef> = vec![arrow::array::new_empty_array(schema.field(at).data_type())];
            // Pieces, so that pages are passed over as well.
            for range in opened.chunks(1, 8192) {
                Chunk::RowGroup(range).for_each_array(&schema, at, &mut |_, array| {
                    arrays.push(expanded(&array, schema.field(at).data_type()));
                    Ok(())
                })?;
            }
            columns.push(concatenated(&arrays));
        }
        opened.check_pages()?;
        Ok((schema, columns, opened))
    };
    match read() {
        Ok(read) => Some(read),
        Err(Error::Data { site, .. }) => {
            assert_eq!(site.shard.as_deref(), Some("damaged"));
            None
        }
        Err(error) => panic!("an error of another kind: {error}"),
    }
}

fn expanded(array: &ArrayRef, plain: &DataType) -> ArrayRef {
    let array = if array.as_any_dictionary_opt().is_some() { cast(array, plain).unwrap() } else { Arc::clone(array) };
    assert_eq!(array.data_type(), plain);
    array
}

fn concatenated(arrays: &[ArrayRef]) -> ArrayRef {
    concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap()
}

/// A column as the library's reader reads it; nothing where it refuses.
fn library(path: &Path, at: usize, plain: &DataType) -> Option<ArrayRef> {
    EXPECTED.set(true);
    let read = catch_unwind(AssertUnwindSafe(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).ok()?).ok()?;
        let only = ProjectionMask::roots(builder.parquet_schema(), [at]);
        let mut arrays = vec![arrow::array::new_empty_array(plain)];
        for batch in builder.with_projection(only).build().ok()? {
            arrays.push(schema::conform(batch.ok()?.column(0), plain, 0).ok()?);
        }
        Some(concatenated(&arrays))
    }));
    EXPECTED.set(false);
    read.ok().flatten()
}

/// The library wraps timestamps of 96 bits that do not fit.
fn is_int96(metadata: &ParquetMetaData, at: usize) -> bool {
    metadata.file_metadata().schema_descr().column(at).physical_type() == Type::INT96
}

#[test]
fn a_damaged_shard_is_refused_by_name_or_read_as_the_library_reads_it() {
    keep_caught_panics_quiet();
    let kept = kept();
    let place = Place::new();
    let path = place.path("damaged");
    let (mut read, mut compared) = (0_u64, 0_u64);
    fuzz("shards", |numbers| {
        let (bytes, other) = (pick(numbers, &kept), pick(numbers, &kept));
        let bytes = changed(numbers, bytes, other);
        fs::write(&path, &bytes).unwrap();
        let shard = Shard {
            name: "damaged".into(),
            path: path.clone(),
            bytes: bytes.len() as u64,
            modified: 0,
            format: ShardFormat::Parquet,
        };
        let Some((schema, columns, _)) = ours(&shard) else { return };
        read += 1;
        // Statistics, which are not read here, may be what is damaged.
        let Ok(builder) = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()) else { return };
        for (at, column) in columns.iter().enumerate() {
            if is_int96(builder.metadata(), at) {
                continue;
            }
            if let Some(theirs) = library(&path, at, schema.field(at).data_type()) {
                compared += 1;
                assert_eq!(column.to_data(), theirs.to_data(), "column {}", schema.field(at).name());
            }
        }
    });
    eprintln!("shards: {read} read after all, {compared} columns compared");
}
