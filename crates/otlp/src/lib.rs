//! OTLP bytes to columns and back.
//!
//! *Owns* the reading of OTLP requests (protobuf and JSON), the writing of them from stored rows, the response
//! messages, and the prefix that gRPC gives both. *Promises* that the same payload gives the same rows in the same
//! order, that nothing a client sends can panic it or make it hold more than a small multiple of the payload, and that
//! both encodings of a message mean the same. *Refuses to know* sockets, files and anyone's policy.
//!
//! JSON is first transcoded to protobuf ([`json`]), so there is one reader of messages: a borrowed walk over the wire
//! bytes ([`wire`], [`envelope`]) that feeds column builders directly.

mod column;
mod derive;
mod encode;
mod envelope;
mod event;
mod fault;
pub mod framing;
mod json;
mod log;
pub mod message;
mod recent;
mod rejection;
pub mod rewrite;
mod span;
mod tail;
mod value;
mod wire;

use std::sync::Arc;

use arrow::array::RecordBatch;
use ipnet::IpNet;
use model::{Signal, UnixNanos};

pub use encode::{EncodeError, encode};
pub use event::{SpanEvent, SpanLink, decode_events, decode_links};
pub use fault::DecodeError;

/// Largest payload that is decoded, whatever the settings say: keeps every text column under the 2 GiB of its offsets.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024 * 1024;
/// Most events of one request. A 64 MiB request of ordinary spans holds about 180,000.
pub const MAX_EVENTS: u64 = 262_144;
/// Deepest nesting of an attribute value, the value itself counted.
pub const MAX_DEPTH: u32 = 20;

/// Networks whose word about a client's address is believed.
pub type TrustedProxies = Arc<[IpNet]>;

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Binary protobuf.
    Protobuf,
    /// The OTLP flavour of protobuf JSON: hexadecimal ids, integer enums.
    Json,
}

/// What the server knows about the arrival of a request; written into every row.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// When the collector had the whole request.
    pub received_at: UnixNanos,
    /// Id of the ingest key; `None` when no key was needed.
    pub key_id: Option<Arc<str>>,
    /// Networks of proxies whose word about the client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// The services that the credential may sign as; `None` when it lists none. Decides `auth.service_verified`.
    pub services: Option<Arc<[String]>>,
}

/// A request in columns.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The accepted events in wire order, with [`Signal::decoded_schema`].
    pub records: RecordBatch,
    /// Events that can never be stored, left out of `records`.
    pub rejected: u64,
    /// Why events were rejected, or a warning when `rejected` is 0; empty when there is nothing to say.
    pub message: String,
}

/// Reads an export request.
///
/// Events that can never be stored (a trace or span id that is not one, a parent of the wrong length, a time past 2262)
/// are counted and left out; everything else is kept. Deterministic: a replay gives the same rows.
///
/// # Errors
/// [`DecodeError`] when the request as a whole is not OTLP or passes a limit; then nothing of it may be stored.
pub fn decode(signal: Signal, format: Format, payload: &[u8], arrival: &Arrival) -> Result<Decoded, DecodeError> {
    let protobuf = rewrite::to_protobuf(signal, format, payload)?;
    match signal {
        Signal::Spans => envelope::read(&protobuf, span::Spans::new(protobuf.len(), arrival)),
        Signal::Logs => envelope::read(&protobuf, log::Logs::new(protobuf.len(), arrival)),
    }
}
