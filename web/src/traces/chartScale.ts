// The arithmetic of the duration chart: a log scale and counts per slice of time.

export interface DurationScale {
  /** 0 at the bottom, 1 at the top. */
  position: (nanos: number) => number;
  ticks: number[];
}

/** A log scale over whole powers of ten around the given durations. */
export function durationScale(durations: number[]): DurationScale {
  const positive = durations.filter((nanos) => nanos > 0);
  const low = Math.floor(Math.log10(positive.reduce((a, b) => Math.min(a, b), positive[0] ?? 1e6)));
  const high = Math.max(
    low + 1,
    Math.ceil(Math.log10(positive.reduce((a, b) => Math.max(a, b), positive[0] ?? 1e8))),
  );
  const ticks: number[] = [];
  const step = high - low > 4 ? 2 : 1;
  for (let power = low; power <= high; power += step) ticks.push(10 ** power);
  return {
    ticks,
    position: (nanos) => Math.min(1, Math.max(0, (Math.log10(Math.max(1, nanos)) - low) / (high - low))),
  };
}

export interface Slice {
  fromMillis: number;
  count: number;
  errors: number;
}

/** How many instants, and how many of them with errors, fall into each of `count` equal slices. */
export function countSlices(
  points: { millis: number; error: boolean }[],
  startMillis: number,
  endMillis: number,
  count: number,
): Slice[] {
  const width = (endMillis - startMillis) / count;
  const slices = Array.from({ length: count }, (_, at) => ({
    fromMillis: startMillis + at * width,
    count: 0,
    errors: 0,
  }));
  for (const { millis, error } of points) {
    const slice = slices[Math.min(count - 1, Math.max(0, Math.floor((millis - startMillis) / width)))];
    if (!slice || millis < startMillis || millis > endMillis) continue;
    slice.count += 1;
    if (error) slice.errors += 1;
  }
  return slices;
}
