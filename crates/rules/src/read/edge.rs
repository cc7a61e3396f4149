//! Rules on calls between services: `logsource: {product: otel, category: edge}`.
//!
//! An edge is seen from the caller's side: a span of kind client or producer that names the service it calls. Callers that
//! do not name it (`service.peer.name`, formerly `peer.service`) have no edges here.

use std::sync::Arc;

use super::detection;
use crate::atom::Atom;
use crate::diagnostic::Report;
use crate::expression::Expression;
use crate::yaml::{self, Node};

/// The category of the log source.
pub const CATEGORY: &str = "edge";

const CALLS: &str =
    "{call: {kind: [client, producer], service.name|exists: true, service.peer.name|exists: true}, condition: call}";

/// Whether a document speaks of edges.
pub fn is_source(document: &Node) -> bool {
    let Some(source) = document.get("logsource") else { return false };
    let says = |key: &str, word: &str| source.get(key).and_then(Node::scalar_text).map(|text| text == word);
    says("category", CATEGORY) == Some(true) && says("product", "otel") != Some(false)
}

/// The condition, for calls only.
pub fn among_calls(expression: Option<Expression<Arc<Atom>>>, report: &mut Report) -> Option<Expression<Arc<Atom>>> {
    let calls = yaml::documents(CALLS, report)?;
    let calls = detection::expression(calls.first()?, &[], report)?;
    Some(Expression::all(vec![calls, expression?]))
}
