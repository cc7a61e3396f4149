// The mock's answers to searches, by plain loops over its world.

const nanosOf = (text) => (/^\d+$/.test(text) ? BigInt(text) : BigInt(Date.parse(text)) * 1_000_000n);
const UNITS = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9 };
const durationOf = (text) => {
  const [, number, unit = 'ns'] = /^([\d.]+)(ns|us|ms|s|m)?$/.exec(text) ?? [];
  return Number(number) * UNITS[unit];
};
const iso = (nanos) => {
  const text = new Date(Number(nanos / 1_000_000n)).toISOString().slice(0, -1);
  return `${text}${(nanos % 1_000_000n).toString().padStart(6, '0')}Z`;
};

function rangeOf(query) {
  const end = query.get('end') ? nanosOf(query.get('end')) : BigInt(Date.now()) * 1_000_000n;
  const start = query.get('start') ? nanosOf(query.get('start')) : end - 3_600_000_000_000n;
  return { start, end };
}

function filterOf(text) {
  const equals = text.indexOf('=');
  if (equals < 0) {
    const absent = text.startsWith('!');
    const key = absent ? text.slice(1) : text;
    return (record) => ((record.attributes[key] ?? record.resource[key]) === undefined) === absent;
  }
  const negated = text[equals - 1] === '!';
  const key = text.slice(0, negated ? equals - 1 : equals).replace(/^resource\./, '');
  const value = text.slice(equals + 1);
  return (record) => (String(record.attributes[key] ?? record.resource[key]) === value) !== negated;
}

function page(list, query, toItem) {
  const limit = Math.min(1000, Number(query.get('limit') ?? 20));
  const from = Number(query.get('cursor') ?? 0);
  const items = list.slice(from, from + limit).map(toItem);
  return { items, next_cursor: from + limit < list.length ? String(from + limit) : null };
}

export function searchTraces(world, query) {
  const { start, end } = rangeOf(query);
  const filters = query.getAll('filter').map(filterOf);
  const min = query.get('min_duration') ? durationOf(query.get('min_duration')) : 0;
  const max = query.get('max_duration') ? durationOf(query.get('max_duration')) : Number.POSITIVE_INFINITY;
  const wanted = (span) =>
    (!query.get('service') || span.service === query.get('service')) &&
    (!query.get('operation') || span.name === query.get('operation')) &&
    (!query.get('status') || span.status === query.get('status')) &&
    (!query.get('kind') || span.kind === query.get('kind')) &&
    span.duration_nanos >= min &&
    span.duration_nanos <= max &&
    filters.every((filter) => filter(span));
  const hits = world.traces.filter((trace) => {
    const at = BigInt(trace.start_unix_nanos);
    return at >= start && at <= end && trace.spans.some(wanted);
  });
  return page(hits, query, (trace) => {
    const root = trace.spans.find((span) => !span.parent_span_id) ?? trace.spans[0];
    const matched = trace.spans.filter(wanted);
    const { spans, truncated, ...rest } = trace;
    return {
      ...rest,
      root_service: root.service,
      root_name: root.name,
      start_time: iso(BigInt(trace.start_unix_nanos)),
      matched_spans: matched
        .slice(0, 5)
        .map(({ span_id, service, name, kind, status, start_unix_nanos, duration_nanos }) => ({
          span_id,
          service,
          name,
          kind,
          status,
          start_unix_nanos,
          duration_nanos,
        })),
      matched_count: matched.length,
    };
  });
}

const LEVEL = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 };

export function searchLogs(world, query) {
  const { start, end } = rangeOf(query);
  const filters = query.getAll('filter').map(filterOf);
  const min = LEVEL[query.get('min_severity')] ?? Number(query.get('min_severity') ?? 0);
  const text = query.get('text')?.toLowerCase();
  const hits = world.logs.filter(
    (log) =>
      log.at >= start &&
      log.at <= end &&
      log.severity_number >= min &&
      (!query.get('service') || log.service === query.get('service')) &&
      (!query.get('trace_id') || log.trace_id === query.get('trace_id')) &&
      (!text || log.body.toLowerCase().includes(text)) &&
      filters.every((filter) => filter(log)),
  );
  if (query.get('order') === 'asc') hits.reverse();
  return page(hits, query, ({ at, ...log }) => ({ ...log, time: iso(at), time_unix_nanos: at.toString() }));
}

