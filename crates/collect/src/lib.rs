//! The way in: OTLP over gRPC and HTTP, up to the acknowledgement.
//!
//! *Owns* the two listeners, admission (credential, pressure, memory in flight), the answers with their status codes.
//! *Promises* that a request is answered with success only after its frame is durable, that a fault which may pass is
//! answered as retryable and one which will not is not, and that no client can make it hold more than the stated
//! bytes. *Refuses to know* the lake and the rules: what is durable travels on from the log.

mod body;
mod budget;
mod collector;
mod connection;
mod credential;
mod door;
mod flood;
mod grpc;
mod http_door;
mod idle;
mod intake;
mod settings;
mod status;

pub use collector::{CollectError, Collector, bind};
pub use credential::KEY_HEADER;
pub use door::{Door, Pressure};
pub use settings::Settings;
