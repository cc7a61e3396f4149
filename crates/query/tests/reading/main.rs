//! Reading from the outside: OTLP goes in, answers come out, wherever the rows lie in between.

mod aggregates;
mod filters;
mod limits;
mod logs;
mod pages;
mod pruning;
mod sandbox;
mod support;
mod traces;
