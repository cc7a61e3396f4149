//! The OpenTelemetry Rust SDK, in threads of this program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use opentelemetry::logs::{AnyValue, LogRecord as _, LoggerProvider as _, Severity};
use opentelemetry::trace::{SpanKind, TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    Compression, LogExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
    WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatch, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder as SpanBatch, BatchSpanProcessor, SdkTracerProvider};

use super::matrix::{Row, Tally};

const SPANS_PER_TRACE: u64 = 3;
const PAUSE: Duration = Duration::from_millis(100);
/// Short, so that exports are under way at every moment.
const BATCH_EVERY: Duration = Duration::from_millis(200);
/// One attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The recommended policy ends after 0.7 s, before a restart does; this one goes on for 11 s.
fn retry_policy() -> RetryPolicy {
    RetryPolicy::recommended().with_max_retries(10)
}

fn over_grpc(row: &Row) -> Result<(SpanExporter, LogExporter)> {
    let mut spans = SpanExporter::builder().with_tonic();
    let mut logs = LogExporter::builder().with_tonic();
    if row.compression == "gzip" {
        (spans, logs) = (spans.with_compression(Compression::Gzip), logs.with_compression(Compression::Gzip));
    }
    Ok((
        spans.with_endpoint(&row.endpoint).with_timeout(TIMEOUT).with_retry_policy(retry_policy()).build()?,
        logs.with_endpoint(&row.endpoint).with_timeout(TIMEOUT).with_retry_policy(retry_policy()).build()?,
    ))
}

fn over_http(row: &Row) -> Result<(SpanExporter, LogExporter)> {
    let mut spans = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let mut logs = LogExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    if row.compression == "gzip" {
        (spans, logs) = (spans.with_compression(Compression::Gzip), logs.with_compression(Compression::Gzip));
    }
    let (to_spans, to_logs) = (format!("{}/v1/traces", row.endpoint), format!("{}/v1/logs", row.endpoint));
    Ok((
        spans.with_endpoint(to_spans).with_timeout(TIMEOUT).with_retry_policy(retry_policy()).build()?,
        logs.with_endpoint(to_logs).with_timeout(TIMEOUT).with_retry_policy(retry_policy()).build()?,
    ))
}

/// A service per row, each with a thread.
pub struct Services {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Tally>>>,
    // exporters over gRPC live on it
    _runtime: tokio::runtime::Runtime,
}

impl Services {
    /// Starts sending.
    pub fn start(rows: &[Row]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let ended = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for row in rows {
            let inside = runtime.enter();
            let exporters = if row.protocol == "grpc" { over_grpc(row)? } else { over_http(row)? };
            drop(inside);
            let (run, ended) = (row.run(), Arc::clone(&ended));
            threads.push(std::thread::spawn(move || send_until(&ended, run, exporters)));
        }
        Ok(Self { ended, threads, _runtime: runtime })
    }

    /// Flushes, and says what was sent.
    pub fn finish(self) -> Result<Vec<Tally>> {
        self.ended.store(true, Ordering::SeqCst);
        let ended = self.threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a sender panicked"))?);
        ended.collect()
    }
}

fn send_until(ended: &AtomicBool, run: String, (to_spans, to_logs): (SpanExporter, LogExporter)) -> Result<Tally> {
    let resource = Resource::builder_empty().with_service_name(run.clone()).build();
    let batch = SpanBatch::default().with_scheduled_delay(BATCH_EVERY).build();
    let processor = BatchSpanProcessor::builder(to_spans).with_batch_config(batch).build();
    let spans = SdkTracerProvider::builder().with_resource(resource.clone()).with_span_processor(processor).build();
    let batch = LogBatch::default().with_scheduled_delay(BATCH_EVERY).build();
    let processor = BatchLogProcessor::builder(to_logs).with_batch_config(batch).build();
    let logs = SdkLoggerProvider::builder().with_resource(resource).with_log_processor(processor).build();
    let (tracer, logger) = (spans.tracer("e2e"), logs.logger("e2e"));
    let mut sent = Tally { run, ..Tally::default() };
    while !ended.load(Ordering::SeqCst) {
        send(&tracer, &logger, sent.logs);
        sent.spans += SPANS_PER_TRACE;
        sent.logs += 1;
        // the rate of the load, as everywhere in the matrix
        std::thread::sleep(PAUSE);
    }
    spans.shutdown()?;
    logs.shutdown()?;
    Ok(sent)
}

/// One trace: a request, the lookup below it and the statement below that, with a log line from the lookup.
fn send(
    tracer: &impl opentelemetry::trace::Tracer<Span: Send + Sync + 'static>,
    logger: &impl opentelemetry::logs::Logger,
    number: u64,
) {
    let root = tracer.span_builder("GET /e2e/{number}").with_kind(SpanKind::Server);
    let root = root.with_attributes([KeyValue::new("http.request.method", "GET")]);
    let root = Context::new().with_span(root.start(tracer));
    let lookup = root.with_span(tracer.span_builder("lookup").start_with_context(tracer, &root));
    let context = lookup.span().span_context().clone();
    let mut line = logger.create_log_record();
    line.set_timestamp(std::time::UNIX_EPOCH + Duration::from_nanos(tests::unix_nanos()));
    line.set_severity_number(Severity::Warn);
    line.set_severity_text("WARN");
    line.set_body(AnyValue::from(format!("lookup {number} took a detour")));
    line.set_trace_context(context.trace_id(), context.span_id(), Some(context.trace_flags()));
    logger.emit(line);
    let leaf = lookup.with_span(
        tracer.span_builder("SELECT things").with_kind(SpanKind::Client).start_with_context(tracer, &lookup),
    );
    leaf.span().end();
    lookup.span().end();
    root.span().end();
}
