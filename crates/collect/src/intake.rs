//! What both transports do with a request: admit it, redact it, decode it, make it durable.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use model::{EventBatch, Signal, TenantId, UnixNanos};
use otlp::{Arrival, Decoded};
use runtime::inflate::{Encoding, InflateError, inflate};
use runtime::metric;
use wal::Frame;

use crate::budget::{Budget, Reservation};
use crate::redaction::Policy;
use crate::status::Refusal;
use crate::{Door, Pressure, Settings, credential};

/// What the smallest request is charged: its task, headers and buffers.
const BASE_BYTES: u64 = 16 * 1024;
/// A payload is held up to three times: as received, transcoded from JSON or redacted, and as columns.
const COPIES: u64 = 3;
/// Bodies that inflate by less than this are inflated in one go; others start again with the full limit reserved.
const LIKELY_RATIO: u64 = 16;
/// Larger payloads are decoded on the blocking pool: 64 KiB take about a third of a millisecond.
const INLINE_BYTES: u64 = 64 * 1024;

/// Admission and storage, shared by every connection.
pub(crate) struct Intake {
    pub settings: Settings,
    door: Door,
    budget: Arc<Budget>,
}

/// A request that may come in.
#[derive(Debug)]
pub(crate) struct Admitted {
    tenant: TenantId,
    key_id: Option<Arc<str>>,
    pub reservation: Reservation,
}

/// What is to be stored.
pub(crate) struct Export {
    pub signal: Signal,
    pub format: otlp::Format,
    pub encoding: Encoding,
    /// The body as it came.
    pub wire: Bytes,
}

/// What became of an export.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub rejected: u64,
    pub message: String,
}

impl Intake {
    pub fn new(settings: Settings, door: Door) -> Self {
        // the body as it came, and its copies once inflated
        let largest = BASE_BYTES + settings.max_inflated_bytes.saturating_mul(COPIES + 1);
        let budget = Budget::new(settings.max_in_flight_bytes.max(largest));
        Self { settings, door, budget }
    }

    /// Checks everything that can be known before the body is read.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        let (tenant, key_id) = match (credential::presented(headers), &self.door.open_tenant) {
            (Some(key), _) => {
                let grant = self.door.access.ingest(key).await?;
                (grant.tenant, Some(grant.key_id))
            }
            (None, Some(tenant)) => (tenant.clone(), None),
            (None, None) => return Err(Refusal::NoCredential),
        };
        if let Pressure::Closed(reason) = (self.door.pressure)() {
            return Err(Refusal::Closed(reason));
        }
        Ok(Admitted { tenant, key_id, reservation: self.budget.reserve(BASE_BYTES)? })
    }

    /// Decodes the export and appends it to the log. Answers once it is durable, or when there is nothing to store.
    pub async fn store(&self, admitted: Admitted, export: Export) -> Result<Receipt, Refusal> {
        let Admitted { tenant, key_id, reservation } = admitted;
        let arrival = Arrival {
            received_at: UnixNanos(self.door.clock.unix_nanos()),
            key_id,
            trusted_proxies: Arc::clone(&self.settings.trusted_proxies),
        };
        let limit_bytes = self.settings.max_inflated_bytes;
        let signal = export.signal;
        let is_large = match export.encoding {
            Encoding::Identity => export.wire.len() as u64 > INLINE_BYTES,
            _ => export.wire.len() as u64 > INLINE_BYTES / LIKELY_RATIO,
        };
        let work = {
            let (arrival, tenant, redaction) = (arrival.clone(), tenant.clone(), self.door.redaction.clone());
            move || open(export, &arrival, (&tenant, redaction.as_deref()), limit_bytes, reservation)
        };
        let opened =
            if is_large { tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Panicked)?? } else { work()? };
        let Opened { payload, format, inflated_bytes, decoded, reservation } = opened;
        let Decoded { records, rejected, message } = decoded;
        let accepted = records.num_rows() as u64;
        if accepted > 0 {
            let Arrival { received_at, key_id, .. } = arrival;
            let batch = EventBatch { tenant: tenant.clone(), signal, received_at, lsn: model::Lsn::default(), records };
            let format = match format {
                otlp::Format::Protobuf => wal::Format::Protobuf,
                otlp::Format::Json => wal::Format::Json,
            };
            let frame = Frame { tenant, key_id, signal, format, received_at, payload };
            self.door.wal.append(frame, batch).await?;
        }
        drop(reservation);
        metrics::counter!(metric::COLLECT_ACCEPTED, "signal" => signal.as_str()).increment(accepted);
        metrics::counter!(metric::COLLECT_REJECTED, "signal" => signal.as_str()).increment(rejected);
        metrics::counter!(metric::COLLECT_BYTES, "signal" => signal.as_str()).increment(inflated_bytes);
        Ok(Receipt { rejected, message })
    }

    /// How long the request may take: what the client allows, at most the setting.
    pub fn time_limit(&self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.settings.request_timeout, |asked| asked.min(self.settings.request_timeout))
    }
}

struct Opened {
    /// What goes into the log, and how it is written.
    payload: Bytes,
    format: otlp::Format,
    inflated_bytes: u64,
    decoded: Decoded,
    reservation: Reservation,
}

/// The part that costs CPU.
fn open(
    export: Export,
    arrival: &Arrival,
    (tenant, redaction): (&TenantId, Option<&Policy>),
    limit_bytes: u64,
    mut reservation: Reservation,
) -> Result<Opened, Refusal> {
    let payload = inflate_within(export.wire, export.encoding, limit_bytes, &mut reservation)?;
    let inflated_bytes = payload.len() as u64;
    reservation.resize(BASE_BYTES + inflated_bytes.saturating_mul(COPIES))?;
    let (signal, format) = (export.signal, export.format);
    let (payload, format) = match redaction {
        Some(policy) => (redact(policy, tenant, signal, format, payload)?, otlp::Format::Protobuf),
        None => (payload, format),
    };
    // many short values that are replaced by tokens make a request longer
    if payload.len() as u64 > inflated_bytes {
        reservation.resize(BASE_BYTES + (payload.len() as u64).saturating_mul(COPIES))?;
    }
    let decoded = otlp::decode(signal, format, &payload, arrival)?;
    Ok(Opened { payload, format, inflated_bytes, decoded, reservation })
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

/// Inflates with the result charged before it exists. An ordinary body is charged what ordinary bodies need; only one
/// that inflates further takes the whole limit.
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
            reservation.resize(before + limit_bytes)?;
            Ok(inflate(wire, encoding, limit_bytes)?)
        }
        result => Ok(result?),
    }
}
