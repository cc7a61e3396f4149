// A small deterministic shop for developing the interface without a server: traces, logs, alerts, rules.

/** Mulberry32: the same seed gives the same world. */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

const hex = (random, digits) =>
  Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');

// service: [operation, kind, own milliseconds, called services]
const SHOP = {
  gateway: [
    ['POST /login', 'server', 2, ['auth']],
    ['GET /products/{id}', 'server', 2, ['catalog', 'image-provider']],
    ['POST /checkout', 'server', 3, ['cart', 'checkout']],
    ['GET /orders', 'server', 2, ['orders']],
  ],
  auth: [['AuthService/Login', 'server', 8, ['user', 'postgres']]],
  user: [['UserService/Get', 'server', 3, ['postgres']]],
  cart: [['CartService/Get', 'server', 2, ['postgres']]],
  checkout: [['CheckoutService/Place', 'server', 6, ['payment', 'orders', 'email', 'user']]],
  payment: [['PaymentService/Charge', 'server', 22, []]],
  catalog: [['CatalogService/Get', 'server', 3, ['postgres']]],
  orders: [['OrderService/List', 'server', 4, ['postgres', 'postgres']]],
  'image-provider': [['GET /image', 'server', 5, []]],
  email: [['EmailService/Send', 'consumer', 12, []]],
  'admin-api': [['GET /admin/export', 'server', 30, ['postgres', 'orders']]],
  postgres: [['SELECT', 'client', 1.5, []]],
};

const resourceOf = (service) => ({
  'service.name': service,
  'service.version': service === 'payment' ? '2.4.1' : '1.18.0',
  'service.instance.id': `${service}-7d9f-0`,
  'k8s.pod.name': `${service}-7d9f5c-x2k`,
  'deployment.environment.name': 'production',
  'telemetry.sdk.language': service === 'payment' ? 'java' : 'go',
});

class TraceBuilder {
  constructor(random, startNanos) {
    this.random = random;
    this.traceId = hex(random, 32);
    this.startNanos = startNanos;
    this.spans = [];
    this.logs = [];
  }

  span(service, name, kind, parent, offsetNanos, durationNanos, attributes = {}, status = 'unset') {
    const span = {
      span_id: hex(this.random, 16),
      parent_span_id: parent,
      service,
      name,
      kind,
      status,
      status_message: status === 'error' ? 'upstream answered with an error' : '',
      start_unix_nanos: (this.startNanos + BigInt(Math.round(offsetNanos))).toString(),
      duration_nanos: Math.max(1, Math.round(durationNanos)),
      attributes,
      resource: resourceOf(service),
      scope: { name: `io.opentelemetry.${service}`, version: '1.4.0' },
      events: [],
      links: [],
      trace_state: '',
      flags: 257,
    };
    this.spans.push(span);
    return span;
  }

  log(span, offsetNanos, severity, body, attributes = {}) {
    const number = { debug: 5, info: 9, warn: 13, error: 17, fatal: 21 }[severity];
    const at = this.startNanos + BigInt(Math.round(offsetNanos));
    this.logs.push({
      log_id: `log-${hex(this.random, 16)}`,
      at,
      severity,
      severity_number: number,
      severity_text: severity.toUpperCase(),
      service: span.service,
      body,
      event_name: '',
      trace_id: this.traceId,
      span_id: span.span_id,
      attributes,
      resource: span.resource,
    });
  }

