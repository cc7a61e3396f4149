//! When a trace is judged: in event time alone, so that the order of arrival decides nothing.
//!
//! A trace lives as long as no gap between its spans is longer than the pattern's timespan. It is judged when its root
//! was seen and then nothing happened for the quiet period, or when it is a timespan old; and once more in the same
//! life, for spans that came after. A verdict for a moment looks at spans up to that moment only, and is given when the
//! watermark has passed it.

use super::tree::Span;
use super::{TracePattern, Wait};

/// How far the judging of one trace has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The moment judged last.
    pub judged: i64,
    /// How often in this life.
    pub times: u8,
}

impl Progress {
    /// Not judged yet.
    pub const NEW: Self = Self { judged: i64::MIN, times: 0 };
}

/// Verdicts on one life of a trace: one, and one more for what came late.
pub const VERDICTS: u8 = 2;

/// The next moment to judge, and how often the life it belongs to was judged before. Spans are in order of time.
pub fn next(pattern: &TracePattern, wait: Wait, spans: &[Span], progress: Progress) -> Option<Progress> {
    let mut first = spans.partition_point(|span| span.at <= progress.judged);
    let begins_life = |at: usize| at == 0 || is_apart(spans, at, pattern.span_nanos);
    if progress.times >= VERDICTS {
        first = (first..spans.len()).find(|at| begins_life(*at))?;
    }
    let start = spans.get(first)?.at;
    let times = if begins_life(first) { 0 } else { progress.times };
    let mut is_rooted = !wait.root || life(spans, first, pattern.span_nanos).iter().any(|span| span.parent.is_none());
    let oldest = start.saturating_add(pattern.span_nanos);
    for (at, span) in spans.iter().enumerate().skip(first) {
        let quiet = span.at.saturating_add(wait.quiet_nanos);
        is_rooted |= span.parent.is_none();
        if quiet >= oldest {
            break;
        }
        if is_rooted && spans.get(at + 1).is_none_or(|next| next.at > quiet) {
            return Some(Progress { judged: quiet, times });
        }
    }
    Some(Progress { judged: oldest, times })
}

/// The spans before `end` that belong to the life of the last of them; with `end` in the same life, those before it.
pub fn life(spans: &[Span], end: usize, span_nanos: i64) -> &[Span] {
    let same_life = end > 0 && (end >= spans.len() || !is_apart(spans, end, span_nanos));
    if !same_life {
        return &[];
    }
    let start = (1..end).rev().find(|at| is_apart(spans, *at, span_nanos)).unwrap_or(0);
    &spans[start..end]
}

/// Every life in full, oldest first.
pub fn lives(spans: &[Span], span_nanos: i64) -> impl Iterator<Item = &[Span]> {
    spans.chunk_by(move |one, next| next.at.saturating_sub(one.at) <= span_nanos)
}

fn is_apart(spans: &[Span], at: usize, span_nanos: i64) -> bool {
    spans[at].at.saturating_sub(spans[at - 1].at) > span_nanos
}
