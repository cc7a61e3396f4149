//! From a frame in the log to the batch it was when it arrived.

use std::sync::Arc;

use model::{EventBatch, Lsn};
use otlp::{Arrival, DecodeError, Format, TrustedProxies};
use wal::{Entry, Frame};

/// Why a frame that was accepted once cannot be read again: a fault of ours or damage that passed the checksum.
#[derive(Debug, thiserror::Error)]
#[error("frame {lsn} of the log cannot be decoded: {reason}")]
pub struct FrameError {
    /// Position of the frame.
    pub lsn: Lsn,
    /// What the decoder said.
    pub reason: String,
}

/// Decodes a frame to the batch the collector made of it: same rows, same order, in its place in the log. `proxies` are
/// those that the collector trusts.
///
/// # Errors
/// [`FrameError`] when the payload does not decode.
pub fn decode(entry: Entry, proxies: &TrustedProxies) -> Result<EventBatch, FrameError> {
    let Entry { lsn, frame } = entry;
    let wrong = |reason: String| FrameError { lsn, reason };
    let records = decode_payload(&frame, proxies).map_err(|error| wrong(error.to_string()))?;
    let batch = EventBatch { tenant: frame.tenant, signal: frame.signal, received_at: frame.received_at, lsn, records };
    batch.placed(lsn).map_err(|error| wrong(error.to_string()))
}

fn decode_payload(frame: &Frame, proxies: &TrustedProxies) -> Result<arrow::array::RecordBatch, DecodeError> {
    let format = match frame.format {
        wal::Format::Protobuf => Format::Protobuf,
        wal::Format::Json => Format::Json,
    };
    let arrival = Arrival {
        received_at: frame.received_at,
        key_id: frame.key_id.clone(),
        services: frame.services.clone(),
        trusted_proxies: Arc::clone(proxies),
    };
    otlp::decode(frame.signal, format, &frame.payload, &arrival).map(|decoded| decoded.records)
}
