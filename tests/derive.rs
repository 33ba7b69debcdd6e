//! Derived columns against a plain evaluation in memory, on random tables, random cuts and random steps.

mod common;

use std::fmt::Write;
use std::path::Path;

use common::table::{Cell, Kind, Table, write_shard};
use common::{Numbers, Place, chain, hashes, read_split, run, try_run};
use proptest::prelude::*;
use serde_json::{Value, json};

const COLUMNS: [(&str, Kind); 8] = [
    ("row", Kind::Int),
    ("small", Kind::Int),
    ("float", Kind::Float),
    ("other", Kind::Float),
    ("text", Kind::Text),
    ("word", Kind::Text),
    ("flag", Kind::Bool),
    ("p__DOT__q", Kind::Int),
];
const FLOATS: [f64; 9] = [0.0, -0.0, 1.5, -2.25, 3.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
/// Words for a missing value have blanks around them: bare ones are missing in CSV before anything is cast.
const TEXTS: [&str; 22] = [
    "  ",
    " ",
    "1.5",
    " 2 ",
    "\t-3",
    "1e3",
    "+7",
    "007",
    "1.0",
    "x",
    "é",
    "夜|",
    "true",
    "False",
    "1",
    "0",
    " nan",
    "NULL ",
    "inf",
    "1_0",
    "2,5",
    "12345678901234567890",
];
const WORDS: [&str; 4] = ["a", "b\"c", "e\u{301}", "😀, z"];

fn row(number: usize, numbers: &mut Numbers) -> Vec<Cell> {
    let mut some = |cell: &mut dyn FnMut(&mut Numbers) -> Cell| match numbers.below(6) {
        0 => Cell::Missing,
        _ => cell(numbers),
    };
    let float = |n: &mut Numbers| Cell::Float(FLOATS[n.below(9) as usize]);
    vec![
        Cell::Int(number as i64),
        some(&mut |n| Cell::Int(n.below(5) as i64 - 1)),
        some(&mut |n| float(n)),
        some(&mut |n| float(n)),
        some(&mut |n| Cell::text(TEXTS[n.below(22) as usize])),
        some(&mut |n| Cell::text(WORDS[n.below(4) as usize])),
        some(&mut |n| Cell::Bool(n.below(2) == 0)),
        some(&mut |n| Cell::Int([0, 1, 1 << 53, (1 << 53) + 1, i64::MIN][n.below(5) as usize])),
    ]
}

/// A table of which the last shard, from this row on, lacks two columns.
fn table(rows: usize, lacks: usize, numbers: &mut Numbers) -> Table {
    let mut table = Table {
        columns: COLUMNS.map(|(name, kind)| (name.to_string(), kind)).to_vec(),
        rows: (0..rows).map(|number| row(number, numbers)).collect(),
    };
    for row in &mut table.rows[lacks..] {
        (row[3], row[4]) = (Cell::Missing, Cell::Missing);
    }
    table
}

// ---- the plain evaluation

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: Kind,
    cells: Vec<Cell>,
}

fn text_of(cell: &Cell) -> Option<String> {
    match cell {
        cell if cell.is_missing() => None,
        Cell::Bool(value) => Some(value.to_string()),
        Cell::Int(value) => Some(value.to_string()),
        Cell::Float(value) => Some(format!("{value:?}")),
        Cell::Text(value) => Some(value.clone()),
        Cell::Missing => None,
        Cell::Date(_) | Cell::Time(_) => unreachable!("the tables here have no times"),
    }
}

/// A number as text has it: nothing for what is none, and for an integer that would be rounded.
fn number_of(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let digits = text.trim_start_matches(['+', '-']);
    let exact = digits.chars().any(|c| !c.is_ascii_digit()) || text.parse::<i128>().ok()? == value as i128;
    exact.then_some(value)
}

fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9.0e18).then_some(value as i64)
}

