//! The part of the settings that each room gets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::KeyDefaults;
use alerts::{AlertsError, Retry, SigningSecret, Target};
use model::{Lsn, TenantId};
use runtime::KeyRing;

use super::path;
use crate::settings::Resolved;

/// Settings of the log; `floor` keeps positions from repeating should its directory be lost.
pub(super) fn wal(resolved: &Resolved, keys: &KeyRing, floor: Lsn) -> wal::Settings {
    let wal = &resolved.settings.wal;
    wal::Settings {
        segment_bytes: wal.segment_bytes,
        budget_bytes: wal.budget_bytes,
        reserve_bytes: wal.reserve_bytes,
        queue_bytes: wal.queue_bytes,
        sync: resolved.sync(),
        floor,
        keys: keys.clone(),
        ..wal::Settings::new(resolved.settings.server.data_dir.join(path::WAL))
    }
}

/// What one rule may cost; `None` when nothing is to be measured.
pub(super) fn rule_limits(resolved: &Resolved) -> Option<rules::budget::Limits> {
    let nanos_per_event = resolved.settings.rules.cpu_limit_micros.saturating_mul(1_000);
    (nanos_per_event > 0).then(|| rules::budget::Limits { nanos_per_event, ..Default::default() })
}

/// Settings of the lake.
pub(super) fn lake(resolved: &Resolved, keys: &KeyRing) -> lake::Settings {
    let lake = &resolved.settings.lake;
    lake::Settings {
        memtable_limit_bytes: lake.memtable_bytes,
        flush_bytes: lake.flush_bytes,
        flush_interval: Duration::from_secs(lake.flush_secs),
        retention: Duration::from_secs(lake.retention_hours * 3_600),
        compaction_share: lake.compaction_percent as f64 / 100.0,
        object_store: resolved.object_store.clone(),
        keys: keys.clone(),
        ..lake::Settings::new(resolved.settings.server.data_dir.join(path::LAKE))
    }
}

/// Limits of reading.
pub(super) fn query(resolved: &Resolved) -> query::Limits {
    let query = &resolved.settings.query;
    query::Limits {
        time: Duration::from_secs(query.timeout_secs),
        memory_bytes: usize::try_from(query.memory_bytes).unwrap_or(usize::MAX),
        max_running: query.concurrent,
        ..query::Limits::default()
    }
}

/// Limits of backtests.
pub(crate) fn backtests(resolved: &Resolved) -> query::BacktestLimits {
    let backtest = &resolved.settings.rules.backtest;
    query::BacktestLimits {
        share: backtest.percent as f64 / 100.0,
        memory_bytes: backtest.memory_bytes,
        events: backtest.max_events,
        time: Duration::from_secs(backtest.timeout_secs),
        compared: backtest.max_compared_alerts,
        concurrent: backtest.concurrent,
        waiting: backtest.max_waiting,
        kept: backtest.keep_results,
        ..query::BacktestLimits::default()
    }
}

/// Settings of the collector.
pub(super) fn collect(resolved: &Resolved) -> collect::Settings {
    let otlp = &resolved.settings.otlp;
    collect::Settings {
        grpc: otlp.grpc,
        http: otlp.http,
        max_inflated_bytes: otlp.max_inflated_bytes,
        max_in_flight_bytes: otlp.max_in_flight_bytes,
        trusted_proxies: Arc::clone(&resolved.trusted_proxies),
        tls: resolved.otlp_tls.clone(),
        resend_window: Duration::from_secs(otlp.resends.window_secs),
        max_resends: otlp.resends.max_requests,
        ..collect::Settings::loopback()
    }
}

/// Limits of ingest keys that have none of their own.
pub(super) fn keys(resolved: &Resolved) -> KeyDefaults {
    let limits = &resolved.settings.otlp.limits;
    KeyDefaults {
        events_per_sec: limits.events_per_sec,
        bytes_per_sec: limits.bytes_per_sec,
        max_operations: limits.max_operations,
        max_trace_events: limits.max_trace_events,
    }
}

/// Settings of alerts, with a target per webhook.
pub(super) fn alerts(resolved: &Resolved, secret: Option<&str>) -> Result<alerts::Settings, AlertsError> {
    let alerts = &resolved.settings.alerts;
    let mut settings = alerts::Settings::new(resolved.public_url.clone());
    settings.group_for = Duration::from_secs(alerts.group_secs);
    settings.retry = Retry { max_attempts: alerts.max_attempts, ..Retry::default() };
    if let Some(secret) = secret {
        let secret = SigningSecret::parse(secret)?;
        let webhooks = resolved.webhooks.iter().cloned().enumerate();
        settings.targets = webhooks.map(|(index, url)| Target::webhook(index, url, secret.clone())).collect();
    }
    Ok(settings)
}

/// Where an OTLP listener is reached.
pub(crate) fn otlp_url(resolved: &Resolved, address: SocketAddr) -> String {
    let scheme = if resolved.otlp_tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// Settings of the API.
pub(super) fn api(resolved: &Resolved, otlp_grpc: SocketAddr, otlp_http: SocketAddr) -> api::Settings {
    let server = &resolved.settings.server;
    api::Settings {
        auth: if server.no_auth { api::Auth::None(TenantId::default_tenant()) } else { api::Auth::Session },
        secure_cookie: resolved.public_url.scheme() == "https",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        otlp_grpc: otlp_url(resolved, otlp_grpc),
        otlp_http: otlp_url(resolved, otlp_http),
        demo: server.demo,
    }
}
