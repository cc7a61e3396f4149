//! Time as the house counts it: nanoseconds since 1970 in UTC.

use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z. Covers 1677 to 2262; OTLP's unsigned times past that are refused at decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixNanos(pub i64);

/// Nanoseconds in one millisecond.
pub const NANOS_PER_MILLI: i64 = 1_000_000;
/// Nanoseconds in one second.
pub const NANOS_PER_SEC: i64 = 1_000_000_000;
/// Nanoseconds in one hour, the unit of partitioning and retention.
pub const NANOS_PER_HOUR: i64 = 3_600 * NANOS_PER_SEC;

impl UnixNanos {
    /// From milliseconds since 1970, saturating.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// Whole milliseconds since 1970, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// The whole hour since 1970 this moment lies in.
    pub fn hour(self) -> i64 {
        self.0.div_euclid(NANOS_PER_HOUR)
    }

    /// This moment plus (or minus) nanoseconds, saturating.
    pub fn plus(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Reads RFC 3339, as in `2026-11-22T14:00:00Z`.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let parsed = chrono::DateTime::parse_from_rfc3339(text).ok()?;
        parsed.timestamp_nanos_opt().map(Self)
    }
}

impl fmt::Display for UnixNanos {
    /// RFC 3339 in UTC with nine decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = chrono::DateTime::from_timestamp_nanos(self.0);
        f.write_str(&time.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true))
    }
}

/// A half-open range of event time: `start` included, `end` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// First moment inside.
    pub start: UnixNanos,
    /// First moment outside.
    pub end: UnixNanos,
}

impl TimeRange {
    /// Every moment.
    pub const ALL: Self = Self { start: UnixNanos(i64::MIN), end: UnixNanos(i64::MAX) };

    /// Whether `time` lies inside.
    pub fn contains(&self, time: UnixNanos) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether any moment between `min` and `max`, both included, lies inside.
    pub fn overlaps(&self, min: UnixNanos, max: UnixNanos) -> bool {
        self.start <= max && min < self.end
    }
}