  /** Calls `service`; returns its duration in nanoseconds. */
  call(service, parent, offsetNanos, context, depth = 0) {
    const random = this.random;
    const operations = SHOP[service];
    const [name, kind, millis, callees] =
      context.operation?.[service] ?? operations[Math.floor(random() * operations.length)];
    const own = millis * 1e6 * (0.5 + random() * 1.2 + (random() < 0.04 ? 6 : 0));
    const failed = service === context.failing;
    const span = this.span(
      service,
      name,
      kind,
      parent,
      offsetNanos,
      0,
      { ...context.attributes },
      failed ? 'error' : 'unset',
    );
    if (service === 'postgres') {
      Object.assign(span.attributes, {
        'db.system.name': 'postgresql',
        'db.operation.name': 'SELECT',
        'db.query.text': 'SELECT * FROM orders WHERE user_id = $1 ORDER BY created_at DESC LIMIT 20',
        'server.address': 'postgres.shop.svc',
      });
    } else {
      Object.assign(span.attributes, {
        'http.request.method': name.split(' ')[0],
        'http.response.status_code': failed ? 503 : 200,
      });
    }
    let at = own * 0.35;
    if (depth < 6) {
      for (const callee of callees) {
        at += this.call(callee, span.span_id, offsetNanos + at, context, depth + 1) + random() * 3e5;
      }
    }
    span.duration_nanos = Math.round(at + own * 0.65);
    if (failed) {
      span.events.push({
        time_unix_nanos: (this.startNanos + BigInt(Math.round(offsetNanos + at))).toString(),
        name: 'exception',
        attributes: {
          'exception.type': 'UpstreamTimeout',
          'exception.message': 'no answer within 800ms',
          'exception.stacktrace': `UpstreamTimeout: no answer within 800ms\n    at ${service}/client.go:118\n    at ${service}/handler.go:41`,
        },
      });
      this.log(span, offsetNanos + at, 'error', `${name} failed: no answer within 800ms`, {
        'exception.type': 'UpstreamTimeout',
      });
    } else if (service !== 'postgres') {
      this.log(
        span,
        offsetNanos + at,
        random() < 0.08 ? 'warn' : random() < 0.3 ? 'debug' : 'info',
        `${name} handled in ${(span.duration_nanos / 1e6).toFixed(1)} ms`,
        {
          'http.route': name.split(' ')[1] ?? name,
        },
      );
    }
    return span.duration_nanos;
  }

  done() {
    const start = this.spans.reduce(
      (least, span) => (BigInt(span.start_unix_nanos) < least ? BigInt(span.start_unix_nanos) : least),
      this.startNanos,
    );
    const end = this.spans.reduce((most, span) => {
      const at = BigInt(span.start_unix_nanos) + BigInt(span.duration_nanos);
      return at > most ? at : most;
    }, start);
    const services = new Map();
    for (const span of this.spans) {
      const one = services.get(span.service) ?? { name: span.service, spans: 0, errors: 0 };
      one.spans += 1;
      if (span.status === 'error') one.errors += 1;
      services.set(span.service, one);
    }
    return {
      trace_id: this.traceId,
      start_unix_nanos: start.toString(),
      duration_nanos: Number(end - start),
      span_count: this.spans.length,
      error_count: this.spans.filter((span) => span.status === 'error').length,
      services: [...services.values()].sort((a, b) => b.spans - a.spans),
      truncated: false,
      spans: this.spans.sort((a, b) => (BigInt(a.start_unix_nanos) < BigInt(b.start_unix_nanos) ? -1 : 1)),
    };
  }
}

/** A batch job's trace: a wide and deep tree of `count` spans. */
function bigTrace(random, startNanos, count) {
  const builder = new TraceBuilder(random, startNanos);
  builder.traceId = 'b16'.padEnd(32, '0');
  const names = Object.keys(SHOP);
  const open = [];
  const root = builder.span('admin-api', 'nightly reconciliation', 'internal', null, 0, 92e9, {
    'job.name': 'reconcile',
  });
  open.push({ id: root.span_id, start: 0, length: 92e9, depth: 0 });
  while (builder.spans.length < count) {
    const parent = open[Math.floor(random() * open.length)];
    if (parent.depth > 28 || parent.length < 2e5) continue;
    const start = parent.start + random() * parent.length * 0.85;
    const length = Math.max(1e3, (parent.start + parent.length - start) * (0.08 + random() * 0.85));
    const service = names[Math.floor(random() * names.length)];
    const [name, kind] = SHOP[service][0];
    const span = builder.span(
      service,
      name,
      kind,
      parent.id,
      start,
      length,
      { 'order.id': Math.floor(random() * 90000), 'client.address': '10.0.3.7' },
      random() < 0.006 ? 'error' : 'unset',
    );
    if (random() < 0.5) open.push({ id: span.span_id, start, length, depth: parent.depth + 1 });
    if (random() < 0.02)
      builder.log(span, start + length / 2, 'info', `reconciled order ${span.attributes['order.id']}`);
  }
  return builder;
}

