//! The list of modifiers says what is read, and all of it.

use super::{Chain, KNOWN, NAMES};
use crate::diagnostic::{Place, Report};

fn parses(names: &[&str]) -> bool {
    let mut report = Report::new("x.yml");
    Chain::parse(names, Place::default(), &mut report).is_some() && report.is_empty()
}

#[test]
fn every_listed_modifier_is_read() {
    for name in NAMES {
        // the flags of an expression stand behind it
        let is_flag = ["i", "ignorecase", "m", "multiline", "s", "dotall"].contains(&name);
        let names = if is_flag { vec!["re", name] } else { vec![name] };
        assert!(parses(&names), "{name}");
    }
    assert!(!parses(&["containz"]));
}

#[test]
fn every_modifier_of_the_hint_is_listed() {
    let words = KNOWN.trim_start_matches("known: ").split(|c: char| !c.is_ascii_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        assert!(NAMES.contains(&word), "{word}");
    }
}
