// The `?` sheet and the keys that work on every page.
import { Kbd, Modal } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import css from './shell.module.css';

const OPEN_EVENT = 'tracehound-shortcuts';

export function openShortcuts() {
  window.dispatchEvent(new Event(OPEN_EVENT));
}

const SHEET: { title: string; keys: [string[], string][] }[] = [
  {
    title: 'Everywhere',
    keys: [
      [['Ctrl', 'K'], 'Jump to a page, service or trace id'],
      [['g', 't'], 'Traces; also g l logs, g m map, g a alerts, g r rules'],
      [['/'], 'Focus the search field'],
      [['r'], 'Refresh'],
      [['?'], 'This sheet'],
    ],
  },
  {
    title: 'Lists and alerts',
    keys: [
      [['j', 'k'], 'Next, previous row'],
      [['Enter'], 'Open the row'],
      [['a'], 'Acknowledge the alert'],
      [['c'], 'Close the alert'],
    ],
  },
  {
    title: 'Trace',
    keys: [
      [['↑', '↓', 'j', 'k'], 'Move between spans'],
      [['←', '→'], 'Fold, unfold'],
      [['Enter'], 'Show the span'],
      [['n', 'p'], 'Next, previous match'],
      [['['], 'Fold one level; ] unfold one level'],
      [['Esc'], 'Close the span, clear the zoom'],
    ],
  },
];

const GO: Record<string, '/traces' | '/logs' | '/map' | '/alerts' | '/rules'> = {
  t: '/traces',
  l: '/logs',
  m: '/map',
  a: '/alerts',
  r: '/rules',
};
const SEQUENCE_MILLIS = 900;

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    Boolean(target.closest('input, textarea, select, [contenteditable="true"]'))
  );
}

export function Shortcuts() {
  const [opened, setOpened] = useState(false);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const pressedAt = useRef(0);

  useEffect(() => {
    const open = () => setOpened(true);
    window.addEventListener(OPEN_EVENT, open);
    return () => window.removeEventListener(OPEN_EVENT, open);
  }, []);

  useHotkeys([['shift+?', () => setOpened(true)]]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const target = GO[event.key];
      if (target && Date.now() - pressedAt.current < SEQUENCE_MILLIS) {
        pressedAt.current = 0;
        event.preventDefault();
        event.stopImmediatePropagation();
        void navigate({ to: target });
      } else if (event.key === 'g') {
        pressedAt.current = Date.now();
      } else if (event.key === 'r') {
        void queries.invalidateQueries({ type: 'active' });
      } else if (event.key === '/') {
        const field = document.querySelector<HTMLElement>('[data-search-field]');
        if (field) {
          event.preventDefault();
          field.focus();
        }
      }
    };
    // Before the pages' own keys, so that "g a" does not acknowledge an alert.
    window.addEventListener('keydown', onKey, true);
    return () => window.removeEventListener('keydown', onKey, true);
  }, [navigate, queries]);

  return (
    <Modal opened={opened} onClose={() => setOpened(false)} title="Keyboard shortcuts" size="md">
      {SHEET.map(({ title, keys }) => (
        <table key={title} className={css.keys}>
          <caption>{title}</caption>
          <tbody>
            {keys.map(([names, what]) => (
              <tr key={what}>
                <td>
                  {names.map((name) => (
                    <Kbd key={name} mr={4} size="xs">
                      {name}
                    </Kbd>
                  ))}
                </td>
                <td>{what}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </Modal>
  );
}
