//! Which side of a call a row is.

use model::EventId;

use super::operation;
use crate::column::{Columns, Plan};
use crate::events::Events;
use crate::trace::lineage::{self, Lineage};

/// Numbers of the fields that tell of calls.
#[derive(Debug, Clone, Copy)]
pub struct Fields {
    lineage: lineage::Fields,
    kind: usize,
    service: usize,
    peer: usize,
    operation: operation::Fields,
}

/// A span as one side of a call.
#[derive(Debug)]
pub struct Side<'c> {
    /// When it ended.
    pub at: i64,
    pub place: Lineage,
    pub service: &'c str,
    pub role: Role<'c>,
    pub event: EventId,
    /// The event that the span above it is, where spans are events of the store.
    pub above: Option<EventId>,
}

/// What a span does in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role<'c> {
    /// It answers: a server or consumer span.
    Called,
    /// It asks a service that it names: a client or producer span.
    Calls(&'c str),
    /// Neither; it may still be the parent of one that answers.
    Neither,
}

impl Fields {
    /// Asks for the fields.
    pub fn new(plan: &mut Plan) -> Self {
        Self {
            lineage: lineage::Fields::new(plan),
            kind: plan.field("kind"),
            service: plan.field("service.name"),
            peer: plan.field("service.peer.name"),
            operation: operation::Fields::new(plan),
        }
    }

    /// Makes the fields ready.
    pub fn prepare(&self, events: &Events<'_>, columns: &mut Columns<'_>) {
        self.lineage.prepare(events, columns);
        for field in [self.kind, self.service, self.peer] {
            columns.field(field);
        }
        self.operation.prepare(columns);
    }

    /// The side that a row is; `None` when it is no span, or does not say whose.
    pub fn side<'c>(&self, events: &Events<'_>, columns: &'c Columns<'_>, row: usize) -> Option<Side<'c>> {
        let text = |field: usize| columns.ready(field)?.text(row);
        let place = self.lineage.of(events, columns, row)?;
        let service = text(self.service).filter(|service| !service.is_empty())?;
        let role = match text(self.kind) {
            Some("server") => Role::Called,
            // a message without a sender above it may be linked to one; it does not come from outside
            Some("consumer") if place.parent.is_some() => Role::Called,
            Some("client" | "producer") => {
                let peer = text(self.peer).filter(|peer| !peer.is_empty() && *peer != service);
                peer.map_or(Role::Neither, Role::Calls)
            }
            _ => Role::Neither,
        };
        let event = events.id(row);
        let is_stored = matches!(event, EventId::Span(..));
        let above = place.parent.filter(|_| is_stored).map(|parent| EventId::Span(place.trace, parent));
        Some(Side { at: events.time(row), place, service, role, event, above })
    }

    /// What the call of a row asks for.
    pub fn operation(&self, columns: &Columns<'_>, row: usize, role: Role<'_>) -> Option<String> {
        self.operation.of(columns, row, role == Role::Called)
    }
}
