//! `verify` proves the rule of every kind of split, and finds a row that breaks it where files, counts and checksums are right.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Date32Type, Field, Int32Type, Int64Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::support::{Job, Outcome, batch};

const ROWS: i64 = 900;

/// Rows of customers large and small; every 97th has none, every 101st no day.
fn data() -> RecordBatch {
    let rows = || 0..ROWS;
    let customer = |row: i64| if row % 7 == 0 { 1 } else { (row * 7919 % 211) % (1 + row % 120) };
    let customers: Int64Array = rows().map(|row| (row % 97 != 5).then(|| customer(row))).collect();
    let days: Date32Array = rows().map(|row| (row % 101 != 9).then(|| 19_700 + (row * 37 % 300) as i32)).collect();
    let labels: StringArray = rows().map(|row| Some(["no", "no", "maybe", "yes"][(row * 13 % 4) as usize])).collect();
    let names: StringArray = rows().map(|row| Some(format!("c{}", customer(row)))).collect();
    batch([
        ("id", Arc::new(Int64Array::from_iter_values(rows()))),
        ("customer", Arc::new(customers)),
        ("name", Arc::new(names)),
        ("day", Arc::new(days)),
        ("order", Arc::new(Int64Array::from_iter_values(rows().map(|row| row % 700)))),
        ("label", Arc::new(labels)),
    ])
}

/// The job of a recipe with this `[split]`, as it was run into `out`.
fn ran(split: &str, further: &[&str]) -> Job {
    let job = Job::new();
    fs::remove_dir_all(job.path("data")).expect("removed");
    let all = data();
    for (at, rows) in [0..300, 300..301, 301..ROWS as usize].into_iter().enumerate() {
        job.shard(&format!("part-{at}.parquet"), &all.slice(rows.start, rows.len()));
    }
    job.write(
        "recipe.toml",
        &format!("[input]\npath = \"data\"\n[label]\ncolumn = \"label\"\n{split}\n[output]\npath = \"out\"\n"),
    );
    let mut arguments = vec!["run", "recipe.toml"];
    arguments.extend(further.iter().flat_map(|set| ["--set", *set]));
    job.ok(&arguments);
    job
}

/// All checks by name.
fn verdict(outcome: &Outcome) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_string();
    let verdict = outcome.json();
    assert_eq!(verdict["ok"], outcome.code == 0);
    let checks = verdict["checks"].as_array().expect("checks").iter();
    checks.map(|check| (text(&check["name"]), (text(&check["status"]), text(&check["detail"])))).collect()
}

