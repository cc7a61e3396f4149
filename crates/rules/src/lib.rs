//! Sigma rules, from YAML text to detections.
//!
//! *Owns* the rule language, its compiler, the evaluation over Arrow columns, the windows of correlations, the
//! traces of patterns, and their checkpoint. *Promises* that the same events and rules give the same detections with the same ids, live and offline,
//! and that everything it remembers is bounded and counted when a bound is met. *Refuses to know* tokio, clocks, files
//! and the network: callers bring text, batches and the time.

pub mod backtest;
pub mod book;
pub mod budget;
pub mod convert;
pub mod coverage;
pub mod diagnostic;
pub mod engine;
pub mod explain;
pub mod offline;
pub mod policy;
pub mod schema;

mod asks;
mod atom;
mod baseline;
mod bits;
mod checkpoint;
mod column;
mod correlate;
mod edge;
mod events;
mod example;
mod expression;
mod field;
mod geo;
mod index;
mod inherited;
mod kinds;
mod log_source;
mod modifier;
mod mute;
mod narrowing;
mod nested;
mod pass;
mod pattern;
mod pipeline;
mod pipeline_shelf;
mod read;
mod reason;
mod related;
mod request_target;
mod rule;
mod set;
mod time_part;
mod timespan;
mod trace;
mod yaml;

pub use baseline::learner::Learner;
pub use book::{Changed, FileView, RuleBook, RuleSummary, check};
pub use checkpoint::RestoreError;
pub use diagnostic::{Diagnostic, Gravity};
pub use engine::{Engine, RuleCounters, Settings};
pub use example::{Outcome, TestOutcome, run_tests};
pub use geo::{NoPlaces, Place, Places};
pub use pipeline::is_pipeline_file;
pub use related::Related;
pub use set::RuleSet;
pub use timespan::parse_nanos as timespan_nanos;
pub use yaml::FILE_BYTES;
