// One time zone for the whole interface, and every instant written in it.
import { parseInstant } from './nanos';

/** 'local', 'UTC' or an IANA name. */
export type Zone = string;
export type Precision = 'min' | 's' | 'ms' | 'us' | 'ns';

export function isZone(text: string): boolean {
  if (text === 'local') return true;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

export function allZones(): string[] {
  const known = typeof Intl.supportedValuesOf === 'function' ? Intl.supportedValuesOf('timeZone') : [];
  return ['local', 'UTC', ...known.filter((name) => name !== 'UTC')];
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatFor(zone: Zone): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone === 'local' ? undefined : zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formats.set(zone, format);
  }
  return format;
}

interface Wall {
  day: string;
  clock: string;
}

function wallOf(unixMillis: number, zone: Zone): Wall {
  const parts: Record<string, string> = {};
  for (const { type, value } of formatFor(zone).formatToParts(unixMillis)) parts[type] = value;
  return {
    day: `${parts.year}-${parts.month}-${parts.day}`,
    clock: `${parts.hour}:${parts.minute}:${parts.second}`,
  };
}

const DECIMALS: Record<Precision, number> = { min: 0, s: 0, ms: 3, us: 6, ns: 9 };

/** An instant (RFC 3339 or unix nanoseconds) as wall time in `zone`; the text itself when it is neither. */
export function formatInstant(
  instant: string,
  zone: Zone,
  precision: Precision = 'ms',
  withDay = true,
): string {
  const nanos = parseInstant(instant);
  if (nanos === null) return instant;
  // Floor, so that instants before 1970 keep positive decimals.
  const secs = nanos >= 0n ? nanos / 1_000_000_000n : (nanos - 999_999_999n) / 1_000_000_000n;
  const decimals = (nanos - secs * 1_000_000_000n).toString().padStart(9, '0').slice(0, DECIMALS[precision]);
  const wall = wallOf(Number(secs) * 1000, zone);
  const clock = precision === 'min' ? wall.clock.slice(0, 5) : wall.clock;
  return `${withDay ? `${wall.day} ` : ''}${clock}${decimals ? `.${decimals}` : ''}`;
}

/** Wall time "2026-11-02 14:03[:05]" in `zone` to RFC 3339 in UTC; RFC 3339 passes through; null when wrong. */
export function parseWall(text: string, zone: Zone): string | null {
  const trimmed = text.trim();
  if (parseInstant(trimmed) !== null && !/^\d{1,18}$/.test(trimmed)) {
    return new Date(Number((parseInstant(trimmed) as bigint) / 1_000_000n)).toISOString();
  }
  const parts = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?)?$/.exec(trimmed);
  if (!parts) return null;
  const wanted = Date.parse(`${parts[1]}T${parts[2] ?? '00:00'}${parts[3] ?? ':00'}Z`);
  if (Number.isNaN(wanted)) return null;
  // Two rounds find the offset that holds at that wall time, also next to a clock change.
  let guess = wanted;
  for (let round = 0; round < 2; round += 1) {
    const wall = wallOf(guess, zone);
    guess += wanted - Date.parse(`${wall.day}T${wall.clock}Z`);
  }
  return new Date(guess).toISOString();
}

/** "just now", "4m ago", "3h ago", "2d ago". */
export function formatAgo(instant: string, nowMillis: number): string {
  const nanos = parseInstant(instant);
  if (nanos === null) return instant;
  const secs = Math.round((nowMillis - Number(nanos / 1_000_000n)) / 1000);
  if (secs < 5) return 'just now';
  if (secs < 60) return `${secs}s ago`;
  if (secs < 3600) return `${Math.floor(secs / 60)}m ago`;
  if (secs < 86_400) return `${Math.floor(secs / 3600)}h ago`;
  return `${Math.floor(secs / 86_400)}d ago`;
}
