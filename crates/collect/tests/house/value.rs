//! Attribute values, made in a word.

use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};

pub fn text(text: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Kind::StringValue(text.into())) }
}

pub fn array(values: Vec<AnyValue>) -> AnyValue {
    AnyValue { value: Some(Kind::ArrayValue(ArrayValue { values })) }
}

pub fn list(values: Vec<KeyValue>) -> AnyValue {
    AnyValue { value: Some(Kind::KvlistValue(KeyValueList { values })) }
}

pub fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
