//! A deterministic shop that emits OpenTelemetry traces and logs, with people who use it and one who attacks it.
//!
//! *Owns* the twelve simulated services, their users, ordinary traffic, the demo attack with its labels, and bulk
//! bodies for benchmarks. *Promises* that the same seed and time always give the same bytes, that any slice of time
//! can be made alone, and that ordinary traffic (up to about 20 requests per second) stays below the thresholds of the
//! shipped rules. *Refuses to know* the rest of the house, the clock and the network: it speaks OTLP bytes only.
//!
//! ```text
//! seed + second > arrivals > journey of one visitor > requests > spans and logs of one trace > batches by second
//! ```
//!
//! Every random draw comes from [`dice`], a counter-based generator keyed by (seed, stream, entity, tick): nothing is
//! drawn from a shared sequence, so no slice depends on what was made before it.

mod attack;
mod attribute;
mod batch;
mod dice;
mod journey;
mod load;
mod people;
mod service;
mod shop;
mod traffic;
mod weave;

pub use attack::{Label, Scenario, Stage, attack};
pub use batch::{Export, MAX_SPANS_PER_EXPORT, Signal};
pub use load::{BigTrace, big_trace, load};
pub use service::SERVICES;
pub use traffic::{Traffic, Window, traffic};
