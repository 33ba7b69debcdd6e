//! A job run from a program: a recipe in TOML, an observer of one's own, the splits of the report.
//!
//! ```sh
//! cargo run --example library -- [INPUT [OUTPUT]]
//! ```
//!
//! Without arguments it reads the flights of this repository and writes `target/example-library`.

use std::sync::atomic::{AtomicU64, Ordering};

use twopass::job::Job;
use twopass::observe::{Event, Observer};
use twopass::spec::keys;

/// A recipe for the flights; other data needs other columns.
const RECIPE: &str = r#"
[label]
column = "arrived_late"

[split]
kind = "stratified"
sizes = { train = 0.8, test = 0.2 }
key = "flight_id"

[[transform]]
columns = ["dep_delay", "air_time", "distance"]
op = "standard_scaler"

[[transform]]
columns = "carrier"
op = "ordinal_encoder"

[output]
format = "csv"
compression = "gzip"
"#;

/// Counts what is read. Events come from any thread.
#[derive(Default)]
struct Counting {
    rows: AtomicU64,
    shards: AtomicU64,
}

impl Observer for Counting {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Begin { pass, shards, .. } => println!("{pass:?}: {shards} shards"),
            Event::Advance { rows, .. } => drop(self.rows.fetch_add(rows, Ordering::Relaxed)),
            Event::Shard { .. } => drop(self.shards.fetch_add(1, Ordering::Relaxed)),
            Event::Note(note) | Event::Warning(note) => println!("note: {note}"),
            Event::End { .. } => {}
        }
    }
}

fn main() -> twopass::error::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let input = arguments.next().unwrap_or_else(|| "examples/flights/data".into());
    let output = arguments.next().unwrap_or_else(|| "target/example-library".into());

    let mut tree = keys::parse(RECIPE, "the recipe")?;
    keys::put(&mut tree, "input.path", input.into())?;
    keys::put(&mut tree, "output.path", output.into())?;
    let job = Job::new(keys::read(&tree)?)?.overwriting(true);

    let observer = Counting::default();
    let report = job.run(&observer)?;

    let (rows, shards) = (observer.rows.into_inner(), observer.shards.into_inner());
    println!(
        "{} rows of input; both passes together went through {rows} rows and finished {shards} shards",
        report.rows
    );
    for (reason, rows) in &report.dropped {
        println!("dropped: {rows} rows ({reason})");
    }
    for split in &report.splits {
        println!("{}: {} rows in {} parts", split.name, split.rows, split.parts);
        for (class, rows) in &split.strata {
            println!("    {class}: {rows}");
        }
    }
    Ok(())
}
