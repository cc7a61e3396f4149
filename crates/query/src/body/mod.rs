//! Conditions on log bodies: a text, a word or a regular expression that is in them.
//!
//! Bodies of a batch lie one behind the other, so a search goes over all of them at once and asks only those rows one by
//! one in which it found something. That is as quick as bytes can be compared, and right where a match cannot depend on
//! what stands before and after the body.

mod certain;
mod function;

use arrow::array::{Array, BooleanArray, BooleanBufferBuilder, StringArray};
use datafusion::logical_expr::Expr;
use lake::word;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::Hir;

use crate::QueryError;
use certain::Edge;

/// Longest text looked for in bodies.
const MAX_TEXT_BYTES: usize = 4_096;
/// Longest word looked for in bodies.
const MAX_WORD_BYTES: usize = 1_024;
/// Longest regular expression looked for in bodies.
const MAX_REGEX_BYTES: usize = 1_024;
/// Size of a compiled expression; a larger one is refused.
const REGEX_SIZE_BYTES: usize = 4 << 20;
/// Longest match of an expression that is looked for over many bodies at once: it may go on that far into others.
const MAX_OVERLAP_BYTES: usize = 8 << 10;

/// Something that a body has to have.
#[derive(Debug)]
pub(crate) struct Matcher {
    /// Tells one from another.
    name: String,
    regex: Regex,
    is_word: bool,
    candidates: Candidates,
    words: Vec<Vec<u64>>,
}

/// How rows are found that are worth a look.
#[derive(Debug)]
enum Candidates {
    /// The expression itself, over all bodies at once.
    Itself,
    /// A part of every match, over all bodies at once.
    Part(Regex),
    /// Every row.
    All,
}

impl Matcher {
    /// Bodies that contain a text, upper and lower case alike.
    pub(crate) fn text(text: &str) -> Result<Self, QueryError> {
        limit("text", text, MAX_TEXT_BYTES)?;
        Self::new("text", &format!("(?i){}", regex::escape(text)), Edge::Anything)
    }

    /// Bodies with a word, upper and lower case alike.
    pub(crate) fn word(text: &str) -> Result<Self, QueryError> {
        limit("word", text, MAX_WORD_BYTES)?;
        if text.is_empty() || !text.chars().all(word::is_of_word) {
            let reason = "must be one word of letters and digits; use `text` for anything else".to_owned();
            return Err(QueryError::Invalid { field: "word", reason });
        }
        let made = Self::new("word", &format!("(?i){text}"), Edge::Separator)?;
        Ok(Self { is_word: true, ..made })
    }

    /// Bodies in which a regular expression matches.
    pub(crate) fn regex(pattern: &str) -> Result<Self, QueryError> {
        limit("regex", pattern, MAX_REGEX_BYTES)?;
        Self::new("regex", pattern, Edge::Anything)
    }

    fn new(field: &'static str, pattern: &str, edge: Edge) -> Result<Self, QueryError> {
        let wrong = |reason: String| QueryError::Invalid { field, reason };
        let hir = regex_syntax::parse(pattern).map_err(|error| wrong(error.to_string()))?;
        let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(REGEX_SIZE_BYTES).build();
        let regex = build(pattern).map_err(|error| wrong(error.to_string()))?;
        let candidates = match Self::stands_alone(&hir) {
            true => Candidates::Itself,
            // a part of an expression that is not too large is not too large
            false => {
                let part = certain::part_of(&hir).and_then(|part| build(&part.to_string()).ok());
                part.map_or(Candidates::All, Candidates::Part)
            }
        };
        let words = certain::words_of(&hir, edge);
        Ok(Self { name: format!("{field} {pattern}"), regex, is_word: false, candidates, words })
    }

    /// Whether a match is one wherever it stands, has at least one byte and does not go on for ever.
    fn stands_alone(hir: &Hir) -> bool {
        let properties = hir.properties();
        properties.look_set().is_empty()
            && properties.minimum_len().is_some_and(|least| least > 0)
            && properties.maximum_len().is_some_and(|most| most <= MAX_OVERLAP_BYTES)
    }

    /// The condition as an expression over the stored columns.
    pub(crate) fn to_expr(self: &std::sync::Arc<Self>) -> Expr {
        function::matches(self)
    }

    /// What the index of words must know of for a body to match: of every set, one.
    pub(crate) fn words(&self) -> &[Vec<u64>] {
        &self.words
    }

    /// Which bodies match; those that are not there do not.
    fn rows(&self, bodies: &StringArray) -> BooleanArray {
        let mut found = BooleanBufferBuilder::new(bodies.len());
        found.append_n(bodies.len(), false);
        let searched = match &self.candidates {
            Candidates::Itself => &self.regex,
            Candidates::Part(part) => part,
            Candidates::All => {
                for row in 0..bodies.len() {
                    found.set_bit(row, bodies.is_valid(row) && self.is_match(bodies.value(row)));
                }
                return BooleanArray::new(found.finish(), None);
            }
        };
        let offsets = bodies.value_offsets();
        let at = |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
        let bytes = &bodies.value_data()[..at(bodies.len())];
        let mut row = 0;
        while row < bodies.len()
            && let Some(candidate) = searched.find_at(bytes, at(row))
        {
            // the last row that begins at or before it: rows without a byte come before it
            row +=
                offsets[row..].partition_point(|offset| usize::try_from(*offset).unwrap_or(0) <= candidate.start()) - 1;
            let is_whole =
                matches!(self.candidates, Candidates::Itself) && !self.is_word && candidate.end() <= at(row + 1);
            found.set_bit(row, bodies.is_valid(row) && (is_whole || self.is_match(bodies.value(row))));
            row += 1;
        }
        BooleanArray::new(found.finish(), None)
    }

    fn is_match(&self, body: &str) -> bool {
        if !self.is_word {
            return self.regex.is_match(body.as_bytes());
        }
        // two places that overlap cannot both be whole words
        self.regex.find_iter(body.as_bytes()).any(|place| {
            let before = body.get(..place.start()).and_then(|before| before.chars().next_back());
            let after = body.get(place.end()..).and_then(|after| after.chars().next());
            !before.is_some_and(word::is_of_word) && !after.is_some_and(word::is_of_word)
        })
    }
}

fn limit(field: &'static str, text: &str, most: usize) -> Result<(), QueryError> {
    if text.len() <= most {
        return Ok(());
    }
    Err(QueryError::Invalid { field, reason: format!("must have at most {most} bytes, got {}", text.len()) })
}

#[cfg(test)]
mod tests;
