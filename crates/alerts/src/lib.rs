//! From what a rule found to somebody who knows.
//!
//! *Owns* incidents with their evidence and history, the outbox of messages, and the notifiers that send them.
//! *Promises* that a detection applied twice counts once, that an incident and its messages are committed together, and
//! that a message is sent until the receiver took it or its limits are reached. *Refuses to know* what a rule looks like.

mod apply;
mod outbox;
mod row;
mod sql;
mod triage;

pub mod backoff;
pub mod book;
pub mod delivery;
pub mod error;
pub mod incident;
pub mod notify;
pub mod settings;

pub use apply::Applied;
pub use book::{AlertBook, AlertFilter, AlertKind, Page};
pub use delivery::deliver;
pub use error::AlertsError;
pub use incident::{Activity, AlertEvent, Delivery, DeliveryState, Evidence, Incident, IncidentDetail, Status};
pub use notify::{Notifier, SigningSecret, Target};
pub use settings::{Retry, Settings};
