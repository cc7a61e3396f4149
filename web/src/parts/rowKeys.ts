// j and k move the focus through the rows of a list; Enter then does what the focused row does.
import { type RefObject, useEffect } from 'react';

export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    Boolean(target.closest('input, textarea, select, [contenteditable="true"], [role="dialog"]'))
  );
}

export function useRowKeys(list: RefObject<HTMLElement | null>, selector = '[data-row]'): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (
        (event.key !== 'j' && event.key !== 'k') ||
        event.ctrlKey ||
        event.metaKey ||
        isTyping(event.target)
      )
        return;
      const rows = [...(list.current?.querySelectorAll<HTMLElement>(selector) ?? [])];
      if (!rows.length) return;
      const at = rows.indexOf(document.activeElement as HTMLElement);
      const next = at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + (event.key === 'j' ? 1 : -1)));
      rows[next]?.focus();
      rows[next]?.scrollIntoView({ block: 'nearest' });
      event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [list, selector]);
}
