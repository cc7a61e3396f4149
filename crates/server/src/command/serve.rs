//! `tracehound serve`: everything, until a signal.

use std::process::ExitCode;

use anyhow::{Context, Result};
use runtime::telemetry;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::demo;
use crate::settings::Resolved;
use crate::wiring::{self, House};

/// Starts the server, says where it is, and stops it in order at SIGTERM or SIGINT.
pub async fn run(resolved: Resolved) -> Result<ExitCode> {
    // before anything that may take time, so that an early signal is not lost
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let telemetry = telemetry::start(&telemetry_settings(&resolved), env!("CARGO_PKG_VERSION"))?;
    let house = wiring::build(&resolved, telemetry).await?;
    greet(&resolved, &house);
    if resolved.settings.server.demo {
        demo::start(&house, !resolved.settings.server.no_auth)?;
    }
    // without certificates there is nothing to reload, and SIGHUP does what it does to any program
    let mut hangup = house.tls.as_ref().map(|_| signal(SignalKind::hangup())).transpose()?;
    let name = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            () = hung_up(&mut hangup) => look_at_certificates(&house).await,
        }
    };
    tracing::info!(signal = name, "stopping");
    house.stop(resolved.stop_limit()).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn look_at_certificates(house: &House) {
    let Some(tls) = house.tls.clone() else { return };
    match tokio::task::spawn_blocking(move || tls.look()).await {
        Ok(look) => tracing::info!(?look, "SIGHUP: looked at the certificate files"),
        Err(error) => tracing::error!(%error, "looking at the certificate files failed"),
    }
}

fn telemetry_settings(resolved: &Resolved) -> telemetry::Settings {
    let (log, trace) = (&resolved.settings.log, &resolved.settings.trace);
    telemetry::Settings {
        log_filter: log.filter.clone(),
        log_json: log.json,
        trace_endpoint: trace.endpoint.clone(),
        trace_key: resolved.trace_key.clone(),
        trace_ratio: trace.ratio,
    }
}

/// What a person needs first, on standard output; log lines go to standard error.
fn greet(resolved: &Resolved, house: &House) {
    let base = if resolved.settings.server.public_url.is_some() {
        resolved.public_url.as_str().trim_end_matches('/').to_owned()
    } else {
        format!("http://{}", house.api)
    };
    println!("tracehound {} is ready", env!("CARGO_PKG_VERSION"));
    if resolved.settings.server.no_auth {
        println!("  open         {base}/");
    } else {
        println!("  open         {base}/login?t={}   (15 minutes, one use)", house.bootstrap.login_token);
    }
    println!("  OTLP/gRPC    {}", wiring::otlp_url(resolved, house.otlp_grpc));
    println!("  OTLP/HTTP    {}", wiring::otlp_url(resolved, house.otlp_http));
    if let Some(key) = house.bootstrap.ingest_key.as_deref().filter(|_| !resolved.settings.server.no_auth) {
        println!("  ingest key   {key}   (shown once)");
        println!("               OTEL_EXPORTER_OTLP_HEADERS=\"authorization=Bearer {key}\"");
    }
    if let Some(path) = &house.made_secret {
        println!("  webhooks     signed with the secret in {}", path.display());
    }
    if resolved.settings.server.demo {
        println!("  demo         two hours of traffic now, an attack within half a minute");
    }
}
