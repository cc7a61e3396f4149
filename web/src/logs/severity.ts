// OpenTelemetry severity numbers as names and colours.

export type SeverityName = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'unset';

/** Numbers 1-24 come in groups of four; 0 means nobody said. */
export function severityName(number: number): SeverityName {
  if (number >= 21) return 'fatal';
  if (number >= 17) return 'error';
  if (number >= 13) return 'warn';
  if (number >= 9) return 'info';
  if (number >= 5) return 'debug';
  return number >= 1 ? 'trace' : 'unset';
}
