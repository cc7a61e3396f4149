// The whole trace in 64 pixels: drag over it to zoom, drag the window to move it, double-click to reset.
import { useComputedColorScheme } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { useEffect, useRef, useState } from 'react';
import { serviceCanvasColor } from '../parts/palette';
import { formatDuration, ticks } from '../time/nanos';
import { ERROR_FLAG, type FlatTrace } from './flatten';
import css from './trace.module.css';
import type { Zoom } from './useTimeline';

const HEIGHT = 58;
/** A drag shorter than this is a slip of the hand. */
const MIN_DRAG_PX = 4;

function paint(canvas: HTMLCanvasElement, flat: FlatTrace, width: number) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  const context = canvas.getContext('2d');
  if (!context) return;
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, HEIGHT);
  const style = getComputedStyle(document.documentElement);
  const colors = flat.services.map((name) => serviceCanvasColor(name, style));
  const errorColor = style.getPropertyValue('--error-bar').trim();
  const rowHeight = Math.min(4, Math.max(1, (HEIGHT - 6) / flat.rows));
  // Errors last, so that they stay on top where rows share a pixel.
  for (const errors of [false, true]) {
    for (let row = 0; row < flat.rows; row += 1) {
      const isError = ((flat.flags[row] ?? 0) & ERROR_FLAG) !== 0;
      if (isError !== errors) continue;
      context.fillStyle = isError ? errorColor : (colors[flat.serviceOf[row] ?? 0] ?? '#888');
      const x = ((flat.startNanos[row] ?? 0) / flat.extentNanos) * width;
      const barWidth = Math.max(1, ((flat.durationNanos[row] ?? 0) / flat.extentNanos) * width);
      context.fillRect(x, 3 + (row / flat.rows) * (HEIGHT - 6), barWidth, Math.max(1, rowHeight - 0.6));
    }
  }
}

interface MinimapProps {
  flat: FlatTrace;
  zoom: Zoom;
  zoomed: boolean;
  onZoom: (zoom: Zoom | null) => void;
}

export function Minimap({ flat, zoom, zoomed, onZoom }: MinimapProps) {
  const { ref, width } = useElementSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme('light');
  const [drag, setDrag] = useState<{ from: number; to: number; moving: boolean } | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new colour scheme means other colours
  useEffect(() => {
    if (canvas.current && width > 0) paint(canvas.current, flat, width);
  }, [flat, width, scheme]);

  const xOf = (nanos: number) => (nanos / flat.extentNanos) * width;
  const nanosOf = (x: number) => (Math.min(width, Math.max(0, x)) / Math.max(1, width)) * flat.extentNanos;
  const pointer = (event: React.PointerEvent) =>
    event.clientX - event.currentTarget.getBoundingClientRect().left;
  const shown = ((): Zoom => {
    if (!drag) return zoom;
    if (!drag.moving) {
      return {
        fromNanos: nanosOf(Math.min(drag.from, drag.to)),
        toNanos: nanosOf(Math.max(drag.from, drag.to)),
      };
    }
    const size = zoom.toNanos - zoom.fromNanos;
    const shift = nanosOf(width / 2 + drag.to - drag.from) - nanosOf(width / 2);
    const fromNanos = Math.min(flat.extentNanos - size, Math.max(0, zoom.fromNanos + shift));
    return { fromNanos, toNanos: fromNanos + size };
  })();
  const masked = zoomed || drag !== null;

  return (
    <div className={css.minimap}>
      <div
        ref={ref}
        className={css.mini}
        style={{ height: HEIGHT }}
        role="img"
        aria-label="Overview of the whole trace. Drag to zoom, double-click for all of it."
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          const x = pointer(event);
          const inside = zoomed && !event.shiftKey && x > xOf(zoom.fromNanos) && x < xOf(zoom.toNanos);
          setDrag({ from: x, to: x, moving: inside });
        }}
        onPointerMove={(event) => drag && setDrag({ ...drag, to: pointer(event) })}
        onPointerUp={() => {
          if (drag && Math.abs(drag.to - drag.from) >= MIN_DRAG_PX) onZoom(shown);
          setDrag(null);
        }}
        onPointerCancel={() => setDrag(null)}
        onDoubleClick={() => onZoom(null)}
      >
        <canvas ref={canvas} style={{ width: '100%', height: HEIGHT }} />
        {masked && width > 0 && (
          <>
            <div className={css.mask} style={{ left: 0, width: xOf(shown.fromNanos) }} />
            <div className={css.mask} style={{ left: xOf(shown.toNanos), right: 0 }} />
            <div
              className={css.window}
              style={{
                left: xOf(shown.fromNanos),
                width: Math.max(2, xOf(shown.toNanos) - xOf(shown.fromNanos)),
              }}
            />
          </>
        )}
        {ticks(0, flat.extentNanos, Math.max(2, width / 160)).map((nanos) => (
          <span key={nanos} className={css.miniTick} style={{ left: `${(nanos / flat.extentNanos) * 100}%` }}>
            {nanos > 0 && nanos < flat.extentNanos * 0.95 && formatDuration(nanos)}
          </span>
        ))}
      </div>
    </div>
  );
}
