//! Whatever happens to the process, the disk or the state: the next run ends with the bytes of an undisturbed one.

mod common;

#[path = "crash/damage.rs"]
mod damage;
#[path = "crash/errors.rs"]
mod errors;
#[path = "crash/every.rs"]
mod every;
#[path = "crash/faults.rs"]
mod faults;
#[path = "crash/full.rs"]
mod full;
#[path = "crash/kills.rs"]
mod kills;
#[path = "crash/power.rs"]
mod power;
#[path = "crash/scenario.rs"]
mod scenario;
