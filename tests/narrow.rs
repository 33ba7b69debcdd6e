//! `output.narrow`: a column gets the smallest type that holds every value of the whole data exactly, and no value changes.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int16Array, Int32Array, Int64Array, PrimitiveArray, RecordBatch,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float64Type, Int64Type, Schema, UInt64Type};
use common::table::{read_parquet, write_shard, write_shards};
use common::{Numbers, Place, hashes, job, json, manifest, plan, read_split, run, splits};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use twopass::error::Error;
use twopass::observe::{Event, Observer, Pass};
use twopass::plan::Plan;
use twopass::verify;

/// A value: of integers as wide as any, of floats the bits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Int(i128),
    Float(u64),
}

/// A column of a random table.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    data_type: DataType,
    cells: Vec<Option<Cell>>,
}

const NAN: u64 = 0x7ff8_0000_0000_0000;

/// Floats that 32 bits hold, NaNs of several payloads among them.
fn fitting() -> Vec<u64> {
    let values = [0.0, -0.0, 1.5, -2.25, 16_777_216.0, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(-149)];
    let largest = f64::from(f32::MAX);
    values
        .iter()
        .chain(&[largest, -largest])
        .map(|value| value.to_bits())
        .chain([NAN, NAN | 1, NAN | 1 << 63])
        .collect()
}

fn not_fitting() -> Vec<u64> {
    let beyond = f64::from_bits(f64::from(f32::MAX).to_bits() + 1);
    [16_777_217.0, 0.1, 5e-324, 1e39, -1e39, beyond, 2f64.powi(-150)].map(f64::to_bits).to_vec()
}

/// The ends of a type's range, and what is just beyond.
fn ends(low: i128, high: i128) -> Vec<i128> {
    vec![low, high, low + 1, high - 1]
}

fn pools(data_type: &DataType) -> Vec<Vec<Cell>> {
    let (signed, bits) = match data_type {
        DataType::Int16 => (true, 16),
        DataType::Int32 => (true, 32),
        DataType::Int64 => (true, 64),
        DataType::UInt16 => (false, 16),
        DataType::UInt32 => (false, 32),
        DataType::UInt64 => (false, 64),
        _ => {
            let cells = |bits: Vec<u64>| bits.into_iter().map(Cell::Float).collect();
            return vec![vec![Cell::Float(NAN)], cells(fitting()), cells(not_fitting())];
        }
    };
    let (lowest, highest) =
        if signed { (-(1 << (bits - 1)), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) };
    let of_width = |width: u32| {
        let (low, high) = if signed { (-(1i128 << (width - 1)), 1i128 << (width - 1)) } else { (0, 1i128 << width) };
        let beyond = if signed { vec![low - 1, high] } else { vec![high] };
        let inside = ends(low, high - 1).into_iter().map(Cell::Int).collect::<Vec<_>>();
        let here = move |value: &i128| (lowest..=highest).contains(value);
        [inside, beyond.into_iter().filter(here).map(Cell::Int).collect()]
    };
    let widths = [8, 16, 32, 64].into_iter().filter(|width| *width <= bits).flat_map(of_width);
    widths.filter(|pool| !pool.is_empty()).collect()
}

fn types() -> Vec<DataType> {
    use DataType as T;
    vec![T::Int64, T::Int64, T::Int32, T::Int16, T::UInt64, T::UInt32, T::UInt16, T::Float64, T::Float64, T::Float64]
}

/// Columns whose values are of the first pools up to a random one; nulls here and there, or everywhere.
fn columns() -> impl Strategy<Value = Vec<Column>> {
    let cell = || (any::<Index>(), any::<Index>(), 0u8..5);
    let column = (prop::collection::vec(cell(), 60), any::<Index>(), 0u8..8);
    (prop::collection::vec(column, types().len()), 0usize..60).prop_map(|(columns, rows)| {
        let made = columns.into_iter().zip(types()).enumerate().map(|(at, ((cells, level, nulls), data_type))| {
            let pools = pools(&data_type);
            let pools = &pools[..=level.index(pools.len())];
            let cell = |(pool, value, null): (Index, Index, u8)| {
                let pool = pool.get(pools);
                (nulls > 0 && null > 0).then(|| *value.get(pool))
            };
            let cells = cells.into_iter().take(rows).map(cell).collect();
            Column { name: format!("c{at}"), data_type, cells }
        });
        made.collect()
    })
}

