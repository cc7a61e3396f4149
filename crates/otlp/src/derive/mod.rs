//! Facts that follow from an event's conventional attributes: how an authentication ended, and who really called.
//!
//! | column | from |
//! |---|---|
//! | `auth.outcome` | HTTP 401 and 403, gRPC 16 and 7 (on the side that answered), database errors, exception types, well-known texts |
//! | `client.address` | `x-forwarded-for` or `forwarded`, when the peer is a proxy the settings trust |
//!
//! A value that the sender wrote itself is never replaced, but for an address that is a trusted proxy's own. What was
//! derived is marked in the column `derived`, so that rows go back to OTLP without it.

mod origin;
mod text;

use std::borrow::Cow;

use model::Value;

pub(crate) use origin::Origin;

/// How an authentication or authorization ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Somebody was let in.
    Success,
    /// Somebody could not prove who they are.
    Failure,
    /// Somebody is known and may not do this.
    Denied,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }
}

/// What an attribute tells, by its current or a former name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clue {
    HttpStatus,
    RpcStatus,
    DbSystem,
    DbStatus,
    ErrorType,
    ExceptionType,
    ExceptionMessage,
    Outcome,
    ClientAddress,
    PeerAddress,
    ForwardedFor,
    Forwarded,
}

/// Attributes that tell something, older names included.
pub(crate) const CLUES: &[(&str, Clue)] = &[
    ("http.response.status_code", Clue::HttpStatus),
    ("http.status_code", Clue::HttpStatus),
    ("rpc.response.status_code", Clue::RpcStatus),
    ("rpc.grpc.status_code", Clue::RpcStatus),
    ("grpc.status_code", Clue::RpcStatus),
    ("db.system.name", Clue::DbSystem),
    ("db.system", Clue::DbSystem),
    ("db.response.status_code", Clue::DbStatus),
    ("error.type", Clue::ErrorType),
    ("exception.type", Clue::ExceptionType),
    ("exception.message", Clue::ExceptionMessage),
    ("auth.outcome", Clue::Outcome),
    ("client.address", Clue::ClientAddress),
    ("http.client_ip", Clue::ClientAddress),
    ("network.peer.address", Clue::PeerAddress),
    ("net.sock.peer.addr", Clue::PeerAddress),
    ("net.peer.ip", Clue::PeerAddress),
    ("http.request.header.x-forwarded-for", Clue::ForwardedFor),
    ("http.request.header.x_forwarded_for", Clue::ForwardedFor),
    ("http.request.header.forwarded", Clue::Forwarded),
];

/// OTLP span kinds of the side that asked: what a callee answered them is told by the callee's own span.
const CLIENT_KIND: i8 = 3;
const PRODUCER_KIND: i8 = 4;

/// What one event told so far.
#[derive(Debug, Default)]
pub(crate) struct Clues<'a> {
    /// One bit for every clue that was noted.
    told: u16,
    http_status: i64,
    rpc_status: Option<Outcome>,
    is_database: bool,
    /// Error code of a database, or the error type of the call to it.
    db_status: Option<Cow<'a, str>>,
    error_type: Option<Cow<'a, str>>,
    exception_type: Option<Cow<'a, str>>,
    exception_message: Option<Cow<'a, str>>,
    has_outcome: bool,
    pub origin: Origin,
}

impl<'a> Clues<'a> {
    /// Takes note of an attribute: of several the one in a column of its own, else the first, which is how they come back
    /// from storage too. `trusts_proxies` says whether addresses are wanted.
    pub fn note(&mut self, clue: Clue, value: &Value<'a>, is_in_column: bool, trusts_proxies: bool) {
        let bit = 1 << clue as u16;
        if self.told & bit != 0 && !is_in_column {
            return;
        }
        self.told |= bit;
        match clue {
            Clue::HttpStatus => self.http_status = value.number().map_or(0, |number| number as i64),
            Clue::RpcStatus => self.rpc_status = rpc_outcome(value),
            Clue::DbSystem => self.is_database = true,
            Clue::DbStatus => self.db_status = Some(text_of(value)),
            Clue::ErrorType => self.error_type = Some(text_of(value)),
            Clue::ExceptionType => self.exception_type = Some(text_of(value)),
            Clue::ExceptionMessage => self.exception_message = Some(text_of(value)),
            Clue::Outcome => self.has_outcome = true,
            Clue::ClientAddress | Clue::PeerAddress | Clue::ForwardedFor | Clue::Forwarded if !trusts_proxies => {}
            Clue::ClientAddress => self.origin.client = Some(value.text().into_owned()),
            Clue::PeerAddress => self.origin.peer = Some(value.text().into_owned()),
            Clue::ForwardedFor => self.origin.forwarded_for = Some(value.text().into_owned()),
            Clue::Forwarded => self.origin.forwarded = Some(value.text().into_owned()),
        }
    }

    /// The outcome a span tells of; `None` when it tells none, or the sender said it itself.
    pub fn of_span(
        &self,
        kind: i8,
        exception_type: Option<&str>,
        exception_message: Option<&str>,
        status_message: &str,
    ) -> Option<Outcome> {
        if self.has_outcome {
            return None;
        }
        let answered = !matches!(kind, CLIENT_KIND | PRODUCER_KIND);
        let told =
            || [exception_message.unwrap_or_default(), status_message].into_iter().find_map(text::outcome_of_text);
        answered
            .then(|| self.of_status())
            .flatten()
            .or_else(|| self.of_database())
            .or_else(|| exception_type.and_then(text::outcome_of_exception))
            .or_else(|| self.of_exception())
            .or_else(|| (answered || self.is_database).then(told).flatten())
    }

    /// The outcome a log record tells of; `None` as for spans.
    pub fn of_log(&self, body: &str) -> Option<Outcome> {
        if self.has_outcome {
            return None;
        }
        let by_fields = self.of_status().or_else(|| self.of_database()).or_else(|| self.of_exception());
        by_fields.or_else(|| text::outcome_of_text(body))
    }

    fn of_status(&self) -> Option<Outcome> {
        match self.http_status {
            401 => Some(Outcome::Failure),
            403 => Some(Outcome::Denied),
            _ => self.rpc_status,
        }
    }

    fn of_database(&self) -> Option<Outcome> {
        if !self.is_database {
            return None;
        }
        [&self.db_status, &self.error_type].into_iter().flatten().find_map(|code| text::outcome_of_database(code))
    }

    fn of_exception(&self) -> Option<Outcome> {
        let by_type = [&self.exception_type, &self.error_type];
        let by_type = by_type.into_iter().flatten().find_map(|name| text::outcome_of_exception(name));
        by_type.or_else(|| self.exception_message.as_deref().and_then(text::outcome_of_text))
    }
}

/// gRPC codes by number, or by name as newer conventions have them.
fn rpc_outcome(value: &Value<'_>) -> Option<Outcome> {
    match value {
        Value::Int(16) => Some(Outcome::Failure),
        Value::Int(7) => Some(Outcome::Denied),
        Value::Str(text) => match &**text {
            "16" | "UNAUTHENTICATED" => Some(Outcome::Failure),
            "7" | "PERMISSION_DENIED" => Some(Outcome::Denied),
            _ => None,
        },
        _ => None,
    }
}

fn text_of<'a>(value: &Value<'a>) -> Cow<'a, str> {
    match value {
        Value::Str(text) | Value::Json(text) => text.clone(),
        other => Cow::Owned(other.text().into_owned()),
    }
}

#[cfg(test)]
mod tests;
