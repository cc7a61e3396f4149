//! Patterns, and texts that stand in YAML.

use super::pattern::Pattern;
use super::yaml_text::{document, scalar};
use crate::diagnostic::Report;
use crate::yaml;

fn allows(pattern: &str, operation: &str) -> bool {
    Pattern::new(pattern).expect("a pattern").allows(operation)
}

#[test]
fn a_pattern_allows_parts_by_name_any_text_and_any_number() {
    let cases = [
        ("GET /orders/{id}", "GET /orders/17", true),
        ("GET /orders/{id}", "GET /orders/{order}", true),
        ("GET /orders/:id", "GET /orders/17", true),
        ("GET /orders/{id}", "GET /orders/17/lines", false),
        ("GET /orders/{id}", "GET /orders/", false),
        ("GET /orders/{id}", "POST /orders/17", false),
        ("* /orders/{id}", "DELETE /orders/17", true),
        ("GET /**", "GET /", true),
        ("GET /**", "GET /a/b/c", true),
        ("GET /a/**/z", "GET /a/z", true),
        ("GET /a/**/z", "GET /a/b/c/z", true),
        ("GET /a/**/z", "GET /a/b/c", false),
        ("GET /a/**/z/**/q", "GET /a/z/z/q/z/q", true),
        ("shop.Orders/*", "shop.Orders/Get", true),
        ("shop.Orders/*", "shop.OrdersAdmin/Get", false),
        ("shop.*/Get*", "shop.Orders/GetAll", true),
        ("SELECT *", "SELECT users", true),
        ("SELECT *", "DELETE users", false),
        ("**", "anything at/all", true),
        ("GET /Orders", "GET /orders", false),
    ];
    for (pattern, operation, expected) in cases {
        assert_eq!(allows(pattern, operation), expected, "{pattern} on {operation}");
    }
}

#[test]
fn a_pattern_that_means_nothing_is_refused() {
    assert_eq!(Pattern::new(" "), Err("is empty"));
    assert_eq!(Pattern::new("GET /a**"), Err("has ** beside other text between two slashes"));
}

#[test]
fn whatever_was_asked_for_has_a_pattern_that_allows_it() {
    let cases = [
        ("GET /orders/{id}", "GET /orders/{id}"),
        ("GET /files/*name", "GET /files/*name"),
        ("GET /files/**", "GET /files/**"),
        ("GET /a**b/***", "GET /a*b/**"),
        (" ", "**"),
        ("SELECT *", "SELECT *"),
    ];
    for (operation, pattern) in cases {
        let made = Pattern::of(operation);
        assert_eq!(made.as_str(), pattern, "{operation}");
        assert!(made.allows(operation), "{operation}");
        assert_eq!(Pattern::new(made.as_str()), Ok(made), "{operation}");
    }
}

#[test]
fn a_long_pattern_on_a_long_operation_ends() {
    let pattern = format!("{}x", "**/".repeat(500));
    assert!(!allows(&pattern, &"a/".repeat(2_000)));
    assert!(!allows(&format!("{}b", "*a".repeat(500)), &"a".repeat(4_000)));
}

#[test]
fn texts_read_back_as_the_same_texts() {
    let texts =
        ["plain", "a.b-c_d", "true", "No", "~", "", "1.5", "0x1f", "GET /a: #b", "\u{7}\"\\\u{2028}", "- x", "{id}"];
    for text in texts {
        let written = format!("key: {}\n", scalar(text));
        let mut report = Report::new("t");
        let documents = yaml::documents(&written, &mut report).unwrap_or_default();
        assert!(report.is_empty(), "{written}");
        let read = documents[0].get("key").and_then(yaml::Node::scalar_text);
        assert_eq!(read.as_deref(), Some(text), "{written}");
    }
}

#[test]
fn documents_are_written_in_blocks() {
    let value = serde_json::json!({"a": {"b": [{"c": 1, "d": ["x", {}]}, []]}, "e": {}, "f": true});
    assert_eq!(
        document(&value),
        "a:\n  b:\n    - c: 1\n      d:\n        - x\n        - {}\n    - []\ne: {}\nf: true\n"
    );
}
