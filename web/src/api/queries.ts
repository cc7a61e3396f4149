// Every question the interface asks the API, as query options with their cache keys.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { type RangeSearch, resolveRange } from '../time/range';
import type { AlertsSearch, LogsSearch, TracesSearch } from '../url/view';
import { call } from './client';
import type {
  Alert,
  AlertDetail,
  AlertStatus,
  Course,
  Info,
  LogRecord,
  Operation,
  Page,
  RuleCheck,
  RuleFile,
  RuleSummary,
  ServiceMap,
  ServiceSummary,
  Session,
  Trace,
  TraceHit,
} from './wire';

/** Largest page the API gives. */
export const MAX_PAGE = 1000;
const TRACES_PAGE = 100;
const LOGS_PAGE = 200;
const ALERTS_PAGE = 100;

const rangeKey = (range: RangeSearch) => [range.range, range.from, range.to];

function rangeQuery(range: RangeSearch): { start: string; end: string } {
  const { start, end } = resolveRange(range, Date.now());
  return { start, end };
}

/** One page of a list; the range is fixed on the first page so that later pages continue the same list. */
interface PageParam {
  cursor?: string;
  range: { start: string; end: string };
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => call<Session>('/session', { signal }),
  staleTime: Number.POSITIVE_INFINITY,
  retry: false,
});

export const infoQuery = queryOptions({
  queryKey: ['info'],
  queryFn: ({ signal }) => call<Info>('/info', { signal }),
  staleTime: 30_000,
  // Until the first span arrives the empty pages wait for it.
  refetchInterval: (query) => (query.state.data?.spans_seen === false ? 2_000 : false),
});

export const servicesQuery = (range: RangeSearch) =>
  queryOptions({
    queryKey: ['services', ...rangeKey(range)],
    queryFn: ({ signal }) =>
      call<Page<ServiceSummary>>('/services', { query: { ...rangeQuery(range), limit: MAX_PAGE }, signal }),
    placeholderData: keepPreviousData,
  });

export const operationsQuery = (service: string, range: RangeSearch) =>
  queryOptions({
    queryKey: ['operations', service, ...rangeKey(range)],
    queryFn: ({ signal }) =>
      call<Page<Operation>>(`/services/${encodeURIComponent(service)}/operations`, {
        query: { ...rangeQuery(range), limit: MAX_PAGE },
        signal,
      }),
    enabled: service !== '',
  });

export const courseQuery = (service: string, range: RangeSearch, points: number) =>
  queryOptions({
    queryKey: ['course', service, points, ...rangeKey(range)],
    queryFn: ({ signal }) =>
      call<Course>(`/services/${encodeURIComponent(service)}/red`, {
        query: { ...rangeQuery(range), points },
        signal,
      }),
    enabled: service !== '',
    placeholderData: keepPreviousData,
  });

export const mapQuery = (range: RangeSearch) =>
  queryOptions({
    queryKey: ['service-map', ...rangeKey(range)],
    queryFn: ({ signal }) => call<ServiceMap>('/service-map', { query: rangeQuery(range), signal }),
    placeholderData: keepPreviousData,
  });

export const tracesQuery = (search: TracesSearch, range: RangeSearch) =>
  infiniteQueryOptions({
    queryKey: ['traces', search, ...rangeKey(range)],
    queryFn: async ({ pageParam, signal }) => {
      const fixed = (pageParam as PageParam | null)?.range ?? rangeQuery(range);
      const page = await call<Page<TraceHit>>('/traces/search', {
        query: {
          service: search.service,
          operation: search.operation,
          filter: search.filter,
          min_duration: search.min,
          max_duration: search.max,
          status: search.status,
          kind: search.kind,
          ...fixed,
          limit: search.limit ?? TRACES_PAGE,
          cursor: (pageParam as PageParam | null)?.cursor,
        },
        signal,
      });
      return { ...page, range: fixed };
    },
    initialPageParam: null as PageParam | null,
    getNextPageParam: (last) =>
      last.next_cursor ? { cursor: last.next_cursor, range: last.range } : undefined,
    placeholderData: keepPreviousData,
  });

