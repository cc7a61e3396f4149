//! Webhooks after the Standard Webhooks specification 1.0.0.
//!
//! The signature is `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`. The id is the
//! same at every attempt, the timestamp (seconds since 1970) is that of the attempt.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use model::time::NANOS_PER_SEC;
use model::{EventId, UnixNanos};
use runtime::Random;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Notice, Request};
use crate::error::AlertsError;
use crate::incident::Evidence;

/// Same at every attempt to deliver the same message.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// When this attempt was made, in seconds since 1970.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// `v1,<base64>`.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// What the specification puts before a secret in base64.
const SECRET_PREFIX: &str = "whsec_";
/// Longest text that is passed on out of events; an attacker may have written it.
const MAX_TEXT_CHARS: usize = 2_000;

/// Base64 with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key of signatures. Its debug form shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret")
    }
}

impl SigningSecret {
    /// Reads `whsec_<base64>`, or takes any other text as it is; white space around it, as files have, is left out.
    ///
    /// # Errors
    /// [`AlertsError::Secret`] when it is empty or what follows `whsec_` is not base64.
    pub fn parse(text: &str) -> Result<Self, AlertsError> {
        let text = text.trim();
        let key = match text.strip_prefix(SECRET_PREFIX) {
            Some(encoded) => LENIENT.decode(encoded).map_err(|_| AlertsError::Secret)?,
            None => text.as_bytes().to_vec(),
        };
        if key.is_empty() { Err(AlertsError::Secret) } else { Ok(Self(key)) }
    }

    /// A new one of 256 random bits.
    pub fn generate(random: Random) -> Self {
        Self(random.bytes::<32>().to_vec())
    }

    /// The secret as `whsec_<base64>`, for the one place that keeps it.
    pub fn expose(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.0))
    }

    fn sign(&self, id: &str, timestamp_secs: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp_secs}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Where to post, and the key of the signature.
#[derive(Clone)]
pub struct Webhook {
    /// Where. May hold a secret of its own.
    pub url: Url,
    /// The key.
    pub secret: SigningSecret,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Webhook {
    pub(super) fn address_hash(&self) -> [u8; 32] {
        Sha256::digest(self.url.as_str().as_bytes()).into()
    }

    pub(super) fn request(&self, event_id: &str, body: &str, now: UnixNanos) -> Request<'_> {
        let timestamp_secs = now.0.div_euclid(NANOS_PER_SEC);
        let text = |text: &str| HeaderValue::from_str(text).expect("ids and base64 are plain ASCII");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ID, text(event_id));
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp_secs));
        headers.insert(SIGNATURE, text(&self.secret.sign(event_id, timestamp_secs, body)));
        Request { url: &self.url, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }
}

/// The body: `{type, timestamp, data}`. Fields may be added; those that are there keep their meaning.
pub(super) fn render(notice: &Notice<'_>) -> String {
    let incident = notice.incident;
    let link = |path: String| {
        let mut url = notice.public_url.clone();
        // a base with a path, as behind a reverse proxy, keeps it
        url.set_path(&format!("{}/{path}", notice.public_url.path().trim_end_matches('/')));
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
    };
    let named = Named::of(notice.evidence);
    let group: Map<String, Value> =
        incident.group.iter().map(|(field, value)| (clip(field), clip(value).into())).collect();
    let rule = &incident.rule;
    let trace_urls: Vec<String> = named.traces.iter().map(|trace| link(format!("traces/{trace}"))).collect();
    let mut data = json!({
        "id": incident.id,
        "rule": {
            "id": rule.id,
            "version": rule.version,
            "title": rule.title,
            "description": clip(&rule.description),
            "level": rule.level.as_str(),
            "author": rule.author,
            "tags": rule.tags,
            "references": rule.references,
            "false_positives": rule.false_positives,
            "runbook": rule.runbook,
        },
        "reason": clip(&incident.reason),
        "group": group,
        "severity": incident.severity.as_str(),
        "status": incident.status.as_str(),
        "count": incident.count,
        "first_seen": incident.first_seen.to_string(),
        "last_seen": incident.last_seen.to_string(),
        "trace_ids": named.traces,
        "span_ids": named.spans,
        "log_ids": named.logs,
        "event_ids": named.others,
        "evidence_kept": incident.evidence_kept,
        "evidence_omitted": incident.evidence_omitted,
        "url": link(format!("alerts/{}", incident.id)),
        "trace_urls": trace_urls,
    });
    if let Some(change) = &notice.change {
        data["change"] =
            json!({ "from": change.from, "to": change.to, "actor": change.actor, "comment": change.comment });
    }
    json!({ "type": notice.event_type.as_str(), "timestamp": notice.at.to_string(), "data": data }).to_string()
}

/// The evidence by kind, as texts; each trace once.
#[derive(Default)]
struct Named {
    traces: Vec<String>,
    spans: Vec<String>,
    logs: Vec<String>,
    others: Vec<String>,
}

impl Named {
    fn of(evidence: &[Evidence]) -> Self {
        let mut named = Self::default();
        for Evidence { event, .. } in evidence {
            let trace = match event {
                EventId::Span(trace, span) => {
                    named.spans.push(span.to_string());
                    Some(*trace)
                }
                EventId::Log(log, trace) => {
                    named.logs.push(log.to_string());
                    *trace
                }
                EventId::External(name) => {
                    named.others.push(clip(name));
                    None
                }
            };
            let trace = trace.map(|trace| trace.to_string());
            named.traces.extend(trace.filter(|trace| !named.traces.contains(trace)));
        }
        named
    }
}

fn clip(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests;
