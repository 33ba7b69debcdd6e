//! Every decoder of persisted bytes and every reader of text, under damage of every kind: an error or a value that can be
//! used, never a panic, never memory that the bytes do not account for.
//!
//! Each target changes records that a job really wrote (`tests/fuzz/corpus`) and hands them to the decoder, as they are
//! (then the checksum is what finds them) and under a checksum made new (then what comes after it is on its own). A plain
//! test with a mutation loop of its own, because cargo-fuzz needs a nightly compiler, and bolero's engine for the stable
//! one runs kept inputs without changing them: fresh random bytes never get past a magic and a checksum. The loop is
//! seeded: iteration n of a target is the same on every machine, and a failure names it.
//!
//! A target runs for `TWOPASS_FUZZ_SECONDS` (a second when unset); `TWOPASS_FUZZ_FIRST` is the iteration to begin with, so that
//! a failure is repeated alone, and a longer run goes where no shorter one was.

mod common;

#[path = "fuzz/columns.rs"]
mod columns;
#[path = "fuzz/corpus.rs"]
mod corpus;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/outputs.rs"]
mod outputs;
#[path = "fuzz/records.rs"]
mod records;
#[path = "fuzz/shards.rs"]
mod shards;
#[path = "fuzz/states.rs"]
mod states;
#[path = "fuzz/texts.rs"]
mod texts;
