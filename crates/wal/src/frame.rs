//! A frame: one accepted request as bytes.
//!
//! Format version 3. All numbers are little-endian. A frame begins at a multiple of 8 bytes in its segment.
//!
//! ```text
//! offset size
//!      0    4  marker "THfr"
//!      4    4  body length in bytes, padding not counted
//!      8    8  position (lsn), greater than that of the frame before
//!     16    4  crc32c of segment id (8 bytes) followed by the body
//!     20    4  crc32c of segment id (8 bytes) followed by bytes 0..20
//!     24       body:
//!      0    1    signal code (1 spans, 2 logs)
//!      1    1    payload format (1 protobuf, 2 JSON), plus 128 when there is a list of services, plus 64 when the payload
//!                is encrypted ([`crate::cover`])
//!      2    1    tenant length t in bytes
//!      3    1    ingest key id length k in bytes; 0 when the request had no key
//!      4    8    receive time, signed nanoseconds since 1970
//!     12    t    tenant
//!   12+t    k    ingest key id
//! 12+t+k    2    with a list only: length s of the list in bytes
//!           s    with a list only: names of the services the credential may sign as, joined by line feeds
//!                payload, to the end of the body
//!              zeros up to the next multiple of 8
//! ```
//!
//! Version 1 had no list of services, version 2 no encrypted payloads; their frames read as they are, for they never have
//! the 128, or the 64.
//!
//! The segment id is random and unknown to clients, so bytes inside a payload cannot pose as a frame, and blocks of a
//! deleted segment that the disk gives back cannot either. The header has a check of its own so that the length can be
//! trusted before the body is read.

use std::sync::Arc;

use bytes::Bytes;
use model::{Lsn, Signal, TenantId, UnixNanos};

use crate::WalError;

/// First bytes of every frame.
pub(crate) const MARKER: [u8; 4] = *b"THfr";
/// Bytes of a frame header.
pub(crate) const HEADER_BYTES: u64 = 24;
/// Frames begin at multiples of this many bytes.
pub(crate) const ALIGN_BYTES: u64 = 8;
/// Smallest frame: a header and the fixed part of a body.
pub(crate) const MIN_FRAME_BYTES: u64 = 40;

const BODY_FIXED_BYTES: usize = 12;
/// Added to the payload format when a list of services follows the key id.
const HAS_SERVICES: u8 = 128;
/// Added to the payload format when the payload is encrypted.
const IS_SEALED: u8 = 64;
/// Between the names of services, which have no line feeds.
const SERVICE_SEPARATOR: &str = "\n";

/// How a payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OTLP as binary protobuf.
    Protobuf,
    /// OTLP as JSON.
    Json,
}

impl Format {
    fn code(self) -> u8 {
        match self {
            Self::Protobuf => 1,
            Self::Json => 2,
        }
    }
}

/// One accepted request: what the log keeps of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whose events.
    pub tenant: TenantId,
    /// The ingest key that brought it, at most 255 bytes; an empty one reads back as `None`.
    pub key_id: Option<Arc<str>>,
    /// The services that the credential may sign as, 65,535 bytes together with a line feed between each two; no name has
    /// a line feed. An empty list reads back as `None`.
    pub services: Option<Arc<[String]>>,
    /// What kind of events.
    pub signal: Signal,
    /// How the payload is encoded.
    pub format: Format,
    /// When the collector had the whole request.
    pub received_at: UnixNanos,
    /// The bytes as they came off the wire, inflated.
    pub payload: Bytes,
}

impl Frame {
    fn key(&self) -> &str {
        self.key_id.as_deref().unwrap_or_default()
    }

    fn services(&self) -> &[String] {
        self.services.as_deref().unwrap_or_default()
    }

    /// Length of the list as it is written, its own length left out.
    fn services_bytes(&self) -> usize {
        let names = self.services();
        names.iter().map(String::len).sum::<usize>() + names.len().saturating_sub(1)
    }

    /// What an encrypted payload belongs to, in one text.
    pub(crate) fn context(&self) -> Vec<u8> {
        let (signal, format) = (self.signal.code(), self.format.code());
        let mut context = vec![signal, format];
        context.extend(self.received_at.0.to_le_bytes());
        for part in [self.tenant.as_str(), self.key(), &self.services().join(SERVICE_SEPARATOR)] {
            context.extend((part.len() as u32).to_le_bytes());
            context.extend(part.as_bytes());
        }
        context
    }

    fn body_bytes(&self) -> u64 {
        let list = if self.services().is_empty() { 0 } else { 2 + self.services_bytes() };
        (BODY_FIXED_BYTES + self.tenant.as_str().len() + self.key().len() + list + self.payload.len()) as u64
    }

    /// Bytes the frame takes in a segment, padding included.
    pub(crate) fn size_bytes(&self) -> u64 {
        size_of_body(self.body_bytes())
    }

