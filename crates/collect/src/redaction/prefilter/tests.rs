//! The pass finds every needle wherever it stands, and nothing in ordinary telemetry.

use proptest::prelude::*;

use super::*;
use crate::redaction::pattern::Pattern;

fn shipped() -> Prefilter {
    let mut needles = Needles::default();
    for needle in Pattern::ALL.iter().filter(|pattern| **pattern != Pattern::Email).flat_map(|p| p.needles()) {
        needles.add(*needle);
    }
    needles.build()
}

#[test]
fn a_match_that_is_no_needle_hides_none() {
    let mut needles = Needles::default();
    needles.add(Needle::AnyCase("token"));
    needles.add(Needle::AnyCase("cookie"));
    needles.add(Needle::Exact("kex"));
    let pass = needles.build();
    for payload in ["tokex", "xtokex", "ttoken", "cookcookie", "cOoKiE", "TOKEN"] {
        assert!(!pass.scan(payload.as_bytes()).is_empty(), "{payload}");
    }
    for payload in ["toke", "cooki", "KEX", ""] {
        assert!(pass.scan(payload.as_bytes()).is_empty(), "{payload}");
    }
}

#[test]
fn passwords_in_urls_are_found_behind_other_ats() {
    let pass = shipped();
    for text in ["x@y http://u:p@h", "://:p@h", "a@b@ ://u:p@q@h", "u:p@tcp(h)"] {
        assert!(!pass.scan(text.as_bytes()).is_empty(), "{text}");
    }
    for text in ["a@b", "http://h/a@b:c@d", "http://u@h", "@scope/package", "mailto:a@b"] {
        assert!(pass.scan(text.as_bytes()).is_empty(), "{text}");
    }
}

#[test]
fn runs_of_digits_are_found_at_any_offset() {
    let pass = shipped();
    for offset in 0..40 {
        for number in ["4222222222222", "4111 1111-1111 1111"] {
            let text = format!("{}{number}", "x".repeat(offset));
            let candidates = pass.scan(text.as_bytes());
            assert!(!candidates.are_outside(&(offset..text.len())), "{text}");
        }
        assert!(pass.scan(format!("{}422222222222", "x".repeat(offset)).as_bytes()).is_empty());
    }
}

#[test]
fn a_payload_full_of_needles_is_walked_whole_and_takes_no_memory() {
    let payload = format!("token{}", " ".repeat(60)).repeat(10_000);
    let candidates = shipped().scan(payload.as_bytes());
    assert!(candidates.everything && candidates.ranges.is_empty());
}

proptest! {
    /// What a pattern finds in a text touches a candidate, with any bytes around the text.
    #[test]
    fn whatever_a_pattern_finds_was_announced(
        before in proptest::collection::vec(any::<u8>(), 0..40),
        pieces in proptest::collection::vec(piece(), 1..6),
        after in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let pass = shipped();
        let text = pieces.concat();
        let mut payload = before.clone();
        payload.extend_from_slice(text.as_bytes());
        payload.extend(after);
        let candidates = pass.scan(&payload);
        for pattern in Pattern::ALL.into_iter().filter(|pattern| *pattern != Pattern::Email) {
            if !pattern.find(&text).is_empty() {
                let range = before.len()..before.len() + text.len();
                prop_assert!(!candidates.are_outside(&range), "{} in {text:?}", pattern.as_str());
            }
        }
    }
}

/// Secrets, parts of secrets, and what stands between them.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 :/@=._-]{0,12}",
        "(?i)(bearer|token|password|passwd|pwd|secret|api[-_.]?key|cookie|authorization|private.key)",
        "[=:] ?[a-z0-9]{1,10}",
        "eyJ[a-zA-Z0-9_-]{8,12}\\.[a-zA-Z0-9_-]{2,8}\\.[a-z]{0,4}",
        "://[a-z]{0,5}:[a-z@]{1,6}@",
        "4111[ -]?1111[ -]?1111[ -]?1111",
        "A[KS]IA[A-Z0-9]{16}",
        "gh[pousr]_[A-Za-z0-9]{30}",
        "th_[0-9a-f]{16}_[0-9a-f]{64}",
        "-----BEGIN PRIVATE KEY-----",
        "(xoxb-[0-9]{10}|sk_live_[a-z0-9]{16}|sk-ant-[a-z0-9]{20}|AIza[a-z0-9]{35})",
        ".{0,6}",
    ]
}
