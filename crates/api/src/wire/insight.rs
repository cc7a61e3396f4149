//! Explanations of rules, and their coverage.

use model::TimeRange;
use query::Sampled;
use rules::RuleSet;
use rules::coverage::{RuleCoverage, Technique as FoundTechnique, coverage, techniques};
use rules::explain::{ExplainedEvent, Explanation, Judgement as FoundJudgement, Part as FoundPart, RuleState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::backtest::EvidenceId;
use super::value::Attributes;

/// What to explain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainRequest {
    /// Id of the rule.
    pub rule: String,
    /// YAML to explain instead of the file in force that holds the rule.
    pub text: Option<String>,
    /// An event as a JSON object.
    #[schema(value_type = Option<Object>)]
    pub event: Option<Map<String, Value>>,
    /// A stored trace, with its log records.
    pub trace_id: Option<String>,
    /// An alert, whose traces are looked at.
    pub alert_id: Option<String>,
    /// Only groups with these values are told from the engine's memory.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub group: Map<String, Value>,
    /// Groups and traces told, 1 to 200; 20 by default.
    pub limit: Option<usize>,
}

/// An explanation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainAnswer {
    /// Id of the rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// The events in order of time, at most 100.
    pub events: Vec<JudgedEvent>,
    /// How many more were judged.
    pub events_omitted: u64,
    /// What the rule raises over these events alone, repeats included.
    pub alerts: Vec<RaisedAlert>,
    /// What it remembers after these events alone; null for a rule on single events.
    pub remembers: Option<Memory>,
    /// What the running engine remembers; null for a rule on single events, or one that is not in force.
    pub engine: Option<Memory>,
}

/// An event with what rules make of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JudgedEvent {
    /// Its identity.
    pub event: String,
    /// When it happened, RFC 3339.
    pub time: String,
    /// The rule, or each of the rules that it builds on.
    pub judgements: Vec<Judgement>,
}

/// What a rule makes of an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Judgement {
    /// Id of the rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// Whether it looks at events of this kind.
    pub applies: bool,
    /// Whether the event matches.
    pub holds: bool,
    /// The condition, part by part.
    pub condition: Part,
}

/// A part of a condition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Part {
    /// `all`, `any`, `not`, or `field` for one question about one field.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What it joins or negates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub parts: Vec<Part>,
    /// The field that is asked; null for keywords, which look at every value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asks: Option<String>,
    /// The value found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// An alert that would have been raised.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RaisedAlert {
    /// Event time, RFC 3339.
    pub time: String,
    /// Group-by fields with their values.
    #[schema(value_type = Object)]
    pub group: Attributes,
    /// Why, in one sentence.
    pub reason: String,
    /// The events.
    pub events: Vec<EvidenceId>,
}

/// What is remembered for a correlation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Memory {
    /// What the rule asks for, as in `at least 10`.
    pub asks: String,
    /// What it counts.
    pub counts: String,
    /// Length of its window in nanoseconds.
    pub window_nanos: String,
    /// Everything before is settled, RFC 3339; null before the first event.
    pub watermark_time: Option<String>,
    /// Groups, the one with the latest event first.
    pub groups: Vec<Group>,
    /// How many there are.
    pub groups_total: u64,
    /// Traces in which a step was seen, the latest first.
    pub traces: Vec<TraceMemory>,
    /// How many there are.
    pub traces_total: u64,
    /// What it has learned; null for a rule that does not learn.
    pub learned: Option<Learned>,
}

/// What a rule that learns what is usual has learned. Values are remembered as digests, so none is named.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Learned {
    /// Groups it knows.
    pub groups: u64,
    /// Values it knows, over all groups; 0 for a rule that learns numbers.
    pub values: u64,
    /// First sightings that wait to be judged.
    pub waiting: u64,
    /// Stored events before the live ones are still to be learned from.
    pub lacks_history: bool,
}

