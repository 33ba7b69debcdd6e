//! Keys of the recipe that say which shards there are, which columns they have in all, and what a label is.

#[path = "inputs/at_once.rs"]
mod at_once;
#[path = "inputs/columns.rs"]
mod columns;
mod common;
#[path = "inputs/labels.rs"]
mod labels;
#[path = "inputs/roots.rs"]
mod roots;
#[path = "inputs/signature.rs"]
mod signature;
#[path = "inputs/support.rs"]
mod support;
