//! What both transports do with a request: admit it, decode it, make it durable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use model::{EventBatch, Signal, TenantId, UnixNanos};
use otlp::{Arrival, Decoded};
use runtime::inflate::{Encoding, InflateError, inflate, inflate_exactly, inflated_bytes};
use runtime::metric;
use wal::Frame;

use crate::budget::{Budget, Reservation};
use crate::status::Refusal;
use crate::{Door, Pressure, Settings, credential};

/// What the smallest request is charged: its task, headers and buffers.
const BASE_BYTES: u64 = 16 * 1024;
/// A payload is held up to three times: as received, transcoded from JSON, and as columns.
const COPIES: u64 = 3;
/// Bodies that inflate by less than this are inflated in one go; others are measured first.
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
        let arrival = Arrival { received_at: UnixNanos(self.door.clock.unix_nanos()), key_id };
        let limit_bytes = self.settings.max_inflated_bytes;
        let (signal, format) = (export.signal, export.format);
        let is_large = match export.encoding {
            Encoding::Identity => export.wire.len() as u64 > INLINE_BYTES,
            _ => export.wire.len() as u64 > INLINE_BYTES / LIKELY_RATIO,
        };
        let work = {
            let arrival = arrival.clone();
            move || open(export, &arrival, limit_bytes, reservation)
        };
        let opened =
            if is_large { tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Panicked)?? } else { work()? };
        let Opened { payload, decoded: Decoded { records, rejected, message }, reservation } = opened;
        let (accepted, payload_bytes) = (records.num_rows() as u64, payload.len() as u64);
        if accepted > 0 {
            let Arrival { received_at, key_id } = arrival;
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
        metrics::counter!(metric::COLLECT_BYTES, "signal" => signal.as_str()).increment(payload_bytes);
        Ok(Receipt { rejected, message })
    }

    /// How long the request may take: what the client allows, at most the setting.
    pub fn time_limit(&self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.settings.request_timeout, |asked| asked.min(self.settings.request_timeout))
    }
}

struct Opened {
    payload: Bytes,
    decoded: Decoded,
    reservation: Reservation,
}

/// The part that costs CPU.
fn open(export: Export, arrival: &Arrival, limit_bytes: u64, mut reservation: Reservation) -> Result<Opened, Refusal> {
    let payload = inflate_within(export.wire, export.encoding, limit_bytes, &mut reservation)?;
    reservation.resize(BASE_BYTES + (payload.len() as u64).saturating_mul(COPIES))?;
    let decoded = otlp::decode(export.signal, export.format, &payload, arrival)?;
    Ok(Opened { payload, decoded, reservation })
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