/// Nothing for what is refused.
fn cast(cell: &Cell, to: &str) -> Option<Cell> {
    if cell.is_missing() {
        return Some(Cell::Missing);
    }
    let text = match cell {
        Cell::Text(text) if to != "string" => match text.trim() {
            "" | "nan" | "NULL" => return Some(Cell::Missing),
            text => Some(text),
        },
        _ => None,
    };
    match (to, text) {
        ("string", _) => text_of(cell).map(Cell::Text),
        ("bool", Some("true" | "1")) => Some(Cell::Bool(true)),
        ("bool", Some("False" | "0")) => Some(Cell::Bool(false)),
        ("bool", Some(_)) => None,
        ("bool", None) => match cell.number()? {
            0.0 => Some(Cell::Bool(false)),
            1.0 => Some(Cell::Bool(true)),
            _ => None,
        },
        ("int64", Some(text)) => whole(number_of(text)?).map(Cell::Int),
        ("int64", None) => match cell {
            Cell::Int(value) => Some(Cell::Int(*value)),
            cell => whole(cell.number()?).map(Cell::Int),
        },
        ("float64", Some(text)) => number_of(text).map(Cell::Float),
        ("float64", None) => match cell {
            Cell::Int(value) if (*value as f64) as i128 != i128::from(*value) => None,
            cell => cell.number().map(Cell::Float),
        },
        other => panic!("{other:?}"),
    }
}

fn largest(cells: &[&Cell], kind: Kind) -> Cell {
    let there = cells.iter().filter(|cell| !cell.is_missing());
    let largest = there.map(|cell| cell.number().unwrap()).max_by(f64::total_cmp);
    largest.map_or(Cell::Missing, |value| match kind {
        Kind::Bool => Cell::Bool(value == 1.0),
        Kind::Int => Cell::Int(value as i64),
        _ => Cell::Float(value),
    })
}

fn put(columns: &mut Vec<Column>, column: Column) {
    match columns.iter_mut().find(|there| there.name == column.name) {
        Some(there) => *there = column,
        None => columns.push(column),
    }
}

