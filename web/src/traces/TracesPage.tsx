// Search for traces: the form, what the result looks like over time, and the list.
import { Button, Loader } from '@mantine/core';
import { IconZoomExclamation } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useMemo, useRef } from 'react';
import { infoQuery, tracesQuery } from '../api/queries';
import { Empty, WaitingForFirstSpan } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import page from '../parts/parts.module.css';
import { useRowKeys } from '../parts/rowKeys';
import { useRange } from '../time/clock';
import { DurationChart } from './DurationChart';
import { SearchForm } from './SearchForm';
import { TraceRow } from './TraceRow';
import css from './traces.module.css';

const route = getRouteApi('/shell/traces');

export function TracesPage() {
  const search = route.useSearch();
  const { service, operation, filter, min, max, status, kind, limit } = search;
  const range = useRange();
  const navigate = useNavigate();
  const list = useRef<HTMLDivElement>(null);
  const { data: info } = useQuery(infoQuery);
  const result = useInfiniteQuery(
    tracesQuery({ service, operation, filter, min, max, status, kind, limit }, range),
  );
  const hits = useMemo(() => result.data?.pages.flatMap((one) => one.items) ?? [], [result.data]);
  // One very long trace must not flatten every other bar: the scale ends at the 95th percentile.
  const longest = useMemo(() => {
    const sorted = hits.map((hit) => hit.duration_nanos).sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) * 0.95)] ?? 0;
  }, [hits]);
  useRowKeys(list);

  const zoomTo = (from: string, to: string) =>
    void navigate({ to: '.', search: (before) => ({ ...before, range: undefined, from, to }) });

  return (
    <div className={page.page}>
      <div className={page.head}>
        <h1>Traces</h1>
        {result.data && (
          <span className="muted num" role="status">
            {hits.length.toLocaleString('en')}
            {result.hasNextPage ? '+' : ''} found
          </span>
        )}
        {result.isFetching && <Loader size={14} role="status" aria-label="Searching" />}
      </div>
      <SearchForm />
      {result.error ? (
        <ProblemNotice error={result.error} retry={() => void result.refetch()} />
      ) : info?.spans_seen === false ? (
        <WaitingForFirstSpan />
      ) : result.data && hits.length === 0 ? (
        <Empty icon={<IconZoomExclamation size={30} stroke={1.4} />} title="No trace matches">
          <p>Try a longer time range, or take a filter away.</p>
          <Button
            variant="default"
            mt={8}
            onClick={() =>
              void navigate({ to: '/traces', search: { range: '24h', from: undefined, to: undefined } })
            }
          >
            Clear filters, last 24 hours
          </Button>
        </Empty>
      ) : (
        <>
          <DurationChart
            hits={hits}
            range={range}
            fetchedAt={result.dataUpdatedAt}
            partial={result.hasNextPage}
            onZoom={zoomTo}
          />
          <div className={css.results} ref={list}>
            <div className={css.header} aria-hidden="true">
              <span>Started</span>
              <span>Root operation</span>
              <span>Duration</span>
              <span className={css.right}>Spans</span>
              <span className={css.right}>Errors</span>
              <span>Services</span>
            </div>
            {hits.map((hit) => (
              <TraceRow key={hit.trace_id} hit={hit} longestNanos={longest} />
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
        </>
      )}
    </div>
  );
}