/// A group in the memory of a correlation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Group {
    /// Group-by fields with their values.
    #[schema(value_type = Object)]
    pub group: Attributes,
    /// The rules it takes events from, with how many of each are remembered.
    #[schema(value_type = Object)]
    pub events: Attributes,
    /// Time of the earliest event, RFC 3339.
    pub first_time: String,
    /// Time of the latest event, RFC 3339.
    pub last_time: String,
    /// What is counted in the window that ends with the latest event.
    pub metric: Option<f64>,
    /// When it is judged next, RFC 3339; null when nothing waits.
    pub deadline_time: Option<String>,
}

/// A trace in the memory of a pattern.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TraceMemory {
    /// Which.
    pub trace_id: String,
    /// Steps that were taken.
    pub steps: Vec<Step>,
    /// Steps that were not.
    pub missing: Vec<String>,
    /// When it is judged unless more spans come, RFC 3339.
    pub deadline_time: Option<String>,
}

/// A step of a trace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Step {
    /// What the rule calls it.
    pub step: String,
    /// The span.
    pub span_id: String,
    /// When it ended, RFC 3339.
    pub time: String,
}

fn object(pairs: &[(String, String)]) -> Attributes {
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}

impl ExplainAnswer {
    pub(crate) fn of(found: Explanation, engine: Option<RuleState>) -> Self {
        let alert = |detection: &model::Detection| RaisedAlert {
            time: detection.at.to_string(),
            group: object(&detection.group),
            reason: detection.reason.clone(),
            events: detection.events.iter().map(EvidenceId::from).collect(),
        };
        Self {
            alerts: found.detections.iter().map(alert).collect(),
            rule: found.rule.id,
            title: found.rule.title,
            events: found.events.into_iter().map(JudgedEvent::from).collect(),
            events_omitted: found.events_omitted as u64,
            remembers: found.state.map(Memory::from),
            engine: engine.map(Memory::from),
        }
    }
}

impl From<ExplainedEvent> for JudgedEvent {
    fn from(event: ExplainedEvent) -> Self {
        let judgements = event.judgements.into_iter().map(Judgement::from).collect();
        Self { event: event.event, time: event.at.to_string(), judgements }
    }
}

impl From<FoundJudgement> for Judgement {
    fn from(found: FoundJudgement) -> Self {
        let FoundJudgement { rule, title, applies, holds, condition } = found;
        Self { rule, title, applies, holds, condition: condition.into() }
    }
}

impl From<FoundPart> for Part {
    fn from(found: FoundPart) -> Self {
        let joined = |kind, holds, parts: Vec<FoundPart>| Self {
            kind,
            holds,
            parts: parts.into_iter().map(Self::from).collect(),
            field: None,
            asks: None,
            value: None,
            source: None,
        };
        match found {
            FoundPart::All(holds, parts) => joined("all", holds, parts),
            FoundPart::Any(holds, parts) => joined("any", holds, parts),
            FoundPart::Not(holds, part) => joined("not", holds, vec![*part]),
            FoundPart::Atom(atom) => Self {
                kind: "field",
                holds: atom.holds,
                parts: Vec::new(),
                field: atom.field,
                asks: Some(atom.asks),
                value: atom.value,
                source: atom.source,
            },
        }
    }
}

impl From<RuleState> for Memory {
    fn from(state: RuleState) -> Self {
        let group = |group: rules::explain::GroupState| Group {
            group: object(&group.group),
            events: group.events.into_iter().map(|(rule, count)| (rule, count.into())).collect(),
            first_time: group.first.to_string(),
            last_time: group.last.to_string(),
            metric: group.metric,
            deadline_time: group.deadline.map(|deadline| deadline.to_string()),
        };
        let step = |(step, span, at): (String, model::SpanId, model::UnixNanos)| Step {
            step,
            span_id: span.to_string(),
            time: at.to_string(),
        };
        let trace = |trace: rules::explain::TraceState| TraceMemory {
            trace_id: trace.trace.to_string(),
            steps: trace.steps.into_iter().map(step).collect(),
            missing: trace.missing,
            deadline_time: trace.deadline.map(|deadline| deadline.to_string()),
        };
        Self {
            asks: state.asks,
            counts: state.counts,
            window_nanos: state.window_nanos.to_string(),
            watermark_time: state.watermark.map(|watermark| watermark.to_string()),
            groups: state.groups.into_iter().map(group).collect(),
            groups_total: state.groups_total as u64,
            traces: state.traces.into_iter().map(trace).collect(),
            traces_total: state.traces_total as u64,
            learned: state.learned.map(|learned| Learned {
                groups: learned.groups as u64,
                values: learned.values as u64,
                waiting: learned.waiting as u64,
                lacks_history: learned.lacks_history,
            }),
        }
    }
}

