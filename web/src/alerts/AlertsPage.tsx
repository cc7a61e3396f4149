// The alert queue: live, filtered, worked through with the keyboard.
import { Button, Chip, Loader, Select } from '@mantine/core';
import { IconBellCheck, IconSearch } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState } from 'react';
import { alertsQuery, infoQuery, rulesQuery } from '../api/queries';
import type { Alert } from '../api/wire';
import { DraftInput } from '../parts/DraftInput';
import { Empty, WaitingForFirstSpan } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import { LevelMark, Pair, StatusMark } from '../parts/Marks';
import page from '../parts/parts.module.css';
import { isTyping } from '../parts/rowKeys';
import { useAlertStream } from '../shell/AlertStream';
import { Ago, useNow } from '../time/clock';
import { ALERT_STATUSES, type AlertsSearch, LEVELS } from '../url/view';
import css from './alerts.module.css';
import { type StatusChange, StatusDialog, useSetStatus } from './StatusDialog';

const route = getRouteApi('/shell/alerts');
const DEFAULT_STATUSES: AlertsSearch['status'] = ['open', 'acknowledged'];

function matches(alert: Alert, text: string): boolean {
  const hay =
    `${alert.rule_title} ${alert.reason} ${JSON.stringify(alert.group)} ${alert.tags.join(' ')}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => hay.includes(word));
}

interface RowProps {
  alert: Alert;
  current: boolean;
  isNew: boolean;
  now: number;
  onFocus: () => void;
}

function AlertRow({ alert, current, isNew, now, onFocus }: RowProps) {
  const group = Object.entries(alert.group);
  return (
    <Link
      to="/alerts/$alertId"
      params={{ alertId: alert.id }}
      className={css.row}
      data-alert={alert.id}
      data-level={alert.severity}
      data-current={current}
      onFocus={onFocus}
    >
      <span>
        <LevelMark level={alert.severity} />
      </span>
      <span className={css.what}>
        <span className={css.ruleTitle}>
          {isNew && <span className={css.new}>new</span>}
          <b className="ellipsis">{alert.rule_title}</b>
        </span>
        <span className={`${css.reason} muted`} title={alert.reason}>
          {alert.reason}
        </span>
      </span>
      <span className={css.group}>
        {group.slice(0, 3).map(([name, value]) => (
          <Pair key={name} name={name} value={value} />
        ))}
      </span>
      <span>
        <StatusMark status={alert.status} />
      </span>
      <span className={`${css.right} num`}>{alert.count.toLocaleString('en')}</span>
      <span className="muted">
        <Ago at={alert.first_seen_time} now={now} />
      </span>
      <span>
        <Ago at={alert.last_seen_time} now={now} />
      </span>
    </Link>
  );
}

function Filters({ search, set }: { search: AlertsSearch; set: (change: Partial<AlertsSearch>) => void }) {
  const { data: rules } = useQuery(rulesQuery);
  const choices = (rules?.items ?? []).map((rule) => ({ value: rule.id, label: rule.title }));
  const unique = [...new Map(choices.map((choice) => [choice.value, choice])).values()];
  if (search.rule && !unique.some((choice) => choice.value === search.rule)) {
    unique.unshift({ value: search.rule, label: search.rule });
  }
  const statuses = search.status ?? DEFAULT_STATUSES ?? [];
  return (
    <search className={css.filters} aria-label="Filter alerts">
      <Chip.Group
        multiple
        value={[...statuses]}
        onChange={(value) => {
          const next = ALERT_STATUSES.filter((one) => value.includes(one));
          set({ status: next.length === 0 || next.join() === DEFAULT_STATUSES?.join() ? undefined : next });
        }}
      >
        {ALERT_STATUSES.map((status) => (
          <Chip key={status} value={status} size="xs" radius="sm" tt="capitalize">
            {status}
          </Chip>
        ))}
      </Chip.Group>
      <span className={css.divider} />
      <Chip.Group
        multiple
        value={search.severity ?? []}
        onChange={(value) => {
          const next = LEVELS.filter((one) => value.includes(one));
          set({ severity: next.length ? next : undefined });
        }}
      >
        {LEVELS.map((level) => (
          <Chip key={level} value={level} size="xs" radius="sm" tt="capitalize">
            {level === 'informational' ? 'info' : level}
          </Chip>
        ))}
      </Chip.Group>
      <span className={css.divider} />
      <Select
        aria-label="Rule"
        placeholder="Any rule"
        searchable
        clearable
        data={unique}
        value={search.rule ?? null}
        onChange={(value) => set({ rule: value ?? undefined })}
        w={230}
      />
      <DraftInput
        aria-label="Text in alerts"
        placeholder="Text in reason, entity, tags"
        leftSection={<IconSearch size={13} />}
        value={search.q}
        onCommit={(q) => set({ q })}
        data-search-field
        w={220}
      />
    </search>
  );
}

export function AlertsPage() {
  const search = route.useSearch();
  const { status, severity, rule, q, at } = search;
  const navigate = useNavigate();
  const now = useNow(5_000);
  const list = useRef<HTMLDivElement>(null);
  const { unseen, connected, markAllSeen } = useAlertStream();
  const { data: info } = useQuery(infoQuery);
  const result = useInfiniteQuery(alertsQuery({ status, severity, rule }));
  const [change, setChange] = useState<StatusChange | null>(null);
  const setStatus = useSetStatus();
  const alerts = useMemo(() => {
    const all = result.data?.pages.flatMap((one) => one.items) ?? [];
    return q ? all.filter((alert) => matches(alert, q)) : all;
  }, [result.data, q]);
  const set = (next: Partial<AlertsSearch>, replace = false) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...next }), replace });

  const keysNow = useRef<(event: KeyboardEvent) => void>(() => {});
  keysNow.current = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || change) return;
    const index = alerts.findIndex((alert) => alert.id === at);
    const current = alerts[index];
    const focus = (to: number) => {
      const next = alerts[Math.min(alerts.length - 1, Math.max(0, to))];
      if (!next) return;
      const row = list.current?.querySelector<HTMLElement>(`[data-alert="${CSS.escape(next.id)}"]`);
      row?.focus();
      row?.scrollIntoView({ block: 'nearest' });
    };
    if (event.key === 'j' || (event.key === 'ArrowDown' && current)) focus(index + 1);
    else if (event.key === 'k' || (event.key === 'ArrowUp' && current)) focus(index - 1);
    else if (event.key === 'a' && current && current.status === 'open') {
      setStatus.mutate({ id: current.id, status: 'acknowledged', comment: '' });
    } else if (event.key === 'c' && current && current.status !== 'closed') {
      setChange({ id: current.id, title: current.rule_title, status: 'closed' });
    } else return;
    event.preventDefault();
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => keysNow.current(event);
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);

  return (
    <div className={page.page}>
      <div className={page.head}>
        <h1>Alerts</h1>
        {result.data && (
          <span className="muted num" role="status">
            {alerts.length.toLocaleString('en')}
            {result.hasNextPage ? '+' : ''} shown
          </span>
        )}
        {result.isFetching && <Loader size={14} role="status" aria-label="Loading" />}
        <span className={css.live} data-on={connected}>
          <span aria-hidden="true" />
          {connected ? 'live' : 'not live'}
        </span>
        {unseen.size > 0 && (
          <Button variant="subtle" onClick={markAllSeen}>
            Mark {unseen.size} new as seen
          </Button>
        )}
        <span style={{ flex: 1 }} />
        <span className="muted" style={{ fontSize: 12 }}>
          <kbd>j</kbd> <kbd>k</kbd> move · <kbd>Enter</kbd> open · <kbd>a</kbd> acknowledge · <kbd>c</kbd>{' '}
          close
        </span>
      </div>
      <Filters search={search} set={set} />
      {result.error ? (
        <ProblemNotice error={result.error} retry={() => void result.refetch()} />
      ) : result.data && alerts.length === 0 ? (
        info?.spans_seen === false ? (
          <WaitingForFirstSpan />
        ) : (
          <Empty icon={<IconBellCheck size={30} stroke={1.4} />} title="Nothing to look at">
            <p>
              {search.status || search.severity || search.rule || search.q
                ? 'No alert has these properties.'
                : 'No open alerts. New ones appear here by themselves.'}
            </p>
            <Link to="/rules">See which rules are watching</Link>
          </Empty>
        )
      ) : (
        <div className={css.list} ref={list}>
          <div className={css.header} aria-hidden="true">
            <span>Severity</span>
            <span>Alert</span>
            <span>Entity</span>
            <span>Status</span>
            <span className={css.right} title="Detections">
              Count
            </span>
            <span>First seen</span>
            <span>Last seen</span>
          </div>
          {alerts.map((alert) => (
            <AlertRow
              key={alert.id}
              alert={alert}
              current={alert.id === at}
              isNew={unseen.has(alert.id)}
              now={now}
              onFocus={() => alert.id !== at && set({ at: alert.id }, true)}
            />
          ))}
          {result.hasNextPage && (
            <div className={css.more}>
              <Button
                variant="default"
                loading={result.isFetchingNextPage}
                onClick={() => void result.fetchNextPage()}
              >
                Load more
              </Button>
            </div>
          )}
        </div>
      )}
      <StatusDialog change={change} onDone={() => setChange(null)} />
    </div>
  );
}
