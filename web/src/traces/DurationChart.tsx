// Found traces over time: each a dot at its duration (log scale), with their number per slice of time below.
import { useElementSize } from '@mantine/hooks';
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import type { TraceHit } from '../api/wire';
import { useZone } from '../time/clock';
import { formatDuration } from '../time/nanos';
import { type RangeSearch, resolveRange } from '../time/range';
import { formatInstant } from '../time/zone';
import { countSlices, durationScale } from './chartScale';
import css from './traces.module.css';

const HEIGHT = 128;
const LEFT = 54;
const RIGHT = 14;
const DOTS_TOP = 10;
const DOTS_BOTTOM = 78;
const BARS_TOP = 84;
const BARS_BOTTOM = 108;
/** A drag shorter than this is a click. */
const MIN_DRAG_PX = 6;

interface DurationChartProps {
  hits: TraceHit[];
  range: RangeSearch;
  /** When the hits arrived; a relative range ends there. */
  fetchedAt: number;
  /** There are older traces that are not loaded: the chart then begins at the oldest loaded one. */
  partial: boolean;
  onZoom: (from: string, to: string) => void;
}

/** Milliseconds with a fraction: enough for a place on the screen. */
function millisOf(hit: TraceHit): number {
  return Number(BigInt(hit.start_unix_nanos) / 1000n) / 1000;
}

