//! Services, operations and the service map.

use model::signal::span::KIND_NAMES;
use model::time::NANOS_PER_SEC;
use serde::Serialize;
use utoipa::ToSchema;

use super::value::name_of;

/// What one service did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceSummary {
    /// The service.
    pub name: String,
    /// Its spans.
    pub spans: u64,
    /// Its spans with an error status.
    pub errors: u64,
    /// Half of its spans took at most this long, in nanoseconds.
    pub p50_nanos: i64,
    /// 95 % of its spans took at most this long, in nanoseconds.
    pub p95_nanos: i64,
    /// Latest start of a span, RFC 3339.
    pub last_seen_time: String,
}

impl From<query::ServiceSummary> for ServiceSummary {
    fn from(service: query::ServiceSummary) -> Self {
        Self {
            name: service.name,
            spans: service.spans,
            errors: service.errors,
            p50_nanos: service.p50_nanos,
            p95_nanos: service.p95_nanos,
            last_seen_time: service.last_seen.to_string(),
        }
    }
}

/// What one operation of a service did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operation {
    /// Span name.
    pub name: String,
    /// `unspecified`, `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// Its spans.
    pub spans: u64,
    /// Its spans with an error status.
    pub errors: u64,
    /// Half of its spans took at most this long, in nanoseconds.
    pub p50_nanos: i64,
    /// 95 % of its spans took at most this long, in nanoseconds.
    pub p95_nanos: i64,
}

impl From<query::OperationSummary> for Operation {
    fn from(operation: query::OperationSummary) -> Self {
        Self {
            name: operation.name,
            kind: name_of(&KIND_NAMES, operation.kind),
            spans: operation.spans,
            errors: operation.errors,
            p50_nanos: operation.p50_nanos,
            p95_nanos: operation.p95_nanos,
        }
    }
}

/// How a service went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Course {
    /// Start of what the points cover, RFC 3339: the start asked for or up to one step earlier.
    pub start_time: String,
    /// End of what the points cover, RFC 3339.
    pub end_time: String,
    /// Length of a point in seconds; a multiple of ten.
    pub step_secs: i64,
    /// One for each step, empty ones too, earliest first.
    pub points: Vec<CoursePoint>,
    /// Files of stored events that are damaged or gone: the answer is without what is in them. Left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_files: Vec<String>,
}

/// What a service did in one step.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CoursePoint {
    /// Where the step begins, RFC 3339.
    pub time: String,
    /// Spans that started in it.
    pub spans: u64,
    /// Those with an error status.
    pub errors: u64,
    /// Half of them took at most this long, in nanoseconds, to 4.5 %.
    pub p50_nanos: i64,
    /// 95 % of them took at most this long, in nanoseconds, to 4.5 %.
    pub p95_nanos: i64,
}

impl Course {
    /// The course, without what is in the missing files.
    pub(crate) fn of(course: query::Course, missing_files: Vec<String>) -> Self {
        let point = |point: query::Point| CoursePoint {
            time: point.start.to_string(),
            spans: point.spans,
            errors: point.errors,
            p50_nanos: point.p50_nanos,
            p95_nanos: point.p95_nanos,
        };
        Self {
            start_time: course.range.start.to_string(),
            end_time: course.range.end.to_string(),
            step_secs: course.step_nanos / NANOS_PER_SEC,
            points: course.points.into_iter().map(point).collect(),
            missing_files,
        }
    }
}

/// A service on the map, or something that services call and that sends no spans itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MapNode {
    /// The service, or what its callers call it.
    pub name: String,
    /// Whether it is known from its callers only.
    pub is_outside: bool,
    /// Spans; calls to it when outside.
    pub spans: u64,
    /// Spans with an error status.
    pub errors: u64,
    /// Half took at most this long, in nanoseconds.
    pub p50_nanos: i64,
    /// 95 % took at most this long, in nanoseconds.
    pub p95_nanos: i64,
}

/// Calls from one service to another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MapEdge {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// How often.
    pub calls: u64,
    /// How often with an error status.
    pub errors: u64,
    /// Half of the calls took at most this long, in nanoseconds.
    pub p50_nanos: i64,
    /// 95 % of the calls took at most this long, in nanoseconds.
    pub p95_nanos: i64,
}

/// Who calls whom.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceMap {
    /// Services, most spans first, then what they call outside.
    pub nodes: Vec<MapNode>,
    /// Calls, most frequent first.
    pub edges: Vec<MapEdge>,
    /// Start of what the map covers, RFC 3339: later than asked for when there was too much.
    pub start_time: String,
    /// End of what the map covers, RFC 3339.
    pub end_time: String,
    /// Whether the map leaves something out.
    pub truncated: bool,
    /// Files of stored events that are damaged or gone: the answer is without what is in them. Left out when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_files: Vec<String>,
}

impl ServiceMap {
    /// The map, without what is in the missing files.
    pub(crate) fn of(map: query::ServiceMap, missing_files: Vec<String>) -> Self {
        let node = |node: query::MapNode| MapNode {
            name: node.name,
            is_outside: node.is_outside,
            spans: node.spans,
            errors: node.errors,
            p50_nanos: node.p50_nanos,
            p95_nanos: node.p95_nanos,
        };
        let edge = |edge: query::MapEdge| MapEdge {
            caller: edge.caller,
            callee: edge.callee,
            calls: edge.calls,
            errors: edge.errors,
            p50_nanos: edge.p50_nanos,
            p95_nanos: edge.p95_nanos,
        };
        Self {
            nodes: map.nodes.into_iter().map(node).collect(),
            edges: map.edges.into_iter().map(edge).collect(),
            start_time: map.range.start.to_string(),
            end_time: map.range.end.to_string(),
            truncated: map.truncated,
            missing_files,
        }
    }
}
