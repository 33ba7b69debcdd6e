//! Derived columns of chunks in memory.
