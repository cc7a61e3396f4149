// The line of a chart, broken where nothing happened.
import type { CoursePoint } from '../api/wire';

export function linePath(
  points: CoursePoint[],
  valued: (point: CoursePoint) => number,
  x: (place: number) => number,
  y: (value: number) => number,
): string {
  let path = '';
  let drawing = false;
  points.forEach((point, place) => {
    if (point.spans === 0) {
      drawing = false;
      return;
    }
    const spot = `${x(place).toFixed(1)},${y(valued(point)).toFixed(1)}`;
    // a point without neighbours is a line of no length, which round ends make a dot
    path += drawing ? `L${spot}` : `M${spot}L${spot}`;
    drawing = true;
  });
  return path;
}