fn array(column: &Column) -> ArrayRef {
    fn ints<T: ArrowPrimitiveType>(cells: &[Option<Cell>]) -> ArrayRef
    where
        T::Native: TryFrom<i128>,
    {
        let native = |cell: &Option<Cell>| match cell {
            Some(Cell::Int(value)) => T::Native::try_from(*value).ok(),
            _ => None,
        };
        Arc::new(cells.iter().map(native).collect::<PrimitiveArray<T>>())
    }
    use arrow::datatypes as t;
    let cells = &column.cells;
    match column.data_type {
        DataType::Int16 => ints::<t::Int16Type>(cells),
        DataType::Int32 => ints::<t::Int32Type>(cells),
        DataType::Int64 => ints::<Int64Type>(cells),
        DataType::UInt16 => ints::<t::UInt16Type>(cells),
        DataType::UInt32 => ints::<t::UInt32Type>(cells),
        DataType::UInt64 => ints::<UInt64Type>(cells),
        _ => {
            let float = |cell: &Option<Cell>| match cell {
                Some(Cell::Float(bits)) => Some(f64::from_bits(*bits)),
                _ => None,
            };
            Arc::new(cells.iter().map(float).collect::<Float64Array>())
        }
    }
}

/// The table with the number of each row, by which it is split, and a column that is scaled.
fn batch(columns: &[Column]) -> RecordBatch {
    let rows = columns[0].cells.len();
    let row: ArrayRef = Arc::new((0..rows as i64).collect::<Int64Array>());
    let scaled: ArrayRef = Arc::new((0..rows).map(|row| row as f64).collect::<Float64Array>());
    let named = columns.iter().map(|column| (column.name.clone(), array(column)));
    let all: Vec<(String, ArrayRef)> =
        [("row".to_string(), row), ("scaled".to_string(), scaled)].into_iter().chain(named).collect();
    let fields: Vec<Field> =
        all.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), all.into_iter().map(|(_, array)| array).collect()).unwrap()
}

/// The definition: the first type, from the smallest on, that holds every value.
fn right_type(column: &Column) -> DataType {
    use DataType as T;
    let values: Vec<Cell> = column.cells.iter().flatten().copied().collect();
    let is_nan = |cell: &Cell| matches!(cell, Cell::Float(bits) if f64::from_bits(*bits).is_nan());
    if values.iter().all(is_nan) {
        return column.data_type.clone();
    }
    let within = |low: i128, high: i128| {
        values.iter().all(|cell| matches!(cell, Cell::Int(value) if (low..=high).contains(value)))
    };
    let candidates = match column.data_type {
        T::Float64 => {
            let reads_back = |cell: &Cell| match cell {
                Cell::Float(bits) => is_nan(cell) || f64::from(f64::from_bits(*bits) as f32).to_bits() == *bits,
                Cell::Int(_) => false,
            };
            vec![(T::Float32, values.iter().all(reads_back))]
        }
        ref signed if signed.is_signed_integer() => vec![
            (T::Int8, within(i8::MIN.into(), i8::MAX.into())),
            (T::Int16, within(i16::MIN.into(), i16::MAX.into())),
            (T::Int32, within(i32::MIN.into(), i32::MAX.into())),
        ],
        _ => vec![
            (T::UInt8, within(0, u8::MAX.into())),
            (T::UInt16, within(0, u16::MAX.into())),
            (T::UInt32, within(0, u32::MAX.into())),
        ],
    };
    let smallest = candidates.into_iter().find(|(_, holds)| *holds).map(|(to, _)| to);
    smallest.filter(|to| to.primitive_width() < column.data_type.primitive_width()).unwrap_or(column.data_type.clone())
}

/// The values of a column of any width.
fn cells(array: &ArrayRef) -> Vec<Option<Cell>> {
    let wide = |to: DataType| cast(array, &to).unwrap();
    match array.data_type() {
        float if float.is_floating() => {
            let bits = |value: f64| if value.is_nan() { NAN } else { value.to_bits() };
            wide(DataType::Float64)
                .as_primitive::<Float64Type>()
                .iter()
                .map(|v| v.map(|v| Cell::Float(bits(v))))
                .collect()
        }
        signed if signed.is_signed_integer() => {
            wide(DataType::Int64).as_primitive::<Int64Type>().iter().map(|v| v.map(|v| Cell::Int(v.into()))).collect()
        }
        _ => {
            wide(DataType::UInt64).as_primitive::<UInt64Type>().iter().map(|v| v.map(|v| Cell::Int(v.into()))).collect()
        }
    }
}

