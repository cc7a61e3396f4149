// The timeline of a trace: toolbar, minimap, waterfall and the chosen span, driven by mouse or keyboard.
import { ActionIcon, Button, TextInput, Tooltip } from '@mantine/core';
import {
  IconChevronDown,
  IconChevronUp,
  IconFold,
  IconFoldDown,
  IconFoldUp,
  IconSearch,
  IconX,
  IconZoomReset,
} from '@tabler/icons-react';
import { useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import type { Trace } from '../api/wire';
import { isTyping } from '../parts/rowKeys';
import { formatDuration } from '../time/nanos';
import type { TraceSearch } from '../url/view';
import { ancestors, type FlatTrace, findRows, foldedRows, visibleRows } from './flatten';
import { Minimap } from './Minimap';
import { SpanDetail } from './SpanDetail';
import css from './trace.module.css';
import { Waterfall } from './Waterfall';

/** Browsers slow down pages that rewrite their address on every key press. */
const URL_DELAY_MILLIS = 160;

export interface Zoom {
  fromNanos: number;
  toNanos: number;
}

interface TimelineProps {
  trace: Trace;
  flat: FlatTrace;
  search: TraceSearch;
  set: (change: Partial<TraceSearch>, replace?: boolean) => void;
}

function zoomOf(search: TraceSearch, flat: FlatTrace): Zoom {
  const [from, to] = (search.zoom ?? '').split('-').map(Number);
  if (from === undefined || to === undefined || !(to > from))
    return { fromNanos: 0, toNanos: flat.extentNanos };
  return { fromNanos: Math.max(0, from), toNanos: Math.min(flat.extentNanos, to) };
}

/** The search text, kept locally while people type. */
function useFind(search: TraceSearch, set: TimelineProps['set']) {
  const [text, setText] = useState(search.find ?? '');
  useEffect(() => setText(search.find ?? ''), [search.find]);
  useEffect(() => {
    if (text === (search.find ?? '')) return;
    const timer = setTimeout(() => set({ find: text || undefined }), URL_DELAY_MILLIS * 2);
    return () => clearTimeout(timer);
  });
  return [text, setText] as const;
}

export function Timeline({ trace, flat, search, set }: TimelineProps) {
  const [findText, setFindText] = useFind(search, set);
  const deferredFind = useDeferredValue(findText);
  const folded = useMemo(
    () => foldedRows(flat, { depth: search.depth, fold: search.fold }),
    [flat, search.depth, search.fold],
  );
  const rows = useMemo(() => visibleRows(flat, folded), [flat, folded]);
  const matches = useMemo(() => findRows(flat, trace.spans, deferredFind), [flat, trace.spans, deferredFind]);
  const matchSet = useMemo(() => new Set(matches), [matches]);
  const zoom = useMemo(() => zoomOf(search, flat), [search, flat]);
  const zoomed = search.zoom !== undefined;

  const urlRow = search.span ? (flat.rowOfSpanId.get(search.span) ?? -1) : -1;
  const [cursor, setCursor] = useState(urlRow);
  const [detailOpen, setDetailOpen] = useState(urlRow >= 0);
  const [scrollTo, setScrollTo] = useState<{ row: number; center: boolean } | null>(
    urlRow >= 0 ? { row: urlRow, center: true } : null,
  );
  const urlTimer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const findField = useRef<HTMLInputElement>(null);

  // The address may change from outside: back, forward, or a link to another span.
  useEffect(() => {
    setCursor(urlRow);
    setDetailOpen(urlRow >= 0);
  }, [urlRow]);
  useEffect(() => () => clearTimeout(urlTimer.current), []);

  const idOf = (row: number) => trace.spans[flat.spanOf[row] ?? 0]?.span_id;
  const showInUrl = (row: number, delayed: boolean) => {
    clearTimeout(urlTimer.current);
    const write = () => set({ span: row >= 0 ? idOf(row) : undefined });
    if (delayed) urlTimer.current = setTimeout(write, URL_DELAY_MILLIS);
    else write();
  };
  const open = (row: number) => {
    setCursor(row);
    setDetailOpen(true);
    showInUrl(row, false);
  };
  const close = () => {
    setDetailOpen(false);
    showInUrl(-1, false);
  };
  const moveTo = (row: number, center = false) => {
    setCursor(row);
    setScrollTo({ row, center });
    if (detailOpen) showInUrl(row, true);
  };
  const toggle = (row: number) => {
    const id = idOf(row);
    if (!id || !flat.childrenOf[row]) return;
    const fold = search.fold ?? [];
    const next = fold.includes(id) ? fold.filter((one) => one !== id) : [...fold, id];
    set({ fold: next.length ? next : undefined });
  };
  /** Shows a row even when an ancestor hides it. */
  const reveal = (row: number) => {
    const hiding = ancestors(flat, row).filter((above) => folded[above]);
    if (hiding.length) {
      const ids = new Set(search.fold ?? []);
      for (const above of hiding) {
        const id = idOf(above);
        if (!id) continue;
        if (ids.has(id)) ids.delete(id);
        else ids.add(id);
      }
      set({ fold: ids.size ? [...ids] : undefined });
    }
    moveTo(row, true);
  };
  const goToMatch = (step: 1 | -1) => {
    if (!matches.length) return;
    const after = step > 0 ? matches.find((row) => row > cursor) : matches.findLast((row) => row < cursor);
    reveal(after ?? (step > 0 ? matches[0] : matches[matches.length - 1]) ?? 0);
  };
  const foldLevel = (step: 1 | -1) => {
    const now = search.depth ?? flat.maxDepth;
    const next = Math.min(flat.maxDepth, Math.max(0, now + step));
    set({ depth: next >= flat.maxDepth ? undefined : next, fold: undefined });
  };
  const moveBy = (step: number) => {
    if (!rows.length) return;
    // The cursor may sit on a row that is folded away: start from the nearest one above.
    let at = -1;
    for (let low = 0, high = rows.length - 1; low <= high; ) {
      const middle = (low + high) >> 1;
      if ((rows[middle] ?? 0) <= cursor) {
        at = middle;
        low = middle + 1;
      } else high = middle - 1;
    }
    moveTo(rows[Math.min(rows.length - 1, Math.max(0, at + step))] ?? 0);
  };

  const keys: Record<string, () => void> = {
    ArrowDown: () => moveBy(1),
    j: () => moveBy(1),
    ArrowUp: () => moveBy(-1),
    k: () => moveBy(-1),
    PageDown: () => moveBy(20),
    PageUp: () => moveBy(-20),
    Home: () => moveTo(0),
    End: () => moveTo(rows[rows.length - 1] ?? 0),
    ArrowRight: () => {
      if (cursor >= 0 && folded[cursor]) toggle(cursor);
    },
    ArrowLeft: () => {
      if (cursor < 0) return;
      if (flat.childrenOf[cursor] && !folded[cursor]) toggle(cursor);
      else if ((flat.parentOf[cursor] ?? -1) >= 0) moveTo(flat.parentOf[cursor] as number);
    },
    Enter: () => {
      if (cursor >= 0) open(cursor);
    },
    Escape: () => {
      if (detailOpen) close();
      else if (zoomed) set({ zoom: undefined });
    },
    n: () => goToMatch(1),
    p: () => goToMatch(-1),
    '[': () => foldLevel(-1),
    ']': () => foldLevel(1),
  };
  const keysNow = useRef(keys);
  keysNow.current = keys;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      // Enter and arrows keep their meaning on buttons and tabs.
      const onControl =
        event.target instanceof HTMLElement && event.target.closest('button, a, [role="tab"]');
      if (onControl && ['Enter', 'ArrowLeft', 'ArrowRight', 'Home', 'End'].includes(event.key)) return;
      const act = keysNow.current[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);

  const chosen = detailOpen && cursor >= 0 ? trace.spans[flat.spanOf[cursor] ?? 0] : undefined;
  const matchAt = matches.indexOf(cursor);
  return (
    <div className={css.timeline}>
      <div className={css.left}>
        <div className={css.toolbar}>
          <TextInput
            ref={findField}
            aria-label="Find spans"
            placeholder="Find spans: service, name, key=value"
            leftSection={<IconSearch size={13} />}
            value={findText}
            data-search-field
            onChange={(event) => setFindText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') goToMatch(event.shiftKey ? -1 : 1);
              if (event.key === 'Escape') {
                setFindText('');
                event.currentTarget.blur();
              }
            }}
            rightSection={
              findText ? (
                <ActionIcon size="xs" aria-label="Clear the search" onClick={() => setFindText('')}>
                  <IconX size={12} />
                </ActionIcon>
              ) : null
            }
            w={270}
          />
          {deferredFind && (
            <>
              <span className="num muted" role="status">
                {matches.length
                  ? `${matchAt >= 0 ? `${matchAt + 1} of ` : ''}${matches.length.toLocaleString('en')}`
                  : 'no match'}
              </span>
              <ActionIcon
                size="sm"
                aria-label="Previous match"
                disabled={!matches.length}
                onClick={() => goToMatch(-1)}
              >
                <IconChevronUp size={15} />
              </ActionIcon>
              <ActionIcon
                size="sm"
                aria-label="Next match"
                disabled={!matches.length}
                onClick={() => goToMatch(1)}
              >
                <IconChevronDown size={15} />
              </ActionIcon>
            </>
          )}
          <span style={{ flex: 1 }} />
          {zoomed && (
            <Button
              variant="light"
              leftSection={<IconZoomReset size={14} />}
              onClick={() => set({ zoom: undefined })}
              title="Show the whole trace (Esc)"
            >
              {formatDuration(zoom.toNanos - zoom.fromNanos)} shown
            </Button>
          )}
          <Tooltip label="Fold one level ( [ )">
            <ActionIcon aria-label="Fold one level" onClick={() => foldLevel(-1)}>
              <IconFoldUp size={16} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Unfold one level ( ] )">
            <ActionIcon aria-label="Unfold one level" onClick={() => foldLevel(1)}>
              <IconFoldDown size={16} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Fold everything">
            <ActionIcon aria-label="Fold everything" onClick={() => set({ depth: 0, fold: undefined })}>
              <IconFold size={16} />
            </ActionIcon>
          </Tooltip>
          <Button
            variant="subtle"
            color="gray"
            px={8}
            onClick={() => set({ depth: undefined, fold: undefined })}
          >
            Unfold all
          </Button>
        </div>
        <Minimap
          flat={flat}
          zoom={zoom}
          zoomed={zoomed}
          onZoom={(next) =>
            set({ zoom: next ? `${Math.round(next.fromNanos)}-${Math.round(next.toNanos)}` : undefined })
          }
        />
        <Waterfall
          trace={trace}
          flat={flat}
          rows={rows}
          folded={folded}
          zoom={zoom}
          cursor={cursor}
          matches={deferredFind ? matchSet : null}
          scrollTo={scrollTo}
          onOpen={open}
          onToggle={toggle}
        />
      </div>
      {chosen && (
        <SpanDetail
          key={chosen.span_id}
          trace={trace}
          span={chosen}
          onClose={close}
          onSpan={(id) => {
            const row = flat.rowOfSpanId.get(id);
            if (row !== undefined) {
              reveal(row);
              open(row);
            }
          }}
        />
      )}
    </div>
  );
}
