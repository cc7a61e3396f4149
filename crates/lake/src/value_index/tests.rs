//! No value that is there is denied; most that are not are.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, ListBuilder, StringArray, StringBuilder};
use model::attribute::{self, Value};

use super::*;

/// A slice with a label, a text, a number, two entries and a resource a row, all told by the row's number.
fn slice(rows: std::ops::Range<usize>) -> RecordBatch {
    let texts = |of: &dyn Fn(usize) -> String| -> Vec<String> { rows.clone().map(of).collect() };
    let labels = |of: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(texts(of).iter().map(String::as_str).collect::<DictionaryArray<Int32Type>>())
    };
    let mut entries = ListBuilder::new(StringBuilder::new());
    for row in rows.clone() {
        entries.values().append_value(attribute::entry("app.row", &Value::Int(row as i64)));
        entries.values().append_value(attribute::entry("app.half", &Value::str(&format!("h{}", row / 2))));
        entries.append(true);
    }
    let resource = |row: usize| {
        let mut list = String::new();
        attribute::push_to_list(&mut list, "host.name", &Value::str(&format!("host-{}", row % 7)));
        attribute::push_to_list(&mut list, "process.pid", &Value::Int(row as i64 % 5));
        list
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("http.route", labels(&|row| format!("/r/{}", row % 11))),
        ("user.id", Arc::new(StringArray::from(texts(&|row| format!("user-{row}"))))),
        ("server.port", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64 % 3)))),
        (RESOURCE, labels(&resource)),
        (ATTRS_REST, Arc::new(entries.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Ten slices of a thousand rows: a whole row group and a part.
fn index() -> ValueIndex {
    let mut builder = Builder::new(Signal::Spans);
    (0..10).for_each(|number| builder.add_slice(&slice(number * 1_000..(number + 1) * 1_000)).unwrap());
    ValueIndex::read(&builder.finish().1).unwrap()
}

#[test]
fn every_value_is_found_in_its_row_group() {
    let index = index();
    for row in 0..10_000_usize {
        let group = row / 8_000;
        let entry = attribute::entry("app.row", &Value::Int(row as i64));
        let values = [
            value_hash(Place::Column, "http.route", &format!("/r/{}", row % 11)),
            value_hash(Place::Column, "user.id", &format!("user-{row}")),
            value_hash(Place::Column, "server.port", &(row % 3).to_string()),
            value_hash(Place::Entry, "", &entry),
            value_hash(Place::Resource, "host.name", &format!("host-{}", row % 7)),
            value_hash(Place::Resource, "process.pid", &(row % 5).to_string()),
        ];
        for value in values {
            assert!(index.groups_with(&[vec![value]])[group], "row {row}");
        }
        // each of them, and one of the alternatives
        let both = [vec![values[1]], vec![1, values[3]]];
        assert!(index.groups_with(&both)[group], "row {row}");
    }
}

#[test]
fn most_absent_values_are_denied() {
    let index = index();
    let absent = |number: u32| value_hash(Place::Column, "user.id", &format!("nobody-{number}"));
    let passed = (0..20_000).filter(|number| index.groups_with(&[vec![absent(*number)]]).contains(&true)).count();
    assert!(passed < 400, "{passed} of 20,000 absent values, 160 are expected");
    // the same text in another place is another value
    assert_eq!(index.groups_with(&[vec![value_hash(Place::Resource, "user.id", "user-1")]]), [false, false]);
}

#[test]
fn a_row_group_without_a_filter_may_hold_anything() {
    let section = [1_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat();
    assert_eq!(ValueIndex::read(&section).unwrap().groups_with(&[vec![7]]), [true]);
    assert!(ValueIndex::read(&section[..6]).is_none());
    assert!(ValueIndex::read(&[section, vec![1]].concat()).is_none());
}
