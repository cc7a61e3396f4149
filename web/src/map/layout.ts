// Where the services of the map stand: dagre ranks callers left of callees.
import dagre from '@dagrejs/dagre';
import type { MapEdge, ServiceMap } from '../api/wire';

export const NODE_WIDTH = 178;
export const NODE_HEIGHT = 62;

export interface Placed {
  name: string;
  x: number;
  y: number;
}

export function layoutMap(map: Pick<ServiceMap, 'nodes' | 'edges'>): Placed[] {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 26, ranksep: 96, marginx: 20, marginy: 20 });
  graph.setDefaultEdgeLabel(() => ({}));
  // Sorted, so that the same services always stand in the same places.
  const nodes = [...map.nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const node of nodes) graph.setNode(node.name, { width: NODE_WIDTH, height: NODE_HEIGHT });
  const edges = [...map.edges].sort((a, b) => (edgeId(a) < edgeId(b) ? -1 : 1));
  for (const edge of edges) if (edge.caller !== edge.callee) graph.setEdge(edge.caller, edge.callee);
  dagre.layout(graph);
  return nodes.map(({ name }) => {
    const at = graph.node(name);
    return { name, x: at.x - NODE_WIDTH / 2, y: at.y - NODE_HEIGHT / 2 };
  });
}

export function edgeId(edge: Pick<MapEdge, 'caller' | 'callee'>): string {
  return `${edge.caller}>${edge.callee}`;
}

/** The services whose name holds `text`, with their direct neighbours, and only the edges among them. */
export function filterMap(
  map: ServiceMap,
  text: string,
  onlyErrors: boolean,
): Pick<ServiceMap, 'nodes' | 'edges'> {
  let { nodes, edges } = map;
  if (onlyErrors) {
    edges = edges.filter((edge) => edge.errors > 0);
    const touched = new Set(edges.flatMap((edge) => [edge.caller, edge.callee]));
    nodes = nodes.filter((node) => node.errors > 0 || touched.has(node.name));
  }
  const wanted = text.trim().toLowerCase();
  if (wanted) {
    const hit = new Set(
      nodes.filter((node) => node.name.toLowerCase().includes(wanted)).map((node) => node.name),
    );
    edges = edges.filter((edge) => hit.has(edge.caller) || hit.has(edge.callee));
    const kept = new Set([...hit, ...edges.flatMap((edge) => [edge.caller, edge.callee])]);
    nodes = nodes.filter((node) => kept.has(node.name));
  }
  // An edge may name a service that has no node of its own, such as an external host.
  const known = new Set(nodes.map((node) => node.name));
  const external = new Set(
    edges.flatMap((edge) => [edge.caller, edge.callee]).filter((name) => !known.has(name)),
  );
  return {
    nodes: [
      ...nodes,
      ...[...external].map((name) => ({ name, spans: 0, errors: 0, p50_nanos: 0, p95_nanos: 0 })),
    ],
    edges,
  };
}
