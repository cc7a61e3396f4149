//! The one inflate function: reads no more than the limit, whatever the bytes claim.

use std::io::Read;

use bytes::Bytes;

/// Content encodings that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As is.
    Identity,
    /// gzip, one or more members.
    Gzip,
    /// Zstandard, one or more frames.
    Zstd,
}

impl Encoding {
    /// Reads a `Content-Encoding` or `grpc-encoding` value; `None` when unknown or stacked.
    pub fn from_header(value: &str) -> Option<Self> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Why bytes could not be inflated.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// The inflated size passes the limit; inflating stopped there.
    #[error("inflated body is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// The bytes are not what the encoding says: truncated, damaged, or followed by something else.
    #[error("body is not valid {encoding}: {reason}")]
    Malformed {
        /// Name of the encoding.
        encoding: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// Inflates `body`, holding at most `limit_bytes` + 64 KiB of result. Identity returns the same bytes without a copy.
///
/// # Errors
/// [`InflateError::TooLarge`] past the limit, [`InflateError::Malformed`] for damaged, truncated or trailing bytes.
pub fn inflate(body: Bytes, encoding: Encoding, limit_bytes: u64) -> Result<Bytes, InflateError> {
    match encoding {
        Encoding::Identity if body.len() as u64 > limit_bytes => Err(InflateError::TooLarge { limit_bytes }),
        Encoding::Identity => Ok(body),
        // an empty gzip or zstd body is what some clients send for an empty message
        _ if body.is_empty() => Ok(body),
        #[expect(clippy::disallowed_types, reason = "this is the capped reader everybody else has to use")]
        Encoding::Gzip => read_capped(flate2::bufread::MultiGzDecoder::new(&body[..]), "gzip", limit_bytes),
        Encoding::Zstd => {
            #[expect(clippy::disallowed_types, reason = "this is the capped reader everybody else has to use")]
            let decoder = zstd::stream::read::Decoder::with_buffer(&body[..]);
            let mut decoder = decoder.map_err(|error| malformed("zstd", &error))?;
            // at most 8 MiB of window, as RFC 8878 recommends decoders to support
            decoder.window_log_max(23).map_err(|error| malformed("zstd", &error))?;
            read_capped(decoder, "zstd", limit_bytes)
        }
    }
}

fn read_capped(reader: impl Read, encoding: &'static str, limit_bytes: u64) -> Result<Bytes, InflateError> {
    let mut inflated = Vec::new();
    let mut capped = reader.take(limit_bytes.saturating_add(1));
    capped.read_to_end(&mut inflated).map_err(|error| malformed(encoding, &error))?;
    if inflated.len() as u64 > limit_bytes {
        return Err(InflateError::TooLarge { limit_bytes });
    }
    Ok(Bytes::from(inflated))
}

fn malformed(encoding: &'static str, error: &std::io::Error) -> InflateError {
    InflateError::Malformed { encoding, reason: error.to_string() }
}
