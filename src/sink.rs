//! Where the rows go: parts are encoded, written under a staging directory, sealed, and published whole. Nothing above
//! this layer opens an output file; nothing here decides which row goes where.

pub mod manifest;
pub mod metadata;
pub mod parquet;
pub mod parts;
pub mod space;
pub mod staging;
pub mod text;

pub use parts::{Piece, SealedPart};
pub use staging::Staging;
