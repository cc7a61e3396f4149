// All rules, what they watch for, and which files are wrong.
import { Button, Loader, Select } from '@mantine/core';
import { IconPlus, IconSearch, IconShieldOff } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useMemo, useRef } from 'react';
import { tagName } from '../alerts/attack';
import { rulesQuery } from '../api/queries';
import type { RuleSummary } from '../api/wire';
import { DraftInput } from '../parts/DraftInput';
import { Empty } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import { LevelMark, StateMark } from '../parts/Marks';
import page from '../parts/parts.module.css';
import { useRowKeys } from '../parts/rowKeys';
import { LEVELS, type RulesSearch } from '../url/view';
import { DiagnosticList } from './DiagnosticList';
import css from './rules.module.css';

const route = getRouteApi('/shell/rules');
const MAX_TAGS_SHOWN = 3;

function RuleRow({ rule }: { rule: RuleSummary }) {
  const wrong = rule.diagnostics?.length ?? 0;
  const state = rule.mapped === false ? 'never evaluated' : rule.status;
  return (
    <Link to="/rules/$file" params={{ file: rule.file }} className={css.row} data-row>
      <span>
        <StateMark
          state={rule.status !== 'active' || wrong ? 'critical' : 'good'}
          text={rule.status === 'active' && wrong ? 'edited, invalid' : state}
        />
      </span>
      <span>{rule.level ? <LevelMark level={rule.level} /> : null}</span>
      <span className={css.what}>
        <b className="ellipsis">{rule.title || rule.file}</b>
        <span className="muted ellipsis" title={rule.description}>
          {rule.description || rule.file}
        </span>
      </span>
      <span className="muted">
        {rule.kind?.replaceAll('_', ' ')}
        {rule.silent && <span title="Feeds other rules, raises no alert of its own">, silent</span>}
      </span>
      <span className={css.tagCell}>
        {(rule.tags ?? []).slice(0, MAX_TAGS_SHOWN).map((tag) => (
          <span key={tag} title={tagName(tag).name ?? tag}>
            {tagName(tag).short}
          </span>
        ))}
      </span>
      <span className={`${css.right} num`}>{(rule.matches ?? 0).toLocaleString('en')}</span>
      <span className="muted ellipsis" title={rule.file}>
        {rule.file}
      </span>
    </Link>
  );
}

export function RulesPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const list = useRef<HTMLDivElement>(null);
  const { data, error, refetch, isFetching } = useQuery(rulesQuery);
  useRowKeys(list);
  const set = (change: Partial<RulesSearch>) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...change }) });
  const all = data?.items ?? [];
  const shown = useMemo(() => {
    const words = (search.q ?? '').toLowerCase().split(/\s+/).filter(Boolean);
    return (data?.items ?? []).filter((rule) => {
      if (search.level && rule.level !== search.level) return false;
      if (search.status && rule.status !== search.status) return false;
      const hay =
        `${rule.title} ${rule.id} ${rule.file} ${rule.kind} ${rule.description ?? ''} ${(rule.tags ?? []).join(' ')}`.toLowerCase();
      return words.every((word) => hay.includes(word));
    });
  }, [data, search.q, search.level, search.status]);
  const wrongFiles = useMemo(() => {
    const byFile = new Map<string, RuleSummary>();
    for (const rule of data?.items ?? []) if (rule.diagnostics?.length) byFile.set(rule.file, rule);
    return [...byFile.values()];
  }, [data]);

  return (
    <div className={page.page}>
      <div className={page.head}>
        <h1>Rules</h1>
        {data && (
          <span className="muted num" role="status">
            {shown.length === all.length ? all.length : `${shown.length} of ${all.length}`}
          </span>
        )}
        {isFetching && <Loader size={14} role="status" aria-label="Loading" />}
        <span style={{ flex: 1 }} />
        <Select
          aria-label="Status"
          placeholder="Any status"
          clearable
          data={['active', 'disabled', 'invalid']}
          value={search.status ?? null}
          onChange={(value) => set({ status: (value as RulesSearch['status']) ?? undefined })}
          w={116}
        />
        <Select
          aria-label="Level"
          placeholder="Any level"
          clearable
          data={[...LEVELS]}
          value={search.level ?? null}
          onChange={(value) => set({ level: (value as RulesSearch['level']) ?? undefined })}
          w={126}
        />
        <DraftInput
          aria-label="Find rules"
          placeholder="Title, tag, file"
          leftSection={<IconSearch size={13} />}
          value={search.q}
          onCommit={(q) => set({ q })}
          data-search-field
          w={200}
        />
        <Button
          leftSection={<IconPlus size={14} />}
          renderRoot={(props) => <Link to="/rules/new" {...props} />}
        >
          New rule
        </Button>
      </div>
      {error && <ProblemNotice error={error} retry={() => void refetch()} />}
      {wrongFiles.length > 0 && (
        <section className={css.wrong} aria-label="Files with errors">
          <b>
            {wrongFiles.length === 1 ? 'One rule file is' : `${wrongFiles.length} rule files are`} wrong; the
            last valid version, if there was one, stays in force.
          </b>
          {wrongFiles.map((rule) => (
            <div key={rule.file}>
              <Link to="/rules/$file" params={{ file: rule.file }}>
                {rule.file}
              </Link>
              <DiagnosticList diagnostics={rule.diagnostics ?? []} />
            </div>
          ))}
        </section>
      )}
      {data && all.length === 0 ? (
        <Empty icon={<IconShieldOff size={30} stroke={1.4} />} title="No rules yet">
          <p>Without rules nothing is detected. Start with a template.</p>
          <Link to="/rules/new">Write the first rule</Link>
        </Empty>
      ) : data && shown.length === 0 ? (
        <Empty title="No rule matches" />
      ) : (
        data && (
          <div className={css.list} ref={list}>
            <div className={css.header} aria-hidden="true">
              <span>Status</span>
              <span>Level</span>
              <span>Rule</span>
              <span>Kind</span>
              <span>Tags</span>
              <span className={css.right}>Matches</span>
              <span>File</span>
            </div>
            {shown.map((rule) => (
              <RuleRow key={`${rule.file} ${rule.id}`} rule={rule} />
            ))}
          </div>
        )
      )}
    </div>
  );
}
