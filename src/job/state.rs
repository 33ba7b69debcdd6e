//! Which state a job goes on from: the one it left, a new one, or none that is its own.

use xxhash_rust::xxh3::xxh3_128;

use super::Job;
use super::pass_one::Surveyed;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::observe::Event;
use crate::scan::Collect;
use crate::spec::{FitRows, Resume, SplitKind, Transform};
use crate::store::{Identity, Opened, ShardStamp, StateStore};

/// Version of what a job puts into summaries and plans.
const STATE_FORMAT: u32 = 4;

impl Job {
    pub(super) fn open_state(&self, engine: &Engine<'_>, surveyed: &[Surveyed]) -> Result<StateStore> {
        let path = self.state_path();
        let resume = self.recipe.run.resume;
        if resume == Resume::Never {
            StateStore::discard(&engine.disk, &path)?;
        }
        let identity = Identity {
            format: STATE_FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            scan_fingerprint: self.scan_fingerprint()?,
            input: self.recipe.input.path.as_slice().join(", "),
            description: self.description()?,
        };
        let start_over = |why: &str| {
            engine.observer.event(Event::Note(&format!("{why}; starting over")));
            StateStore::discard(&engine.disk, &path)?;
            StateStore::open_or_create(&engine.disk, &path, &identity)
        };
        let opened = match StateStore::open_or_create(&engine.disk, &path, &identity) {
            Err(Error::Damaged { what, .. }) if resume == Resume::IfPossible => {
                start_over(&format!("the state at {} is damaged ({what})", path.display()))?
            }
            opened => opened?,
        };
        match opened {
            Opened::Fresh(_) if resume == Resume::Always => {
                Err(Error::Conflict(format!("--resume always, but there is no state at {}", path.display())))
            }
            Opened::Fresh(store) => Ok(store),
            Opened::Existing(store, found) => {
                let records = store.shard_records();
                let ours = records.is_empty()
                    || records.iter().any(|record| surveyed.iter().any(|s| s.shard.name == record.stamp.name));
                // A moved directory names its shards as before; another input under the same recipe does not.
                if found.input != identity.input && !ours {
                    let message = format!(
                        "the state at {} belongs to another job (input {}); choose another --state, or give --resume never to replace it",
                        path.display(),
                        found.input
                    );
                    return Err(Error::Conflict(message));
                }
                let Err(other) = self.check_version(&found) else { return Ok(store) };
                if resume == Resume::Always {
                    return Err(other);
                }
                let why = format!("the state at {} is of twopass {}", path.display(), found.version);
                drop(store);
                match start_over(&why)? {
                    Opened::Fresh(store) | Opened::Existing(store, _) => Ok(store),
                }
            }
        }
    }

    /// Checks all files of shards in the state, and forgets the shards whose files are damaged.
    pub(super) fn forget_damaged(&self, engine: &Engine<'_>) -> Result<Vec<String>> {
        match StateStore::open_existing(&engine.disk, &self.state_path()) {
            Ok((store, _)) => store.forget_damaged(),
            // What is damaged is the identity: nothing is known of the shards.
            Err(Error::Damaged { .. } | Error::Conflict(_)) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Refuses a state of another version.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub(super) fn check_version(&self, found: &Identity) -> Result<()> {
        if (found.format, found.version.as_str()) == (STATE_FORMAT, env!("CARGO_PKG_VERSION")) {
            return Ok(());
        }
        Err(Error::Conflict(format!(
            "the state at {} is of twopass {}, which this one does not go on from; run `twopass scan` first, or choose another --state",
            self.state_path().display(),
            found.version
        )))
    }

    /// What of the recipe pass one depends on, and how its shards are found besides by `input.path`, as JSON.
    fn description(&self) -> Result<String> {
        let mut described = self.scan_described()?;
        let input = &self.recipe.input;
        if !input.names.as_slice().is_empty() || input.secondary.is_some() {
            described["found"] = serde_json::json!({ "names": input.names, "secondary": input.secondary });
        }
        Ok(described.to_string())
    }

    /// What of the recipe pass one depends on, as JSON.
    fn scan_described(&self) -> Result<serde_json::Value> {
        let recipe = &self.recipe;
        let by_value = recipe.transform.iter().filter(|step| step.needs_values());
        let vocabularies: Vec<_> = by_value.map(Transform::columns).collect();
        let stratify = Collect::stratify_names(recipe);
        let input = &recipe.input;
        let mut described = serde_json::json!({
            "format": input.format,
            "signature": self.options()?.signature_names(),
            "schema": input.schema,
            "missing_columns": input.missing_columns,
            "extra_columns": input.extra_columns,
            "label": recipe.label,
            "key": recipe.split.key,
            "stratify": stratify,
            "groups": recipe.split.groups,
            "time": recipe.split.time,
            "dedupe": recipe.dedupe.as_ref().map(|dedupe| (&dedupe.key, &dedupe.order_by)),
            "ledger": recipe.split.kind != SplitKind::None || recipe.label.is_some() || recipe.dedupe.is_some(),
            "train": (recipe.fit.rows == FitRows::Train).then_some((&recipe.split, &recipe.dedupe)),
            "vocabularies": vocabularies,
        });
        if let Some(text) = input.text_options() {
            described["text"] = text;
        }
        if recipe.output.narrows() {
            described["narrow"] = true.into();
        }
        let derived: Vec<&Transform> = recipe.transform.iter().filter(|step| step.is_structural()).collect();
        if !derived.is_empty() {
            described["derived"] = serde_json::json!(derived);
        }
        Ok(described)
    }

    pub(crate) fn scan_fingerprint(&self) -> Result<String> {
        let text = format!("{STATE_FORMAT} {} {}", env!("CARGO_PKG_VERSION"), self.scan_described()?);
        Ok(format!("{:032x}", xxh3_128(text.as_bytes())))
    }
}

pub(super) fn stamp_of(surveyed: &Surveyed) -> ShardStamp {
    let shard = &surveyed.shard;
    // A footer's hash says more than a time, which a copy changes; without one, the time has to do.
    let modified = if surveyed.rows.is_some() { 0 } else { shard.modified };
    ShardStamp {
        name: shard.name.clone(),
        bytes: shard.bytes,
        modified_seconds: modified.div_euclid(1_000_000_000),
        modified_nanos: modified.rem_euclid(1_000_000_000) as u32,
        fingerprint: surveyed.fingerprint,
    }
}