fn recipe(place: &Place, input: &str, output: &str) -> Value {
    json!({
        "input": { "path": place.text(input) },
        "split": { "kind": "random", "key": "row", "sizes": { "train": 0.6, "test": 0.4 } },
        "output": { "path": place.text(output), "shard_rows": 7, "narrow": true, "metadata": "mods" },
        "run": { "threads": 2, "mode": "streaming" },
    })
}

/// The same recipe with parts of it replaced: keys are dotted.
fn with(mut recipe: Value, changes: &[(&str, Value)]) -> Value {
    for (key, value) in changes {
        match key.split_once('.') {
            Some((section, key)) => recipe[section][key] = value.clone(),
            None => recipe[*key] = value.clone(),
        }
    }
    recipe
}

/// Every column has the right type in every part, and its values.
fn assert_right(output: &Path, columns: &[Column]) {
    let right: BTreeMap<&str, (DataType, Vec<Option<Cell>>)> =
        columns.iter().map(|column| (column.name.as_str(), (right_type(column), cells(&array(column))))).collect();
    let mods = std::fs::read_to_string(output.join("metadata")).unwrap();
    let mut seen = 0;
    for split in splits(output) {
        for (path, _) in common::parts(output, &split) {
            let part = read_parquet(&path);
            let rows = cells(part.column_by_name("row").unwrap());
            seen += rows.len();
            for (name, (data_type, values)) in &right {
                let got = part.column_by_name(name).unwrap();
                assert_eq!(got.data_type(), data_type, "{name} in {}", path.display());
                for (row, value) in rows.iter().zip(cells(got)) {
                    let Some(Cell::Int(row)) = row else { panic!("a row without a number") };
                    assert_eq!(value, values[*row as usize], "{name}, row {row}");
                }
            }
        }
    }
    assert_eq!(seen, columns[0].cells.len());
    for column in manifest(output)["schema"].as_array().unwrap() {
        let (name, data_type) = (column["name"].as_str().unwrap(), column["type"].as_str().unwrap());
        let Some((right, values)) = right.get(name) else { continue };
        assert_eq!(data_type, right.to_string(), "{name}");
        let nulls = values.iter().any(Option::is_none) && right.is_integer();
        let in_pandas = if nulls { "float64".to_string() } else { right.to_string().to_lowercase() };
        assert!(mods.contains(&format!("\n{name},false,{in_pandas}\n")), "{name} {in_pandas} in {mods}");
    }
    assert!(verify::output(output).unwrap().ok);
}

fn text(column: &Column, row: usize) -> String {
    match column.cells[row] {
        None => String::new(),
        Some(Cell::Int(value)) => value.to_string(),
        Some(Cell::Float(bits)) => format!("{:?}", f64::from_bits(bits)),
    }
}

