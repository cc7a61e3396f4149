//! How rows that inherit come in, and go on to rules and correlations when all is known of them.

use std::collections::HashMap;
use std::sync::Arc;

use model::{EventId, Signal, SpanId};

use super::held::LetGo;
use super::plan::Waiting;
use super::row::{Climb, Known, Row};
use crate::budget::is_stopped;
use crate::column::Columns;
use crate::correlate;
use crate::engine::Tenant;
use crate::events::Events;
use crate::expression::Rows;
use crate::kinds::Kept;
use crate::pass::{Insert, Matches, Pass, Seen};
use crate::set::{CompiledBody, CompiledEvent, Feed, RuleSet, TracePlan};
use crate::trace::Mark;

/// Rows of which all is known and that match, by the number of their rule.
#[derive(Debug, Default)]
pub struct Dealt(HashMap<usize, Vec<Known>>);

impl Pass<'_> {
    /// Takes in the rows of a batch that inherit, after its spans, and hands out those of which all is known; what a
    /// rule raises on single events is raised here.
    pub fn deal(&mut self, tenant: &mut Tenant, matches: Option<&mut Matches<'_>>, floor: i64) -> Dealt {
        let set = self.set;
        if set.inherited.is_none() {
            return Dealt::default();
        }
        let mut gone = LetGo::new();
        let mut known = tenant.held.settle(set, &mut tenant.traces);
        for row in matches.map(|matches| rows(set, matches)).unwrap_or_default() {
            let bounds = self.settings.held_bounds();
            known.extend(tenant.held.offer(row, set, &mut tenant.traces, bounds, &mut gone));
        }
        known.extend(tenant.held.expire(floor, set, &mut tenant.traces));
        for (rule, rows) in gone {
            self.counters(&set.rules[rule]).evicted += rows;
        }
        known.sort_by_key(|known| (known.row.at, known.row.order, known.row.rule));
        let mut dealt = Dealt::default();
        for known in known {
            let rule = &set.rules[known.row.rule];
            if is_stopped(self.stopped, rule) {
                continue;
            }
            let CompiledBody::Event(event) = &rule.body else { continue };
            let Some(waiting) = event.waiting.as_deref().filter(|waiting| known.matches(set, waiting)) else {
                continue;
            };
            let dealt = dealt.0.entry(known.row.rule).or_default();
            // rows that match as they come were counted then
            self.counters(rule).matched += u64::from(waiting.rest.is_some());
            if waiting.alerts && !rule.silent {
                if dealt.len() < self.settings.detections_per_batch {
                    let text = |field: usize| known.text(waiting, field);
                    let seen = Seen { at: known.row.at, id: known.row.event.clone(), text: &text };
                    let before = self.detections.len();
                    self.single(&mut tenant.mute, rule, event, &seen);
                    let told = (self.detections.len() - before) as u64;
                    self.counters(rule).detections += told;
                    self.counters(rule).suppressed += 1 - told;
                } else {
                    self.counters(rule).limited += 1;
                }
            }
            dealt.push(known);
        }
        dealt
    }
}

impl Dealt {
    /// Hands the rows of a rule to a correlation. A row without one of the keys is not counted.
    pub fn feed(&self, set: &RuleSet, feed: &Feed, position: usize, insert: &mut Insert<'_>) {
        for (known, event) in self.of(set, feed) {
            let texts = |fields: &[usize]| -> Option<Vec<&str>> {
                fields.iter().map(|field| text(known, event, *field)).collect()
            };
            let Some(group) = texts(&feed.keys) else { continue };
            let value = texts(&feed.values).filter(|values| !values.is_empty());
            let value = value.map(|values| Arc::from(values.join("\u{1f}")));
            let events = Arc::from([known.row.event.clone()]);
            let kept = Kept { at: known.row.at, rule: position, value, events };
            insert((&correlate::key_of(&group), &group), kept);
        }
    }

    /// The rows of a rule.
    pub fn rows<'d>(&'d self, set: &'d RuleSet, feed: &Feed) -> Vec<Told<'d>> {
        self.of(set, feed).map(|(known, event)| Told { known, event }).collect()
    }

