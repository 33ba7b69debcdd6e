//! Exact preprocessing of sharded tables for machine learning, in two streaming passes and bounded memory.
//!
//! A [`Recipe`](spec::Recipe) says what is read, how the rows are split, what is done to the columns and what is written.
//! A [`Job`](job::Job) runs it:
//!
//! 1. pass one reads every shard once and leaves summaries of its columns and a ledger of its rows in a state
//!    directory ([`scan`], [`state`], [`store`]);
//! 2. from the state alone the [`Plan`](plan::Plan) is frozen: fitted [`transform`]s, exact [`split`]s, every part of the output;
//! 3. pass two reads the shards again and writes the parts, which are published as one directory ([`write`](mod@write), [`sink`]).
//!
//! The bytes of the parts depend on the shards, the recipe and the version alone. A job that was interrupted goes on
//! when it is run again. The library never prints: an [`Observer`](observe::Observer) is told what happens.
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
//! use parquet::arrow::ArrowWriter;
//! use twopass::{job::Job, observe::Silent, spec::keys};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two shards of ten rows each.
//! let dir = tempfile::tempdir()?;
//! std::fs::create_dir(dir.path().join("data"))?;
//! for shard in 0..2 {
//!     let price: ArrayRef = Arc::new((0..10).map(|row| Some(f64::from(10 * shard + row))).collect::<Float64Array>());
//!     let sold: ArrayRef = Arc::new((0..10).map(|row| Some(if row < 4 { "yes" } else { "no" })).collect::<StringArray>());
//!     let batch = RecordBatch::try_from_iter([("price", price), ("sold", sold)])?;
//!     let file = std::fs::File::create(dir.path().join(format!("data/{shard}.parquet")))?;
//!     let mut writer = ArrowWriter::try_new(file, batch.schema(), None)?;
//!     writer.write(&batch)?;
//!     writer.close()?;
//! }
//!
//! let recipe = r#"
//!     [label]
//!     column = "sold"
//!     [split]
//!     kind = "stratified"
//!     sizes = { train = 0.75, test = 0.25 }
//!     [[transform]]
//!     columns = "price"
//!     op = "standard_scaler"
//! "#;
//! let mut tree = keys::parse(recipe, "the recipe")?;
//! keys::put(&mut tree, "input.path", dir.path().join("data").to_string_lossy().into())?;
//! keys::put(&mut tree, "output.path", dir.path().join("out").to_string_lossy().into())?;
//!
//! let report = Job::new(keys::read(&tree)?)?.run(&Silent)?;
//! assert_eq!(report.rows, 20);
//! let train = &report.splits[0];
//! assert_eq!((train.name.as_str(), train.rows), ("train", 15));
//! // Three quarters of 12 and of 8.
//! assert_eq!(train.strata, [("no".to_string(), 9), ("yes".to_string(), 6)]);
//! assert!(dir.path().join("out/train/part-00000.parquet").exists());
//! # Ok(())
//! # }
//! ```

// The engine never prints: what happens goes to an observer, what fails is returned.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod allot;
pub mod basis;
pub mod derive;
pub mod disk;
pub mod engine;
pub mod error;
pub mod facts;
pub mod hash;
pub mod inspect;
pub mod instant;
pub mod job;
pub mod memory;
pub mod observe;
pub mod panics;
pub mod plan;
pub mod preview;
pub mod remaining;
pub mod roles;
pub mod sagemaker;
pub mod scan;
pub mod schema;
pub mod sink;
pub mod source;
pub mod spec;
pub mod split;
pub mod starter;
pub mod state;
pub mod store;
pub mod strata;
pub mod transform;
pub mod verify;
pub mod windows;
pub mod write;
