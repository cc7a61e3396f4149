//! Who is told, and how: one file per notifier, one variant here.

pub mod webhook;

use bytes::Bytes;
use http::HeaderMap;
use model::UnixNanos;
use url::Url;

use crate::incident::{Evidence, Incident};

pub use webhook::{SigningSecret, Webhook};

/// Most events that a message names; all of them are behind its link.
pub const MAX_EVENTS: u32 = 100;

/// Somebody to be told of every incident.
#[derive(Debug, Clone)]
pub struct Target {
    /// What it is called in deliveries, logs and history. Must be unique, and the same at every start.
    pub name: String,
    /// How it is told.
    pub notifier: Notifier,
}

impl Target {
    /// A webhook. Its name is the host of the URL and `index`, its place in the settings; the rest of the URL may hold
    /// a secret and is never shown.
    pub fn webhook(index: usize, url: Url, secret: SigningSecret) -> Self {
        let name = format!("{}-{index}", url.host_str().unwrap_or("webhook"));
        Self { name, notifier: Notifier::Webhook(Webhook { url, secret }) }
    }
}

/// A way of telling.
#[derive(Debug, Clone)]
pub enum Notifier {
    /// HTTP POST after the Standard Webhooks specification.
    Webhook(Webhook),
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// An incident is new.
    Created,
    /// An incident became more severe.
    Escalated,
    /// Somebody changed the status of an incident.
    Status,
}

impl EventType {
    /// The name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "alert.created",
            Self::Escalated => "alert.escalated",
            Self::Status => "alert.status",
        }
    }
}

/// A change of status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) comment: &'a str,
}

/// All that a message may say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) event_type: EventType,
    pub(crate) at: UnixNanos,
    pub(crate) incident: &'a Incident,
    /// At most [`MAX_EVENTS`].
    pub(crate) evidence: &'a [Evidence],
    pub(crate) change: Option<Change<'a>>,
    pub(crate) public_url: &'a Url,
}

/// One attempt, ready to be posted.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) url: &'a Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Notifier {
    /// The label in metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
        }
    }

    /// What tells one address from another without showing it.
    pub(crate) fn address_hash(&self) -> [u8; 32] {
        match self {
            Self::Webhook(webhook) => webhook.address_hash(),
        }
    }

    /// The body of a message. Values are data: nothing in them is read as a template.
    pub(crate) fn render(&self, notice: &Notice<'_>) -> String {
        match self {
            Self::Webhook(_) => webhook::render(notice),
        }
    }

    /// The request of one attempt at `now`.
    pub(crate) fn request(&self, event_id: &str, body: &str, now: UnixNanos) -> Request<'_> {
        match self {
            Self::Webhook(webhook) => webhook.request(event_id, body, now),
        }
    }
}