    /// The rows of a rule as marks of a step, with their traces.
    pub fn marks(&self, set: &RuleSet, feed: &Feed, step: usize) -> Vec<(model::TraceId, Mark)> {
        let mark = |(known, event): (&Known, &CompiledEvent)| {
            let row = &known.row;
            let (trace, span): (_, SpanId) = row.trace.zip(row.span).filter(|_| row.is_span)?;
            let values = feed.values.iter().map(|field| text(known, event, *field).map(Arc::from)).collect();
            Some((trace, Mark { at: row.at, order: row.order, span, step, event: row.event.clone(), values }))
        };
        self.of(set, feed).filter_map(mark).collect()
    }

    /// Rule and event of every row.
    pub fn events(&self) -> impl Iterator<Item = (usize, &EventId)> {
        self.0.iter().flat_map(|(rule, rows)| rows.iter().map(|known| (*rule, &known.row.event)))
    }

    fn of<'d>(&'d self, set: &'d RuleSet, feed: &Feed) -> impl Iterator<Item = (&'d Known, &'d CompiledEvent)> {
        let CompiledBody::Event(event) = &set.rules[feed.rule].body else { return None.into_iter().flatten() };
        Some(self.0.get(&feed.rule).into_iter().flatten().map(move |known| (known, event))).into_iter().flatten()
    }
}

/// A row that waited, with what it inherited.
pub struct Told<'d> {
    known: &'d Known,
    event: &'d CompiledEvent,
}

impl<'d> Told<'d> {
    /// Event time.
    pub fn at(&self) -> i64 {
        self.known.row.at
    }

    /// Which event it is.
    pub fn id(&self) -> &'d EventId {
        &self.known.row.event
    }

    /// What a field says.
    pub fn text(&self, field: usize) -> Option<&'d str> {
        text(self.known, self.event, field)
    }
}

fn text<'k>(known: &'k Known, event: &CompiledEvent, field: usize) -> Option<&'k str> {
    known.text(event.waiting.as_deref()?, field)
}

/// The rows of a batch that may match a rule that inherits.
fn rows(set: &RuleSet, matches: &mut Matches<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    let Some(plan) = set.traces else { return rows };
    let mut rules: Vec<usize> = matches.rows.keys().copied().collect();
    rules.sort_unstable();
    for rule in rules {
        let CompiledBody::Event(CompiledEvent { waiting: Some(waiting), .. }) = &set.rules[rule].body else { continue };
        plan.lineage.prepare(matches.events, &mut matches.columns);
        for (_, field) in &waiting.kept {
            matches.columns.field(*field);
        }
        let answers = matches.plain.get(&rule).map(Vec::as_slice).unwrap_or_default();
        for row in matches.rows.get(&rule).into_iter().flatten().copied() {
            let truth = |answer: &Rows| answer.as_ref().is_some_and(|rows| rows.has(row));
            let truths = answers.iter().map(truth).collect();
            rows.push(row_of((rule, waiting), plan, (matches.events, &matches.columns), row, truths));
        }
    }
    rows
}

/// What is kept of a row for a rule that waits; lineage and kept fields must be ready.
pub fn row_of(
    (rule, waiting): (usize, &Waiting),
    plan: TracePlan,
    (events, columns): (&Events<'_>, &Columns<'_>),
    row: usize,
    truths: Box<[bool]>,
) -> Row {
    let place = plan.lineage.place(events, columns, row);
    let is_span = events.signal.map_or(!place.is_log, |signal| signal == Signal::Spans);
    let value = |(_, field): &(String, usize)| columns.ready(*field)?.text(row).map(Arc::from);
    Row {
        rule,
        at: events.time(row),
        order: events.order(row),
        event: events.id(row),
        is_span,
        trace: place.trace,
        span: place.span,
        parent: if is_span { place.parent } else { place.span },
        truths,
        values: waiting.kept.iter().map(value).collect(),
        climb: Climb::from(place.span),
        is_settled: false,
    }
}
