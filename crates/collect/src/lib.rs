//! The way in: OTLP over gRPC and HTTP, up to the acknowledgement.
//!
//! *Owns* the two listeners, admission (credential, network, rates and caps of the key, pressure, memory in flight),
//! redaction, and the answers with their status codes. *Promises* that a request is answered with success only after its
//! frame is durable, that a fault which may pass is answered as retryable and one which will not is not, that nothing
//! the redaction policy forbids reaches the log, and that no client can make it hold more than the stated bytes.
//! *Refuses to know* the lake and the rules: what is durable travels on from the log.

mod body;
mod bucket;
mod budget;
mod cap;
mod collector;
mod connection;
mod credential;
mod door;
mod flood;
mod grpc;
mod guard;
mod http_door;
mod idle;
mod intake;
mod ledger;
mod opening;
pub mod redaction;
mod resend;
mod room;
mod settings;
mod status;
pub mod tls;

pub use collector::{CollectError, Collector, bind};
pub use credential::KEY_HEADER;
pub use door::{Door, Pressure};
pub use settings::Settings;