/// A random step that these columns allow, and what it makes of them.
fn step(columns: &mut Vec<Column>, numbers: &mut Numbers) -> Option<Value> {
    let pick = |numbers: &mut Numbers, of: usize| numbers.below(of as u64) as usize;
    let some = |columns: &[Column], numbers: &mut Numbers| -> Vec<usize> {
        let mut at: Vec<usize> = (0..1 + numbers.below(3)).map(|_| pick(numbers, columns.len())).collect();
        at.dedup();
        at.sort_by_key(|at| at % 3);
        let mut seen = Vec::new();
        at.retain(|at| {
            !seen.contains(at) && {
                seen.push(*at);
                true
            }
        });
        at
    };
    let names = |columns: &[Column], at: &[usize]| at.iter().map(|at| columns[*at].name.clone()).collect::<Vec<_>>();
    let into = |columns: &[Column], numbers: &mut Numbers| match numbers.below(3) {
        0 => columns[1 + pick(numbers, columns.len() - 1)].name.clone(),
        other => format!("made{other}"),
    };
    match numbers.below(7) {
        0 => {
            columns.iter_mut().for_each(|column| column.name = column.name.replace("__DOT__", "."));
            Some(json!({ "op": "rename", "pattern": "__DOT__", "replacement": "." }))
        }
        1 if columns.len() > 2 => {
            // Two columns change places.
            let (a, b) = (columns[1].name.clone(), columns[2].name.clone());
            (columns[1].name, columns[2].name) = (b.clone(), a.clone());
            Some(json!({ "op": "rename", "names": { a.clone(): b, columns[1].name.clone(): a } }))
        }
        2 => {
            let at = 1 + pick(numbers, columns.len().checked_sub(1).filter(|rest| *rest > 0)?);
            let (to, kind) =
                [("string", Kind::Text), ("bool", Kind::Bool), ("int64", Kind::Int), ("float64", Kind::Float)]
                    [pick(numbers, 4)];
            let column = &mut columns[at];
            column.kind = kind;
            column.cells.iter_mut().for_each(|cell| *cell = cast(cell, to).unwrap_or(Cell::Missing));
            Some(json!({ "op": "cast", "columns": column.name, "to": to, "errors": "null" }))
        }
        3 if columns.len() > 1 => {
            let at = some(columns, numbers);
            let (from, into) = (names(columns, &at), into(columns, numbers));
            let missing = (numbers.below(2) == 0).then_some("[MISSING]");
            let join = |row: usize| -> Option<String> {
                let texts = at.iter().map(|at| text_of(&columns[*at].cells[row]).or(missing.map(str::to_string)));
                texts.collect::<Option<Vec<_>>>().map(|texts| texts.join("|"))
            };
            let cells = (0..columns[0].cells.len()).map(|row| join(row).map_or(Cell::Missing, Cell::Text)).collect();
            put(columns, Column { name: into.clone(), kind: Kind::Text, cells });
            let mut step = json!({ "op": "concat", "columns": from, "into": into, "separator": "|" });
            missing.iter().for_each(|missing| step["missing"] = json!(missing));
            Some(step)
        }
        4 if columns.len() > 1 => {
            let at = some(columns, numbers);
            let kinds: Vec<Kind> = at.iter().map(|at| columns[*at].kind).collect();
            // Such as are not exact in a float are for another test.
            let is_large = |at: &usize| {
                columns[*at].cells.iter().any(|c| c.number().is_some_and(|x| x.is_finite() && x.abs() > 1e6))
            };
            if kinds.contains(&Kind::Text) || at.iter().any(is_large) {
                return None;
            }
            let kind = [Kind::Float, Kind::Int].into_iter().find(|kind| kinds.contains(kind)).unwrap_or(Kind::Bool);
            let (from, into) = (names(columns, &at), into(columns, numbers));
            let of = |row: usize| largest(&at.iter().map(|at| &columns[*at].cells[row]).collect::<Vec<_>>(), kind);
            let cells = (0..columns[0].cells.len()).map(of).collect();
            put(columns, Column { name: into.clone(), kind, cells });
            Some(json!({ "op": "row_max", "columns": from, "into": into }))
        }
        5 if columns.len() > 1 => {
            let at = some(columns, numbers);
            let kinds: Vec<Kind> = at.iter().map(|at| columns[*at].kind).collect();
            let are_texts = kinds.iter().filter(|kind| **kind == Kind::Text).count();
            if are_texts != 0 && are_texts != kinds.len() {
                return None;
            }
            let rank = [Kind::Text, Kind::Float, Kind::Int].into_iter().find(|kind| kinds.contains(kind));
            let kind = rank.unwrap_or(Kind::Bool);
            // Nothing for a value that is taken and not exact: such are for another test.
            let of = |row: usize| -> Option<Cell> {
                match at.iter().map(|at| &columns[*at].cells[row]).find(|cell| !cell.is_missing()) {
                    None => Some(Cell::Missing),
                    Some(cell) if kind == Kind::Float => cast(cell, "float64"),
                    Some(cell) if kind == Kind::Int => cast(cell, "int64"),
                    Some(cell) => Some(cell.clone()),
                }
            };
            let cells = (0..columns[0].cells.len()).map(of).collect::<Option<Vec<_>>>()?;
            let mut from = names(columns, &at);
            let into = into(columns, numbers);
            put(columns, Column { name: into.clone(), kind, cells });
            Some(match numbers.below(2) {
                0 => json!({ "op": "coalesce", "columns": from, "into": into }),
                _ => {
                    from.insert(numbers.below(from.len() as u64 + 1) as usize, "nowhere".into());
                    json!({ "op": "coalesce", "columns": from, "into": into, "if_missing": "skip" })
                }
            })
        }
        6 if columns.len() > 3 => {
            let at = 1 + pick(numbers, columns.len() - 1);
            let name = columns.remove(at).name;
            Some(match numbers.below(2) {
                0 => json!({ "op": "drop", "columns": name }),
                _ => json!({ "op": "keep", "columns": columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>() }),
            })
        }
        _ => None,
    }
}

// ---- shards

fn without(table: &Table, names: &[&str]) -> Table {
    let kept: Vec<usize> =
        (0..table.columns.len()).filter(|at| !names.contains(&table.columns[*at].0.as_str())).collect();
    let row = |row: &Vec<Cell>| kept.iter().map(|at| row[*at].clone()).collect();
    Table {
        columns: kept.iter().map(|at| table.columns[*at].clone()).collect(),
        rows: table.rows.iter().map(row).collect(),
    }
}

fn csv(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = names.join(",") + "\n";
    let field = |cell: &Cell| match cell {
        Cell::Missing => String::new(),
        Cell::Text(value) => format!("\"{}\"", value.replace('"', "\"\"")),
        Cell::Float(value) => format!("{value:?}"),
        cell => text_of(cell).unwrap(),
    };
    for row in &table.rows {
        writeln!(text, "{}", row.iter().map(field).collect::<Vec<_>>().join(",")).unwrap();
    }
    text
}

