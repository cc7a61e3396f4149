// All logs of a trace in time order.
import { Button, Loader } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { MAX_PAGE, traceLogsQuery } from '../api/queries';
import type { Trace } from '../api/wire';
import { LogList } from '../logs/LogList';
import { Empty } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import { attributeFilter } from '../traces/filter';
import css from './trace.module.css';
import { traceRange } from './traceRange';

interface TraceLogsProps {
  trace: Trace;
  /** Only the logs of this span, when one is chosen and people ask for it. */
  selectedSpan: string | undefined;
  onSpan: (spanId: string) => void;
}

export function TraceLogs({ trace, selectedSpan, onSpan }: TraceLogsProps) {
  const navigate = useNavigate();
  const range = traceRange(trace);
  const logs = useQuery(traceLogsQuery(trace.trace_id, range));
  const [open, setOpen] = useState<string[]>([]);
  const [onlySpan, setOnlySpan] = useState(false);
  if (logs.error) return <ProblemNotice error={logs.error} retry={() => void logs.refetch()} />;
  if (!logs.data) return <Loader size="sm" m="xl" role="status" aria-label="Loading logs" />;
  const all = logs.data.items;
  const shown = onlySpan && selectedSpan ? all.filter((record) => record.span_id === selectedSpan) : all;
  if (!all.length) {
    return (
      <Empty title="This trace has no logs">
        <p>Logs join a trace by the trace id their SDK writes into them.</p>
      </Empty>
    );
  }
  return (
    <div className={css.logs}>
      <div className={css.toolbar}>
        <span className="num muted" role="status">
          {shown.length.toLocaleString('en')} log {shown.length === 1 ? 'record' : 'records'}
          {all.length >= MAX_PAGE ? ' (the first of more)' : ''}, oldest first
        </span>
        {selectedSpan && (
          <Button
            variant={onlySpan ? 'light' : 'default'}
            aria-pressed={onlySpan}
            onClick={() => setOnlySpan(!onlySpan)}
          >
            Only the chosen span
          </Button>
        )}
        <span style={{ flex: 1 }} />
        <Link to="/logs" search={{ trace: trace.trace_id, range: undefined, from: range.from, to: range.to }}>
          Open in log search
        </Link>
      </div>
      <LogList
        records={shown}
        open={open}
        onOpen={setOpen}
        baseNanos={trace.start_unix_nanos}
        onSpan={onSpan}
        onFilter={(key, value, op) =>
          void navigate({
            to: '/logs',
            search: {
              filter: [attributeFilter(key, value, op)],
              range: undefined,
              from: range.from,
              to: range.to,
            },
          })
        }
      />
    </div>
  );
}
