//! Traces in a checkpoint, and back.
//!
//! A span takes 28 bytes, big-endian: event time 8, id 8, parent 8 (zero for a root), and 4 for the number of its service
//! in the trace's list. The spans of a trace are one base64 text.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use model::{EventId, SpanId, TraceId};
use serde::{Deserialize, Serialize};

use super::Mark;
use super::beside::{Beside, LinksOf};
use super::closing::Progress;
use super::memory::{Trace, Traces};
use super::pattern::{Map, PatternMemory, State};
use super::sampling::UNKNOWN;
use super::tree::Span;
use crate::checkpoint::{RestoreError, load_event, save_event};
use crate::engine::memory_key;
use crate::inherited::saved::{Facts1, load_facts, save_facts};
use crate::set::{CompiledBody, RuleSet};

const SPAN_BYTES: usize = 28;

/// Everything remembered of the traces of one tenant; absent in checkpoints of before there were patterns over traces.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Traces1 {
    /// Least recently used first.
    traces: Vec<Trace1>,
    patterns: Vec<Pattern1>,
    /// What the facts of spans are called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    facts: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Trace1 {
    id: String,
    services: Vec<String>,
    spans: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    facts: Vec<Facts1>,
    /// Span, and trace and span of each link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    links: Vec<(String, Vec<(String, String)>)>,
    /// What spans say of sampling, by their position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sampling: Vec<(usize, u32)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pattern1 {
    id: String,
    version: String,
    states: Vec<State1>,
    /// Trace and time.
    fired: Vec<(String, i64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct State1 {
    trace: String,
    marks: Vec<Mark1>,
    /// The moment judged last, and how often in this life.
    progress: (i64, u8),
    due: Option<(i64, u8)>,
    spent: u64,
}

/// Time, place in the log, span, step, event where it is not the span itself, values.
type Mark1 = (i64, (u64, u32), String, usize, Option<String>, Vec<Option<String>>);

impl Traces1 {
    /// Whether there is nothing to write down.
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty() && self.patterns.is_empty()
    }

    /// What to write down of the traces of a tenant.
    pub fn save(traces: &Traces, set: &RuleSet) -> Self {
        let patterns = traces.patterns.iter().map(|((id, version), memory)| Pattern1 {
            id: id.clone(),
            version: version.clone(),
            states: save_states(memory),
            fired: memory.fired.iter().map(|(id, at)| (id.to_string(), *at)).collect(),
        });
        Self {
            traces: traces.by_recency().map(|(id, trace)| save_trace(id, trace)).collect(),
            patterns: patterns.collect(),
            facts: set.facts(),
        }
    }

    /// The traces as the rules in use need them; what belongs to other rules is left out.
    ///
    /// # Errors
    /// When an identity or a span does not read back.
    pub fn load(self, set: &RuleSet) -> Result<Traces, RestoreError> {
        let mut traces = Traces::default();
        let Some(plan) = set.traces else { return Ok(traces) };
        let facts = set.facts();
        for saved in self.traces {
            let spans = load_spans(&saved, &mut traces)?;
            let mut beside = Beside::default();
            beside.facts = load_facts(saved.facts, &self.facts, &facts)?;
            beside.links = load_links(saved.links)?;
            traces.restore(id(&saved.id)?, spans, beside, plan.span_nanos);
        }
        for saved in self.patterns {
            let key = (saved.id.clone(), saved.version.clone());
            let known = set.rules.iter().find(|rule| memory_key(rule) == key);
            let Some(CompiledBody::Correlation(rule)) = known.map(|rule| &rule.body) else { continue };
            let mut states = Map::default();
            for state in saved.states {
                let trace = id(&state.trace)?;
                states.insert(trace, load_state(trace, state, rule.feeds.len())?);
            }
            let fired: Result<BTreeMap<TraceId, i64>, RestoreError> =
                saved.fired.iter().map(|(trace, at)| Ok((id(trace)?, *at))).collect();
            states.retain(|id, _| traces.traces.contains_key(id));
            traces.restore_pattern(key, PatternMemory::restore(states, fired?, rule.trace.as_deref()));
        }
        Ok(traces)
    }
}

fn save_trace(id: TraceId, trace: &Trace) -> Trace1 {
    let mut services: Vec<String> = Vec::new();
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut bytes = Vec::with_capacity(trace.spans.len() * SPAN_BYTES);
    for span in &trace.spans {
        let number = *numbers.entry(&span.service).or_insert_with(|| {
            services.push(span.service.to_string());
            u32::try_from(services.len() - 1).unwrap_or(u32::MAX)
        });
        bytes.extend(span.at.to_be_bytes());
        bytes.extend(span.id.0);
        bytes.extend(span.parent.map_or([0; 8], |parent| parent.0));
        bytes.extend(number.to_be_bytes());
    }
    let beside = trace.beside.as_deref();
    let facts = beside.map(|beside| save_facts(&beside.facts)).unwrap_or_default();
    let sampling = trace.spans.iter().enumerate().filter(|(_, span)| span.sampling != UNKNOWN);
    let sampling = sampling.map(|(at, span)| (at, span.sampling)).collect();
    let links = beside.map(|beside| save_links(&beside.links)).unwrap_or_default();
    Trace1 { id: id.to_string(), services, spans: BASE64.encode(bytes), facts, links, sampling }
}

