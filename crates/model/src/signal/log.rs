//! The columns of a log record.

use arrow::datatypes::{DataType, Field, Schema};

use super::{label_type, shared_fields, time_type};

/// The record's time: `time_unix_nano`, or the observed time, or the time of reception, whichever is set first.
pub const TIME: &str = "time";
/// Observed time as sent; null when 0.
pub const OBSERVED_TIME: &str = "observed_time";
/// OTLP severity number, 0 to 24.
pub const SEVERITY_NUMBER: &str = "severity_number";
/// Severity text as sent; null when empty.
pub const SEVERITY_TEXT: &str = "severity_text";
/// The body: the text itself for a string, JSON for any other value, null when absent.
pub const BODY: &str = "body";
/// The type tag of the body, as in [`crate::attribute::Value::tag`]; null when the body is absent.
pub const BODY_TYPE: &str = "body_type";
/// Event name; null when empty.
pub const EVENT_NAME: &str = "event_name";
/// OTLP log record flags, all 32 bits.
pub const FLAGS: &str = "flags";

/// The six severity names, each the first of four severity numbers: 1 trace, 5 debug, 9 info, 13 warn, 17 error, 21 fatal.
pub const SEVERITY_NAMES: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

/// The short name of a severity number; `unspecified` outside 1 to 24.
pub fn severity_name(number: i8) -> &'static str {
    if !(1..=24).contains(&number) {
        return "unspecified";
    }
    SEVERITY_NAMES[usize::from(number.unsigned_abs() - 1) / 4]
}

pub(super) fn schema() -> Schema {
    let mut fields = vec![
        Field::new(TIME, time_type(), false),
        Field::new(OBSERVED_TIME, time_type(), true),
        Field::new(SEVERITY_NUMBER, DataType::Int8, false),
        Field::new(SEVERITY_TEXT, label_type(), true),
        Field::new(BODY, DataType::Utf8, true),
        Field::new(BODY_TYPE, label_type(), true),
        Field::new(EVENT_NAME, label_type(), true),
        Field::new(super::TRACE_ID, DataType::FixedSizeBinary(16), true),
        Field::new(super::SPAN_ID, DataType::FixedSizeBinary(8), true),
        Field::new(FLAGS, DataType::UInt32, false),
    ];
    fields.extend(shared_fields());
    Schema::new(fields)
}
