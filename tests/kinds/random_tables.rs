//! Whole jobs on random tables, random cuts and random recipes: every row where the oracle has it, every dropped row under
//! the oracle's reason, and `verify` content.

use std::collections::BTreeMap;

use arrow::datatypes::TimeUnit;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::common::split_oracle::cuts::{Shares, totals};
use super::common::split_oracle::recipe::{Kind as SplitKind, Settings};
use super::common::split_oracle::{Data, Quotas, settings};
use super::common::table::{Cell, Kind, Table, write_csv, write_shard};
use super::common::{Place, calendar, try_run};
use super::{balanced, judge};

/// A random job.
#[derive(Debug, Clone)]
pub struct Case {
    pub table: Table,
    /// Where one shard ends and the next begins; equal cuts make shards without rows.
    cuts: Vec<usize>,
    row_groups: Vec<usize>,
    /// By shard, again and again.
    csv: Vec<bool>,
    /// `label`, `split` and `dedupe`.
    pub recipe: Value,
}

/// How the values of a key are spread over its rows.
#[derive(Debug, Clone, Copy)]
enum Spread {
    Few,
    Many,
    Skewed,
    HalfInOne,
    AllTheSame,
}

impl Spread {
    fn value(self, random: u32) -> u32 {
        match self {
            Self::Few => random % 6,
            Self::Many => random % 400,
            Self::Skewed => ((f64::from(random % 1000) / 1000.0).powi(4) * 60.0) as u32,
            Self::HalfInOne if random.is_multiple_of(2) => 0,
            Self::HalfInOne => random / 2 % 40,
            Self::AllTheSame => 7,
        }
    }
}

/// What the time column holds.
#[derive(Debug, Clone, Copy)]
enum Clock {
    Date,
    Micros,
    Seconds,
    Nanos,
    Utc,
    Zoned,
    Int,
    Iso,
}

impl Clock {
    fn kind(self) -> Kind {
        match self {
            Self::Date => Kind::Date,
            Self::Micros => Kind::Time(TimeUnit::Microsecond, None),
            Self::Seconds => Kind::Time(TimeUnit::Second, None),
            Self::Nanos => Kind::Time(TimeUnit::Nanosecond, None),
            Self::Utc => Kind::Time(TimeUnit::Millisecond, Some("UTC")),
            Self::Zoned => Kind::Time(TimeUnit::Microsecond, Some("+02:00")),
            Self::Int => Kind::Int,
            Self::Iso => Kind::Text,
        }
    }

    /// Time number `at`, of about sixty around the beginning of 1970.
    fn cell(self, at: u32) -> Cell {
        let micros = (i64::from(at % 60) - 20) * calendar::DAY / 4;
        match self {
            Self::Date => Cell::Date(i32::try_from(micros.div_euclid(calendar::DAY)).unwrap()),
            Self::Seconds => Cell::Time(micros),
            Self::Utc => Cell::Time(micros + 1000 * i64::from(at % 2)),
            Self::Micros | Self::Nanos | Self::Zoned => Cell::Time(micros + i64::from(at % 3)),
            Self::Int => Cell::Int(i64::from(at % 60) - 20),
            // The same time in several forms.
            Self::Iso if at.is_multiple_of(3) => Cell::Text(calendar::time(micros) + "Z"),
            Self::Iso if at % 3 == 1 => Cell::Text(calendar::time(micros + 2 * calendar::DAY / 24) + "+02:00"),
            Self::Iso if micros % calendar::DAY == 0 => Cell::Text(calendar::date(micros / calendar::DAY)),
            Self::Iso => Cell::Text(calendar::time(micros).replace('T', " ")),
        }
    }

    fn cutoff(self, at: u32) -> Value {
        let micros = (i64::from(at % 60) - 20) * calendar::DAY / 4;
        match self {
            Self::Int => json!(i64::from(at % 60) - 20),
            Self::Date => json!(calendar::date(micros.div_euclid(calendar::DAY))),
            Self::Utc => json!(calendar::time(micros) + "Z"),
            Self::Zoned | Self::Iso if at.is_multiple_of(2) => {
                json!(calendar::time(micros - calendar::DAY / 24) + "-01:00")
            }
            _ => json!(calendar::time(micros)),
        }
    }

    fn gap(self, at: u32) -> Value {
        match (self, at % 5) {
            (_, 0) => Value::Null,
            (Self::Int, at) => json!(at * 3),
            (_, at) => json!(["6h", "90m", "2d", "1w"][at as usize - 1]),
        }
    }

