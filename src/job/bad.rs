//! `input.bad_rows` and `input.bad_shards`: what could not be read is left out, listed, and an error all the same where it is too
//! much.

use serde_json::json;

use super::Job;
use super::pass_one::Scanned;
use crate::error::{Error, Result, Site};
use crate::scan::ShardSummary;
use crate::sink::Staging;
use crate::spec::OnBad;
use crate::spec::files::SKIPPED;
use crate::store::StateStore;

/// Name of a shard that cannot be read, and why.
pub(super) type BadShard = (String, String);

impl Job {
    /// Whether a shard that cannot be read like this is left out.
    pub(super) fn leaves_out(&self, error: &Error) -> bool {
        matches!(error, Error::Data { .. }) && self.leaves_closed(error)
    }

    /// Whether a shard that cannot be opened like this is left out: not where the machine lacks what another has.
    pub(crate) fn leaves_closed(&self, error: &Error) -> bool {
        self.recipe.input.bad_shards == OnBad::Skip
            && matches!(error, Error::Data { .. } | Error::Io { .. })
            && !error.is_for_lack_of_memory()
    }

    /// Refuses to go on without too many shards: `bad` are those that cannot be read, with the reasons, of `all`.
    pub(super) fn refuse_bad_shards(&self, bad: &[BadShard], all: usize) -> Result<()> {
        let most = self.recipe.input.max_bad_shards;
        let Some((name, why)) = bad.iter().min().filter(|_| bad.len() as f64 > most * all as f64) else {
            return Ok(());
        };
        let message = format!(
            "{} of {all} shards cannot be read, more than input.max_bad_shards = {most} allows; the first: {why}",
            bad.len()
        );
        Err(Error::data(Site::shard(name), message))
    }

    /// Refuses to go on without too many rows.
    pub(super) fn refuse_bad_rows(&self, scanned: &Scanned) -> Result<()> {
        let most = self.recipe.input.max_bad_rows;
        let skipped = &scanned.merged.skipped;
        let bad: u64 = skipped.values().map(|(rows, _)| rows).sum();
        let all = scanned.merged.rows + bad;
        let Some((at, (_, first))) = skipped.iter().next().filter(|_| bad as f64 > most * all as f64) else {
            return Ok(());
        };
        let message = format!(
            "{bad} of {all} rows cannot be read, more than input.max_bad_rows = {most} allows; the first, on line {}: {}",
            first.line, first.message
        );
        let site = Site::shard(&scanned.surveyed[*at].shard.name);
        let site = Site { row: Some(first.record), column: first.column.clone(), ..site };
        Err(Error::data(site, message))
    }

    /// Lists what was left out beside the output, if anything was: shard by shard, in their order.
    pub(super) fn write_skipped(&self, store: &StateStore, scanned: &Scanned, staging: &Staging) -> Result<()> {
        if scanned.bad_shards.is_empty() && scanned.merged.skipped.is_empty() {
            return Ok(());
        }
        let mut file = staging.append(SKIPPED)?;
        for (shard, message) in &scanned.bad_shards {
            file.append(format!("{}\n", json!({ "shard": shard, "message": message })).as_bytes())?;
        }
        for at in scanned.merged.skipped.keys() {
            let shard = &scanned.surveyed[*at].shard.name;
            let summary = ShardSummary::read(store, &scanned.records[*at])?;
            let lines = summary.skipped.into_iter().map(|row| {
                let line = json!({
                    "shard": shard, "row": row.record, "line": row.line, "column": row.column, "message": row.message
                });
                format!("{line}\n")
            });
            file.append(lines.collect::<String>().as_bytes())?;
            if summary.untold > 0 {
                let message = format!("and {} more records", summary.untold);
                file.append(format!("{}\n", json!({ "shard": shard, "message": message })).as_bytes())?;
            }
        }
        file.finish()?.publish().map(drop)
    }
}
