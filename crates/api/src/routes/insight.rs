//! Why rules fire or do not: explanations, what the engine remembers, and which rules the data can satisfy.

use std::sync::Arc;

use access::{Access, Permission};
use axum::Json as Answer;
use axum::extract::State;
use model::{TenantId, TraceId};
use rules::explain::{self, ExplainLimits, Explanation};
use rules::{RuleBook, RuleSet};
use runtime::ErrorKind;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rules::check_size;
use crate::gate::{Caller, Need, guarded};
use crate::params::{self, Json, Params};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::insight::{Coverage, ExplainAnswer, ExplainRequest};

/// Events of each signal that coverage looks at when the request does not say.
const SAMPLE_ROWS: usize = 20_000;
/// The most it looks at.
const SAMPLE_ROWS_MAX: usize = 200_000;
/// Groups and traces told of a rule when the request does not say.
const GROUPS: usize = 20;
const GROUPS_MAX: usize = 200;
/// Bytes of an event in a request.
const EVENT_BYTES_MAX: usize = 256 << 10;

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let read = Need::Permission(Permission::ReadEvents);
    OpenApiRouter::new().routes(guarded(state, read, routes!(explain_rule))).routes(guarded(
        state,
        read,
        routes!(rule_coverage),
    ))
}

/// Which parts of a rule hold for an event, for a trace or for the evidence of an alert; and what the running engine
/// remembers for it.
#[utoipa::path(post, path = "/rules/explain", tag = "rules", request_body = ExplainRequest,
    responses((status = 200, body = ExplainAnswer), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn explain_rule(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Json(asked): Json<ExplainRequest>,
) -> Result<Answer<ExplainAnswer>, Problem> {
    Access::authorize(&caller, Permission::ReadRules)?;
    if let Some(text) = &asked.text {
        check_size(text)?;
    }
    let limit = asked.limit.unwrap_or(GROUPS);
    if limit == 0 || limit > GROUPS_MAX {
        let problem = Problem::field("limit", format!("limit must be 1 to {GROUPS_MAX}, got {limit}"));
        return Err(problem.with_limit(GROUPS_MAX as u64));
    }
    let limits = ExplainLimits { groups: limit, ..ExplainLimits::default() };
    let group: Vec<(String, String)> = asked.group.iter().map(|(name, value)| (name.clone(), text_of(value))).collect();
    let engine = match &asked.text {
        // what is not in force is in no memory
        Some(_) => None,
        None => state.peek.state(caller.tenant(), &asked.rule, group, limit).await?,
    };
    let (book, text, rule) = (state.rules.book(), asked.text.clone(), asked.rule.clone());
    let set = tokio::task::spawn_blocking(move || compile(book, text, &rule)).await??;
    let explanation = explanation(&state, caller.tenant(), &set, &asked, limits).await?;
    Ok(Answer(ExplainAnswer::of(explanation, engine)))
}

/// The rules in force, with a text in the place of the file that holds its rules; beside them when no file does.
fn compile(mut book: RuleBook, text: Option<String>, rule: &str) -> Result<Arc<RuleSet>, Problem> {
    let Some(text) = text else { return Ok(book.compile()) };
    let mut ids = vec![rule.to_owned()];
    // a text that refers to other files does not stand alone, and goes by the rule that is asked about
    ids.extend(rules::check("new.yml", &text).unwrap_or_default().into_iter().map(|rule| rule.info.id));
    let views = book.files();
    let holder = views.iter().find(|view| view.rules.iter().any(|known| ids.contains(&known.info.id)));
    let file = holder.map_or("new.yml", |view| view.name).to_owned();
    book.update(&file, &text).map_err(|faults| Problem::from(pipeline::shelf::ShelfError::Invalid(faults)))?;
    Ok(book.compile())
}

async fn explanation(
    state: &ApiState,
    tenant: &TenantId,
    set: &Arc<RuleSet>,
    asked: &ExplainRequest,
    limits: ExplainLimits,
) -> Result<Explanation, Problem> {
    let missing = || Problem::not_found(format!("there is no rule {:?} in force", asked.rule)).with_field("rule");
    let given = [asked.event.is_some(), asked.trace_id.is_some(), asked.alert_id.is_some()];
    if given.iter().filter(|is_given| **is_given).count() > 1 {
        return Err(Problem::field("event", "give one of event, trace_id and alert_id"));
    }
    if let Some(event) = &asked.event {
        let line = Value::Object(event.clone()).to_string();
        if line.len() > EVENT_BYTES_MAX {
            let detail = format!("an event has at most {EVENT_BYTES_MAX} bytes, this has {}", line.len());
            let problem = Problem::new(ErrorKind::TooLarge, detail).with_field("event");
            return Err(problem.with_limit(EVENT_BYTES_MAX as u64));
        }
        let (set, rule) = (Arc::clone(set), asked.rule.clone());
        let explained = tokio::task::spawn_blocking(move || {
            explain::lines(&set, &rule, std::iter::once(line.as_str()), "ts", limits)
        });
        let explained = explained.await?.map_err(|error| Problem::field("event", error.to_string()))?;
        return explained.ok_or_else(missing);
    }
    let traces = match (&asked.trace_id, &asked.alert_id) {
        (Some(trace), _) => {
            let trace = trace.parse().map_err(|error: model::IdError| Problem::field("trace_id", error.to_string()))?;
            vec![trace]
        }
        (None, Some(alert)) => traces_of(state, tenant, alert).await?,
        (None, None) => Vec::new(),
    };
    let mut batches = Vec::new();
    for trace in traces {
        let found = state.query.events_of_trace(tenant, trace).await?;
        let found =
            found.ok_or_else(|| Problem::not_found(format!("there is no trace {trace}")).with_field("trace_id"));
        batches.extend(found?);
    }
    let (set, rule) = (Arc::clone(set), asked.rule.clone());
    let explained = tokio::task::spawn_blocking(move || explain::stored(&set, &rule, &batches, limits));
    explained.await?.ok_or_else(missing)
}

/// The traces of an alert's evidence, the first few.
async fn traces_of(state: &ApiState, tenant: &TenantId, alert: &str) -> Result<Vec<TraceId>, Problem> {
    let missing = || Problem::not_found("there is no such alert").with_field("alert_id");
    Ok(state.alerts.get(tenant, alert).await?.ok_or_else(missing)?.incident.trace_ids)
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Which data to hold the rules against.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CoverageParams {
    /// First moment, RFC 3339 or integer nanoseconds since 1970; an hour ago by default.
    start: Option<String>,
    /// First moment outside; now by default.
    end: Option<String>,
    /// Spans and log records to look at, spread over the range.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200_000, default = 20_000)]
    rows: Option<String>,
}

/// Which rules can fire on the data of a time, which fields the others miss, and the techniques of ATT&CK covered.
#[utoipa::path(get, path = "/rules/coverage", tag = "rules", params(CoverageParams),
    responses((status = 200, body = Coverage), (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn rule_coverage(
    State(state): State<ApiState>,
    Caller(caller): Caller,
    Params(asked): Params<CoverageParams>,
) -> Result<Answer<Coverage>, Problem> {
    Access::authorize(&caller, Permission::ReadRules)?;
    let range = params::range(asked.start.as_deref(), asked.end.as_deref(), &state.clock)?;
    let rows = match asked.rows.as_deref() {
        None => SAMPLE_ROWS,
        Some(text) => {
            let wrong = || Problem::field("rows", format!("rows must be 1 to {SAMPLE_ROWS_MAX}, got {text:?}"));
            let rows = text.parse().ok().filter(|rows| (1..=SAMPLE_ROWS_MAX).contains(rows));
            rows.ok_or_else(|| wrong().with_limit(SAMPLE_ROWS_MAX as u64))?
        }
    };
    let set = Arc::clone(&state.rules.subscribe().borrow());
    let sampled = state.query.sample(caller.tenant(), &set, range, rows).await?;
    let silent = state.query.silent_services(caller.tenant(), range).await?;
    Ok(Answer(Coverage::of(&set, &sampled, range, silent)))
}
