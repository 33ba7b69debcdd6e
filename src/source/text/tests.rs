//! Shards written to a directory, read as the scan reads them: widened and read again until every value fits.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType as T;
use tempfile::TempDir;

use super::*;

mod delimited;
mod elements;
mod invariance;
mod json;
mod skip;
mod sniff;

pub(super) const CSV: TextFormat = TextFormat::Delimited { delimiter: b',' };

/// What a shard of this format is asked for as.
pub(super) fn kind(format: TextFormat) -> TextKind {
    match format {
        TextFormat::Delimited { delimiter } => TextKind::Delimited(Delimiter::Is(delimiter)),
        _ => TextKind::Json,
    }
}

/// A file that goes with its directory.
pub(super) struct File(TempDir);

impl File {
    pub(super) fn new(content: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("shard"), content).unwrap();
        Self(dir)
    }

    pub(super) fn open(&self, format: TextFormat) -> Result<TextShard> {
        self.open_as(&TextOptions { kind: kind(format), ..TextOptions::default() })
    }

    pub(super) fn open_signed(&self, names: &[&str]) -> Result<TextShard> {
        let names = names.iter().map(ToString::to_string).collect();
        self.open_as(&TextOptions { kind: kind(CSV), names: Some(names), ..TextOptions::default() })
    }

    pub(super) fn open_as(&self, options: &TextOptions) -> Result<TextShard> {
        TextShard::open(&self.0.path().join("shard"), options)
    }
}

/// Every column of the shard under the narrowest types.
pub(super) fn read(shard: TextShard, block_bytes: usize) -> Result<RecordBatch> {
    let mut shard = shard;
    let mut wanted: Vec<Wanted> = shard.names().iter().map(|name| column(name, T::Null, false)).collect();
    'again: loop {
        let mut batches = Vec::new();
        for block in shard.blocks(block_bytes)? {
            let parsed = shard.parse(&block?, &wanted)?;
            if !parsed.new_columns.is_empty() {
                shard = shard.with_new_columns(parsed.new_columns.iter().map(|(name, _)| name.as_str()));
                wanted.extend(parsed.new_columns.into_iter().map(|(name, data_type)| column(&name, data_type, false)));
                continue 'again;
            }
            for (at, data_type) in &parsed.widened {
                assert_ne!(wanted[*at].data_type, *data_type);
                wanted[*at].data_type = data_type.clone();
            }
            batches.extend(parsed.batch);
            if !parsed.widened.is_empty() {
                continue 'again;
            }
        }
        let fields =
            wanted.iter().map(|wanted| arrow::datatypes::Field::new(&wanted.name, wanted.data_type.clone(), true));
        let schema = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
        return Ok(concat_batches(&schema, &batches).unwrap());
    }
}

pub(super) fn column(name: &str, data_type: T, forced: bool) -> Wanted {
    Wanted { name: name.into(), data_type, forced }
}

/// Every column as text, digits as they stand.
pub(super) fn read_text(shard: &TextShard, block_bytes: usize) -> Result<Vec<Vec<Option<String>>>> {
    let wanted: Vec<Wanted> = shard.names().iter().map(|name| column(name, T::Utf8, true)).collect();
    let mut columns = vec![Vec::new(); wanted.len()];
    let mut next_row = 0;
    for block in shard.blocks(block_bytes)? {
        let block = block?;
        assert_eq!(block.first_row, next_row);
        next_row += block.rows;
        let batch = shard.parse(&block, &wanted)?.batch.unwrap();
        assert_eq!(batch.num_rows() as u64, block.rows);
        for (column, array) in columns.iter_mut().zip(batch.columns()) {
            column.extend(array.as_string::<i32>().iter().map(|text| text.map(str::to_string)));
        }
    }
    Ok(columns)
}

/// Columns of texts as rows, a missing one as `·`.
pub(super) fn rows(format: TextFormat, content: &str) -> Vec<String> {
    let file = File::new(content);
    let columns = read_text(&file.open(format).unwrap(), 1 << 20).unwrap();
    let count = columns.first().map_or(0, Vec::len);
    let show =
        |row: usize| columns.iter().map(|column| column[row].as_deref().unwrap_or("·")).collect::<Vec<_>>().join("|");
    (0..count).map(show).collect()
}

/// Site and message of reading the whole shard.
pub(super) fn refusal(format: TextFormat, content: impl AsRef<[u8]>) -> String {
    let file = File::new(content);
    let error = file.open(format).and_then(|shard| read(shard, 16)).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

pub(super) fn types(batch: &RecordBatch) -> Vec<T> {
    batch.columns().iter().map(|array| array.data_type().clone()).collect()
}
