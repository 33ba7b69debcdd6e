//! The slow, plain version of everything the engine decides: all rows in memory, sorted, counted and scaled one by one.
//! Written from the interface alone; it takes from the engine only how many rows of each stratum a split has.

use std::collections::BTreeMap;

use serde_json::Value;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::table::Cell;

/// Field hash of the contract `xxh3-v1`.
fn field_hash(cell: &Cell) -> u64 {
    cell.canonical().map_or_else(|| xxh3_64_with_seed(b"", 1), |text| xxh3_64(text.as_bytes()))
}

fn hash_words(words: &[u64]) -> u64 {
    xxh3_64(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
}

/// Key hash of a row: of its key's columns, or of its place when there are none.
pub fn key_hash(key: &[&Cell], shard: &str, row: u64) -> u64 {
    match key {
        [] => hash_words(&[xxh3_64(shard.as_bytes()), row]),
        [one] => field_hash(one),
        several => hash_words(&several.iter().map(|cell| field_hash(cell)).collect::<Vec<_>>()),
    }
}

pub fn rank_hash(key_hash: u64, random_state: u64) -> u64 {
    xxh3_64_with_seed(&key_hash.to_le_bytes(), random_state)
}

/// The split of every row: `strata` has each row's stratum, nothing for a dropped row; `ranks` each row's rank hash, rows
/// being in the order of shard and row; `quotas` how many rows of a stratum each split takes.
pub fn assign(strata: &[Option<String>], ranks: &[u64], quotas: &BTreeMap<String, Vec<u64>>) -> Vec<Option<usize>> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, stratum) in strata.iter().enumerate() {
        if let Some(stratum) = stratum {
            members.entry(stratum).or_default().push(row);
        }
    }
    let mut splits = vec![None; strata.len()];
    for (stratum, mut rows) in members {
        rows.sort_by_key(|row| (ranks[*row], *row));
        let mut rows = rows.into_iter();
        for (split, quota) in quotas[stratum].iter().enumerate() {
            rows.by_ref().take(*quota as usize).for_each(|row| splits[row] = Some(split));
        }
        assert_eq!(rows.next(), None, "stratum {stratum}: more rows than places");
    }
    splits
}

/// The totals that the rounding must have: the floor or the ceiling of each share, ceilings to the largest remainders
/// (ties to the earlier split) as far as some table of floors and ceilings over these strata has such totals. Shares are
/// in thousandths. Every choice of ceilings is tried, best first.
pub fn right_totals(strata: &[u64], shares: &[u64]) -> Vec<u64> {
    let rows: u64 = strata.iter().sum();
    let floors: Vec<u64> = shares.iter().map(|share| rows * share / 1000).collect();
    let left = rows - floors.iter().sum::<u64>();
    let remainder = |split: usize| rows * shares[split] % 1000;
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|split| (std::cmp::Reverse(remainder(*split)), *split));
    // Bit 0 is the last in order, so that counting down goes from the best choice to the worst.
    let places = order.len();
    let choices = (0..1u32 << places).rev().filter(|choice| u64::from(choice.count_ones()) == left);
    let totals = choices.filter_map(|choice| {
        let mut totals = floors.clone();
        for (place, split) in order.iter().enumerate() {
            if choice >> (places - 1 - place) & 1 == 1 {
                if remainder(*split) == 0 {
                    return None;
                }
                totals[*split] += 1;
            }
        }
        Some(totals)
    });
    let mut possible = totals.filter(|totals| is_possible(strata, shares, totals));
    possible.next().expect("a controlled rounding always exists")
}

/// Whether a table of floors and ceilings has these totals: units above the floors matched to splits, one at a time,
/// along alternating paths (H. W. Kuhn, 1955).
fn is_possible(strata: &[u64], shares: &[u64], totals: &[u64]) -> bool {
    let mut room = totals.to_vec();
    let mut free = Vec::new();
    let mut units = Vec::new();
    for rows in strata {
        let floors: Vec<u64> = shares.iter().map(|share| rows * share / 1000).collect();
        for (room, floor) in room.iter_mut().zip(&floors) {
            let Some(less) = room.checked_sub(*floor) else { return false };
            *room = less;
        }
        free.push(shares.iter().map(|share| rows * share % 1000 > 0).collect::<Vec<bool>>());
        units.push(rows - floors.iter().sum::<u64>());
    }
    let mut held = vec![vec![false; shares.len()]; strata.len()];
    for (stratum, units) in units.iter().enumerate() {
        for _ in 0..*units {
            if !place(stratum, &free, &mut held, &mut room, &mut vec![false; shares.len()]) {
                return false;
            }
        }
    }
    true
}

/// Finds a split for one more unit of `stratum`, moving units of other strata out of the way.
fn place(stratum: usize, free: &[Vec<bool>], held: &mut [Vec<bool>], room: &mut [u64], tried: &mut [bool]) -> bool {
    for split in 0..room.len() {
        if tried[split] || !free[stratum][split] || held[stratum][split] {
            continue;
        }
        tried[split] = true;
        if room[split] > 0 {
            room[split] -= 1;
            held[stratum][split] = true;
            return true;
        }
        for other in 0..held.len() {
            if held[other][split] && place(other, free, held, room, tried) {
                held[other][split] = false;
                held[stratum][split] = true;
                return true;
            }
        }
    }
    false
}

/// A column on its way through the transforms.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub cells: Vec<Cell>,
}

