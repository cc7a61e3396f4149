//! What every room stands on and none wants to write twice.
//!
//! *Owns* the clock, randomness, background tasks and their stop, the database handle, the making of directories, the
//! outgoing HTTP client, the capped inflate, keys of what is encrypted, listening sockets, error kinds, the pace of
//! background work, and the names of metrics. *Promises* that time, dice, sockets and
//! decompression have one door each. *Refuses to know* any signal.

pub mod clock;
pub mod database;
pub mod directory;
pub mod egress;
pub mod error;
pub mod inflate;
pub mod keyring;
pub mod listeners;
pub mod metric;
pub mod pace;
pub mod random;
pub mod supervisor;
pub mod telemetry;

pub use clock::Clock;
pub use database::Database;
pub use error::ErrorKind;
pub use keyring::KeyRing;
pub use listeners::Listeners;
pub use pace::Pace;
pub use random::Random;
pub use supervisor::{Stop, Supervisor};
