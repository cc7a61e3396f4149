//! The API from the outside: real rooms on a temporary directory, a real socket, a plain HTTP client.

mod alerts;
mod client;
mod document;
mod events;
mod health;
mod house;
mod rules;
mod sessions;
mod web;
