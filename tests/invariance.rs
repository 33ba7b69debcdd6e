//! What must not matter, does not: how the input is cut, how the job is run, where it lies.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::RecordBatch;
use common::table::{Cell, Kind, Table, write_shard, write_shards};
use common::{Numbers, Place, hashes, manifest, plan, read_split, run};
use serde_json::{Value, json};
use twopass::observe::Silent;

/// Rows of a table whose parts have several blocks of text.
const ROWS: usize = 6000;
/// Rows of a table whose parts have several pages too.
const MANY_ROWS: usize = 30_000;

/// Every kind of column, with missing values in each.
fn batch(rows: usize) -> RecordBatch {
    let mut numbers = Numbers(1);
    let rows = (0..rows as i64).map(|id| {
        let mut or_missing = |cell: Cell| if numbers.below(9) == 0 { Cell::Missing } else { cell };
        let mut more = Numbers(id as u64);
        let label = or_missing(Cell::text(["no", "yes", "ja"][more.below(3) as usize]));
        let zone = or_missing(Cell::Int(more.below(12) as i64));
        let amount = or_missing(Cell::Float(1e9 + more.unit() * 1e-3));
        let ratio = or_missing(Cell::Float([f64::NAN, -0.0, 0.1, more.unit()][more.below(4) as usize]));
        let city = or_missing(Cell::Text(format!("Ort {}", more.below(300))));
        let flag = or_missing(Cell::Bool(more.below(2) == 0));
        let note = or_missing(Cell::Text(format!("note {}", more.below(50) * 7919)));
        vec![Cell::Int(id), label, zone, amount, ratio, city, flag, note]
    });
    let columns = [
        ("id", Kind::Int),
        ("label", Kind::Text),
        ("zone", Kind::Int),
        ("amount", Kind::Float),
        ("ratio", Kind::Float),
        ("city", Kind::Text),
        ("flag", Kind::Bool),
        ("note", Kind::Text),
    ];
    let columns = columns.map(|(name, kind)| (name.to_string(), kind)).to_vec();
    Table { columns, rows: rows.collect() }.batch()
}

fn recipe(place: &Place, input: &str, output: &str) -> Value {
    json!({
        "input": { "path": place.text(input) },
        "label": { "column": "label" },
        "split": { "kind": "stratified", "stratify": ["label", "zone"], "key": "id" },
        "transform": [
            { "columns": ["amount", "ratio"], "op": "simple_imputer", "add_indicator": true },
            { "columns": ["amount", "ratio"], "op": "standard_scaler" },
            { "columns": "city", "op": "ordinal_encoder", "encoded_missing_value": -1 },
            { "columns": ["flag", "zone"], "op": "one_hot_encoder" },
        ],
        "output": { "path": place.text(output), "shard_rows": 1500 },
        "run": { "threads": 2 },
    })
}

/// The same recipe with a part of it replaced: keys are dotted.
fn with(mut recipe: Value, changes: &[(&str, Value)]) -> Value {
    for (key, value) in changes {
        let (section, key) = key.split_once('.').unwrap();
        recipe[section][key] = value.clone();
    }
    recipe
}

#[track_caller]
fn assert_same(output: &Path, first: &BTreeMap<String, String>, what: &str) {
    let got = hashes(output);
    assert_eq!(got.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>(), "{what}: other files");
    let other: Vec<_> = got.iter().filter(|(name, hash)| first[*name] != **hash).map(|(name, _)| name).collect();
    assert!(other.is_empty(), "{what}: other bytes in {other:?}");
}