/// A good output has these checks proved, and none failed.
#[track_caller]
fn proves(job: &Job, proved: &[&str]) {
    let outcome = job.run(&["verify", "out", "--json"]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    let checks = verdict(&outcome);
    for name in proved.iter().chain(&["rows", "sums", "state"]) {
        let found = checks.get(*name).unwrap_or_else(|| panic!("no check `{name}`: {checks:?}"));
        assert_eq!(found.0, "ok", "{name}: {}", found.1);
    }
}

/// What fails is exactly this.
#[track_caller]
fn fails(job: &Job, expected: &[&str]) {
    let outcome = job.run(&["verify", "out", "--json"]);
    assert_eq!(outcome.code, 1, "{}{}", outcome.out, outcome.err);
    let checks = verdict(&outcome);
    let failed: Vec<&str> =
        checks.iter().filter(|(_, (status, _))| status == "failed").map(|(name, _)| name.as_str()).collect();
    assert_eq!(failed, expected, "{checks:#?}");
}

#[track_caller]
fn is_not_provable(job: &Job, name: &str, why: &str) {
    let outcome = job.run(&["verify", "out", "--json"]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    let (status, detail) = verdict(&outcome)[name].clone();
    assert_eq!(status, "not_provable", "{name}: {detail}");
    assert!(detail.contains(why), "`{why}` is not in: {detail}");
}

/// An output to tamper with: every split is one part, and the manifest is made to agree with what is written.
struct Tampering<'a> {
    job: &'a Job,
    manifest: Value,
}

impl<'a> Tampering<'a> {
    fn with(job: &'a Job) -> Self {
        let text = fs::read(job.path("out/_manifest.json")).expect("read");
        Self { job, manifest: serde_json::from_slice(&text).expect("JSON") }
    }

    fn schema(&self) -> Arc<Schema> {
        let columns = self.manifest["schema"].as_array().expect("columns").iter();
        let field = |column: &Value| {
            let data_type = match column["type"].as_str().expect("a type") {
                "Int32" => DataType::Int32,
                "Date32" => DataType::Date32,
                "Utf8" => DataType::Utf8,
                _ => DataType::Int64,
            };
            Field::new(column["name"].as_str().expect("a name"), data_type, true)
        };
        Arc::new(Schema::new(columns.map(field).collect::<Vec<_>>()))
    }

    fn part(&self, split: &str) -> String {
        let parts = self.manifest["splits"][split]["parts"].as_array().expect("parts");
        assert_eq!(parts.len(), 1);
        format!("out/{}", parts[0]["path"].as_str().expect("a path"))
    }

    fn rows(&self, split: &str) -> RecordBatch {
        let path = self.part(split);
        let file = File::open(self.job.path(&path)).expect("opened");
        let schema = self.schema();
        let batches: Vec<RecordBatch> = match path.rsplit('.').next().expect("an extension") {
            "parquet" => {
                let reader =
                    ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("a reader");
                reader.map(|batch| batch.expect("rows")).collect()
            }
            "csv" => {
                let reader = arrow::csv::ReaderBuilder::new(Arc::clone(&schema)).with_header(true).build(file);
                reader.expect("CSV").map(|batch| batch.expect("rows")).collect()
            }
            _ => {
                let reader = arrow::json::ReaderBuilder::new(Arc::clone(&schema)).build(std::io::BufReader::new(file));
                reader.expect("JSON").map(|batch| batch.expect("rows")).collect()
            }
        };
        concat_batches(&schema, &batches).expect("one batch")
    }

    /// Writes the rows of a split, and says so in the manifest.
    fn put(&mut self, split: &str, rows: &RecordBatch) {
        let path = self.part(split);
        let mut bytes = Vec::new();
        match path.rsplit('.').next().expect("an extension") {
            "parquet" => {
                let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).expect("a writer");
                writer.write(rows).expect("written");
                writer.close().expect("closed");
            }
            "csv" => arrow::csv::Writer::new(&mut bytes).write(rows).expect("written"),
            _ => {
                let mut writer = arrow::json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, arrow::json::writer::LineDelimited>(&mut bytes);
                writer.write(rows).expect("written");
                writer.finish().expect("finished");
            }
        }
        let entry = &mut self.manifest["splits"][split];
        entry["rows"] = json!(rows.num_rows());
        entry["parts"][0]["rows"] = json!(rows.num_rows());
        entry["parts"][0]["bytes"] = json!(bytes.len());
        entry["parts"][0]["xxh3"] = json!(format!("{:032x}", xxh3_128(&bytes)));
        fs::write(self.job.path(&path), bytes).expect("written");
    }

    fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.manifest);
    }

    fn done(self) {
        fs::write(self.job.path("out/_manifest.json"), self.manifest.to_string()).expect("written");
    }

    /// Exchanges rows of two splits.
    fn exchange(&mut self, (a, of_a): (&str, &[usize]), (b, of_b): (&str, &[usize])) {
        let (rows_a, rows_b) = (self.rows(a), self.rows(b));
        let swapped = |kept: &RecordBatch, out: &[usize], other: &RecordBatch, taken: &[usize]| {
            let kept_rows: UInt64Array =
                (0..kept.num_rows()).filter(|row| !out.contains(row)).map(|row| row as u64).collect();
            let taken: UInt64Array = taken.iter().map(|row| *row as u64).collect();
            let both =
                [take_record_batch(kept, &kept_rows).expect("rows"), take_record_batch(other, &taken).expect("rows")];
            concat_batches(&kept.schema(), &both).expect("one batch")
        };
        let (new_a, new_b) = (swapped(&rows_a, of_a, &rows_b, of_b), swapped(&rows_b, of_b, &rows_a, of_a));
        self.put(a, &new_a);
        self.put(b, &new_b);
    }

    /// Sets a value of one row.
    fn set(&mut self, split: &str, column: &str, row: usize, value: i64) {
        let rows = self.rows(split);
        let at = rows.schema().index_of(column).expect("the column");
        let array = rows.column(at);
        let changed: ArrayRef = match array.data_type() {
            DataType::Int32 => {
                let mut values = array.as_primitive::<Int32Type>().values().to_vec();
                values[row] = value as i32;
                Arc::new(arrow::array::Int32Array::from(values))
            }
            DataType::Date32 => {
                let mut values = array.as_primitive::<Date32Type>().values().to_vec();
                values[row] = value as i32;
                Arc::new(Date32Array::from(values))
            }
            _ => {
                let mut values = array.as_primitive::<Int64Type>().values().to_vec();
                values[row] = value;
                Arc::new(Int64Array::from(values))
            }
        };
        let mut columns = rows.columns().to_vec();
        columns[at] = changed;
        self.put(split, &RecordBatch::try_new(rows.schema(), columns).expect("a batch"));
    }
}

