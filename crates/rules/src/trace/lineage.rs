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
        Self { trace: plan.field("trace_id"), span: plan.field("span_id"), parent: plan.field("parent_span_id") }
    }

    /// Makes the fields ready; stored events need none of them.
    pub fn prepare(self, events: &Events<'_>, columns: &mut Columns<'_>) {
        if events.signal.is_none() {
            for field in [self.trace, self.span, self.parent] {
                columns.field(field);
            }
        }
    }

    /// The place of a row; `None` when it has no trace or span id.
    pub fn of(self, events: &Events<'_>, columns: &Columns<'_>, row: usize) -> Option<Lineage> {
        if events.signal.is_some() {
            let (trace, span) = (events.trace_id(row)?, events.span_id(row)?);
            return Some(Lineage { trace, span, parent: events.parent_id(row) });
        }
        let text = |field: usize| {
            let text = columns.ready(field)?.text(row)?;
            text.bytes().any(|byte| byte != b'0').then_some(text)
        };
        let hash = |text: &str| Sha256::digest(text);
        let span_id = |text: &str| text.parse().ok().or_else(|| SpanId::from_slice(&hash(text)[..8]));
        let trace = text(self.trace)?;
        let trace = trace.parse().ok().or_else(|| TraceId::from_slice(&hash(trace)[..16]))?;
        Some(Lineage { trace, span: span_id(text(self.span)?)?, parent: text(self.parent).and_then(span_id) })
    }
}
