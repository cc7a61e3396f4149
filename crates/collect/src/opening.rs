//! The part of taking a request in that costs CPU: inflate, charge, redact, decode, and hold against the limits of the key.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use bytes::Bytes;
use model::{Signal, TenantId, signal};
use otlp::{Arrival, Decoded};
use runtime::inflate::{Encoding, InflateError, inflate, inflate_exactly, inflated_bytes};
use runtime::metric;

use crate::budget::Reservation;
use crate::cap::Verdict;
use crate::intake::{BASE_BYTES, COPIES, Export};
use crate::ledger::Account;
use crate::redaction::Policy;
use crate::resend::Resends;
use crate::status::Refusal;

/// Bodies that inflate by less than this are inflated in one go; others are measured first.
const LIKELY_RATIO: u64 = 16;
/// Larger payloads are decoded on the blocking pool: 64 KiB take about a third of a millisecond.
const INLINE_BYTES: u64 = 64 * 1024;
/// Copies of a payload that exist besides when part of its events is rejected and the rest is written again.
const REWRITE_COPIES: u64 = 4;

/// A request to open.
pub(crate) struct Work {
    pub export: Export,
    pub tenant: TenantId,
    /// What must not be kept; `None` keeps everything.
    pub redaction: Option<Arc<Policy>>,
    pub arrival: Arrival,
    pub account: Arc<Account>,
    /// Says whether the request may be known when it comes again; `None` when nobody asks.
    pub resends: Option<Arc<Resends>>,
    /// The moment that is charged, by the ledger's clock.
    pub now_nanos: i64,
    /// Most bytes after inflating.
    pub limit_bytes: u64,
    pub reservation: Reservation,
}

/// What a request holds, within the limits of its key.
pub(crate) struct Opened {
    /// What goes into the log: the bytes as they came, inflated, or the accepted events written again.
    pub payload: Bytes,
    pub format: wal::Format,
    pub records: RecordBatch,
    pub rejected: u64,
    pub message: String,
    pub reservation: Reservation,
    pub charged: Charged,
    pub verdict: Verdict,
    /// What the request is known by when it comes again; `None` when it is not.
    pub digest: Option<u128>,
}

/// What the key was charged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charged {
    pub bytes: u64,
    pub events: u64,
}

impl Work {
    /// Whether opening it would keep the reactor busy for too long.
    pub fn is_large(&self) -> bool {
        let wire_bytes = self.export.wire.len() as u64;
        match self.export.encoding {
            Encoding::Identity => wire_bytes > INLINE_BYTES,
            _ => wire_bytes > INLINE_BYTES / LIKELY_RATIO,
        }
    }
}

/// Opens a request. A pure function of its work but for the account, which is charged as soon as a cost is known.
pub(crate) fn open(work: Work) -> Result<Opened, Refusal> {
    let started = Instant::now();
    let opened = open_timed(work);
    metrics::histogram!(metric::COLLECT_DECODE_SECONDS).record(started.elapsed().as_secs_f64());
    opened
}

fn open_timed(work: Work) -> Result<Opened, Refusal> {
    let Work { export, tenant, redaction, arrival, account, resends, now_nanos, limit_bytes, .. } = work;
    let Export { signal, format, encoding, wire } = export;
    let (mut reservation, wire_bytes) = (work.reservation, wire.len() as u64);
    let inflated = inflate_within(wire, encoding, limit_bytes, &mut reservation);
    // what does not inflate is charged as what it cost: the limit for a bomb, its own size for anything else
    let payload = inflated.inspect_err(|refusal| match refusal {
        Refusal::Inflate(InflateError::TooLarge { .. }) => account.charge_bytes(now_nanos, limit_bytes),
        Refusal::Inflate(_) => account.charge_bytes(now_nanos, wire_bytes),
        _ => {}
    })?;
    let bytes = payload.len() as u64;
    account.charge_bytes(now_nanos, bytes);
    let wanted_bytes = BASE_BYTES + bytes.saturating_mul(COPIES);
    // a request that is refused for want of memory was not served: its client comes back
    reservation.resize(wanted_bytes).inspect_err(|_| account.give_back(bytes, 0, &Verdict::default()))?;
    let (payload, format) = match redaction {
        Some(policy) => (redact(&policy, &tenant, signal, format, payload)?, otlp::Format::Protobuf),
        None => (payload, format),
    };
    // many short values that are replaced by tokens make a request longer
    let longer_bytes = (payload.len() as u64).saturating_sub(bytes).saturating_mul(COPIES);
    reservation
        .resize(wanted_bytes + longer_bytes)
        .inspect_err(|_| account.give_back(bytes, 0, &Verdict::default()))?;
    let Decoded { records, mut rejected, mut message } = otlp::decode(signal, format, &payload, &arrival)?;
    let charged = Charged { bytes, events: records.num_rows() as u64 + rejected };
    account.charge_events(now_nanos, charged.events);
    count_unverified(signal, &records);
    let verdict = account.judge(signal, &records, arrival.received_at);
    let format = match format {
        otlp::Format::Protobuf => wal::Format::Protobuf,
        otlp::Format::Json => wal::Format::Json,
    };
    let digest = |records: &RecordBatch, payload: &[u8]| {
        resends.as_ref().and_then(|resends| resends.digest(signal, records, arrival.received_at, payload))
    };
    let Some(kept) = &verdict.kept else {
        let digest = digest(&records, &payload);
        return Ok(Opened { payload, format, records, rejected, message, reservation, charged, verdict, digest });
    };
    rejected += verdict.rejected();
    let why = verdict.message(&account.limits, signal.as_str());
    message = if message.is_empty() { why } else { format!("{message}; {why}") };
    let rewritten = reservation
        .resize(wanted_bytes + bytes.saturating_mul(REWRITE_COPIES))
        .and_then(|()| rewrite(signal, &filter_record_batch(&records, kept).map_err(|_| Refusal::Rewrite)?, &arrival));
    let (payload, records) = rewritten.inspect_err(|_| account.give_back(charged.bytes, charged.events, &verdict))?;
    let (digest, format) = (digest(&records, &payload), wal::Format::Protobuf);
    Ok(Opened { payload, format, records, rejected, message, reservation, charged, verdict, digest })
}

