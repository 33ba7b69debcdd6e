//! `run.shards_at_once`

use std::sync::Mutex;

use serde_json::json;
use twopass::observe::{Event, Observer, Pass};

use crate::common::table::{Cell, Kind, Table, write_shard};
use crate::common::{Place, job};
use crate::support::{bytes_of, into, laid_over, recipe};

/// The shards of pass one in the order in which they were done.
#[derive(Default)]
struct Done(Mutex<(Option<Pass>, Vec<String>)>);

impl Observer for Done {
    fn event(&self, event: Event<'_>) {
        let mut seen = self.0.lock().unwrap();
        match event {
            Event::Begin { pass, .. } => seen.0 = Some(pass),
            Event::Shard { name } if seen.0 == Some(Pass::Scan) => seen.1.push(name.into()),
            _ => {}
        }
    }
}

#[test]
fn the_number_of_shards_at_once_changes_no_byte_and_one_means_one_after_the_other() {
    let place = Place::new();
    for shard in 0..12 {
        let row = |at: usize| vec![Cell::Int((shard * 1000 + at) as i64), Cell::Text(format!("t{}", at % 5))];
        // The first are the longest: several at once would not end in order.
        let rows = if shard % 4 == 0 { 20_000 } else { 10 };
        let columns = [("id", Kind::Int), ("t", Kind::Text)].map(|(name, kind)| (name.to_string(), kind)).to_vec();
        let path = place.path(&format!("in/{shard:02}.parquet"));
        write_shard(&path, &Table { columns, rows: (0..rows).map(row).collect() }.batch(), &[5000; 4]);
    }
    let keys = json!({
        "split": { "kind": "stratified", "stratify": "t", "key": "id", "sizes": { "a": 0.5, "b": 0.5 } },
        "transform": [{ "columns": "t", "op": "ordinal_encoder" }],
        "run": { "threads": 4, "mode": "streaming" },
    });
    let plain = recipe(&place, &keys);
    let mut all = Vec::new();
    for at_once in [0, 1, 2, 3, 100] {
        let out = format!("out{at_once}");
        let recipe = into(&place, &laid_over(&plain, &json!({ "run": { "shards_at_once": at_once } })), &out);
        let done = Done::default();
        job(&recipe).run(&done).unwrap();
        let order = done.0.into_inner().unwrap().1;
        assert_eq!(order.len(), 12);
        assert!(at_once != 1 || order.is_sorted(), "{order:?}");
        all.push(bytes_of(&place.path(&out)));
    }
    assert!(all.windows(2).all(|two| two[0] == two[1]));
}
