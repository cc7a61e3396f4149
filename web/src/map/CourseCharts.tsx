// Rate, errors and durations of a service over the chosen time, as three charts that share one crosshair.
import { useElementSize } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { courseQuery } from '../api/queries';
import type { Course, CoursePoint } from '../api/wire';
import { useRange, useZone } from '../time/clock';
import { formatDuration } from '../time/nanos';
import { formatInstant } from '../time/zone';
import { linePath } from './coursePath';
import css from './map.module.css';
import { formatRate, formatShare } from './red';

const POINTS = 60;
const HEIGHT = 44;
const TOP = 3;

interface ChartProps {
  course: Course;
  title: string;
  /** What the chart says of a point, or of all of them together when none is chosen. */
  says: (point: CoursePoint | undefined) => string;
  at: number | null;
  setAt: (at: number | null) => void;
  children: (x: (place: number) => number, width: number) => React.ReactNode;
}

function Chart({ course, title, says, at, setAt, children }: ChartProps) {
  const { ref, width } = useElementSize<HTMLDivElement>();
  const count = course.points.length;
  const x = (place: number) => ((place + 0.5) / count) * width;
  return (
    <figure className={css.course}>
      <figcaption>
        <span>{title}</span>
        <span className="num">{says(at === null ? undefined : course.points[at])}</span>
      </figcaption>
      <div ref={ref}>
        <svg
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={`${title}: ${says(undefined)}`}
          onPointerMove={(event) => {
            const left = event.currentTarget.getBoundingClientRect().left;
            const place = Math.floor(((event.clientX - left) / Math.max(1, width)) * count);
            setAt(Math.min(count - 1, Math.max(0, place)));
          }}
          onPointerLeave={() => setAt(null)}
        >
          <line className={css.courseBase} x1={0} x2={width} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
          {width > 0 && children(x, width)}
          {at !== null && <line className={css.courseMark} x1={x(at)} x2={x(at)} y1={0} y2={HEIGHT} />}
        </svg>
      </div>
    </figure>
  );
}

/** Bars from the ground, one per point. */
function Bars(props: {
  values: number[];
  most: number;
  x: (place: number) => number;
  width: number;
  className: string;
}) {
  const { values, most, x, width, className } = props;
  const thick = Math.max(1, width / values.length - 1);
  return values.map((value, place) => {
    if (value <= 0) return null;
    const high = Math.max(1, (value / most) * (HEIGHT - TOP));
    const middle = x(place);
    return (
      <rect
        key={middle}
        className={className}
        x={middle - thick / 2}
        y={HEIGHT - high}
        width={thick}
        height={high}
      />
    );
  });
}

export function CourseCharts({ service }: { service: string }) {
  const range = useRange();
  const zone = useZone();
  const { data: course } = useQuery(courseQuery(service, range, POINTS));
  const [at, setAt] = useState<number | null>(null);
  if (!course?.points.length) return null;
  const { points, step_secs } = course;
  const spans = points.map((point) => point.spans);
  const errors = points.map((point) => point.errors);
  const most = Math.max(1, ...spans);
  const mostErrors = Math.max(1, ...errors);
  const longest = Math.max(1, ...points.map((point) => point.p95_nanos));
  const all = spans.reduce((sum, more) => sum + more, 0);
  const allErrors = errors.reduce((sum, more) => sum + more, 0);
  const y = (nanos: number) => HEIGHT - (nanos / longest) * (HEIGHT - TOP);
  const shared = { course, at: at !== null && at < points.length ? at : null, setAt };
  const chosen = shared.at === null ? undefined : points[shared.at];
  return (
    <section className={css.courses} aria-label={`${service} over time`}>
      <Chart
        {...shared}
        title="Rate"
        says={(point) =>
          point ? formatRate(point.spans, step_secs) : `at most ${formatRate(most, step_secs)}`
        }
      >
        {(x, width) => (
          <Bars values={spans} most={most} x={x} width={width} className={css.courseRate ?? ''} />
        )}
      </Chart>
      <Chart
        {...shared}
        title="Errors"
        says={(point) => (point ? formatShare(point.errors, point.spans) : formatShare(allErrors, all))}
      >
        {(x, width) => (
          <Bars values={errors} most={mostErrors} x={x} width={width} className={css.courseErrors ?? ''} />
        )}
      </Chart>
      <Chart
        {...shared}
        title="p50, p95"
        says={(point) =>
          point
            ? `${formatDuration(point.p50_nanos)}, ${formatDuration(point.p95_nanos)}`
            : `at most ${formatDuration(longest)}`
        }
      >
        {(x) => (
          <>
            <path className={css.courseP95} d={linePath(points, (point) => point.p95_nanos, x, y)} />
            <path className={css.courseP50} d={linePath(points, (point) => point.p50_nanos, x, y)} />
          </>
        )}
      </Chart>
      <p className={css.courseTime}>
        {chosen
          ? `${formatInstant(chosen.time, zone, 's')}, ${step_secs} s`
          : `${formatInstant(course.start_time, zone, 'min')} to ${formatInstant(course.end_time, zone, 'min')}`}
      </p>
    </section>
  );
}
