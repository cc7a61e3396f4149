//! Texts without which a regular expression cannot match, so that most values need not be tried.
//!
//! Safe by construction: what is not understood demands nothing. Texts are in ASCII lower case and are looked for in
//! values in ASCII lower case.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Alternatives of one expression; beyond, it is tried on every value.
const ALTERNATIVES: usize = 64;
/// Bytes of a useful text.
const USEFUL: usize = 3;

/// Texts of which at least one is in every value that matches; `None` when nothing useful can be said.
pub fn required(expression: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::Parser::new().parse(expression).ok()?;
    let texts = alternatives(&hir)?;
    (texts.len() <= ALTERNATIVES && texts.iter().all(|text| text.len() >= USEFUL)).then_some(texts)
}

/// The best choice of texts that a part demands.
fn alternatives(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => exact(hir).map(|text| vec![text]),
        HirKind::Capture(capture) => alternatives(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => alternatives(&repetition.sub),
        HirKind::Repetition(_) | HirKind::Empty | HirKind::Look(_) => None,
        HirKind::Concat(parts) => {
            let runs = runs(parts).into_iter().map(|text| vec![text]);
            runs.chain(parts.iter().filter_map(alternatives)).max_by_key(|texts| worth(texts))
        }
        HirKind::Alternation(parts) => {
            let all: Option<Vec<Vec<String>>> = parts.iter().map(alternatives).collect();
            all.map(|all| all.concat()).filter(|all| all.len() <= ALTERNATIVES)
        }
    }
}

/// The longer its shortest text and the fewer texts, the better a choice.
fn worth(texts: &[String]) -> (usize, usize) {
    let shortest = texts.iter().map(String::len).min().unwrap_or(0);
    (shortest, usize::MAX - texts.len())
}

/// The longest texts that neighbours make up together.
fn runs(parts: &[Hir]) -> Vec<String> {
    let mut runs = vec![String::new()];
    for part in parts {
        match (exact(part), runs.last_mut()) {
            (Some(text), Some(run)) => run.push_str(&text),
            _ => runs.push(String::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// The one text that a part can stand for, in lower case.
fn exact(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).ok().map(|text| text.to_ascii_lowercase()),
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Class(Class::Unicode(class)) => {
            let mut letters = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            let first = letters.next()?.to_ascii_lowercase();
            letters.all(|letter| letter.to_ascii_lowercase() == first).then(|| first.to_string())
        }
        _ => None,
    }
}
