//! The prefix that gRPC puts before a message.
//!
//! ```text
//! flag u8 (0 = as it is, 1 = compressed) | length u32 big endian | message
//! ```

/// Bytes before the message.
pub const PREFIX_BYTES: usize = 5;

/// A message out of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unframed<'a> {
    /// Whether it is compressed, by what the call's `grpc-encoding` names.
    pub is_compressed: bool,
    /// The message as it came.
    pub message: &'a [u8],
}

/// Why a body is not one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// What the prefix says and what follows do not fit together.
    #[error("{0}")]
    Malformed(&'static str),
    /// The prefix tells of a message past the limit.
    #[error("message is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
}

/// Takes the one message of a unary call, of at most `limit_bytes`, out of its prefix.
///
/// # Errors
/// [`FramingError`] when the body is empty, cut short, or more than one message; when the flag is neither 0 nor 1; when
/// the message is told to be larger than the limit.
pub fn unframe(body: &[u8], limit_bytes: u64) -> Result<Unframed<'_>, FramingError> {
    if body.is_empty() {
        return Err(FramingError::Malformed("no message"));
    }
    let Some((&[flag, a, b, c, d], message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(FramingError::Malformed("ends inside the prefix"));
    };
    let length = u64::from(u32::from_be_bytes([a, b, c, d]));
    if length > limit_bytes {
        return Err(FramingError::TooLarge { limit_bytes });
    }
    match (message.len() as u64).cmp(&length) {
        std::cmp::Ordering::Less => Err(FramingError::Malformed("ends inside the message")),
        std::cmp::Ordering::Greater => Err(FramingError::Malformed("more than one message")),
        std::cmp::Ordering::Equal if flag > 1 => Err(FramingError::Malformed("compression flag is neither 0 nor 1")),
        std::cmp::Ordering::Equal => Ok(Unframed { is_compressed: flag == 1, message }),
    }
}

/// An answer in its prefix, not compressed.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("answers are shortened to a few kilobytes");
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

#[cfg(test)]
mod tests;