fn load_spans(saved: &Trace1, traces: &mut Traces) -> Result<Vec<Span>, RestoreError> {
    let wrong = || RestoreError::Identity(format!("spans of trace {}", saved.id));
    let bytes = BASE64.decode(&saved.spans).map_err(|_| wrong())?;
    let (rows, []) = bytes.as_chunks::<SPAN_BYTES>() else { return Err(wrong()) };
    let mut spans = Vec::with_capacity(rows.len());
    for row in rows {
        let at = <[u8; 8]>::try_from(&row[..8]).map_err(|_| wrong())?;
        let number = <[u8; 4]>::try_from(&row[24..]).map_err(|_| wrong())?;
        let service = saved.services.get(u32::from_be_bytes(number) as usize).ok_or_else(wrong)?;
        spans.push(Span {
            at: i64::from_be_bytes(at),
            id: SpanId::from_slice(&row[8..16]).ok_or_else(wrong)?,
            parent: SpanId::from_slice(&row[16..24]),
            service: traces.service(service),
            sampling: UNKNOWN,
        });
    }
    for (at, sampling) in &saved.sampling {
        spans.get_mut(*at).ok_or_else(wrong)?.sampling = *sampling;
    }
    spans.sort_by_key(|span| (span.at, span.id));
    Ok(spans)
}

fn save_links(links: &LinksOf) -> Vec<(String, Vec<(String, String)>)> {
    let link = |(trace, span): &(TraceId, SpanId)| (trace.to_string(), span.to_string());
    let one = |(span, links): (&SpanId, &Vec<(TraceId, SpanId)>)| (span.to_string(), links.iter().map(link).collect());
    let mut saved: Vec<(String, Vec<(String, String)>)> = links.iter().map(one).collect();
    saved.sort();
    saved
}

fn load_links(saved: Vec<(String, Vec<(String, String)>)>) -> Result<LinksOf, RestoreError> {
    let link = |(trace, span): (String, String)| Ok((id(&trace)?, span_id(&span)?));
    let one = |(span, links): (String, Vec<(String, String)>)| {
        Ok((span_id(&span)?, links.into_iter().map(link).collect::<Result<_, RestoreError>>()?))
    };
    saved.into_iter().map(one).collect()
}

fn save_states(memory: &PatternMemory) -> Vec<State1> {
    let one = |(id, state): (&TraceId, &State)| State1 {
        trace: id.to_string(),
        marks: state.marks.iter().map(|mark| save_mark(*id, mark)).collect(),
        progress: (state.progress.judged, state.progress.times),
        due: state.due.map(|due| (due.judged, due.times)),
        spent: state.spent,
    };
    let mut states: Vec<State1> = memory.states.iter().map(one).collect();
    states.sort_by(|left, right| left.trace.cmp(&right.trace));
    states
}

fn save_mark(id: TraceId, mark: &Mark) -> Mark1 {
    let event = (mark.event != EventId::Span(id, mark.span)).then(|| save_event(&mark.event));
    let values = mark.values.iter().map(|value| value.as_deref().map(str::to_owned)).collect();
    (mark.at, mark.order, mark.span.to_string(), mark.step, event, values)
}

fn load_state(trace: TraceId, saved: State1, steps: usize) -> Result<State, RestoreError> {
    let mut marks = Vec::with_capacity(saved.marks.len());
    for (at, order, span, step, event, values) in saved.marks {
        if step >= steps {
            return Err(RestoreError::Identity(format!("step {step}")));
        }
        let span = span_id(&span)?;
        let event = event.map_or(Ok(EventId::Span(trace, span)), |text| load_event(&text))?;
        let values = values.into_iter().map(|value| value.map(Arc::from)).collect();
        marks.push(Mark { at, order, span, step, event, values });
    }
    let progress = |(judged, times): (i64, u8)| Progress { judged, times };
    Ok(State { marks, progress: progress(saved.progress), due: saved.due.map(progress), spent: saved.spent })
}

fn id(text: &str) -> Result<TraceId, RestoreError> {
    text.parse().map_err(|_| RestoreError::Identity(text.chars().take(80).collect()))
}

fn span_id(text: &str) -> Result<SpanId, RestoreError> {
    text.parse().map_err(|_| RestoreError::Identity(text.chars().take(80).collect()))
}