    /// Whether CSV shards have the same type as Parquet shards.
    fn is_plain(self) -> bool {
        matches!(self, Self::Date | Self::Micros | Self::Int | Self::Iso)
    }
}

#[derive(Debug, Clone, Copy)]
struct Profile {
    spreads: [Spread; 3],
    clock: Clock,
    /// One of so many values is missing.
    missing: u32,
    one_label: bool,
    order: usize,
}

const UNICODE: [&str; 8] = ["Å", "e\u{301}", "é", "夜", "😀", "naïve, \"q\"", "x y", "\u{FFFD}z"];
const ORDERS: [Kind; 6] = [Kind::Int, Kind::Float, Kind::Text, Kind::Bool, Kind::Date, Kind::Float];

type Random = [u32; 12];

impl Profile {
    fn row(&self, number: usize, random: &Random) -> Vec<Cell> {
        let or_missing = |at: usize, cell: Cell| {
            if random[at].wrapping_mul(2_654_435_761) >> 12 & 0xFFFF < 0x10000 / self.missing {
                Cell::Missing
            } else {
                cell
            }
        };
        let spread = |at: usize| self.spreads[at].value(random[at]);
        let float = [0.0, -0.0, 1.5, -2.25, f64::NAN, 7.0, 0.5];
        let label = if self.one_label { 0 } else { [0, 0, 0, 0, 1, 1, 2][random[3] as usize % 7] };
        let text = format!("{} {}", UNICODE[spread(0) as usize % 8], spread(0));
        let order = match ORDERS[self.order] {
            Kind::Int => Cell::Int(i64::from(random[7] % 9) - 4),
            Kind::Float => Cell::Float(float[random[7] as usize % 7]),
            Kind::Text => Cell::text(UNICODE[random[7] as usize % 8]),
            Kind::Bool => Cell::Bool(random[7].is_multiple_of(2)),
            _ => Cell::Date(random[7] as i32 % 11 - 5),
        };
        vec![
            Cell::Int(number as i64),
            or_missing(0, Cell::Text(text)),
            or_missing(1, Cell::Int(i64::from(spread(1)) - 3)),
            or_missing(2, Cell::Float(float[spread(2) as usize % 7] + f64::from(spread(2) / 7))),
            or_missing(3, Cell::text(["no", "夜", "yes"][label])),
            or_missing(4, self.clock.cell(random[4])),
            or_missing(5, Cell::Int(i64::from(random[5] % 50))),
            or_missing(6, Cell::Text(format!("{}{}", UNICODE[random[6] as usize % 8], random[6] % 4))),
            or_missing(7, order),
            or_missing(8, Cell::Int(i64::from(random[8] % 3))),
            or_missing(9, Cell::Bool(random[9].is_multiple_of(2))),
            or_missing(10, Cell::Float(f64::from(random[10] % 40) / 4.0)),
        ]
    }

    fn columns(&self) -> Vec<(String, Kind)> {
        let columns = [
            ("row", Kind::Int),
            ("g_text", Kind::Text),
            ("g_int", Kind::Int),
            ("g_float", Kind::Float),
            ("label", Kind::Text),
            ("time", self.clock.kind()),
            ("id", Kind::Int),
            ("name", Kind::Text),
            ("order", ORDERS[self.order]),
            ("order_2", Kind::Int),
            ("flag", Kind::Bool),
            ("amount", Kind::Float),
        ];
        columns.map(|(name, kind)| (name.to_string(), kind)).to_vec()
    }
}

fn profile() -> impl Strategy<Value = Profile> {
    use Clock::*;
    let spread =
        || prop::sample::select(vec![Spread::Few, Spread::Many, Spread::Skewed, Spread::HalfInOne, Spread::AllTheSame]);
    let clock = prop::sample::select(vec![Date, Micros, Seconds, Nanos, Utc, Zoned, Int, Iso]);
    let missing = prop::sample::select(vec![3, 12, 12, 1000]);
    ([spread(), spread(), spread()], clock, missing, prop::bool::weighted(0.15), 0..ORDERS.len())
        .prop_map(|(spreads, clock, missing, one_label, order)| Profile { spreads, clock, missing, one_label, order })
}

fn rows() -> impl Strategy<Value = Vec<Random>> {
    let row = || prop::array::uniform12(0u32..10_000);
    prop_oneof![
        1 => prop::collection::vec(row(), 0..3),
        2 => prop::collection::vec(row(), 3..20),
        5 => prop::collection::vec(row(), 20..150),
    ]
}