export const traceQuery = (traceId: string) =>
  queryOptions({
    queryKey: ['trace', traceId],
    queryFn: ({ signal }) => call<Trace>(`/traces/${encodeURIComponent(traceId)}`, { signal }),
    staleTime: 30_000,
    structuralSharing: false,
    retry: false,
  });

/** All logs of one trace, oldest first, at most `MAX_PAGE`. */
export const traceLogsQuery = (traceId: string, range: Required<Pick<RangeSearch, 'from' | 'to'>>) =>
  queryOptions({
    queryKey: ['trace-logs', traceId],
    queryFn: ({ signal }) =>
      call<Page<LogRecord>>('/logs/search', {
        query: { trace_id: traceId, order: 'asc', limit: MAX_PAGE, start: range.from, end: range.to },
        signal,
      }),
    staleTime: 30_000,
  });

export const logsQuery = (search: LogsSearch, range: RangeSearch) =>
  infiniteQueryOptions({
    queryKey: ['logs', { ...search, open: undefined }, ...rangeKey(range)],
    queryFn: async ({ pageParam, signal }) => {
      const fixed = (pageParam as PageParam | null)?.range ?? rangeQuery(range);
      const page = await call<Page<LogRecord>>('/logs/search', {
        query: {
          text: search.q,
          service: search.service,
          min_severity: search.severity,
          trace_id: search.trace,
          filter: search.filter,
          ...fixed,
          limit: search.limit ?? LOGS_PAGE,
          cursor: (pageParam as PageParam | null)?.cursor,
        },
        signal,
      });
      return { ...page, range: fixed };
    },
    initialPageParam: null as PageParam | null,
    getNextPageParam: (last) =>
      last.next_cursor ? { cursor: last.next_cursor, range: last.range } : undefined,
    placeholderData: keepPreviousData,
  });

export const alertsQuery = (search: Pick<AlertsSearch, 'status' | 'severity' | 'rule'>) =>
  infiniteQueryOptions({
    queryKey: ['alerts', search.status, search.severity, search.rule],
    queryFn: ({ pageParam, signal }) =>
      call<Page<Alert>>('/alerts', {
        query: {
          status: (search.status ?? ['open', 'acknowledged']).join(','),
          severity: search.severity?.join(','),
          rule_id: search.rule,
          limit: ALERTS_PAGE,
          cursor: pageParam,
        },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

export const alertQuery = (id: string) =>
  queryOptions({
    queryKey: ['alert', id],
    queryFn: ({ signal }) => call<AlertDetail>(`/alerts/${encodeURIComponent(id)}`, { signal }),
    retry: false,
  });

export function setAlertStatus(id: string, status: AlertStatus, comment: string): Promise<AlertDetail> {
  return call<AlertDetail>(`/alerts/${encodeURIComponent(id)}/status`, {
    method: 'POST',
    body: { status, comment },
  });
}

export const rulesQuery = queryOptions({
  queryKey: ['rules'],
  queryFn: ({ signal }) => call<Page<RuleSummary>>('/rules', { query: { limit: MAX_PAGE }, signal }),
});

/** `file` is a file name or a rule id. */
export const ruleFileQuery = (file: string) =>
  queryOptions({
    queryKey: ['rule-file', file],
    queryFn: ({ signal }) => call<RuleFile>(`/rules/${encodeURIComponent(file)}`, { signal }),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });

export function checkRule(file: string | undefined, text: string, signal?: AbortSignal): Promise<RuleCheck> {
  return call<RuleCheck>('/rules/validate', { method: 'POST', body: { file, text }, signal });
}

export function saveRule(file: string, text: string, etag: string | undefined): Promise<RuleFile> {
  return call<RuleFile>(`/rules/${encodeURIComponent(file)}`, {
    method: 'PUT',
    body: { text },
    ifMatch: etag,
  });
}

export function deleteRule(file: string): Promise<void> {
  return call<void>(`/rules/${encodeURIComponent(file)}`, { method: 'DELETE' });
}
