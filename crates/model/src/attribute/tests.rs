//! Entries and lists read back as they were written, whatever characters they hold.

use super::*;

#[test]
fn every_kind_of_value_reads_back() {
    let values = [
        Value::str("plain"),
        Value::str("with \u{1b} \u{1e} \u{1f} inside"),
        Value::Int(i64::MIN),
        Value::Double(0.1),
        Value::Double(f64::NEG_INFINITY),
        Value::Double(f64::MAX),
        Value::Double(-2.5e-300),
        Value::Double(-0.0),
        Value::Bool(true),
        Value::Bytes(vec![0, 255]),
        Value::Json(Cow::Borrowed("[1,\"a\"]")),
        Value::Empty,
    ];
    let mut list = String::new();
    for (number, value) in values.iter().enumerate() {
        push_to_list(&mut list, &format!("key\u{1f}{number}"), value);
    }
    let read: Vec<_> = parse_list(&list).collect();
    assert_eq!(read.len(), values.len());
    for (number, (key, value)) in read.iter().enumerate() {
        assert_eq!(key, &format!("key\u{1f}{number}"));
        assert_eq!(value, &values[number]);
    }
}

#[test]
fn a_text_that_is_no_entry_is_no_entry() {
    assert_eq!(parse_entry("no separator"), None);
    assert_eq!(parse_entry("key\u{1f}"), None);
    assert_eq!(parse_entry("key\u{1f}inot a number"), None);
}
