//! Short constructors for OTLP attributes.

use proto::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A text attribute.
pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

/// A whole-number attribute.
pub(crate) fn int(key: &str, value: u64) -> KeyValue {
    pair(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// A list of texts.
pub(crate) fn texts(key: &str, values: &[&str]) -> KeyValue {
    let values = values.iter().map(|value| any((*value).to_owned())).collect();
    pair(key, Value::ArrayValue(ArrayValue { values }))
}

/// A text value without a key, as a log body.
pub(crate) fn any(value: String) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value)) }
}
