//! The one inflate function: reads no more than the limit, whatever the bytes claim.

use std::io::Read;

use bytes::Bytes;

/// How much is inflated at a time.
const PIECE_BYTES: usize = 32 * 1024;

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

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
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
    read_into(Vec::new(), body, encoding, limit_bytes)
}

/// As [`inflate`], for a body whose inflated size was measured: takes that many bytes of memory at once, and no more.
///
/// # Errors
/// As [`inflate`], with `exact_bytes` as the limit.
pub fn inflate_exactly(body: Bytes, encoding: Encoding, exact_bytes: u64) -> Result<Bytes, InflateError> {
    let room = usize::try_from(exact_bytes).unwrap_or(usize::MAX);
    read_into(Vec::with_capacity(room), body, encoding, exact_bytes)
}

/// How many bytes `body` inflates to. Keeps nothing of them: what a bomb costs is time alone, and that up to the limit.
///
/// # Errors
/// As [`inflate`].
pub fn inflated_bytes(body: &[u8], encoding: Encoding, limit_bytes: u64) -> Result<u64, InflateError> {
    if encoding == Encoding::Identity || body.is_empty() {
        let bytes = body.len() as u64;
        return if bytes > limit_bytes { Err(InflateError::TooLarge { limit_bytes }) } else { Ok(bytes) };
    }
    read_pieces(body, encoding, limit_bytes, |_| {})
}

fn read_into(mut inflated: Vec<u8>, body: Bytes, encoding: Encoding, limit_bytes: u64) -> Result<Bytes, InflateError> {
    if encoding == Encoding::Identity && body.len() as u64 > limit_bytes {
        return Err(InflateError::TooLarge { limit_bytes });
    }
    // an empty gzip or zstd body is what some clients send for an empty message
    if encoding == Encoding::Identity || body.is_empty() {
        return Ok(body);
    }
    read_pieces(&body, encoding, limit_bytes, |piece| inflated.extend_from_slice(piece))?;
    Ok(Bytes::from(inflated))
}

/// Reads to the end, or past the limit, in pieces of one size: whether zstd notices a wrong length in a frame's header
/// depends on how much room it is given, and measuring must see what keeping sees. The number of bytes.
fn read_pieces(
    body: &[u8],
    encoding: Encoding,
    limit_bytes: u64,
    mut keep: impl FnMut(&[u8]),
) -> Result<u64, InflateError> {
    let mut reader = reader(body, encoding)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(malformed(encoding.name(), &error)),
        };
        bytes += read as u64;
        if bytes > limit_bytes {
            return Err(InflateError::TooLarge { limit_bytes });
        }
        keep(&piece[..read]);
    }
}

fn reader<'a>(body: &'a [u8], encoding: Encoding) -> Result<Box<dyn Read + 'a>, InflateError> {
    match encoding {
        Encoding::Identity => Ok(Box::new(body)),
        #[expect(clippy::disallowed_types, reason = "this is the capped reader everybody else has to use")]
        Encoding::Gzip => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(body))),
        Encoding::Zstd => {
            #[expect(clippy::disallowed_types, reason = "this is the capped reader everybody else has to use")]
            let decoder = zstd::stream::read::Decoder::with_buffer(body);
            let mut decoder = decoder.map_err(|error| malformed("zstd", &error))?;
            // at most 8 MiB of window, as RFC 8878 recommends decoders to support
            decoder.window_log_max(23).map_err(|error| malformed("zstd", &error))?;
            Ok(Box::new(decoder))
        }
    }
}

fn malformed(encoding: &'static str, error: &std::io::Error) -> InflateError {
    InflateError::Malformed { encoding, reason: error.to_string() }
}