/// Sizes that sum to 1 or, for a rest, to less; in thousandths, written as decimals.
fn sizes(weights: &[u32], rest: bool) -> Value {
    let sum: u32 = weights.iter().sum();
    let mut shares: Vec<u32> = weights.iter().map(|weight| (weight * 1000 / sum).max(1)).collect();
    let others: u32 = shares[1..].iter().sum();
    shares[0] = 1000 - others;
    let mut sizes = Map::new();
    let kept = if rest && shares.len() > 1 { shares.len() - 1 } else { shares.len() };
    for (at, share) in shares[..kept].iter().enumerate() {
        sizes.insert(name(at), json!(f64::from(*share) / 1000.0));
    }
    Value::Object(sizes)
}

fn name(at: usize) -> String {
    ["train", "test", "val", "d", "e", "f", "g"][at].to_string()
}

/// What a recipe is made of, drawn before the table is known.
#[derive(Debug, Clone)]
struct Draw {
    kind: &'static str,
    weights: Vec<u32>,
    rest: bool,
    counted: bool,
    groups: Vec<&'static str>,
    own: bool,
    group_sizes: Option<&'static str>,
    stratify: Vec<&'static str>,
    key: Vec<&'static str>,
    label: bool,
    dedupe: Option<(Vec<&'static str>, Vec<&'static str>, Option<&'static str>)>,
    times: [u32; 3],
    folds: u64,
    fold_column: bool,
    random_state: u64,
}

fn draw(kinds: &'static [&'static str]) -> impl Strategy<Value = Draw> {
    let groups = prop::sample::subsequence(vec!["g_text", "g_int", "g_float", "flag"], 1..=3).prop_shuffle();
    let groups = prop_oneof![2 => Just(vec!["g_text"]), 1 => Just(vec!["g_int"]), 1 => groups];
    let group_sizes = prop::sample::select(vec![None, Some("rows"), Some("groups")]);
    let stratify = prop::sample::subsequence(vec!["label", "flag", "order_2"], 0..=2);
    let key = prop::sample::select(vec![vec![], vec!["row"], vec!["row"], vec!["id"], vec!["name", "id", "row"]]);
    let order =
        prop::sample::select(vec![vec![], vec!["order"], vec!["order", "order_2"], vec!["time"], vec!["amount"]]);
    let dedupe_key =
        prop::sample::select(vec![vec!["id"], vec!["name"], vec!["id", "flag"], vec!["amount"], vec!["g_text"]]);
    let keep = prop::sample::select(vec![None, Some("first"), Some("last")]);
    let dedupe = prop::option::weighted(0.4, (dedupe_key, order, keep));
    let weights = prop::collection::vec(1u32..20, 1..=6);
    let sized = (weights, prop::bool::weighted(0.3), prop::bool::weighted(0.3), 2u64..8, prop::bool::weighted(0.3));
    let times = prop::array::uniform3(0u32..1000);
    let grouped = (groups, any::<bool>(), group_sizes, stratify);
    let others = (key, any::<bool>(), dedupe, times, 0u64..100);
    (prop::sample::select(kinds), sized, grouped, others).prop_map(
        |(
            kind,
            (weights, rest, counted, folds, fold_column),
            (groups, own, group_sizes, stratify),
            (key, label, dedupe, times, random_state),
        )| Draw {
            kind,
            weights,
            rest,
            counted,
            groups,
            own,
            group_sizes,
            stratify,
            key,
            label,
            dedupe,
            times,
            folds,
            fold_column,
            random_state,
        },
    )
}

