// How components read the zone and the range of the view, and write instants in that zone.
import { useLocalStorage } from '@mantine/hooks';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { readView, type ViewSearch } from '../url/view';
import type { RangeSearch } from './range';
import { formatAgo, formatInstant, isZone, type Precision, type Zone } from './zone';

export function useView(): ViewSearch {
  // Read again: the router passes parameters through that its readers refused.
  return readView(useSearch({ strict: false }));
}

/** The URL's zone, else the one chosen last, else the browser's. */
export function useZone(): Zone {
  const { tz } = useView();
  const [kept] = useLocalStorage({
    key: 'tracehound-zone',
    defaultValue: 'local',
    getInitialValueInEffect: false,
  });
  return tz ?? (isZone(kept) ? kept : 'local');
}

export function useSetZone(): (zone: Zone) => void {
  const navigate = useNavigate();
  const [, keep] = useLocalStorage({ key: 'tracehound-zone', defaultValue: 'local' });
  return (zone) => {
    keep(zone);
    void navigate({ to: '.', search: (before) => ({ ...before, tz: zone }), replace: true });
  };
}

export function useRange(): RangeSearch {
  const { range, from, to } = useView();
  return { range, from, to };
}

/** The wall clock in milliseconds, renewed every `everyMillis`. */
export function useNow(everyMillis = 10_000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMillis);
    return () => clearInterval(timer);
  }, [everyMillis]);
  return now;
}

interface TimeProps {
  /** RFC 3339 or unix nanoseconds. */
  at: string;
  precision?: Precision;
  withDay?: boolean;
}

/** An instant in the chosen zone; hovering shows all nine decimals. */
export function Time({ at, precision = 'ms', withDay = true }: TimeProps) {
  const zone = useZone();
  return (
    <time className="num" title={`${formatInstant(at, zone, 'ns')} ${zone}`}>
      {formatInstant(at, zone, precision, withDay)}
    </time>
  );
}

/** "4m ago", with the full instant on hover. */
export function Ago({ at, now }: { at: string; now: number }) {
  const zone = useZone();
  return (
    <time className="num" title={`${formatInstant(at, zone, 'ms')} ${zone}`}>
      {formatAgo(at, now)}
    </time>
  );
}
