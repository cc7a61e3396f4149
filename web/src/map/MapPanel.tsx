// What is known about the chosen service or connection, with the ways onward.
import { ActionIcon, Button, Loader } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { operationsQuery } from '../api/queries';
import type { MapEdge, ServiceMap, ServiceSummary } from '../api/wire';
import { ServiceMark } from '../parts/Marks';
import { useRange } from '../time/clock';
import { formatDuration } from '../time/nanos';
import type { MapSearch } from '../url/view';
import { CourseCharts } from './CourseCharts';
import { edgeId } from './layout';
import css from './map.module.css';
import { formatRate, formatShare } from './red';

interface MapPanelProps {
  map: Pick<ServiceMap, 'nodes' | 'edges'>;
  search: MapSearch;
  secs: number;
  set: (change: Partial<MapSearch>) => void;
}

const MAX_OPERATIONS = 30;

function Figures(props: {
  count: number;
  errors: number;
  p50: number;
  p95: number;
  secs: number;
  noun: string;
}) {
  const { count, errors, p50, p95, secs, noun } = props;
  const rows: [string, ReactNode, boolean][] = [
    ['Rate', formatRate(count, secs), false],
    [noun, count.toLocaleString('en'), false],
    ['Errors', `${errors.toLocaleString('en')} (${formatShare(errors, count)})`, errors > 0],
    ['p50', formatDuration(p50), false],
    ['p95', formatDuration(p95), false],
  ];
  return (
    <dl className={css.figures}>
      {rows.map(([name, value, bad]) => (
        <div key={name} data-bad={bad}>
          <dt>{name}</dt>
          <dd className="num">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Neighbours({
  title,
  edges,
  side,
  secs,
  set,
}: {
  title: string;
  edges: MapEdge[];
  side: 'caller' | 'callee';
  secs: number;
  set: MapPanelProps['set'];
}) {
  if (!edges.length) return null;
  return (
    <section>
      <h3>{title}</h3>
      <ul className={css.neighbours}>
        {edges.map((edge) => (
          <li key={edgeId(edge)}>
            <button type="button" onClick={() => set({ service: edge[side], edge: undefined })}>
              <ServiceMark name={edge[side]} />
            </button>
            <span className="num muted">{formatRate(edge.calls, secs)}</span>
            <span className="num" data-bad={edge.errors > 0}>
              {formatShare(edge.errors, edge.calls)}
            </span>
            <span className="num muted">{formatDuration(edge.p95_nanos)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Operations({ service }: { service: string }) {
  const range = useRange();
  const { data, isPending } = useQuery(operationsQuery(service, range));
  if (isPending) return <Loader size={14} role="status" aria-label="Loading operations" />;
  const items = [...(data?.items ?? [])].sort((a, b) => b.spans - a.spans).slice(0, MAX_OPERATIONS);
  return (
    <section>
      <h3>Operations</h3>
      <ul className={css.neighbours}>
        {items.map((operation) => (
          <li key={`${operation.kind} ${operation.name}`}>
            <Link
              to="/traces"
              search={{ service, operation: operation.name }}
              className="ellipsis"
              title={`${operation.name} (${operation.kind})`}
            >
              {operation.name}
            </Link>
            <span className="num muted">{operation.spans.toLocaleString('en')}</span>
            <span className="num" data-bad={operation.errors > 0}>
              {formatShare(operation.errors, operation.spans)}
            </span>
            <span className="num muted">{formatDuration(operation.p95_nanos)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function ServicePanel({
  service,
  map,
  secs,
  set,
}: { service: ServiceSummary } & Pick<MapPanelProps, 'map' | 'secs' | 'set'>) {
  return (
    <>
      <Figures
        count={service.spans}
        errors={service.errors}
        p50={service.p50_nanos}
        p95={service.p95_nanos}
        secs={secs}
        noun="Spans"
      />
      {!service.is_outside && <CourseCharts service={service.name} />}
      <div className={css.ways}>
        <Button renderRoot={(props) => <Link to="/traces" search={{ service: service.name }} {...props} />}>
          Traces
        </Button>
        <Button
          variant="default"
          disabled={service.errors === 0}
          renderRoot={(props) => (
            <Link to="/traces" search={{ service: service.name, status: 'error' }} {...props} />
          )}
        >
          With errors
        </Button>
        <Button
          variant="default"
          renderRoot={(props) => <Link to="/logs" search={{ service: service.name }} {...props} />}
        >
          Logs
        </Button>
      </div>
      <Neighbours
        title="Called by"
        edges={map.edges.filter((edge) => edge.callee === service.name)}
        side="caller"
        secs={secs}
        set={set}
      />
      <Neighbours
        title="Calls"
        edges={map.edges.filter((edge) => edge.caller === service.name)}
        side="callee"
        secs={secs}
        set={set}
      />
      {!service.is_outside && <Operations service={service.name} />}
    </>
  );
}

export function MapPanel({ map, search, secs, set }: MapPanelProps) {
  const service = map.nodes.find((node) => node.name === search.service);
  const edge = map.edges.find((one) => edgeId(one) === search.edge);
  if (!service && !edge) return null;
  return (
    <aside className={css.panel} aria-label={service ? `Service ${service.name}` : 'Connection'}>
      <div className={css.panelHead}>
        <h2>
          {service ? (
            <ServiceMark name={service.name} />
          ) : (
            edge && (
              <>
                <ServiceMark name={edge.caller} />
                <span className="muted"> calls </span>
                <ServiceMark name={edge.callee} />
              </>
            )
          )}
        </h2>
        <ActionIcon aria-label="Close the panel" onClick={() => set({ service: undefined, edge: undefined })}>
          <IconX size={16} />
        </ActionIcon>
      </div>
      {service && <ServicePanel service={service} map={map} secs={secs} set={set} />}
      {edge && (
        <>
          <Figures
            count={edge.calls}
            errors={edge.errors}
            p50={edge.p50_nanos}
            p95={edge.p95_nanos}
            secs={secs}
            noun="Calls"
          />
          <div className={css.ways}>
            <Button
              renderRoot={(props) => <Link to="/traces" search={{ service: edge.callee }} {...props} />}
            >
              Traces of {edge.callee}
            </Button>
            <Button
              variant="default"
              renderRoot={(props) => <Link to="/traces" search={{ service: edge.caller }} {...props} />}
            >
              Traces of {edge.caller}
            </Button>
          </div>
        </>
      )}
    </aside>
  );
}