export function DurationChart({ hits, range, fetchedAt, partial, onZoom }: DurationChartProps) {
  const { ref, width } = useElementSize<HTMLDivElement>();
  const navigate = useNavigate();
  const zone = useZone();
  const [hover, setHover] = useState<TraceHit | null>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const svg = useRef<SVGSVGElement>(null);
  const { startMillis, endMillis } = useMemo(() => {
    const whole = resolveRange(range, fetchedAt || Date.now());
    const oldest = hits.reduce((least, hit) => Math.min(least, millisOf(hit)), whole.endMillis);
    const begin = partial
      ? Math.max(whole.startMillis, Math.min(oldest, whole.endMillis - 1000))
      : whole.startMillis;
    return { startMillis: begin, endMillis: whole.endMillis };
  }, [range, fetchedAt, hits, partial]);
  const plotWidth = Math.max(10, width - LEFT - RIGHT);
  const scale = useMemo(() => durationScale(hits.map((hit) => hit.duration_nanos)), [hits]);
  const xOf = (millis: number) => LEFT + ((millis - startMillis) / (endMillis - startMillis)) * plotWidth;
  const yOf = (nanos: number) => DOTS_BOTTOM - scale.position(nanos) * (DOTS_BOTTOM - DOTS_TOP);
  const slices = useMemo(
    () =>
      countSlices(
        hits.map((hit) => ({
          millis: Number(BigInt(hit.start_unix_nanos) / 1_000_000n),
          error: hit.error_count > 0,
        })),
        startMillis,
        endMillis,
        80,
      ),
    [hits, startMillis, endMillis],
  );
  const most = Math.max(1, ...slices.map((slice) => slice.count));
  const timeTicks = [0.02, 0.26, 0.5, 0.74, 0.98].map(
    (share) => startMillis + share * (endMillis - startMillis),
  );
  const longRange = endMillis - startMillis > 36 * 3_600_000;

  const pointerX = (event: React.PointerEvent) => {
    const box = svg.current?.getBoundingClientRect();
    return Math.min(LEFT + plotWidth, Math.max(LEFT, event.clientX - (box?.left ?? 0)));
  };
  const finish = () => {
    if (drag && Math.abs(drag.to - drag.from) >= MIN_DRAG_PX) {
      const millis = [drag.from, drag.to]
        .sort((a, b) => a - b)
        .map((x) => startMillis + ((x - LEFT) / plotWidth) * (endMillis - startMillis));
      onZoom(new Date(millis[0] ?? 0).toISOString(), new Date(millis[1] ?? 0).toISOString());
    } else if (hover) {
      void navigate({ to: '/traces/$traceId', params: { traceId: hover.trace_id } });
    }
    setDrag(null);
  };

  return (
    <div ref={ref} className={css.chart}>
      {width > 0 && (
        <svg
          ref={svg}
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={`Duration of ${hits.length} traces over time; the list below has the same traces`}
          style={{ cursor: hover ? 'pointer' : 'crosshair', touchAction: 'none' }}
          onPointerDown={(event) => {
            if (event.button !== 0) return;
            event.currentTarget.setPointerCapture(event.pointerId);
            setDrag({ from: pointerX(event), to: pointerX(event) });
          }}
          onPointerMove={(event) => {
            if (drag) {
              setDrag({ ...drag, to: pointerX(event) });
              return;
            }
            const box = event.currentTarget.getBoundingClientRect();
            const [px, py] = [event.clientX - box.left, event.clientY - box.top];
            let best: TraceHit | null = null;
            let bestDistance = 81;
            for (const hit of hits) {
              const distance = (xOf(millisOf(hit)) - px) ** 2 + (yOf(hit.duration_nanos) - py) ** 2;
              if (distance < bestDistance) [best, bestDistance] = [hit, distance];
            }
            setHover(best);
          }}
          onPointerUp={finish}
          onPointerCancel={() => setDrag(null)}
          onPointerLeave={() => setHover(null)}
        >
          {scale.ticks.map((nanos) => (
            <g key={nanos}>
              <line x1={LEFT} x2={LEFT + plotWidth} y1={yOf(nanos)} y2={yOf(nanos)} className={css.grid} />
              <text x={LEFT - 8} y={yOf(nanos) + 3.5} textAnchor="end">
                {formatDuration(nanos)}
              </text>
            </g>
          ))}
          {slices.map((slice) => {
            const x = xOf(slice.fromMillis);
            const barWidth = Math.max(1, plotWidth / slices.length - 1);
            const height = (slice.count / most) * (BARS_BOTTOM - BARS_TOP);
            const errorHeight = (slice.errors / most) * (BARS_BOTTOM - BARS_TOP);
            return (
              <g key={slice.fromMillis}>
                <rect x={x} y={BARS_BOTTOM - height} width={barWidth} height={height} className={css.bar} />
                <rect
                  x={x}
                  y={BARS_BOTTOM - errorHeight}
                  width={barWidth}
                  height={errorHeight}
                  className={css.barError}
                />
              </g>
            );
          })}
          <line
            x1={LEFT}
            x2={LEFT + plotWidth}
            y1={BARS_BOTTOM + 0.5}
            y2={BARS_BOTTOM + 0.5}
            className={css.axis}
          />
          <text x={LEFT - 8} y={BARS_BOTTOM - 1} textAnchor="end">
            count
          </text>
          {timeTicks.map((millis) => (
            <text key={millis} x={xOf(millis)} y={HEIGHT - 5} textAnchor="middle">
              {formatInstant(new Date(millis).toISOString(), zone, longRange ? 'min' : 's', longRange)}
            </text>
          ))}
          {hits.map((hit) => (
            <circle
              key={hit.trace_id}
              cx={xOf(millisOf(hit))}
              cy={yOf(hit.duration_nanos)}
              r={hover?.trace_id === hit.trace_id ? 5 : 2 + Math.min(3, Math.log10(hit.span_count + 1))}
              className={hit.error_count > 0 ? css.dotError : css.dot}
            />
          ))}
          {drag && (
            <rect
              x={Math.min(drag.from, drag.to)}
              y={4}
              width={Math.abs(drag.to - drag.from)}
              height={BARS_BOTTOM - 4}
              className={css.brush}
            />
          )}
        </svg>
      )}
      {hover && !drag && (
        <div
          className={css.tip}
          style={{ left: Math.min(width - 250, Math.max(0, xOf(millisOf(hover)) + 10)), top: 6 }}
        >
          <b>{formatDuration(hover.duration_nanos)}</b> {hover.root_service} · {hover.root_name}
          <div className="muted">
            {hover.span_count} spans, {hover.error_count} errors ·{' '}
            {formatInstant(hover.start_unix_nanos, zone, 'ms', false)}
          </div>
        </div>
      )}
    </div>
  );
}
