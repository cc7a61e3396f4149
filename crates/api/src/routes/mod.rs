//! The routes: one file per group, one line in [`crate::router`].

pub(crate) mod alerts;
pub(crate) mod backtests;
pub(crate) mod health;
pub(crate) mod info;
pub(crate) mod insight;
pub(crate) mod keys;
pub(crate) mod logs;
pub(crate) mod policy;
pub(crate) mod rules;
pub(crate) mod schemas;
pub(crate) mod services;
pub(crate) mod session;
pub(crate) mod stream;
pub(crate) mod traces;
