//! Attributes as JSON.

use model::Value;
use serde_json::{Map, Value as Json};

/// The largest integer up to which every integer is a JavaScript number.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A JSON object of attributes.
pub(crate) type Attributes = Map<String, Json>;

/// Attributes as an object; of a key that is given twice the first value counts.
pub(crate) fn object<'a>(attributes: impl IntoIterator<Item = (String, Value<'a>)>) -> Attributes {
    let mut object = Map::new();
    for (key, value) in attributes {
        object.entry(key).or_insert_with(|| json(&value));
    }
    object
}

/// One value. Integers past 2^53 and numbers that JSON lacks become strings, bytes hexadecimal digits.
pub(crate) fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Str(text) => Json::String(text.to_string()),
        Value::Int(number) if number.unsigned_abs() <= MAX_SAFE_INTEGER => Json::from(*number),
        Value::Double(number) if number.is_finite() => Json::from(*number),
        Value::Int(_) | Value::Double(_) | Value::Bytes(_) => Json::String(value.text().into_owned()),
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_string())),
        Value::Empty => Json::Null,
    }
}

/// A body or value whose text and type tag are stored apart.
pub(crate) fn tagged(text: String, tag: char) -> Json {
    match tag {
        'j' => serde_json::from_str(&text).unwrap_or(Json::String(text)),
        'i' => text.parse().map_or(Json::String(text), |number| json(&Value::Int(number))),
        'd' => text.parse().map_or(Json::String(text), |number| json(&Value::Double(number))),
        'b' => text.parse().map_or(Json::String(text), Json::Bool),
        'n' => Json::Null,
        _ => Json::String(text),
    }
}

/// The name of a number in a list of names; the number itself when the list ends before it.
pub(crate) fn name_of(names: &[&str], number: i8) -> String {
    let found = usize::try_from(number).ok().and_then(|at| names.get(at));
    found.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}
