//! The program as a user drives it: exit codes, streams, messages, files.

#[path = "cli/support.rs"]
mod support;

#[path = "cli/errors.rs"]
mod errors;
#[path = "cli/face.rs"]
mod face;
#[path = "cli/interrupts.rs"]
mod interrupts;
#[path = "cli/look.rs"]
mod look;
#[path = "cli/rules.rs"]
mod rules;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/verify.rs"]
mod verify;
