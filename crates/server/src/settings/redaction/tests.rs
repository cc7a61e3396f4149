//! The section reads as documented, prints without secrets, and its mistakes are named.

use std::fs;

use super::*;
use crate::settings::Settings;

fn parsed(text: &str) -> Redaction {
    toml::from_str::<Settings>(text).expect("valid TOML").redaction
}

fn mistake(text: &str) -> String {
    parsed(text).plan().map(drop).expect_err("is refused").to_string()
}

#[test]
fn the_section_reads_as_documented_and_is_on_without_being_written() {
    assert!(Redaction::default().plan().expect("valid").is_some());
    assert!(parsed("[redaction]\nenabled = false\n").plan().expect("valid").is_none());
    let section = parsed(
        r#"
        [redaction]
        allow_list = ["http.*", "body"]
        patterns = { email = "token", card = "leave" }
        [[redaction.keys]]
        match = "user.email"
        action = "token"
        [[redaction.values]]
        name = "employee number"
        regex = "E-[0-9]{6}"
        action = "mask"
        "#,
    );
    let plan = section.plan().expect("valid").expect("is on");
    assert_eq!(plan.settings.keys[0].matches, "user.email");
    assert_eq!(plan.settings.patterns.len(), 2);
}

#[test]
fn mistakes_are_named_with_key_and_value() {
    for (text, expected) in [
        (
            "[[redaction.keys]]\nmatch = \"a\"\naction = \"hide\"",
            "redaction.keys.action must be drop, mask, token or leave, got \"hide\"",
        ),
        (
            "[[redaction.keys]]\nmatch = \"\"\naction = \"mask\"",
            "redaction.keys.match must have 1 to 256 bytes, got \"\"",
        ),
        ("redaction.patterns = { iban = \"mask\" }", "redaction.patterns must name patterns out of"),
        (
            "redaction.patterns = { card = \"hash\" }",
            "redaction.patterns must be drop, mask, token or leave, got \"hash\"",
        ),
        ("redaction.allow_list_action = \"leave\"", "redaction.allow_list_action must be drop, mask or token"),
        (
            "[[redaction.values]]\nname = \"n\"\nregex = \"(\"\naction = \"mask\"",
            "redaction.values.regex is not valid in \"n\"",
        ),
        (
            "[[redaction.values]]\nname = \"n\"\nregex = \"a*\"\naction = \"mask\"",
            "redaction.values.regex must not match an empty text",
        ),
        (
            "[[redaction.values]]\nname = \"n\"\nregex = \"a\"\naction = \"leave\"",
            "redaction.values.action must be drop, mask or token",
        ),
        ("redaction.key_file = \"/nowhere/key\"", "redaction.key_file cannot be read from /nowhere/key"),
    ] {
        let error = mistake(text);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_key_is_read_from_its_file_and_never_printed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("key");
    fs::write(&file, "k3y-material-that-is-long-enough-for-us\n").expect("disk takes it");
    let section = Redaction { key_file: Some(file.clone()), ..Redaction::default() };
    let plan = section.plan().expect("valid").expect("is on");
    assert!(plan.key.is_some());
    assert!(!format!("{plan:?}").contains("k3y-material"));
    let printed = toml::to_string_pretty(&section).expect("settings are TOML");
    assert!(printed.contains("key_file") && !printed.contains("k3y-material"), "{printed}");
    fs::write(&file, "short").expect("disk takes it");
    assert_eq!(
        section.plan().map(drop).expect_err("too short").to_string(),
        "redaction.key_file must hold at least 32 bytes, got 5"
    );
}
