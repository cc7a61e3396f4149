//! Which words are certain, and which part is looked for first.

use super::*;

fn sets(pattern: &str) -> Vec<Vec<u64>> {
    words_of(&regex_syntax::parse(pattern).unwrap(), Edge::Anything)
}

fn of(words: &[&str]) -> Vec<Vec<u64>> {
    words.iter().map(|word| vec![word::word_hash(word).unwrap()]).collect()
}

#[test]
fn only_words_with_both_ends_are_certain() {
    assert_eq!(sets("timeout"), of(&[]));
    assert_eq!(sets("payment for order 42"), of(&["for", "order"]));
    assert_eq!(sets(" payment "), of(&["payment"]));
    assert_eq!(sets("(?i)a Payment=DECLINED: b"), of(&["payment", "declined"]));
    assert_eq!(sets("^payment declined$"), of(&["payment", "declined"]));
    assert_eq!(sets(r"status=[0-9]+ after \d+ ms for"), of(&["after", "ms"]));
    assert_eq!(sets(r"x\s+payment\s+y"), of(&["payment"]));
    assert_eq!(sets(r"x\s*payment\s*y"), of(&[]));
    assert_eq!(sets(r"\bpayment\b"), of(&[]));
    assert_eq!(sets("x (?:pay|buy) y"), of(&[]));
    assert_eq!(sets("(?:card was declined|sum is too high) "), vec![[of(&["was"]), of(&["is"])].concat().concat()]);
    assert_eq!(sets("(?:card was declined|) "), of(&[]));
    assert_eq!(sets("(a card was)+"), of(&["card"]));
    assert_eq!(sets("(a card was)*"), of(&[]));
}

#[test]
fn letters_whose_cases_the_index_does_not_know_are_not_certain() {
    assert_eq!(sets("(?i) größe "), of(&["größe"]));
    assert_eq!(sets("(?i) disk "), of(&["disk"]), "the long s and the sign of kelvin are in the table");
    assert_eq!(sets(" ǆx "), of(&["ǆx"]));
    assert_eq!(sets("(?i) ǆx "), of(&[]), "it has three cases");
}

#[test]
fn the_longest_part_that_is_always_there_is_looked_for_first() {
    let part = |pattern: &str| part_of(&regex_syntax::parse(pattern).unwrap()).map(|part| part.to_string());
    assert_eq!(part(r"^id=\d+ took .* seconds"), Some("(?: seconds)".to_owned()));
    assert_eq!(part(r"(took [a-z]+ milliseconds.*)x"), Some("(?: milliseconds)".to_owned()));
    assert_eq!(part(r".*ab\d+"), None);
    assert_eq!(part(r"^(?:one|two)$"), None);
}
