//! Baselines go out empty and come back full, once.

use std::collections::BTreeMap;

use model::{EventBatch, Lsn, Signal, TenantId, UnixNanos};
use otlp::{Arrival, Format};
use pipeline::history::{Read, desk};
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use rules::{Engine, RuleBook};

const RULE: &str = "title: t\nname: t\ncorrelation: {type: first_seen, rules: [any], fields: [name], learn: 1d, forget: 30d, warm_start: history}\n---\ntitle: any\nname: any\ndetection: {s: {name|exists: true}, condition: s}\n";
const NOW: UnixNanos = UnixNanos(1_764_000_000_000_000_000);

fn span() -> EventBatch {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        name: "a".to_owned(),
        start_time_unix_nano: NOW.0.unsigned_abs(),
        end_time_unix_nano: NOW.0.unsigned_abs(),
        ..Span::default()
    };
    let spans = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource_spans = vec![ResourceSpans { scope_spans: vec![spans], ..ResourceSpans::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let arrival = Arrival { received_at: NOW, ..Arrival::default() };
    let records = otlp::decode(Signal::Spans, Format::Protobuf, &body, &arrival).expect("decoded").records;
    let tenant = TenantId::default_tenant();
    let batch = EventBatch { tenant, signal: Signal::Spans, received_at: NOW, lsn: Lsn(1), records };
    batch.placed(Lsn(1)).expect("the stored schema")
}

fn engines() -> BTreeMap<TenantId, Engine> {
    let mut book = RuleBook::new();
    book.update("rule.yml", RULE).expect("a valid rule");
    let mut engine = Engine::new(book.compile());
    engine.evaluate(&span(), NOW);
    BTreeMap::from([(TenantId::default_tenant(), engine)])
}

fn wants_history(engines: &BTreeMap<TenantId, Engine>) -> bool {
    engines.iter().any(|(tenant, engine)| engine.learner(tenant).is_some())
}

#[tokio::test]
async fn a_baseline_is_read_once_and_adopted() {
    let (mut history, mut orders) = desk();
    let mut engines = engines();
    history.exchange(&mut engines);
    let learner = orders.next().await.expect("a learner");
    assert_eq!(learner.rules().collect::<Vec<_>>(), ["t"]);
    assert!(wants_history(&engines));
    orders.done(Read::Whole(Box::new(learner))).await;
    history.exchange(&mut engines);
    assert!(!wants_history(&engines));
}

#[tokio::test]
async fn a_history_that_could_not_be_read_is_still_wanted() {
    let (mut history, mut orders) = desk();
    let mut engines = engines();
    history.exchange(&mut engines);
    let tenant = orders.next().await.expect("a learner").tenant().clone();
    orders.done(Read::Failed(tenant)).await;
    history.exchange(&mut engines);
    assert!(wants_history(&engines));
    drop(history);
    assert!(orders.next().await.is_none(), "and not handed out again at once");
}
