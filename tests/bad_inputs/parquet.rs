//! Files that are no Parquet files, or no longer, or of what is not read.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, IntervalYearMonthArray, ListArray, MapBuilder, RecordBatch, StringBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use parquet::arrow::ArrowWriter;

use crate::claims::sound;
use crate::common::forged::framed;
use crate::{Case, bad};

/// A file of one column `x`.
pub fn file(column: ArrayRef) -> Vec<u8> {
    columns(vec![("x", column)])
}

pub fn columns(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn list() -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)])]))
}

fn group() -> ArrayRef {
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    Arc::new(StructArray::from(vec![(Arc::new(Field::new("a", DataType::Int32, true)), inner)]))
}

fn map() -> ArrayRef {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    builder.keys().append_value("k");
    builder.values().append_value("v");
    builder.append(true).unwrap();
    Arc::new(builder.finish())
}

pub fn cases() -> Vec<Case> {
    let whole = sound().bytes();
    let footer = sound().footer().len();
    let gzipped = crate::texts::gzip(&whole);
    let file_of = |name, bytes: &[u8], says: &[&'static str]| bad(name, "a.parquet", bytes, says);
    let not_parquet = "not a readable Parquet file";
    let changed = |at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        copy
    };
    let length = whole.len() - 8;
    vec![
        file_of("no bytes", b"", &["No CSV/JSON/Parquet shards found"]),
        file_of("the magic alone", b"PAR1", &[not_parquet]),
        file_of("the magic twice", b"PAR1PAR1", &[not_parquet]),
        file_of("the magic and no footer", b"PAR1\0\0\0\0PAR1", &[]),
        file_of("the magic around nothing", b"PAR1\x10\0\0\0PAR1", &[not_parquet, "a footer of 16 bytes"]),
        file_of("a file that was never closed", &whole[..length - footer], &[not_parquet]),
        file_of("cut in half", &whole[..whole.len() / 2], &[not_parquet]),
        file_of("cut by one byte", &whole[..whole.len() - 1], &[not_parquet]),
        file_of("cut before the magic", &whole[..whole.len() - 4], &[not_parquet]),
        file_of("cut before the footer's length", &whole[..length], &[not_parquet]),
        file_of("its beginning is gone", &whole[8..], &[]),
        file_of(
            "a longer file's footer",
            &changed(length, &u32::MAX.to_le_bytes()),
            &[not_parquet, "a footer of 4294967295 bytes"],
        ),
        file_of("a footer of no bytes", &changed(length, &[0; 4]), &["its footer cannot be read"]),
        file_of("a footer that begins late", &changed(length, &((footer - 3) as u32).to_le_bytes()), &[]),
        file_of("a footer of zeros", &framed(&sound().pages, &[0; 60]), &["its footer cannot be read"]),
        file_of("a footer of ones", &framed(&sound().pages, &[0xff; 60]), &["its footer cannot be read"]),
        file_of("an encrypted footer", &changed(whole.len() - 4, b"PARE"), &["its footer is encrypted"]),
        file_of("another magic", &changed(whole.len() - 4, b"PAR2"), &[not_parquet, "does not end in PAR1"]),
        file_of("CSV under the name of Parquet", b"x,y\n1,2\n3,4\n5,6\n", &[not_parquet]),
        file_of("compressed as a whole, and cut", &gzipped[..gzipped.len() / 2], &["gzip stream is cut or damaged"]),
        file_of("text that is compressed", &crate::texts::gzip(b"x,y\n1,2\n"), &["begin with PAR1"]),
        bad("a name that promises compression", "a.parquet.gz", whole.clone(), &["named as a gzip file"]),
        bad("Parquet under the name of CSV", "a.csv", whole.clone(), &[]),
        bad("Parquet under the name of JSON", "a.jsonl", whole.clone(), &[]),
        file_of("a list", &file(list()), &["column `x`", "is not supported"]),
        file_of("a struct", &file(group()), &["column `x`", "is not supported"]),
        file_of("a map", &file(map()), &["column `x`", "is not supported"]),
        file_of(
            "an interval",
            &file(Arc::new(IntervalYearMonthArray::from(vec![1]))),
            &["column `x`", "is not supported"],
        ),
        bad(
            "a name that stands twice",
            "a.parquet",
            columns(vec![("x", Arc::new(Int32Array::from(vec![1]))), ("x", Arc::new(Int32Array::from(vec![2])))]),
            &["`x`", "twice"],
        ),
        bad("a bad shard among good ones", "b.parquet", b"PAR1PAR1".to_vec(), &[not_parquet])
            .beside("a.parquet", whole.clone())
            .beside("c.parquet", whole),
    ]
}
