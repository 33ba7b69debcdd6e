//! Jobs that change nothing: whether their row groups can go from the shards to the parts as they are.

use super::Job;
use super::pass_one::Surveyed;
use crate::error::Result;
use crate::sink::parquet::Format;
use crate::source::parquet::copy::columns_hash;
use crate::spec::{Layout, MetadataFormat, OutputFormat, SplitKind};
use arrow::datatypes::SchemaRef;

/// Row groups of fewer rows on average are worth encoding anew: readers pay for each.
const LEAST_ROWS: u64 = 8192;

impl Job {
    /// Whether the recipe leaves all rows and columns as they are.
    pub(super) fn changes_nothing(&self) -> bool {
        let recipe = &self.recipe;
        recipe.split.kind == SplitKind::None
            && recipe.label.is_none()
            && recipe.dedupe.is_none()
            && recipe.transform.is_empty()
            && recipe.output.format == OutputFormat::Parquet
            && !recipe.output.narrow
    }

    /// Whether the row groups of all shards can be copied: their columns are those of the output, stored and compressed as
    /// the recipe wants it, and every part ends where a row group does.
    pub(super) fn copies(&self, surveyed: &[Surveyed], schema: &SchemaRef) -> Result<bool> {
        if !self.changes_nothing() {
            return Ok(false);
        }
        let Some(layouts) = surveyed.iter().map(|one| one.layout.as_ref()).collect::<Option<Vec<_>>>() else {
            return Ok(false);
        };
        let output = &self.recipe.output;
        let dictionary = vec![false; schema.fields().len()];
        let format = Format::new(SchemaRef::clone(schema), output.compression(), &dictionary, 1)?;
        let columns = columns_hash(format.descriptor());
        let alike = layouts.iter().all(|layout| {
            layout.groups.is_empty() || (layout.columns == columns && layout.compression == Some(format.codec()))
        });
        let groups = || layouts.iter().flat_map(|layout| layout.groups.iter().copied());
        let rows: u64 = groups().sum();
        let part_rows = if output.layout == Layout::Shards { output.shard_rows } else { u64::MAX };
        let parts = rows.div_ceil(part_rows);
        let mut at = 0;
        let in_parts = groups().all(|rows| {
            let first = at;
            at += rows;
            first / part_rows == (at - 1) / part_rows
        });
        Ok(alike && in_parts && groups().count() as u64 <= parts + rows / LEAST_ROWS)
    }

    /// Whether anything needs to know the columns' values.
    pub(super) fn needs_statistics(&self, copied: bool) -> bool {
        !copied || self.recipe.output.metadata == MetadataFormat::Json
    }
}
