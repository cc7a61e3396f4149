//! Why single events were refused while the rest of their request was stored.

/// What makes an event impossible to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    TraceId,
    SpanId,
    ParentSpanId,
    StartTime,
    EndTime,
    LogTime,
    ObservedTime,
}

const REASONS: [(Reason, &str); 7] = [
    (Reason::TraceId, "trace_id must be 16 bytes and not all zero"),
    (Reason::SpanId, "span_id must be 8 bytes and not all zero"),
    (Reason::ParentSpanId, "parent_span_id must be empty or 8 bytes"),
    (Reason::StartTime, "start_time_unix_nano lies past the year 2262"),
    (Reason::EndTime, "end_time_unix_nano lies past the year 2262"),
    (Reason::LogTime, "time_unix_nano lies past the year 2262"),
    (Reason::ObservedTime, "observed_time_unix_nano lies past the year 2262"),
];

/// Where an event stands in its request, all counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub resource: usize,
    pub scope: usize,
    pub record: usize,
}

/// Counts refused events by reason and remembers the first.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    counts: [u64; REASONS.len()],
    first: Option<Place>,
}

impl Rejections {
    pub fn add(&mut self, reason: Reason, place: Place) {
        self.counts[reason as usize] += 1;
        self.first.get_or_insert(place);
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// One sentence for the client: how many of how many, why, and where to look first. Empty when nothing was refused.
    pub fn message(&self, seen: u64, records: &str) -> String {
        let Some(first) = self.first else { return String::new() };
        let mut why = Vec::new();
        for ((_, text), count) in REASONS.iter().zip(self.counts).filter(|(_, count)| *count > 0) {
            why.push(format!("{text} ({count})"));
        }
        format!(
            "{} of {seen} {records} can never be stored: {}; the first is {records}[{}] of scope {} of resource {}",
            self.total(),
            why.join(", "),
            first.record,
            first.scope,
            first.resource,
        )
    }
}
