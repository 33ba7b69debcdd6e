//! Shards that are sound and do not fit each other, or the recipe.

use serde_json::{Value, json};

use crate::{Case, bad};

/// A sound shard of a label, a number and a text.
const GOOD: &str = "id,amount,city,label\n1,1.5,Oslo,yes\n2,2.5,Riga,no\n3,,Bonn,yes\n4,4.5,Oslo,no\n";

fn misfit(name: &'static str, text: &str, recipe: Value, says: &[&'static str]) -> Case {
    Case { name, files: vec![("a.csv", text.into())], recipe, code: 3, says: says.to_vec() }
}

/// A recipe that no data is needed to refuse.
fn refused(name: &'static str, recipe: Value, says: &[&'static str]) -> Case {
    misfit(name, GOOD, recipe, says).ends(2)
}

pub fn cases() -> Vec<Case> {
    let label = json!({ "column": "label" });
    let split = json!({ "kind": "stratified", "sizes": { "train": 0.5, "test": 0.5 } });
    let step = |step: Value| json!({ "transform": [step] });
    vec![
        bad("a column too many in a shard", "b.csv", "x,y\n1,2\n", &["`y`"]).beside("a.csv", "x\n1\n"),
        bad("a column that a shard lacks", "b.csv", "x\n1\n", &["`y`"])
            .beside("a.csv", "x,y\n1,2\n")
            .with(json!({ "input": { "missing_columns": "raise" } })),
        bad("a column too many in Parquet", "b.parquet", crate::claims::sound().bytes(), &["`x`"])
            .beside("a.csv", "y\n1\n"),
        bad(
            "an integer that a float would round",
            "a.parquet",
            crate::parquet_files::file(std::sync::Arc::new(arrow::array::Int64Array::from(vec![(1 << 53) + 1]))),
            &["row 0", "`x`"],
        )
        .beside(
            "b.parquet",
            crate::parquet_files::file(std::sync::Arc::new(arrow::array::Float64Array::from(vec![0.5]))),
        ),
        bad(
            "Parquet that does not fit its type",
            "a.parquet",
            crate::parquet_files::file(std::sync::Arc::new(arrow::array::StringArray::from(vec!["1", "two"]))),
            &["row 1", "`x`"],
        )
        .with(json!({ "input": { "schema": { "x": "int64" } } })),
        misfit(
            "a label that is not there",
            GOOD,
            json!({ "label": { "column": "lable" } }),
            &["Label field 'lable' not found", "label"],
        ),
        misfit(
            "a key that is not there",
            GOOD,
            json!({ "split": { "kind": "random", "key": "order" } }),
            &["'order' not found"],
        ),
        misfit(
            "a stratum's column that is not there",
            GOOD,
            json!({ "split": { "kind": "stratified", "stratify": "town" } }),
            &["'town' not found"],
        ),
        misfit(
            "a step's column that is not there",
            GOOD,
            step(json!({ "op": "standard_scaler", "columns": "amout" })),
            &["amout"],
        ),
        misfit(
            "a type for a column that is not there",
            GOOD,
            json!({ "input": { "schema": { "zip": "string" } } }),
            &["zip"],
        )
        .ends(2),
        misfit(
            "no row with a label",
            "id,label\n1,\n2,\n",
            json!({ "label": label, "split": split }),
            &["no row has a label"],
        ),
        misfit("a text to be scaled", GOOD, step(json!({ "op": "standard_scaler", "columns": "city" })), &["city"])
            .ends(2),
        misfit(
            "a mean of texts",
            GOOD,
            step(json!({ "op": "simple_imputer", "columns": "city", "strategy": "mean" })),
            &["city"],
        )
        .ends(2),
        misfit(
            "an infinity to be scaled",
            "x\n1.5\ninf\n",
            step(json!({ "op": "standard_scaler", "columns": "x" })),
            &["x"],
        ),
        misfit(
            "an infinity to be scaled to a range",
            "x\n1.5\n-inf\n",
            step(json!({ "op": "min_max_scaler", "columns": "x" })),
            &["x"],
        ),
        misfit(
            "nothing but missing values to be filled",
            "x,y\n,1\n,2\n",
            step(json!({ "op": "simple_imputer", "columns": "x", "strategy": "mean" })),
            &["x"],
        )
        .ends(2),
        refused("an unknown key", json!({ "input": { "pth": "x" } }), &["unknown key", "pth"]),
        refused("an unknown step", step(json!({ "op": "standard_scalar", "columns": "amount" })), &["standard_scalar"]),
        refused("an unknown kind of split", json!({ "split": { "kind": "stratifed" } }), &["stratifed"]),
        refused(
            "sizes beyond one",
            json!({ "split": { "kind": "random", "sizes": { "train": 0.9, "test": 0.9 } } }),
            &["sizes"],
        ),
        refused(
            "a size below nothing",
            json!({ "split": { "kind": "random", "sizes": { "train": 1.5, "test": -0.5 } } }),
            &["sizes"],
        ),
        refused("an unknown type", json!({ "input": { "schema": { "id": "integer" } } }), &["integer"]),
        refused("an unknown format", json!({ "input": { "format": "excel" } }), &["excel"]),
        refused("no memory at all", json!({ "run": { "memory": "none" } }), &["`none` is not a size"]),
        refused(
            "an unknown parameter",
            step(json!({ "op": "standard_scaler", "columns": "amount", "with_mena": true })),
            &["with_mean"],
        ),
        refused("parts of no rows", json!({ "output": { "shard_rows": 0 } }), &["shard_rows"]),
    ]
}
