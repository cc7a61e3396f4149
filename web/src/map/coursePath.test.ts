import { expect, test } from 'vitest';
import type { CoursePoint } from '../api/wire';
import { linePath } from './coursePath';

const point = (spans: number, p50_nanos: number): CoursePoint => ({
  time: '2026-01-01T00:00:00Z',
  spans,
  errors: 0,
  p50_nanos,
  p95_nanos: 0,
});

test('the line breaks where nothing happened, and a lone point is a dot', () => {
  const points = [point(1, 5), point(2, 7), point(0, 0), point(1, 9)];
  const path = linePath(
    points,
    (one) => one.p50_nanos,
    (place) => place * 10,
    (value) => 10 - value,
  );
  expect(path).toBe('M0.0,5.0L0.0,5.0L10.0,3.0M30.0,1.0L30.0,1.0');
});

test('nothing at all draws nothing', () => {
  expect(linePath([point(0, 0)], () => 0, Number, Number)).toBe('');
});
