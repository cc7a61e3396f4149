// Serves the mock world over the API's routes, and dist/ with the real content security policy: for development only.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { parseArgs } from 'node:util';
import { checkText, ruleList } from './rules.mjs';
import { course, searchLogs, searchTraces, serviceFigures, serviceMap } from './search.mjs';
import { makeWorld } from './world.mjs';

const { values: flags } = parseArgs({
  options: {
    port: { type: 'string', default: '8090' },
    static: { type: 'string' },
    /** Asks for a login with this token. */
    token: { type: 'string' },
    /** Starts without any data. */
    empty: { type: 'boolean', default: false },
  },
});

const CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";
const NEW_ALERT_MILLIS = 20_000;
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

const world = makeWorld(Date.now());
if (flags.empty) Object.assign(world, { traces: [], logs: [], alerts: [] });
const streams = new Set();
let sequence = 0;

const send = (response, status, body, headers = {}) => {
  response.writeHead(status, {
    'content-type': status >= 400 ? 'application/problem+json' : 'application/json',
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(body === undefined ? undefined : JSON.stringify(body));
};
const problem = (response, status, title, detail, extra = {}) =>
  send(response, status, { type: 'about:blank', title, status, detail, ...extra });

async function readJson(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

const summary = (alert) => {
  const {
    description,
    references,
    false_positives,
    runbook,
    evidence,
    evidence_omitted,
    activity,
    deliveries,
    ...item
  } = alert;
  return item;
};

function announce(alert) {
  sequence += 1;
  for (const stream of streams)
    stream.write(`id: ${sequence}\nevent: alert\ndata: ${JSON.stringify(summary(alert))}\n\n`);
}

setInterval(() => {
  for (const stream of streams) stream.write(': heartbeat\n\n');
  const model = world.alerts.find((alert) => alert.severity === 'high');
  if (!model || world.alerts.length > 40) return;
  const now = new Date().toISOString();
  const alert = {
    ...model,
    id: `01JDLIVE${String(sequence).padStart(4, '0')}`,
    status: 'open',
    created_time: now,
    first_seen_time: now,
    last_seen_time: now,
    group: { 'client.address': `192.0.2.${(sequence % 200) + 1}` },
  };
  world.alerts.unshift(alert);
  announce(alert);
}, NEW_ALERT_MILLIS).unref();

function alertsRoute(request, response, parts, query) {
  if (parts[1] === 'stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': hello\n\n');
    streams.add(response);
    request.on('close', () => streams.delete(response));
    return;
  }
  if (!parts[1]) {
    const statuses = query.get('status')?.split(',');
    const severities = query.get('severity')?.split(',');
    const items = world.alerts
      .filter(
        (alert) =>
          (!statuses || statuses.includes(alert.status)) &&
          (!severities || severities.includes(alert.severity)) &&
          (!query.get('rule_id') || alert.rule_id === query.get('rule_id')),
      )
      .sort((a, b) => (a.created_time < b.created_time ? 1 : -1));
    send(response, 200, { items: items.map(summary), next_cursor: null });
    return;
  }
  const alert = world.alerts.find((one) => one.id === parts[1]);
  if (!alert) return problem(response, 404, 'Not found', 'no such alert');
  if (parts[2] === 'status') {
    return readJson(request).then(({ status, comment }) => {
      alert.activity.push({
        time: new Date().toISOString(),
        actor: 'analyst',
        kind: 'status',
        from: alert.status,
        to: status,
        comment: comment || null,
      });
      alert.status = status;
      announce(alert);
      send(response, 200, alert);
    });
  }
  send(response, 200, alert);
}

async function rulesRoute(request, response, parts) {
  const name = parts[1] && decodeURIComponent(parts[1]);
  if (!name) return send(response, 200, { items: ruleList(world), next_cursor: null });
  if (name === 'validate') {
    const { file = 'rule.yml', text } = await readJson(request);
    return send(response, 200, checkText(file, text));
  }
  const file =
    world.rules[name] !== undefined || request.method === 'PUT'
      ? name
      : ruleList(world).find((rule) => rule.id === name)?.file;
  if (request.method === 'PUT') {
    const { text } = await readJson(request);
    const etag = `"${world.rules[file]?.length ?? 0}"`;
    if (request.headers['if-match'] && request.headers['if-match'] !== etag)
      return problem(response, 412, 'Precondition failed', 'the file changed');
    const checked = checkText(file, text);
    if (!checked.valid)
      return problem(response, 422, 'Invalid rule', 'the rule has errors', {
        diagnostics: checked.diagnostics,
      });
    world.rules[file] = text;
  }
  if (file === undefined || world.rules[file] === undefined)
    return problem(response, 404, 'Not found', 'no such rule');
  if (request.method === 'DELETE') {
    delete world.rules[file];
    return send(response, 204);
  }
  const text = world.rules[file];
  const etag = `"${text.length}"`;
  send(response, 200, { file, text, etag, ...checkText(file, text), diagnostics: [] }, { etag });
}

function api(request, response, url) {
  const parts = url.pathname.slice('/api/v1/'.length).split('/');
  const query = url.searchParams;
  const loggedIn = !flags.token || request.headers.cookie?.includes('mock=1');
  if (parts[0] === 'session' && request.method === 'POST') {
    return readJson(request).then(({ token }) =>
      token === flags.token
        ? send(response, 200, {}, { 'set-cookie': 'mock=1; Path=/; HttpOnly' })
        : problem(response, 401, 'Unauthorized', 'the token is not valid'),
    );
  }
  if (!loggedIn) return problem(response, 401, 'Unauthorized', 'no session');
  switch (parts[0]) {
    case 'session':
      return request.method === 'DELETE'
        ? send(response, 204, undefined, { 'set-cookie': 'mock=; Path=/; Max-Age=0' })
        : send(response, 200, {
            user: 'analyst',
            tenant: 'default',
            roles: ['admin'],
            auth: flags.token ? 'session' : 'none',
          });
    case 'info':
      return send(response, 200, {
        version: '0.1.0',
        otlp_grpc: 'http://127.0.0.1:4317',
        otlp_http: 'http://127.0.0.1:4318',
        demo: !flags.empty,
        spans_seen: world.traces.length > 0,
      });
    case 'traces': {
      if (parts[1] === 'search') return send(response, 200, searchTraces(world, query));
      const trace = world.byId.get(parts[1]);
      return trace ? send(response, 200, trace) : problem(response, 404, 'Not found', 'no such trace');
    }
    case 'logs':
      return send(response, 200, searchLogs(world, query));
    case 'services':
      if (parts[2] === 'red') {
        return send(response, 200, course(world, query, decodeURIComponent(parts[1])));
      }
      return send(response, 200, serviceFigures(world, query, parts[1] && decodeURIComponent(parts[1])));
    case 'service-map':
      return send(response, 200, serviceMap(world, query));
    case 'alerts':
      return alertsRoute(request, response, parts, query);
    case 'rules':
      return rulesRoute(request, response, parts);
    default:
      return problem(response, 404, 'Not found', url.pathname);
  }
}

function files(response, url) {
  const root = flags.static;
  const asked = normalize(join(root, decodeURIComponent(url.pathname)));
  const file =
    asked.startsWith(normalize(root)) && existsSync(asked) && statSync(asked).isFile()
      ? asked
      : join(root, 'index.html');
  response.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-security-policy': CSP,
    'x-content-type-options': 'nosniff',
  });
  createReadStream(file).pipe(response);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock');
  try {
    if (url.pathname.startsWith('/api/v1/')) await api(request, response, url);
    else if (flags.static) files(response, url);
    else problem(response, 404, 'Not found', url.pathname);
  } catch (error) {
    if (!response.headersSent) problem(response, 500, 'Mock error', String(error?.stack ?? error));
  }
});
server.listen(Number(flags.port), '127.0.0.1', () => {
  console.log(
    `mock on http://127.0.0.1:${flags.port}/${flags.token ? `login?t=${flags.token}` : ''}  big trace b16${'0'.repeat(29)}`,
  );
});
