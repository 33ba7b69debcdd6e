//! Serde for arrow's types by the name they print as, so that a plan reads well and needs nothing more of arrow.

use arrow::datatypes::DataType;
use serde::{Deserialize, Deserializer, Serializer, de};

use crate::schema;

pub fn serialize<S: Serializer>(data_type: &DataType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(data_type)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataType, D::Error> {
    let name = String::deserialize(deserializer)?;
    schema::of_name(&name).ok_or_else(|| de::Error::custom(format!("`{name}` is not a type of arrow")))
}
