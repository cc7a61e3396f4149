// A trace's spans as flat typed arrays in depth-first order, so that ten thousand rows cost no objects.
import type { Span, Trace } from '../api/wire';
import { offsetNanos } from '../time/nanos';

export const ERROR_FLAG = 1;
export const ORPHAN_FLAG = 2;

/** Row `r` is span `spanOf[r]`; its descendants are the rows `r+1 .. endOf[r]-1`. */
export interface FlatTrace {
  rows: number;
  spanOf: Uint32Array;
  parentOf: Int32Array;
  endOf: Uint32Array;
  depthOf: Uint16Array;
  childrenOf: Uint32Array;
  startNanos: Float64Array;
  durationNanos: Float64Array;
  serviceOf: Uint16Array;
  flags: Uint8Array;
  services: string[];
  maxDepth: number;
  /** From the trace's start to the end of its last span. */
  extentNanos: number;
  rowOfSpanId: Map<string, number>;
}

const NO_PARENT = -1;

function childLists(
  spans: Span[],
  starts: Float64Array,
): { roots: number[]; children: number[][]; orphans: Set<number> } {
  const indexOf = new Map<string, number>();
  spans.forEach((span, index) => {
    if (!indexOf.has(span.span_id)) indexOf.set(span.span_id, index);
  });
  const children: number[][] = spans.map(() => []);
  const roots: number[] = [];
  const orphans = new Set<number>();
  spans.forEach((span, index) => {
    const parent = span.parent_span_id ? indexOf.get(span.parent_span_id) : undefined;
    if (parent === undefined || parent === index) {
      roots.push(index);
      if (span.parent_span_id) orphans.add(index);
    } else {
      children[parent]?.push(index);
    }
  });
  const byStart = (a: number, b: number) => (starts[a] ?? 0) - (starts[b] ?? 0) || a - b;
  for (const list of children) if (list.length > 1) list.sort(byStart);
  roots.sort(byStart);
  return { roots, children, orphans };
}

/** Spans whose parent is missing become roots; spans in a parent cycle start from their earliest member. */
export function flattenTrace(trace: Trace): FlatTrace {
  const { spans } = trace;
  const count = spans.length;
  const starts = new Float64Array(count);
  spans.forEach((span, index) => {
    starts[index] = offsetNanos(span.start_unix_nanos, trace.start_unix_nanos);
  });
  const { roots, children, orphans } = childLists(spans, starts);
  const flat: FlatTrace = {
    rows: count,
    spanOf: new Uint32Array(count),
    parentOf: new Int32Array(count).fill(NO_PARENT),
    endOf: new Uint32Array(count),
    depthOf: new Uint16Array(count),
    childrenOf: new Uint32Array(count),
    startNanos: new Float64Array(count),
    durationNanos: new Float64Array(count),
    serviceOf: new Uint16Array(count),
    flags: new Uint8Array(count),
    services: [],
    maxDepth: 0,
    extentNanos: Math.max(1, trace.duration_nanos),
    rowOfSpanId: new Map(),
  };
  walk(flat, spans, starts, roots, children, orphans);
  return flat;
}

