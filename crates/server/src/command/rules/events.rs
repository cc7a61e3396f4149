//! `tracehound rules match|replay`: rules over a file of events.

use std::path::Path;

use anyhow::Result;
use rules::offline;

use super::{print_lines, read, valid_book};

/// Prints which events match which rules on single events.
pub fn matches(rules: &Path, events: &Path) -> Result<bool> {
    let (book, text) = (valid_book(rules)?, read(events)?);
    let found = offline::match_events(&book.compile(), text.lines())?;
    print_lines(found.iter().map(offline::Match::to_json)).map(|()| true)
}

/// Prints the alerts of correlations.
pub fn replay(rules: &Path, events: &Path, time_field: &str, id_field: Option<&str>) -> Result<bool> {
    let (book, text) = (valid_book(rules)?, read(events)?);
    // without a field that names them, events go by their line
    let id_field = id_field.unwrap_or_default();
    let found = offline::replay(&book.compile(), text.lines(), time_field, id_field)?;
    print_lines(found.iter().map(offline::Alert::to_json)).map(|()| true)
}