const RULES = {
  'credential-stuffing.yml': `title: Login failed
id: 5b0c1f0e-0001-4c7e-9d0e-5f2f7a6f1a01
name: login_failed
level: informational
logsource:
  product: otel
  category: span
detection:
  failed:
    http.route|endswith: /login
    http.response.status_code: [401, 403]
  condition: failed
---
title: Credential stuffing against the login
id: 5b0c1f0e-0002-4c7e-9d0e-5f2f7a6f1a01
description: One address tries many different users in a short time.
author: Tracehound authors
level: high
tags: [attack.t1110.004, attack.credential-access, owasp.api2]
correlation:
  type: value_count
  rules: [login_failed]
  group-by: [client.address]
  timespan: 10m
  condition:
    field: user.id
    gte: 20
falsepositives:
  - Many people behind one office address after a forced password reset
`,
  'session-hijack.yml': `title: One session used from two addresses
id: 5b0c1f0e-0003-4c7e-9d0e-5f2f7a6f1a01
description: The same session id came from more than one client address.
author: Tracehound authors
level: high
tags: [attack.t1539, owasp.api2]
logsource:
  product: otel
  category: span
detection:
  session:
    session.id|exists: true
  condition: session
`,
  'ssrf-metadata.yml': `title: Request to the cloud metadata service
id: 5b0c1f0e-0004-4c7e-9d0e-5f2f7a6f1a01
description: A service called the link-local metadata address, from which credentials can be read.
author: Tracehound authors
level: critical
tags: [attack.t1552.005, attack.t1190, owasp.api7]
logsource:
  product: otel
  category: span
detection:
  target:
    server.address: 169.254.169.254
  condition: target
references:
  - https://attack.mitre.org/techniques/T1552/005/
falsepositives:
  - A node agent that reads its own instance metadata
`,
  'bulk-export.yml': `title: Bulk export from the admin API
id: 5b0c1f0e-0005-4c7e-9d0e-5f2f7a6f1a01
level: medium
tags: [attack.t1567]
logsource:
  product: otel
  category: span
detection:
  export:
    service.name: admin-api
    http.route: /admin/export
    http.response.body.size|gte: 5000000
  condition: export
`,
};

const BROKEN_RULE = `title: Broken on purpose
id: 5b0c1f0e-0006-4c7e-9d0e-5f2f7a6f1a01
level: low
logsource:
  product: otel
  category: span
detection:
  sel:
    http.route|nearly: /login
  condition: sel
`;

function alertFrom(at, index, rule, severity, reason, group, builder, spans, count, status = 'open') {
  const iso = (millis) => `${new Date(millis).toISOString().slice(0, -1)}000000Z`;
  const traces = Array.isArray(builder) ? builder : [builder];
  return {
    id: `01JDALERT${String(index).padStart(4, '0')}`,
    rule_id: rule.id,
    rule_title: rule.title,
    severity,
    status,
    reason,
    group,
    count,
    first_seen_time: iso(at),
    last_seen_time: iso(at + 40_000),
    created_time: iso(at + 41_000),
    trace_ids: [...new Set(traces.map((one) => one.traceId))].slice(0, 5),
    tags: rule.tags,
    author: 'Tracehound authors',
    description: rule.description,
    references: rule.references ?? ['https://attack.mitre.org/techniques/T1110/004/', 'javascript:alert(1)'],
    false_positives: rule.falsePositives ?? [
      'Many people behind one office address after a forced password reset',
    ],
    runbook: null,
    evidence: spans.map(({ traceId, span }) => ({
      kind: 'span',
      trace_id: traceId,
      span_id: span.span_id,
      log_id: null,
      time: null,
    })),
    evidence_omitted: Math.max(0, count - spans.length),
    activity: [
      { time: iso(at + 41_000), actor: 'tracehound', kind: 'opened', from: null, to: 'open', comment: null },
    ],
    deliveries: [
      {
        target: 'https://hooks.example.org/tracehound',
        state: 'delivered',
        attempts: 1,
        last_error: null,
        next_attempt_time: null,
      },
      {
        target: 'https://pager.example.org/in',
        state: 'pending',
        attempts: 3,
        last_error: '503 from target',
        next_attempt_time: iso(at + 600_000),
      },
    ],
  };
}

