//! A lake in a temporary directory, fed with OTLP, and a query handle over it.

use std::sync::Arc;
use std::time::Duration;

use lake::{Lake, Settings};
use model::time::{NANOS_PER_MILLI, NANOS_PER_SEC};
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, TraceId, UnixNanos};
use otlp::{Arrival, Format};
use query::{AttributeFilter, FilterOp, Limits, LogSearch, Query, SpanSearch};
use runtime::{Clock, Database};
use serde_json::{Value, json};
use tempfile::TempDir;

/// 2026-11-22T14:30:00Z.
pub const NOW: UnixNanos = UnixNanos(1_795_357_800 * NANOS_PER_SEC);
/// The hour before now.
pub const LAST_HOUR: TimeRange = TimeRange { start: UnixNanos(NOW.0 - 3_600 * NANOS_PER_SEC), end: NOW };

/// Where the rows of a test lie while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    Memory,
    Files,
    /// The first half of the requests in a file, the second half in memory.
    Both,
    /// Each request in a file of its own, then merged to the end.
    Merged,
}

pub const EVERYWHERE: [Lie; 4] = [Lie::Memory, Lie::Files, Lie::Both, Lie::Merged];

pub struct House {
    _dir: TempDir,
    pub lake: Lake,
    pub query: Query,
    /// The lake's own: what it merges does not depend on the time that is asked about.
    lake_clock: Clock,
    next_lsn: std::sync::atomic::AtomicU64,
}

pub fn acme() -> TenantId {
    "acme".parse().unwrap()
}

impl House {
    pub async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub async fn with_limits(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW.0);
        let database = Database::open(&dir.path().join("catalog.db")).await.unwrap();
        let lake_clock = Clock::fixed(NOW.0);
        // what is merged has columns for its attributes, however few rows there are
        let settings = Settings { promote_from_rows: 1, ..Settings::new(dir.path().join("lake")) };
        let lake = Lake::open(settings, database, lake_clock.clone()).await.unwrap();
        let query = Query::new(lake.clone(), clock, limits).unwrap();
        Self { _dir: dir, lake, query, lake_clock, next_lsn: 1.into() }
    }

    /// A house with each request as one frame, lying where it should.
    pub async fn filled(lie: Lie, requests: &[Value]) -> Self {
        let house = Self::new().await;
        house.fill(lie, requests).await;
        house
    }

    pub async fn fill(&self, lie: Lie, requests: &[Value]) {
        for (index, request) in requests.iter().enumerate() {
            self.take(&acme(), request);
            let half = lie == Lie::Both && index + 1 == requests.len().div_ceil(2);
            if half || lie == Lie::Merged || (lie == Lie::Files && index + 1 == requests.len()) {
                self.lake.flush().await.unwrap();
            }
        }
        if lie == Lie::Merged {
            self.lake_clock.advance(Duration::from_secs(2 * 3_600));
            while self.lake.compact_once().await.unwrap() {}
        }
    }

    /// Takes in one request as the collector does.
    pub fn take(&self, tenant: &TenantId, request: &Value) {
        let signal = if request.get("resourceSpans").is_some() { Signal::Spans } else { Signal::Logs };
        let services = Some(Arc::from(["somebody else".to_owned()]));
        let arrival = Arrival { received_at: NOW, key_id: Some(Arc::from("key-1")), services, ..Arrival::default() };
        let decoded = otlp::decode(signal, Format::Json, request.to_string().as_bytes(), &arrival).unwrap();
        assert_eq!((decoded.rejected, decoded.message.as_str()), (0, ""));
        let lsn = Lsn(self.next_lsn.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        let batch =
            EventBatch { tenant: tenant.clone(), signal, received_at: NOW, lsn: Lsn(0), records: decoded.records };
        self.lake.insert(batch.placed(lsn).unwrap());
    }

    /// The traces that a search of the last hour finds, newest first, as the numbers they were made from.
    pub async fn find(&self, change: impl FnOnce(&mut SpanSearch)) -> Vec<u64> {
        let mut search = SpanSearch::in_range(LAST_HOUR, 100);
        change(&mut search);
        let page = self.query.search_traces(&acme(), search).await.unwrap();
        assert_eq!(page.next_cursor, None);
        page.items.iter().map(|hit| number_of(hit.trace_id)).collect()
    }

    /// The bodies of the log records that a search of the last hour finds.
    pub async fn find_logs(&self, change: impl FnOnce(&mut LogSearch)) -> Vec<String> {
        let mut search = LogSearch::in_range(LAST_HOUR, 100);
        change(&mut search);
        let page = self.query.search_logs(&acme(), search).await.unwrap();
        page.items.into_iter().map(|hit| hit.body.unwrap_or_default().0).collect()
    }
}

