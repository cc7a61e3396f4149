//! To which trace a row of a batch belongs, and under which span it stands.

use model::{SpanId, TraceId};
use sha2::{Digest, Sha256};

use crate::column::{Columns, Plan};
use crate::events::Events;

/// Numbers of the fields by which events from outside the store name their place.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    trace: usize,
    span: usize,
    parent: usize,
    /// A log record has one of these, and is of no kind.
    of_logs: [usize; 2],
    kind: usize,
    /// Of its sampling: flags and trace state.
    pub sampling: [usize; 2],
    pub links: usize,
}

/// Where a row stands, as far as it says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    pub trace: Option<TraceId>,
    pub span: Option<SpanId>,
    /// `None` for a root.
    pub parent: Option<SpanId>,
    /// It is a log record of a file that does not say what its events are.
    pub is_log: bool,
}

/// The place of one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    pub trace: TraceId,
    pub span: SpanId,
    /// `None` for a root.
    pub parent: Option<SpanId>,
}

impl Fields {
    /// Asks for the fields.
    pub fn new(plan: &mut Plan) -> Self {
        Self {
            trace: plan.field("trace_id"),
            span: plan.field("span_id"),
            parent: plan.field("parent_span_id"),
            of_logs: ["body", "event_name"].map(|field| plan.field(field)),
            kind: plan.field("kind"),
            sampling: ["flags", "trace_state"].map(|field| plan.field(field)),
            links: plan.field("links"),
        }
    }

    /// Makes the fields ready; stored events need none of them.
    pub fn prepare(self, events: &Events<'_>, columns: &mut Columns<'_>) {
        if events.signal.is_none() {
            let own = [self.trace, self.span, self.parent, self.kind, self.links];
            for field in own.into_iter().chain(self.of_logs).chain(self.sampling) {
                columns.field(field);
            }
        }
    }

    /// The place of a span; `None` when it has no trace or span id, or is a log record.
    pub fn of(self, events: &Events<'_>, columns: &Columns<'_>, row: usize) -> Option<Lineage> {
        let Standing { trace, span, parent, is_log } = self.place(events, columns, row);
        Some(Lineage { trace: trace.filter(|_| !is_log)?, span: span?, parent })
    }

    /// Where a row stands; a log record names the span it belongs to.
    pub fn place(self, events: &Events<'_>, columns: &Columns<'_>, row: usize) -> Standing {
        if events.signal.is_some() {
            let (trace, span) = (events.trace_id(row), events.span_id(row));
            return Standing { trace, span, parent: events.parent_id(row), is_log: false };
        }
        let text = |field: usize| {
            let text = columns.ready(field)?.text(row)?;
            text.bytes().any(|byte| byte != b'0').then_some(text)
        };
        Standing {
            trace: text(self.trace).and_then(trace_id),
            span: text(self.span).and_then(span_id),
            parent: text(self.parent).and_then(span_id),
            is_log: text(self.kind).is_none() && self.of_logs.into_iter().any(|field| text(field).is_some()),
        }
    }
}

/// The id of a trace, of whatever text a file names it by.
pub fn trace_id(text: &str) -> Option<TraceId> {
    text.parse().ok().or_else(|| TraceId::from_slice(&Sha256::digest(text)[..16]))
}

/// The id of a span, of whatever text a file names it by.
pub fn span_id(text: &str) -> Option<SpanId> {
    text.parse().ok().or_else(|| SpanId::from_slice(&Sha256::digest(text)[..8]))
}