/// Writes the rows cut at these places; the last shard, from `lacks` on, is without the columns that it lacks.
fn write(directory: &Path, table: &Table, cuts: &[usize], lacks: usize, parquet: bool) {
    std::fs::create_dir_all(directory).unwrap();
    let mut ends: Vec<usize> =
        cuts.iter().copied().filter(|cut| *cut < lacks).chain([lacks, table.rows.len()]).collect();
    ends.sort_unstable();
    let mut first = 0;
    for (at, end) in ends.into_iter().enumerate() {
        let slice = Table { columns: table.columns.clone(), rows: table.rows[first..end].to_vec() };
        let slice = if first >= lacks && at > 0 { without(&slice, &["other", "text"]) } else { slice };
        let path = directory.join(format!("part-{at:03}"));
        match parquet {
            true => write_shard(&path.with_extension("parquet"), &slice.batch(), &[7, 0, 5]),
            false => std::fs::write(path.with_extension("csv"), csv(&slice)).unwrap(),
        }
        first = end;
    }
}

fn recipe(place: &Place, data: &str, output: &str, steps: &[Value], run: Value) -> Value {
    let types = COLUMNS.map(|(name, kind)| {
        let kind = match kind {
            Kind::Bool => "bool",
            Kind::Int => "int64",
            Kind::Float => "float64",
            Kind::Text => "string",
            Kind::Date | Kind::Time(..) => unreachable!("the tables here have no times"),
        };
        (name.to_string(), json!(kind))
    });
    json!({
        "input": { "path": place.text(data), "schema": types.into_iter().collect::<serde_json::Map<_, _>>() },
        "transform": steps,
        "output": { "path": place.text(output), "shard_rows": 50 },
        "run": run,
    })
}

fn assert_is(place: &Place, output: &str, columns: &[Column], steps: &[Value]) {
    let got = Table::of_batch(&read_split(&place.path(output), "data"));
    let names: Vec<(String, Kind)> = columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
    assert_eq!(got.columns, names, "{output}: {steps:?}");
    for column in columns {
        for (row, (got, right)) in got.column(&column.name).iter().zip(&column.cells).enumerate() {
            // A float that is not touched may still be NaN where another has none.
            let same = got == right || (got.is_missing() && right.is_missing());
            assert!(same, "{output}, row {row}, {}: {got:?} instead of {right:?} after {steps:?}", column.name);
        }
    }
}

