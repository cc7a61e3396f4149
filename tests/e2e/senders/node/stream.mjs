// Sends traces and logs with the official OpenTelemetry Node SDK for as long as it may.
//
// The argument is a JSON list of rows {run, protocol, compression, endpoint}; each row is a service of its own, named by
// its run, with exporters of its own. A few traces a second go out until standard input ends; what was sent is then
// flushed and printed: a JSON list of {run, spans, logs}. What the exporters report as failed is said on stderr: the batch
// processors drop that.

import { credentials } from '@grpc/grpc-js';
import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { OTLPLogExporter as GrpcLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc';
import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtoLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const SPANS_PER_TRACE = 3;
const PAUSE_MILLIS = 100;
// short, so that exports are under way at every moment
const BATCH_EVERY_MILLIS = 200;
// one export with all its retries
const EXPORT_TIMEOUT_MILLIS = 30_000;

/** Says when an export failed. */
function watched(exporter, what) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    send(items, (result) => {
      if (result.code !== 0) console.error(`${what}: gave up ${items.length}: ${result.error}`);
      done(result);
    });
  return exporter;
}

function exporters({ protocol, compression, endpoint }) {
  const shared = { compression, timeoutMillis: EXPORT_TIMEOUT_MILLIS };
  if (protocol === 'grpc') {
    const settings = { ...shared, url: endpoint, credentials: credentials.createInsecure() };
    return [new GrpcTraceExporter(settings), new GrpcLogExporter(settings)];
  }
  const [Traces, Logs] =
    protocol === 'http/json' ? [JsonTraceExporter, JsonLogExporter] : [ProtoTraceExporter, ProtoLogExporter];
  return [
    new Traces({ ...shared, url: `${endpoint}/v1/traces` }),
    new Logs({ ...shared, url: `${endpoint}/v1/logs` }),
  ];
}

function startSpan(tracer, parent, name, kind, attributes) {
  const span = tracer.startSpan(name, { kind, attributes }, parent);
  return [span, trace.setSpan(parent, span)];
}

/** One trace: a request, the lookup below it and the statement below that, with a log line from the lookup. */
function send(tracer, logger, number) {
  const attributes = { 'http.request.method': 'GET', 'e2e.number': number };
  const [root, inRoot] = startSpan(tracer, ROOT_CONTEXT, 'GET /e2e/{number}', SpanKind.SERVER, attributes);
  const [lookup, inLookup] = startSpan(tracer, inRoot, 'lookup', SpanKind.INTERNAL, { 'user.id': `user-${number}` });
  logger.emit({
    severityNumber: SeverityNumber.WARN,
    severityText: 'WARN',
    body: `lookup ${number} took a detour`,
    context: inLookup,
  });
  const [leaf] = startSpan(tracer, inLookup, 'SELECT things', SpanKind.CLIENT, { 'db.system.name': 'postgresql' });
  leaf.end();
  lookup.end();
  root.end();
}

/** One row: a service with its own providers. */
class Service {
  constructor(row) {
    this.row = row;
    this.traces = 0;
    const [traceExporter, logExporter] = exporters(row);
    const resource = resourceFromAttributes({ 'service.name': row.run });
    const batch = { scheduledDelayMillis: BATCH_EVERY_MILLIS, exportTimeoutMillis: EXPORT_TIMEOUT_MILLIS };
    this.spans = new NodeTracerProvider({
      resource,
      spanProcessors: [new BatchSpanProcessor(watched(traceExporter, `${row.run} spans`), batch)],
    });
    this.logs = new LoggerProvider({
      resource,
      processors: [new BatchLogRecordProcessor({ exporter: watched(logExporter, `${row.run} logs`), ...batch })],
    });
    this.tracer = this.spans.getTracer('e2e');
    this.logger = this.logs.getLogger('e2e');
  }

  step() {
    send(this.tracer, this.logger, this.traces);
    this.traces += 1;
  }

  async finish() {
    await Promise.all([this.spans.shutdown(), this.logs.shutdown()]);
    return { run: this.row.run, spans: this.traces * SPANS_PER_TRACE, logs: this.traces };
  }
}

const services = JSON.parse(process.argv[2]).map((row) => new Service(row));
const steps = setInterval(() => {
  for (const service of services) service.step();
}, PAUSE_MILLIS);
process.stdin.resume();
await new Promise((resolve) => process.stdin.once('end', resolve));
clearInterval(steps);
console.log(JSON.stringify(await Promise.all(services.map((service) => service.finish()))));
