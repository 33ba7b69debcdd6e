//! Pass one alone: exact statistics of every column over all shards, read from the state.
//!
//! ```sh
//! cargo run --example statistics -- [INPUT [STATE]]
//! ```
//!
//! Without arguments it scans the flights of this repository and keeps the state in `target/example-statistics.state`.
//! Run again, it finds the shards in the state and reads none.

use std::path::Path;

use twopass::disk::Disk;
use twopass::error::Result;
use twopass::job::Job;
use twopass::observe::Silent;
use twopass::scan::{ColumnSummary, ShardSummary};
use twopass::spec::{OneOrMany, Recipe};
use twopass::state::Values;
use twopass::store::StateStore;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let input = arguments.next().unwrap_or_else(|| "examples/flights/data".into());
    let state = arguments.next().unwrap_or_else(|| "target/example-statistics.state".into());

    let mut recipe = Recipe::default();
    recipe.input.path = OneOrMany::One(input);
    recipe.run.state = Some(state.clone());
    let report = Job::new(recipe)?.scan(&Silent)?;
    println!("{} rows in {} shards, {} of them from the state\n", report.rows, report.shards, report.reused_shards);

    let (names, columns) = merged(Path::new(&state))?;
    println!(
        "{:<20} {:>9} {:>9} {:>12} {:>12} {:>12} {:>12}",
        "column", "nulls", "distinct", "min", "max", "mean", "std"
    );
    for (name, column) in names.iter().zip(&columns) {
        let (distinct, estimated) = column.state.distinct();
        let distinct = format!("{}{distinct}", if estimated { "~" } else { "" });
        print!("{name:<20} {:>9} {distinct:>9}", column.state.nulls);
        if let Values::Number(number) = &column.state.values {
            let moments = &number.moments;
            for value in [moments.min(), moments.max(), moments.mean(), moments.std(1)] {
                print!(" {:>12}", value.map_or_else(String::new, |value| format!("{value:.3}")));
            }
        }
        println!();
    }
    Ok(())
}

/// The names of the columns and their summaries over all shards. Merging is exact, so the order does not matter.
fn merged(state: &Path) -> Result<(Vec<String>, Vec<ColumnSummary>)> {
    let (store, _) = StateStore::open_existing(&Disk::default(), state)?;
    let mut names = Vec::new();
    let mut columns: Vec<ColumnSummary> = Vec::new();
    for record in store.shard_records() {
        let summary: ShardSummary = store.read_summary(&record)?;
        let of_shard = summary.decode_columns()?;
        if columns.is_empty() {
            names = summary.read_as.into_iter().map(|(name, _)| name).collect();
            columns = of_shard;
            continue;
        }
        for (column, later) in columns.iter_mut().zip(of_shard) {
            column.merge(later)?;
        }
    }
    Ok((names, columns))
}
