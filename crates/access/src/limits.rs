//! What a key may bring: which services, from where, how fast, and how varied.
//!
//! A key has limits of its own, each of which may be missing; the settings of the server stand in for those. On disk
//! they are one JSON object per key, without the members that are missing:
//!
//! ```json
//! {"services": ["cart"], "cidrs": ["10.1.0.0/16"], "events_per_sec": 500, "bytes_per_sec": 1000000,
//!  "max_operations": 200, "max_trace_events": 10000, "on_other_service": "reject"}
//! ```

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::error::AccessError;

/// Most services that a key may list.
pub const MAX_SERVICES: usize = 64;
/// Longest name of a listed service.
pub const MAX_SERVICE_CHARS: usize = 255;
/// Most networks that a key may list.
pub const MAX_CIDRS: usize = 64;
/// Highest rate of events.
pub const MAX_EVENTS_PER_SEC: u64 = 100_000_000;
/// Highest rate of bytes.
pub const MAX_BYTES_PER_SEC: u64 = 1 << 40;
/// Most operations that may be told apart in an hour: each costs the collector sixteen bytes or so.
pub const MAX_OPERATIONS: u64 = 100_000;
/// Most events that one trace may be allowed.
pub const MAX_TRACE_EVENTS: u64 = 1_000_000_000;

/// What becomes of events whose service the key does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnOtherService {
    /// They are stored, with `auth.service_verified` false.
    #[default]
    Mark,
    /// They are rejected by partial success.
    Reject,
}

impl OnOtherService {
    /// The name, as it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mark => "mark",
            Self::Reject => "reject",
        }
    }
}

impl FromStr for OnOtherService {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        match text {
            "mark" => Ok(Self::Mark),
            "reject" => Ok(Self::Reject),
            other => {
                let shown: String = other.chars().take(40).collect();
                Err(wrong("on_other_service", format!("must be \"mark\" or \"reject\", got {shown:?}"), None))
            }
        }
    }
}

/// What a key itself says; the settings of the server stand in for what is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnLimits {
    /// Services it may sign as, sorted; empty when it does not say.
    pub services: Vec<String>,
    /// Networks it may be used from; empty when from anywhere.
    pub cidrs: Vec<IpNet>,
    /// Events per second.
    pub events_per_sec: Option<u64>,
    /// Inflated bytes per second.
    pub bytes_per_sec: Option<u64>,
    /// Distinct pairs of service and span name per hour.
    pub max_operations: Option<u64>,
    /// Events of one trace.
    pub max_trace_events: Option<u64>,
    /// What becomes of events of services that are not listed.
    pub on_other_service: OnOtherService,
}

/// A change of a key's limits: `None` leaves a limit as it is, an inner `None` or an empty list takes it away.
#[derive(Debug, Clone, Default)]
pub struct LimitsChange {
    /// At most [`MAX_SERVICES`] names of 1 to [`MAX_SERVICE_CHARS`] characters without control characters.
    pub services: Option<Vec<String>>,
    /// At most [`MAX_CIDRS`], as `10.1.0.0/16` or `10.1.2.3`.
    pub cidrs: Option<Vec<String>>,
    /// 1 to [`MAX_EVENTS_PER_SEC`].
    pub events_per_sec: Option<Option<u64>>,
    /// 1 to [`MAX_BYTES_PER_SEC`].
    pub bytes_per_sec: Option<Option<u64>>,
    /// 1 to [`MAX_OPERATIONS`].
    pub max_operations: Option<Option<u64>>,
    /// 1 to [`MAX_TRACE_EVENTS`].
    pub max_trace_events: Option<Option<u64>>,
    /// `mark` or `reject`; an inner `None` is `mark`.
    pub on_other_service: Option<Option<String>>,
}

/// Limits for keys that have none of their own, and for requests without a key where those are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDefaults {
    /// Events per second; `None` for any number.
    pub events_per_sec: Option<u64>,
    /// Inflated bytes per second; `None` for any number.
    pub bytes_per_sec: Option<u64>,
    /// Distinct pairs of service and span name per hour.
    pub max_operations: u64,
    /// Events of one trace.
    pub max_trace_events: u64,
}

impl Default for KeyDefaults {
    fn default() -> Self {
        Self { events_per_sec: None, bytes_per_sec: None, max_operations: 10_000, max_trace_events: 1_000_000 }
    }
}

/// The limits in force for a key: its own, and the settings for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLimits {
    /// Networks it may be used from; empty when from anywhere.
    pub cidrs: Vec<IpNet>,
    /// Events per second; `None` for any number.
    pub events_per_sec: Option<u64>,
    /// Inflated bytes per second; `None` for any number.
    pub bytes_per_sec: Option<u64>,
    /// Distinct pairs of service and span name per hour.
    pub max_operations: u64,
    /// Events of one trace.
    pub max_trace_events: u64,
    /// What becomes of events of services that are not listed.
    pub on_other_service: OnOtherService,
}

impl KeyLimits {
    /// Whether the key may be used from an address. IPv4 written as IPv6 counts as IPv4.
    pub fn allows(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.cidrs.is_empty() || self.cidrs.iter().any(|network| network.contains(&peer))
    }
}

