//! The metadata file: `json` has the statistics of the data as it was read, over all rows; `mods` names every column of
//! the output and whether it is a category.

use serde_json::{Map, Value, json};

use crate::facts::{ColumnFacts, pandas_type};
use crate::plan::Plan;
use crate::state::Number;

/// Statistics of every input column, or of every one that the recipe derives of them and writes: `{"version", "data_info", "column_info"}`. Counts take NaN as null, as pandas does;
/// `std` has divisor n - 1; memory is in arrow's layout.
pub fn json(plan: &Plan) -> Value {
    // What only the split knows of has no lane.
    let facts: Vec<&ColumnFacts> =
        plan.pipeline.lanes.iter().filter(|lane| !lane.is_fold()).map(|lane| &plan.facts[lane.input]).collect();
    let column_info: Map<String, Value> = facts.iter().map(|facts| (facts.name.clone(), column(facts))).collect();
    json!({
        "version": "1.0",
        "data_info": {
            "total_rows": plan.rows,
            "total_columns": facts.len(),
            "memory_usage_bytes": facts.iter().map(|facts| facts.bytes).sum::<u64>(),
        },
        "column_info": column_info,
    })
}

fn column(facts: &ColumnFacts) -> Value {
    let mut info = json!({
        "data_type": facts.pandas_type,
        "null_count": facts.nulls + facts.nan,
        "memory_usage": facts.bytes,
        "unique_count": facts.distinct,
    });
    if facts.distinct_estimated {
        info["unique_count_estimated"] = json!(true);
    }
    if let Some((min, max)) = facts.range {
        info["min"] = number(min);
        info["max"] = number(max);
        info["mean"] = json!(facts.mean);
        info["std"] = json!(facts.std);
    }
    info
}

/// JSON has no infinities: they become null.
fn number(number: Number) -> Value {
    match number {
        Number::Int(value) => json!(value),
        Number::UInt(value) => json!(value),
        Number::Float(value) => json!(value),
    }
}

/// One line a column of the output: `varname,iscategory,datatype`, quoted with `|` where it has to be.
pub fn mods(plan: &Plan) -> String {
    let mut text = String::from("varname,iscategory,datatype\n");
    for column in &plan.pipeline.output {
        let lane = &plan.pipeline.lanes[column.lane];
        let has_nulls = lane.keeps_values() && plan.facts[lane.input].nulls > 0;
        let data_type = pandas_type(&column.data_type, has_nulls);
        let is_category = column.data_type == arrow::datatypes::DataType::Utf8;
        text.push_str(&format!("{},{is_category},{}\n", quoted(&column.name), quoted(data_type)));
    }
    text
}

fn quoted(name: &str) -> String {
    if name.contains([',', '|', '\n', '\r']) { format!("|{}|", name.replace('|', "||")) } else { name.to_string() }
}
