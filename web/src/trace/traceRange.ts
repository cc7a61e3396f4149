// The time range in which a trace's logs are looked for.
import type { Trace } from '../api/wire';
import { toRfc3339 } from '../time/nanos';

/** Logs of a trace may be written a little before its first and after its last span. */
const MARGIN_NANOS = 300_000_000_000n;

export function traceRange(trace: Pick<Trace, 'start_unix_nanos' | 'duration_nanos'>): {
  from: string;
  to: string;
} {
  const start = BigInt(trace.start_unix_nanos);
  const end = start + BigInt(Math.round(trace.duration_nanos));
  return { from: toRfc3339(start - MARGIN_NANOS), to: toRfc3339(end + MARGIN_NANOS) };
}
