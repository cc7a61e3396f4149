//! Limits of ingest keys that have none of their own: the section `[otlp.limits]`.

use access::{KeyDefaults, limits};
use serde::{Deserialize, Serialize};

use super::SettingsError;

/// What a key may bring that says nothing itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// Events per second, 1 to 100,000,000; any number when absent.
    pub events_per_sec: Option<u64>,
    /// Inflated bytes per second, 1 to 1 TiB; any number when absent.
    pub bytes_per_sec: Option<u64>,
    /// Distinct pairs of service and span name per hour, 1 to 100,000.
    pub max_operations: u64,
    /// Events of one trace, 1 to 1,000,000,000.
    pub max_trace_events: u64,
}

impl Default for KeyLimits {
    fn default() -> Self {
        let KeyDefaults { events_per_sec, bytes_per_sec, max_operations, max_trace_events } = KeyDefaults::default();
        Self { events_per_sec, bytes_per_sec, max_operations, max_trace_events }
    }
}

/// Checks the ranges.
pub(super) fn check(given: &KeyLimits) -> Result<(), SettingsError> {
    let ranges: [(&'static str, u64, u64); 4] = [
        ("otlp.limits.events_per_sec", given.events_per_sec.unwrap_or(1), limits::MAX_EVENTS_PER_SEC),
        ("otlp.limits.bytes_per_sec", given.bytes_per_sec.unwrap_or(1), limits::MAX_BYTES_PER_SEC),
        ("otlp.limits.max_operations", given.max_operations, limits::MAX_OPERATIONS),
        ("otlp.limits.max_trace_events", given.max_trace_events, limits::MAX_TRACE_EVENTS),
    ];
    for (key, value, most) in ranges {
        if !(1..=most).contains(&value) {
            return Err(SettingsError::Value { key, problem: format!("must be 1 to {most}, got {value}") });
        }
    }
    Ok(())
}
