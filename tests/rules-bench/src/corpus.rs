//! The events that are judged: SigmaHQ's own, replicated with variation as OTLP logs, and spans of the simulator.

use std::fs;

use anyhow::{Context, Result};
use model::{EventBatch, Lsn, Signal, TenantId, UnixNanos};
use otlp::{Arrival, Format};
use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::resource::v1::Resource;
use serde_json::{Map, Value as Json};

use crate::ruleset;

/// Seed of every corpus.
pub const SEED: u64 = 20_260_101;
/// Events of a corpus.
pub const EVENTS: usize = 49_152;
/// Rows of a batch, as many as the detector judges together.
pub const BATCH_EVENTS: usize = 8_192;
/// Event time of the first event.
pub const START_NANOS: u64 = 1_767_225_600_000_000_000;
const USERS: u64 = 200;
const HOSTS: u64 = 50;

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// SigmaHQ's events as JSON objects, each replica with ids, times, hosts and users of its own; every second command line
/// occurs once.
pub fn sigmahq() -> Result<Option<Vec<Map<String, Json>>>> {
    let Some(cases) = ruleset::cases() else { return Ok(None) };
    let text = fs::read_to_string(cases.join("events.ndjson"))?;
    let mut originals = Vec::new();
    for line in text.lines() {
        let mut line: Json = serde_json::from_str(line)?;
        let event = line["event"].take();
        originals.push(event.as_object().context("an event is an object")?.clone());
    }
    let mut dice = Dice(SEED);
    Ok(Some((0..EVENTS).map(|number| vary(&originals[number % originals.len()], number as u64, &mut dice)).collect()))
}

fn vary(original: &Map<String, Json>, number: u64, dice: &mut Dice) -> Map<String, Json> {
    let user = format!("user{:03}", dice.below(USERS));
    let (host, pid) = (dice.below(HOSTS), dice.below(60_000));
    let is_unique = dice.below(2) == 0;
    let mut event = original.clone();
    event.retain(|_, value| !value.is_null());
    for (key, value) in &mut event {
        match (key.as_str(), &*value) {
            ("EventRecordID", _) => *value = number.into(),
            ("ProcessID" | "ProcessId" | "ThreadID" | "ParentProcessId", _) => *value = (pid + dice.below(500)).into(),
            ("SystemTime" | "UtcTime" | "CreationUtcTime", _) => {
                *value = format!(
                    "2026-01-01 00:{:02}:{:02}.{:03}",
                    number / 60_000 % 60,
                    number / 1_000 % 60,
                    number % 1_000
                )
                .into();
            }
            ("ProcessGuid" | "ParentProcessGuid" | "LogonGuid", _) => {
                *value =
                    format!("0197231E-{:04X}-6934-{:04X}-01000000{:04X}", number >> 16, number & 0xffff, pid).into();
            }
            ("Computer", _) => *value = format!("host-{host:02}.example").into(),
            ("CommandLine" | "ParentCommandLine", Json::String(text)) if is_unique => {
                *value = format!("{text} run={number}").into();
            }
            (_, Json::String(text)) => *value = text.replace("xodih", &user).into(),
            _ => {}
        }
    }
    event
}

/// JSON objects as log records, one attribute for a field, judged in batches.
pub fn as_logs(events: &[Map<String, Json>]) -> Result<Vec<EventBatch>> {
    let mut batches = Vec::new();
    for (number, chunk) in events.chunks(BATCH_EVENTS).enumerate() {
        let records = chunk.iter().enumerate().map(|(at, event)| LogRecord {
            time_unix_nano: START_NANOS + ((number * BATCH_EVENTS + at) as u64) * 1_000_000,
            attributes: event.iter().map(|(key, value)| pair(key, value)).collect(),
            ..LogRecord::default()
        });
        let scope = ScopeLogs { log_records: records.collect(), ..ScopeLogs::default() };
        let service = pair("service.name", &Json::from("windows"));
        let resource = Resource { attributes: vec![service], ..Resource::default() };
        let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![scope], ..ResourceLogs::default() };
        let body = ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec();
        batches.push(decode(Signal::Logs, &[body], number as u64 + 1)?);
    }
    Ok(batches)
}

/// Spans of the simulator, judged in batches.
pub fn spans() -> Result<Vec<EventBatch>> {
    let bodies: Vec<Vec<u8>> = simulate::load(SEED, EVENTS as u64, START_NANOS).map(|export| export.body).collect();
    let per_batch = BATCH_EVENTS / simulate::MAX_SPANS_PER_EXPORT;
    let chunks = bodies.chunks(per_batch).enumerate();
    chunks.map(|(number, chunk)| decode(Signal::Spans, chunk, number as u64 + 1)).collect()
}

/// Requests as the batch they become together.
pub fn decode(signal: Signal, bodies: &[Vec<u8>], lsn: u64) -> Result<EventBatch> {
    let received_at = UnixNanos(START_NANOS as i64);
    let arrival = Arrival { received_at, ..Arrival::default() };
    let mut parts = Vec::new();
    for body in bodies {
        let decoded = otlp::decode(signal, Format::Protobuf, body, &arrival)?;
        let part = EventBatch {
            tenant: TenantId::default_tenant(),
            signal,
            received_at,
            lsn: Lsn(0),
            records: decoded.records,
        };
        parts.push(part.placed(Lsn(lsn))?);
    }
    let records: Vec<_> = parts.iter().map(|part| part.records.clone()).collect();
    let records = model::join(&signal.stored_schema(), &records)?;
    let first = parts.into_iter().next().context("a batch has a request")?;
    Ok(EventBatch { records, ..first })
}

fn pair(key: &str, value: &Json) -> KeyValue {
    let kind = match value {
        Json::Bool(flag) => Kind::BoolValue(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Kind::IntValue(whole),
            None => Kind::DoubleValue(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Kind::StringValue(text.clone()),
        other => Kind::StringValue(other.to_string()),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(kind) }), ..KeyValue::default() }
}
