//! The SQL function `attribute(list, key)`: the value of an attribute in encoded form, as text.
//!
//! The first argument is `attrs_rest` (a list of entries), or `resource` or `scope` (a whole attribute list as one
//! text). The key has to be a literal. The answer is null when the attribute is not there. Values are as people search
//! for them: `401`, `true`, JSON for arrays and maps.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, ListArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use model::attribute::{LIST_SEPARATOR, entry_prefix, parse_entry};
use model::signal::label_type;

/// Its name in SQL.
pub(crate) const NAME: &str = "attribute";

/// The function, as the query sessions know it.
pub(crate) fn function() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Attribute::new())));
    Arc::clone(&FUNCTION)
}

/// `attribute(list, key)` as an expression.
pub(crate) fn attribute_of(list: Expr, key: &str) -> Expr {
    function().call(vec![list, lit(key)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Attribute {
    signature: Signature,
}

impl Attribute {
    fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Attribute {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [DataType::List(item), _] if *item.data_type() == DataType::Utf8 => Ok(DataType::Utf8),
            [DataType::Utf8, _] => Ok(DataType::Utf8),
            [list, _] if *list == label_type() => Ok(label_type()),
            _ => plan_err!("attribute(list, key) takes attrs_rest, resource or scope, and a key"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [list, ColumnarValue::Scalar(key)] = args.args.as_slice() else {
            return exec_err!("the key of attribute(list, key) must be a literal");
        };
        let Some(Some(key)) = key.try_as_str() else {
            return exec_err!("the key of attribute(list, key) must be a text");
        };
        let prefix = entry_prefix(key);
        match list {
            ColumnarValue::Array(list) => Ok(ColumnarValue::Array(values_of(list, &prefix)?)),
            ColumnarValue::Scalar(list) => {
                let values = values_of(&list.to_array_of_size(1)?, &prefix)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?))
            }
        }
    }
}

fn values_of(list: &ArrayRef, prefix: &str) -> Result<ArrayRef> {
    if let Some(entries) = list.as_list_opt::<i32>() {
        return of_entries(entries, prefix);
    }
    if let Some(texts) = list.as_string_opt::<i32>() {
        return Ok(Arc::new(of_texts(texts, prefix)));
    }
    let labels = list.as_dictionary_opt::<Int32Type>();
    match labels.and_then(|labels| Some((labels, labels.values().as_string_opt::<i32>()?))) {
        // each distinct text is looked at once, however many rows have it
        Some((labels, texts)) => {
            let values: ArrayRef = Arc::new(of_texts(texts, prefix));
            // a null among the values would hide from null counts, so keys of null values become null themselves
            let keys =
                labels.keys().iter().map(|key| key.filter(|key| values.is_valid(usize::try_from(*key).unwrap_or(0))));
            Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys.collect(), values)?))
        }
        None => exec_err!("attribute(list, key) cannot read a {}", list.data_type()),
    }
}

fn of_entries(list: &ListArray, prefix: &str) -> Result<ArrayRef> {
    let Some(entries) = list.values().as_string_opt::<i32>() else {
        return exec_err!("attribute(list, key) cannot read a {}", list.data_type());
    };
    let mut values = StringBuilder::new();
    for row in 0..list.len() {
        let (start, end) = (list.value_offsets()[row], list.value_offsets()[row + 1]);
        let mut of_row = (start..end).map(|entry| entries.value(usize::try_from(entry).unwrap_or(0)));
        let found = if list.is_valid(row) { of_row.find(|entry| entry.starts_with(prefix)) } else { None };
        push(&mut values, found);
    }
    Ok(Arc::new(values.finish()))
}

fn of_texts(texts: &StringArray, prefix: &str) -> StringArray {
    let mut values = StringBuilder::new();
    for text in texts {
        push(&mut values, text.and_then(|text| text.split(LIST_SEPARATOR).find(|entry| entry.starts_with(prefix))));
    }
    values.finish()
}

fn push(values: &mut StringBuilder, entry: Option<&str>) {
    match entry.and_then(parse_entry) {
        Some((_, value)) => values.append_value(value.text()),
        None => values.append_null(),
    }
}

#[cfg(test)]
mod tests;
