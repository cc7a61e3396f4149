// Where the services of the map stand and how the calls run between them: dagre ranks callers left of callees.
import dagre from '@dagrejs/dagre';
import type { MapEdge, ServiceMap } from '../api/wire';

export const NODE_WIDTH = 178;
export const NODE_HEIGHT = 62;
/** Room kept for the figures of a call, so that they never lie on a service. */
const LABEL_WIDTH = 92;
const LABEL_HEIGHT = 30;

export interface Point {
  x: number;
  y: number;
}

export interface Placed extends Point {
  name: string;
}

export interface Routed {
  edge: MapEdge;
  /** From the caller's border to the callee's, around the services between them. */
  points: Point[];
  label: Point;
}

export interface MapLayout {
  nodes: Placed[];
  edges: Routed[];
}

export function layoutMap(map: Pick<ServiceMap, 'nodes' | 'edges'>): MapLayout {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 22, edgesep: 14, ranksep: 56, marginx: 20, marginy: 20 });
  // Sorted, so that the same services always stand in the same places.
  const nodes = [...map.nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const node of nodes) graph.setNode(node.name, { width: NODE_WIDTH, height: NODE_HEIGHT });
  const edges = [...map.edges]
    .filter((edge) => edge.caller !== edge.callee)
    .sort((a, b) => (edgeId(a) < edgeId(b) ? -1 : 1));
  for (const edge of edges) {
    graph.setEdge(edge.caller, edge.callee, { width: LABEL_WIDTH, height: LABEL_HEIGHT, labelpos: 'c' });
  }
  dagre.layout(graph);
  return {
    nodes: nodes.map(({ name }) => {
      const at = graph.node(name);
      return { name, x: at.x - NODE_WIDTH / 2, y: at.y - NODE_HEIGHT / 2 };
    }),
    edges: edges.map((edge) => {
      const route = graph.edge(edge.caller, edge.callee) as unknown as {
        points: Point[];
        x: number;
        y: number;
      };
      const from = graph.node(edge.caller) as Point;
      const to = graph.node(edge.callee) as Point;
      return { edge, points: fromSideToSide(route.points, from, to), label: { x: route.x, y: route.y } };
    }),
  };
}

/** Calls to the right leave the middle of the right side and arrive at the middle of the left one. */
function fromSideToSide(points: Point[], from: Point, to: Point): Point[] {
  if (to.x - from.x < NODE_WIDTH) return points;
  const start = { x: from.x + NODE_WIDTH / 2, y: from.y };
  const end = { x: to.x - NODE_WIDTH / 2, y: to.y };
  // Straight pieces at both ends, so that arrows lie flat.
  const near = [{ x: start.x + 12, y: start.y }, ...points.slice(1, -1), { x: end.x - 14, y: end.y }];
  return [start, ...near, end];
}

/** A smooth path (cubic B-spline) that starts at the first point, ends at the last and bends towards those between. */
export function smoothPath(points: readonly Point[]): string {
  const [first, second] = points;
  const last = points[points.length - 1];
  if (!first || !second || !last) return '';
  if (points.length === 2) return `M${first.x},${first.y}L${last.x},${last.y}`;
  let path = `M${first.x},${first.y}L${(5 * first.x + second.x) / 6},${(5 * first.y + second.y) / 6}`;
  for (let at = 1; at < points.length; at += 1) {
    const a = points[at - 1] as Point;
    const b = points[at] as Point;
    const c = points[at + 1] ?? b;
    const one = `${(2 * a.x + b.x) / 3},${(2 * a.y + b.y) / 3}`;
    const two = `${(a.x + 2 * b.x) / 3},${(a.y + 2 * b.y) / 3}`;
    const end = `${(a.x + 4 * b.x + c.x) / 6},${(a.y + 4 * b.y + c.y) / 6}`;
    path += `C${one} ${two} ${end}`;
  }
  return `${path}L${last.x},${last.y}`;
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
      ...[...external].map((name) => ({
        name,
        spans: 0,
        errors: 0,
        p50_nanos: 0,
        p95_nanos: 0,
        is_outside: true,
      })),
    ],
    edges,
  };
}