/// The columns of 64 bits as CSV shards; NaN is missing there.
fn write_csv(place: &Place, columns: &[Column], cuts: &[usize]) {
    std::fs::create_dir_all(place.path("csv")).unwrap();
    let rows = columns[0].cells.len();
    let starts = [0].into_iter().chain(cuts.iter().copied());
    for (at, (start, end)) in starts.zip(cuts.iter().copied().chain([rows])).enumerate() {
        let mut lines =
            vec![["row"].into_iter().chain(columns.iter().map(|c| c.name.as_str())).collect::<Vec<_>>().join(",")];
        for row in start..end {
            let cells = columns.iter().map(|column| text(column, row));
            lines.push([row.to_string()].into_iter().chain(cells).collect::<Vec<_>>().join(","));
        }
        std::fs::write(place.path(&format!("csv/{at}.csv")), lines.join("\n") + "\n").unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_column_gets_the_smallest_type_that_holds_all_its_values(
        columns in columns(),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
        row_group in 1usize..20,
        on_train in any::<bool>(),
        threads in 1usize..4,
    ) {
        let place = Place::in_memory();
        let rows = columns[0].cells.len();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows + 1)).collect();
        cuts.sort_unstable();
        let lengths: Vec<usize> = [0].iter().chain(&cuts).zip(&cuts).map(|(start, end)| end - start).collect();
        let batch = batch(&columns);
        write_shards(&place.path("in"), &batch, &lengths, row_group);
        let scaler = json!([{ "columns": "scaled", "op": "standard_scaler" }]);
        let fit = if on_train && rows > 2 { "train" } else { "all" };
        let changes = [("transform", scaler), ("fit", json!({ "rows": fit }))];
        let first = with(recipe(&place, "in", "out"), &changes);
        if rows > 0 {
            run(&first);
            assert_right(&place.path("out"), &columns);
            // Any sharding, threads and mode.
            write_shards(&place.path("one"), &batch, &[], rows);
            let other = [("run.threads", json!(threads)), ("run.mode", json!("in_memory"))];
            run(&with(with(recipe(&place, "one", "other"), &changes), &other));
            assert_eq!(hashes(&place.path("other")), hashes(&place.path("out")));
            // Text has no types.
            let text = |narrow: bool, output: &str| {
                let changes = [("output.narrow", json!(narrow)), ("output.format", json!("csv")), ("output.path", json!(place.text(output)))];
                run(&with(first.clone(), &changes));
                hashes(&place.path(output))
            };
            assert_eq!(text(true, "narrow-csv"), text(false, "wide-csv"));
            let mut wide: Vec<Column> = columns.into_iter().filter(|c| matches!(c.data_type, DataType::Int64 | DataType::Float64)).collect();
            for cell in wide.iter_mut().flat_map(|column| &mut column.cells) {
                *cell = cell.filter(|cell| !matches!(cell, Cell::Float(bits) if f64::from_bits(*bits).is_nan()));
            }
            write_csv(&place, &wide, &cuts);
            let types: BTreeMap<&str, String> =
                wide.iter().map(|column| (column.name.as_str(), column.data_type.to_string().to_lowercase())).collect();
            run(&with(recipe(&place, "csv", "of-csv"), &[("input.schema", json!(types))]));
            assert_right(&place.path("of-csv"), &wide);
        }
    }
}

/// Rows enough for dictionaries, in shards of which one alone has the value that does not fit.
fn many(odd: Option<usize>) -> RecordBatch {
    let mut numbers = Numbers(5);
    let rows = 6000;
    let mut coded = Vec::new();
    let mut halves = Vec::new();
    let mut plain = Vec::new();
    for row in 0..rows {
        let is_odd = odd == Some(row);
        coded.push((numbers.below(9) > 0).then(|| if is_odd { 128 } else { numbers.below(100) as i64 - 50 }));
        halves.push((numbers.below(9) > 0).then(|| if is_odd { 0.1 } else { numbers.below(64) as f64 / 2.0 }));
        plain.push(if is_odd { 1e300 } else { f64::from(numbers.unit() as f32) });
    }
    if let Some(row) = odd {
        (coded[row], halves[row]) = (Some(128), Some(0.1));
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("row", Arc::new((0..rows as i64).collect::<Int64Array>())),
        ("coded", Arc::new(Int64Array::from(coded))),
        ("halves", Arc::new(Float64Array::from(halves))),
        ("plain", Arc::new(Float64Array::from(plain))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn types_of(output: &Path) -> Vec<String> {
    manifest(output)["schema"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap().to_string()).collect()
}

#[test]
fn one_value_of_one_shard_decides_for_all_parts() {
    let place = Place::in_memory();
    for (name, odd, types) in [
        ("fits", None, ["Int64", "Int8", "Float32", "Float32"]),
        ("first", Some(0), ["Int64", "Int16", "Float64", "Float64"]),
        ("last", Some(5999), ["Int64", "Int16", "Float64", "Float64"]),
    ] {
        let batch = many(odd);
        write_shards(&place.path(name), &batch, &[1500, 1500, 1500], 500);
        let out = format!("{name}-out");
        run(&with(recipe(&place, name, &out), &[("output.shard_rows", json!(1000))]));
        let out = place.path(&out);
        assert_eq!(types_of(&out), types, "{name}");
        for split in splits(&out) {
            let got = read_split(&out, &split);
            let rows = cells(got.column(0));
            for at in 1..4 {
                let right = cells(batch.column(at));
                for (row, value) in rows.iter().zip(cells(got.column(at))) {
                    let Some(Cell::Int(row)) = row else { panic!() };
                    assert_eq!(value, right[*row as usize], "{name}: column {at}, row {row}");
                }
            }
        }
        assert!(verify::output(&out).unwrap().ok);
    }
}

#[test]
fn what_the_split_goes_by_and_what_steps_made_keeps_its_type() {
    let place = Place::in_memory();
    let small = |factor: i64| Arc::new((0..400).map(|row| row % factor).collect::<Int64Array>()) as ArrayRef;
    let names = ["label", "stratum", "customer", "time", "order", "free", "scaled", "imputed"];
    let columns: Vec<(&str, ArrayRef)> = names.iter().copied().zip((2..).map(small)).collect();
    let mut columns = columns;
    columns.push(("id", Arc::new((0..400).collect::<Int64Array>())));
    write_shard(&place.path("in/a.parquet"), &RecordBatch::try_from_iter(columns).unwrap(), &[100]);
    let recipe = json!({
        "input": { "path": place.text("in") },
        "label": { "column": "label" },
        "split": { "kind": "stratified", "key": "customer", "stratify": "stratum", "sizes": { "train": 0.5, "test": 0.5 } },
        "dedupe": { "key": "id", "order_by": "order", "keep": "first" },
        "transform": [
            { "op": "cast", "columns": "time", "to": "float64" },
            { "op": "row_max", "columns": ["free", "order"], "into": "largest" },
            { "op": "standard_scaler", "columns": "scaled" },
            { "op": "simple_imputer", "columns": "imputed", "strategy": "most_frequent" },
        ],
        "output": { "path": place.text("out"), "narrow": true },
    });
    run(&recipe);
    let out = place.path("out");
    let types: BTreeMap<String, String> = manifest(&out)["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (column["name"].as_str().unwrap().to_string(), column["type"].as_str().unwrap().to_string()))
        .collect();
    let right = [
        ("label", "Int64"),
        ("stratum", "Int64"),
        ("customer", "Int64"),
        ("time", "Float32"),
        ("order", "Int64"),
        ("free", "Int8"),
        ("scaled", "Float64"),
        ("imputed", "Int64"),
        ("id", "Int64"),
        ("largest", "Int8"),
    ];
    assert_eq!(types, right.into_iter().map(|(name, of)| (name.to_string(), of.to_string())).collect());
    assert!(verify::output(&out).unwrap().ok);
    // JSON metadata has the data as they were read.
    assert_eq!(json(&out.join("metadata"))["column_info"]["free"]["data_type"], "int64");
}

#[test]
fn rows_that_are_dropped_count_too() {
    let place = Place::in_memory();
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 70_000]));
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(0), None]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5, 0.1]));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("label", labels, true),
        ("value", values, true),
        ("float", floats, true),
    ])
    .unwrap();
    write_shard(&place.path("in/a.parquet"), &batch, &[]);
    run(&json!({
        "input": { "path": place.text("in") },
        "label": { "column": "label" },
        "output": { "path": place.text("out"), "narrow": true },
    }));
    assert_eq!(types_of(&place.path("out")), ["Int64", "Int32", "Float64"]);
}

