//! Texts as they look encoded: base64, UTF-16, and any of the dashes that Windows takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::diagnostic::{Place, Report, code};
use crate::pattern::{DASHES, Pattern};

/// `windash` writes every combination of up to this many dashes out, which makes plain texts of them; from there on a
/// dash is a wildcard for any of them.
const WINDASH_COMBINED: usize = 2;

/// How a text is rewritten before it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    Base64,
    Base64Offset,
    Windash,
    Utf16Le,
    Utf16Be,
    Utf16,
}

/// A text on its way through the rewrites. Once it is bytes it has no wildcards.
struct Draft {
    pattern: Pattern,
    bytes: Option<Vec<u8>>,
}

impl Draft {
    fn of(pattern: Pattern) -> Self {
        Self { pattern, bytes: None }
    }

    /// What base64 encodes; `None` when there is a wildcard in it.
    fn raw(self) -> Option<Vec<u8>> {
        self.bytes.or_else(|| self.pattern.as_plain().map(|text| text.as_bytes().to_vec()))
    }
}

/// Applies rewrites in their order; `None` after reporting.
pub fn rewrite(pattern: Pattern, at: Place, rewrites: &[Rewrite], report: &mut Report) -> Option<Vec<Pattern>> {
    let mut drafts = vec![Draft::of(pattern)];
    for rewrite in rewrites {
        let mut next = Vec::new();
        for draft in drafts {
            match step(draft, *rewrite) {
                Ok(rewritten) => next.extend(rewritten),
                Err((message, hint)) => {
                    report.add(at, code::BAD_VALUE, message, hint);
                    return None;
                }
            }
        }
        drafts = next;
    }
    let mut patterns = Vec::with_capacity(drafts.len());
    for draft in drafts {
        match draft.bytes.map(String::from_utf8) {
            None => patterns.push(draft.pattern),
            Some(Ok(text)) => patterns.push(Pattern::plain(text)),
            Some(Err(_)) => {
                let message =
                    "the encoding gives bytes that are no text, which only base64 or base64offset can compare";
                report.add(at, code::BAD_VALUE, message, "add |base64offset|contains");
                return None;
            }
        }
    }
    Some(patterns)
}

fn step(draft: Draft, rewrite: Rewrite) -> Result<Vec<Draft>, (&'static str, &'static str)> {
    const WILD: (&str, &str) =
        ("a text with wildcards cannot be encoded", "remove the wildcard or escape it with a backslash");
    if rewrite == Rewrite::Windash {
        return match draft.bytes {
            None => Ok(windash(draft.pattern).into_iter().map(Draft::of).collect()),
            Some(_) => Err(("windash after an encoding has no dash to find", "write windash first")),
        };
    }
    if rewrite == Rewrite::Base64 {
        let raw = draft.raw().ok_or(WILD)?;
        return Ok(vec![Draft::of(Pattern::plain(STANDARD.encode(raw)))]);
    }
    if rewrite == Rewrite::Base64Offset {
        let raw = draft.raw().ok_or(WILD)?;
        return Ok(base64_offsets(&raw).into_iter().map(Pattern::plain).map(Draft::of).collect());
    }
    let text = draft.pattern.as_plain().ok_or(WILD)?;
    if draft.bytes.is_some() {
        return Err(("a text is encoded in UTF-16 twice", "remove one of the two"));
    }
    let bytes = match rewrite {
        Rewrite::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Rewrite::Utf16 => std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        _ => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    };
    Ok(vec![Draft { pattern: draft.pattern, bytes: Some(bytes) }])
}

/// The three texts the bytes can have inside a longer base64 text, cut to the characters they alone decide.
fn base64_offsets(raw: &[u8]) -> Vec<String> {
    let encode = |offset: usize| {
        let mut padded = vec![b' '; offset];
        padded.extend_from_slice(raw);
        let text = STANDARD.encode(&padded);
        let start = [0, 2, 3][offset];
        let end = text.len() - [0, 3, 2][padded.len() % 3];
        text.get(start..end).unwrap_or_default().to_owned()
    };
    (0..3).map(encode).collect()
}

/// Variants of a command line in which `-x` may be written with any dash Windows accepts.
fn windash(pattern: Pattern) -> Vec<Pattern> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut spots = Vec::new();
    for (index, text) in pattern.clone().texts_mut().enumerate() {
        let mut before: Option<char> = None;
        for (at, c) in text.char_indices() {
            let after = text[at + c.len_utf8()..].chars().next();
            if matches!(c, '-' | '/') && !before.is_some_and(is_word) && after.is_some_and(is_word) {
                spots.push((index, at));
            }
            before = Some(c);
        }
    }
    if spots.len() > WINDASH_COMBINED {
        return vec![pattern.with_any_dash(&spots)];
    }
    let mut variants = vec![pattern];
    // from the back, because dashes have different lengths
    for (index, at) in spots.into_iter().rev() {
        let swap = |variant: Pattern| {
            DASHES.map(|dash| {
                let mut swapped = variant.clone();
                if let Some(text) = swapped.texts_mut().nth(index) {
                    text.replace_range(at..=at, dash.encode_utf8(&mut [0; 4]));
                }
                swapped
            })
        };
        variants = variants.into_iter().flat_map(swap).collect();
    }
    variants
}