const percentile = (sorted, share) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

function figures(groups) {
  return [...groups.values()].map(({ durations, ...rest }) => {
    durations.sort((a, b) => a - b);
    return { ...rest, p50_nanos: percentile(durations, 0.5), p95_nanos: percentile(durations, 0.95) };
  });
}

function spansIn(world, query) {
  const { start, end } = rangeOf(query);
  return world.traces
    .filter((trace) => BigInt(trace.start_unix_nanos) >= start && BigInt(trace.start_unix_nanos) <= end)
    .flatMap((trace) => trace.spans);
}

function groupBy(spans, keyOf, fieldsOf) {
  const groups = new Map();
  for (const span of spans) {
    const key = keyOf(span);
    let group = groups.get(key);
    if (!group) {
      group = { ...fieldsOf(span), spans: 0, errors: 0, durations: [] };
      groups.set(key, group);
    }
    group.spans += 1;
    if (span.status === 'error') group.errors += 1;
    group.durations.push(span.duration_nanos);
  }
  return groups;
}

export function serviceFigures(world, query, service) {
  const spans = spansIn(world, query).filter((span) => !service || span.service === service);
  const groups = service
    ? groupBy(
        spans,
        (span) => `${span.kind} ${span.name}`,
        (span) => ({ name: span.name, kind: span.kind }),
      )
    : groupBy(
        spans,
        (span) => span.service,
        (span) => ({ name: span.service, last_seen_time: iso(BigInt(span.start_unix_nanos)) }),
      );
  return { items: figures(groups).sort((a, b) => (a.name < b.name ? -1 : 1)), next_cursor: null };
}

/** Sixty points over the range, in whole steps of ten seconds. */
export function course(world, query, service) {
  const { start, end } = rangeOf(query);
  const wanted = BigInt(query.get('points') ?? 120);
  const ten = 10_000_000_000n;
  const step = ten * (((end - start) / ten + 1n) / wanted + 1n);
  const first = (start / step) * step;
  const points = [];
  const spans = spansIn(world, query).filter((span) => span.service === service);
  for (let from = first; from < end; from += step) {
    const inside = spans.filter((span) => {
      const at = BigInt(span.start_unix_nanos);
      return at >= from && at < from + step;
    });
    const [all] = figures(
      groupBy(
        inside,
        () => '',
        () => ({}),
      ),
    );
    points.push({ time: iso(from), spans: 0, errors: 0, p50_nanos: 0, p95_nanos: 0, ...all });
  }
  return { start_time: iso(first), end_time: iso(end), step_secs: Number(step / 1_000_000_000n), points };
}

export function serviceMap(world, query) {
  const { start, end } = rangeOf(query);
  const traces = world.traces.filter(
    (trace) =>
      BigInt(trace.start_unix_nanos) >= start &&
      BigInt(trace.start_unix_nanos) <= end &&
      trace.span_count < 5000,
  );
  const edges = new Map();
  for (const trace of traces) {
    const serviceOf = new Map(trace.spans.map((span) => [span.span_id, span.service]));
    for (const span of trace.spans) {
      const caller = serviceOf.get(span.parent_span_id);
      if (!caller || caller === span.service) continue;
      const key = `${caller}>${span.service}`;
      let edge = edges.get(key);
      if (!edge) {
        edge = { caller, callee: span.service, calls: 0, errors: 0, durations: [] };
        edges.set(key, edge);
      }
      edge.calls += 1;
      if (span.status === 'error') edge.errors += 1;
      edge.durations.push(span.duration_nanos);
    }
  }
  const nodes = groupBy(
    traces.flatMap((trace) => trace.spans),
    (span) => span.service,
    (span) => ({ name: span.service }),
  );
  return { nodes: figures(nodes), edges: figures(edges), truncated: false };
}