/// Every transform applied to all rows, fitted on all rows; indicators come last.
pub fn transform(mut columns: Vec<Column>, steps: &[Value]) -> Vec<Column> {
    let mut several: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    let mut indicators = Vec::new();
    for step in steps {
        let column = columns.iter_mut().find(|column| column.name == step["columns"]).unwrap();
        match step["op"].as_str().unwrap() {
            "standard_scaler" => standard(column, step),
            "min_max_scaler" => min_max(column, step),
            "simple_imputer" => indicators.extend(impute(column, step)),
            "ordinal_encoder" => ordinal(column, step),
            "one_hot_encoder" => {
                several.insert(column.name.clone(), one_hot(column));
            }
            other => panic!("{other}"),
        }
    }
    let own = columns.into_iter().flat_map(|column| several.remove(&column.name).unwrap_or_else(|| vec![column]));
    own.chain(indicators).collect()
}

fn numbers(column: &Column) -> Vec<f64> {
    column.cells.iter().filter(|cell| !cell.is_missing()).filter_map(Cell::number).collect()
}

/// A. Neumaier's compensated sum, ZAMM 54, 1974.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for x in values {
        let next: f64 = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + lost
}

fn mean(values: &[f64]) -> f64 {
    sum(values.iter().copied()) / values.len() as f64
}

fn map(column: &mut Column, f: impl Fn(f64) -> f64) {
    for cell in &mut column.cells {
        if let Some(x) = cell.number() {
            *cell = Cell::Float(f(x));
        }
    }
}

fn standard(column: &mut Column, step: &Value) {
    let values = numbers(column);
    let (mean, ddof) = (mean(&values), step["ddof"].as_u64().unwrap_or(0) as f64);
    let variance = sum(values.iter().map(|x| (x - mean) * (x - mean))) / (values.len() as f64 - ddof);
    let scale = if variance > 0.0 && variance.is_finite() { variance.sqrt() } else { 1.0 };
    let centre = if step["with_mean"] == false { 0.0 } else { mean };
    map(column, |x| if values.is_empty() { x } else { (x - centre) / scale });
}

fn min_max(column: &mut Column, step: &Value) {
    let values = numbers(column);
    let (low, high) =
        step["feature_range"].as_array().map_or((0.0, 1.0), |r| (r[0].as_f64().unwrap(), r[1].as_f64().unwrap()));
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = if most > least { most - least } else { 1.0 };
    map(column, |x| low + (x - least) / range * (high - low));
}

/// The distinct values with their counts: numbers by value, text by bytes, false before true.
fn categories(column: &Column) -> Vec<(Cell, usize)> {
    let mut values: Vec<Cell> = column.cells.iter().filter(|cell| !cell.is_missing()).cloned().collect();
    values.sort_by(|a, b| match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        _ => a.number().unwrap().partial_cmp(&b.number().unwrap()).unwrap(),
    });
    let mut counted: Vec<(Cell, usize)> = Vec::new();
    for value in values {
        match counted.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => counted.push((value, 1)),
        }
    }
    counted
}

fn impute(column: &mut Column, step: &Value) -> Option<Column> {
    let to_float = |column: &mut Column| map(column, |x| x);
    let fill = match step["strategy"].as_str().unwrap_or("mean") {
        "mean" => {
            let mean = mean(&numbers(column));
            to_float(column);
            Cell::Float(mean)
        }
        "most_frequent" => {
            let counted = categories(column);
            let most = counted.iter().map(|(_, count)| *count).max().unwrap();
            counted.into_iter().find(|(_, count)| *count == most).unwrap().0
        }
        _ => match &step["fill_value"] {
            Value::String(text) => Cell::text(text),
            number => Cell::Float(number.as_f64().unwrap()),
        },
    };
    let missing: Vec<bool> = column.cells.iter().map(Cell::is_missing).collect();
    column.cells.iter_mut().filter(|cell| cell.is_missing()).for_each(|cell| *cell = fill.clone());
    let wanted = step["add_indicator"] == true && missing.contains(&true);
    let cells = || missing.iter().map(|missing| Cell::Int(i64::from(*missing))).collect();
    wanted.then(|| Column { name: format!("missingindicator_{}", column.name), cells: cells() })
}

fn ordinal(column: &mut Column, step: &Value) {
    let mut counted = categories(column);
    if step["order"] == "frequency" {
        counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }
    let least = step["min_frequency"].as_u64().unwrap_or(0) as usize;
    let frequent: Vec<&Cell> = counted.iter().filter(|(_, count)| *count >= least).map(|(value, _)| value).collect();
    for cell in &mut column.cells {
        *cell = match frequent.iter().position(|value| **value == *cell) {
            _ if cell.is_missing() => step["encoded_missing_value"].as_i64().map_or(Cell::Missing, Cell::Int),
            Some(code) => Cell::Int(code as i64),
            None => Cell::Int(frequent.len() as i64),
        };
    }
}

fn one_hot(column: &Column) -> Vec<Column> {
    let name = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Bool(value) => if *value { "True" } else { "False" }.to_string(),
        cell => cell.canonical().unwrap(),
    };
    let one = |suffix: String, is: &dyn Fn(&Cell) -> bool| Column {
        name: format!("{}_{suffix}", column.name),
        cells: column.cells.iter().map(|cell| Cell::Int(i64::from(is(cell)))).collect(),
    };
    let mut columns: Vec<Column> =
        categories(column).iter().map(|(value, _)| one(name(value), &|cell: &Cell| cell == value)).collect();
    if column.cells.iter().any(Cell::is_missing) {
        columns.push(one("nan".into(), &Cell::is_missing));
    }
    columns
}

/// A label that is not a number becomes the place of its class among all classes.
pub fn label(column: &mut Column) {
    if column.cells.iter().all(|cell| matches!(cell, Cell::Missing | Cell::Bool(_) | Cell::Text(_))) {
        let step = Value::Null;
        ordinal(column, &step);
    }
}
