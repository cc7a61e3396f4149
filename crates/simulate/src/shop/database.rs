//! What postgres says on its own: the lines of its checkpoints, which belong to no trace.
//!
//! For the rest postgres appears as the peer of database spans, as a span of its own below one statement in four (as
//! `pg_tracing` samples), and with a line for every slow statement.

use proto::logs::v1::{LogRecord, SeverityNumber};

use crate::attribute::{any, int};
use crate::dice::{Dice, Stream};
use crate::journey::NANOS_PER_SEC;
use crate::service::{Instance, Service};

const CHECKPOINT_SECS: u64 = 300;

/// The lines postgres writes in this second without being asked.
pub(crate) fn housekeeping(seed: u64, second: u64) -> Vec<(Instance, LogRecord)> {
    let mut dice = Dice::new(seed, Stream::Database, 0, second / CHECKPOINT_SECS);
    let buffers = dice.between(200, 1_400);
    let write_millis = dice.between(20_000, 90_000);
    let (event, body) = match second % CHECKPOINT_SECS {
        0 => ("postgresql.checkpoint.start", "checkpoint starting: time".to_owned()),
        120 => (
            "postgresql.checkpoint.complete",
            format!(
                "checkpoint complete: wrote {buffers} buffers; write={}.{:03} s",
                write_millis / 1000,
                write_millis % 1000
            ),
        ),
        _ => return Vec::new(),
    };
    let at = second * NANOS_PER_SEC + dice.below(NANOS_PER_SEC);
    let record = LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at + 1_000_000,
        severity_number: SeverityNumber::Info as i32,
        severity_text: "LOG".to_owned(),
        body: Some(any(body)),
        attributes: vec![int("postgresql.checkpoint.buffers", buffers)],
        event_name: event.to_owned(),
        ..LogRecord::default()
    };
    vec![(Service::Postgres.instance(0, at), record)]
}
