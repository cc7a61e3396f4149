// Everything about the chosen span, beside the waterfall.
import { ActionIcon, Tabs } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { traceLogsQuery } from '../api/queries';
import type { Span, Trace } from '../api/wire';
import { LogList } from '../logs/LogList';
import { AttributeTable } from '../parts/AttributeTable';
import { CodeBlock, CopyIcon } from '../parts/CodeBlock';
import { ServiceMark, StateMark } from '../parts/Marks';
import { Time } from '../time/clock';
import { formatDuration, offsetNanos } from '../time/nanos';
import { attributeFilter } from '../traces/filter';
import css from './trace.module.css';
import { traceRange } from './traceRange';

interface SpanDetailProps {
  trace: Trace;
  span: Span;
  onClose: () => void;
  onSpan: (spanId: string) => void;
}

function Facts({ trace, span, onSpan }: Omit<SpanDetailProps, 'onClose'>) {
  return (
    <dl className={css.detailFacts}>
      <dt>Start</dt>
      <dd>
        <Time at={span.start_unix_nanos} precision="us" withDay={false} />
        <span className="muted num">
          {' '}
          +{formatDuration(offsetNanos(span.start_unix_nanos, trace.start_unix_nanos))}
        </span>
      </dd>
      <dt>Duration</dt>
      <dd className="num">{formatDuration(span.duration_nanos)}</dd>
      <dt>Kind</dt>
      <dd>{span.kind}</dd>
      <dt>Status</dt>
      <dd>
        <StateMark
          state={span.status === 'error' ? 'critical' : span.status === 'ok' ? 'good' : 'neutral'}
          text={span.status}
        />
        {span.status_message && <span className={css.message}> {span.status_message}</span>}
      </dd>
      <dt>Span</dt>
      <dd className="mono">
        {span.span_id} <CopyIcon value={span.span_id} label="Copy span id" size="xs" />
      </dd>
      {span.parent_span_id && (
        <>
          <dt>Parent</dt>
          <dd>
            <button
              type="button"
              className={css.linkButton}
              onClick={() => onSpan(span.parent_span_id ?? '')}
            >
              {span.parent_span_id}
            </button>
          </dd>
        </>
      )}
      {span.scope?.name && (
        <>
          <dt>Scope</dt>
          <dd className="mono">
            {span.scope.name} {span.scope.version}
          </dd>
        </>
      )}
      {span.trace_state && (
        <>
          <dt>Trace state</dt>
          <dd className="mono">{span.trace_state}</dd>
        </>
      )}
    </dl>
  );
}

function SpanLogs({ trace, span }: { trace: Trace; span: Span }) {
  const logs = useQuery(traceLogsQuery(trace.trace_id, traceRange(trace)));
  const [open, setOpen] = useState<string[]>([]);
  const own = (logs.data?.items ?? []).filter((record) => record.span_id === span.span_id);
  if (logs.isPending) return <p className="muted">Loading…</p>;
  if (!own.length) return <p className="muted">This span wrote no logs.</p>;
  return (
    <div style={{ height: 420 }}>
      <LogList records={own} open={open} onOpen={setOpen} compact baseNanos={trace.start_unix_nanos} />
    </div>
  );
}

export function SpanDetail({ trace, span, onClose, onSpan }: SpanDetailProps) {
  const navigate = useNavigate();
  const searchFor = (key: string, value: unknown, op: 'eq' | 'ne') =>
    void navigate({ to: '/traces', search: { filter: [attributeFilter(key, value, op)] } });
  return (
    <aside className={css.detail} aria-label={`Span ${span.name}`}>
      <div className={css.detailHead}>
        <div style={{ minWidth: 0, flex: 1 }}>
          <ServiceMark name={span.service} />
          <h2>{span.name}</h2>
        </div>
        <ActionIcon aria-label="Close the span (Esc)" onClick={onClose}>
          <IconX size={16} />
        </ActionIcon>
      </div>
      <Facts trace={trace} span={span} onSpan={onSpan} />
      <Tabs defaultValue="attributes" keepMounted={false} className={css.detailTabs}>
        <Tabs.List px={8}>
          <Tabs.Tab value="attributes">Attributes</Tabs.Tab>
          <Tabs.Tab value="resource">Resource</Tabs.Tab>
          <Tabs.Tab value="events">Events{span.events.length ? ` ${span.events.length}` : ''}</Tabs.Tab>
          {span.links.length > 0 && <Tabs.Tab value="links">Links {span.links.length}</Tabs.Tab>}
          <Tabs.Tab value="logs">Logs</Tabs.Tab>
          <Tabs.Tab value="json">JSON</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="attributes">
          <AttributeTable attributes={span.attributes} label="Span attributes" onFilter={searchFor} />
        </Tabs.Panel>
        <Tabs.Panel value="resource">
          <AttributeTable
            attributes={span.resource}
            label="Resource attributes"
            onFilter={(key, value, op) => searchFor(`resource.${key}`, value, op)}
          />
        </Tabs.Panel>
        <Tabs.Panel value="events">
          {span.events.length === 0 && <p className="muted">none</p>}
          {span.events.map((event) => (
            <section key={`${event.time_unix_nanos} ${event.name}`} className={css.event}>
              <h3>
                <span className="num muted">
                  +{formatDuration(offsetNanos(event.time_unix_nanos, trace.start_unix_nanos))}
                </span>{' '}
                {event.name}
              </h3>
              <AttributeTable attributes={event.attributes} label={`Attributes of event ${event.name}`} />
            </section>
          ))}
        </Tabs.Panel>
        <Tabs.Panel value="links">
          {span.links.map((link) => (
            <section key={`${link.trace_id} ${link.span_id}`} className={css.event}>
              <h3>
                <Link
                  to="/traces/$traceId"
                  params={{ traceId: link.trace_id }}
                  search={{ span: link.span_id }}
                  className="mono"
                >
                  {link.trace_id.slice(0, 16)}… · {link.span_id}
                </Link>
              </h3>
              <AttributeTable attributes={link.attributes} label="Link attributes" />
            </section>
          ))}
        </Tabs.Panel>
        <Tabs.Panel value="logs">
          <SpanLogs trace={trace} span={span} />
        </Tabs.Panel>
        <Tabs.Panel value="json">
          <CodeBlock text={JSON.stringify(span, null, 2)} label="Span as JSON" />
        </Tabs.Panel>
      </Tabs>
    </aside>
  );
}
