// CodeMirror for rule files; the server is the judge of what is valid.
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completeAnyWord,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import {
  bracketMatching,
  foldGutter,
  HighlightStyle,
  indentOnInput,
  syntaxHighlighting,
} from '@codemirror/language';
import { linter, lintGutter, lintKeymap, type Diagnostic as Mark } from '@codemirror/lint';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { EditorState, type Text } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { type Ref, useEffect, useImperativeHandle, useRef } from 'react';
import type { Diagnostic } from '../api/wire';
import { placeOf } from './place';
import css from './rules.module.css';

const LINT_DELAY_MILLIS = 350;

/** Colours come from the page's tokens, so both themes need only one style. */
const colors = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: tags.string, color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--high)' },
  { tag: tags.comment, color: 'var(--faint)', fontStyle: 'italic' },
  { tag: [tags.keyword, tags.meta], color: 'var(--medium)' },
  { tag: tags.invalid, color: 'var(--critical)' },
]);

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '13px', backgroundColor: 'var(--panel)', color: 'var(--text)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.6' },
  '.cm-content': { caretColor: 'var(--accent)', padding: '8px 0' },
  '.cm-gutters': {
    backgroundColor: 'var(--panel-2)',
    color: 'var(--faint)',
    border: 'none',
    borderRight: '1px solid var(--line)',
  },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--accent) 6%, transparent)' },
  '.cm-activeLineGutter': { backgroundColor: 'var(--hover)', color: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'color-mix(in srgb, var(--accent) 24%, transparent) !important',
  },
  '.cm-tooltip': {
    backgroundColor: 'var(--panel)',
    color: 'var(--text)',
    border: '1px solid var(--line)',
    borderRadius: '6px',
  },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    backgroundColor: 'var(--selected)',
    color: 'var(--text)',
  },
  '.cm-diagnostic': { padding: '5px 9px', fontFamily: 'var(--mantine-font-family)', maxWidth: '520px' },
  '.cm-panels': { backgroundColor: 'var(--panel-2)', color: 'var(--text)' },
  '.cm-foldGutter span': { color: 'var(--faint)' },
});

function toMark(diagnostic: Diagnostic, doc: Text): Mark {
  const { from, to } = placeOf(diagnostic, doc);
  return {
    from,
    to,
    severity: 'error',
    source: diagnostic.code,
    message: diagnostic.hint ? `${diagnostic.message}\n${diagnostic.hint}` : diagnostic.message,
  };
}

export interface YamlEditorHandle {
  goTo: (line: number, column: number) => void;
}

interface YamlEditorProps {
  /** The text the editor starts with; another `key` starts it again. */
  initial: string;
  onChange: (text: string) => void;
  /** Asks for what is wrong with the text; called after people stop typing. */
  check: (text: string) => Promise<Diagnostic[]>;
  onSave: () => void;
  ref?: Ref<YamlEditorHandle>;
}

export function YamlEditor({ initial, onChange, check, onSave, ref }: YamlEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const handlers = useRef({ onChange, check, onSave });
  handlers.current = { onChange, check, onSave };

  // biome-ignore lint/correctness/useExhaustiveDependencies: the editor owns its text after the start
  useEffect(() => {
    if (!host.current) return;
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: initial,
        extensions: [
          lineNumbers(),
          foldGutter(),
          highlightActiveLineGutter(),
          highlightActiveLine(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          highlightSelectionMatches(),
          autocompletion({ override: [completeAnyWord] }),
          yaml(),
          syntaxHighlighting(colors),
          look,
          lintGutter(),
          linter(
            async (current) => {
              const found = await handlers.current.check(current.state.doc.toString()).catch(() => []);
              return found.map((diagnostic) => toMark(diagnostic, current.state.doc));
            },
            { delay: LINT_DELAY_MILLIS },
          ),
          keymap.of([
            {
              key: 'Mod-s',
              preventDefault: true,
              run: () => {
                handlers.current.onSave();
                return true;
              },
            },
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...searchKeymap,
            ...historyKeymap,
            ...lintKeymap,
            // Tab indents; Escape then Tab leaves the editor.
            indentWithTab,
          ]),
          EditorView.contentAttributes.of({ 'aria-label': 'Rule text (YAML)' }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) handlers.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, []);

  useImperativeHandle(ref, () => ({
    goTo: (line, column) => {
      const editor = view.current;
      if (!editor) return;
      const { from } = placeOf({ line, column }, editor.state.doc);
      editor.dispatch({
        selection: { anchor: from },
        effects: EditorView.scrollIntoView(from, { y: 'center' }),
      });
      editor.focus();
    },
  }));

  return <div ref={host} className={css.editor} />;
}
