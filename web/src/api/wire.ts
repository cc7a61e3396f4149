// The JSON shapes of the public API, exactly as they arrive.

/** Integer unix nanoseconds as a decimal string: a JS number would lose the last digits. */
export type NanosText = string;
export type Attributes = Record<string, unknown>;

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface ProblemBody {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  field?: string;
  limit?: number;
  trace_id?: string;
  diagnostics?: Diagnostic[];
}

export interface ServiceShare {
  name: string;
  spans: number;
  errors: number;
}

export type SpanStatus = 'unset' | 'ok' | 'error';

export interface MatchedSpan {
  span_id: string;
  service: string;
  name: string;
  kind: string;
  status: SpanStatus;
  start_unix_nanos: NanosText;
  duration_nanos: number;
}

export interface TraceHit {
  trace_id: string;
  root_service: string;
  root_name: string;
  start_time: string;
  start_unix_nanos: NanosText;
  duration_nanos: number;
  span_count: number;
  error_count: number;
  services: ServiceShare[];
  matched_spans: MatchedSpan[];
  matched_count: number;
}

export interface SpanEvent {
  time_unix_nanos: NanosText;
  name: string;
  attributes: Attributes;
}

export interface SpanLink {
  trace_id: string;
  span_id: string;
  attributes: Attributes;
}

export interface Span {
  span_id: string;
  parent_span_id: string | null;
  service: string;
  name: string;
  kind: string;
  status: SpanStatus;
  status_message?: string | null;
  start_unix_nanos: NanosText;
  duration_nanos: number;
  attributes: Attributes;
  resource: Attributes;
  scope?: { name?: string; version?: string } | null;
  events: SpanEvent[];
  links: SpanLink[];
  trace_state?: string | null;
  flags?: number;
}

export interface Trace {
  trace_id: string;
  start_unix_nanos: NanosText;
  duration_nanos: number;
  span_count: number;
  error_count: number;
  services: ServiceShare[];
  truncated: boolean;
  spans: Span[];
}

export interface LogRecord {
  log_id: string;
  time: string;
  time_unix_nanos: NanosText;
  severity: string;
  severity_number: number;
  severity_text?: string | null;
  service: string;
  body: unknown;
  event_name?: string | null;
  trace_id: string | null;
  span_id: string | null;
  attributes: Attributes;
  resource: Attributes;
}

export interface ServiceSummary {
  name: string;
  spans: number;
  errors: number;
  p50_nanos: number;
  p95_nanos: number;
  last_seen_time?: string;
  /** Called by others but sends no spans itself, such as an external host. */
  is_outside?: boolean;
}

export interface Operation {
  name: string;
  kind: string;
  spans: number;
  errors: number;
  p50_nanos: number;
  p95_nanos: number;
}

export interface CoursePoint {
  time: string;
  spans: number;
  errors: number;
  p50_nanos: number;
  p95_nanos: number;
}

/** How a service went: rate, errors and durations, step by step. */
export interface Course {
  start_time: string;
  end_time: string;
  step_secs: number;
  points: CoursePoint[];
  missing_files?: string[];
}

export interface MapEdge {
  caller: string;
  callee: string;
  calls: number;
  errors: number;
  p50_nanos: number;
  p95_nanos: number;
}

export interface ServiceMap {
  nodes: ServiceSummary[];
  edges: MapEdge[];
  /** What the map covers: less than asked for when there was too much. */
  start_time?: string;
  end_time?: string;
  truncated: boolean;
}

export type Level = 'informational' | 'low' | 'medium' | 'high' | 'critical';

export interface Diagnostic {
  file: string;
  line: number;
  column: number;
  code: string;
  message: string;
  hint: string;
  /** A warning does not keep a text from being saved. */
  severity?: 'error' | 'warning';
}

export interface RuleSummary {
  id: string;
  title: string;
  level: Level;
  kind: string;
  status: 'active' | 'disabled' | 'invalid';
  disabled_because?: string;
  file: string;
  version?: string | number;
  tags: string[];
  description?: string;
  author?: string;
  matches?: number;
  /** It only feeds other rules and raises no alert of its own. */
  silent?: boolean;
  /** False when nothing maps its log source, so that it is never evaluated. */
  mapped?: boolean;
  diagnostics?: Diagnostic[];
}

export interface RuleFile {
  file: string;
  text: string;
  etag: string;
  rules: RuleSummary[];
  diagnostics: Diagnostic[];
  warnings?: Diagnostic[];
}

export interface RuleCheck {
  valid: boolean;
  rules: RuleSummary[];
  diagnostics: Diagnostic[];
  warnings?: Diagnostic[];
}

export type AlertStatus = 'open' | 'acknowledged' | 'closed';

export interface Alert {
  id: string;
  rule_id: string;
  rule_title: string;
  severity: Level;
  status: AlertStatus;
  reason: string;
  group: Record<string, unknown>;
  count: number;
  first_seen_time: string;
  last_seen_time: string;
  created_time: string;
  trace_ids: string[];
  tags: string[];
  author?: string;
}

export interface Evidence {
  kind: 'span' | 'log';
  trace_id: string | null;
  span_id: string | null;
  log_id: string | null;
  time?: string | null;
}

export interface Activity {
  time: string;
  actor: string;
  kind: string;
  from?: string | null;
  to?: string | null;
  comment?: string | null;
}

export interface Delivery {
  target: string;
  state: string;
  attempts: number;
  last_error?: string | null;
  next_attempt_time?: string | null;
}

export interface AlertDetail extends Alert {
  description?: string;
  references?: string[];
  false_positives?: string[];
  runbook?: string | null;
  evidence: Evidence[];
  evidence_omitted?: number;
  activity: Activity[];
  deliveries: Delivery[];
}

export interface Session {
  user: string;
  tenant: string;
  roles: string[];
  auth: 'session' | 'none';
}

export interface Info {
  version: string;
  otlp_grpc: string;
  otlp_http: string;
  demo: boolean;
  spans_seen: boolean;
}