    /// Refuses a frame that could never be written or read back.
    pub(crate) fn check(&self, limit_bytes: u64) -> Result<(), WalError> {
        if self.key().len() > 255 {
            return Err(WalError::TooLarge { what: "key id", bytes: self.key().len() as u64, limit_bytes: 255 });
        }
        if self.services_bytes() > usize::from(u16::MAX) {
            let (what, bytes) = ("list of services", self.services_bytes() as u64);
            return Err(WalError::TooLarge { what, bytes, limit_bytes: u64::from(u16::MAX) });
        }
        let limit_bytes = limit_bytes.min(u64::from(u32::MAX));
        if self.size_bytes() > limit_bytes {
            return Err(WalError::TooLarge { what: "frame", bytes: self.size_bytes(), limit_bytes });
        }
        Ok(())
    }

    /// Appends the frame to `out`. Only for frames that passed [`Frame::check`].
    pub(crate) fn encode(&self, lsn: Lsn, segment_id: u64, is_sealed: bool, out: &mut Vec<u8>) {
        let (tenant, key) = (self.tenant.as_str().as_bytes(), self.key().as_bytes());
        let mut fixed = [0; BODY_FIXED_BYTES];
        fixed[0] = self.signal.code();
        fixed[1] = self.format.code();
        if is_sealed {
            fixed[1] |= IS_SEALED;
        }
        fixed[2] = u8::try_from(tenant.len()).expect("a tenant has at most 64 bytes");
        fixed[3] = u8::try_from(key.len()).expect("the key id was checked to have at most 255 bytes");
        fixed[4..12].copy_from_slice(&self.received_at.0.to_le_bytes());
        let mut services = Vec::new();
        if !self.services().is_empty() {
            fixed[1] |= HAS_SERVICES;
            let length =
                u16::try_from(self.services_bytes()).expect("the list was checked to have at most 65,535 bytes");
            services.extend_from_slice(&length.to_le_bytes());
            services.extend_from_slice(self.services().join(SERVICE_SEPARATOR).as_bytes());
        }

        let mut crc = crc32c::crc32c(&segment_id.to_le_bytes());
        let parts = [&fixed[..], tenant, key, &services, &self.payload];
        for part in parts {
            crc = crc32c::crc32c_append(crc, part);
        }
        let body_bytes = u32::try_from(self.body_bytes()).expect("the frame was checked to fit 32 bits");
        let header = Header { body_bytes, lsn, body_crc: crc };
        out.extend_from_slice(&header.encode(segment_id));
        for part in parts {
            out.extend_from_slice(part);
        }
        out.resize(out.len().next_multiple_of(ALIGN_BYTES as usize), 0);
    }

    /// Reads a body back, and whether its payload is encrypted; `None` when it is not what this module writes.
    pub(crate) fn decode(body: Bytes) -> Option<(Self, bool)> {
        let fixed = body.get(..BODY_FIXED_BYTES)?;
        let signal = Signal::from_code(fixed[0])?;
        let format = match fixed[1] & !(HAS_SERVICES | IS_SEALED) {
            1 => Format::Protobuf,
            2 => Format::Json,
            _ => return None,
        };
        let tenant_end = BODY_FIXED_BYTES + usize::from(fixed[2]);
        let key_end = tenant_end + usize::from(fixed[3]);
        let received_at = UnixNanos(i64::from_le_bytes(fixed[4..12].try_into().ok()?));
        let tenant = std::str::from_utf8(body.get(BODY_FIXED_BYTES..tenant_end)?).ok()?.parse().ok()?;
        let key = std::str::from_utf8(body.get(tenant_end..key_end)?).ok()?;
        let key_id = (!key.is_empty()).then(|| Arc::from(key));
        let (mut services, mut list_end) = (None, key_end);
        if fixed[1] & HAS_SERVICES != 0 {
            let length = body.get(key_end..key_end + 2)?;
            list_end = key_end + 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
            let names = std::str::from_utf8(body.get(key_end + 2..list_end)?).ok()?;
            services = Some(names.split(SERVICE_SEPARATOR).map(str::to_owned).collect());
        }
        let is_sealed = fixed[1] & IS_SEALED != 0;
        let payload = body.slice(list_end..);
        Some((Self { tenant, key_id, services, signal, format, received_at, payload }, is_sealed))
    }
}

/// The first 24 bytes of a frame, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub body_bytes: u32,
    pub lsn: Lsn,
    pub body_crc: u32,
}

impl Header {
    fn encode(&self, segment_id: u64) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[0..4].copy_from_slice(&MARKER);
        bytes[4..8].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.lsn.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&segment_id.to_le_bytes()), &bytes[0..20]);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` unless it was written to this segment and is whole.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES as usize], segment_id: u64) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[0..4] != MARKER {
            return None;
        }
        let lsn = Lsn(u64::from(word(8)) | u64::from(word(12)) << 32);
        let header = Self { body_bytes: word(4), lsn, body_crc: word(16) };
        (header.encode(segment_id) == *bytes).then_some(header)
    }

    /// Bytes the whole frame takes, padding included.
    pub(crate) fn size_bytes(&self) -> u64 {
        size_of_body(u64::from(self.body_bytes))
    }
}

fn size_of_body(body_bytes: u64) -> u64 {
    (HEADER_BYTES + body_bytes).next_multiple_of(ALIGN_BYTES)
}
