//! What the engine tells while it works. It never prints: an [`Observer`] decides what a person sees.

/// One of the readings of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The keys alone, before pass one, where statistics are of some rows only.
    Keys,
    /// Pass one.
    Scan,
    /// Pass two.
    Write,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// A pass begins. What earlier runs had done already is told as [`Event::Advance`] too.
    Begin {
        /// Which pass.
        pass: Pass,
        /// Rows of the whole pass, when they are known beforehand.
        rows: Option<u64>,
        /// Bytes of the whole pass, of the shards on disk.
        bytes: u64,
        /// Shards of the whole pass.
        shards: usize,
    },
    /// So many more rows and bytes were read.
    Advance {
        /// Rows.
        rows: u64,
        /// Bytes on disk.
        bytes: u64,
    },
    /// A shard is done.
    Shard {
        /// Its name.
        name: &'a str,
    },
    /// A pass ended.
    End {
        /// Which pass.
        pass: Pass,
    },
    /// Something a person may want to know.
    Note(&'a str),
    /// Something a person should know.
    Warning(&'a str),
}

/// Gets every event, from any thread.
pub trait Observer: Sync {
    /// Called as it happens; must not block for long.
    fn event(&self, event: Event<'_>);

    /// Whether the engine is to stop: asked many times a second, from any thread. Once it is true, work in flight is
    /// dropped and the run ends with [`Error::Interrupted`](crate::error::Error::Interrupted); what was committed stays.
    fn stop(&self) -> bool {
        false
    }
}

/// Looks away.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}
