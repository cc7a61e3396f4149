// One trace: its header, and its timeline, logs and JSON.
import { Button, Loader, Tabs } from '@mantine/core';
import { IconArrowLeft, IconDownload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate, useRouter } from '@tanstack/react-router';
import { useMemo } from 'react';
import { Problem } from '../api/client';
import { traceQuery } from '../api/queries';
import type { Trace } from '../api/wire';
import { CopyIcon } from '../parts/CodeBlock';
import { Empty } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import { ServiceMark } from '../parts/Marks';
import page from '../parts/parts.module.css';
import { Time } from '../time/clock';
import { formatDuration } from '../time/nanos';
import type { TraceSearch } from '../url/view';
import { type FlatTrace, flattenTrace } from './flatten';
import { RawJson } from './RawJson';
import { Timeline } from './Timeline';
import { TraceLogs } from './TraceLogs';
import css from './trace.module.css';

const route = getRouteApi('/shell/traces/$traceId');
const MAX_SERVICES_SHOWN = 14;

function Fact({ name, value, bad = false }: { name: string; value: string; bad?: boolean }) {
  return (
    <div className={css.fact} data-bad={bad}>
      <dt>{name}</dt>
      <dd className="num">{value}</dd>
    </div>
  );
}

function Header({ trace, flat }: { trace: Trace; flat: FlatTrace }) {
  const router = useRouter();
  const navigate = useNavigate();
  const root = trace.spans[flat.spanOf[0] ?? 0];
  return (
    <header className={css.header}>
      <div className={css.title}>
        <Button
          variant="subtle"
          color="gray"
          px={6}
          aria-label="Back"
          onClick={() =>
            router.history.canGoBack() ? router.history.back() : void navigate({ to: '/traces' })
          }
        >
          <IconArrowLeft size={16} />
        </Button>
        <h1 className="ellipsis">
          <ServiceMark name={root?.service ?? 'unknown'} />{' '}
          <span className={css.operation}>{root?.name}</span>
        </h1>
        <span className={`${css.id} mono`}>
          {trace.trace_id}
          <CopyIcon value={trace.trace_id} label="Copy trace id" size="xs" />
        </span>
      </div>
      <dl className={css.facts}>
        <div className={css.fact}>
          <dt>Started</dt>
          <dd>
            <Time at={trace.start_unix_nanos} precision="us" />
          </dd>
        </div>
        <Fact name="Duration" value={formatDuration(trace.duration_nanos)} />
        <Fact name="Spans" value={trace.span_count.toLocaleString('en')} />
        <Fact name="Services" value={String(trace.services.length)} />
        <Fact name="Errors" value={trace.error_count.toLocaleString('en')} bad={trace.error_count > 0} />
        <Fact name="Depth" value={String(flat.maxDepth + 1)} />
      </dl>
      <div className={css.legend}>
        {trace.services.slice(0, MAX_SERVICES_SHOWN).map((service) => (
          <button
            key={service.name}
            type="button"
            title={`Find spans of ${service.name}`}
            onClick={() =>
              void navigate({
                to: '.',
                search: (before) => ({ ...before, tab: undefined, find: service.name }),
              })
            }
          >
            <ServiceMark name={service.name} />
            <span className="num muted">{service.spans.toLocaleString('en')}</span>
            {service.errors > 0 && <span className={`${css.errorCount} num`}>{service.errors}</span>}
          </button>
        ))}
        {trace.services.length > MAX_SERVICES_SHOWN && (
          <span className="muted">+{trace.services.length - MAX_SERVICES_SHOWN} more</span>
        )}
      </div>
      {trace.truncated && (
        <p className={css.truncated} role="status">
          This trace is larger than one answer holds: only its first {trace.spans.length.toLocaleString('en')}{' '}
          spans are shown.
        </p>
      )}
    </header>
  );
}

function downloadJson(trace: Trace) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(trace, null, 2)], { type: 'application/json' }));
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = `trace-${trace.trace_id}.json`;
  anchor.click();
  URL.revokeObjectURL(url);
}

export function TracePage() {
  const { traceId } = route.useParams();
  const search = route.useSearch();
  const navigate = useNavigate();
  const { data: trace, error, refetch } = useQuery(traceQuery(traceId));
  const flat = useMemo(() => (trace ? flattenTrace(trace) : null), [trace]);
  const set = (change: Partial<TraceSearch>, replace = true) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...change }), replace });

  if (error instanceof Problem && error.status === 404) {
    return (
      <Empty title="No such trace">
        <p className="mono">{traceId}</p>
        <p>It may be older than what is kept, or its spans have not arrived yet.</p>
        <Button variant="default" mt={8} onClick={() => void refetch()}>
          Look again
        </Button>
      </Empty>
    );
  }
  if (error) return <ProblemNotice error={error} retry={() => void refetch()} />;
  if (!trace || !flat) {
    return (
      <div style={{ display: 'grid', placeItems: 'center', height: '60%' }}>
        <Loader size="sm" role="status" aria-label="Loading the trace" />
      </div>
    );
  }
  const tab = search.tab ?? 'timeline';
  return (
    <div className={page.page}>
      <Header trace={trace} flat={flat} />
      <Tabs
        value={tab}
        onChange={(value) => set({ tab: value === 'timeline' ? undefined : (value as TraceSearch['tab']) })}
        keepMounted={false}
        className={css.tabs}
      >
        <div className={css.tabBar}>
          <Tabs.List px={18}>
            <Tabs.Tab value="timeline">Timeline</Tabs.Tab>
            <Tabs.Tab value="logs">Logs</Tabs.Tab>
            <Tabs.Tab value="json">JSON</Tabs.Tab>
          </Tabs.List>
          <Button
            variant="subtle"
            color="gray"
            className={css.download}
            leftSection={<IconDownload size={14} />}
            onClick={() => downloadJson(trace)}
          >
            Download
          </Button>
        </div>
        <Tabs.Panel value="timeline" className={css.panel}>
          <Timeline trace={trace} flat={flat} search={search} set={set} />
        </Tabs.Panel>
        <Tabs.Panel value="logs" className={css.panel}>
          <TraceLogs
            trace={trace}
            selectedSpan={search.span}
            onSpan={(span) => set({ span, tab: undefined }, false)}
          />
        </Tabs.Panel>
        <Tabs.Panel value="json" className={css.panel}>
          <RawJson trace={trace} />
        </Tabs.Panel>
      </Tabs>
    </div>
  );
}