#[test]
fn any_sharding_gives_the_same_bytes() {
    let place = Place::new();
    let batch = batch(MANY_ROWS);
    write_shards(&place.path("one"), &batch, &[], MANY_ROWS);
    let large =
        |input: &str, output: &str| with(recipe(&place, input, output), &[("output.shard_rows", json!(10_000))]);
    run(&large("one", "out-one"));
    let first = hashes(&place.path("out-one"));
    let frozen = plan(&place.path("out-one"));
    assert!(first.keys().any(|name| name == "train/part-00001.parquet"), "{first:?}");
    for (at, cuts) in [vec![3000], vec![0, 1, 0, 2, 25_000], vec![500; 59]].into_iter().enumerate() {
        let (input, output) = (format!("in-{at}"), format!("out-{at}"));
        write_shards(&place.path(&input), &batch, &cuts, 700);
        run(&large(&input, &output));
        assert_same(&place.path(&output), &first, &format!("{} shards", cuts.len() + 1));
        let plan = plan(&place.path(&output));
        assert_eq!((&plan.pipeline, &plan.facts), (&frozen.pipeline, &frozen.facts));
        assert_eq!((&plan.strata, &plan.quotas), (&frozen.strata, &frozen.quotas));
    }
}

#[test]
fn any_order_of_shards_gives_every_split_the_same_rows_and_the_same_fit() {
    let place = Place::new();
    let batch = batch(ROWS);
    let orders = [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]];
    let mut found = Vec::new();
    for (at, order) in orders.iter().enumerate() {
        for (shard, name) in order.iter().enumerate() {
            let rows = batch.slice(shard * ROWS / 5, ROWS / 5);
            write_shard(&place.path(&format!("in-{at}/shard-{name}.parquet")), &rows, &[]);
        }
        run(&recipe(&place, &format!("in-{at}"), &format!("out-{at}")));
        let output = place.path(&format!("out-{at}"));
        let rows = |split: &String| -> BTreeSet<String> {
            Table::of_batch(&read_split(&output, split)).rows.iter().map(|row| format!("{row:?}")).collect()
        };
        let splits: Vec<_> = common::splits(&output).iter().map(rows).collect();
        found.push((splits, plan(&output)));
    }
    let (splits, frozen) = &found[0];
    assert!(splits.iter().all(|rows| rows.len() > 500));
    for (other_splits, plan) in &found[1..] {
        assert!(other_splits == splits, "other rows in a split");
        assert_eq!((&plan.pipeline, &plan.facts), (&frozen.pipeline, &frozen.facts));
        assert_eq!((&plan.strata, &plan.quotas), (&frozen.strata, &frozen.quotas));
    }
}

#[test]
fn any_row_groups_give_the_same_bytes() {
    let place = Place::new();
    let batch = batch(MANY_ROWS);
    let mut first = None;
    for (at, row_groups) in [vec![], vec![1, 0, 17], vec![0; 5], vec![37; 810], vec![8192; 3]].into_iter().enumerate() {
        write_shard(&place.path(&format!("in-{at}/data.parquet")), &batch, &row_groups);
        // By position: the shard's name and the row's number are the same.
        let recipe = with(
            recipe(&place, &format!("in-{at}"), &format!("out-{at}")),
            &[("split.key", Value::Null), ("output.layout", json!("single"))],
        );
        run(&recipe);
        let output = place.path(&format!("out-{at}"));
        let first = first.get_or_insert_with(|| hashes(&output));
        assert_same(&output, first, &format!("{} row groups", row_groups.len() + 1));
    }
}

#[test]
fn any_threads_memory_and_mode_give_the_same_bytes() {
    let place = Place::new();
    write_shards(&place.path("in"), &batch(MANY_ROWS), &[12_500, 10, 9000], 3000);
    run(&recipe(&place, "in", "out-first"));
    let first = hashes(&place.path("out-first"));
    let runs = [
        (1, "64MiB", "streaming"),
        (2, "64MiB", "auto"),
        (3, "100MiB", "in_memory"),
        (8, "2GiB", "streaming"),
        (8, "1GiB", "in_memory"),
        (1, "8GiB", "auto"),
    ];
    for (threads, memory, mode) in runs {
        let output = format!("out-{threads}-{memory}-{mode}");
        let changes = [("run.threads", json!(threads)), ("run.memory", json!(memory)), ("run.mode", json!(mode))];
        run(&with(recipe(&place, "in", &output), &changes));
        assert_same(&place.path(&output), &first, &output);
    }
}

