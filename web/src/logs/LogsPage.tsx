// Search for log records.
import { Button, Loader, Select } from '@mantine/core';
import { IconFileSearch, IconSearch } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { infoQuery, logsQuery, servicesQuery } from '../api/queries';
import { DraftInput } from '../parts/DraftInput';
import { Empty, WaitingForFirstSpan } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import { FilterChips } from '../parts/FilterChips';
import page from '../parts/parts.module.css';
import { useRange } from '../time/clock';
import { attributeFilter, withFilter } from '../traces/filter';
import form from '../traces/traces.module.css';
import { LOG_SEVERITIES, type LogsSearch } from '../url/view';
import { LogList } from './LogList';
import css from './logs.module.css';

const route = getRouteApi('/shell/logs');

const checkTraceId = (text: string) =>
  /^[0-9a-f]{32}$/i.test(text.trim()) ? undefined : 'A trace id has 32 hex digits';

export function LogsPage() {
  const { q, service, severity, trace, filter, limit, open } = route.useSearch();
  const range = useRange();
  const navigate = useNavigate();
  const { data: info } = useQuery(infoQuery);
  const services = useQuery(servicesQuery(range));
  const result = useInfiniteQuery(logsQuery({ q, service, severity, trace, filter, limit }, range));
  const records = useMemo(() => result.data?.pages.flatMap((one) => one.items) ?? [], [result.data]);
  const set = (change: Partial<LogsSearch>, replace = false) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...change }), replace });
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = result;
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const names = [
    ...new Set([...(services.data?.items.map((one) => one.name) ?? []), ...(service ? [service] : [])]),
  ].sort();

  return (
    <div className={page.page}>
      <div className={page.head}>
        <h1>Logs</h1>
        {result.data && (
          <span className="muted num" role="status">
            {records.length.toLocaleString('en')}
            {hasNextPage ? '+' : ''} {records.length === 1 ? 'record' : 'records'}, newest first
          </span>
        )}
        {result.isFetching && <Loader size={14} role="status" aria-label="Searching" />}
      </div>
      <search className={form.form} aria-label="Search logs">
        <div className={form.fields}>
          <DraftInput
            label="Text"
            placeholder="Words in the message"
            leftSection={<IconSearch size={13} />}
            value={q}
            onCommit={(next) => set({ q: next })}
            data-search-field
            style={{ flex: 1, minWidth: 220 }}
          />
          <Select
            label="Service"
            placeholder="Any service"
            searchable
            clearable
            data={names}
            value={service ?? null}
            onChange={(value) => set({ service: value ?? undefined })}
            w={180}
          />
          <Select
            label="Severity at least"
            placeholder="Any"
            clearable
            data={[...LOG_SEVERITIES]}
            value={severity ?? null}
            onChange={(value) => set({ severity: (value as LogsSearch['severity']) ?? undefined })}
            w={126}
          />
          <DraftInput
            label="Trace id"
            placeholder="32 hex digits"
            value={trace}
            check={checkTraceId}
            onCommit={(next) => set({ trace: next?.toLowerCase() })}
            w={268}
            styles={{ input: { fontFamily: 'var(--mono)' } }}
          />
        </div>
        <div className={form.filters}>
          <FilterChips filters={filter} onChange={(next) => set({ filter: next })} />
          {(q || service || severity || trace || filter) && (
            <Button
              variant="subtle"
              color="gray"
              onClick={() =>
                set({
                  q: undefined,
                  service: undefined,
                  severity: undefined,
                  trace: undefined,
                  filter: undefined,
                })
              }
            >
              Clear
            </Button>
          )}
        </div>
      </search>
      {result.error ? (
        <ProblemNotice error={result.error} retry={() => void result.refetch()} />
      ) : info?.spans_seen === false && records.length === 0 ? (
        <WaitingForFirstSpan />
      ) : result.data && records.length === 0 ? (
        <Empty icon={<IconFileSearch size={30} stroke={1.4} />} title="No log record matches">
          <p>Try a longer time range, a lower severity, or fewer filters.</p>
        </Empty>
      ) : (
        <div className={css.results}>
          <LogList
            records={records}
            open={open ?? []}
            onOpen={(ids) => set({ open: ids.length ? ids : undefined }, true)}
            onFilter={(key, value, op) =>
              set({ filter: withFilter(filter, attributeFilter(key, value, op)) })
            }
            onEnd={onEnd}
            footer={isFetchingNextPage ? <div className={css.footer}>Loading older records…</div> : null}
          />
        </div>
      )}
    </div>
  );
}
