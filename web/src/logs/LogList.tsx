// A virtual list of log records that expand in place.

import { Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useRef } from 'react';
import type { LogRecord } from '../api/wire';
import { AttributeTable } from '../parts/AttributeTable';
import { CopyIcon } from '../parts/CodeBlock';
import { plain, ServiceMark } from '../parts/Marks';
import { useRowKeys } from '../parts/rowKeys';
import { Time } from '../time/clock';
import { formatDuration, offsetNanos } from '../time/nanos';
import css from './logs.module.css';
import { severityName } from './severity';

const ROW_HEIGHT = 26;
const OVERSCAN_ROWS = 16;

interface LogListProps {
  records: LogRecord[];
  /** Ids of the expanded records. */
  open: readonly string[];
  onOpen: (ids: string[]) => void;
  onFilter?: (key: string, value: unknown, op: 'eq' | 'ne') => void;
  /** Called with a span id to show; without it trace links are shown. */
  onSpan?: (spanId: string) => void;
  /** Shows times as offsets from this instant. */
  baseNanos?: string;
  compact?: boolean;
  onEnd?: () => void;
  footer?: ReactNode;
}

function Expanded({
  record,
  onFilter,
  onSpan,
}: { record: LogRecord } & Pick<LogListProps, 'onFilter' | 'onSpan'>) {
  return (
    <div className={css.expanded}>
      <div className={css.expandedHead}>
        <Time at={record.time_unix_nanos} precision="ns" />
        {record.trace_id && !onSpan && (
          <Link
            to="/traces/$traceId"
            params={{ traceId: record.trace_id }}
            search={{ span: record.span_id ?? undefined }}
          >
            Open trace
          </Link>
        )}
        {record.trace_id && !onSpan && (
          <Link to="/logs" search={{ trace: record.trace_id }}>
            Logs of this trace
          </Link>
        )}
        {record.span_id && onSpan && (
          <button type="button" className={css.linkButton} onClick={() => onSpan(record.span_id ?? '')}>
            Show its span
          </button>
        )}
        <CopyIcon value={JSON.stringify(record, null, 2)} label="Copy record as JSON" size="xs" />
      </div>
      <pre className={css.body}>
        {typeof record.body === 'string' ? record.body : JSON.stringify(record.body, null, 2)}
      </pre>
      <div className={css.columns}>
        <section>
          <h3>Attributes</h3>
          <AttributeTable attributes={record.attributes} label="Log attributes" onFilter={onFilter} />
        </section>
        <section>
          <h3>Resource</h3>
          <AttributeTable
            attributes={record.resource}
            label="Resource attributes"
            onFilter={onFilter ? (key, value, op) => onFilter(`resource.${key}`, value, op) : undefined}
          />
        </section>
      </div>
    </div>
  );
}

export function LogList(props: LogListProps) {
  const { records, open, onOpen, onFilter, onSpan, baseNanos, compact = false, onEnd, footer } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const openSet = new Set(open);
  const virtual = useVirtualizer({
    count: records.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => records[index]?.log_id ?? index,
    overscan: OVERSCAN_ROWS,
    paddingStart: 3,
  });
  useRowKeys(scroller);
  const items = virtual.getVirtualItems();
  const lastShown = items[items.length - 1]?.index ?? -1;
  useEffect(() => {
    if (records.length > 0 && lastShown >= records.length - 5) onEnd?.();
  }, [lastShown, records.length, onEnd]);

  const toggle = (id: string) => onOpen(openSet.has(id) ? open.filter((one) => one !== id) : [...open, id]);
  return (
    <div
      ref={scroller}
      className={css.list}
      tabIndex={0}
      role="region"
      aria-label="Log records"
      data-compact={compact}
      data-relative={baseNanos !== undefined}
    >
      <div style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {items.map((item) => {
          const record = records[item.index];
          if (!record) return null;
          const severity = severityName(record.severity_number);
          const expanded = openSet.has(record.log_id);
          return (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className={css.item}
              data-severity={severity}
              data-expanded={expanded}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <button
                type="button"
                className={css.line}
                data-row
                aria-expanded={expanded}
                onClick={() => toggle(record.log_id)}
              >
                <span className={`${css.time} num`}>
                  {baseNanos ? (
                    `+${formatDuration(offsetNanos(record.time_unix_nanos, baseNanos))}`
                  ) : (
                    <Time at={record.time_unix_nanos} />
                  )}
                </span>
                <span className={css.severity}>{record.severity_text || severity}</span>
                {!compact && (
                  <span className={css.service}>
                    <ServiceMark name={record.service} />
                  </span>
                )}
                <span className={`${css.text} mono`}>{plain(record.body)}</span>
              </button>
              {record.trace_id && !onSpan && !compact && (
                <Link
                  to="/traces/$traceId"
                  params={{ traceId: record.trace_id }}
                  search={{ span: record.span_id ?? undefined }}
                  className={css.pivot}
                  aria-label={`Open trace ${record.trace_id}`}
                >
                  trace
                </Link>
              )}
              {expanded && <Expanded record={record} onFilter={onFilter} onSpan={onSpan} />}
            </div>
          );
        })}
      </div>
      {footer}
    </div>
  );
}
