//! Where literals are found, and where not.

use proptest::prelude::*;

use super::*;

fn found(literals: &[Literal], payload: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    Finder::of(literals.to_vec()).find(payload, |range| found.push(range));
    found.sort_by_key(|range| (range.start, range.end));
    found
}

#[test]
fn a_literal_is_found_at_every_offset_from_the_first_byte_to_the_last() {
    for text in ["xox", "eyJ", "token", "authorization"] {
        for before in 0..20 {
            for behind in 0..20 {
                let payload = [&vec![b'x'; before][..], text.as_bytes(), &vec![b'y'; behind]].concat();
                let ranges = found(&[Literal::new(text.as_bytes(), false)], &payload);
                assert!(ranges.contains(&(before..before + text.len())), "{text} behind {before} and before {behind}");
            }
        }
    }
}

#[test]
fn our_own_keys_need_all_of_their_form() {
    let key = Literal::own_key();
    let ranges = found(std::slice::from_ref(&key), b"a th_0123456789abcdef_x");
    assert_eq!((ranges.len(), ranges.first()), (1, Some(&(2..5))));
    assert!(found(&[key], b"with_0123456789abcdef.th_0123456789abcdef").is_empty());
}

#[test]
fn no_literals_find_nothing() {
    assert!(found(&[], b"token").is_empty());
}

proptest! {
    /// The same as a comparison at every place.
    #[test]
    fn every_place_of_every_literal_is_found(
        literals in proptest::collection::vec(("[a-cA-C_]{3,6}", any::<bool>()), 1..6),
        payload in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'B'), Just(b'c'), Just(b'_'), any::<u8>()], 0..60),
    ) {
        let literals: Vec<_> = literals.iter().map(|(text, any_case)| Literal::new(text.as_bytes(), *any_case)).collect();
        let mut expected: Vec<_> = literals
            .iter()
            .flat_map(|literal| {
                let places = (0..payload.len()).filter(|at| literal.stands_at(&payload, *at));
                places.map(|at| at..at + literal.bytes.len())
            })
            .collect();
        expected.sort_by_key(|range| (range.start, range.end));
        prop_assert_eq!(found(&literals, &payload), expected);
    }
}
