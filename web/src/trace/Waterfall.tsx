// The rows of the waterfall; only those in sight exist in the page.
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useMemo, useRef, useState } from 'react';
import type { Span, Trace } from '../api/wire';
import { serviceColor } from '../parts/palette';
import { formatDuration, ticks } from '../time/nanos';
import { ERROR_FLAG, type FlatTrace, ORPHAN_FLAG } from './flatten';
import css from './trace.module.css';
import type { Zoom } from './useTimeline';

const ROW_HEIGHT = 25;
const OVERSCAN_ROWS = 12;
const INDENT_PX = 13;
/** Deeper rows keep the indent of this depth, so that names stay readable. */
const MAX_INDENT = 16;
const NAME_KEY = 'tracehound-name-width';

interface RowProps {
  span: Span;
  row: number;
  depth: number;
  childCount: number;
  folded: boolean;
  flags: number;
  startNanos: number;
  durationNanos: number;
  fromNanos: number;
  toNanos: number;
  top: number;
  current: boolean;
  match: boolean;
  faded: boolean;
  onOpen: (row: number) => void;
  onToggle: (row: number) => void;
}

const Row = memo(function Row(props: RowProps) {
  const { span, row, depth, childCount, folded, flags, startNanos, durationNanos, fromNanos, toNanos } =
    props;
  const shownNanos = toNanos - fromNanos;
  const left = ((startNanos - fromNanos) / shownNanos) * 100;
  const right = ((startNanos + durationNanos - fromNanos) / shownNanos) * 100;
  const seen = right >= 0 && left <= 100;
  const clippedLeft = Math.max(0, left);
  const width = Math.max(0, Math.min(100, right) - clippedLeft);
  const isError = (flags & ERROR_FLAG) !== 0;
  const color = serviceColor(span.service);
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the tree keeps the focus and names its active row
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree handles every key
    <div
      id={`span-row-${row}`}
      role="treeitem"
      aria-level={depth + 1}
      aria-selected={props.current}
      aria-expanded={childCount ? !folded : undefined}
      className={css.row}
      data-current={props.current}
      data-match={props.match}
      data-faded={props.faded}
      style={{ transform: `translateY(${props.top}px)` }}
      onClick={() => props.onOpen(row)}
    >
      <span className={css.name} style={{ paddingLeft: 6 + Math.min(depth, MAX_INDENT) * INDENT_PX }}>
        <span
          className={css.caret}
          data-has={childCount > 0}
          data-folded={folded}
          title={childCount ? `${childCount} children` : undefined}
          aria-hidden="true"
          onClick={(event) => {
            if (!childCount) return;
            event.stopPropagation();
            props.onToggle(row);
          }}
        >
          {childCount > 0 ? (folded ? '▸' : '▾') : ''}
        </span>
        <span className={css.stripe} style={{ background: color }} />
        {isError && (
          <span className={css.errorMark} aria-hidden="true" title={span.status_message ?? 'error'}>
            !
          </span>
        )}
        <b>{span.service}</b>
        <span className="ellipsis muted">{span.name}</span>
        {folded && <span className={css.hidden}>+{childCount}</span>}
        {(flags & ORPHAN_FLAG) !== 0 && (
          <span className={css.hidden} title="Its parent span is not in this trace">
            no parent
          </span>
        )}
      </span>
      <span className={css.lane}>
        {seen && (
          <>
            <span
              className={css.bar}
              data-error={isError}
              style={{
                left: `${clippedLeft}%`,
                width: `max(2px, ${width}%)`,
                background: isError ? undefined : color,
              }}
            />
            <span className={`${css.barLabel} num`} style={{ left: `calc(${clippedLeft + width}% + 7px)` }}>
              {formatDuration(durationNanos)}
            </span>
          </>
        )}
      </span>
    </div>
  );
});