function attack(random, now) {
  const base = now - 11 * 60_000;
  const nanos = (millis) => BigInt(Math.round(millis)) * 1_000_000n;
  const builders = [];
  const stuffing = [];
  for (let attempt = 0; attempt < 26; attempt += 1) {
    const builder = new TraceBuilder(random, nanos(base + attempt * 1500));
    const attributes = {
      'client.address': '203.0.113.77',
      'user.id': `u${1000 + attempt}`,
      'http.route': '/login',
      'http.response.status_code': 401,
      'user_agent.original': 'python-requests/2.31',
    };
    const root = builder.span('gateway', 'POST /login', 'server', null, 0, 14e6, attributes, 'error');
    const auth = builder.span(
      'auth',
      'AuthService/Login',
      'server',
      root.span_id,
      2e6,
      10e6,
      attributes,
      'error',
    );
    builder.span('postgres', 'SELECT', 'client', auth.span_id, 3e6, 2e6, { 'db.system.name': 'postgresql' });
    builder.log(auth, 11e6, 'warn', `login failed for ${attributes['user.id']}: wrong password`, {
      'client.address': '203.0.113.77',
    });
    builders.push(builder);
    stuffing.push({ traceId: builder.traceId, span: root });
  }
  const ssrf = new TraceBuilder(random, nanos(base + 120_000));
  const entry = ssrf.span('gateway', 'GET /products/{id}', 'server', null, 0, 61e6, {
    'client.address': '203.0.113.77',
    'session.id': 's-9f31',
    'url.path': '/products/7',
  });
  const image = ssrf.span('image-provider', 'GET /image', 'server', entry.span_id, 3e6, 55e6, {
    'url.query': 'src=http://169.254.169.254/latest/meta-data/iam/',
  });
  const metadata = ssrf.span('image-provider', 'GET', 'client', image.span_id, 6e6, 44e6, {
    'server.address': '169.254.169.254',
    'url.full': 'http://169.254.169.254/latest/meta-data/iam/security-credentials/',
    'http.response.status_code': 200,
  });
  ssrf.log(image, 5e6, 'info', 'fetching http://169.254.169.254/latest/meta-data/iam/security-credentials/');
  ssrf.log(image, 51e6, 'warn', 'response is not an image: text/plain', { 'http.response.body.size': 1412 });
  const dump = new TraceBuilder(random, nanos(base + 240_000));
  const exported = dump.span('admin-api', 'GET /admin/export', 'server', null, 0, 2.4e9, {
    'client.address': '203.0.113.77',
    'session.id': 's-9f31',
    'http.route': '/admin/export',
    'http.response.body.size': 48211034,
  });
  for (let page = 0; page < 24; page += 1)
    dump.span('postgres', 'SELECT', 'client', exported.span_id, page * 98e6, 91e6, {
      'db.system.name': 'postgresql',
      'db.response.returned_rows': 5000,
    });
  dump.log(exported, 2.39e9, 'info', 'exported 120000 rows');
  builders.push(ssrf, dump);

  const rule = (id, title, tags, description) => ({
    id: `5b0c1f0e-000${id}-4c7e-9d0e-5f2f7a6f1a01`,
    title,
    tags,
    description,
  });
  const alerts = [
    alertFrom(
      base,
      1,
      rule(
        2,
        'Credential stuffing against the login',
        ['attack.t1110.004', 'attack.credential-access', 'owasp.api2'],
        'One address tries many different users in a short time.',
      ),
      'high',
      '26 different users failed to log in from 203.0.113.77 within 10 minutes (limit 20).',
      { 'client.address': '203.0.113.77' },
      builders.slice(0, 26),
      stuffing.slice(0, 12),
      26,
    ),
    alertFrom(
      base + 120_000,
      2,
      rule(
        4,
        'Request to the cloud metadata service',
        ['attack.t1552.005', 'attack.t1190', 'owasp.api7'],
        'A service called the link-local metadata address, from which credentials can be read.',
      ),
      'critical',
      'image-provider called 169.254.169.254 under a public request from 203.0.113.77.',
      { 'service.name': 'image-provider' },
      ssrf,
      [
        { traceId: ssrf.traceId, span: metadata },
        { traceId: ssrf.traceId, span: entry },
      ],
      1,
    ),
    alertFrom(
      base + 240_000,
      3,
      rule(
        5,
        'Bulk export from the admin API',
        ['attack.t1567'],
        'An export larger than five megabytes left the admin API.',
      ),
      'medium',
      'admin-api sent 48.2 MB to 203.0.113.77 in one export.',
      { 'client.address': '203.0.113.77', 'session.id': 's-9f31' },
      dump,
      [{ traceId: dump.traceId, span: exported }],
      1,
      'acknowledged',
    ),
    alertFrom(
      base - 3_000_000,
      4,
      rule(
        3,
        'One session used from two addresses',
        ['attack.t1539', 'owasp.api2'],
        'The same session id came from more than one client address.',
      ),
      'high',
      'Session s-1180 was used from 198.51.100.4 and 192.0.2.19 within 15 minutes.',
      { 'session.id': 's-1180' },
      builders[0],
      stuffing.slice(0, 2),
      2,
      'closed',
    ),
  ];
  return { builders, alerts };
}

