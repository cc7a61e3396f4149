//! What a caller should do about an error.

/// The outer face of every error: tells the caller to mend the request, to come back, or to call us.
///
/// One table per transport maps it to a status: see `api::problem` for HTTP and `collect::status` for OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and will be wrong again.
    Invalid,
    /// No credential, or one that is not known.
    Unauthenticated,
    /// The credential is known and does not allow this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// It changed meanwhile, or is in a state that does not allow this.
    Conflict,
    /// Larger than a stated limit; smaller would do.
    TooLarge,
    /// Too much at once; the same request may succeed later.
    Overloaded,
    /// Took longer than allowed.
    Timeout,
    /// A part is missing for now; the same request may succeed later.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// Whether the same request may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::Timeout | Self::Unavailable)
    }
}