fn integers(rows: &RecordBatch, column: &str) -> Vec<i64> {
    let array = rows.column_by_name(column).expect("the column");
    arrow::compute::cast(array, &DataType::Int32)
        .and_then(|array| arrow::compute::cast(&array, &DataType::Int64))
        .expect("integers")
        .as_primitive::<Int64Type>()
        .values()
        .to_vec()
}

/// Rows by customer.
fn customers(rows: &RecordBatch) -> BTreeMap<i64, Vec<usize>> {
    let mut customers: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    integers(rows, "customer").into_iter().enumerate().for_each(|(row, of)| customers.entry(of).or_default().push(row));
    customers
}

/// A customer of each split with the same number of rows, of which the rows differ in `by`.
fn alike(a: &RecordBatch, b: &RecordBatch, by: impl Fn(&RecordBatch, &[usize]) -> i64) -> (Vec<usize>, Vec<usize>) {
    let (of_a, of_b) = (customers(a), customers(b));
    for rows_a in of_a.values() {
        for rows_b in of_b.values() {
            if rows_a.len() == rows_b.len() && by(a, rows_a) != by(b, rows_b) {
                return (rows_a.clone(), rows_b.clone());
            }
        }
    }
    panic!("no two customers have as many rows");
}

const FORMATS: [&str; 3] = ["output.format=parquet", "output.format=csv", "output.format=jsonl"];
const GROUPED: &str = "[split]\nkind = \"grouped\"\ngroups = \"customer\"\nsizes = { train = 0.6, test = 0.4 }";
const BALANCED: &str =
    "[split]\nkind = \"stratified_grouped\"\ngroups = \"customer\"\nsizes = { train = 0.6, test = 0.4 }";
const TEMPORAL: &str = "[split]\nkind = \"temporal\"\ngroups = \"customer\"\ntime = \"day\"\ncutoff = \"2024-08-01\"\ngap = \"7d\"\nsizes = { train = 0.8, val = 0.2 }";
const QUANTILE: &str = "[split]\nkind = \"temporal_quantile\"\ntime = \"day\"\nsizes = { train = 0.6, test = 0.4 }";

#[test]
fn a_group_in_two_splits_is_found_in_every_format() {
    for format in FORMATS {
        let job = ran(GROUPED, &[format]);
        proves(&job, &["groups", "hash order", "split sizes"]);
        let mut out = Tampering::with(&job);
        let (train, test) = (customers(&out.rows("train")), customers(&out.rows("test")));
        let large = |customers: &BTreeMap<i64, Vec<usize>>| {
            customers.values().find(|rows| rows.len() > 1).expect("a customer")[0]
        };
        out.exchange(("train", &[large(&train)]), ("test", &[large(&test)]));
        out.done();
        fails(&job, &["groups", "hash order"]);
    }
}

