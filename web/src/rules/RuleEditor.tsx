// Edits one rule file: text, what is wrong with it, what it contains, save and delete.
import { Button, Modal } from '@mantine/core';
import { IconDeviceFloppy, IconTrash } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, useBlocker, useNavigate } from '@tanstack/react-router';
import { type ReactNode, useRef, useState } from 'react';
import { Problem } from '../api/client';
import { checkRule, deleteRule, ruleFileQuery, saveRule } from '../api/queries';
import type { Diagnostic, RuleFile, RuleSummary } from '../api/wire';
import { LevelMark } from '../parts/Marks';
import { complain, tell } from '../parts/notify';
import { DiagnosticList } from './DiagnosticList';
import css from './rules.module.css';
import { YamlEditor, type YamlEditorHandle } from './YamlEditor';

interface RuleEditorProps {
  /** File name; for a new rule the one that will be created. */
  file: string;
  initial: string;
  /** The stored version's tag; none for a new rule. */
  etag?: string;
  title: ReactNode;
  /** Shown left of the save button. */
  tools?: ReactNode;
  /** Why saving is not possible now, apart from errors in the text. */
  refusal?: string;
  onSaved: (saved: RuleFile) => void;
}

function Verdict({ diagnostics, checking }: { diagnostics: Diagnostic[] | null; checking: boolean }) {
  if (checking || diagnostics === null) return <span className="muted">Checking…</span>;
  if (diagnostics.length === 0) return <span className={css.valid}>Valid</span>;
  return (
    <span className={css.invalid}>
      {diagnostics.length} {diagnostics.length === 1 ? 'problem' : 'problems'}
    </span>
  );
}

function Contents({ rules, checking }: { rules: RuleSummary[]; checking: boolean }) {
  return (
    <section className={css.contents}>
      <h2>Rules in this file</h2>
      {rules.length === 0 && !checking && <p className="muted">None, as long as the text is not valid.</p>}
      <ul>
        {rules.map((rule) => (
          <li key={rule.id}>
            <div>
              <LevelMark level={rule.level} />{' '}
              <span className="muted">{rule.kind?.replaceAll('_', ' ')}</span>
            </div>
            <b>{rule.title}</b>
            {rule.mapped === false && (
              <div className="muted">Never evaluated: no pipeline maps its log source</div>
            )}
            <div className={css.contentsFoot}>
              {rule.matches !== undefined && (
                <span className="muted num">{rule.matches.toLocaleString('en')} matches since start</span>
              )}
              <Link to="/alerts" search={{ rule: rule.id, status: ['open', 'acknowledged', 'closed'] }}>
                Alerts
              </Link>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function DeleteButton({ file, onDeleted }: { file: string; onDeleted: () => void }) {
  const [asking, setAsking] = useState(false);
  const removal = useMutation({
    mutationFn: () => deleteRule(file),
    onSuccess: () => {
      setAsking(false);
      onDeleted();
    },
    onError: (error) => complain('Not deleted', error.message),
  });
  return (
    <>
      <Button variant="default" leftSection={<IconTrash size={14} />} onClick={() => setAsking(true)}>
        Delete
      </Button>
      <Modal opened={asking} onClose={() => setAsking(false)} title={`Delete ${file}?`}>
        <p style={{ marginTop: 0 }}>Its rules stop watching at once. Alerts they already raised stay.</p>
        <div style={{ display: 'flex', justifyContent: 'flex-end', gap: 8 }}>
          <Button variant="default" onClick={() => setAsking(false)} data-autofocus>
            Keep
          </Button>
          <Button color="red" loading={removal.isPending} onClick={() => removal.mutate()}>
            Delete
          </Button>
        </div>
      </Modal>
    </>
  );
}

export function RuleEditor({ file, initial, etag, title, tools, refusal, onSaved }: RuleEditorProps) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const editor = useRef<YamlEditorHandle>(null);
  const [text, setText] = useState(initial);
  const [saved, setSaved] = useState(etag ? initial : null);
  const [diagnostics, setDiagnostics] = useState<Diagnostic[] | null>(null);
  const [warnings, setWarnings] = useState<Diagnostic[]>([]);
  const [checkedText, setCheckedText] = useState<string | null>(null);
  const [rules, setRules] = useState<RuleSummary[]>([]);
  const changed = text !== saved;
  const leaving = useRef(false);

  useBlocker({
    shouldBlockFn: () =>
      !leaving.current && saved !== null && changed && !window.confirm('Leave without saving the rule?'),
    enableBeforeUnload: () => saved !== null && changed,
  });

  const check = async (current: string): Promise<Diagnostic[]> => {
    const result = await checkRule(file || undefined, current);
    setDiagnostics(result.diagnostics);
    setWarnings(result.warnings ?? []);
    setRules(result.rules);
    setCheckedText(current);
    return result.diagnostics;
  };

  const saving = useMutation({
    mutationFn: () => saveRule(file, text, etag),
    onSuccess: (stored) => {
      setSaved(text);
      setDiagnostics([]);
      queries.setQueryData(ruleFileQuery(stored.file).queryKey, stored);
      void queries.invalidateQueries({ queryKey: ['rules'] });
      tell(`${stored.file} saved and in force`);
      leaving.current = true;
      onSaved(stored);
      leaving.current = false;
    },
    onError: (error) => {
      if (error instanceof Problem && error.body.diagnostics) setDiagnostics(error.body.diagnostics);
      const conflict = error instanceof Problem && error.status === 412;
      complain(
        'Not saved',
        conflict
          ? 'Someone else changed this file meanwhile. Copy your text, then reload the page.'
          : error.message,
      );
    },
  });

  const checking = checkedText !== text;
  const wrong = (diagnostics?.length ?? 0) > 0;
  const blocked =
    refusal ?? (wrong && !checking ? 'Repair the problems first' : !changed ? 'Nothing to save' : undefined);
  const save = () => {
    if (!blocked && !saving.isPending) saving.mutate();
  };

  return (
    <div className={css.page}>
      <div className={css.bar}>
        {title}
        <Verdict diagnostics={diagnostics} checking={checking} />
        {saved !== null && changed && <span className={css.changed}>not saved</span>}
        <span style={{ flex: 1 }} />
        {tools}
        {etag && (
          <DeleteButton
            file={file}
            onDeleted={() => {
              leaving.current = true;
              void queries.invalidateQueries({ queryKey: ['rules'] });
              queries.removeQueries({ queryKey: ruleFileQuery(file).queryKey });
              tell(`${file} deleted`);
              void navigate({ to: '/rules' });
            }}
          />
        )}
        <Button
          leftSection={<IconDeviceFloppy size={14} />}
          disabled={Boolean(blocked)}
          title={blocked ?? 'Ctrl S'}
          loading={saving.isPending}
          onClick={save}
        >
          Save
        </Button>
      </div>
      <div className={css.split}>
        <div className={css.editorPane}>
          <YamlEditor ref={editor} initial={initial} onChange={setText} check={check} onSave={save} />
          {wrong && (
            <section className={css.problems} aria-label="Problems" aria-live="polite">
              <DiagnosticList
                diagnostics={diagnostics ?? []}
                onGo={({ line, column }) => editor.current?.goTo(line, column)}
              />
            </section>
          )}
          {!wrong && warnings.length > 0 && (
            <section className={css.problems} aria-label="Warnings" aria-live="polite">
              <DiagnosticList
                diagnostics={warnings}
                onGo={({ line, column }) => editor.current?.goTo(line, column)}
              />
            </section>
          )}
        </div>
        <Contents rules={rules} checking={checking} />
      </div>
    </div>
  );
}
