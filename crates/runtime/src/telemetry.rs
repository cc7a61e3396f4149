//! Our own logs, traces and metrics.
//!
//! Logs go to standard error. Metrics are rendered for Prometheus. Traces go to an OTLP endpoint when one is set, which
//! may be this very server: only API requests and webhook deliveries make spans, taking OTLP in makes none, so exporting
//! to oneself cannot feed on itself.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, TextMapCompositePropagator, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Target of the spans that are exported; a span with any other target stays at home.
pub const SPAN_TARGET: &str = "tracehound::request";

/// Upper bounds in seconds of the duration histograms.
const SECONDS_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of the histogram of frames per fsync.
const GROUP_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// How long a single export of our own spans may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How to speak about ourselves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Filter of log lines, in the syntax of `tracing_subscriber::EnvFilter`, as in `info` or `warn,tracehound=debug`.
    pub log_filter: String,
    /// One JSON object per log line instead of text.
    pub log_json: bool,
    /// Where to send our own spans over OTLP/gRPC, as in `http://127.0.0.1:4317`; `None` sends none.
    pub trace_endpoint: Option<String>,
    /// Key for that endpoint, sent as `x-tracehound-key`.
    pub trace_key: Option<String>,
    /// Share of our own requests that are traced, 0.0 to 1.0; a request that comes with a sampled parent always is.
    pub trace_ratio: f64,
}

/// Why self-telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error("log.filter is not a valid filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The metrics recorder could not be installed.
    #[error("metrics cannot be set up: {0}")]
    Metrics(String),
    /// The exporter of spans could not be built.
    #[error("trace.endpoint cannot be used: {0}")]
    Traces(String),
}

/// Keeps self-telemetry going; give it back to [`Telemetry::shut_down`] at the end.
#[derive(Debug)]
pub struct Telemetry {
    /// Renders `/metrics`.
    pub prometheus: PrometheusHandle,
    tracer: Option<SdkTracerProvider>,
}

/// Starts logs, metrics and traces. Call once, inside the async runtime.
///
/// # Errors
/// See [`TelemetryError`]. A second call in one process fails with [`TelemetryError::Metrics`].
pub fn start(settings: &Settings, version: &'static str) -> Result<Telemetry, TelemetryError> {
    let prometheus = start_metrics()?;
    opentelemetry::global::set_text_map_propagator(TextMapCompositePropagator::new(vec![Box::new(
        TraceContextPropagator::new(),
    )]));
    let tracer = settings.trace_endpoint.as_deref().map(|url| tracer(url, settings, version)).transpose()?;
    let exported = tracer.as_ref().map(|provider| {
        let only_requests = FilterFn::new(|meta| meta.is_span() && meta.target() == SPAN_TARGET);
        tracing_opentelemetry::layer().with_tracer(provider.tracer("tracehound")).with_filter(only_requests)
    });
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(&settings.log_filter)?;
    let lines = if settings.log_json {
        fmt::layer().json().with_writer(std::io::stderr).with_filter(filter).boxed()
    } else {
        let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
        fmt::layer().with_ansi(colours).with_writer(std::io::stderr).with_filter(filter).boxed()
    };
    tracing_subscriber::registry()
        .with(exported)
        .with(lines)
        .try_init()
        .map_err(|error| TelemetryError::Metrics(error.to_string()))?;
    Ok(Telemetry { prometheus, tracer })
}

impl Telemetry {
    /// Sends what is left of our own spans. Blocks for at most the export timeout.
    pub fn shut_down(self) {
        if let Some(tracer) = self.tracer
            && let Err(error) = tracer.shutdown_with_timeout(EXPORT_TIMEOUT)
        {
            tracing::warn!(%error, "last spans of our own were not exported");
        }
    }
}

/// Makes a span part of the trace that a request belongs to, when its headers say so (W3C `traceparent`).
pub fn continue_trace(span: &tracing::Span, headers: &http::HeaderMap) {
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
    // fails when no exporter is set, and then there is nothing to continue
    let _ = span.set_parent(parent);
}

/// The id of the trace a span belongs to, 32 hexadecimal digits; `None` when spans are not exported.
pub fn trace_id(span: &tracing::Span) -> Option<String> {
    let context = span.context();
    let id = context.span().span_context().trace_id();
    (id != TraceId::INVALID).then(|| id.to_string())
}

/// The id of the trace that a request says it belongs to, 32 hexadecimal digits.
pub fn sent_trace_id(headers: &http::HeaderMap) -> Option<String> {
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    let id = context.span().span_context().trace_id();
    (id != TraceId::INVALID).then(|| id.to_string())
}

/// Request headers, as the propagator reads them.
struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let failed = |error: metrics_exporter_prometheus::BuildError| TelemetryError::Metrics(error.to_string());
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .map_err(failed)?
        .set_buckets_for_metric(Matcher::Full(crate::metric::WAL_GROUP_FRAMES.to_owned()), &GROUP_BUCKETS)
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)
}

fn tracer(url: &str, settings: &Settings, version: &'static str) -> Result<SdkTracerProvider, TelemetryError> {
    let mut headers = http::HeaderMap::new();
    if let Some(key) = &settings.trace_key {
        let value = http::HeaderValue::try_from(key.as_str());
        headers.insert("x-tracehound-key", value.map_err(|_| TelemetryError::Traces("key is not ASCII".to_owned()))?);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(url)
        .with_timeout(EXPORT_TIMEOUT)
        .with_metadata(MetadataMap::from_headers(headers))
        .build()
        .map_err(|error| TelemetryError::Traces(error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name("tracehound")
        .with_attribute(KeyValue::new("service.version", version))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.trace_ratio))))
        .with_resource(resource)
        .build())
}
