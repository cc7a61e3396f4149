// The typed search parameters of every page. Readers name every key, also without a value: the router lays their
// answer over the raw parameters, and only a named key hides a wrong raw value.
import { type RangeSearch, rangeMillis } from '../time/range';
import { isZone } from '../time/zone';
import { compact, flag, integer, manyOf, oneOf, type RawSearch, text, texts } from './params';

/** Shared by all pages and kept from page to page. */
export interface ViewSearch extends RangeSearch {
  tz?: string;
  refresh?: 'off' | '5s' | '10s' | '30s';
}

function instant(raw: RawSearch, key: string): string | undefined {
  const value = text(raw, key);
  return value && !Number.isNaN(Date.parse(value)) ? value : undefined;
}

/** Keys without a value are left out here: the router would take them as a wish to forget what other pages keep. */
export function readView(raw: RawSearch): ViewSearch {
  const range = text(raw, 'range');
  const tz = text(raw, 'tz');
  return compact({
    range: range && rangeMillis(range) ? range : undefined,
    from: instant(raw, 'from'),
    to: instant(raw, 'to'),
    tz: tz && isZone(tz) ? tz : undefined,
    refresh: oneOf(raw, 'refresh', ['off', '5s', '10s', '30s']),
  });
}

export const SPAN_STATUSES = ['error', 'ok', 'unset'] as const;
export const SPAN_KINDS = ['server', 'client', 'internal', 'producer', 'consumer'] as const;

export interface TracesSearch {
  service?: string;
  operation?: string;
  filter?: string[];
  min?: string;
  max?: string;
  status?: (typeof SPAN_STATUSES)[number];
  kind?: (typeof SPAN_KINDS)[number];
  limit?: number;
}

export function readTraces(raw: RawSearch): TracesSearch {
  return {
    service: text(raw, 'service'),
    operation: text(raw, 'operation'),
    filter: texts(raw, 'filter'),
    min: text(raw, 'min'),
    max: text(raw, 'max'),
    status: oneOf(raw, 'status', SPAN_STATUSES),
    kind: oneOf(raw, 'kind', SPAN_KINDS),
    limit: integer(raw, 'limit', 1, 1000),
  };
}

export const TRACE_TABS = ['timeline', 'logs', 'json'] as const;

export interface TraceSearch {
  tab?: (typeof TRACE_TABS)[number];
  span?: string;
  /** Find text among the spans. */
  find?: string;
  /** Zoom window, nanoseconds from the trace's start: "from-to". */
  zoom?: string;
  /** Spans this deep and deeper are folded. */
  depth?: number;
  /** Spans folded (or, below `depth`, unfolded) one by one. */
  fold?: string[];
}

export function readTrace(raw: RawSearch): TraceSearch {
  const zoom = text(raw, 'zoom');
  return {
    tab: oneOf(raw, 'tab', TRACE_TABS),
    span: text(raw, 'span'),
    find: text(raw, 'find'),
    zoom: zoom && /^\d+-\d+$/.test(zoom) ? zoom : undefined,
    depth: integer(raw, 'depth', 0, 1000),
    fold: texts(raw, 'fold'),
  };
}

export const LOG_SEVERITIES = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

export interface LogsSearch {
  q?: string;
  service?: string;
  severity?: (typeof LOG_SEVERITIES)[number];
  trace?: string;
  filter?: string[];
  limit?: number;
  /** The expanded records. */
  open?: string[];
}

export function readLogs(raw: RawSearch): LogsSearch {
  return {
    q: text(raw, 'q'),
    service: text(raw, 'service'),
    severity: oneOf(raw, 'severity', LOG_SEVERITIES),
    trace: text(raw, 'trace'),
    filter: texts(raw, 'filter'),
    limit: integer(raw, 'limit', 1, 1000),
    open: texts(raw, 'open'),
  };
}

export interface MapSearch {
  service?: string;
  /** The selected edge: "caller>callee". */
  edge?: string;
  /** Shows only this text's services and their neighbours. */
  q?: string;
  errors?: true;
}

export function readMap(raw: RawSearch): MapSearch {
  return {
    service: text(raw, 'service'),
    edge: text(raw, 'edge'),
    q: text(raw, 'q'),
    errors: flag(raw, 'errors'),
  };
}

export const ALERT_STATUSES = ['open', 'acknowledged', 'closed'] as const;
export const LEVELS = ['critical', 'high', 'medium', 'low', 'informational'] as const;

export interface AlertsSearch {
  status?: (typeof ALERT_STATUSES)[number][];
  severity?: (typeof LEVELS)[number][];
  rule?: string;
  /** Text among the alerts shown. */
  q?: string;
  /** The row the keyboard is on. */
  at?: string;
}

export function readAlerts(raw: RawSearch): AlertsSearch {
  return {
    status: manyOf(raw, 'status', ALERT_STATUSES),
    severity: manyOf(raw, 'severity', LEVELS),
    rule: text(raw, 'rule'),
    q: text(raw, 'q'),
    at: text(raw, 'at'),
  };
}

export interface RulesSearch {
  q?: string;
  level?: (typeof LEVELS)[number];
  status?: 'active' | 'disabled' | 'invalid';
}

export function readRules(raw: RawSearch): RulesSearch {
  return {
    q: text(raw, 'q'),
    level: oneOf(raw, 'level', LEVELS),
    status: oneOf(raw, 'status', ['active', 'disabled', 'invalid']),
  };
}

export interface RuleSearch {
  /** Which template a new rule starts from. */
  template?: string;
}

export function readRule(raw: RawSearch): RuleSearch {
  return { template: text(raw, 'template') };
}

export interface LoginSearch {
  t?: string;
  next?: string;
}

/** `next` is kept only when it is a path of this site. */
export function readLogin(raw: RawSearch): LoginSearch {
  const next = text(raw, 'next');
  return { t: text(raw, 't'), next: next && /^\/(?![/\\])/.test(next) ? next : undefined };
}
