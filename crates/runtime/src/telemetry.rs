//! Our own logs, traces and metrics.
