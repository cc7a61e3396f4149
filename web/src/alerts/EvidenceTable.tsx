// The spans and logs that made an alert, each with its way into the trace.
import { useQueries } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { traceQuery } from '../api/queries';
import type { AlertDetail, Evidence, Span } from '../api/wire';
import { ServiceMark, StateMark } from '../parts/Marks';
import { Time } from '../time/clock';
import { formatDuration } from '../time/nanos';
import { rangeAround } from '../time/range';
import css from './alerts.module.css';

/** Traces read to say what each piece of evidence is; the rest shows ids only. */
const MAX_TRACES_READ = 12;
const LOG_MARGIN_MILLIS = 15 * 60_000;

function useSpans(evidence: Evidence[]): Map<string, Span> {
  const ids = [...new Set(evidence.map((one) => one.trace_id).filter((id): id is string => Boolean(id)))];
  const traces = useQueries({ queries: ids.slice(0, MAX_TRACES_READ).map((id) => traceQuery(id)) });
  const spans = new Map<string, Span>();
  for (const { data } of traces) {
    for (const span of data?.spans ?? []) spans.set(`${data?.trace_id} ${span.span_id}`, span);
  }
  return spans;
}

/** What of a span an analyst wants to see first. */
function highlights(span: Span): string {
  const wanted = [
    'client.address',
    'user.id',
    'enduser.id',
    'http.response.status_code',
    'server.address',
    'url.full',
    'url.path',
    'session.id',
  ];
  return wanted
    .filter((key) => span.attributes[key] !== undefined)
    .slice(0, 3)
    .map((key) => `${key}=${String(span.attributes[key])}`)
    .join('  ');
}

export function EvidenceTable({ alert }: { alert: AlertDetail }) {
  const spans = useSpans(alert.evidence);
  const range = rangeAround(alert.first_seen_time, alert.last_seen_time, LOG_MARGIN_MILLIS);
  if (!alert.evidence.length) return <p className="muted">The rule kept no evidence.</p>;
  return (
    <>
      <table className={css.evidence}>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">What</th>
            <th scope="col">Details</th>
            <th scope="col">Go to</th>
          </tr>
        </thead>
        <tbody>
          {alert.evidence.map((one, index) => {
            const span = spans.get(`${one.trace_id} ${one.span_id}`);
            // the event's own time where it is known; what comes with the evidence is when the rule fired
            const at = span?.start_unix_nanos ?? one.time;
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: the list is fixed and may name one span twice
              <tr key={index}>
                <td className={css.nowrap}>{at ? <Time at={at} /> : <span className="muted">–</span>}</td>
                <td>
                  {span ? (
                    <>
                      <ServiceMark name={span.service} /> <span className="muted">{span.name}</span>{' '}
                      {span.status === 'error' && <StateMark state="critical" text="error" />}{' '}
                      <span className="muted num">{formatDuration(span.duration_nanos)}</span>
                    </>
                  ) : (
                    <span>
                      {one.kind} <span className="mono muted">{one.span_id ?? one.log_id}</span>
                    </span>
                  )}
                </td>
                <td className="mono muted">{span ? highlights(span) : ''}</td>
                <td className={css.goto}>
                  {one.trace_id && (
                    <Link
                      to="/traces/$traceId"
                      params={{ traceId: one.trace_id }}
                      search={{ span: one.span_id ?? undefined }}
                    >
                      Trace
                    </Link>
                  )}
                  {one.trace_id ? (
                    <Link
                      to="/logs"
                      search={{ trace: one.trace_id, open: one.log_id ? [one.log_id] : undefined, ...range }}
                    >
                      Logs
                    </Link>
                  ) : (
                    one.log_id && (
                      <Link to="/logs" search={{ open: [one.log_id], ...range }}>
                        Logs
                      </Link>
                    )
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {alert.evidence_omitted ? (
        <p className="muted">
          {alert.evidence_omitted.toLocaleString('en')} more events are not kept as evidence.
        </p>
      ) : null}
    </>
  );
}
