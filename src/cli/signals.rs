//! SIGINT and SIGTERM ask a running job to stop; a second one ends the process at once. Either way nothing is lost that
//! was committed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell reports of a process that a signal ended is this plus the signal's number.
const SIGNALLED: i32 = 128;

/// Whether a signal came, and which.
#[derive(Clone)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    first: Arc<AtomicUsize>,
}

impl Signals {
    /// From now on signals are caught.
    pub fn catch() -> io::Result<Self> {
        let signals = Self { stop: Arc::default(), first: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down, and the second ends the process.
            flag::register_conditional_shutdown(signal, SIGNALLED + signal, Arc::clone(&signals.stop))?;
            flag::register_usize(signal, Arc::clone(&signals.first), signal as usize)?;
            flag::register(signal, Arc::clone(&signals.stop))?;
        }
        Ok(signals)
    }

    /// Whether the job is to stop.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The signal's name, and the exit code that says it.
    pub fn caught(&self) -> (&'static str, u8) {
        let signal = self.first.load(Ordering::Relaxed) as i32;
        if signal == SIGTERM {
            ("SIGTERM", (SIGNALLED + SIGTERM) as u8)
        } else {
            ("SIGINT", (SIGNALLED + SIGINT) as u8)
        }
    }
}

/// The command that goes on, as a shell reads it: the one that was typed, but for a `--resume never`, which would begin
/// from nothing.
pub fn command(typed: impl IntoIterator<Item = String>, never: bool) -> String {
    let mut words = Vec::new();
    let mut typed = typed.into_iter();
    while let Some(word) = typed.next() {
        match word.as_str() {
            "--resume" if never => drop(typed.next()),
            _ if never && word.starts_with("--resume=") => {}
            _ => words.push(quoted(&word)),
        }
    }
    if never {
        words.push("--resume if_possible".into());
    }
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
