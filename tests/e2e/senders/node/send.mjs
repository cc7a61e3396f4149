// Sends traces and logs with the official OpenTelemetry Node SDK, as a service of a user would.
//
// Same interface as ../python/send.py: prints {"trace_ids": [..], "spans": n, "logs": n}; each trace has three spans and
// one log record. Ends with status 1, and says why on stderr, when an export was refused.

import { parseArgs } from 'node:util';

import { Metadata, credentials } from '@grpc/grpc-js';
import { DiagLogLevel, SpanKind, SpanStatusCode, context, diag, trace } from '@opentelemetry/api';
import { SeverityNumber, logs } from '@opentelemetry/api-logs';
import { OTLPLogExporter as GrpcLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc';
import { OTLPLogExporter as HttpLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-node';

const SPANS_PER_TRACE = 3;

const { values: options } = parseArgs({
  options: {
    'endpoint-grpc': { type: 'string', default: 'http://127.0.0.1:4317' },
    'endpoint-http': { type: 'string', default: 'http://127.0.0.1:4318' },
    key: { type: 'string', default: '' },
    traces: { type: 'string', default: '1' },
    protocol: { type: 'string', default: 'grpc' },
    service: { type: 'string', default: 'e2e-node' },
    'client-address': { type: 'string', default: '198.51.100.78' },
  },
});

/** Notes every refused export: the batch processors drop what cannot be exported, but a test must see it. */
function watched(exporter, refusals) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    send(items, (result) => {
      if (result.code !== 0) refusals.push(String(result.error ?? 'export refused'));
      done(result);
    });
  return exporter;
}

function exporters() {
  const authorization = options.key ? `Bearer ${options.key}` : undefined;
  if (options.protocol === 'grpc') {
    const metadata = new Metadata();
    if (authorization) metadata.set('authorization', authorization);
    const common = { url: options['endpoint-grpc'], credentials: credentials.createInsecure(), metadata };
    return [new GrpcTraceExporter(common), new GrpcLogExporter(common)];
  }
  const base = options['endpoint-http'].replace(/\/$/, '');
  const common = { headers: authorization ? { authorization } : {}, compression: 'gzip' };
  return [
    new HttpTraceExporter({ ...common, url: `${base}/v1/traces` }),
    new HttpLogExporter({ ...common, url: `${base}/v1/logs` }),
  ];
}

/** One trace: a request, the lookup below it and the statement below that, with a log line from the lookup. */
function send(tracer, logger, number) {
  const attributes = {
    'http.request.method': 'GET',
    'http.route': '/e2e/{number}',
    'client.address': options['client-address'],
    'e2e.number': number,
  };
  return tracer.startActiveSpan('GET /e2e/{number}', { kind: SpanKind.SERVER, attributes }, (root) => {
    tracer.startActiveSpan('lookup', { attributes: { 'user.id': `user-${number}` } }, (lookup) => {
      logger.emit({
        severityNumber: SeverityNumber.WARN,
        severityText: 'WARN',
        body: `lookup ${number} took a detour`,
        attributes: { 'e2e.number': number },
        context: context.active(),
      });
      const statement = {
        'db.system.name': 'postgresql',
        'db.operation.name': 'SELECT',
        'server.address': 'db.example',
      };
      tracer.startActiveSpan('SELECT things', { kind: SpanKind.CLIENT, attributes: statement }, (leaf) => {
        if (number % 10 === 9) {
          leaf.recordException(new Error('no answer from db.example'));
          leaf.setStatus({ code: SpanStatusCode.ERROR, message: 'timeout' });
        }
        leaf.end();
      });
      lookup.end();
    });
    root.setAttribute('http.response.status_code', 200);
    root.end();
    return root.spanContext().traceId;
  });
}

const refusals = [];
diag.setLogger(
  { error: (...line) => refusals.push(line.join(' ')), warn() {}, info() {}, debug() {}, verbose() {} },
  DiagLogLevel.ERROR,
);
const [traceExporter, logExporter] = exporters().map((exporter) => watched(exporter, refusals));
const queue = { maxQueueSize: 1 << 16 };
const sdk = new NodeSDK({
  resource: resourceFromAttributes({ 'service.name': options.service, 'service.version': '1.0.0' }),
  autoDetectResources: false,
  spanProcessors: [new BatchSpanProcessor(traceExporter, queue)],
  logRecordProcessors: [new BatchLogRecordProcessor({ exporter: logExporter, ...queue })],
  metricReaders: [],
});
sdk.start();

const count = Number(options.traces);
const tracer = trace.getTracer('e2e', '1.0.0');
const logger = logs.getLogger('e2e', '1.0.0');
const traceIds = Array.from({ length: count }, (_, number) => send(tracer, logger, number));
await sdk.shutdown().catch((error) => refusals.push(String(error)));

console.log(JSON.stringify({ trace_ids: traceIds, spans: count * SPANS_PER_TRACE, logs: count }));
if (refusals.length > 0) {
  console.error([...new Set(refusals)].join('\n'));
  process.exitCode = 1;
}
