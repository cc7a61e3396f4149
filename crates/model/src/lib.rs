//! The words every room of the house shares.
//!
//! *Owns* ids, nanosecond time, the Arrow schema of each signal, the attribute encoding, field names with their
//! aliases, `EventBatch` and `Detection`. *Promises* that a schema or encoding change is visible here and nowhere
//! else. *Refuses to know* tokio, files, HTTP and any wire format.

pub mod attribute;
pub mod batch;
pub mod column;
pub mod detection;
pub mod field;
pub mod id;
mod joining;
pub mod signal;
pub mod time;
pub mod view;

pub use attribute::Value;
pub use batch::EventBatch;
pub use detection::{Detection, EventId, Severity};
pub use id::{IdError, LogId, Lsn, SpanId, TenantId, TraceId};
pub use joining::{conform, join};
pub use signal::Signal;
pub use time::{TimeRange, UnixNanos};
