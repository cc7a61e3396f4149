//! Why a request as a whole cannot be read.

use runtime::ErrorKind;

use crate::{MAX_DEPTH, MAX_EVENTS};

/// A request that is not OTLP, or passes a limit. Nothing of it may be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The protobuf is damaged.
    #[error("malformed protobuf in {field}: {problem}")]
    Protobuf {
        /// Message or field in which reading failed.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The JSON is damaged, or a field has a value of the wrong kind.
    #[error("malformed JSON: {reason}")]
    Json {
        /// What is wrong, with field name, line and column.
        reason: String,
    },
    /// An attribute value nests deeper than [`MAX_DEPTH`].
    #[error("attribute value in {field} is nested deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// Field that holds the value.
        field: &'static str,
    },
    /// More than [`MAX_EVENTS`] events in one request.
    #[error("request holds more than {MAX_EVENTS} events")]
    TooManyEvents,
    /// Payload larger than can be decoded.
    #[error("request is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit_bytes: usize,
    },
}

impl DecodeError {
    /// What the caller should do: mend the request, or send less at once.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Protobuf { .. } | Self::Json { .. } | Self::TooDeep { .. } => ErrorKind::Invalid,
            Self::TooManyEvents | Self::TooLarge { .. } => ErrorKind::TooLarge,
        }
    }
}
