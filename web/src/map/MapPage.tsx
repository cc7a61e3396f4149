// The service map: who calls whom, with rate, errors and duration on every node and edge.
import '@xyflow/react/dist/style.css';
import { Checkbox, Loader, useComputedColorScheme } from '@mantine/core';
import { IconAffiliate, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import {
  Background,
  type Edge,
  MarkerType,
  type Node,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from '@xyflow/react';
import { useEffect, useMemo, useRef } from 'react';
import { infoQuery, mapQuery } from '../api/queries';
import type { MapEdge, ServiceSummary } from '../api/wire';
import { DraftInput } from '../parts/DraftInput';
import { Empty, WaitingForFirstSpan } from '../parts/Empty';
import { ProblemNotice } from '../parts/Failure';
import page from '../parts/parts.module.css';
import { Time, useRange } from '../time/clock';
import { formatDuration } from '../time/nanos';
import { resolveRange } from '../time/range';
import type { MapSearch } from '../url/view';
import { CallEdge } from './CallEdge';
import { edgeId, filterMap, layoutMap, NODE_HEIGHT, NODE_WIDTH, type Routed } from './layout';
import { MapControls } from './MapControls';
import { MapPanel } from './MapPanel';
import css from './map.module.css';
import { ServiceNode } from './ServiceNode';

const route = getRouteApi('/shell/map');
const NODE_TYPES = { service: ServiceNode };
const EDGE_TYPES = { call: CallEdge };

interface GraphProps {
  nodes: ServiceSummary[];
  edges: MapEdge[];
  secs: number;
  search: MapSearch;
  set: (change: Partial<MapSearch>) => void;
}

function edgeElement(routed: Routed, secs: number, most: number, search: MapSearch): Edge {
  const { edge } = routed;
  const id = edgeId(edge);
  const chosen = search.edge === id;
  const near = chosen || search.service === edge.caller || search.service === edge.callee;
  const dim = (search.service !== undefined || search.edge !== undefined) && !near;
  const color = edge.errors > 0 ? 'var(--error-bar)' : near ? 'var(--accent)' : 'var(--edge)';
  return {
    id,
    type: 'call',
    source: edge.caller,
    target: edge.callee,
    selected: chosen,
    ariaLabel: `${edge.caller} calls ${edge.callee}: ${edge.calls} calls, ${edge.errors} errors, p95 ${formatDuration(edge.p95_nanos)}`,
    data: { routed, secs, dim, near },
    style: { stroke: color, strokeWidth: 1.2 + 2.4 * Math.sqrt(edge.calls / most), opacity: dim ? 0.18 : 1 },
    markerEnd: { type: MarkerType.ArrowClosed, color, width: 14, height: 14, markerUnits: 'userSpaceOnUse' },
  };
}

function Graph({ nodes, edges, secs, search, set }: GraphProps) {
  const flow = useReactFlow();
  const scheme = useComputedColorScheme('light');
  const layout = useMemo(() => layoutMap({ nodes, edges }), [nodes, edges]);
  const shape = layout.nodes.map((place) => place.name).join('|');
  const panelOpen = search.service !== undefined || search.edge !== undefined;
  const movedByHand = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another set of services starts over
  useEffect(() => {
    movedByHand.current = false;
  }, [shape]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: fits again only when other services or less room are there
  useEffect(() => {
    if (movedByHand.current) return;
    const frame = requestAnimationFrame(() => void flow.fitView({ padding: 0.08, maxZoom: 1.15 }));
    return () => cancelAnimationFrame(frame);
  }, [shape, panelOpen, flow]);

  const byName = new Map(nodes.map((node) => [node.name, node]));
  const most = Math.max(1, ...edges.map((edge) => edge.calls));
  const near = new Set(
    edges
      .filter(
        (edge) =>
          edge.caller === search.service || edge.callee === search.service || edgeId(edge) === search.edge,
      )
      .flatMap((edge) => [edge.caller, edge.callee]),
  );
  const flowNodes: Node[] = layout.nodes.map((place) => ({
    id: place.name,
    type: 'service',
    position: { x: place.x, y: place.y },
    width: NODE_WIDTH,
    height: NODE_HEIGHT,
    selected: search.service === place.name,
    draggable: false,
    ariaLabel: `Service ${place.name}`,
    data: {
      service: byName.get(place.name),
      secs,
      dim: panelOpen && place.name !== search.service && !near.has(place.name),
    },
  }));
  const flowEdges = layout.edges.map((routed) => edgeElement(routed, secs, most, search));
  return (
    <ReactFlow
      nodes={flowNodes}
      edges={flowEdges}
      nodeTypes={NODE_TYPES}
      edgeTypes={EDGE_TYPES}
      style={{ background: 'transparent', ['--xy-background-color' as string]: 'transparent' }}
      colorMode={scheme}
      fitView
      onMoveStart={(event) => {
        if (event) movedByHand.current = true;
      }}
      minZoom={0.15}
      maxZoom={2}
      nodesConnectable={false}
      nodesDraggable={false}
      deleteKeyCode={null}
      proOptions={{ hideAttribution: true }}
      onNodeClick={(_, node) => set({ service: node.id, edge: undefined })}
      onEdgeClick={(_, edge) => set({ edge: edge.id, service: undefined })}
      onPaneClick={() => panelOpen && set({ service: undefined, edge: undefined })}
      onSelectionChange={({ nodes: chosen }) => {
        // Enter on a focused node selects it: the panel follows the keyboard too.
        const first = chosen[0];
        if (first && first.id !== search.service) set({ service: first.id, edge: undefined });
      }}
    >
      <Background gap={22} color="var(--line)" />
      <MapControls />
    </ReactFlow>
  );
}

export function MapPage() {
  const search = route.useSearch();
  const range = useRange();
  const navigate = useNavigate();
  const { data: info } = useQuery(infoQuery);
  const { data: map, error, refetch, isFetching, dataUpdatedAt } = useQuery(mapQuery(range));
  const shown = useMemo(
    () => (map ? filterMap(map, search.q ?? '', search.errors === true) : null),
    [map, search.q, search.errors],
  );
  const asked = resolveRange(range, dataUpdatedAt || Date.now());
  const startMillis = map?.start_time ? Date.parse(map.start_time) : asked.startMillis;
  const endMillis = map?.end_time ? Date.parse(map.end_time) : asked.endMillis;
  const secs = Math.max(1, (endMillis - startMillis) / 1000);
  const set = (change: Partial<MapSearch>) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...change }), replace: false });

  return (
    <div className={page.page}>
      <div className={page.head}>
        <h1>Service map</h1>
        {shown && (
          <span className="muted num" role="status">
            {shown.nodes.length} services, {shown.edges.length} connections
          </span>
        )}
        {isFetching && <Loader size={14} role="status" aria-label="Loading" />}
        <span style={{ flex: 1 }} />
        <Checkbox
          size="xs"
          label="Only with errors"
          checked={search.errors === true}
          onChange={(event) => set({ errors: event.currentTarget.checked || undefined })}
        />
        <DraftInput
          aria-label="Show services named"
          placeholder="Service and its neighbours"
          leftSection={<IconSearch size={13} />}
          value={search.q}
          onCommit={(q) => set({ q })}
          data-search-field
          w={220}
        />
      </div>
      {map?.truncated && (
        <p className={css.truncated} role="status">
          There is more than one answer holds: the map shows the newest and busiest part
          {map.start_time && (
            <>
              , since <Time at={map.start_time} precision="s" />
            </>
          )}
          .
        </p>
      )}
      {error ? (
        <ProblemNotice error={error} retry={() => void refetch()} />
      ) : info?.spans_seen === false ? (
        <WaitingForFirstSpan />
      ) : shown && shown.nodes.length === 0 ? (
        <Empty icon={<IconAffiliate size={30} stroke={1.4} />} title="No services here">
          <p>Nothing called anything in this time range, or the filter hides it.</p>
        </Empty>
      ) : (
        shown && (
          <div className={css.stage}>
            <div className={css.graph}>
              <ReactFlowProvider>
                <Graph nodes={shown.nodes} edges={shown.edges} secs={secs} search={search} set={set} />
              </ReactFlowProvider>
            </div>
            {(search.service || search.edge) && (
              <MapPanel map={shown} search={search} secs={secs} set={set} />
            )}
          </div>
        )
      )}
    </div>
  );
}
