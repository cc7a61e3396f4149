//! Every read of the lake, from one span to the map of all services.
//!
//! *Owns* the query engine's sessions, the table over a snapshot, trace assembly, searches with their pages, service
//! figures, the SQL sandbox, rules over history and all their limits. *Promises* that an answer comes from one snapshot of one tenant, that
//! a span sent twice is shown once, and that no read is endless in time, rows or memory. *Refuses to know* HTTP, JSON
//! and who is asking.

mod admission;
mod backtest;
mod body;
mod calls;
mod census;
mod course;
mod duplicates;
mod engine;
mod entries;
mod error;
mod files;
mod filter;
mod footer;
mod limits;
mod lookup;
mod narrowing;
mod page;
mod promoted;
mod query;
mod readers;
mod replay;
mod rolled;
mod sample;
mod search;
mod service;
mod sql;
mod table;
mod trace;

pub use backtest::{
    BacktestJob, BacktestLimits, BacktestOutcome, BacktestRequest, BacktestState, Backtests, Ended, JobError, Watch,
};
pub use calls::LearnedCalls;
pub use course::{Course, Point};
pub use error::QueryError;
pub use filter::{AttributeFilter, FilterOp};
pub use limits::Limits;
pub use page::Page;
pub use query::Query;
pub use replay::{HISTORY_EVENTS, Replay, ReplayAsk, ReplayProgress};
pub use sample::Sampled;
pub use search::{LogHit, LogSearch, MatchedSpan, Order, ServiceShare, SpanSearch, TraceHit};
pub use service::{MapEdge, MapNode, OperationSummary, ServiceMap, ServiceSummary};
pub use sql::SqlResult;
pub use trace::Trace;
