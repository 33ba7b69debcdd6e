//! An interrupted job goes on where it was, uses what it has, and ends with the bytes of an undisturbed one.

mod common;

#[path = "resume/input.rs"]
mod input;
#[path = "resume/passes.rs"]
mod passes;
#[path = "resume/state.rs"]
mod state;
#[path = "resume/support.rs"]
mod support;
