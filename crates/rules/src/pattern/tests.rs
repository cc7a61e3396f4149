//! Wildcards and escapes behave as the Sigma specification says.

use super::*;

fn matches(pattern: &str, text: &str) -> bool {
    Pattern::parse(pattern).matches(text)
}

#[test]
fn wildcards_match_the_whole_value() {
    assert!(matches("a*c", "abbbc") && matches("a*c", "ac") && !matches("a*c", "acd"));
    assert!(matches("a?c", "abc") && !matches("a?c", "ac") && matches("a?c", "aéc"));
    assert!(matches("*", "") && matches("*x*y*", "-x-y-") && !matches("*x*y*", "-y-x-"));
    assert!(matches("*ab*ab", "xabab") && !matches("*ab*ab", "xab"));
}

#[test]
fn a_backslash_escapes_only_what_is_special() {
    assert!(matches(r"a\*c", "a*c") && !matches(r"a\*c", "abc"));
    assert!(matches(r"C:\Windows\x", r"C:\Windows\x"));
    assert!(matches(r"a\\*", r"a\bc") && matches(r"a\\\*", r"a\*") && !matches(r"a\\\*", r"a\b"));
    assert!(matches(r"dir\", r"dir\"));
}

#[test]
fn common_patterns_become_cheap_shapes() {
    let shape = |text: &str| Pattern::parse(text).shape();
    assert_eq!(shape("x"), Shape::Exact("x".into()));
    assert_eq!(shape("x*"), Shape::Start("x".into()));
    assert_eq!(shape("*x"), Shape::End("x".into()));
    assert_eq!(shape("**x*"), Shape::Contains("x".into()));
    assert_eq!(Pattern::plain("x".into()).open(true, true).shape(), Shape::Contains("x".into()));
}
