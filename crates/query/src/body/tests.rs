//! Bodies are found whatever stands around them, and what is certain about them is.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Pieces of bodies: words in several cases, letters whose cases are not in the table of words or lie outside of ASCII,
/// and what separates words in several scripts.
const PIECES: [&str; 44] = [
    "disk",
    "Disk",
    "DISK",
    "di\u{17f}k",
    "DIS\u{212a}",
    "full",
    "Größe",
    "GRÖẞE",
    "größe",
    "İstanbul",
    "istanbul",
    "ISTANBUL",
    "ΣΊΣΥΦΟΣ",
    "σίσυφος",
    "błąd",
    "BŁĄD",
    "Ⅷ",
    "ⅷ",
    "ǅ",
    "ǆ",
    "\u{1fd3}",
    "\u{390}",
    "42",
    "x1",
    "a",
    "Q",
    "日本",
    "\u{345}",
    "ι",
    "\u{b5}s",
    "\u{3bc}S",
    "İ",
    " ",
    " ",
    " ",
    "-",
    "_",
    "=",
    "\"",
    "—",
    "、",
    "🙂",
    "\n",
    "é",
];

fn body() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(&PIECES[..]), 0..8).prop_map(|pieces| pieces.concat())
}

/// A piece of a body, cut anywhere.
fn piece() -> impl Strategy<Value = String> {
    (body(), any::<prop::sample::Index>(), 1..12_usize).prop_map(|(body, from, length)| {
        let chars: Vec<char> = body.chars().collect();
        let from = if chars.is_empty() { 0 } else { from.index(chars.len()) };
        chars.into_iter().skip(from).take(length).collect()
    })
}

/// A regular expression around pieces of bodies.
fn pattern() -> impl Strategy<Value = String> {
    let form = select(&[
        "{}",
        "(?i){}",
        "^{}",
        "{}$",
        "(?i)^{}$",
        "(?m)^{}",
        "(?m){}$",
        r"\b{}\b",
        "{}|{}",
        "(?i)(?:{} full|{} disk)",
        r"{}\s+{}",
        "{}.*{}",
        "(?s){}.*{}$",
        "(?:{} )+",
        "(?i){}[0-9]*{}",
        "[0-9]+{}",
        "(?:{})?{}",
        "({})({})",
        "[ =-]{}[ =-]",
        "{}{2}",
        "",
        "x*",
        "(?i) {} ",
        r"\W{}\W",
        "[^a]{}",
        "(?-u:[a-z]){}",
    ]);
    (form, piece(), piece()).prop_map(|(form, first, second)| {
        let text = form.replacen("{}", &regex::escape(&first), 1);
        text.replacen("{}", &regex::escape(&second), 1)
    })
}

/// A condition, and what it says about one body.
struct Case {
    matcher: Matcher,
    plain: Box<dyn Fn(&str) -> bool>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.matcher.name, self.matcher.candidates)
    }
}

fn condition() -> impl Strategy<Value = Case> {
    let regex_of = |pattern: &str| regex::Regex::new(pattern).unwrap();
    let text = piece().prop_filter_map("a text", move |text| {
        let plain = regex_of(&format!("(?i){}", regex::escape(&text)));
        let matcher = Matcher::text(&text).unwrap();
        (!text.is_empty()).then(|| Case { matcher, plain: Box::new(move |body| plain.is_match(body)) })
    });
    let word = select(&PIECES[..]).prop_filter_map("a word", move |text| {
        let plain = regex_of(&format!("^(?i:{text})$"));
        let plain = move |body: &str| word::words(body).any(|word| plain.is_match(word));
        Some(Case { matcher: Matcher::word(text).ok()?, plain: Box::new(plain) })
    });
    let regex = pattern().prop_filter_map("an expression", move |pattern| {
        let matcher = Matcher::regex(&pattern).ok()?;
        let plain = regex_of(&pattern);
        Some(Case { matcher, plain: Box::new(move |body| plain.is_match(body)) })
    });
    prop_oneof![text, word, regex]
}

fn hashes(body: &str) -> HashSet<u64> {
    let folded = word::words(body).map(|word| word.chars().map(word::fold).collect::<String>());
    folded.filter_map(|word| word::word_hash(&word)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_over_many_bodies_is_what_is_found_in_each(
        bodies in proptest::collection::vec(proptest::option::weighted(0.9, body()), 0..20),
        Case { matcher, plain } in condition(),
        skipped in 0..4_usize,
    ) {
        let array = StringArray::from(bodies.clone());
        let skipped = skipped.min(bodies.len());
        let found = matcher.rows(&array.slice(skipped, bodies.len() - skipped));
        for (row, body) in bodies[skipped..].iter().enumerate() {
            let expected = body.as_deref().is_some_and(&plain);
            prop_assert_eq!(found.value(row), expected, "{:?}", body);
            if let Some(body) = body.as_deref().filter(|_| expected) {
                let of_body = hashes(body);
                for set in matcher.words() {
                    prop_assert!(set.iter().any(|hash| of_body.contains(hash)), "the index would deny {body:?}");
                }
            }
        }
    }
}
