// Where a diagnostic's line and column are in the text.
import type { Text } from '@codemirror/state';

/** Lines and columns count from one; places outside the text move to its nearest end. Marks the rest of the word. */
export function placeOf(at: { line: number; column: number }, doc: Text): { from: number; to: number } {
  const line = doc.line(Math.min(doc.lines, Math.max(1, at.line || 1)));
  const from = Math.min(line.to, line.from + Math.max(0, (at.column || 1) - 1));
  const word = /^[^\s:,[\]{}]+/.exec(line.text.slice(from - line.from))?.[0].length ?? 0;
  return { from, to: Math.min(line.to, from + Math.max(1, word)) };
}
