//! The engine's memory as bytes, and back.
//!
//! Version 1: the ASCII line `tracehound-rules 1\n`, then one JSON object ([`Memory1`]). Field names are part of the
//! format; a change of their meaning needs a new version, and version 1 stays readable. A field may be added when its
//! absence reads as having remembered nothing, as `traces`, `held`, `baselines` and `calls` of a tenant do.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{EventId, LogId, SpanId, TenantId, TraceId};
use serde::{Deserialize, Serialize};

use crate::baseline::saved::{self, Baseline1};
use crate::correlate::Memory;
use crate::correlate::group::Group;
use crate::edge::saved::Calls1;
use crate::engine::{Engine, RuleCounters, Settings, Tenant, memory_key};
use crate::inherited::saved::Held1;
use crate::kinds::Kept;
use crate::set::{CompiledBody, RuleSet};
use crate::trace::saved::Traces1;

const HEADER: &[u8] = b"tracehound-rules 1\n";

/// Why a checkpoint cannot be read. Start with an empty engine and read the log from its beginning.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes begin with another version or are no checkpoint at all.
    #[error("not a checkpoint of a known version")]
    Version,
    /// The bytes are damaged.
    #[error("checkpoint is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A tenant or event identity does not read back.
    #[error("checkpoint is damaged: bad identity {0:?}")]
    Identity(String),
}

#[derive(Serialize, Deserialize)]
struct Memory1 {
    tenants: Vec<Tenant1>,
    counters: BTreeMap<String, [u64; 6]>,
    /// Rules that were stopped: id, version, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stopped: Vec<(String, String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Tenant1 {
    name: String,
    newest: i64,
    floor: i64,
    rules: Vec<Rule1>,
    /// Key, time of the last alert, nanoseconds it holds others back.
    muted: Vec<(String, i64, i64)>,
    #[serde(default, skip_serializing_if = "Traces1::is_empty")]
    traces: Traces1,
    #[serde(default, skip_serializing_if = "Held1::is_empty")]
    held: Held1,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    baselines: Vec<Baseline1>,
    #[serde(default, skip_serializing_if = "Calls1::is_empty")]
    calls: Calls1,
}

#[derive(Serialize, Deserialize)]
struct Rule1 {
    id: String,
    version: String,
    /// Least recently used first.
    groups: Vec<Group1>,
    /// Formerly time and group key of moments still to be judged, which follow from `kept` and the tenant's `floor`.
    due: Vec<(i64, String)>,
}

#[derive(Serialize, Deserialize)]
struct Group1 {
    values: Vec<String>,
    /// Time, rule position, value, events.
    kept: Vec<(i64, usize, Option<String>, Vec<String>)>,
    fired: Vec<i64>,
}

impl Engine {
    /// All the engine remembers, as bytes; the rules themselves are not in it.
    pub fn checkpoint(&self) -> Vec<u8> {
        let counters = self
            .counters
            .iter()
            .map(|(id, c)| (id.clone(), [c.matched, c.detections, c.suppressed, c.late, c.evicted, c.limited]));
        let memory = Memory1 {
            tenants: self.tenants.iter().map(|(name, tenant)| self.save_tenant(name, tenant)).collect(),
            counters: counters.collect(),
            stopped: self
                .stopped
                .iter()
                .map(|((id, version), why)| (id.clone(), version.clone(), why.clone()))
                .collect(),
        };
        let mut bytes = HEADER.to_vec();
        serde_json::to_writer(&mut bytes, &memory).expect("numbers, texts and lists always write to memory");
        bytes
    }

    /// An engine for live use with the memory of a checkpoint.
    ///
    /// # Errors
    /// When the bytes are damaged or of an unknown version.
    pub fn restore(set: Arc<RuleSet>, bytes: &[u8]) -> Result<Self, RestoreError> {
        Self::restore_with(set, Settings::default(), bytes)
    }

    /// As [`Engine::restore`], with settings of one's own.
    ///
    /// # Errors
    /// When the bytes are damaged or of an unknown version.
    pub fn restore_with(set: Arc<RuleSet>, settings: Settings, bytes: &[u8]) -> Result<Self, RestoreError> {
        let body = bytes.strip_prefix(HEADER).ok_or(RestoreError::Version)?;
        let memory: Memory1 = serde_json::from_slice(body)?;
        let mut engine = Self::with_settings(set, settings);
        for saved in memory.tenants {
            let name: TenantId = saved.name.parse().map_err(|_| RestoreError::Identity(saved.name.clone()))?;
            let tenant = engine.load_tenant(saved)?;
            engine.tenants.insert(name, tenant);
        }
        for (id, [matched, detections, suppressed, late, evicted, limited]) in memory.counters {
            let counters = RuleCounters { matched, detections, suppressed, late, evicted, limited };
            engine.counters.insert(id, counters);
        }
        engine.stopped = memory.stopped.into_iter().map(|(id, version, why)| ((id, version), why)).collect();
        let set = Arc::clone(&engine.set);
        engine.replace(set);
        Ok(engine)
    }

