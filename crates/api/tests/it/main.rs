//! The API from the outside: real rooms on a temporary directory, a real socket, a plain HTTP client.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

mod alerts;
mod backtests;
mod client;
mod document;
mod events;
mod health;
mod history;
mod house;
mod policy;
mod rules;
mod sessions;
mod web;