impl OwnLimits {
    /// What is in force, and the services to verify against.
    pub(crate) fn in_force(&self, defaults: &KeyDefaults) -> (Option<Arc<[String]>>, Arc<KeyLimits>) {
        let limits = KeyLimits {
            cidrs: self.cidrs.clone(),
            events_per_sec: self.events_per_sec.or(defaults.events_per_sec),
            bytes_per_sec: self.bytes_per_sec.or(defaults.bytes_per_sec),
            max_operations: self.max_operations.unwrap_or(defaults.max_operations),
            max_trace_events: self.max_trace_events.unwrap_or(defaults.max_trace_events),
            on_other_service: self.on_other_service,
        };
        ((!self.services.is_empty()).then(|| self.services.clone().into()), Arc::new(limits))
    }

    /// Takes a change over, or none of it.
    pub(crate) fn change(&mut self, change: &LimitsChange) -> Result<(), AccessError> {
        let mut next = self.clone();
        if let Some(services) = &change.services {
            next.services = checked_services(services)?;
        }
        if let Some(cidrs) = &change.cidrs {
            next.cidrs = checked_cidrs(cidrs)?;
        }
        let numbers = [
            ("events_per_sec", change.events_per_sec, &mut next.events_per_sec, MAX_EVENTS_PER_SEC),
            ("bytes_per_sec", change.bytes_per_sec, &mut next.bytes_per_sec, MAX_BYTES_PER_SEC),
            ("max_operations", change.max_operations, &mut next.max_operations, MAX_OPERATIONS),
            ("max_trace_events", change.max_trace_events, &mut next.max_trace_events, MAX_TRACE_EVENTS),
        ];
        for (field, asked, place, most) in numbers {
            let Some(asked) = asked else { continue };
            if let Some(number) = asked.filter(|number| !(1..=most).contains(number)) {
                return Err(wrong(field, format!("must be 1 to {most}, got {number}"), Some(most)));
            }
            *place = asked;
        }
        if let Some(asked) = &change.on_other_service {
            next.on_other_service = asked.as_deref().map(str::parse).transpose()?.unwrap_or_default();
        }
        if next.on_other_service == OnOtherService::Reject && next.services.is_empty() {
            let problem = "must be \"mark\" for a key that lists no services".to_owned();
            return Err(wrong("on_other_service", problem, None));
        }
        *self = next;
        Ok(())
    }

    /// As it is stored; `None` when the key says nothing.
    pub(crate) fn to_stored(&self) -> Option<String> {
        let stored = Stored {
            services: self.services.clone(),
            cidrs: self.cidrs.clone(),
            events_per_sec: self.events_per_sec,
            bytes_per_sec: self.bytes_per_sec,
            max_operations: self.max_operations,
            max_trace_events: self.max_trace_events,
            on_other_service: (self.on_other_service != OnOtherService::Mark)
                .then(|| self.on_other_service.as_str().to_owned()),
        };
        let text = serde_json::to_string(&stored).expect("numbers and texts are JSON");
        (*self != Self::default()).then_some(text)
    }

    pub(crate) fn from_stored(text: Option<&str>) -> Result<Self, AccessError> {
        let Some(text) = text else { return Ok(Self::default()) };
        let unknown = || AccessError::Stored { what: "limits", value: text.to_owned() };
        let stored: Stored = serde_json::from_str(text).map_err(|_| unknown())?;
        let on_other_service = stored.on_other_service.as_deref().map(str::parse).transpose();
        Ok(Self {
            services: stored.services,
            cidrs: stored.cidrs,
            events_per_sec: stored.events_per_sec,
            bytes_per_sec: stored.bytes_per_sec,
            max_operations: stored.max_operations,
            max_trace_events: stored.max_trace_events,
            on_other_service: on_other_service.map_err(|_: AccessError| unknown())?.unwrap_or_default(),
        })
    }
}

/// The JSON of the column.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Stored {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cidrs: Vec<IpNet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_per_sec: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_sec: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_operations: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_trace_events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_other_service: Option<String>,
}

fn checked_services(names: &[String]) -> Result<Vec<String>, AccessError> {
    if names.len() > MAX_SERVICES {
        let problem = format!("may list {MAX_SERVICES} services, got {}", names.len());
        return Err(wrong("services", problem, Some(MAX_SERVICES as u64)));
    }
    for name in names {
        if name.is_empty() || name.chars().count() > MAX_SERVICE_CHARS || name.chars().any(char::is_control) {
            let problem = format!("must hold names of 1 to {MAX_SERVICE_CHARS} characters without control characters");
            return Err(wrong("services", problem, Some(MAX_SERVICE_CHARS as u64)));
        }
    }
    Ok(names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect())
}

fn checked_cidrs(texts: &[String]) -> Result<Vec<IpNet>, AccessError> {
    if texts.len() > MAX_CIDRS {
        let problem = format!("may list {MAX_CIDRS} networks, got {}", texts.len());
        return Err(wrong("cidrs", problem, Some(MAX_CIDRS as u64)));
    }
    let read = |text: &String| {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let shown = || text.chars().take(64).collect::<String>();
        network.ok_or_else(|| wrong("cidrs", format!("must hold networks like 10.1.0.0/16, got {:?}", shown()), None))
    };
    texts.iter().map(read).collect()
}

fn wrong(field: &'static str, problem: String, limit: Option<u64>) -> AccessError {
    AccessError::Limit { field, problem, limit }
}