/// Rows of text with quoted line ends, doubled quotes and letters of several bytes all over the place, in blocks that
/// are cut by memory and threads.
fn write_text(place: &Place) {
    let mut numbers = Numbers(3);
    let mut csv = "id,label,zone,amount,ratio,city,flag,note\r\n".to_string();
    let mut json = String::new();
    for id in 0..MANY_ROWS {
        let label = ["no", "yes", "ja"][numbers.below(3) as usize];
        let zone = numbers.below(12);
        let amount = numbers.unit() * 1e3 - 500.0;
        let ratio = if numbers.below(3) == 0 { String::new() } else { format!("{:.2}", numbers.unit()) };
        let city = format!("Ört\n{}", numbers.below(300));
        let note = ["", "\"", "a,\r\nb", "\n\n\"x\",\n", "plain"][numbers.below(5) as usize];
        let flag = numbers.below(2) == 0;
        let quoted = note.replace('"', "\"\"");
        let end = if numbers.below(2) == 0 { "\n" } else { "\r\n" };
        csv += &format!("{id},{label},{zone},{amount:?},{ratio},\"{city}\",{flag},\"{quoted}\"{end}");
        let ratio = if ratio.is_empty() { "null" } else { &ratio };
        json += &format!(
            "{{\"id\": {id}, \"label\":\"{label}\",\"zone\":{zone},\"amount\":{amount:?},\"ratio\":{ratio},\"city\":{},\"flag\":{flag},\"note\":{}}}\n",
            json!(city),
            json!(note),
        );
    }
    for (name, content) in [("table.csv", csv), ("table.jsonl", json)] {
        std::fs::write(place.path(name), content).unwrap();
    }
}

#[test]
fn any_blocks_of_text_give_the_same_bytes() {
    let place = Place::new();
    write_text(&place);
    for input in ["table.csv", "table.jsonl"] {
        run(&recipe(&place, input, &format!("out-{input}")));
        let first = hashes(&place.path(&format!("out-{input}")));
        for (threads, memory, mode) in [(1, "64MiB", "streaming"), (8, "64MiB", "streaming"), (3, "1GiB", "in_memory")]
        {
            let output = format!("out-{input}-{threads}-{mode}");
            let changes = [("run.threads", json!(threads)), ("run.memory", json!(memory)), ("run.mode", json!(mode))];
            run(&with(recipe(&place, input, &output), &changes));
            assert_same(&place.path(&output), &first, &output);
        }
    }
}

#[test]
fn every_format_compression_and_layout_has_bytes_of_its_own_that_nothing_else_changes() {
    let place = Place::new();
    let batch = batch(ROWS);
    write_shards(&place.path("few"), &batch, &[4000], 5000);
    write_shards(&place.path("many"), &batch, &[10, 700, 700, 700, 700], 90);
    let mut seen = BTreeSet::new();
    let of_text = ["none", "gzip", "zstd"];
    for (format, compressions) in
        [("parquet", &["snappy", "zstd", "lz4", "none"][..]), ("csv", &of_text), ("tsv", &of_text), ("jsonl", &of_text)]
    {
        for compression in compressions {
            for layout in ["shards", "single"] {
                let what = format!("{format}-{compression}-{layout}");
                let changes = |threads: usize, mode: &str| {
                    [
                        ("output.format", json!(format)),
                        ("output.compression", json!(compression)),
                        ("output.layout", json!(layout)),
                        ("run.threads", json!(threads)),
                        ("run.mode", json!(mode)),
                    ]
                };
                run(&with(recipe(&place, "few", &format!("{what}-1")), &changes(1, "in_memory")));
                run(&with(recipe(&place, "many", &format!("{what}-3")), &changes(3, "streaming")));
                let first = hashes(&place.path(&format!("{what}-1")));
                assert_same(&place.path(&format!("{what}-3")), &first, &what);
                let (_, train) = first.iter().find(|(name, _)| name.starts_with("train/")).unwrap();
                assert!(seen.insert(train.clone()), "{what} has the bytes of another");
            }
        }
    }
}

