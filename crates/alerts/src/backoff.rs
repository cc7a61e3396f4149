//! How long to wait before a message is sent again.

use std::time::Duration;

use model::UnixNanos;

use crate::settings::Retry;

/// The wait after `attempts` failed attempts (at least 1): full jitter, that is a random part (`fraction`, 0.0 to 1.0)
/// of a bound that doubles from `base` to `longest`. A receiver that asks for a later time gets it, within `longest`.
pub fn wait(retry: &Retry, attempts: u32, fraction: f64, asked: Option<Duration>) -> Duration {
    let doublings = attempts.saturating_sub(1).min(31);
    let bound = retry.base.saturating_mul(1 << doublings).min(retry.longest);
    let jittered = bound.mul_f64(fraction.clamp(0.0, 1.0));
    jittered.max(asked.unwrap_or_default().min(retry.longest))
}

/// Reads a `Retry-After` value: whole seconds, or an HTTP date. `None` when it is neither.
pub fn retry_after(value: &str, now: UnixNanos) -> Option<Duration> {
    let value = value.trim();
    if let Ok(secs) = value.parse::<u64>() {
        return Some(Duration::from_secs(secs));
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    let nanos = date.timestamp_nanos_opt()?.saturating_sub(now.0);
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