/// The request as it may be kept, in protobuf: only what was judged is kept, and of a JSON document that is what the
/// transcoder took over.
fn redact(
    policy: &Policy,
    tenant: &TenantId,
    signal: Signal,
    format: otlp::Format,
    payload: Bytes,
) -> Result<Bytes, Refusal> {
    let transcoded = match otlp::rewrite::to_protobuf(signal, format, &payload)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(protobuf) => Some(Bytes::from(protobuf)),
    };
    let payload = transcoded.unwrap_or(payload);
    let redacted = match policy.redact(tenant, signal, &payload)?.payload {
        Cow::Borrowed(_) => None,
        Cow::Owned(redacted) => Some(Bytes::from(redacted)),
    };
    Ok(redacted.unwrap_or(payload))
}

/// The accepted events as a request of their own, so that the log holds them and nothing else. The rows are those that
/// the new request decodes to, and therefore those of a replay.
fn rewrite(signal: Signal, accepted: &RecordBatch, arrival: &Arrival) -> Result<(Bytes, RecordBatch), Refusal> {
    if accepted.num_rows() == 0 {
        return Ok((Bytes::new(), accepted.clone()));
    }
    let payload = otlp::encode(signal, otlp::Format::Protobuf, accepted).map_err(|_| Refusal::Rewrite)?;
    let decoded = otlp::decode(signal, otlp::Format::Protobuf, &payload, arrival).map_err(|_| Refusal::Rewrite)?;
    if decoded.records.num_rows() != accepted.num_rows() {
        return Err(Refusal::Rewrite);
    }
    Ok((payload.into(), decoded.records))
}

fn count_unverified(signal: Signal, records: &RecordBatch) {
    let verified = records.column_by_name(signal::SERVICE_VERIFIED).and_then(|column| column.as_boolean_opt());
    let unverified = verified.map_or(0, |column| column.len() - column.null_count() - column.true_count());
    if unverified > 0 {
        metrics::counter!(metric::COLLECT_UNVERIFIED, "signal" => signal.as_str()).increment(unverified as u64);
    }
}

/// Inflates with the result charged before it exists. An ordinary body is charged what ordinary bodies need; one that
/// inflates further is measured first, so that a bomb never takes memory.
fn inflate_within(
    wire: Bytes,
    encoding: Encoding,
    limit_bytes: u64,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal> {
    if encoding == Encoding::Identity {
        return Ok(inflate(wire, encoding, limit_bytes)?);
    }
    let likely_bytes = (wire.len() as u64 * LIKELY_RATIO + INLINE_BYTES).min(limit_bytes);
    let before = reservation.bytes();
    reservation.resize(before + likely_bytes)?;
    match inflate(wire.clone(), encoding, likely_bytes) {
        Err(InflateError::TooLarge { .. }) if likely_bytes < limit_bytes => {
            let exact_bytes = inflated_bytes(&wire, encoding, limit_bytes)?;
            reservation.resize(before + exact_bytes)?;
            Ok(inflate_exactly(wire, encoding, exact_bytes)?)
        }
        result => Ok(result?),
    }
}