#[test]
fn whole_groups_in_each_others_place_are_not_where_their_hash_puts_them() {
    let job = ran(GROUPED, &[]);
    let mut out = Tampering::with(&job);
    let (train, test) = alike(&out.rows("train"), &out.rows("test"), |rows, of| integers(rows, "customer")[of[0]]);
    out.exchange(("train", &train), ("test", &test));
    out.done();
    fails(&job, &["hash order"]);
}

#[test]
fn a_group_moved_across_the_cut_is_off_the_size() {
    let job = ran(GROUPED, &[]);
    let mut out = Tampering::with(&job);
    let all = customers(&out.rows("test"));
    // The first by rank: the order of hashes holds.
    let rank = |customer: &i64| {
        let mut wide = Vec::new();
        twopass::hash::wide_fields(&Int64Array::from(vec![*customer]), &mut wide).expect("a hash");
        twopass::hash::group_rank(wide[0], 42)
    };
    let first = all.keys().min_by_key(|customer| rank(customer)).expect("a customer");
    out.exchange(("train", &[]), ("test", &all[first]));
    out.edit(|manifest| one_group_more(manifest, "train", "test"));
    out.done();
    fails(&job, &["split sizes", "state"]);
}

/// Says that a group has moved.
fn one_group_more(manifest: &mut Value, to: &str, from: &str) {
    for (split, by) in [(to, 1), (from, -1)] {
        let groups = &mut manifest["splits"][split]["groups"];
        *groups = json!(groups.as_i64().expect("groups") + by);
    }
}

#[test]
fn another_number_of_groups_and_a_row_without_one_are_found() {
    let job = ran(GROUPED, &["split.group_sizes=groups"]);
    proves(&job, &["groups", "hash order", "split sizes"]);
    let mut out = Tampering::with(&job);
    out.edit(|manifest| manifest["splits"]["test"]["groups"] = 3.into());
    out.done();
    fails(&job, &["groups", "state"]);

    let job = ran(GROUPED, &[]);
    let mut out = Tampering::with(&job);
    let rows = out.rows("test");
    let at = rows.schema().index_of("customer").expect("the column");
    let mut columns = rows.columns().to_vec();
    let values = columns[at].as_primitive::<Int64Type>().iter().enumerate();
    let without: Int64Array = values.map(|(row, value)| value.filter(|_| row > 0)).collect();
    columns[at] = Arc::new(without);
    out.put("test", &RecordBatch::try_new(rows.schema(), columns).expect("a batch"));
    out.done();
    fails(&job, &["groups"]);
}

#[test]
fn rows_that_are_groups_of_their_own_are_counted() {
    let job = ran(GROUPED, &["split.missing_groups=own"]);
    proves(&job, &["groups", "split sizes"]);
    is_not_provable(&job, "hash order", "by their place");
    let job = ran(GROUPED, &["split.missing_groups=own", "split.key=id"]);
    proves(&job, &["groups", "hash order", "split sizes", "keys"]);
}

#[test]
fn a_class_that_is_in_another_split_is_found() {
    for format in FORMATS {
        let job = ran(BALANCED, &[format]);
        proves(&job, &["groups", "classes", "worst share"]);
        let mut out = Tampering::with(&job);
        let label = |rows: &RecordBatch, of: &[usize]| -> i64 {
            of.iter().map(|row| 1_i64 << (8 * integers(rows, "label")[*row])).sum()
        };
        let (train, test) = alike(&out.rows("train"), &out.rows("test"), label);
        out.exchange(("train", &train), ("test", &test));
        out.done();
        let outcome = job.run(&["verify", "out", "--json"]);
        let checks = verdict(&outcome);
        assert_eq!((outcome.code, checks["classes"].0.as_str()), (1, "failed"), "{checks:#?}");
        assert_eq!(checks["groups"].0, "ok");
    }
    let job = ran(BALANCED, &[]);
    let mut out = Tampering::with(&job);
    out.edit(|manifest| manifest["worst_share"]["deviation"] = json!(0.25));
    out.done();
    fails(&job, &["state", "worst share"]);
}

