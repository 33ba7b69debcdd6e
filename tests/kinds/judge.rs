//! An output held against what the oracle says of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use serde_json::{Value, json};

use super::common::split_oracle::recipe::Settings;
use super::common::split_oracle::{Answer, Fate};
use super::common::table::{Cell, Table};
use super::common::{manifest, read_split, splits};

/// What a job wrote: the split, or the fold, of every row.
pub struct Output {
    path: PathBuf,
    pub manifest: Value,
    pub splits: Vec<Option<usize>>,
    fold_column: bool,
}

fn int(cell: &Cell) -> usize {
    if let Cell::Int(int) = cell { *int as usize } else { panic!("{cell:?} is no number") }
}

impl Output {
    /// Reads an output of Parquet parts whose column `row` numbers the rows.
    pub fn read(path: &Path, settings: &Settings, rows: usize) -> Self {
        Self::read_by(path, settings, rows, "row", int)
    }

    /// Reads an output of Parquet parts of which a column tells the row; every row comes once at the most, and in order.
    pub fn read_by(
        path: &Path,
        settings: &Settings,
        rows: usize,
        column: &str,
        number: impl Fn(&Cell) -> usize,
    ) -> Self {
        let numbers = |table: &Table| -> Vec<usize> {
            let numbers: Vec<usize> = table.column(column).iter().map(&number).collect();
            assert!(numbers.is_sorted(), "rows keep their order");
            numbers
        };
        let names = splits(path);
        let mut found = vec![None; rows];
        let mut put = |row: usize, split: usize| {
            assert_eq!(found[row].replace(split), None, "row {row} twice");
        };
        if let Some(column) = &settings.fold_column {
            assert_eq!(names, std::slice::from_ref(&settings.name));
            let batch = read_split(path, &names[0]);
            let last = batch.schema().fields().last().unwrap().clone();
            assert_eq!((last.name(), last.data_type()), (column, &DataType::Int32));
            let table = Table::of_batch(&batch);
            numbers(&table).into_iter().zip(table.column(column)).for_each(|(row, fold)| put(row, int(&fold)));
        } else {
            assert_eq!(names, settings.names());
            for (at, name) in names.iter().enumerate() {
                numbers(&Table::of_batch(&read_split(path, name))).into_iter().for_each(|row| put(row, at));
            }
        }
        let fold_column = settings.fold_column.is_some();
        Self { path: path.to_path_buf(), manifest: manifest(path), splits: found, fold_column }
    }

    /// Every row where it should be, every reason counted, and proved by `verify`.
    #[track_caller]
    pub fn assert_is(&self, answer: &Answer) {
        let of_row = |fate: &Fate| if let Fate::Split(at) = fate { Some(*at) } else { None };
        let right: Vec<Option<usize>> = answer.fates.iter().map(of_row).collect();
        let wrong: Vec<_> = (0..right.len())
            .filter(|row| right[*row] != self.splits[*row])
            .map(|row| format!("row {row}: {:?} instead of {:?}", self.splits[row], answer.fates[row]))
            .collect();
        assert!(wrong.is_empty(), "of {:?}: {}", answer.names, wrong.join("; "));
        assert_eq!(self.manifest["dropped"], json!(answer.dropped()));
        self.assert_adds_up();
    }

    /// What has to hold of any output.
    #[track_caller]
    pub fn assert_adds_up(&self) {
        let splits = self.manifest["splits"].as_object().unwrap();
        let mut rows: BTreeMap<usize, u64> = BTreeMap::new();
        for split in self.splits.iter().flatten() {
            *rows.entry(if self.fold_column { 0 } else { *split }).or_default() += 1;
        }
        for (at, (name, split)) in splits.iter().enumerate() {
            assert_eq!(split["rows"], rows.get(&at).copied().unwrap_or(0), "{name}");
        }
        let dropped: u64 = self.manifest["dropped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(rows.values().sum::<u64>() + dropped, self.splits.len() as u64);
        let verdict = twopass::verify::output(&self.path).unwrap();
        assert!(verdict.ok, "{:#?}", verdict.checks);
    }
}
