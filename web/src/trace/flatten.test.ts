// The waterfall's rows: order, nesting, folding, and traces that are not trees.
import { describe, expect, it } from 'vitest';
import type { Span, Trace } from '../api/wire';
import {
  ancestors,
  ERROR_FLAG,
  findRows,
  flattenTrace,
  foldedRows,
  ORPHAN_FLAG,
  rowAtOrAbove,
  visibleRows,
} from './flatten';

const BASE = 1_764_000_000_123_456_789n;

function span(id: string, parent: string | null, startNanos: number, extra: Partial<Span> = {}): Span {
  return {
    span_id: id,
    parent_span_id: parent,
    service: 'gateway',
    name: `op ${id}`,
    kind: 'server',
    status: 'unset',
    start_unix_nanos: (BASE + BigInt(startNanos)).toString(),
    duration_nanos: 10,
    attributes: {},
    resource: {},
    events: [],
    links: [],
    ...extra,
  };
}

function trace(spans: Span[]): Trace {
  return {
    trace_id: '0'.repeat(32),
    start_unix_nanos: BASE.toString(),
    duration_nanos: 100,
    span_count: spans.length,
    error_count: 0,
    services: [],
    truncated: false,
    spans,
  };
}

const idsOf = (spans: Span[], flat: ReturnType<typeof flattenTrace>) =>
  Array.from(flat.spanOf, (index) => spans[index]?.span_id);

describe('flattenTrace', () => {
  it('puts children under their parent, earliest first, with exact nanosecond offsets', () => {
    const spans = [span('a', null, 0), span('c', 'a', 7), span('b', 'a', 3), span('d', 'b', 4)];
    const flat = flattenTrace(trace(spans));
    expect(idsOf(spans, flat)).toEqual(['a', 'b', 'd', 'c']);
    expect([...flat.depthOf]).toEqual([0, 1, 2, 1]);
    expect([...flat.endOf]).toEqual([4, 3, 3, 4]);
    expect([...flat.startNanos]).toEqual([0, 3, 4, 7]);
    expect(flat.maxDepth).toBe(2);
  });

  it('shows spans whose parent is missing as marked roots', () => {
    const spans = [span('a', null, 0), span('x', 'gone', 1)];
    const flat = flattenTrace(trace(spans));
    expect(idsOf(spans, flat)).toEqual(['a', 'x']);
    expect(flat.flags[0]).toBe(0);
    expect(flat.flags[1]).toBe(ORPHAN_FLAG);
  });

  it('shows every span once when parents form a cycle, a span is its own parent, or an id is doubled', () => {
    const spans = [span('a', 'b', 0), span('b', 'a', 1), span('s', 's', 2), span('s', null, 3)];
    const flat = flattenTrace(trace(spans));
    expect([...flat.spanOf].sort()).toEqual([0, 1, 2, 3]);
  });

  it('marks errors and reaches as far as the last span', () => {
    const flat = flattenTrace(trace([span('a', null, 0, { status: 'error', duration_nanos: 5000 })]));
    expect(flat.flags[0]).toBe(ERROR_FLAG);
    expect(flat.extentNanos).toBe(5000);
  });

  it('flattens a chain of ten thousand spans without running out of stack', () => {
    const spans = Array.from({ length: 10_000 }, (_, at) => span(`s${at}`, at ? `s${at - 1}` : null, at));
    const flat = flattenTrace(trace(spans));
    expect(flat.maxDepth).toBe(9_999);
    expect(flat.endOf[0]).toBe(10_000);
  });

  it('is empty for an empty trace', () => {
    expect(visibleRows(flattenTrace(trace([])), new Uint8Array(0))).toHaveLength(0);
  });
});

describe('folding', () => {
  const spans = [span('a', null, 0), span('b', 'a', 1), span('c', 'b', 2), span('d', 'a', 3)];
  const flat = flattenTrace(trace(spans));

  it('hides what is below the depth', () => {
    expect([...visibleRows(flat, foldedRows(flat, { depth: 0 }))]).toEqual([0]);
    expect([...visibleRows(flat, foldedRows(flat, { depth: 1 }))]).toEqual([0, 1, 3]);
    expect([...visibleRows(flat, foldedRows(flat, {}))]).toEqual([0, 1, 2, 3]);
  });

  it('turns single spans over, in both directions', () => {
    expect([...visibleRows(flat, foldedRows(flat, { fold: ['b'] }))]).toEqual([0, 1, 3]);
    expect([...visibleRows(flat, foldedRows(flat, { depth: 0, fold: ['a'] }))]).toEqual([0, 1, 3]);
    expect([...visibleRows(flat, foldedRows(flat, { fold: ['unknown'] }))]).toHaveLength(4);
  });

  it('knows the way up and the nearest row above', () => {
    expect(ancestors(flat, 2)).toEqual([0, 1]);
    expect(rowAtOrAbove(Uint32Array.of(0, 1, 3), 2)).toBe(1);
    expect(rowAtOrAbove(Uint32Array.of(0, 1, 3), -1)).toBe(-1);
  });
});

describe('findRows', () => {
  it('wants every word, in names or attributes', () => {
    const spans = [
      span('a', null, 0, { attributes: { 'http.route': '/login', tries: 3 } }),
      span('b', 'a', 1, { service: 'auth' }),
    ];
    const flat = flattenTrace(trace(spans));
    expect(findRows(flat, spans, 'gateway /LOGIN')).toEqual([0]);
    expect(findRows(flat, spans, 'tries=3')).toEqual([0]);
    expect(findRows(flat, spans, 'auth')).toEqual([1]);
    expect(findRows(flat, spans, '  ')).toEqual([]);
  });
});