fn check(seed: u64, rows: usize, count: usize) {
    let mut numbers = Numbers(seed);
    let lacks = 1 + numbers.below(rows as u64) as usize;
    let table = table(rows, lacks, &mut numbers);
    let mut columns: Vec<Column> = table
        .columns
        .iter()
        .map(|(name, kind)| Column { name: name.clone(), kind: *kind, cells: table.column(name) })
        .collect();
    let steps: Vec<Value> = (0..count).filter_map(|_| step(&mut columns, &mut numbers)).collect();
    let place = Place::new();
    let cuts: Vec<usize> = (0..numbers.below(4)).map(|_| numbers.below(rows as u64) as usize).collect();
    write(&place.path("parquet"), &table, &cuts, lacks, true);
    write(&place.path("whole"), &table, &[], lacks, true);
    write(&place.path("csv"), &table, &cuts, lacks, false);
    let outputs = [
        ("parquet", "a", json!({ "threads": 1, "mode": "in_memory" })),
        ("parquet", "b", json!({ "threads": 3, "mode": "streaming" })),
        ("whole", "c", json!({ "threads": 2 })),
        ("csv", "d", json!({ "threads": 2, "mode": "in_memory" })),
        ("csv", "e", json!({ "threads": 3, "mode": "streaming" })),
    ];
    for (data, output, how) in outputs {
        run(&recipe(&place, data, output, &steps, how));
        assert_is(&place, output, &columns, &steps);
    }
    for (one, other) in [("a", "b"), ("a", "c"), ("d", "e")] {
        assert_eq!(hashes(&place.path(one)), hashes(&place.path(other)), "{one} and {other} after {steps:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_derives_what_plain_evaluation_does(seed: u64, rows in 1usize..120, count in 1usize..8) {
        check(seed, rows, count);
    }
}

/// More rows than are decoded at once: all columns are cut alike, dictionaries and plain values.
#[test]
fn columns_of_many_batches_go_together() {
    let mut numbers = Numbers(7);
    let table = table(20_000, 20_000, &mut numbers);
    let place = Place::new();
    write_shard(&place.path("data").join("part-0.parquet"), &table.batch(), &[9_000]);
    let steps = [
        json!({ "op": "concat", "columns": ["word", "row", "text"], "into": "made", "separator": "|", "missing": "-" }),
        json!({ "op": "row_max", "columns": ["small", "float", "other"], "into": "most" }),
        json!({ "op": "coalesce", "columns": ["text", "word"], "into": "said" }),
        json!({ "op": "coalesce", "columns": ["float", "small"], "into": "number" }),
        json!({ "op": "cast", "columns": "text", "to": "float64", "errors": "null" }),
    ];
    for (output, how) in [("a", json!({ "threads": 3, "mode": "streaming" })), ("b", json!({ "mode": "in_memory" }))] {
        let mut job = recipe(&place, "data", output, &steps, how);
        job["output"]["shard_rows"] = json!(1_000_000);
        run(&job);
        let got = Table::of_batch(&read_split(&place.path(output), "data"));
        for (row, (made, most)) in got.column("made").iter().zip(got.column("most")).enumerate() {
            let cells = &table.rows[row];
            let texts = [5, 0, 4].map(|at: usize| text_of(&cells[at]).unwrap_or("-".into()));
            assert_eq!(*made, Cell::Text(texts.join("|")), "row {row}");
            assert_eq!(most, largest(&[&cells[1], &cells[2], &cells[3]], Kind::Float), "row {row}");
        }
        let first = |row: usize, of: [usize; 2]| {
            let cells = of.map(|at| table.rows[row][at].clone());
            cells.into_iter().find(|cell| !cell.is_missing()).unwrap_or(Cell::Missing)
        };
        for (row, (said, number)) in got.column("said").iter().zip(got.column("number")).enumerate() {
            assert_eq!(*said, first(row, [4, 5]), "row {row}");
            let right = cast(&first(row, [2, 1]), "float64").expect("small integers are exact");
            assert_eq!(number, right, "row {row}");
        }
    }
    assert_eq!(hashes(&place.path("a")), hashes(&place.path("b")));
}

/// What is dropped may still say where a row goes.
#[test]
fn a_dropped_key_and_label_split_as_if_they_were_written() {
    let mut numbers = Numbers(3);
    let table = table(400, 400, &mut numbers);
    let place = Place::new();
    write(&place.path("data"), &table, &[100, 250], 400, true);
    let job = |output: &str, steps: &[Value]| {
        let mut job = recipe(&place, "data", output, steps, json!({ "state": place.text(&format!("{output}.s")) }));
        job["label"] = json!({ "column": "class" });
        job["split"] = json!({ "kind": "stratified", "key": "id", "sizes": { "train": 0.6, "test": 0.4 } });
        job
    };
    let names = json!({ "op": "rename", "names": { "word": "class", "p__DOT__q": "id" } });
    let report = run(&job("whole", std::slice::from_ref(&names)));
    let dropped = run(&job("less", &[names, json!({ "op": "drop", "columns": ["class", "id"] })]));
    assert_eq!(report.dropped, dropped.dropped);
    for split in ["train", "test"] {
        let whole = Table::of_batch(&read_split(&place.path("whole"), split));
        let less = Table::of_batch(&read_split(&place.path("less"), split));
        assert_eq!(without(&whole, &["class", "id"]), less);
    }
}

/// Integers that a float would round are not: the step raises, or the value is missing.
#[test]
fn no_integer_is_rounded() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("data")).unwrap();
    std::fs::write(place.path("data").join("a.csv"), "n,t\n1,2\n9007199254740993,x\n").unwrap();
    let job = |steps: Value| json!({ "input": { "path": place.text("data") }, "transform": steps, "output": { "path": place.text("out") } });
    for (step, words) in [
        (
            json!({ "op": "cast", "columns": "n", "to": "float64" }),
            ["a.csv, row 1, column `n`", "`9007199254740993`", "rounded"],
        ),
        (
            json!({ "op": "cast", "columns": "t", "to": "int32" }),
            ["a.csv, row 1, column `t`", "`x`", "errors = \"null\""],
        ),
    ] {
        let error = try_run(&job(json!([step]))).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        words.iter().for_each(|word| assert!(chain(&error).contains(word), "{}", chain(&error)));
    }
    run(&job(json!([{ "op": "cast", "columns": "*", "to": "float64", "errors": "null" }])));
    let got = Table::of_batch(&read_split(&place.path("out"), "data"));
    assert_eq!(got.rows, [[Cell::Float(1.0), Cell::Float(2.0)], [Cell::Missing, Cell::Missing]]);
}

