// The state of the timeline: cursor, chosen span, folding, search and zoom, and everything that changes them.
import { useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import type { Span, Trace } from '../api/wire';
import type { TraceSearch } from '../url/view';
import { ancestors, type FlatTrace, findRows, foldedRows, rowAtOrAbove, visibleRows } from './flatten';

/** Browsers slow down pages that rewrite their address on every key press. */
const URL_DELAY_MILLIS = 160;

export interface Zoom {
  fromNanos: number;
  toNanos: number;
}

export interface TimelineProps {
  trace: Trace;
  flat: FlatTrace;
  search: TraceSearch;
  set: (change: Partial<TraceSearch>, replace?: boolean) => void;
}

function zoomOf(zoom: string | undefined, extentNanos: number): Zoom {
  const [from, to] = (zoom ?? '').split('-').map(Number);
  if (from === undefined || to === undefined || !(to > from)) return { fromNanos: 0, toNanos: extentNanos };
  return { fromNanos: Math.max(0, from), toNanos: Math.min(extentNanos, to) };
}

/** The search text, kept locally while people type. */
function useFind(find: string | undefined, set: TimelineProps['set']) {
  const [text, setText] = useState(find ?? '');
  useEffect(() => setText(find ?? ''), [find]);
  useEffect(() => {
    if (text === (find ?? '')) return;
    const timer = setTimeout(() => set({ find: text || undefined }), URL_DELAY_MILLIS * 2);
    return () => clearTimeout(timer);
  });
  return [text, setText] as const;
}

/** The row the keyboard is on, and whether its span is shown; the address follows with a small delay. */
function useCursor({ trace, flat, search, set }: TimelineProps) {
  const urlRow = search.span ? (flat.rowOfSpanId.get(search.span) ?? -1) : -1;
  const [cursor, setCursor] = useState(urlRow);
  const [isOpen, setOpen] = useState(urlRow >= 0);
  const [scrollTo, setScrollTo] = useState<{ row: number; center: boolean } | null>(
    urlRow >= 0 ? { row: urlRow, center: true } : null,
  );
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  // The address may change from outside: back, forward, or a link to another span.
  useEffect(() => {
    if (urlRow >= 0) setCursor(urlRow);
    setOpen(urlRow >= 0);
  }, [urlRow]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const idOf = (row: number) => trace.spans[flat.spanOf[row] ?? 0]?.span_id;
  const write = (row: number, delayMillis: number) => {
    clearTimeout(timer.current);
    const span = row >= 0 ? idOf(row) : undefined;
    if (delayMillis > 0) timer.current = setTimeout(() => set({ span }), delayMillis);
    else set({ span });
  };
  return {
    cursor,
    isOpen,
    scrollTo,
    idOf,
    open: (row: number) => {
      setCursor(row);
      setOpen(true);
      write(row, 0);
    },
    close: () => {
      setOpen(false);
      write(-1, 0);
    },
    moveTo: (row: number, center = false) => {
      setCursor(row);
      setScrollTo({ row, center });
      if (isOpen) write(row, URL_DELAY_MILLIS);
    },
  };
}

export function useTimeline(props: TimelineProps) {
  const { trace, flat, search, set } = props;
  const [findText, setFindText] = useFind(search.find, set);
  const deferredFind = useDeferredValue(findText);
  const at = useCursor(props);
  const folded = useMemo(
    () => foldedRows(flat, { depth: search.depth, fold: search.fold }),
    [flat, search.depth, search.fold],
  );
  const rows = useMemo(() => visibleRows(flat, folded), [flat, folded]);
  const matches = useMemo(() => findRows(flat, trace.spans, deferredFind), [flat, trace.spans, deferredFind]);
  const matchSet = useMemo(() => (deferredFind ? new Set(matches) : null), [matches, deferredFind]);
  const zoom = useMemo(() => zoomOf(search.zoom, flat.extentNanos), [search.zoom, flat.extentNanos]);

  /** Turns the folding of single rows over. */
  const flip = (flipped: number[]) => {
    const ids = new Set(search.fold ?? []);
    for (const id of flipped.map(at.idOf)) {
      if (id !== undefined && !ids.delete(id)) ids.add(id);
    }
    set({ fold: ids.size ? [...ids] : undefined });
  };
  const toggle = (row: number) => {
    if (flat.childrenOf[row]) flip([row]);
  };
  /** Moves to a row even when an ancestor hides it. */
  const reveal = (row: number) => {
    const hiding = ancestors(flat, row).filter((above) => folded[above]);
    if (hiding.length) flip(hiding);
    at.moveTo(row, true);
  };
  const moveBy = (step: number) => {
    // The cursor may sit on a row that is folded away: start from the nearest one above.
    const from = rowAtOrAbove(rows, at.cursor);
    const next = rows[Math.min(rows.length - 1, Math.max(0, from + step))];
    if (next !== undefined) at.moveTo(next);
  };
  const goToMatch = (step: 1 | -1) => {
    const { cursor } = at;
    const next = step > 0 ? matches.find((row) => row > cursor) : matches.findLast((row) => row < cursor);
    const wrapped = next ?? (step > 0 ? matches[0] : matches[matches.length - 1]);
    if (wrapped !== undefined) reveal(wrapped);
  };
  const foldLevel = (step: 1 | -1) => {
    const next = Math.min(flat.maxDepth, Math.max(0, (search.depth ?? flat.maxDepth) + step));
    set({ depth: next >= flat.maxDepth ? undefined : next, fold: undefined });
  };
  const chosen: Span | undefined =
    at.isOpen && at.cursor >= 0 ? trace.spans[flat.spanOf[at.cursor] ?? 0] : undefined;
  return {
    ...at,
    findText,
    setFindText,
    isFinding: deferredFind !== '',
    folded,
    rows,
    matches,
    matchSet,
    matchAt: matches.indexOf(at.cursor),
    zoom,
    isZoomed: search.zoom !== undefined,
    chosen,
    toggle,
    reveal,
    moveBy,
    goToMatch,
    foldLevel,
    foldAll: () => set({ depth: 0, fold: undefined }),
    unfoldAll: () => set({ depth: undefined, fold: undefined }),
    zoomTo: (next: Zoom | null) =>
      set({ zoom: next ? `${Math.round(next.fromNanos)}-${Math.round(next.toNanos)}` : undefined }),
  };
}

export type TimelineState = ReturnType<typeof useTimeline>;
