// The time range of a view: relative to now, or absolute.
import { parseDuration } from './nanos';

export interface RangeSearch {
  /** Relative: "15m", "1h", "7d" before now. */
  range?: string;
  /** Absolute, RFC 3339; both or one of them, they win over `range`. */
  from?: string;
  to?: string;
}

export const DEFAULT_RANGE = '1h';

export const RANGE_CHOICES: readonly { value: string; label: string }[] = [
  { value: '5m', label: 'Last 5 minutes' },
  { value: '15m', label: 'Last 15 minutes' },
  { value: '30m', label: 'Last 30 minutes' },
  { value: '1h', label: 'Last hour' },
  { value: '3h', label: 'Last 3 hours' },
  { value: '6h', label: 'Last 6 hours' },
  { value: '12h', label: 'Last 12 hours' },
  { value: '24h', label: 'Last 24 hours' },
  { value: '2d', label: 'Last 2 days' },
  { value: '7d', label: 'Last 7 days' },
];

/** Milliseconds of a relative range, null when it is not one. */
export function rangeMillis(text: string): number | null {
  const days = /^(\d{1,3})d$/.exec(text);
  if (days) return Number(days[1]) * 86_400_000;
  if (!/^\d{1,4}[smh]$/.test(text)) return null;
  const nanos = parseDuration(text);
  return nanos ? nanos / 1e6 : null;
}

export interface ResolvedRange {
  startMillis: number;
  endMillis: number;
  start: string;
  end: string;
}

/** Fixes a range to two instants. */
export function resolveRange(search: RangeSearch, nowMillis: number): ResolvedRange {
  const endMillis = search.to ? Date.parse(search.to) : nowMillis;
  const length = rangeMillis(search.range ?? DEFAULT_RANGE) ?? 3_600_000;
  const startMillis = search.from ? Date.parse(search.from) : endMillis - length;
  return {
    startMillis,
    endMillis,
    start: new Date(startMillis).toISOString(),
    end: new Date(endMillis).toISOString(),
  };
}

/** The absolute range `marginMillis` around two instants, as search parameters that replace a relative one. */
export function rangeAround(
  first: string,
  last: string,
  marginMillis: number,
): Required<RangeSearch> | RangeSearch {
  const from = Date.parse(first);
  const to = Date.parse(last);
  if (Number.isNaN(from) || Number.isNaN(to)) return {};
  return {
    range: undefined,
    from: new Date(from - marginMillis).toISOString(),
    to: new Date(to + marginMillis).toISOString(),
  };
}

export function describeRange(search: RangeSearch): string {
  const value = search.range ?? DEFAULT_RANGE;
  return RANGE_CHOICES.find((choice) => choice.value === value)?.label ?? `Last ${value}`;
}
