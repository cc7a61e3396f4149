//! A rule that costs more than it may is stopped, says so once, and comes back when it is edited or enabled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use model::{EventBatch, Lsn, Severity, Signal, TenantId, UnixNanos};
use rules::budget::{Limits, RULE_STOPPED, Stopwatch};
use rules::{Engine, RuleBook, RuleSet};

const LATER: UnixNanos = UnixNanos(i64::MAX);
const ROWS: i64 = 100;

fn compile(text: &str) -> Arc<RuleSet> {
    let mut book = RuleBook::new();
    book.update("rule.yml", text).expect("a valid rule");
    book.compile()
}

fn logs(number: i64) -> EventBatch {
    let times = (0..ROWS).map(|row| (number * ROWS + row) * 1_000_000);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("+00:00"))),
        ("body", Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("line {row} of {number}"))))),
    ];
    EventBatch {
        tenant: TenantId::default_tenant(),
        signal: Signal::Logs,
        received_at: UnixNanos(0),
        lsn: Lsn(number as u64 + 1),
        records: RecordBatch::try_from_iter(columns).expect("a batch"),
    }
}

/// A stopwatch that a rule under measurement sees pass by so many nanoseconds.
fn ticking(step_nanos: u64) -> Stopwatch {
    let time = AtomicU64::new(0);
    Stopwatch::new(move || time.fetch_add(step_nanos, Ordering::Relaxed))
}

const DEAR: &str = "title: dear\nname: dear\ndetection: {s: {body|re: 'l.ne .*[0-9]'}, condition: s}\n";
const LIMITS: Limits = Limits { nanos_per_event: 1_000, over_events: 200, forgotten_percent: 10 };

fn stopped(engine: &Engine) -> Vec<String> {
    engine.stopped().map(|(rule, _)| rule.to_owned()).collect()
}

#[test]
fn a_rule_that_takes_too_long_is_stopped_and_one_alert_says_so() {
    let mut engine = Engine::new(compile(DEAR));
    engine.limit(ticking(5_000), LIMITS);
    let found = engine.evaluate(&logs(0), LATER);
    let (notices, others): (Vec<_>, Vec<_>) = found.iter().partition(|found| found.rule.id == RULE_STOPPED);
    assert_eq!((notices.len(), others.len() as i64), (1, ROWS), "what was found before it was stopped is told");
    assert_eq!(notices[0].rule.level, Severity::High);
    assert_eq!(notices[0].group[0], ("rule.id".to_owned(), "dear".to_owned()));
    assert!(notices[0].reason.contains("us of CPU for an event, 1.0 are allowed"), "{}", notices[0].reason);
    assert_eq!(stopped(&engine), ["dear"]);
    assert_eq!(engine.evaluate(&logs(1), LATER), []);

    let restored = Engine::restore(compile(DEAR), &engine.checkpoint()).expect("restored");
    assert_eq!(stopped(&restored), ["dear"], "a restart is no edit");

    engine.replace(compile(&DEAR.replace("title: dear", "title: still dear")));
    assert_eq!(stopped(&engine), ["dear"], "nor is a new title");
    assert!(engine.enable("dear") && !engine.enable("dear"));
    assert_eq!(engine.evaluate(&logs(2), LATER).len() as i64, ROWS);

    let mut engine = Engine::restore(compile(DEAR), &restored.checkpoint()).expect("restored");
    engine.replace(compile(&DEAR.replace("l.ne", "line")));
    assert_eq!(stopped(&engine), Vec::<String>::new(), "an edit is a new chance");
}

#[test]
fn a_cheap_rule_runs_on_and_nothing_is_measured_without_a_stopwatch() {
    for step_nanos in [None, Some(10)] {
        let mut engine = Engine::new(compile(DEAR));
        step_nanos.into_iter().for_each(|step| engine.limit(ticking(step), LIMITS));
        for number in 0..40 {
            assert_eq!(engine.evaluate(&logs(number), LATER).len() as i64, ROWS);
        }
        assert_eq!(stopped(&engine), Vec::<String>::new());
    }
}

#[test]
fn a_rule_whose_state_does_not_fit_is_stopped() {
    let text = "title: seen\nname: seen\ndetection: {s: {body|contains: line}, condition: s}\n---\n\
                title: wide\nname: wide\ncorrelation: {type: event_count, rules: [seen], group-by: [body], timespan: 1h, condition: {gte: 9}}\n";
    let settings = rules::Settings { state_bytes_per_rule: 4_096, ..rules::Settings::default() };
    let mut engine = Engine::with_settings(compile(text), settings);
    engine.limit(ticking(0), LIMITS);
    let found: Vec<_> = (0..20).flat_map(|number| engine.evaluate(&logs(number), LATER)).collect();
    assert_eq!(found.iter().map(|found| found.rule.id.as_str()).collect::<Vec<_>>(), [RULE_STOPPED]);
    assert!(found[0].reason.contains("its state does not fit"), "{}", found[0].reason);
    assert_eq!(stopped(&engine), ["wide"]);
    assert_eq!(engine.held().count(), 0, "and its memory is free");
}
