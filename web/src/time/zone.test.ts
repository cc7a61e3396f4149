// Every page shows one instant the same way, in the chosen zone.
import { describe, expect, it } from 'vitest';
import { rangeMillis, resolveRange } from './range';
import { formatAgo, formatInstant, isZone, parseWall } from './zone';

describe('formatInstant', () => {
  it('keeps the nanoseconds in every zone', () => {
    expect(formatInstant('1764000000123456789', 'UTC', 'ns')).toBe('2025-11-24 16:00:00.123456789');
    expect(formatInstant('1764000000123456789', 'Asia/Kolkata', 'us')).toBe('2025-11-24 21:30:00.123456');
    expect(formatInstant('2025-11-24T16:00:00.000000001Z', 'UTC', 'ns', false)).toBe('16:00:00.000000001');
  });

  it('shows text that is no instant as it is', () => {
    expect(formatInstant('soon', 'UTC')).toBe('soon');
  });
});

describe('parseWall', () => {
  it('is the inverse of formatInstant, also across clock changes', () => {
    expect(parseWall('2026-07-01 12:00', 'Europe/Berlin')).toBe('2026-07-01T10:00:00.000Z');
    expect(parseWall('2026-01-01 12:00:05', 'Europe/Berlin')).toBe('2026-01-01T11:00:05.000Z');
    expect(parseWall('2026-03-29 03:30', 'Europe/Berlin')).toBe('2026-03-29T01:30:00.000Z');
    expect(parseWall('2026-03-29', 'UTC')).toBe('2026-03-29T00:00:00.000Z');
  });

  it('refuses what is not a time', () => {
    expect(parseWall('noon', 'UTC')).toBeNull();
    expect(parseWall('2026-13-45 10:00', 'UTC')).toBeNull();
  });
});

describe('ranges', () => {
  it('are relative to now or absolute', () => {
    const now = Date.parse('2026-01-01T12:00:00Z');
    expect(resolveRange({ range: '15m' }, now).start).toBe('2026-01-01T11:45:00.000Z');
    expect(resolveRange({ range: '2d' }, now).start).toBe('2025-12-30T12:00:00.000Z');
    expect(resolveRange({ from: '2025-01-01T00:00:00Z', to: '2025-01-02T00:00:00Z' }, now).end).toBe(
      '2025-01-02T00:00:00.000Z',
    );
    expect(rangeMillis('5 parsecs')).toBeNull();
  });

  it('say how long ago something was', () => {
    expect(formatAgo('2026-01-01T11:56:00Z', Date.parse('2026-01-01T12:00:00Z'))).toBe('4m ago');
  });

  it('know which zones exist', () => {
    expect(isZone('Europe/Berlin')).toBe(true);
    expect(isZone('Mars/Olympus')).toBe(false);
  });
});
