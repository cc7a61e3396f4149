//! Rules on calls between services: `logsource: {product: otel, category: edge}`.
//!
//! An edge is seen from the caller's side: a span of kind client or producer that names the service it calls. Callers that
//! do not name it (`service.peer.name`, formerly `peer.service`) have no edges here.

use std::sync::Arc;

use super::detection;
use crate::atom::Atom;
use crate::diagnostic::Report;
use crate::expression::Expression;
use crate::log_source::{EDGE as CATEGORY, LogSource};
use crate::pipeline::Mapping;
use crate::yaml;

const CALLS: &str =
    "{call: {kind: [client, producer], service.name|exists: true, service.peer.name|exists: true}, condition: call}";

/// Whether a rule speaks of edges.
pub fn is_source(source: &LogSource) -> bool {
    source.own_reach().is_some() && source.category.as_deref() == Some(CATEGORY)
}

/// The condition, for calls only.
pub fn among_calls(expression: Option<Expression<Arc<Atom>>>, report: &mut Report) -> Option<Expression<Arc<Atom>>> {
    let calls = yaml::documents(CALLS, report)?;
    let calls = detection::expression(calls.first()?, &[], &Mapping::default(), report)?;
    Some(Expression::all(vec![calls, expression?]))
}
