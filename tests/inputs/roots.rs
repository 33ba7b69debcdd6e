//! `input.names` and `input.secondary` in whole jobs.

use serde_json::json;

use crate::common::{Place, job, manifest, run};
use crate::support::{bytes_of, fresh, into, laid_over, lines, put, recipe, verified};

#[test]
fn a_second_directory_gives_what_one_directory_of_all_shards_gives() {
    let place = Place::new();
    for (shard, from) in [("a", "more"), ("b", "in"), ("c", "more"), ("d", "in")] {
        let text: String = (0..50).map(|row| format!("{shard}{row},{}\n", row % 3)).collect();
        put(&place.path(&format!("{from}/part-{shard}.csv")), format!("id,y\n{text}"));
        put(&place.path(&format!("all/part-{shard}.csv")), format!("id,y\n{text}"));
    }
    put(&place.path("more/part-b.csv"), "id,y\nnot,read\n");
    put(&place.path("more/part-e.csv"), "");
    put(&place.path("in/notes.txt"), "not read");
    put(&place.path("more/old/part-a.csv"), "not read");
    let keys = json!({
        "input": { "names": ["part-*.csv"] },
        "split": { "kind": "random", "sizes": { "train": 0.6, "test": 0.4 } },
    });
    let plain = recipe(&place, &keys);
    let both = laid_over(&plain, &json!({ "input": { "secondary": place.text("more") } }));
    let one = laid_over(&plain, &json!({ "input": { "path": place.text("all") } }));
    // Fingerprint and all: where shards lie is no part of it.
    assert_eq!(fresh(&place, &both, "both"), fresh(&place, &one, "one"));
    verified(&place.path("both"));
    // Moved away, the state still serves, and so does it prove the output.
    std::fs::rename(place.path("more"), place.path("moved")).unwrap();
    let moved = laid_over(&both, &json!({ "input": { "secondary": place.text("moved") } }));
    let report = job(&into(&place, &moved, "both")).overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!((report.reused_shards, report.shards), (4, 4));
    // Without it, its shards have left the input; with it, they are added to the others.
    let alone = fresh(&place, &plain, "alone");
    assert_eq!(manifest(&place.path("alone"))["input"]["shards"], 2);
    let report = job(&into(&place, &moved, "alone")).overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!((report.reused_shards, report.shards), (2, 4));
    assert_eq!(bytes_of(&place.path("alone")), bytes_of(&place.path("both")));
    let report = job(&into(&place, &plain, "alone")).overwriting(true).run(&twopass::observe::Silent).unwrap();
    assert_eq!((report.reused_shards, report.shards), (2, 2));
    assert_eq!(bytes_of(&place.path("alone")), alone);
}

#[test]
fn a_state_says_of_its_own_shards_alone_that_they_are_missing() {
    let place = Place::new();
    put(&place.path("in/part-1.csv"), "x\n1\n");
    put(&place.path("in/other.csv"), "x\n2\n");
    put(&place.path("more/part-2.csv"), "x\n3\n");
    let keys = json!({ "input": { "names": "part-*", "secondary": place.text("more") } });
    run(&recipe(&place, &keys));
    assert_eq!(lines(&place.path("out"), "data"), ["{\"x\":1}", "{\"x\":3}"]);
    let missing = || match twopass::inspect::look(&place.path("out.state")).unwrap() {
        twopass::inspect::Found::State(state) => state.missing.clone(),
        twopass::inspect::Found::Output(_) => None,
    };
    assert_eq!(missing(), Some(vec![]));
    put(&place.path("more/part-3.csv"), "x\n4\n");
    assert_eq!(missing(), Some(vec!["part-3.csv".to_string()]));
}
