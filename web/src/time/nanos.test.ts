// Nanoseconds keep every digit, and durations read well.
import { describe, expect, it } from 'vitest';
import {
  addNanos,
  formatDuration,
  offsetNanos,
  parseDuration,
  parseInstant,
  ticks,
  toRfc3339,
} from './nanos';

describe('instants', () => {
  it('subtracts exactly where a JS number would round', () => {
    expect(offsetNanos('1764000000000000001', '1764000000000000000')).toBe(1);
    expect(addNanos('1764000000000000001', 2)).toBe('1764000000000000003');
  });

  it('reads RFC 3339 with up to nine decimals and any zone', () => {
    expect(parseInstant('2025-11-24T16:00:00.123456789Z')).toBe(1764000000123456789n);
    expect(parseInstant('2025-11-24T17:00:00+01:00')).toBe(1764000000000000000n);
    expect(parseInstant('1764000000123456789')).toBe(1764000000123456789n);
    expect(parseInstant('yesterday')).toBeNull();
  });

  it('writes RFC 3339 that reads back to the same nanosecond', () => {
    for (const nanos of [1764000000123456789n, 1764000000000000000n, 1764000000120000000n]) {
      expect(parseInstant(toRfc3339(nanos))).toBe(nanos);
    }
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0ns'],
    [999, '999ns'],
    [1_500, '1.5µs'],
    [999_499, '999µs'],
    [999_500, '1ms'],
    [12_345_678, '12.3ms'],
    [999_499_999, '999ms'],
    [1_234_000_000, '1.23s'],
    [92_000_000_000, '1m 32s'],
    [3_600_000_000_000, '1h'],
    [90_061_000_000_000, '1d 1h'],
    [-1_500, '-1.5µs'],
    [Number.NaN, '–'],
  ])('%d ns is %s', (nanos, text) => {
    expect(formatDuration(nanos)).toBe(text);
  });
});

describe('parseDuration', () => {
  it.each([
    ['10ms', 10_000_000],
    ['1.5s', 1_500_000_000],
    ['250', 250],
    ['3µs', 3_000],
    ['2 m', 120_000_000_000],
  ])('%s', (text, nanos) => {
    expect(parseDuration(text)).toBe(nanos);
  });
  it.each(['', 'fast', '1.5.2s', '-3ms', '10 parsecs'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeNull();
  });
});

describe('ticks', () => {
  it('are round and inside', () => {
    expect(ticks(0, 100, 5)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(ticks(130, 420, 4)).toEqual([200, 300, 400]);
    expect(ticks(5, 5, 4)).toEqual([]);
  });
});