    fn save_tenant(&self, name: &TenantId, tenant: &Tenant) -> Tenant1 {
        let rules = tenant.memories.iter().map(|((id, version), memory)| Rule1 {
            id: id.clone(),
            version: version.clone(),
            groups: memory.by_recency().map(|group| save_group(group, self.set.behind(tenant.floor))).collect(),
            due: Vec::new(),
        });
        let mut rules: Vec<Rule1> = rules.collect();
        rules.sort_by(|left, right| (&left.id, &left.version).cmp(&(&right.id, &right.version)));
        let muted = tenant
            .mute
            .entries(self.set.behind(tenant.floor))
            .map(|(key, last, for_nanos)| (key.clone(), last, for_nanos));
        let mut muted: Vec<_> = muted.collect();
        muted.sort();
        let traces = Traces1::save(&tenant.traces, &self.set);
        let held = Held1::save(&tenant.held, &self.set);
        let baselines = saved::save(&tenant.baselines);
        let (name, newest, floor) = (name.to_string(), tenant.newest, tenant.floor);
        let calls = Calls1::save(&tenant.calls);
        Tenant1 { name, newest, floor, rules, muted, traces, held, baselines, calls }
    }

    fn load_tenant(&self, saved: Tenant1) -> Result<Tenant, RestoreError> {
        let mut tenant = Tenant::new();
        tenant.newest = saved.newest;
        tenant.floor = saved.floor;
        tenant.traces = saved.traces.load(&self.set)?;
        tenant.held = saved.held.load(&self.set)?;
        tenant.baselines = saved::load(saved.baselines, &self.set)?;
        tenant.calls = saved.calls.load(self.settings.call_bounds())?;
        for rule in saved.rules {
            let known =
                self.set.rules.iter().find(|known| memory_key(known) == (rule.id.clone(), rule.version.clone()));
            let Some(CompiledBody::Correlation(correlation)) = known.map(|known| &known.body) else { continue };
            let mut memory = Memory::default();
            for group in rule.groups {
                let mut kept = Vec::with_capacity(group.kept.len());
                for (at, rule, value, events) in group.kept {
                    if rule >= correlation.feeds.len() {
                        return Err(RestoreError::Identity(format!("rule position {rule}")));
                    }
                    let events: Result<Vec<EventId>, RestoreError> =
                        events.iter().map(|text| load_event(text)).collect();
                    kept.push(Kept { at, rule, value: value.map(Arc::from), events: events?.into() });
                }
                let values = group.values.into_iter().map(Arc::from).collect();
                let group = (values, kept, group.fired.as_slice());
                let floor = if correlation.lags { self.set.behind(tenant.floor) } else { tenant.floor };
                memory.restore(correlation, self.settings.bounds(), group, floor);
            }
            tenant.memories.insert((rule.id, rule.version), memory);
        }
        for (key, last, for_nanos) in saved.muted {
            tenant.mute.insert(key, last, for_nanos);
        }
        Ok(tenant)
    }
}

fn save_group(group: &Group, floor: i64) -> Group1 {
    let kept = group.kept.iter().map(|kept| {
        let events = kept.events.iter().map(save_event).collect();
        (kept.at, kept.rule, kept.value.as_deref().map(str::to_owned), events)
    });
    Group1 {
        values: group.values.iter().map(|value| value.to_string()).collect(),
        kept: kept.collect(),
        fired: group.fired_since(floor),
    }
}

/// `s<trace>:<span>`, `l<log>`, `l<log>:<trace>` or `x<text>`.
pub(crate) fn save_event(event: &EventId) -> String {
    match event {
        EventId::Span(trace, span) => format!("s{trace}:{span}"),
        EventId::Log(log, None) => format!("l{log}"),
        EventId::Log(log, Some(trace)) => format!("l{log}:{trace}"),
        EventId::External(name) => format!("x{name}"),
    }
}

pub(crate) fn load_event(text: &str) -> Result<EventId, RestoreError> {
    let read = || {
        let mut chars = text.chars();
        let kind = chars.next()?;
        let rest = chars.as_str();
        match kind {
            's' => {
                let (trace, span) = rest.split_once(':')?;
                Some(EventId::Span(trace.parse::<TraceId>().ok()?, span.parse::<SpanId>().ok()?))
            }
            'l' => match rest.split_once(':') {
                Some((log, trace)) => Some(EventId::Log(log.parse::<LogId>().ok()?, Some(trace.parse().ok()?))),
                None => Some(EventId::Log(rest.parse::<LogId>().ok()?, None)),
            },
            'x' => Some(EventId::External(rest.to_owned())),
            _ => None,
        }
    };
    read().ok_or_else(|| RestoreError::Identity(text.chars().take(80).collect()))
}
