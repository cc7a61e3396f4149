// Sends one trace of ten thousand spans over OTLP/HTTP JSON and prints its id, for the journey's --big-trace.
//
//   node e2e/big-trace.mjs --otlp http://127.0.0.1:4318 [--key INGEST_KEY] [--spans 10000]
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: {
    otlp: { type: 'string', default: 'http://127.0.0.1:4318' },
    key: { type: 'string' },
    spans: { type: 'string', default: '10000' },
  },
});

const BATCH_SPANS = 1_000;
const LENGTH_NANOS = 8_000_000_000;
const SERVICES = ['gateway', 'auth', 'checkout', 'orders', 'catalog', 'postgres'];

const count = Number(flags.spans);
const traceId = randomBytes(16).toString('hex');
const startNanos = BigInt(Date.now() - 60_000) * 1_000_000n;
const text = (value) => ({ stringValue: value });

// A tree about a dozen levels deep: each span lies within its parent.
const spans = [];
for (let at = 0; at < count; at += 1) {
  const parent = at === 0 ? null : spans[Math.floor((at - 1) / 2.2)];
  const start = parent ? parent.start + parent.length * ((at % 7) / 12) : 0;
  const length = parent ? Math.max(1_000, parent.length * (0.3 + (at % 5) / 10)) : LENGTH_NANOS;
  const service = SERVICES[at % SERVICES.length];
  spans.push({ id: randomBytes(8).toString('hex'), parent: parent?.id, start, length, service, at });
}

const wire = (span) => ({
  traceId,
  spanId: span.id,
  ...(span.parent ? { parentSpanId: span.parent } : {}),
  name: `${span.service} step ${span.at % 40}`,
  kind: 2,
  startTimeUnixNano: (startNanos + BigInt(Math.round(span.start))).toString(),
  endTimeUnixNano: (startNanos + BigInt(Math.round(span.start + span.length))).toString(),
  attributes: [
    { key: 'http.route', value: text(`/step/${span.at % 40}`) },
    { key: 'http.request.method', value: text('GET') },
    { key: 'client.address', value: text('198.51.100.23') },
    { key: 'order.id', value: { intValue: String(span.at) } },
  ],
  status: span.at % 150 === 149 ? { code: 2, message: 'upstream timeout' } : {},
});

for (let from = 0; from < count; from += BATCH_SPANS) {
  const batch = spans.slice(from, from + BATCH_SPANS);
  const resourceSpans = SERVICES.map((service) => ({
    resource: {
      attributes: [
        { key: 'service.name', value: text(service) },
        { key: 'service.version', value: text('1.4.2') },
        { key: 'k8s.pod.name', value: text(`${service}-7d9f5c-x2k`) },
      ],
    },
    scopeSpans: [
      { scope: { name: 'journey' }, spans: batch.filter((span) => span.service === service).map(wire) },
    ],
  }));
  const response = await fetch(`${flags.otlp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(flags.key ? { 'x-tracehound-key': flags.key } : {}) },
    body: JSON.stringify({ resourceSpans }),
  });
  if (!response.ok) {
    console.error(`refused with ${response.status}: ${await response.text()}`);
    process.exit(1);
  }
}
console.log(traceId);