/// Says stop when it was asked so many times in pass two; keeps the notes.
struct Stopping {
    polls: AtomicUsize,
    most: usize,
    notes: std::sync::Mutex<(Option<Pass>, Vec<String>)>,
}

impl Stopping {
    fn after(most: usize) -> Self {
        Self { polls: AtomicUsize::new(0), most, notes: std::sync::Mutex::default() }
    }
}

impl Observer for Stopping {
    fn event(&self, event: Event<'_>) {
        let mut notes = self.notes.lock().unwrap();
        match event {
            Event::Begin { pass, .. } => notes.0 = Some(pass),
            Event::Note(note) => notes.1.push(note.to_string()),
            _ => {}
        }
    }

    fn stop(&self) -> bool {
        self.notes.lock().unwrap().0.is_some() && self.polls.fetch_add(1, Ordering::Relaxed) >= self.most
    }
}

#[test]
fn an_interrupted_job_ends_with_the_same_bytes() {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &many(Some(4000)), &[1500, 1500, 1500], 500);
    run(&with(recipe(&place, "in", "right"), &[("output.shard_rows", json!(300))]));
    let broken = with(recipe(&place, "in", "out"), &[("output.shard_rows", json!(300))]);
    let mut stops = 0;
    for most in (0..).map(|step| step * 5) {
        match job(&broken).run(&Stopping::after(most)) {
            Ok(_) => break,
            Err(Error::Interrupted) => stops += 1,
            Err(other) => panic!("{}", common::chain(&other)),
        }
    }
    assert!(stops > 2, "{stops}");
    assert_eq!(hashes(&place.path("out")), hashes(&place.path("right")));
}

