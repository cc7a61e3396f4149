//! Values are found in every form attributes are stored in.

use arrow::array::{ListBuilder, StringDictionaryBuilder};
use model::Value;
use model::attribute::{entry, push_to_list};
use model::view::text_at;

use super::*;

fn found(list: ArrayRef, key: &str) -> Vec<Option<String>> {
    let values = values_of(&list, &entry_prefix(key)).unwrap();
    (0..values.len()).map(|row| text_at(&values, row).map(str::to_owned)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_residual_list_gives_the_first_value_of_a_key() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.values().append_value(entry("code", &Value::Int(401)));
    lists.values().append_value(entry("code", &Value::str("second")));
    lists.append(true);
    lists.values().append_value(entry("code.more", &Value::str("not it")));
    lists.append(true);
    lists.append(true);
    let lists: ArrayRef = Arc::new(lists.finish());
    assert_eq!(found(Arc::clone(&lists), "code"), [some("401"), None, None]);
    assert_eq!(found(lists.slice(1, 2), "code.more"), [some("not it"), None], "also in a slice");
}

#[test]
fn a_dictionary_of_attribute_lists_gives_a_value_per_row() {
    let mut list = String::new();
    push_to_list(&mut list, "host.name", &Value::str("a\u{1e}b"));
    push_to_list(&mut list, "odd\u{1f}key", &Value::Bool(true));
    let mut labels = StringDictionaryBuilder::<Int32Type>::new();
    labels.append_value(&list);
    labels.append_value("");
    labels.append_null();
    labels.append_value(&list);
    let labels: ArrayRef = Arc::new(labels.finish());
    let value = some("a\u{1e}b");
    assert_eq!(found(Arc::clone(&labels), "host.name"), [value.clone(), None, None, value]);
    assert_eq!(found(Arc::clone(&labels), "odd\u{1f}key")[0], some("true"));
    let nulls = values_of(&labels, &entry_prefix("host.name")).unwrap().null_count();
    assert_eq!(nulls, 2, "null counts tell what is missing");
}