/** Builds the world as it is at `nowMillis`. */
export function makeWorld(nowMillis, bigSpans = 10_000) {
  const random = randomFrom(7);
  const builders = [];
  for (let at = nowMillis - 2 * 3_600_000; at < nowMillis; at += 2500 + random() * 7500) {
    const builder = new TraceBuilder(
      random,
      BigInt(Math.round(at)) * 1_000_000n + BigInt(Math.floor(random() * 1e6)),
    );
    const failing =
      random() < 0.05 ? ['payment', 'auth', 'catalog', 'email'][Math.floor(random() * 4)] : undefined;
    builder.call('gateway', null, 0, {
      failing,
      attributes: {
        'client.address': `198.51.100.${Math.floor(random() * 200)}`,
        'session.id': `s-${hex(random, 4)}`,
        'user.id': `u${Math.floor(random() * 9000)}`,
      },
    });
    if (failing) {
      const root = builder.spans[0];
      if (builder.spans.some((span) => span.status === 'error')) root.status = 'error';
    }
    builders.push(builder);
  }
  builders.push(
    bigTrace(random, BigInt(Math.round(nowMillis - 25 * 60_000)) * 1_000_000n + 123_457n, bigSpans),
  );
  const { builders: attackers, alerts } = attack(random, nowMillis);
  builders.push(...attackers);
  const traces = builders.map((builder) => builder.done());
  const byId = new Map(traces.map((trace) => [trace.trace_id, trace]));
  traces.sort((a, b) => (BigInt(a.start_unix_nanos) < BigInt(b.start_unix_nanos) ? 1 : -1));
  const logs = builders.flatMap((builder) => builder.logs).sort((a, b) => (a.at < b.at ? 1 : -1));
  return { traces, byId, logs, alerts, rules: { ...RULES }, broken: BROKEN_RULE };
}
