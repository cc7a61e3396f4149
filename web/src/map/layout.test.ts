// The map: filtered first, then laid out the same way every time.
import { describe, expect, it } from 'vitest';
import type { ServiceMap } from '../api/wire';
import { filterMap, layoutMap, smoothPath } from './layout';
import { formatRate, formatShare } from './red';

const node = (name: string, errors = 0) => ({ name, spans: 10, errors, p50_nanos: 1, p95_nanos: 2 });
const edge = (caller: string, callee: string, errors = 0) => ({
  caller,
  callee,
  calls: 5,
  errors,
  p50_nanos: 1,
  p95_nanos: 2,
});
const map: ServiceMap = {
  nodes: [node('gateway'), node('auth', 2), node('db')],
  edges: [edge('gateway', 'auth', 2), edge('auth', 'db'), edge('gateway', 'elsewhere')],
  truncated: false,
};

describe('the service map', () => {
  it('shows a service with its neighbours only', () => {
    const shown = filterMap(map, 'db', false);
    expect(shown.nodes.map((one) => one.name)).toEqual(['auth', 'db']);
    expect(shown.edges).toHaveLength(1);
  });

  it('can show only what has errors', () => {
    expect(filterMap(map, '', true).nodes.map((one) => one.name)).toEqual(['gateway', 'auth']);
  });

  it('gives callees without spans a place', () => {
    expect(filterMap(map, '', false).nodes.map((one) => one.name)).toContain('elsewhere');
  });

  it('places callers left of callees, whatever the order of the answer, and survives calls in circles', () => {
    const shown = filterMap(
      { ...map, edges: [...map.edges, edge('db', 'gateway'), edge('auth', 'auth')] },
      '',
      false,
    );
    const one = layoutMap(shown);
    const other = layoutMap({ nodes: [...shown.nodes].reverse(), edges: [...shown.edges].reverse() });
    expect(one.nodes).toEqual(other.nodes);
    expect(one.edges.every((routed) => routed.points.length >= 2)).toBe(true);
    expect(smoothPath(one.edges[0]?.points ?? [])).toMatch(/^M.*L/);
  });

  it('writes rates and shares people can read', () => {
    expect(formatRate(7200, 3600)).toBe('2/s');
    expect(formatRate(90, 3600)).toBe('1.5/min');
    expect(formatRate(3, 3600)).toBe('3/h');
    expect(formatShare(1, 3000)).toBe('<0.1%');
    expect(formatShare(0, 0)).toBe('0%');
  });
});
