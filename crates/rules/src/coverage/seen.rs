//! What the data has: which fields of those that rules ask for, and which services.

use std::collections::BTreeMap;

use model::signal::span;
use model::view::text_at;
use model::{EventBatch, Signal};

use crate::column::Columns;
use crate::events::Events;
use crate::offline::{self, OfflineError};
use crate::set::RuleSet;

/// Services counted one by one; the others are counted together.
const SERVICES: usize = 4_096;

/// What kind of events; those from a file say none.
pub(super) const KINDS_OF_EVENTS: usize = 3;

/// Fields and services of the events handed in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Events with a value, for each field that rules ask for, by kind of event.
    fields: Vec<[u64; KINDS_OF_EVENTS]>,
    rows: [u64; KINDS_OF_EVENTS],
    services: BTreeMap<String, OfService>,
    services_left_out: u64,
}

/// How often a field was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenField {
    /// Its name, as rules write it.
    pub name: String,
    /// Spans that have it.
    pub spans: u64,
    /// Log records that have it.
    pub logs: u64,
    /// Events of a file that have it.
    pub other: u64,
}

/// Counts of one service.
#[derive(Debug, Clone, Copy, Default)]
struct OfService {
    events: [u64; KINDS_OF_EVENTS],
    sampled: u64,
}

/// How many events a service sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenService {
    /// Its name.
    pub name: String,
    /// Spans.
    pub spans: u64,
    /// Log records.
    pub logs: u64,
    /// Spans whose trace state says that others like them were not sent.
    pub sampled_spans: u64,
}

/// The place of a kind of event in counts.
pub(super) fn kind_of(signal: Option<Signal>) -> usize {
    match signal {
        Some(Signal::Spans) => 0,
        Some(Signal::Logs) => 1,
        None => 2,
    }
}

impl Seen {
    /// Nothing yet, for the fields of these rules.
    pub fn new(set: &RuleSet) -> Self {
        Self {
            fields: vec![[0; KINDS_OF_EVENTS]; set.plan.len()],
            rows: [0; KINDS_OF_EVENTS],
            services: BTreeMap::new(),
            services_left_out: 0,
        }
    }

    /// Takes in stored events; `set` is the one it was made for.
    pub fn take(&mut self, set: &RuleSet, batch: &EventBatch) {
        if let Some(events) = Events::stored(batch) {
            self.take_events(set, &events);
        }
    }

    /// Takes in events that are lines of JSON.
    ///
    /// # Errors
    /// Names the first line that is not a JSON object.
    pub fn take_lines<'l>(
        &mut self,
        set: &RuleSet,
        lines: impl IntoIterator<Item = &'l str>,
    ) -> Result<(), OfflineError> {
        // no field is called so: when an event happened does not matter here
        offline::in_batches(lines, "", |events, _| self.take_events(set, events))
    }

    fn take_events(&mut self, set: &RuleSet, events: &Events<'_>) {
        let kind = kind_of(events.signal);
        self.rows[kind] += events.len() as u64;
        let mut columns = Columns::new(events.records, &set.plan, false);
        for (number, counts) in self.fields.iter_mut().enumerate() {
            let values = columns.field(number);
            counts[kind] += (0..events.len()).filter(|row| values.text(*row).is_some()).count() as u64;
        }
        let states = events.records.column_by_name(span::TRACE_STATE);
        let services = columns.field(set.service);
        for row in 0..events.len() {
            let Some(name) = services.text(row) else { continue };
            if !self.services.contains_key(name) {
                if self.services.len() >= SERVICES {
                    self.services_left_out += 1;
                    continue;
                }
                self.services.insert(name.to_owned(), OfService::default());
            }
            let Some(counts) = self.services.get_mut(name) else { continue };
            counts.events[kind] += 1;
            let state = states.and_then(|states| text_at(states, row));
            counts.sampled += u64::from(state.is_some_and(is_sampled));
        }
    }

    /// Events looked at.
    pub fn events(&self) -> u64 {
        self.rows.iter().sum()
    }

    /// Events of a kind looked at.
    pub(super) fn rows(&self, kind: usize) -> u64 {
        self.rows[kind]
    }

    /// Events of a kind that have a field.
    pub(super) fn has(&self, field: usize, kind: usize) -> bool {
        self.fields.get(field).is_some_and(|counts| counts[kind] > 0)
    }

    /// Every field that rules ask for, by name.
    pub fn fields(&self, set: &RuleSet) -> Vec<SeenField> {
        let named = set.plan.names().into_iter().filter_map(|(number, name)| Some((name, self.fields.get(number)?)));
        let mut fields: Vec<SeenField> = named
            .map(|(name, counts)| SeenField { name, spans: counts[0], logs: counts[1], other: counts[2] })
            .collect();
        fields.sort_by(|left, right| left.name.cmp(&right.name));
        fields
    }

    /// Every service, by name.
    pub fn services(&self) -> impl Iterator<Item = SeenService> {
        self.services.iter().map(|(name, counts)| SeenService {
            name: name.clone(),
            spans: counts.events[0],
            logs: counts.events[1],
            sampled_spans: counts.sampled,
        })
    }

    /// Events of services past the number that is told apart.
    pub fn services_left_out(&self) -> u64 {
        self.services_left_out
    }
}

/// Whether a W3C trace state says so: in OpenTelemetry's part `th` is the share that is left out, and 0 leaves out none.
fn is_sampled(state: &str) -> bool {
    let of_otel = state.split(',').find_map(|member| member.trim().strip_prefix("ot="));
    let threshold = of_otel.and_then(|value| value.split(';').find_map(|part| part.strip_prefix("th:")));
    threshold.is_some_and(|digits| digits.bytes().any(|digit| digit != b'0'))
}