/// Dates written as text, some in one column and some in another, say the time and the order as timestamps do.
#[test]
fn a_coalesce_of_text_dates_is_a_time_and_an_order() {
    let texts = |cells: [Option<&str>; 6]| cells.map(|cell| cell.map_or(Cell::Missing, Cell::text));
    let first = [None, Some("2024-03-05"), Some("2024-03-05T23:00:00+02:00"), None, None, Some("2024-03-01")];
    let second = [Some("2024-03-05T01:00"), None, Some("1999-01-01"), Some("2024-03-04 23:59:59"), None, None];
    let columns = [("id", Kind::Int), ("who", Kind::Int), ("first", Kind::Text), ("second", Kind::Text)];
    let row = |at: usize| {
        let who = [1, 1, 1, 2, 2, 2][at];
        vec![Cell::Int(at as i64), Cell::Int(who), texts(first)[at].clone(), texts(second)[at].clone()]
    };
    let table = Table {
        columns: columns.map(|(name, kind)| (name.to_string(), kind)).to_vec(),
        rows: (0..6).map(row).collect(),
    };
    let place = Place::new();
    write(&place.path("parquet"), &table, &[2], 6, true);
    write(&place.path("csv"), &table, &[2], 6, false);
    let found = json!({ "op": "coalesce", "columns": ["first", "second"], "into": "when" });
    let stamp = |columns: Value| json!({ "op": "cast", "columns": columns, "to": "timestamp" });
    // In CSV they are read as times, of which one column has a zone and the other has none.
    let ways = [
        ("parquet", vec![found.clone()]),
        ("parquet", vec![found.clone(), stamp(json!("when"))]),
        ("csv", vec![stamp(json!(["first", "second"])), found]),
    ];
    for (data, steps) in ways {
        for dedupe in [false, true] {
            let output = format!("{data}-{}-{dedupe}", steps.len());
            let mut job = recipe(&place, data, &output, &steps, json!({}));
            job["input"]["schema"] = json!({});
            job["split"] = json!({ "kind": "temporal_quantile", "time": "when", "sizes": { "train": 2, "test": 3 } });
            // As text, by bytes: here all instants are in the same form for those.
            if dedupe {
                job["dedupe"] = json!({ "key": "who", "order_by": "when" });
                job["split"]["sizes"] = json!({ "train": 1, "test": 1 });
            }
            let report = run(&job);
            let ids = |split: &str| Table::of_batch(&read_split(&place.path(&output), split)).column("id");
            // By time: 5 (March 1), 3 (the 4th), 1 (the 5th, 00:00), 0 (01:00), 2 (21:00); 4 has none.
            let right = if dedupe { [vec![5], vec![1]] } else { [vec![3, 5], vec![0, 1, 2]] };
            let right = right.map(|ids: Vec<i64>| ids.into_iter().map(Cell::Int).collect::<Vec<_>>());
            assert_eq!([ids("train"), ids("test")], right, "{output}");
            assert!(report.dropped.contains(&("missing_time".to_string(), 1)), "{:?}", report.dropped);
        }
    }
}

/// Columns without any value in a text shard are of no type until all was read: they are passed over.
#[test]
fn a_coalesce_passes_over_columns_without_any_value() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("data")).unwrap();
    std::fs::write(place.path("data").join("a.csv"), "n,x,y,z\n1,,,\n2,,,7\n").unwrap();
    let steps = [
        json!({ "op": "coalesce", "columns": ["x", "z", "n"], "into": "some" }),
        json!({ "op": "coalesce", "columns": ["x", "y"], "into": "none" }),
    ];
    run(&json!({
        "input": { "path": place.text("data") },
        "transform": steps,
        "output": { "path": place.text("out") },
    }));
    let got = Table::of_batch(&read_split(&place.path("out"), "data"));
    assert_eq!(got.column("some"), [Cell::Int(1), Cell::Int(7)]);
    assert_eq!(got.column("none"), [Cell::Missing, Cell::Missing]);
}
