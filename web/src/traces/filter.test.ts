// Filters are read as people write them and sent as the API wants them.
import { describe, expect, it } from 'vitest';
import { queryText } from '../api/client';
import { countSlices, durationScale } from './chartScale';
import { attributeFilter, filterText, parseFilter, withFilter } from './filter';

describe('parseFilter', () => {
  it.each([
    ['user.id=42', { key: 'user.id', op: 'eq', value: '42' }],
    [' user.id != 42 ', { key: 'user.id', op: 'ne', value: '42' }],
    ['http.route', { key: 'http.route', op: 'exists' }],
    ['!http.route', { key: 'http.route', op: 'absent' }],
    ['url=a=b', { key: 'url', op: 'eq', value: 'a=b' }],
    ['name=', { key: 'name', op: 'eq', value: '' }],
    ['name="two words"', { key: 'name', op: 'eq', value: 'two words' }],
  ])('%s', (text, filter) => {
    expect(parseFilter(text)).toEqual(filter);
  });

  it.each(['', '   ', '=x', '!=x', '!', 'two words', 'a b=c'])('refuses %j', (text) => {
    expect(parseFilter(text)).toBeNull();
  });

  it('writes what it read', () => {
    for (const text of ['a=b', 'a!=b', 'a', '!a', 'url=a=b']) {
      const filter = parseFilter(text);
      expect(filter && filterText(filter)).toBe(text);
    }
  });
});

describe('filter lists', () => {
  it('hold a filter once and vanish when empty', () => {
    expect(withFilter(['a=1'], 'a=1')).toEqual(['a=1']);
    expect(withFilter(['a=1'], 'b')).toEqual(['a=1', 'b']);
    expect(withFilter(['a=1'], 'a=1', false)).toBeUndefined();
  });

  it('take values of any type', () => {
    expect(attributeFilter('n', 3)).toBe('n=3');
    expect(attributeFilter('s', 'x', 'ne')).toBe('s!=x');
  });

  it('are sent one parameter each', () => {
    expect(queryText({ filter: ['a=b', '!c'], limit: 5, service: undefined, q: '' })).toBe(
      '?filter=a%3Db&filter=%21c&limit=5',
    );
  });
});

describe('the duration chart', () => {
  it('puts powers of ten on its axis', () => {
    const scale = durationScale([2e6, 3e8]);
    expect(scale.ticks).toEqual([1e6, 1e7, 1e8, 1e9]);
    expect(scale.position(1e6)).toBe(0);
    expect(scale.position(1e9)).toBe(1);
    expect(durationScale([]).ticks.length).toBeGreaterThan(0);
  });

  it('counts each instant in its slice', () => {
    const slices = countSlices(
      [
        { millis: 0, error: false },
        { millis: 99, error: true },
        { millis: 500, error: true },
      ],
      0,
      100,
      4,
    );
    expect(slices.map((slice) => slice.count)).toEqual([1, 0, 0, 1]);
    expect(slices.map((slice) => slice.errors)).toEqual([0, 0, 0, 1]);
  });
});
