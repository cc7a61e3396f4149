//! Rules on single events: events a second of both engines on one core, and whether they find the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use model::{EventBatch, EventId, UnixNanos};
use rules::{Engine, RuleSet, Settings};
use serde_json::Value as Json;

use crate::ruleset::Texts;
use crate::{corpus, json, median, peer, timed};

const ROUNDS: usize = 5;
const LATER: UnixNanos = UnixNanos(i64::MAX);

/// Flat logs: SigmaHQ's events, one attribute for a field.
pub fn logs() -> Result<()> {
    let Some(events) = corpus::sigmahq()? else {
        println!("logs: skipped, ../shared/cases is absent\n");
        return Ok(());
    };
    let batches = corpus::as_logs(&events)?;
    let events: Vec<Json> = events.into_iter().map(Json::Object).collect();
    compare("flat logs", &Texts::load()?, &batches, &events)
}

/// Spans of the simulator.
pub fn spans() -> Result<()> {
    let batches = corpus::spans()?;
    let events: Vec<Json> = batches.iter().flat_map(json::rows).collect();
    compare("spans", &Texts::load()?, &batches, &events)
}

/// Rules that look for words in every field, alone: the other engine is the second oracle for them.
pub fn keywords() -> Result<()> {
    let Some(events) = corpus::sigmahq()? else {
        println!("keywords: skipped, ../shared/cases is absent\n");
        return Ok(());
    };
    let texts = Texts::of_keywords();
    let batches = corpus::as_logs(&events)?;
    let events: Vec<Json> = events.into_iter().map(Json::Object).collect();
    compare("flat logs, keyword rules", &texts, &batches, &events)
}

fn compare(what: &str, texts: &Texts, batches: &[EventBatch], events: &[Json]) -> Result<()> {
    let total: usize = batches.iter().map(EventBatch::len).sum();
    ensure!(total == events.len(), "both engines see the same events");
    let (load, set) = timed(|| texts.compile());
    let set = set?;
    let (peer_load, theirs) = timed(|| peer::engine(texts));
    let theirs = theirs?;
    println!("{what}: {total} events, {} rules; loaded in {load:.2} s, rsigma-eval in {peer_load:.2} s", set.len());
    let found = ours(&set, batches);
    let expected: BTreeSet<(usize, String)> = peer::matches(&theirs, events).into_iter().collect();
    let (mut live_secs, mut our_secs, mut peer_secs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        live_secs.push(timed(|| evaluate(&set, Settings::default(), batches)).0);
        our_secs.push(timed(|| evaluate(&set, settings(), batches)).0);
        peer_secs.push(timed(|| peer::count(&theirs, events)).0);
    }
    let per_sec = |secs: Vec<f64>| total as f64 / median(secs);
    let (live_rate, our_rate, peer_rate) = (per_sec(live_secs), per_sec(our_secs), per_sec(peer_secs));
    println!("| engine | events/s on one core | us/event | matches |");
    println!("|---|---|---|---|");
    let limit = Settings::default().detections_per_batch;
    println!("| tracehound, live: {limit} told per rule and batch | {live_rate:.0} | {:.2} | |", 1e6 / live_rate);
    println!("| tracehound, every match told | {our_rate:.0} | {:.2} | {} |", 1e6 / our_rate, found.len());
    println!("| rsigma-eval 0.23.0 | {peer_rate:.0} | {:.2} | {} |", 1e6 / peer_rate, expected.len());
    let same = if found == expected { "identical" } else { "DIFFERENT" };
    println!(
        "| ratio | {:.2} live, {:.2} every match told | | {same} |\n",
        live_rate / peer_rate,
        our_rate / peer_rate
    );
    name_differences(&set, &found, &expected, events);
    Ok(())
}

fn name_differences(
    set: &RuleSet,
    found: &BTreeSet<(usize, String)>,
    expected: &BTreeSet<(usize, String)>,
    events: &[Json],
) {
    let mut rules: BTreeSet<&str> = BTreeSet::new();
    for (event, rule) in found.symmetric_difference(expected) {
        if rules.insert(rule) && rules.len() <= 20 {
            let title = set.infos().find(|info| info.id == *rule).map(|info| info.title.as_str());
            let who = if found.contains(&(*event, rule.clone())) { "only tracehound" } else { "only rsigma-eval" };
            println!("difference, {who}: {rule} {title:?}, event {event}: {}", events[*event]);
        }
    }
}

fn settings() -> Settings {
    Settings { detections_per_batch: usize::MAX, ..Settings::default() }
}

/// Evaluates everything; how many detections there are.
fn evaluate(set: &Arc<RuleSet>, settings: Settings, batches: &[EventBatch]) -> usize {
    let mut engine = Engine::with_settings(Arc::clone(set), settings);
    batches.iter().map(|batch| std::hint::black_box(engine.evaluate(batch, LATER)).len()).sum()
}

/// Event and rule of every match.
fn ours(set: &Arc<RuleSet>, batches: &[EventBatch]) -> BTreeSet<(usize, String)> {
    let mut engine = Engine::with_settings(Arc::clone(set), settings());
    let mut found = BTreeSet::new();
    let mut first = 0;
    for batch in batches {
        let rows = rows_by_id(batch);
        for detection in engine.evaluate(batch, LATER) {
            let row = detection.events.first().and_then(|event| rows.get(event));
            found.extend(row.map(|row| (first + row, detection.rule.id)));
        }
        first += batch.len();
    }
    found
}

fn rows_by_id(batch: &EventBatch) -> std::collections::BTreeMap<EventId, usize> {
    use arrow::array::AsArray;
    use arrow::datatypes::{UInt32Type, UInt64Type};
    use model::{LogId, Lsn, Signal, SpanId, TraceId, signal};
    let column = |name: &str| batch.records.column_by_name(name).expect("a stored batch has its columns");
    let ids = |name: &str| column(name).as_fixed_size_binary();
    let id = |row: usize| match batch.signal {
        Signal::Spans => {
            let trace = TraceId::from_slice(ids(signal::TRACE_ID).value(row));
            let span = SpanId::from_slice(ids(signal::SPAN_ID).value(row));
            trace.zip(span).map(|(trace, span)| EventId::Span(trace, span))
        }
        Signal::Logs => {
            let lsn = Lsn(column(signal::SEQ).as_primitive::<UInt64Type>().value(row));
            let row = column(signal::ROW).as_primitive::<UInt32Type>().value(row);
            Some(EventId::Log(LogId { lsn, row }, None))
        }
    };
    (0..batch.len()).filter_map(|row| Some((id(row)?, row))).collect()
}
