//! No word that is there is denied; most that are not are.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use super::*;
use crate::word::word_hash;

fn slice(bodies: impl Iterator<Item = Option<String>>) -> RecordBatch {
    let bodies: ArrayRef = Arc::new(bodies.collect::<StringArray>());
    RecordBatch::try_from_iter([(log::BODY, bodies)]).unwrap()
}

fn index(slices: &[RecordBatch]) -> WordIndex {
    let mut builder = Builder::default();
    slices.iter().for_each(|slice| builder.add_slice(slice).unwrap());
    WordIndex::read(&builder.finish().1).unwrap()
}

fn hash(word: &str) -> u64 {
    word_hash(word).unwrap()
}

#[test]
fn every_word_is_found_in_its_slice() {
    let body = |row: usize| Some(format!("Order {row} of ü{row} FAILED: x{}", row % 7));
    let index = index(&[slice((0..1_000).map(body)), slice((1_000..2_000).map(body))]);
    for row in 0..2_000_usize {
        for word in ["order".to_owned(), format!("ü{row}"), "failed".to_owned(), format!("x{}", row % 7)] {
            assert!(index.slices_with(&[vec![hash(&word)]])[row / 1_000], "{word}");
        }
    }
    assert_eq!(index.slices_with(&[vec![hash("failed")], vec![hash("nowhere"), hash("x3")]]), [true, true]);
    let absent = (0..10_000).map(|number| hash(&format!("absent{number}")));
    let passed = absent.filter(|hash| index.slices_with(&[vec![*hash]])[0]).count();
    assert!(passed < 100, "{passed} of 10,000 absent words, 40 are expected");
}

#[test]
fn a_slice_of_too_many_words_may_hold_anything() {
    let many = |row: usize| Some((0..10).map(|word| format!("w{row}x{word} ")).collect());
    let index = index(&[slice((0..SLICE_ROWS).map(many)), slice((0..10).map(many))]);
    assert_eq!(index.slices_with(&[vec![hash("nowhere")]]), [true, false]);
}

#[test]
fn bodies_that_are_not_there_have_no_words() {
    let index = index(&[slice((0..10).map(|row| (row % 2 == 0).then(|| "ready".to_owned())))]);
    assert_eq!(index.slices_with(&[vec![hash("ready")]]), [true]);
    assert_eq!(index.slices_with(&[vec![hash("nowhere")]]), [false]);
}
