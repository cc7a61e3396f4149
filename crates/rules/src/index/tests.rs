//! An index answers what asking each question of each value would.

use std::net::IpAddr;
use std::sync::Arc;

use super::field::{Desk, FieldIndex};
use super::literal;
use crate::atom::{AnyOf, Atom, Cell, Relation, Test};
use crate::pattern::Pattern;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn text(&mut self, letters: &str, longest: usize) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..self.below(longest + 1)).map(|_| letters[self.below(letters.len())]).collect()
    }
}

const EXPRESSIONS: [&str; 12] = [
    "abc",
    "(?i)abC",
    "(?i)k[ab]c",
    "^ab.*c$",
    "a(bc|cb)+",
    "(abc|bca)x?",
    "[ab]{3}",
    "(?s)a.b",
    r"\d{2,}",
    "a*",
    "",
    "(?i)(abcab|cabca)",
];

fn pattern(dice: &mut Dice) -> Pattern {
    Pattern::parse(&dice.text("abcABC*?k", 5)).open(dice.below(3) == 0, dice.below(3) == 0)
}

fn question(dice: &mut Dice) -> Test {
    match dice.below(6) {
        0 => Test::Regex(
            (0..=dice.below(2)).map(|_| regex::Regex::new(EXPRESSIONS[dice.below(12)]).expect("valid")).collect(),
        ),
        1 => Test::Compare(Relation::ALL[dice.below(6)], [-1.0, 0.0, -0.0, 2.0, 10.0, f64::NAN][dice.below(6)]),
        2 => Test::Cidr(
            ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "::/0", "fd00::/8", "0.0.0.0/0"]
                .into_iter()
                .filter(|_| dice.below(2) == 0)
                .map(|net| net.parse().expect("a network"))
                .collect(),
        ),
        3 => Test::Exists,
        _ => {
            let patterns = (0..dice.below(4)).map(|_| pattern(dice)).collect();
            let numbers = (0..dice.below(2)).map(|_| [0.0, 2.0, 10.0][dice.below(3)]).collect();
            Test::AnyOf(Box::new(AnyOf::new(patterns, numbers, dice.below(3) == 0)))
        }
    }
}

fn value(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => ["0", "-0", "2", " 2", "10", "1e1", "2.5", "nan", "1e400"][dice.below(9)].to_owned(),
        1 => {
            ["10.1.2.3", "10.200.0.1", "192.0.2.1", "fd00::1", "::ffff:10.1.2.3", " 10.1.2.3"][dice.below(6)].to_owned()
        }
        2 => dice.text("abcABC", 9),
        _ => dice.text("aAbBcCk\u{212a}é*?1\n ", 9),
    }
}

/// Asks one question of one value, the long way.
fn passes(test: &Test, text: &str) -> bool {
    let cell = Cell::new(text);
    match test {
        Test::Exists => true,
        Test::Regex(expressions) => expressions.iter().any(|regex| regex.is_match(text)),
        Test::Compare(relation, bound) => cell.number().is_some_and(|number| relation.holds(number, *bound)),
        Test::Cidr(networks) => {
            let address: Option<IpAddr> = text.trim().parse().ok();
            address.is_some_and(|address| networks.iter().any(|network| network.contains(&address)))
        }
        Test::AnyOf(any) => {
            let seen = if any.cased { text } else { cell.lower() };
            any.exact.contains(seen)
                || any.contains.iter().any(|text| seen.contains(text))
                || any.starts.iter().any(|text| seen.starts_with(text))
                || any.ends.iter().any(|text| seen.ends_with(text))
                || any.globs.iter().any(|glob| glob.matches(seen))
                || cell.number().is_some_and(|number| any.numbers.contains(&number))
        }
        Test::Part(part, relation, bound) => {
            part.of(text).is_some_and(|found| relation.holds(f64::from(found), *bound))
        }
        Test::SameAs { .. } => false,
    }
}

#[test]
fn every_question_is_answered_as_if_it_were_asked_alone() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let atoms: Vec<Arc<Atom>> = (0..40)
            .map(|_| {
                Arc::new(Atom { field: Some("f".to_owned()), test: question(&mut dice), canonical: String::new() })
            })
            .collect();
        let mut index = FieldIndex::default();
        atoms.iter().zip(0..).for_each(|(atom, number)| index.add(number, atom));
        index.finish();
        let mut desk = Desk::default();
        for _ in 0..60 {
            let text = value(&mut dice);
            let mut found = vec![false; atoms.len()];
            index.find(&Cell::new(text.as_str()), &mut desk, &mut |atom| found[atom as usize] = true);
            for (atom, found) in atoms.iter().zip(found) {
                assert_eq!(found, passes(&atom.test, &text), "seed {seed}: {:?} of {text:?}", atom.test);
            }
        }
    }
}

#[test]
fn what_an_expression_needs_is_what_it_needs() {
    let required = |expression: &str| literal::required(expression).unwrap_or_default();
    assert_eq!(required("foo.*barbaz"), ["barbaz"]);
    assert_eq!(required("(?i)UNION\\s+Alt"), ["union"]);
    assert_eq!(required("(alpha|beta)x*"), ["alpha", "beta"]);
    assert_eq!(required("(?:abc){2,}"), ["abc"]);
    // the Kelvin sign and the long s are letters of the case-insensitive k and s
    assert_eq!(required("(?i)basket"), Vec::<String>::new());
    for nothing in ["a|b", "(abc)?", "[a-z]+", "ab", "", "abc|x", "^$"] {
        assert_eq!(required(nothing), Vec::<String>::new(), "{nothing}");
    }
}
