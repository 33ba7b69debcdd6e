//! What holds now, by replaying the log. Never touches a side file: that is for `recover.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Index;
use super::record::{Event, PartRecord, ShardRecord, SideFile};
use crate::error::Result;

/// The state's log and what it amounts to.
pub(super) struct Log {
    index: Index,
    /// Committed shards by name.
    pub shards: BTreeMap<String, ShardRecord>,
    /// The plan for exactly these shards.
    pub plan: Option<SideFile>,
    /// The sealed parts of this plan.
    pub parts: Vec<PartRecord>,
    /// Summary files that the log ever named. One that is not among them was never committed, or its entry is lost.
    pub mentioned: BTreeSet<String>,
}

impl Log {
    pub(super) fn replay(index: Index, events: Vec<Event>) -> Self {
        let mut log =
            Self { index, shards: BTreeMap::new(), plan: None, parts: Vec::new(), mentioned: BTreeSet::new() };
        events.into_iter().for_each(|event| drop(log.apply(event)));
        log
    }

    /// Appends an entry, durably, and gives back the shard record that it superseded.
    pub(super) fn append(&mut self, event: Event) -> Result<Option<ShardRecord>> {
        self.index.append(&event)?;
        Ok(self.apply(event))
    }

    fn apply(&mut self, event: Event) -> Option<ShardRecord> {
        match event {
            Event::Shard(record) => {
                self.drop_plan();
                self.mentioned.insert(record.summary.path.clone());
                self.shards.insert(record.stamp.name.clone(), record)
            }
            Event::Forgotten(name) => {
                self.drop_plan();
                self.shards.remove(&name)
            }
            Event::Plan(file) => {
                self.drop_plan();
                self.plan = Some(file);
                None
            }
            Event::Part(part) => {
                self.parts.push(part);
                None
            }
        }
    }

    /// A plan is of one set of shards, and a part of one plan: whatever changes the former ends the latter.
    fn drop_plan(&mut self) {
        self.plan = None;
        self.parts.clear();
    }
}
