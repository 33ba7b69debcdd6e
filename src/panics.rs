//! Panics of libraries that read what others wrote: caught, and made errors. They are no bugs of the program, so whoever
//! prints panics can ask whether one is being caught. A mark of the thread says so; nothing of the process is changed.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Calls of [`caught`] that this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether a panic on this thread is caught and becomes an error: then a panic hook need not say it.
pub fn are_caught() -> bool {
    DEPTH.get() > 0
}

/// Gives the thread's mark back, however the call ends.
struct Marked;

impl Drop for Marked {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// What `attempt` returns, or the text of the panic that ended it. What it borrows must not be used after a panic.
///
/// # Errors
/// The panic's text.
pub(crate) fn caught<T>(attempt: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.set(DEPTH.get() + 1);
    let marked = Marked;
    let outcome = catch_unwind(AssertUnwindSafe(attempt));
    drop(marked);
    outcome.map_err(|panic| text(&*panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "panic".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_marked_within_a_call_alone() {
        let within = caught(|| (are_caught(), caught(|| 1).is_ok(), are_caught()));
        assert_eq!(within, Ok((true, true, true)));
        assert!(!are_caught());
        assert_eq!(caught(|| -> () { std::panic::resume_unwind(Box::new("said")) }), Err("said".to_string()));
        assert!(!are_caught());
    }
}
