//! What every match of an expression is certain to contain: whole words for the index, a part to look for first.
//!
//! A match may begin and end in the middle of a word, and so may any piece of it behind or before something that is not
//! known. Only a word that has a separator, or the end of the body, on both sides is certain. Its letters are certain when
//! every character that may stand there folds to the same one.

use lake::word;
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look};

/// More characters than this at one place of an expression are not looked at one by one.
const MAX_CLASS_CHARS: u32 = 64;
/// Characters at one place of a part that is looked for first.
const MAX_PART_CLASS_CHARS: u32 = 4;
/// Shortest part that is worth looking for first.
const MIN_PART_BYTES: usize = 3;

/// What stands before and after a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// No character of a word.
    Separator,
    /// Not known.
    Anything,
}

/// What stands at one place of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    /// A character of a word, folded.
    Letter(char),
    /// A character that belongs to no word, or an end of the body.
    Separator,
    /// Any number of any characters.
    Anything,
}

impl From<Edge> for Item {
    fn from(edge: Edge) -> Self {
        match edge {
            Edge::Separator => Self::Separator,
            Edge::Anything => Self::Anything,
        }
    }
}

/// Sets of hashes of words: of every set, each body that matches has one.
pub(super) fn words_of(hir: &Hir, edge: Edge) -> Vec<Vec<u64>> {
    let mut reading = Reading { items: vec![edge.into()], sets: Vec::new() };
    reading.take(hir);
    reading.items.push(edge.into());
    reading.finish()
}

/// The longest piece that stands in every match as it is, but for cases; `None` when there is none worth looking for.
pub(super) fn part_of(hir: &Hir) -> Option<Hir> {
    let pieces = match hir.kind() {
        HirKind::Concat(pieces) => pieces.as_slice(),
        HirKind::Capture(capture) => return part_of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => return part_of(&repetition.sub),
        _ if is_plain(hir) => std::slice::from_ref(hir),
        _ => return None,
    };
    let bytes = |piece: &[Hir]| piece.iter().filter_map(|piece| piece.properties().minimum_len()).sum::<usize>();
    let runs = pieces.split(|piece| !is_plain(piece));
    let longest = runs.max_by_key(|run| bytes(run)).filter(|run| bytes(run) >= MIN_PART_BYTES);
    let inside = || pieces.iter().filter(|piece| !is_plain(piece)).filter_map(part_of);
    longest
        .map(|run| Hir::concat(run.to_vec()))
        .or_else(|| inside().max_by_key(|part| bytes(std::slice::from_ref(part))))
}

fn is_plain(piece: &Hir) -> bool {
    match piece.kind() {
        HirKind::Literal(_) => true,
        HirKind::Class(Class::Unicode(class)) => count(class) <= MAX_PART_CLASS_CHARS,
        _ => false,
    }
}

fn count(class: &ClassUnicode) -> u32 {
    class.iter().map(|range| u32::from(range.end()) - u32::from(range.start()) + 1).sum()
}

/// An expression that is read from left to right.
struct Reading {
    items: Vec<Item>,
    /// What is certain beside the items.
    sets: Vec<Vec<u64>>,
}

impl Reading {
    fn take(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => self.items.extend(text.chars().map(item_of)),
                Err(_) => self.items.push(Item::Anything),
            },
            HirKind::Class(class) => self.items.push(item_of_class(class)),
            HirKind::Look(look) => self.items.push(item_of_look(*look)),
            HirKind::Repetition(repetition) if repetition.min == 0 => self.items.push(Item::Anything),
            HirKind::Repetition(repetition) => match repetition.sub.kind() {
                HirKind::Class(class) if item_of_class(class) == Item::Separator => self.items.push(Item::Separator),
                _ => self.take_inside(&repetition.sub),
            },
            HirKind::Capture(capture) => self.take(&capture.sub),
            HirKind::Concat(pieces) => pieces.iter().for_each(|piece| self.take(piece)),
            HirKind::Alternation(branches) => {
                self.items.push(Item::Anything);
                // one set of each branch, which together have what any match has
                let firsts = branches.iter().map(|branch| words_of(branch, Edge::Anything).into_iter().next());
                self.sets.extend(firsts.collect::<Option<Vec<_>>>().map(|sets| sets.concat()));
            }
        }
    }

    /// What is there at least once, with more of the same before or after it.
    fn take_inside(&mut self, hir: &Hir) {
        self.items.push(Item::Anything);
        self.take(hir);
        self.items.push(Item::Anything);
    }

    fn finish(mut self) -> Vec<Vec<u64>> {
        let mut word = String::new();
        let mut is_certain = false;
        for item in self.items {
            match item {
                Item::Letter(letter) => word.push(letter),
                Item::Separator | Item::Anything => {
                    if is_certain && item == Item::Separator {
                        self.sets.extend(word::word_hash(&word).map(|hash| vec![hash]));
                    }
                    word.clear();
                    is_certain = item == Item::Separator;
                }
            }
        }
        self.sets
    }
}

fn item_of(c: char) -> Item {
    if word::is_of_word(c) { Item::Letter(word::fold(c)) } else { Item::Separator }
}

fn item_of_class(class: &Class) -> Item {
    let unicode = match class {
        Class::Unicode(class) => Some(class.clone()),
        Class::Bytes(class) => class.to_unicode_class(),
    };
    let Some(class) = unicode.filter(|class| count(class) <= MAX_CLASS_CHARS) else { return Item::Anything };
    let mut items = class.iter().flat_map(|range| range.start()..=range.end()).map(item_of);
    let first = items.next().unwrap_or(Item::Anything);
    if items.all(|item| item == first) { first } else { Item::Anything }
}

/// At the ends of a body and of a line there is no character of a word. Elsewhere `\b` asks for one that is none in its
/// own sense, which is not ours.
fn item_of_look(look: Look) -> Item {
    match look {
        Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF => Item::Separator,
        _ => Item::Anything,
    }
}

#[cfg(test)]
mod tests;