/// The trace of a number.
pub fn trace_id(number: u64) -> TraceId {
    TraceId(((u128::from(number) << 64) | 0xabcd).to_be_bytes())
}

pub fn number_of(trace: TraceId) -> u64 {
    (u128::from_be_bytes(trace.0) >> 64) as u64
}

/// So many milliseconds before now.
pub fn ago(millis: i64) -> UnixNanos {
    NOW.plus(-millis * NANOS_PER_MILLI)
}

/// A span in the making.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: &'static str,
    pub json: Value,
    resource: Vec<Value>,
}

/// A span of trace `trace` that began `start_ago_millis` before now and took 10 ms.
pub fn span(trace: u64, id: u64, service: &'static str, name: &str, start_ago_millis: i64) -> Span {
    let start = ago(start_ago_millis);
    let json = json!({
        "traceId": trace_id(trace).to_string(),
        "spanId": format!("{id:016x}"),
        "name": name,
        "kind": 2,
        "startTimeUnixNano": start.0.to_string(),
        "endTimeUnixNano": start.plus(10 * NANOS_PER_MILLI).0.to_string(),
        "attributes": [],
    });
    Span { service, json, resource: Vec::new() }
}

impl Span {
    pub fn parent(mut self, id: u64) -> Self {
        self.json["parentSpanId"] = json!(format!("{id:016x}"));
        self
    }

    pub fn kind(mut self, kind: u8) -> Self {
        self.json["kind"] = json!(kind);
        self
    }

    pub fn failed(mut self) -> Self {
        self.json["status"] = json!({"code": 2, "message": "broken"});
        self
    }

    pub fn millis(mut self, duration: i64) -> Self {
        let start: i64 = self.json["startTimeUnixNano"].as_str().unwrap().parse().unwrap();
        self.json["endTimeUnixNano"] = json!((start + duration * NANOS_PER_MILLI).to_string());
        self
    }

    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.json["attributes"].as_array_mut().unwrap().push(attribute(key, value));
        self
    }

    pub fn resource(mut self, key: &str, value: Value) -> Self {
        self.resource.push(attribute(key, value));
        self
    }
}

/// An OTLP attribute: whole numbers are integers.
pub fn attribute(key: &str, value: Value) -> Value {
    let value = match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.into_iter().map(|item| json!({"stringValue": item})).collect::<Vec<_>>()}})
        }
        other => panic!("no attribute value for {other}"),
    };
    json!({"key": key, "value": value})
}

/// An export request of spans.
pub fn spans(spans: &[Span]) -> Value {
    let resources = spans.iter().map(|span| {
        let mut attributes = span.resource.clone();
        attributes.push(attribute("service.name", json!(span.service)));
        json!({
            "resource": {"attributes": attributes},
            "scopeSpans": [{"scope": {"name": "test", "version": "1"}, "spans": [span.json]}],
        })
    });
    json!({"resourceSpans": resources.collect::<Vec<_>>()})
}

/// A log record of a service, so many milliseconds before now.
pub fn record(service: &'static str, body: &str, severity: u8, ago_millis: i64) -> (&'static str, Value) {
    let record = json!({
        "timeUnixNano": ago(ago_millis).0.to_string(),
        "severityNumber": severity,
        "severityText": "AS SENT",
        "body": {"stringValue": body},
        "attributes": [],
    });
    (service, record)
}

/// An export request of log records.
pub fn logs(records: &[(&'static str, Value)]) -> Value {
    let resources = records.iter().map(|(service, record)| {
        json!({
            "resource": {"attributes": [attribute("service.name", json!(service))]},
            "scopeLogs": [{"logRecords": [record]}],
        })
    });
    json!({"resourceLogs": resources.collect::<Vec<_>>()})
}

pub fn filter(key: &str, op: FilterOp, value: &str) -> AttributeFilter {
    AttributeFilter { key: key.to_owned(), op, value: value.to_owned() }
}
