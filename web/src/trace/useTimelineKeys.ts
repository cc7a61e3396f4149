// The keys of the timeline.
import { useEffect, useRef } from 'react';
import { isTyping } from '../parts/rowKeys';
import type { FlatTrace } from './flatten';
import type { TimelineState } from './useTimeline';

const PAGE_ROWS = 20;
/** Keys that buttons, links and tabs need for themselves. */
const CONTROL_KEYS = ['Enter', 'ArrowLeft', 'ArrowRight', 'Home', 'End'];

/** Does what `key` means; false when it means nothing here. */
function act(key: string, state: TimelineState, flat: FlatTrace): boolean {
  const { cursor, folded, rows } = state;
  switch (key) {
    case 'ArrowDown':
    case 'j':
      state.moveBy(1);
      return true;
    case 'ArrowUp':
    case 'k':
      state.moveBy(-1);
      return true;
    case 'PageDown':
      state.moveBy(PAGE_ROWS);
      return true;
    case 'PageUp':
      state.moveBy(-PAGE_ROWS);
      return true;
    case 'Home':
      state.moveTo(0);
      return true;
    case 'End':
      state.moveTo(rows[rows.length - 1] ?? 0);
      return true;
    case 'ArrowRight':
      if (cursor >= 0 && folded[cursor]) state.toggle(cursor);
      return true;
    case 'ArrowLeft': {
      const parent = flat.parentOf[cursor] ?? -1;
      if (cursor >= 0 && flat.childrenOf[cursor] && !folded[cursor]) state.toggle(cursor);
      else if (parent >= 0) state.moveTo(parent);
      return true;
    }
    case 'Enter':
      if (cursor >= 0) state.open(cursor);
      return true;
    case 'Escape':
      if (state.chosen) state.close();
      else if (state.isZoomed) state.zoomTo(null);
      return true;
    case 'n':
      state.goToMatch(1);
      return true;
    case 'p':
      state.goToMatch(-1);
      return true;
    case '[':
      state.foldLevel(-1);
      return true;
    case ']':
      state.foldLevel(1);
      return true;
    default:
      return false;
  }
}

export function useTimelineKeys(state: TimelineState, flat: FlatTrace): void {
  const now = useRef({ state, flat });
  now.current = { state, flat };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const onControl =
        event.target instanceof HTMLElement && event.target.closest('button, a, [role="tab"]');
      if (onControl && CONTROL_KEYS.includes(event.key)) return;
      if (act(event.key, now.current.state, now.current.flat)) event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
}
