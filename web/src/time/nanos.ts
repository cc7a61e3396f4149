// Nanosecond instants and durations without losing a digit.
import type { NanosText } from '../api/wire';

export const NANOS_PER_MILLI = 1_000_000;
export const NANOS_PER_SEC = 1_000_000_000;

/** Nanoseconds from `base` to `instant`; exact below 104 days. */
export function offsetNanos(instant: NanosText, base: NanosText): number {
  return Number(BigInt(instant) - BigInt(base));
}

export function addNanos(instant: NanosText, deltaNanos: number): NanosText {
  return (BigInt(instant) + BigInt(Math.round(deltaNanos))).toString();
}

const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|z|[+-]\d\d:\d\d)$/;

/** RFC 3339 text (up to nine decimals) to unix nanoseconds, null when it is not one. */
export function parseInstant(text: string): bigint | null {
  if (/^-?\d{1,19}$/.test(text)) return BigInt(text);
  const parts = RFC_3339.exec(text);
  if (!parts) return null;
  const [, day, clock, decimals = '', zone = 'Z'] = parts;
  const wholeMillis = Date.parse(`${day}T${clock}${zone.toUpperCase()}`);
  if (Number.isNaN(wholeMillis)) return null;
  return BigInt(wholeMillis) * 1_000_000n + BigInt(decimals.padEnd(9, '0'));
}

/** Unix nanoseconds to RFC 3339 in UTC, with as many decimals as the instant needs. */
export function toRfc3339(nanos: bigint): string {
  const millis = nanos / 1_000_000n;
  const rest = nanos - millis * 1_000_000n;
  const text = new Date(Number(millis)).toISOString();
  if (rest === 0n) return text.replace('.000Z', 'Z');
  return text.replace('Z', `${rest.toString().padStart(6, '0')}Z`);
}

function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1).replace(/\.0$/, '');
  return value.toFixed(2).replace(/\.?0+$/, '');
}

/** A duration as people read it: three significant digits below a minute, two units above. */
export function formatDuration(nanos: number): string {
  if (!Number.isFinite(nanos)) return '–';
  const size = Math.abs(nanos);
  const sign = nanos < 0 ? '-' : '';
  if (size < 1_000) return `${sign}${Math.round(size)}ns`;
  if (size < 999_500) return `${sign}${digits(size / 1_000)}µs`;
  if (size < 999_500_000) return `${sign}${digits(size / 1_000_000)}ms`;
  const secs = size / NANOS_PER_SEC;
  if (secs < 59.95) return `${sign}${digits(secs)}s`;
  const wholeSecs = Math.round(secs);
  const units: [number, string][] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ];
  const first = units.findIndex(([unitSecs]) => wholeSecs >= unitSecs);
  const [bigSecs, bigName] = units[first] ?? [1, 's'];
  const [smallSecs, smallName] = units[first + 1] ?? [1, 's'];
  const small = Math.floor((wholeSecs % bigSecs) / smallSecs);
  return `${sign}${Math.floor(wholeSecs / bigSecs)}${bigName}${small ? ` ${small}${smallName}` : ''}`;
}

const DURATION = /^(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h)?$/;
const UNIT_NANOS: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** "10ms", "1.5s" or plain nanoseconds to nanoseconds; null when it is none of these. */
export function parseDuration(text: string): number | null {
  const parts = DURATION.exec(text.trim());
  if (!parts) return null;
  return Math.round(Number(parts[1]) * (UNIT_NANOS[parts[2] ?? 'ns'] ?? 1));
}

/** Round tick offsets that divide `[from, to]` into about `count` steps. */
export function ticks(fromNanos: number, toNanos: number, count: number): number[] {
  const span = toNanos - fromNanos;
  if (!(span > 0) || count < 1) return [];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? power * 10;
  const out: number[] = [];
  for (let at = Math.ceil(fromNanos / step) * step; at <= toNanos; at += step) out.push(at);
  return out;
}
