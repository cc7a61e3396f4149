//! Ingest keys.

use access::LimitsChange;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// An ingest key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Key {
    /// Id, the middle part of the key.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Who made it.
    pub created_by: String,
    /// When it was made, RFC 3339.
    pub created_time: String,
    /// When it was revoked, RFC 3339; null while it is active.
    pub revoked_time: Option<String>,
    /// When it was last used, RFC 3339; null when never.
    pub last_used_time: Option<String>,
    /// What it may bring.
    #[serde(flatten)]
    pub limits: KeyLimits,
}

/// What a key itself says it may bring; the settings `otlp.limits` stand in for what is null.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyLimits {
    /// Services it may sign as; empty when it does not say. Decides `auth.service_verified`.
    pub services: Vec<String>,
    /// Networks it may be used from; empty when from anywhere.
    pub cidrs: Vec<String>,
    /// Events per second.
    pub events_per_sec: Option<u64>,
    /// Inflated bytes per second.
    pub bytes_per_sec: Option<u64>,
    /// Distinct pairs of service and span name per hour.
    pub max_operations: Option<u64>,
    /// Events of one trace.
    pub max_trace_events: Option<u64>,
    /// What becomes of events of services that are not listed: `mark` or `reject`.
    #[schema(example = "mark")]
    pub on_other_service: &'static str,
}

impl From<access::OwnLimits> for KeyLimits {
    fn from(limits: access::OwnLimits) -> Self {
        Self {
            services: limits.services,
            cidrs: limits.cidrs.iter().map(ToString::to_string).collect(),
            events_per_sec: limits.events_per_sec,
            bytes_per_sec: limits.bytes_per_sec,
            max_operations: limits.max_operations,
            max_trace_events: limits.max_trace_events,
            on_other_service: limits.on_other_service.as_str(),
        }
    }
}

impl From<access::Key> for Key {
    fn from(key: access::Key) -> Self {
        Self {
            id: key.id,
            name: key.name,
            created_by: key.created_by,
            created_time: key.created.to_string(),
            revoked_time: key.revoked.map(|time| time.to_string()),
            last_used_time: key.last_used.map(|time| time.to_string()),
            limits: KeyLimits::from(key.limits),
        }
    }
}

/// A key that has just been made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    /// What may be shown again.
    #[serde(flatten)]
    pub key: Key,
    /// The whole key: seen here and never again.
    pub secret: String,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    /// What people will call it, 1 to 100 characters.
    pub name: String,
    /// Services it may sign as, at most 64 names of 1 to 255 characters; null or empty when it does not say.
    #[serde(default)]
    pub services: Option<Vec<String>>,
    /// Networks it may be used from, at most 64, as `10.1.0.0/16`; null or empty when from anywhere.
    #[serde(default)]
    pub cidrs: Option<Vec<String>>,
    /// Events per second, 1 to 100,000,000; null for the setting.
    #[serde(default)]
    pub events_per_sec: Option<u64>,
    /// Inflated bytes per second, 1 to 1,099,511,627,776; null for the setting.
    #[serde(default)]
    pub bytes_per_sec: Option<u64>,
    /// Distinct pairs of service and span name per hour, 1 to 100,000; null for the setting.
    #[serde(default)]
    pub max_operations: Option<u64>,
    /// Events of one trace, 1 to 1,000,000,000; null for the setting.
    #[serde(default)]
    pub max_trace_events: Option<u64>,
    /// What becomes of events of services that are not listed: `mark` (the default) or `reject`.
    #[serde(default)]
    pub on_other_service: Option<String>,
}

impl KeyRequest {
    /// The limits asked for.
    pub(crate) fn limits(&self) -> LimitsChange {
        LimitsChange {
            services: self.services.clone(),
            cidrs: self.cidrs.clone(),
            events_per_sec: Some(self.events_per_sec),
            bytes_per_sec: Some(self.bytes_per_sec),
            max_operations: Some(self.max_operations),
            max_trace_events: Some(self.max_trace_events),
            on_other_service: Some(self.on_other_service.clone()),
        }
    }
}

/// A change of a key's limits (a merge patch): what is left out stays, null takes a limit away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KeyPatch {
    /// Services it may sign as, at most 64 names of 1 to 255 characters.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    services: Option<Option<Vec<String>>>,
    /// Networks it may be used from, at most 64, as `10.1.0.0/16`.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    cidrs: Option<Option<Vec<String>>>,
    /// Events per second, 1 to 100,000,000.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    events_per_sec: Option<Option<u64>>,
    /// Inflated bytes per second, 1 to 1,099,511,627,776.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    bytes_per_sec: Option<Option<u64>>,
    /// Distinct pairs of service and span name per hour, 1 to 100,000.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    max_operations: Option<Option<u64>>,
    /// Events of one trace, 1 to 1,000,000,000.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    max_trace_events: Option<Option<u64>>,
    /// `mark` or `reject`.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    on_other_service: Option<Option<String>>,
}

impl From<KeyPatch> for LimitsChange {
    fn from(patch: KeyPatch) -> Self {
        Self {
            services: patch.services.map(Option::unwrap_or_default),
            cidrs: patch.cidrs.map(Option::unwrap_or_default),
            events_per_sec: patch.events_per_sec,
            bytes_per_sec: patch.bytes_per_sec,
            max_operations: patch.max_operations,
            max_trace_events: patch.max_trace_events,
            on_other_service: patch.on_other_service,
        }
    }
}

/// A member that is there, null or not: one that is left out never comes here.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(member: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(member).map(Some)
}
