//! Correlations over windows: events a second of one rule, with few huge groups and with very many small ones.

use std::sync::Arc;

use anyhow::Result;
use model::{EventBatch, Signal, UnixNanos};
use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use rules::{Engine, RuleBook, RuleSet};

use crate::corpus::{self, BATCH_EVENTS, Dice, SEED, START_NANOS};
use crate::timed;

/// Events of each row.
const EVENTS: u64 = 1_966_080;
/// Event time between two: a million a second.
const NANOS_BETWEEN: u64 = 1_000;
const LATER: UnixNanos = UnixNanos(i64::MAX);

/// What one row is about: its name, groups, values, the correlation.
const ROWS: [(&str, u64, u64, &str); 7] = [
    (
        "value_count, 4 groups of 1,000 values, never fires",
        4,
        1_000,
        "{type: value_count, rules: [seen], group-by: [session.id], timespan: 10m, condition: {field: client.address, gte: 5000}}",
    ),
    (
        "value_count, 4 groups of 1,000 values, fires at every event",
        4,
        1_000,
        "{type: value_count, rules: [seen], group-by: [session.id], timespan: 10m, condition: {field: client.address, gte: 20}}",
    ),
    (
        "value_count, 4 groups of a million values",
        4,
        1_000_000,
        "{type: value_count, rules: [seen], group-by: [session.id], timespan: 10m, condition: {field: client.address, gte: 2000000}}",
    ),
    (
        "value_count, 1,000 groups of 100 values",
        1_000,
        100,
        "{type: value_count, rules: [seen], group-by: [session.id], timespan: 10m, condition: {field: client.address, gte: 200}}",
    ),
    (
        "value_count, a million groups",
        1_000_000,
        100,
        "{type: value_count, rules: [seen], group-by: [session.id], timespan: 10m, condition: {field: client.address, gte: 200}}",
    ),
    (
        "event_count, 4 groups, fires at every event",
        4,
        1_000,
        "{type: event_count, rules: [seen], group-by: [session.id], timespan: 10m, condition: {gte: 100}}",
    ),
    (
        "event_count, 4 groups, waits for the watermark",
        4,
        1_000,
        "{type: event_count, rules: [seen], group-by: [session.id], timespan: 1s, condition: {lt: 3}}",
    ),
];

/// Prints a table.
pub fn run() -> Result<()> {
    println!("windows: {EVENTS} events of one rule, a million a second of event time");
    println!("| rule | events/s | us/event | of it the match | detections | suppressed | evicted |");
    println!("|---|---|---|---|---|---|---|");
    for (name, groups, values, correlation) in ROWS {
        let batches = batches(groups, values)?;
        let bare = run_one(&compile("")?, &batches).0;
        let set = compile(&format!("---\ntitle: counted\nname: counted\ncorrelation: {correlation}\n"))?;
        let (secs, engine, detections) = run_one(&set, &batches);
        let counters = engine.counters().find(|(rule, _)| *rule == "counted").map(|(_, counters)| counters);
        let counters = counters.unwrap_or_default();
        let per_event = 1e6 / EVENTS as f64;
        println!(
            "| {name} | {:.0} | {:.3} | {:.3} | {detections} | {} | {} |",
            EVENTS as f64 / secs,
            secs * per_event,
            bare * per_event,
            counters.suppressed,
            counters.evicted
        );
    }
    println!();
    Ok(())
}

fn run_one(set: &Arc<RuleSet>, batches: &[EventBatch]) -> (f64, Engine, usize) {
    let mut engine = Engine::new(Arc::clone(set));
    let (secs, found) = timed(|| batches.iter().map(|batch| engine.evaluate(batch, LATER).len()).sum());
    (secs, engine, found)
}

fn compile(correlation: &str) -> Result<Arc<RuleSet>> {
    let silent = if correlation.is_empty() { "condition: s and not s" } else { "condition: s" };
    let rule =
        format!("title: seen\nname: seen\ndetection: {{s: {{session.id|exists: true}}, {silent}}}\n{correlation}");
    let mut book = RuleBook::new();
    if let Err(faults) = book.update("bench.yml", &rule) {
        anyhow::bail!("{faults:?}");
    }
    Ok(book.compile())
}

fn batches(groups: u64, values: u64) -> Result<Vec<EventBatch>> {
    let mut dice = Dice(SEED);
    let mut batches = Vec::new();
    for first in (0..EVENTS).step_by(BATCH_EVENTS) {
        let records = (first..first + BATCH_EVENTS as u64).map(|number| LogRecord {
            time_unix_nano: START_NANOS + number * NANOS_BETWEEN,
            attributes: vec![
                text("session.id", format!("session-{}", dice.below(groups))),
                text("client.address", format!("addr-{}", dice.below(values))),
            ],
            ..LogRecord::default()
        });
        let scope = ScopeLogs { log_records: records.collect(), ..ScopeLogs::default() };
        let logs = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
        let body = ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec();
        batches.push(corpus::decode(Signal::Logs, &[body], first / BATCH_EVENTS as u64 + 1)?);
    }
    Ok(batches)
}

fn text(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Kind::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
