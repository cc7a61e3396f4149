//! Rows of a batch as the JSON objects that the other engine reads: each field under the name that rules use.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int8Type, Int32Type, Int64Type};
use model::attribute::{self, Value};
use model::signal::{self, log, span};
use model::{EventBatch, field};
use serde_json::{Map, Value as Json};

/// Every row.
pub fn rows(batch: &EventBatch) -> Vec<Json> {
    let mut rows = vec![Map::new(); batch.len()];
    let schema = batch.records.schema();
    for (column, array) in schema.fields().iter().zip(batch.records.columns()) {
        let name = column.name().as_str();
        match name {
            signal::RESOURCE | signal::SCOPE | signal::KEY_ID => continue,
            signal::ATTRS_REST => {
                let lists = array.as_list::<i32>();
                for (row, event) in rows.iter_mut().enumerate() {
                    for entry in lists.value(row).as_string::<i32>().iter().flatten() {
                        if let Some((key, value)) = attribute::parse_entry(entry) {
                            event.insert(key.into_owned(), json(&value));
                        }
                    }
                }
                continue;
            }
            _ => {}
        }
        let is_asked = field::promoted(name).is_some()
            || matches!(name, span::NAME | span::STATUS_MESSAGE | log::BODY | log::SEVERITY_TEXT | log::EVENT_NAME);
        let name = if name == signal::SERVICE { "service.name" } else { name };
        if !is_asked && name != "service.name" {
            continue;
        }
        for (row, event) in rows.iter_mut().enumerate().filter(|(row, _)| array.is_valid(*row)) {
            let value: Json = if let Some(texts) = array.as_string_opt::<i32>() {
                texts.value(row).into()
            } else if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
                numbers.value(row).into()
            } else if let Some(numbers) = array.as_primitive_opt::<Int8Type>() {
                numbers.value(row).into()
            } else if let Some(truths) = array.as_boolean_opt() {
                truths.value(row).into()
            } else if let Some(labels) = array.as_dictionary_opt::<Int32Type>() {
                let texts = labels.values().as_string::<i32>();
                labels.key(row).map(|key| texts.value(key)).into()
            } else {
                continue;
            };
            event.insert(name.to_owned(), value);
        }
    }
    rows.into_iter().map(Json::Object).collect()
}

fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Int(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_ref().into()),
        other => other.text().into_owned().into(),
    }
}