impl Draw {
    fn recipe(&self, clock: Clock) -> Value {
        let mut split = json!({ "kind": self.kind, "random_state": self.random_state });
        let mut set = |key: &str, value: Value| {
            if !value.is_null() {
                split[key] = value;
            }
        };
        let folded = self.kind == "kfold";
        // Of folds, a bit each: by what they are.
        let grouped = match self.kind {
            "grouped" | "stratified_grouped" => true,
            "temporal" => !self.times[2].is_multiple_of(4),
            _ => folded && self.times[0].is_multiple_of(2),
        };
        let stratified =
            matches!(self.kind, "stratified" | "stratified_grouped") || folded && self.times[1].is_multiple_of(2);
        if folded {
            set("folds", json!(self.folds));
            set("fold_column", if self.fold_column { json!("fold") } else { Value::Null });
        } else if self.kind != "none" {
            set("sizes", sizes(&self.weights, self.rest));
            set("rest", if self.rest { json!("drop") } else { Value::Null });
        }
        if grouped {
            set("groups", if self.groups.len() == 1 { json!(self.groups[0]) } else { json!(self.groups) });
            set("missing_groups", if self.own { json!("own") } else { Value::Null });
        }
        if grouped && !stratified {
            set("group_sizes", json!(self.group_sizes));
        }
        let label = self.label || stratified && self.stratify.is_empty();
        if stratified && (folded || !self.stratify.is_empty()) {
            set("stratify", if self.stratify.is_empty() { json!("label") } else { json!(self.stratify) });
        }
        if !self.key.is_empty() {
            set("key", json!(self.key));
        }
        if self.kind.starts_with("temporal") {
            set("time", json!("time"));
        }
        if self.kind == "temporal" {
            set("cutoff", clock.cutoff(self.times[0]));
            set("gap", clock.gap(self.times[1]));
            let splits = split["sizes"].as_object().unwrap().len();
            let excluded = [vec![], vec![name(0)], vec![name(splits - 1)], (0..splits).map(name).collect()];
            if grouped && !self.times[2].is_multiple_of(5) {
                split["oot_exclude"] = json!(excluded[self.times[2] as usize % 5 - 1]);
            }
        }
        let mut recipe = json!({ "split": split });
        if label {
            recipe["label"] = json!({ "column": "label" });
        }
        if let Some((key, order_by, keep)) = &self.dedupe {
            recipe["dedupe"] = json!({ "key": key });
            if !order_by.is_empty() {
                recipe["dedupe"]["order_by"] = json!(order_by);
            }
            if let Some(keep) = keep {
                recipe["dedupe"]["keep"] = json!(keep);
            }
        }
        recipe
    }
}

pub fn case(kinds: &'static [&'static str]) -> impl Strategy<Value = Case> {
    let cuts = prop::collection::vec(any::<Index>(), 0..5);
    let row_groups = prop::collection::vec(0usize..30, 0..4);
    let csv = prop::collection::vec(any::<bool>(), 1..3);
    (rows(), profile(), draw(kinds), cuts, row_groups, csv).prop_map(|(rows, profile, draw, cuts, row_groups, csv)| {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
        cuts.sort_unstable();
        let cells = rows.iter().enumerate().map(|(number, random)| profile.row(number, random)).collect();
        let table = Table { columns: profile.columns(), rows: cells };
        let csv = if profile.clock.is_plain() { csv } else { vec![false] };
        let mut case = Case { table, cuts, row_groups, csv, recipe: draw.recipe(profile.clock) };
        if draw.counted && case.recipe["split"]["sizes"].is_object() {
            case.count_sizes();
        }
        case
    })
}

impl Case {
    fn shard_name(&self, shard: usize) -> String {
        let csv = self.csv[shard % self.csv.len()];
        format!("part-{shard}.{}", if csv { "csv" } else { "parquet" })
    }

    /// Every row's shard and its row there.
    pub fn places(&self) -> Vec<(String, u64)> {
        let place = |row: usize| {
            let shard = self.cuts.iter().filter(|cut| **cut <= row).count();
            let first = if shard == 0 { 0 } else { self.cuts[shard - 1] };
            (self.shard_name(shard), (row - first) as u64)
        };
        (0..self.table.rows.len()).map(place).collect()
    }

    /// Shares become rows, or groups, of those that there are.
    fn count_sizes(&mut self) {
        let places = self.places();
        let data = Data { table: &self.table, places: &places };
        let settings = settings(&self.recipe);
        let all = data.countable(&settings);
        let Ok(shares) = settings.shares(all) else { return };
        let counts = totals(all, &shares);
        let sizes = self.recipe["split"]["sizes"].as_object().unwrap().clone();
        // A size of nothing is no size, and a single 1 is a share.
        let counted = &counts[..sizes.len()];
        if counted.iter().all(|count| *count > 0) && counted != [1] {
            let counts = sizes.keys().zip(counted).map(|(name, count)| (name.clone(), json!(count)));
            self.recipe["split"]["sizes"] = Value::Object(counts.collect());
        }
    }

    pub fn write(&self, place: &Place) {
        let batch = self.table.batch();
        let starts = [0].into_iter().chain(self.cuts.iter().copied());
        let ends = self.cuts.iter().copied().chain([batch.num_rows()]);
        for (at, (start, end)) in starts.zip(ends).enumerate() {
            let name = self.shard_name(at);
            let path = place.path(&format!("in/{name}"));
            if name.ends_with(".csv") {
                let rows = self.table.rows[start..end].to_vec();
                write_csv(&path, &Table { columns: self.table.columns.clone(), rows });
            } else {
                write_shard(&path, &batch.slice(start, end - start), &self.row_groups);
            }
        }
    }