function walk(
  flat: FlatTrace,
  spans: Span[],
  starts: Float64Array,
  roots: number[],
  children: number[][],
  orphans: Set<number>,
): void {
  const seen = new Uint8Array(spans.length);
  const serviceIndex = new Map<string, number>();
  let row = 0;
  // The stack holds (span, parent row); a negative span closes the subtree of row -span-1.
  const visit = (root: number) => {
    const stack: [number, number][] = [[root, NO_PARENT]];
    while (stack.length) {
      const [index, parentRow] = stack.pop() as [number, number];
      if (index < 0) {
        flat.endOf[-index - 1] = row;
        continue;
      }
      const span = spans[index];
      if (!span || seen[index]) continue;
      seen[index] = 1;
      const depth = parentRow === NO_PARENT ? 0 : (flat.depthOf[parentRow] ?? 0) + 1;
      let service = serviceIndex.get(span.service);
      if (service === undefined) {
        service = flat.services.push(span.service) - 1;
        serviceIndex.set(span.service, service);
      }
      flat.spanOf[row] = index;
      flat.parentOf[row] = parentRow;
      flat.depthOf[row] = depth;
      flat.startNanos[row] = starts[index] ?? 0;
      flat.durationNanos[row] = span.duration_nanos;
      flat.serviceOf[row] = service;
      flat.flags[row] = (span.status === 'error' ? ERROR_FLAG : 0) | (orphans.has(index) ? ORPHAN_FLAG : 0);
      flat.maxDepth = Math.max(flat.maxDepth, depth);
      flat.extentNanos = Math.max(flat.extentNanos, (starts[index] ?? 0) + span.duration_nanos);
      if (!flat.rowOfSpanId.has(span.span_id)) flat.rowOfSpanId.set(span.span_id, row);
      if (parentRow !== NO_PARENT) flat.childrenOf[parentRow] = (flat.childrenOf[parentRow] ?? 0) + 1;
      stack.push([-row - 1, NO_PARENT]);
      const below = children[index] ?? [];
      for (let at = below.length - 1; at >= 0; at -= 1) stack.push([below[at] as number, row]);
      row += 1;
    }
  };
  for (const root of roots) visit(root);
  // What no root reaches is a cycle of parents.
  for (let index = 0; index < spans.length; index += 1) if (!seen[index]) visit(index);
}

export interface Folding {
  /** Rows this deep and deeper are folded. */
  depth?: number;
  /** Span ids that differ from what `depth` says. */
  fold?: readonly string[];
}

/** Which rows hide their children. */
export function foldedRows(flat: FlatTrace, folding: Folding): Uint8Array {
  const folded = new Uint8Array(flat.rows);
  if (folding.depth !== undefined) {
    for (let row = 0; row < flat.rows; row += 1) {
      if ((flat.depthOf[row] ?? 0) >= folding.depth && flat.childrenOf[row]) folded[row] = 1;
    }
  }
  for (const id of folding.fold ?? []) {
    const row = flat.rowOfSpanId.get(id);
    if (row !== undefined) folded[row] = folded[row] ? 0 : 1;
  }
  return folded;
}

/** The rows to draw, in order. */
export function visibleRows(flat: FlatTrace, folded: Uint8Array): Uint32Array {
  const out = new Uint32Array(flat.rows);
  let count = 0;
  for (let row = 0; row < flat.rows; ) {
    out[count] = row;
    count += 1;
    row = folded[row] ? Math.max(row + 1, flat.endOf[row] ?? 0) : row + 1;
  }
  return out.slice(0, count);
}

/** Rows whose span holds every word of `text` in its names, ids, status message or attributes. */
export function findRows(flat: FlatTrace, spans: Span[], text: string): number[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const found: number[] = [];
  for (let row = 0; row < flat.rows; row += 1) {
    const span = spans[flat.spanOf[row] ?? 0];
    if (!span) continue;
    let hay = `${span.service} ${span.name} ${span.span_id} ${span.kind} ${span.status} ${span.status_message ?? ''}`;
    for (const [key, value] of Object.entries(span.attributes)) {
      hay += ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
    }
    hay = hay.toLowerCase();
    if (words.every((word) => hay.includes(word))) found.push(row);
  }
  return found;
}

/** Rows above `row`, from its root down. */
export function ancestors(flat: FlatTrace, row: number): number[] {
  const out: number[] = [];
  for (let at = flat.parentOf[row] ?? NO_PARENT; at !== NO_PARENT; at = flat.parentOf[at] ?? NO_PARENT)
    out.push(at);
  return out.reverse();
}

/** The place in `rows` (ascending) of the last one that is not below `row`; -1 when there is none. */
export function rowAtOrAbove(rows: Uint32Array, row: number): number {
  let found = -1;
  for (let low = 0, high = rows.length - 1; low <= high; ) {
    const middle = (low + high) >> 1;
    if ((rows[middle] ?? 0) <= row) {
      found = middle;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return found;
}
