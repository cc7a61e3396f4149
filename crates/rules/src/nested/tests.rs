//! Paths find what stands in JSON, and no more of it than is bounded.

use super::Nested;

fn found(path: &str, text: &str) -> Vec<String> {
    let mut nested = Nested::default();
    let slot = nested.in_body(path);
    let mut found = nested.nothing();
    nested.body.collect(7, text, &mut found);
    found[slot].iter().inspect(|(row, _)| assert_eq!(*row, 7)).map(|(_, text)| text.clone()).collect()
}

#[test]
fn paths_go_through_maps_and_lists() {
    let text = r#"{"a": {"b": [{"c": 1}, {"c": "x"}, {"d": null}], "e": true}, "a.f": 2}"#;
    assert_eq!(found("a.b.c", text), ["1", "x"]);
    assert_eq!(found("a.e", text), ["true"]);
    assert_eq!(found("a.f", text), ["2"]);
    assert_eq!(found("a.b", text), [r#"{"c":1}"#, r#"{"c":"x"}"#, r#"{"d":null}"#]);
    assert!(found("a.b.d", text).is_empty() && found("b", text).is_empty());
}

#[test]
fn what_is_no_json_has_no_values() {
    for text in ["", "plain", "{broken", "{\"a\": }", "3"] {
        assert!(found("a", text).is_empty(), "{text}");
    }
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    assert!(found("a", &deep).is_empty());
}

#[test]
fn one_event_has_a_bounded_number_of_values() {
    let many: Vec<String> = (0..5_000).map(|number| format!("{{\"a\":{number}}}")).collect();
    assert_eq!(found("a", &format!("[{}]", many.join(","))).len(), 1_000);
}
