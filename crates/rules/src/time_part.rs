//! Parts of a time: the minute, hour, day, week, month and year of a field's value.
//!
//! A time with a zone is taken as it is written there, without conversion, as Sigma asks. A whole number counts seconds,
//! milliseconds, microseconds or nanoseconds since 1970 in UTC, whichever its length makes it.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl TimePart {
    /// Every part.
    const ALL: [Self; 6] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The part of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == name)
    }

    /// The name in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The part of a time as people write it; `None` when the text is no time, or a day without an hour is asked for it.
    pub fn of(self, text: &str) -> Option<i32> {
        let text = text.trim();
        let (date, time) = match moment(text) {
            Some(moment) => (moment.date(), Some(moment.time())),
            None => (NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?, None),
        };
        let whole = |part: u32| i32::try_from(part).ok();
        match self {
            Self::Minute => whole(time?.minute()),
            Self::Hour => whole(time?.hour()),
            Self::Day => whole(date.day()),
            Self::Week => whole(date.iso_week().week()),
            Self::Month => whole(date.month()),
            Self::Year => Some(date.year()),
        }
    }
}

fn moment(text: &str) -> Option<NaiveDateTime> {
    if let Ok(number) = text.parse::<i64>() {
        let per_second = match text.trim_start_matches('-').len() {
            // four digits are a year or an event id, not a moment in 1970
            0..=8 => return None,
            9..=11 => 1_i64,
            12..=14 => 1_000,
            15..=17 => 1_000_000,
            _ => 1_000_000_000,
        };
        let nanos = u32::try_from(number.rem_euclid(per_second) * (1_000_000_000 / per_second)).ok()?;
        return DateTime::from_timestamp(number.div_euclid(per_second), nanos).map(|time| time.naive_utc());
    }
    if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        return Some(zoned.naive_local());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
}

#[cfg(test)]
mod tests;