#[test]
fn a_row_on_the_other_side_of_the_cutoff_is_found() {
    for format in FORMATS {
        let job = ran(TEMPORAL, &[format]);
        proves(&job, &["time", "groups", "oot customers", "hash order", "split sizes"]);
        let cutoff = 19_936;
        let mut out = Tampering::with(&job);
        out.set("train", "day", 3, cutoff - 7);
        out.done();
        fails(&job, &["time"]);
        let mut out = Tampering::with(&job);
        out.set("train", "day", 3, cutoff - 8);
        out.set("oot", "day", 0, cutoff - 1);
        out.done();
        fails(&job, &["time"]);
        let mut out = Tampering::with(&job);
        out.set("oot", "day", 0, cutoff);
        out.done();
        proves(&job, &["time"]);
    }
}

#[test]
fn a_customer_of_train_out_of_time_is_found() {
    let job = ran(TEMPORAL, &[]);
    let mut out = Tampering::with(&job);
    let (train, oot) = (customers(&out.rows("train")), customers(&out.rows("oot")));
    // A customer of one row only, so that their number stays.
    let (_, rows) = oot.iter().find(|(_, rows)| rows.len() == 1).expect("such a customer");
    out.set("oot", "customer", rows[0], *train.keys().next().expect("a customer"));
    out.done();
    fails(&job, &["oot customers"]);

    // Customers by number, not by rows: one more in train is one too many.
    let job = ran(TEMPORAL, &["split.oot_exclude=[]"]);
    proves(&job, &["split sizes"]);
    let mut out = Tampering::with(&job);
    let all = customers(&out.rows("val"));
    let moved = all.values().next().expect("a customer").clone();
    out.exchange(("train", &[]), ("val", &moved));
    out.edit(|manifest| one_group_more(manifest, "train", "val"));
    out.done();
    let checks = verdict(&job.run(&["verify", "out", "--json"]));
    assert_eq!(checks["split sizes"].0, "failed", "{checks:#?}");
}

#[test]
fn a_newer_row_in_an_older_split_is_found() {
    for format in FORMATS {
        let job = ran(QUANTILE, &[format]);
        proves(&job, &["time", "split sizes"]);
        let mut out = Tampering::with(&job);
        let newest = *integers(&out.rows("train"), "day").iter().max().expect("rows");
        out.set("test", "day", 5, newest);
        out.done();
        fails(&job, &["time"]);
    }
    // All rows of the newest time of train in test: times are in order, and sizes are not the nearest.
    let job = ran(QUANTILE, &[]);
    let mut out = Tampering::with(&job);
    let mut days = integers(&out.rows("train"), "day");
    days.sort_unstable();
    days.dedup();
    let moved = &days[days.len() - 2..];
    let train = integers(&out.rows("train"), "day");
    let rows: Vec<usize> = (0..train.len()).filter(|row| moved.contains(&train[*row])).collect();
    out.exchange(("train", &rows), ("test", &[]));
    out.done();
    fails(&job, &["split sizes", "state"]);
}