#[test]
fn run_again_with_the_same_state_gives_the_same_bytes_and_reads_no_shard_twice() {
    let place = Place::new();
    write_shards(&place.path("in"), &batch(ROWS), &[2500, 3000], 300);
    let recipe = recipe(&place, "in", "out");
    let report = run(&recipe);
    assert_eq!((report.shards, report.reused_shards), (3, 0));
    let (first, manifest_bytes) = (hashes(&place.path("out")), manifest(&place.path("out")));
    let report = common::job(&recipe).overwriting(true).run(&Silent).unwrap();
    assert_eq!(report.reused_shards, 3);
    assert_same(&place.path("out"), &first, "again");
    assert_eq!(manifest(&place.path("out")), manifest_bytes);
    common::job(&with(recipe, &[("run.resume", json!("never"))])).overwriting(true).run(&Silent).unwrap();
    assert_same(&place.path("out"), &first, "from the start");
    assert_eq!(manifest(&place.path("out")), manifest_bytes);
}

#[test]
fn scan_then_write_is_run() {
    let place = Place::new();
    write_shards(&place.path("in"), &batch(ROWS), &[2500, 3000], 300);
    run(&recipe(&place, "in", "out-run"));
    let job = common::job(&recipe(&place, "in", "out"));
    let scanned = job.scan(&Silent).unwrap();
    assert_eq!((scanned.rows, scanned.output), (ROWS as u64, None));
    assert!(!place.path("out").exists());
    let written = job.write(&Silent).unwrap();
    assert_eq!(written.reused_shards, 3);
    assert_same(&place.path("out"), &hashes(&place.path("out-run")), "scan and write");
    assert_eq!(written.fingerprint, Some(plan(&place.path("out-run")).fingerprint));
}

#[test]
fn a_moved_input_gives_the_same_bytes() {
    let place = Place::new();
    let batch = batch(ROWS);
    for (at, directory) in ["here", "there/deep er/ünder"].into_iter().enumerate() {
        // Without a key it is the names of the shards that count.
        write_shard(&place.path(directory).join("a/one.parquet"), &batch.slice(0, 2000), &[]);
        write_shard(&place.path(directory).join("b/two.parquet"), &batch.slice(2000, 4000), &[]);
        run(&with(recipe(&place, directory, &format!("out-{at}")), &[("split.key", Value::Null)]));
    }
    assert_same(&place.path("out-1"), &hashes(&place.path("out-0")), "moved");
    assert_eq!(plan(&place.path("out-1")).fingerprint, plan(&place.path("out-0")).fingerprint);
}

/// A shard that comes later under other types widens the column for all, whichever is read first.
#[test]
fn any_order_of_types_gives_the_same_fit() {
    let place = Place::new();
    let shard = |kind: Kind, cells: Vec<Cell>| {
        let rows = cells.into_iter().enumerate().map(|(at, cell)| vec![Cell::Int(at as i64), cell]).collect();
        Table { columns: vec![("id".into(), Kind::Int), ("x".into(), kind)], rows }.batch()
    };
    let ints = shard(Kind::Int, (0..50).map(Cell::Int).collect());
    let floats = shard(Kind::Float, (0..50).map(|x| Cell::Float(f64::from(x) / 4.0)).collect());
    let steps = json!([{ "columns": "x", "op": "standard_scaler" }]);
    let fit = |names: [&str; 2], output: &str| {
        let input = format!("{output}-in");
        write_shard(&place.path(&format!("{input}/{}.parquet", names[0])), &ints, &[]);
        write_shard(&place.path(&format!("{input}/{}.parquet", names[1])), &floats, &[]);
        run(
            &json!({ "input": { "path": place.text(&input) }, "output": { "path": place.text(output) }, "transform": steps }),
        );
        plan(&place.path(output))
    };
    let (first, last) = (fit(["a", "b"], "ints-first"), fit(["b", "a"], "floats-first"));
    assert_eq!((first.pipeline, first.schema), (last.pipeline, last.schema));
}
