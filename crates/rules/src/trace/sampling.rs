//! Whether spans of a trace were left out on purpose, as far as its spans tell.
//!
//! A span says so itself when its flags are known to be set by its SDK and the sampled flag is not among them: whoever
//! was called from there may not have been recorded. Different sampling thresholds in one trace say so as well: some
//! service keeps fewer traces than another, and nobody knows what others did. One threshold for all is no hint: the
//! trace was kept, and with it all of its spans.

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt32Type;
use model::signal::span;

use super::tree::Span;
use crate::column::Columns;
use crate::events::Events;

/// Nothing is known.
pub const UNKNOWN: u32 = 0;
/// The span says that its trace is not sampled.
const UNSAMPLED: u32 = 1;
/// Sampling thresholds, of 56 bits, begin here; their last bits are left out.
const THRESHOLDS: u32 = 2;
const THRESHOLD_DIGITS: usize = 14;
const BITS_LEFT_OUT: u32 = 26;

/// W3C trace flag: sampled.
const SAMPLED: u32 = 1;
/// OTLP span flag: the SDK knows whether the parent is remote, and so is one that sets flags.
const HAS_IS_REMOTE: u32 = 0x100;

/// What a row says of the sampling of its trace. Of a file, `fields` are the numbers of `flags` and `trace_state`.
pub fn of(events: &Events<'_>, columns: &Columns<'_>, fields: [usize; 2], row: usize) -> u32 {
    if events.signal.is_none() {
        let [flags, state] = fields.map(|field| columns.ready(field).and_then(|field| field.text(row)));
        return hint(flags.and_then(|flags| flags.parse().ok()).unwrap_or(0), state);
    }
    let column = |name: &str| events.records.column_by_name(name);
    let flags = column(span::FLAGS).and_then(|column| column.as_primitive_opt::<UInt32Type>());
    let flags = flags.filter(|flags| row < flags.len() && flags.is_valid(row)).map_or(0, |flags| flags.value(row));
    let states = column(span::TRACE_STATE).and_then(|column| column.as_string_opt::<i32>());
    hint(flags, states.filter(|states| row < states.len() && states.is_valid(row)).map(|states| states.value(row)))
}

fn hint(flags: u32, state: Option<&str>) -> u32 {
    if flags & HAS_IS_REMOTE != 0 && flags & SAMPLED == 0 {
        return UNSAMPLED;
    }
    state.and_then(threshold).map_or(UNKNOWN, |threshold| {
        THRESHOLDS.saturating_add(u32::try_from(threshold >> BITS_LEFT_OUT).unwrap_or(u32::MAX))
    })
}

/// The rejection threshold that OpenTelemetry writes into the trace state, as in `ot=th:c`.
fn threshold(state: &str) -> Option<u64> {
    let ours = state.split(',').find_map(|member| member.trim().strip_prefix("ot="))?;
    let digits = ours.split(';').find_map(|part| part.strip_prefix("th:"))?;
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || digits.len() > THRESHOLD_DIGITS {
        return None;
    }
    u64::from_str_radix(&format!("{digits:0<THRESHOLD_DIGITS$}"), 16).ok()
}

/// Whether spans are known to be missing from among these.
pub fn is_thinned(spans: &[Span]) -> bool {
    let mut known = None;
    spans
        .iter()
        .map(|span| span.sampling)
        .filter(|hint| *hint != UNKNOWN)
        .any(|hint| hint == UNSAMPLED || *known.get_or_insert(hint) != hint)
}
