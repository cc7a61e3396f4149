//! Reading from the outside: OTLP goes in, answers come out, wherever the rows lie in between.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

mod aggregates;
mod calls;
mod filters;
mod limits;
mod logs;
mod lying;
mod pages;
mod promoted;
mod pruning;
mod rollups;
mod sandbox;
mod support;
mod traces;
mod words;