#[test]
fn another_fold_is_found_where_folds_are_a_column() {
    for (split, broken) in [
        ("kind = \"kfold\"\nfolds = 4\nfold_column = \"fold\"", &["folds"][..]),
        ("kind = \"kfold\"\nfolds = 4\nfold_column = \"fold\"\nstratify = \"label\"", &["folds"][..]),
        (
            "kind = \"kfold\"\nfolds = 4\nfold_column = \"fold\"\ngroups = \"customer\"",
            &["folds", "groups", "hash order"][..],
        ),
        (
            "kind = \"kfold\"\nfolds = 4\nfold_column = \"fold\"\ngroups = \"customer\"\nstratify = \"label\"",
            &["folds", "groups"][..],
        ),
    ] {
        let job = ran(&format!("[split]\n{split}"), &[]);
        proves(&job, &["folds"]);
        let mut out = Tampering::with(&job);
        let folds = integers(&out.rows("data"), "fold");
        // Of the largest customer, which then is in two folds.
        let all = out.rows("data").column_by_name("customer").expect("customers").as_primitive::<Int64Type>().clone();
        let row = (0..folds.len()).find(|row| all.is_valid(*row) && all.value(*row) == 1).expect("one");
        out.set("data", "fold", row, (folds[row] + 1) % 4);
        out.done();
        let checks = verdict(&job.run(&["verify", "out", "--json"]));
        for name in broken {
            assert_eq!(checks[*name].0, "failed", "{split}: {checks:#?}");
        }
        let mut out = Tampering::with(&job);
        out.set("data", "fold", row, 4);
        out.done();
        assert_eq!(verdict(&job.run(&["verify", "out", "--json"]))["folds"].0, "failed");
    }
}

#[test]
fn folds_as_splits_are_exact() {
    for (further, also) in [
        (&[][..], &["split sizes"][..]),
        (&["split.stratify=label", "split.key=id"][..], &["split sizes", "strata", "hash order"][..]),
        (&["split.groups=customer"][..], &["split sizes", "groups", "hash order"][..]),
        (&["split.groups=customer", "split.group_sizes=groups"][..], &["split sizes", "groups", "hash order"][..]),
        (&["split.groups=customer", "split.stratify=label"][..], &["groups", "classes", "worst share"][..]),
    ] {
        proves(&ran("[split]\nkind = \"kfold\"\nfolds = 3", further), also);
    }
    let job = ran("[split]\nkind = \"kfold\"\nfolds = 3", &["split.stratify=label"]);
    let mut out = Tampering::with(&job);
    out.exchange(("fold-0", &[4]), ("fold-1", &[]));
    out.done();
    fails(&job, &["split sizes", "state", "strata"]);
}

#[test]
fn a_key_that_comes_twice_is_found() {
    for format in FORMATS {
        let job = ran(
            "[split]\nkind = \"random\"\nsizes = { train = 0.5, test = 0.5 }\n[dedupe]\nkey = \"order\"",
            &[format],
        );
        proves(&job, &["duplicates", "split sizes"]);
        let mut out = Tampering::with(&job);
        let order = integers(&out.rows("test"), "order")[0];
        out.set("train", "order", 7, order);
        out.done();
        fails(&job, &["duplicates"]);
    }
}

#[test]
fn sizes_as_counts_are_exact_and_the_rest_is_counted() {
    let split = "[split]\nkind = \"random\"\nsizes = { train = 500, test = 100 }\nrest = \"drop\"";
    let job = ran(split, &[]);
    proves(&job, &["split sizes"]);
    let mut out = Tampering::with(&job);
    out.exchange(("train", &[1]), ("test", &[]));
    out.done();
    fails(&job, &["split sizes", "state"]);
    proves(
        &ran(
            "[split]\nkind = \"grouped\"\ngroups = \"customer\"\ngroup_sizes = \"groups\"\nsizes = { train = 30, test = 9 }\nrest = \"drop\"",
            &[],
        ),
        &["split sizes", "groups"],
    );
    proves(
        &ran(
            "[split]\nkind = \"grouped\"\ngroups = \"customer\"\nsizes = { train = 0.5, test = 0.2 }\nrest = \"drop\"",
            &[],
        ),
        &["split sizes", "groups"],
    );
    let job = ran(
        "[split]\nkind = \"stratified_grouped\"\ngroups = \"customer\"\nsizes = { train = 0.5, test = 0.2 }\nrest = \"drop\"",
        &[],
    );
    is_not_provable(&job, "worst share", "leave out");
}