/** The width of the name column, dragged by people and remembered. */
function useNameWidth() {
  const [width, setWidth] = useState(() => {
    const kept = Number(localStorage.getItem(NAME_KEY));
    return kept >= 160 && kept <= 900 ? kept : 380;
  });
  const startDrag = (event: React.PointerEvent<HTMLElement>) => {
    event.preventDefault();
    const [startX, startWidth] = [event.clientX, width];
    let last = width;
    const onMove = (move: PointerEvent) => {
      last = Math.min(900, Math.max(160, startWidth + move.clientX - startX));
      setWidth(last);
    };
    const onUp = () => {
      localStorage.setItem(NAME_KEY, String(last));
      window.removeEventListener('pointermove', onMove);
    };
    window.addEventListener('pointermove', onMove);
    window.addEventListener('pointerup', onUp, { once: true });
  };
  return { width, startDrag };
}

interface WaterfallProps {
  trace: Trace;
  flat: FlatTrace;
  rows: Uint32Array;
  folded: Uint8Array;
  zoom: Zoom;
  cursor: number;
  /** Rows that match the search, null without a search. */
  matches: Set<number> | null;
  scrollTo: { row: number; center: boolean } | null;
  onOpen: (row: number) => void;
  onToggle: (row: number) => void;
}

export function Waterfall(props: WaterfallProps) {
  const { trace, flat, rows, folded, zoom, cursor, matches, scrollTo } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const { width: nameWidth, startDrag } = useNameWidth();
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN_ROWS,
  });

  // Stable functions, so that rows out of a change's reach are not drawn again.
  const handlers = useRef(props);
  handlers.current = props;
  const onOpen = useMemo(() => (row: number) => handlers.current.onOpen(row), []);
  const onToggle = useMemo(() => (row: number) => handlers.current.onToggle(row), []);

  useEffect(() => {
    if (!scrollTo) return;
    const at = rows.indexOf(scrollTo.row);
    if (at >= 0) virtual.scrollToIndex(at, { align: scrollTo.center ? 'center' : 'auto' });
  }, [scrollTo, rows, virtual]);

  const shownNanos = zoom.toNanos - zoom.fromNanos;
  const marks = ticks(zoom.fromNanos, zoom.toNanos, 6);
  const percent = (nanos: number) => ((nanos - zoom.fromNanos) / shownNanos) * 100;
  return (
    <div className={css.waterfall} style={{ ['--name-width' as string]: `${nameWidth}px` }}>
      <div className={css.ruler}>
        <span className={css.rulerName}>Service and operation</span>
        <span className={css.divider} onPointerDown={startDrag} title="Drag to resize" />
        <span className={css.lane}>
          {marks.map((nanos) => (
            <span key={nanos} className={`${css.tick} num`} style={{ left: `${percent(nanos)}%` }}>
              {percent(nanos) < 95 && formatDuration(nanos)}
            </span>
          ))}
        </span>
      </div>
      <div
        ref={scroller}
        className={css.rows}
        role="tree"
        aria-label={`Spans of the trace, ${rows.length} rows`}
        aria-activedescendant={cursor >= 0 ? `span-row-${cursor}` : undefined}
        tabIndex={0}
      >
        <div role="presentation" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          <div className={css.gridLines} role="presentation">
            {marks.map((nanos) => (
              <span key={nanos} style={{ left: `${percent(nanos)}%` }} />
            ))}
          </div>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index] ?? 0;
            const span = trace.spans[flat.spanOf[row] ?? 0];
            if (!span) return null;
            return (
              <Row
                key={row}
                span={span}
                row={row}
                depth={flat.depthOf[row] ?? 0}
                folded={folded[row] === 1}
                flags={flat.flags[row] ?? 0}
                startNanos={flat.startNanos[row] ?? 0}
                durationNanos={flat.durationNanos[row] ?? 0}
                fromNanos={zoom.fromNanos}
                toNanos={zoom.toNanos}
                top={item.start}
                current={row === cursor}
                match={matches?.has(row) ?? false}
                faded={matches !== null && !matches.has(row)}
                onOpen={onOpen}
                onToggle={onToggle}
                childCount={flat.childrenOf[row] ?? 0}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}
