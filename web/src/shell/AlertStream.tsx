// The live alert stream: keeps lists fresh and remembers which alerts arrived while people were looking elsewhere.
import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import { eventSourceUrl } from '../api/client';
import type { Alert } from '../api/wire';

interface AlertStream {
  /** Ids of alerts that arrived since this page was opened and were not looked at. */
  unseen: ReadonlySet<string>;
  connected: boolean;
  markSeen: (id: string) => void;
  markAllSeen: () => void;
}

const Context = createContext<AlertStream>({
  unseen: new Set(),
  connected: false,
  markSeen: () => {},
  markAllSeen: () => {},
});

export function useAlertStream(): AlertStream {
  return useContext(Context);
}

const MAX_UNSEEN = 500;
/** A burst of alerts asks the list again once, not once per alert. */
const REFRESH_DELAY_MILLIS = 250;

export function AlertStreamProvider({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const [unseen, setUnseen] = useState<ReadonlySet<string>>(new Set());
  const [connected, setConnected] = useState(false);

  useEffect(() => {
    const openedAt = Date.now();
    const source = new EventSource(eventSourceUrl('/alerts/stream'));
    let timer: ReturnType<typeof setTimeout> | undefined;
    source.onopen = () => setConnected(true);
    source.onerror = () => setConnected(false);
    source.addEventListener('alert', (event) => {
      let alert: Alert;
      try {
        alert = JSON.parse((event as MessageEvent<string>).data) as Alert;
      } catch {
        return;
      }
      // The stream also tells of changes; only open alerts made after this page was opened are new.
      if (alert.status === 'open' && Date.parse(alert.created_time) >= openedAt - 5_000) {
        setUnseen((before) => (before.size >= MAX_UNSEEN ? before : new Set(before).add(alert.id)));
      }
      clearTimeout(timer);
      timer = setTimeout(() => {
        void queries.invalidateQueries({ queryKey: ['alerts'] });
        void queries.invalidateQueries({ queryKey: ['alert', alert.id] });
      }, REFRESH_DELAY_MILLIS);
    });
    return () => {
      clearTimeout(timer);
      source.close();
    };
  }, [queries]);

  const markSeen = useCallback(
    (id: string) =>
      setUnseen((before) => {
        if (!before.has(id)) return before;
        const next = new Set(before);
        next.delete(id);
        return next;
      }),
    [],
  );
  const markAllSeen = useCallback(() => setUnseen(new Set()), []);
  const value = useMemo(
    () => ({ unseen, connected, markSeen, markAllSeen }),
    [unseen, connected, markSeen, markAllSeen],
  );
  return <Context.Provider value={value}>{children}</Context.Provider>;
}
