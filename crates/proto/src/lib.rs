//! The OTLP message types.
//!
//! *Owns* the one import of generated protocol types. *Promises* that every room speaks the same version of OTLP.
//! *Refuses to know* anything else.

pub use opentelemetry_proto::tonic::{collector, common, logs, resource, trace};
