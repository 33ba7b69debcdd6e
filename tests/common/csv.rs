//! CSV files as batches, read by arrow: for proofs that are not about reading CSV.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn bytes(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap(),
        false => (&file).read_to_end(&mut bytes).unwrap(),
    };
    bytes
}

/// With the types given; an empty field is missing.
pub fn read_as(path: &Path, schema: &SchemaRef) -> RecordBatch {
    let bytes = bytes(path);
    let reader = ReaderBuilder::new(Arc::clone(schema)).with_header(true).build(bytes.as_slice()).unwrap();
    concat_batches(schema, &reader.map(Result::unwrap).collect::<Vec<_>>()).unwrap()
}

/// With the types that all rows allow: integers, floats, booleans, text.
pub fn read(path: &Path) -> RecordBatch {
    let (schema, _) = Format::default().with_header(true).infer_schema(bytes(path).as_slice(), None).unwrap();
    read_as(path, &Arc::new(schema))
}

/// Names of the columns.
pub fn names(path: &Path) -> Vec<String> {
    let (schema, _) = Format::default().with_header(true).infer_schema(bytes(path).as_slice(), Some(1)).unwrap();
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Every field as it is written.
pub fn read_text(path: &Path) -> RecordBatch {
    read_text_by(path, b',')
}

/// The same, with fields between bytes other than commas.
pub fn read_text_by(path: &Path, delimiter: u8) -> RecordBatch {
    let bytes = bytes(path);
    let format = Format::default().with_header(true).with_delimiter(delimiter);
    let (schema, _) = format.infer_schema(bytes.as_slice(), Some(1)).unwrap();
    let text = |field: &Arc<Field>| Field::new(field.name(), DataType::Utf8, true);
    let schema = Arc::new(Schema::new(schema.fields().iter().map(text).collect::<Vec<_>>()));
    let reader = ReaderBuilder::new(Arc::clone(&schema)).with_header(true).with_delimiter(delimiter);
    let reader = reader.build(bytes.as_slice()).unwrap();
    concat_batches(&schema, &reader.map(Result::unwrap).collect::<Vec<_>>()).unwrap()
}
