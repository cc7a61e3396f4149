//! Every route that people and clients call, and the web interface.
//!
//! *Owns* the routes, their JSON, the table from error kind to status, sessions and permissions at the edge, and the
//! alert stream. *Promises* that every route names the permission it needs, that every refusal is a problem document
//! which names the field and the limit, and that nothing here is endless. *Refuses to know* Parquet and the inside of a
//! rule.

#![expect(unused_qualifications, reason = "the derives of utoipa write full paths")]

mod front;
mod gate;
mod page;
mod params;
mod problem;
pub mod report;
mod router;
mod routes;
mod serve;
mod state;
mod web;
mod wire;

pub use gate::SESSION_COOKIE;
pub use router::router;
pub use serve::serve;
pub use state::{ApiState, Auth, Check, Parts, Settings};
