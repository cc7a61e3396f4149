//! The JSON of the API: types of their own, made from the rooms' types here and nowhere else.

pub(crate) mod alert;
pub(crate) mod backtest;
pub(crate) mod insight;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod policy;
pub(crate) mod rule;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod trace;
pub(crate) mod value;