    pub fn whole_recipe(&self, place: &Place) -> Value {
        let mut recipe = self.recipe.clone();
        recipe["input"] = json!({ "path": place.text("in") });
        if self.csv.contains(&true) {
            // Values of a few rows alone do not tell their types.
            let schema = self.table.columns.iter().map(|(name, kind)| (name.clone(), json!(type_name(*kind))));
            recipe["input"]["schema"] = Value::Object(schema.collect());
        }
        recipe["output"] = json!({ "path": place.text("out"), "shard_rows": 20 });
        recipe["run"] = json!({ "threads": 2 });
        recipe
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int => "int64",
        Kind::Float => "float64",
        Kind::Text => "string",
        Kind::Date => "date",
        Kind::Time(..) => "timestamp",
    }
}

/// The quotas that the output has, held against the laws of the rounding.
pub fn quotas(data: &Data, output: &[Option<usize>], settings: &Settings, counts: &BTreeMap<String, u64>) -> Quotas {
    let all = counts.values().sum();
    let shares: Shares = settings.shares(all).unwrap();
    let whole = u128::from(shares.whole.max(1));
    let exact = |at: usize, rows: u64| u128::from(shares.parts[at]) * u128::from(rows);
    let mut quotas: Quotas = counts.keys().map(|name| (name.clone(), vec![0; settings.sizes.len()])).collect();
    for (row, split) in output.iter().enumerate() {
        if let Some(split) = split {
            quotas.get_mut(&data.stratum(row, &settings.stratify)).expect("a stratum")[*split] += 1;
        }
    }
    for (stratum, quota) in &mut quotas {
        let rows = counts[stratum];
        if settings.rest_dropped {
            quota.push(rows - quota.iter().sum::<u64>());
        }
        assert_eq!(quota.iter().sum::<u64>(), rows, "stratum {stratum}");
        for (at, got) in quota.iter().enumerate() {
            let (got, exact) = (u128::from(*got), exact(at, rows));
            assert!(
                got == exact / whole || got == exact.div_ceil(whole),
                "stratum {stratum}: {got} of {exact}/{whole}"
            );
        }
    }
    for at in 0..shares.parts.len() {
        let total: u64 = quotas.values().map(|quota| quota[at]).sum();
        let (total, exact) = (u128::from(total), exact(at, all));
        assert!(total == exact / whole || total == exact.div_ceil(whole), "split {at}: {total} of {exact}/{whole}");
    }
    quotas
}

pub fn check(case: &Case) {
    let place = Place::in_memory();
    case.write(&place);
    let recipe = case.whole_recipe(&place);
    let settings = settings(&recipe);
    let places = case.places();
    let data = Data { table: &case.table, places: &places };
    match try_run(&recipe) {
        Ok(report) => {
            let out = place.path("out");
            let output = judge::Output::read(&out, &settings, places.len());
            if settings.kind == SplitKind::StratifiedGrouped {
                let shares = settings
                    .shares(data.countable(&settings))
                    .unwrap_or_else(|why| panic!("not refused, though {why}"));
                balanced::judge(&data, &settings, &output, &shares, report.worst.as_ref());
                return;
            }
            let answer = data.decide(&settings, |counts| quotas(&data, &output.splits, &settings, counts));
            let answer = answer.unwrap_or_else(|why| panic!("not refused, though {why}"));
            output.assert_is(&answer);
        }
        Err(error) => {
            let any = |counts: &BTreeMap<String, u64>| {
                counts.iter().map(|(name, rows)| (name.clone(), vec![*rows])).collect()
            };
            let chain = super::common::chain(&error);
            assert!(data.decide(&settings, any).is_err(), "refused: {chain}");
            assert!(matches!(error.exit_code(), 2 | 3), "{chain}");
        }
    }
}

macro_rules! laws {
    ($($law:ident: $cases:literal of $kinds:expr;)*) => {
        $(proptest! {
            #![proptest_config(ProptestConfig { cases: $cases, max_shrink_iters: 300, ..ProptestConfig::default() })]

            #[test]
            fn $law(case in case($kinds)) {
                check(&case);
            }
        })*
    };
}

laws! {
    a_grouped_split_is_the_oracles: 400 of &["grouped"];
    a_temporal_split_is_the_oracles: 500 of &["temporal"];
    a_split_by_quantiles_of_time_is_the_oracles: 250 of &["temporal_quantile"];
    folds_are_the_oracles: 400 of &["kfold"];
    rows_that_are_dropped_before_the_split_are_the_oracles: 250 of &["none", "random", "stratified"];
}