#[test]
fn a_state_serves_recipes_that_narrow_no_more_and_is_scanned_again_for_others() {
    let place = Place::in_memory();
    write_shards(&place.path("in"), &many(None), &[2000, 2000], 500);
    let watched = |recipe: &Value, from: &str, to: &str| {
        let watch = Stopping::after(usize::MAX);
        let changes = [("run.state", json!(place.text(from))), ("output.path", json!(place.text(to)))];
        let report =
            job(&with(recipe.clone(), &changes)).run(&watch).unwrap_or_else(|e| panic!("{}", common::chain(&e)));
        (report.reused_shards, watch.notes.into_inner().unwrap().1)
    };
    let narrow = with(recipe(&place, "in", "out"), &[("output.shard_rows", json!(1000))]);
    let wide = with(narrow.clone(), &[("output.narrow", json!(false))]);
    let scaled = with(narrow.clone(), &[("transform", json!([{ "op": "standard_scaler", "columns": "plain" }]))]);
    let text = with(narrow.clone(), &[("output.format", json!("tsv"))]);
    watched(&narrow, "narrow.state", "narrow");
    for (name, less) in [("wide", &wide), ("scaled", &scaled), ("text", &text)] {
        let (used, fresh) = (format!("{name}-used"), format!("{name}-fresh"));
        assert_eq!(watched(less, "narrow.state", &used), (3, vec![]), "{name}");
        assert_eq!(watched(less, &format!("{fresh}.state"), &fresh), (0, vec![]), "{name}");
        assert_eq!(hashes(&place.path(&used)), hashes(&place.path(&fresh)), "{name}");
        let nameless = |output: &str| Plan { recipe: String::new(), ..plan(&place.path(output)) };
        let frozen = nameless(&fresh);
        std::fs::rename(place.path("narrow.state"), place.path(&format!("{used}.state"))).unwrap();
        assert_eq!(nameless(&used), frozen, "{name}");
        std::fs::rename(place.path(&format!("{used}.state")), place.path("narrow.state")).unwrap();
    }
    let (reused, notes) = watched(&scaled, "scaled-again.state", "scaled-again");
    assert_eq!((reused, notes), (0, vec![]));
    for (name, columns, from) in
        [("all", "2 columns", "wide-fresh.state"), ("one", "column `plain`", "scaled-again.state")]
    {
        let (reused, notes) = watched(&narrow, from, name);
        assert_eq!(reused, 0, "{name}");
        let words = format!("output.narrow needs to know whether 32-bit floats hold the values of {columns}");
        assert!(notes.len() == 1 && notes[0].starts_with(&words) && notes[0].ends_with("scanning again"), "{notes:?}");
        assert_eq!(hashes(&place.path(name)), hashes(&place.path("narrow")), "{name}");
    }
}

#[test]
fn a_job_that_would_copy_row_groups_narrows_them() {
    let place = Place::in_memory();
    let columns: [(&str, ArrayRef); 5] = [
        ("a", Arc::new(Int64Array::from_iter_values(0..100))),
        ("b", Arc::new(Int32Array::from_iter_values(0..100))),
        ("c", Arc::new(UInt64Array::from_iter_values(0..100))),
        ("d", Arc::new(UInt32Array::from_iter_values((0..100).map(|x| x + 900)))),
        ("e", Arc::new(Int16Array::from_iter_values(0..100))),
    ];
    let more: (&str, ArrayRef) = ("f", Arc::new(UInt16Array::from_iter_values(0..100)));
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().chain([more]).map(|(n, a)| (n, a, true)));
    write_shard(&place.path("in/a.parquet"), &batch.unwrap(), &[]);
    run(&json!({
        "input": { "path": place.text("in") },
        "output": { "path": place.text("out"), "narrow": true, "layout": "single", "metadata": "none" },
    }));
    assert_eq!(types_of(&place.path("out")), ["Int8", "Int8", "UInt8", "UInt16", "Int8", "UInt8"]);
}

#[test]
fn check_says_which_columns_may_be_narrowed() {
    let place = Place::in_memory();
    write_shard(&place.path("in/a.parquet"), &many(None).slice(0, 50), &[]);
    let may = |recipe: &Value| -> Vec<bool> {
        let preview = job(recipe).check().unwrap();
        preview.output.iter().map(|column| column.may_be_narrowed).collect()
    };
    let narrow = recipe(&place, "in", "out");
    assert_eq!(may(&narrow), [false, true, true, true]);
    assert_eq!(may(&with(narrow.clone(), &[("output.format", json!("csv"))])), [false; 4]);
    assert_eq!(may(&with(narrow, &[("output.narrow", json!(false))])), [false; 4]);
}