#[test]
fn dropped_rows_are_counted_again_from_the_state() {
    let split = format!("{TEMPORAL}\n[dedupe]\nkey = \"order\"");
    let job = ran(&split, &[]);
    proves(&job, &["duplicates"]);
    let mut out = Tampering::with(&job);
    out.edit(|manifest| {
        let dropped = manifest["dropped"].as_object_mut().expect("reasons");
        assert!(dropped.contains_key("gap") && dropped.contains_key("missing_group"), "{dropped:?}");
        assert!(dropped.contains_key("missing_time") && dropped.contains_key("duplicate"), "{dropped:?}");
        dropped["gap"] = json!(dropped["gap"].as_u64().expect("rows") + 1);
        dropped["duplicate"] = json!(dropped["duplicate"].as_u64().expect("rows") - 1);
    });
    out.done();
    fails(&job, &["state"]);
    fs::rename(job.path("out.state"), job.path("kept")).expect("moved");
    is_not_provable(&job, "state", "no state");
    let outcome = job.run(&["verify", "out", "--state", "kept", "--json"]);
    assert_eq!((outcome.code, verdict(&outcome)["state"].0.as_str()), (1, "failed"));
    job.fails(&["verify", "out", "--state", "nowhere"], 4, &["no state"]);
    let mut other = Tampering::with(&job);
    other.edit(|manifest| manifest["fingerprint"] = "another".into());
    other.done();
    let outcome = job.run(&["verify", "out", "--state", "kept", "--json"]);
    assert_eq!((outcome.code, verdict(&outcome)["state"].0.as_str()), (0, "not_provable"));
}

#[test]
fn what_a_transform_hides_is_not_provable_and_what_it_renames_is() {
    let by_name = GROUPED.replace("\"customer\"", "\"name\"");
    let with = |transform: &str| ran(&format!("{by_name}\n[[transform]]\ncolumns = \"name\"\n{transform}"), &[]);
    // A code for each name tells groups apart, but says nothing of their hash.
    let job = with("op = \"ordinal_encoder\"");
    proves(&job, &["groups", "split sizes"]);
    is_not_provable(&job, "hash order", "codes");
    is_not_provable(&with("op = \"ordinal_encoder\"\nmax_categories = 5"), "groups", "may share one");
    is_not_provable(&with("op = \"one_hot_encoder\""), "groups", "no column `name`");
    is_not_provable(&with("op = \"simple_imputer\"\nstrategy = \"most_frequent\""), "groups", "simple_imputer");
    let job = ran(&format!("{GROUPED}\n[[transform]]\ncolumns = \"customer\"\nop = \"standard_scaler\""), &[]);
    is_not_provable(&job, "groups", "standard_scaler");
    // The label is mapped, one code a class.
    let job = ran(&GROUPED.replace("\"customer\"", "[\"customer\", \"label\"]"), &[]);
    proves(&job, &["groups", "hash order"]);
    let mut out = Tampering::with(&job);
    out.exchange(("train", &[0]), ("test", &[0]));
    out.done();
    let checks = verdict(&job.run(&["verify", "out", "--json"]));
    assert_eq!(checks["hash order"].0, "failed", "{checks:#?}");
}

#[test]
fn temporal_without_customers_takes_rows_for_them() {
    let split = TEMPORAL.replace("groups = \"customer\"\n", "");
    proves(&ran(&split, &[]), &["time", "groups", "split sizes"]);
    proves(&ran(&split, &["split.key=id"]), &["time", "groups", "split sizes", "hash order"]);
}

#[test]
fn splits_that_the_recipe_does_not_name_are_found() {
    let job = ran(GROUPED, &[]);
    let mut out = Tampering::with(&job);
    out.edit(|manifest| manifest["recipe"]["split"]["sizes"] = json!({ "test": 0.4, "train": 0.6 }));
    out.done();
    fails(&job, &["state", "sums"]);
}
