//! Every kind of split against docs/splits.md: by an oracle that is checked by hand, on random tables, under all that must
//! not matter, against scikit-learn, and on the flights.

mod common;

#[path = "kinds/balanced.rs"]
mod balanced;
#[path = "kinds/by_hand.rs"]
mod by_hand;
#[path = "kinds/edges.rs"]
mod edges;
#[path = "kinds/fit_on_train.rs"]
mod fit_on_train;
#[path = "kinds/flights.rs"]
mod flights;
#[path = "kinds/golden.rs"]
mod golden;
#[path = "kinds/invariance.rs"]
mod invariance;
#[path = "kinds/judge.rs"]
mod judge;
#[path = "kinds/random_tables.rs"]
mod random_tables;
#[path = "kinds/sklearn.rs"]
mod sklearn;
#[path = "kinds/tampered.rs"]
mod tampered;
