//! Where the files of an output are, and copies of them: as the recipe says, whole, and proved by `verify`.

mod common;

#[path = "files/in_place.rs"]
mod in_place;
#[path = "files/patterns.rs"]
mod patterns;
#[path = "files/support.rs"]
mod support;
