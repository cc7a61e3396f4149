// Rates and shares as people read them.

/** Events per second, minute or hour: whichever gives a number of at least one. */
export function formatRate(count: number, secs: number): string {
  const perSec = count / Math.max(1, secs);
  if (perSec >= 1) return `${short(perSec)}/s`;
  if (perSec * 60 >= 1) return `${short(perSec * 60)}/min`;
  return `${short(perSec * 3600)}/h`;
}

function short(value: number): string {
  if (value >= 10_000) return `${Math.round(value / 1000)}k`;
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(1).replace(/\.0$/, '');
}

export function formatShare(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return '0%';
  const percent = (part / whole) * 100;
  if (percent < 0.1) return '<0.1%';
  return `${percent >= 10 ? percent.toFixed(0) : percent.toFixed(1).replace(/\.0$/, '')}%`;
}
