//! What is a word, and what is the same word.

use super::*;

fn hashes(text: &str) -> Vec<u64> {
    let mut found = Vec::new();
    each_hash(text, |hash| found.push(hash));
    found
}

#[test]
fn words_end_at_punctuation_of_any_script() {
    let found = |text| words(text).collect::<Vec<_>>();
    assert_eq!(found("GET /api/v1/orders?id=42 -> 503"), ["GET", "api", "v1", "orders", "id", "42", "503"]);
    assert_eq!(found("user_id “Größe”—déjà…vu"), ["user", "id", "Größe", "déjà", "vu"]);
    assert_eq!(found("支払い、失敗。retry 🙂ok"), ["支払い", "失敗", "retry", "ok"]);
    assert_eq!(found(" \t-- "), [] as [&str; 0]);
}

#[test]
fn the_hashes_of_a_text_are_those_of_its_words() {
    let texts = [
        "GET /api/v1/Orders",
        "“Größe” größe GRÖSSE",
        "x yy",
        "é",
        "aé bÉ",
        "a",
        "",
        "é",
        "ends with é",
        "é begins",
        "Ärger—x86é",
        "日本 語",
        "ÿŸ ſs Kk",
        "trailing ",
        "a\u{2019}b cd",
    ];
    for text in texts {
        let expected: Vec<u64> =
            words(text).filter_map(|word| word_hash(&word.chars().map(fold).collect::<String>())).collect();
        assert_eq!(hashes(text), expected, "{text:?}");
    }
    assert!(!hashes("“Größe”").is_empty());
}

#[test]
fn words_too_short_or_too_long_are_not_in_the_index() {
    let longest = "a".repeat(MAX_WORD_BYTES);
    assert_eq!(
        hashes(&format!("a bc {longest} {longest}a")),
        [word_hash("bc"), word_hash(&longest)].map(Option::unwrap)
    );
    assert_eq!(word_hash("a"), None);
    assert_eq!(word_hash(&"é".repeat(33)), None, "bytes count");
}

#[test]
fn folding_is_done_once_and_keeps_words_whole() {
    for c in '\0'..=char::MAX {
        assert_eq!(fold(fold(c)), fold(c), "{c:?}");
        assert_eq!(is_of_word(fold(c)), is_of_word(c), "{c:?}");
        assert!(!(is_of_word(c) && c.is_whitespace()), "{c:?}");
    }
    for c in ('\0'..='\u{17f}').chain('\u{391}'..='\u{3ce}').chain('\u{400}'..='\u{45f}') {
        let lower: String = c.to_lowercase().collect();
        if lower.chars().count() == 1 && !['\u{130}', '\u{17f}', '\u{b5}', '\u{3c2}'].contains(&c) {
            assert_eq!(fold(c).to_string(), lower, "{c:?}");
        }
    }
}

#[test]
fn separators_are_in_order_and_of_no_letter_or_digit() {
    assert!(SEPARATORS.is_sorted());
    let exceptions = ('\u{2070}'..='\u{2bff}').chain('\u{a8}'..='\u{be}').chain('\u{1f000}'..='\u{1faff}');
    let excepted: std::collections::HashSet<char> = exceptions.collect();
    for c in ('\u{80}'..=char::MAX).filter(|c| !excepted.contains(c)) {
        assert!(is_of_word(c) || !c.is_alphanumeric(), "{c:?} {:x}", u32::from(c));
    }
}
