//! Identifiers, each its own type, each with one text form.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has the wrong number of characters or a character that is not hexadecimal.
    #[error("{what} must be {digits} hexadecimal digits, got {got:?}")]
    Hex {
        /// Which id.
        what: &'static str,
        /// How many digits it has.
        digits: usize,
        /// The beginning of what was given.
        got: String,
    },
    /// All-zero ids are invalid in W3C trace context and OTLP.
    #[error("{what} must not be all zero")]
    Zero {
        /// Which id.
        what: &'static str,
    },
    /// The tenant name is empty, too long, or has a character outside `a-z 0-9 _ -`.
    #[error("tenant must be 1 to 64 characters of a-z, 0-9, '_' or '-', got {0:?}")]
    Tenant(String),
    /// A log id is `<lsn>-<row>` in hexadecimal.
    #[error("log id must be <lsn>-<row> in hexadecimal, got {0:?}")]
    Log(String),
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Reads an id off the wire; `None` when the length is wrong or every byte is zero.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                let id = <[u8; $bytes]>::try_from(bytes).ok()?;
                (id != [0; $bytes]).then_some(Self(id))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Case-insensitive hexadecimal; shorter texts are padded with zeros on the left, as some clients strip them.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = $bytes * 2;
                let wrong = || IdError::Hex { what: $what, digits, got: text.chars().take(64).collect() };
                if text.is_empty() || text.len() > digits || !text.is_ascii() {
                    return Err(wrong());
                }
                let mut bytes = [0; $bytes];
                hex::decode_to_slice(format!("{text:0>digits$}"), &mut bytes).map_err(|_| wrong())?;
                Self::from_slice(&bytes).ok_or(IdError::Zero { what: $what })
            }
        }
    };
}

byte_id!(
    /// The 16-byte id of a trace, never all zero. Text form: 32 lower-case hexadecimal digits.
    TraceId, 16, "trace id"
);
byte_id!(
    /// The 8-byte id of a span, never all zero. Text form: 16 lower-case hexadecimal digits.
    SpanId, 8, "span id"
);

/// Position of a frame in the write-ahead log: strictly increasing, starts at 1, so that 0 reads "nothing yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one stored event for ever: the log position of its frame and its row in the decoded frame.
///
/// Spans have ids of their own; log records do not, so this is theirs. Text form: `<lsn>-<row>` in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// Position of the frame that brought the record.
    pub lsn: Lsn,
    /// Row of the record among the accepted records of its frame.
    pub row: u32,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.lsn.0, self.row)
    }
}

impl FromStr for LogId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Log(text.chars().take(64).collect());
        let (lsn, row) = text.split_once('-').ok_or_else(wrong)?;
        let lsn = u64::from_str_radix(lsn, 16).map_err(|_| wrong())?;
        let row = u32::from_str_radix(row, 16).map_err(|_| wrong())?;
        Ok(Self { lsn: Lsn(lsn), row })
    }
}

/// Whose data it is. Comes from the credential, never from a payload; safe as a directory name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The tenant of a single-tenant installation.
    pub fn default_tenant() -> Self {
        Self(Arc::from("default"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
            return Err(IdError::Tenant(text.chars().take(80).collect()));
        }
        Ok(Self(Arc::from(text)))
    }
}