/// Rules against the data of a time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Coverage {
    /// First moment, RFC 3339.
    pub start_time: String,
    /// First moment outside, RFC 3339.
    pub end_time: String,
    /// Events that may lie in that time.
    pub events: u64,
    /// Events that were looked at.
    pub events_looked_at: u64,
    /// Rules in force.
    pub rules: Vec<CoveredRule>,
    /// Techniques of ATT&CK that rules say they detect.
    pub techniques: Vec<Technique>,
    /// Fields that rules ask for, with how many of the events looked at have them.
    pub fields: Vec<Field>,
    /// Services among the events looked at.
    pub services: Vec<Service>,
    /// Services that sent spans in the time of the same length before, and none in this.
    pub silent_services: Vec<String>,
    /// Files of that time that are damaged or gone.
    pub missing_files: Vec<String>,
}

/// A rule against the data.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CoveredRule {
    /// Sigma id or name.
    pub id: String,
    /// Title.
    pub title: String,
    /// `event` or the correlation type.
    pub kind: String,
    /// Raises no alerts of its own.
    pub silent: bool,
    /// Whether the data has the fields it needs.
    pub can_fire: bool,
    /// Fields it needs that no event looked at has.
    pub missing_fields: Vec<String>,
    /// What else keeps it from firing.
    pub reasons: Vec<String>,
}

/// A technique of ATT&CK.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Technique {
    /// As in `T1110.003`.
    pub id: String,
    /// Ids of rules for it that can fire.
    pub rules: Vec<String>,
    /// Ids of rules for it that cannot.
    pub blind: Vec<String>,
}

/// A field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Field {
    /// As rules write it.
    pub name: String,
    /// Spans that have it.
    pub spans: u64,
    /// Log records that have it.
    pub logs: u64,
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Service {
    /// Its name.
    pub name: String,
    /// Spans of it.
    pub spans: u64,
    /// Log records of it.
    pub logs: u64,
    /// Spans of it that say they were sampled: others like them were not sent, so counts and absence mislead.
    pub sampled_spans: u64,
}

impl Coverage {
    pub(crate) fn of(set: &RuleSet, sampled: &Sampled, range: TimeRange, silent_services: Vec<String>) -> Self {
        let rules = coverage(set, &sampled.seen);
        let field =
            |field: rules::coverage::SeenField| Field { name: field.name, spans: field.spans, logs: field.logs };
        let service = |service: rules::coverage::SeenService| Service {
            name: service.name,
            spans: service.spans,
            logs: service.logs,
            sampled_spans: service.sampled_spans,
        };
        Self {
            start_time: range.start.to_string(),
            end_time: range.end.to_string(),
            events: sampled.events,
            events_looked_at: sampled.seen.events(),
            techniques: techniques(&rules).into_iter().map(Technique::from).collect(),
            rules: rules.into_iter().map(CoveredRule::from).collect(),
            fields: sampled.seen.fields(set).into_iter().map(field).collect(),
            services: sampled.seen.services().map(service).collect(),
            silent_services,
            missing_files: sampled.missing_files.clone(),
        }
    }
}

impl From<RuleCoverage> for CoveredRule {
    fn from(rule: RuleCoverage) -> Self {
        Self {
            id: rule.info.id,
            title: rule.info.title,
            kind: rule.kind.to_owned(),
            silent: rule.silent,
            can_fire: rule.can_fire,
            missing_fields: rule.missing_fields,
            reasons: rule.reasons,
        }
    }
}

impl From<FoundTechnique> for Technique {
    fn from(technique: FoundTechnique) -> Self {
        let ids = |rules: Vec<(String, String)>| rules.into_iter().map(|(id, _)| id).collect();
        Self { id: technique.id, rules: ids(technique.rules), blind: ids(technique.blind) }
    }
}
